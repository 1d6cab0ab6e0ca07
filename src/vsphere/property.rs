//! Reading the properties of many objects: container views and RetrievePropertiesEx, page by page.
//!
//! Of the API's two ways to read an inventory this one costs the server and the client less (vSphere Web Services API,
//! `PropertyCollector` and `ContainerView`).

use std::fmt::Write as _;
use std::io::BufRead;
use std::ops::Range;

use super::rounds::Rounds;
use super::soap::{Answer, Client, without_prefix};
use super::{Error, ManagedObject, NOT_AUTHENTICATED, NOT_FOUND};
use crate::xml::{self, Reader};

/// Objects in one page; servers may answer with fewer. Larger pages take hardly less of our work (under 1 %), and a page is what the
/// server prepares before its first byte, while we wait.
const PAGE: usize = 1000;

/// A page of so many objects is not what was asked for, and may be one without end.
const LARGEST_PAGE: usize = 10 * PAGE;

/// Which properties of one type of object are wanted.
pub(super) struct PropertySpec {
    /// The type of the objects, such as `HostSystem`.
    pub(super) kind: &'static str,
    /// The paths of the properties, such as `config.uuid`.
    pub(super) paths: &'static [&'static str],
}

/// One object as the server told it. Its memory serves the next object of the page, too.
#[derive(Debug, Default)]
pub(super) struct Object {
    /// The object's type.
    pub(super) kind: String,
    /// The object's managed object id.
    pub(super) id: String,
    /// Paths and values of all items, one behind the other.
    text: String,
    items: Vec<Item>,
    missing: Vec<Missing>,
}

/// A property, or one of a property's several references: where it stands in the text of its object.
#[derive(Debug)]
struct Item {
    path: Range<usize>,
    kind: Range<usize>,
    text: Range<usize>,
}

/// A property that the server did not tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The property's path.
    pub(super) path: String,
    /// The type of the fault, such as `NoPermission`.
    pub(super) fault: String,
}

