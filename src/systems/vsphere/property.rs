//! Reading the properties of many objects: container views and RetrievePropertiesEx, page by page.
//!
//! The API has two ways to read an inventory. This one costs the server and the client less (vSphere Web Services API,
//! `PropertyCollector` and `ContainerView`).

mod object;
mod structure;

use std::fmt::Write as _;
use std::io::BufRead;

pub(super) use self::object::{Object, read_missing_object};
pub(super) use self::structure::Structure;
use super::rounds::Rounds;
use super::soap::{Answer, Client};
use super::{Error, ManagedObject, NOT_AUTHENTICATED};
use crate::xml::{self, Reader};

/// How many objects a page is requested to have; servers may send fewer.
///
/// Larger pages save less than 1 % of CPU, and the client waits while the server prepares a page.
const PAGE: usize = 1000;

/// A page with more objects is refused: it has ten times what was requested, and may never end.
const LARGEST_PAGE: usize = 10 * PAGE;

/// The properties to read of one type of object.
pub(super) struct PropertySpec {
    /// The type of the objects, such as `HostSystem`.
    pub(super) kind: &'static str,
    /// The paths of the properties, such as `config.uuid`.
    pub(super) paths: &'static [&'static str],
}

/// Creates a view of all objects of the specs' types below `folder`. It lives until it is destroyed or the session ends.
pub(super) fn create_view(
    client: &mut Client,
    view_manager: &ManagedObject,
    folder: &ManagedObject,
    specs: &[PropertySpec],
) -> Result<ManagedObject, Error> {
    let mut parameters = folder.element("container");
    for spec in specs {
        let _ = write!(parameters, "<type>{}</type>", spec.kind);
    }
    parameters.push_str("<recursive>true</recursive>");
    create(client, "CreateContainerView", view_manager, &parameters)
}

/// Calls a method that creates an object of the session, and returns that object.
pub(super) fn create(
    client: &mut Client,
    method: &'static str,
    this: &ManagedObject,
    parameters: &str,
) -> Result<ManagedObject, Error> {
    let created = client.call(method, this, parameters, |xml| {
        let mut created = None;
        while let Some(name) = xml.child()? {
            match name {
                "returnval" => created = Some(ManagedObject::read(xml)?),
                _ => xml.skip()?,
            }
        }
        Ok(created)
    })?;
    created.ok_or(Error::Incomplete {
        method,
        what: "the object that it creates",
    })
}

/// Reads the objects of a view and hands each to `each` as it arrives.
pub(super) fn retrieve(
    client: &mut Client,
    collector: &ManagedObject,
    view: &ManagedObject,
    specs: &[PropertySpec],
    mut each: impl FnMut(&Object),
) -> Result<(), Error> {
    pages(client, collector, &first_page(view, specs), &mut each)
}

/// Reads these objects and hands each to `each`. If one was deleted, the call fails (`ManagedObjectNotFound`).
pub(super) fn retrieve_these(
    client: &mut Client,
    collector: &ManagedObject,
    objects: &[ManagedObject],
    spec: &PropertySpec,
    mut each: impl FnMut(&Object),
) -> Result<(), Error> {
    let spec = spec_of_objects(objects, [spec]);
    let parameters = format!("<specSet>{spec}</specSet><options/>");
    pages(client, collector, &parameters, &mut each)
}

fn pages(
    client: &mut Client,
    collector: &ManagedObject,
    parameters: &str,
    each: &mut impl FnMut(&Object),
) -> Result<(), Error> {
    let mut object = Object::default();
    let mut rounds = Rounds::default();
    let (mut method, mut parameters) = ("RetrievePropertiesEx", parameters.to_owned());
    loop {
        let read = |xml: &mut Answer| read_page(xml, &mut object, each);
        let page = client.call(method, collector, &parameters, read)?;
        if page.is_without_session {
            return Err(Error::of_fault(method, NOT_AUTHENTICATED.to_owned()));
        }
        rounds.add(method, page.objects)?;
        let Some(token) = page.token else {
            return Ok(());
        };
        method = "ContinueRetrievePropertiesEx";
        parameters = format!("<token>{}</token>", xml::escape(&token));
    }
}

/// What an answer contains besides its objects.
#[derive(Debug, Default)]
struct Page {
    /// The token of the next page, if there is one.
    token: Option<String>,
    /// How many objects there were.
    objects: usize,
    /// Whether the session ended while the server read the objects.
    is_without_session: bool,
}

fn first_page(view: &ManagedObject, specs: &[PropertySpec]) -> String {
    let spec = spec_of_view(view, specs);
    format!("<specSet>{spec}</specSet><options><maxObjects>{PAGE}</maxObjects></options>")
}

/// The content of a `PropertyFilterSpec` that selects the objects of a view.
pub(super) fn spec_of_view(view: &ManagedObject, specs: &[PropertySpec]) -> String {
    format!(
        "{}<objectSet>{}<skip>true</skip>\
         <selectSet xsi:type=\"TraversalSpec\"><type>ContainerView</type><path>view</path><skip>false</skip></selectSet>\
         </objectSet>",
        property_sets(specs),
        view.element("obj"),
    )
}