impl Object {
    /// The property's value as text, where it is set.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.references(path).next().map(|(_, text)| text)
    }

    /// The references, type and id, that the property holds.
    pub(super) fn references<'o>(&'o self, path: &str) -> impl Iterator<Item = (&'o str, &'o str)> {
        let part = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        self.items
            .iter()
            .filter(move |item| part(&item.path) == path)
            .map(move |item| (part(&item.kind), part(&item.text)))
    }

    /// The fault that the server gave instead of the property, such as `NoPermission`.
    pub(super) fn fault_of(&self, path: &str) -> Option<&str> {
        self.missing
            .iter()
            .find(|missing| missing.path == path)
            .map(|missing| missing.fault.as_str())
    }

    /// Whether the object was deleted while the server read its properties.
    pub(super) fn is_gone(&self) -> bool {
        self.missing.iter().any(|missing| missing.fault == NOT_FOUND)
    }

    /// Whether the session ended while the server read the properties.
    pub(super) fn is_without_session(&self) -> bool {
        let mut faults = self.missing.iter();
        faults.any(|missing| missing.fault == NOT_AUTHENTICATED)
    }

    #[cfg(test)]
    pub(super) fn of(kind: &str, id: &str, properties: &[(&str, &str)]) -> Self {
        let mut object = Object {
            kind: kind.into(),
            id: id.into(),
            ..Object::default()
        };
        for (path, value) in properties {
            let reference = value.split_once(':').filter(|_| matches!(*path, "parent" | "vm"));
            let (kind, text) = reference.unwrap_or(("", value));
            let [path, kind, text] = [path, kind, text].map(|part| object.push(part));
            object.items.push(Item { path, kind, text });
        }
        object
    }

    fn clear(&mut self) {
        self.kind.clear();
        self.id.clear();
        self.text.clear();
        self.items.clear();
        self.missing.clear();
    }

    fn push(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    fn push_text<R: BufRead>(&mut self, xml: &mut Reader<R>) -> Result<Range<usize>, xml::Error> {
        let start = self.text.len();
        xml.append_text(&mut self.text)?;
        Ok(start..self.text.len())
    }

    /// Reads an `ObjectContent`, whose element has been gone down to.
    ///
    /// A page may have any number of objects, each of which has a limit of its own: the largest, a host with 10,000 machines,
    /// has less than a megabyte.
    fn read<R: BufRead>(&mut self, xml: &mut Reader<R>) -> Result<(), xml::Error> {
        self.clear();
        xml.renew();
        while let Some(name) = xml.child()? {
            match name {
                "obj" => self.read_reference(xml)?,
                "propSet" => {
                    self.read_property(xml)?;
                }
                "missingSet" => self.read_missing(xml)?,
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    /// Reads an `ObjectUpdate`, whose element has been gone down to, and answers its kind: `enter`, `modify` or `leave`.
    ///
    /// `paths` is filled with the properties that are told, also those that are no longer set.
    pub(super) fn read_update<R: BufRead>(
        &mut self,
        xml: &mut Reader<R>,
        paths: &mut Vec<String>,
    ) -> Result<String, xml::Error> {
        self.clear();
        paths.clear();
        xml.renew();
        let mut kind = String::new();
        while let Some(name) = xml.child()? {
            match name {
                "kind" => xml.append_text(&mut kind)?,
                "obj" => self.read_reference(xml)?,
                "changeSet" => {
                    let path = self.read_property(xml)?;
                    paths.push(self.text.get(path).unwrap_or_default().to_owned());
                }
                "missingSet" => self.read_missing(xml)?,
                _ => xml.skip()?,
            }
        }
        Ok(kind)
    }

    /// Whether the server told a fault instead of a property.
    pub(super) fn lacks_properties(&self) -> bool {
        !self.missing.is_empty()
    }

    fn read_reference<R: BufRead>(&mut self, xml: &mut Reader<R>) -> Result<(), xml::Error> {
        self.kind.push_str(&xml.attribute("type").unwrap_or_default());
        xml.append_text(&mut self.id)
    }

    /// Reads a `DynamicProperty`, its name and then its value, or a `PropertyChange`, which has the same and, as long as partial
    /// updates are not asked for, tells the whole value. Answers the place of the name.
    fn read_property<R: BufRead>(&mut self, xml: &mut Reader<R>) -> Result<Range<usize>, xml::Error> {
        let mut path = 0..0;
        while let Some(name) = xml.child()? {
            match name {
                "name" => path = self.push_text(xml)?,
                "val" => self.read_value(&path, xml)?,
                _ => xml.skip()?,
            }
        }
        Ok(path)
    }

    /// Reads a value: a text, a reference, or an array of references.
    fn read_value<R: BufRead>(&mut self, path: &Range<usize>, xml: &mut Reader<R>) -> Result<(), xml::Error> {
        let (kind, xsi_type) = xml.attributes("type");
        let array = xsi_type.is_some_and(|name| without_prefix(&name).starts_with("ArrayOf"));
        if !array {
            let kind = self.push(&kind.unwrap_or_default());
            return self.read_item(path, kind, xml);
        }
        while xml.child()?.is_some() {
            let kind = self.push(&xml.attribute("type").unwrap_or_default());
            self.read_item(path, kind, xml)?;
        }
        Ok(())
    }

    fn read_item<R: BufRead>(
        &mut self,
        path: &Range<usize>,
        kind: Range<usize>,
        xml: &mut Reader<R>,
    ) -> Result<(), xml::Error> {
        let text = self.push_text(xml)?;
        let path = path.clone();
        self.items.push(Item { path, kind, text });
        Ok(())
    }

    /// Reads a `MissingProperty`.
    fn read_missing<R: BufRead>(&mut self, xml: &mut Reader<R>) -> Result<(), xml::Error> {
        let mut missing = Missing {
            path: String::new(),
            fault: String::new(),
        };
        while let Some(name) = xml.child()? {
            match name {
                "path" => missing.path.push_str(xml.text()?),
                "fault" => missing.fault = read_localized_fault(xml)?,
                _ => xml.skip()?,
            }
        }
        self.missing.push(missing);
        Ok(())
    }
}

/// Reads a `MissingObject` and answers the object and the type of the fault.
pub(super) fn read_missing_object<R: BufRead>(
    xml: &mut Reader<R>,
) -> Result<(Option<ManagedObject>, String), xml::Error> {
    let (mut object, mut fault) = (None, String::new());
    while let Some(name) = xml.child()? {
        match name {
            "obj" => object = Some(ManagedObject::read(xml)?),
            "fault" => fault = read_localized_fault(xml)?,
            _ => xml.skip()?,
        }
    }
    Ok((object, fault))
}

/// Reads a `LocalizedMethodFault` and answers the type of its fault.
fn read_localized_fault<R: BufRead>(xml: &mut Reader<R>) -> Result<String, xml::Error> {
    let mut fault = String::new();
    while let Some(name) = xml.child()? {
        if name == "fault" {
            fault = xml
                .prefixed_attribute("type")
                .map(|name| without_prefix(&name).to_owned())
                .unwrap_or_default();
        }
        xml.skip()?;
    }
    Ok(fault)
}

/// Has the server gather all objects of the specs' types below `folder`; the view lives until it is destroyed or the session ends.
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

/// Calls a method that makes an object of the session's, and answers that.
pub(super) fn create(
    client: &mut Client,
    method: &'static str,
    this: &ManagedObject,
    parameters: &str,
) -> Result<ManagedObject, Error> {
    let made = client.call(method, this, parameters, |xml| {
        let mut made = None;
        while let Some(name) = xml.child()? {
            match name {
                "returnval" => made = Some(ManagedObject::read(xml)?),
                _ => xml.skip()?,
            }
        }
        Ok(made)
    })?;
    made.ok_or(Error::Incomplete {
        method,
        what: "the object that it makes",
    })
}

/// Hands each object of the view to `each` as it arrives.
pub(super) fn retrieve(
    client: &mut Client,
    collector: &ManagedObject,
    view: &ManagedObject,
    specs: &[PropertySpec],
    mut each: impl FnMut(&Object),
) -> Result<(), Error> {
    pages(client, collector, &first_page(view, specs), &mut each)
}

/// Hands each of these objects to `each`; one that is not there any more fails the call (ManagedObjectNotFound).
pub(super) fn retrieve_these(
    client: &mut Client,
    collector: &ManagedObject,
    objects: &[ManagedObject],
    spec: &PropertySpec,
    mut each: impl FnMut(&Object),
) -> Result<(), Error> {
    let mut parameters = format!("<specSet>{}", property_sets([spec]));
    for object in objects {
        let _ = write!(parameters, "<objectSet>{}</objectSet>", object.element("obj"));
    }
    parameters.push_str("</specSet><options/>");
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

/// What an answer tells besides its objects.
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

/// The inside of a `PropertyFilterSpec` that means the objects of a view.
pub(super) fn spec_of_view(view: &ManagedObject, specs: &[PropertySpec]) -> String {
    format!(
        "{}<objectSet>{}<skip>true</skip>\
         <selectSet xsi:type=\"TraversalSpec\"><type>ContainerView</type><path>view</path><skip>false</skip></selectSet>\
         </objectSet>",
        property_sets(specs),
        view.element("obj"),
    )
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

/// Reads a `RetrieveResult`.
///
/// Without any object the server answers without `returnval`.
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
                    return Err(xml.refuse("a page of far more objects than were asked for"));
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
    fn a_page_is_read_whatever_prefix_its_types_have() {
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
    fn a_page_without_end_is_refused() {
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