/// The content of a `PropertyFilterSpec` that selects these objects.
pub(super) fn spec_of_objects<'s>(
    objects: &[ManagedObject],
    specs: impl IntoIterator<Item = &'s PropertySpec>,
) -> String {
    let mut text = property_sets(specs);
    for object in objects {
        let _ = write!(text, "<objectSet>{}</objectSet>", object.element("obj"));
    }
    text
}

fn property_sets<'s>(specs: impl IntoIterator<Item = &'s PropertySpec>) -> String {
    let mut sets = String::new();
    for spec in specs {
        let _ = write!(sets, "<propSet><type>{}</type><all>false</all>", spec.kind);
        for path in spec.paths {
            let _ = write!(sets, "<pathSet>{path}</pathSet>");
        }
        sets.push_str("</propSet>");
    }
    sets
}

/// Reads a `RetrieveResult`. If there are no objects, the server sends no `returnval`.
fn read_page<R: BufRead>(
    xml: &mut Reader<R>,
    object: &mut Object,
    each: &mut impl FnMut(&Object),
) -> Result<Page, xml::Error> {
    let mut page = Page::default();
    while let Some(name) = xml.child()? {
        if name != "returnval" {
            xml.skip()?;
            continue;
        }
        while let Some(name) = xml.child()? {
            match name {
                "token" => page.token = Some(xml.text()?.to_owned()),
                "objects" if page.objects == LARGEST_PAGE => {
                    return Err(xml.refuse("a page of far more objects than were requested"));
                }
                "objects" => {
                    object.read(xml)?;
                    each(object);
                    page.objects += 1;
                    page.is_without_session |= object.is_without_session();
                }
                _ => xml.skip()?,
            }
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Classify as _;

    fn page(xml: &str) -> (Option<String>, Vec<String>) {
        let mut reader = Reader::new(xml.as_bytes());
        reader.child().unwrap();
        let mut seen = Vec::new();
        let mut each = |object: &Object| {
            let vms: Vec<_> = object.references("vm").map(|(_, id)| id).collect();
            seen.push(format!(
                "{} {} {:?} {:?} {vms:?} {:?}",
                object.kind,
                object.id,
                object.text("name"),
                object.references("parent").next(),
                object.fault_of("config.uuid"),
            ));
        };
        let page = read_page(&mut reader, &mut Object::default(), &mut each).unwrap();
        reader.finish().unwrap();
        (page.token, seen)
    }

    #[test]
    fn a_page_is_read_with_any_namespace_prefix() {
        let (token, seen) = page(
            "<RetrievePropertiesExResponse xmlns='urn:vim25'><returnval><token>t&amp;1</token>\
             <objects><obj type='HostSystem'>host-1</obj>\
             <propSet><name>name</name><val xmlns:i='u' i:type='xsd:string'>a&lt;b</val></propSet>\
             <propSet><name>parent</name><val type='ComputeResource' xmlns:i='u' i:type='ManagedObjectReference'>domain-s1</val></propSet>\
             <propSet><name>vm</name><val xsi:type='ArrayOfManagedObjectReference'>\
             <ManagedObjectReference type='VirtualMachine'>vm-1</ManagedObjectReference>\
             <ManagedObjectReference type='VirtualMachine'>vm-2</ManagedObjectReference></val></propSet></objects>\
             <objects><obj type='HostSystem'>host-2</obj><propSet><name>vm</name><val xsi:type='ArrayOfManagedObjectReference'/></propSet></objects>\
             <objects><obj type='VirtualMachine'>vm-1</obj><missingSet><path>config.uuid</path><fault>\
             <fault xsi:type='vim25:NoPermission'><object type='VirtualMachine'>vm-1</object></fault><localizedMessage/></fault></missingSet></objects>\
             </returnval></RetrievePropertiesExResponse>",
        );
        assert_eq!(token.as_deref(), Some("t&1"));
        assert_eq!(
            seen,
            [
                r#"HostSystem host-1 Some("a<b") Some(("ComputeResource", "domain-s1")) ["vm-1", "vm-2"] None"#,
                r#"HostSystem host-2 None None [] None"#,
                r#"VirtualMachine vm-1 None None [] Some("NoPermission")"#,
            ]
        );
    }

    #[test]
    fn an_endless_page_is_refused() {
        let objects = "<objects><obj type='HostSystem'>host-1</obj></objects>".repeat(LARGEST_PAGE + 1);
        let text = format!("<RetrievePropertiesExResponse><returnval>{objects}");
        let mut reader = Reader::new(text.as_bytes());
        reader.child().unwrap();
        let error = read_page(&mut reader, &mut Object::default(), &mut |_| {}).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Protocol);
    }

    #[test]
    fn an_answer_without_objects_is_an_empty_page() {
        assert_eq!(page("<RetrievePropertiesExResponse/>"), (None, vec![]));
    }
}
