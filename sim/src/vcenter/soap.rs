//! SOAP of vim25: reads calls into a small tree, writes answers and faults.

use std::io::{self, Write};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use crate::http::Response;

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const VIM: &str = "urn:vim25";
/// Calls nest about ten deep; a deeper tree than this would attack the stack.
const MAX_DEPTH: usize = 64;

pub(super) const CONTENT_TYPE: &str = "text/xml; charset=utf-8";

/// An element of a call.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// The local name.
    pub(super) name: String,
    namespace: Option<String>,
    /// The plain attribute `type`, which is the type of the object in a reference.
    pub(super) object_type: Option<String>,
    /// The attribute xsi:type without its prefix.
    pub(super) xsi_type: Option<String>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    /// The text with its spaces: a password may begin with one.
    pub(super) fn exact(&self) -> &str {
        &self.text
    }

    pub(super) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// A child that must be there.
    pub(super) fn need(&self, name: &str) -> Result<&Element, Fault> {
        let missing = || Fault::invalid_request(&format!("Required parameter {name} is missing"));
        self.child(name).ok_or_else(missing)
    }

    /// A boolean child; a missing one is false.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.child(name).map(Element::text) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(Fault::invalid_request(&format!("{name} is no boolean"))),
        }
    }

    /// A child that is a number of at least 0.
    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, Fault> {
        let no_number = |_| Fault::invalid_request(&format!("{name} is no number"));
        let child = self.child(name);
        child.map(|c| c.text().parse().map_err(no_number)).transpose()
    }

    /// A reference to a managed object: its type and its id.
    pub(super) fn reference(&self) -> Result<(&str, &str), Fault> {
        let untyped = || Fault::invalid_request(&format!("{} names no type", self.name));
        let kind = self.object_type.as_deref().ok_or_else(untyped)?;
        Ok((kind, self.text()))
    }
}

/// Reads the one element within the SOAP body.
pub(super) fn parse_call(body: &[u8]) -> Result<Element, Fault> {
    let bad = |why: &str| Fault::invalid_request(&format!("XML document is not valid: {why}"));
    let text = std::str::from_utf8(body).map_err(|_| bad("not in UTF-8"))?;
    let mut envelope = parse(text).map_err(|why| bad(&why))?;
    let is = |element: &Element, name: &str, space: &str| {
        element.name == name && element.namespace.as_deref() == Some(space)
    };
    if !is(&envelope, "Envelope", SOAP) {
        return Err(bad("no SOAP envelope"));
    }
    let place = envelope.children.iter().position(|c| is(c, "Body", SOAP));
    let mut body = place
        .map(|at| envelope.children.swap_remove(at))
        .ok_or_else(|| bad("no SOAP body"))?;
    match body.children.pop() {
        Some(call) if body.children.is_empty() && call.namespace.as_deref() == Some(VIM) => Ok(call),
        _ => Err(bad("the body must hold one call of urn:vim25")),
    }
}

fn parse(text: &str) -> Result<Element, String> {
    let mut reader = NsReader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    loop {
        let event = reader.read_event().map_err(|e| e.to_string())?;
        let closed = match event {
            Event::Start(start) => {
                if open.len() == MAX_DEPTH || root.is_some() {
                    return Err("too deep, or more than one root".into());
                }
                open.push(element(&reader, &start)?);
                None
            }
            Event::Empty(start) => Some(element(&reader, &start)?),
            Event::End(_) => open.pop(),
            Event::Text(text) => {
                add_text(&mut open, &text.xml10_content())?;
                None
            }
            Event::CData(text) => {
                add_text(&mut open, &text.xml10_content())?;
                None
            }
            Event::GeneralRef(name) => {
                let character = name.resolve_char_ref().map_err(|e| e.to_string())?;
                let text = match (character, &*name) {
                    (Some(character), _) => character.to_string(),
                    (None, "lt") => "<".into(),
                    (None, "gt") => ">".into(),
                    (None, "amp") => "&".into(),
                    (None, "quot") => "\"".into(),
                    (None, "apos") => "'".into(),
                    (None, _) => return Err("an unknown entity".into()),
                };
                add_text(&mut open, &text)?;
                None
            }
            Event::DocType(_) => return Err("a document type".into()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => None,
            Event::Eof if open.is_empty() => return root.ok_or_else(|| "it is empty".into()),
            Event::Eof => return Err("it ends within an element".into()),
        };
        match (closed, open.last_mut()) {
            (None, _) => {}
            (Some(element), Some(parent)) => parent.children.push(element),
            (Some(_), None) if root.is_some() => return Err("more than one root".into()),
            (Some(element), None) => root = Some(element),
        }
    }
}

fn add_text(open: &mut [Element], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim_start_matches('\u{feff}').trim().is_empty() => {}
        None => return Err("text outside of the root".into()),
    }
    Ok(())
}

fn element(reader: &NsReader<&[u8]>, start: &BytesStart) -> Result<Element, String> {
    let (space, local) = reader.resolver().resolve_element(start.name());
    let mut element = Element {
        name: local.into_inner().to_owned(),
        namespace: match space {
            ResolveResult::Bound(Namespace(space)) => Some(space.to_owned()),
            ResolveResult::Unbound => None,
            ResolveResult::Unknown(prefix) => return Err(format!("prefix {prefix:?} is not declared")),
        },
        ..Element::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        let (space, local) = reader.resolver().resolve_attribute(attribute.key);
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|e| e.to_string())?;
        match (space, local.into_inner()) {
            (ResolveResult::Unbound, "type") => element.object_type = Some(value.into_owned()),
            (ResolveResult::Bound(Namespace(XSI)), "type") => {
                let local = value.rsplit(':').next().unwrap_or("");
                element.xsi_type = Some(local.to_owned());
            }
            (ResolveResult::Unknown(prefix), _) => return Err(format!("prefix {prefix:?} is not declared")),
            _ => {}
        }
    }
    Ok(element)
}

/// Escapes text for an element or attribute.
pub(super) fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    quick_xml::escape::partial_escape(text)
}

const HEAD: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
    "<soapenv:Envelope xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\"\n ",
    "xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"\n ",
    "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"\n ",
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soapenv:Body>\n",
);
const TAIL: &str = "\n</soapenv:Body>\n</soapenv:Envelope>";

/// The answer to a call with this inner XML.
pub(super) fn answer(method: &str, inner: &str) -> Response {
    let body = format!("{HEAD}<{method}Response xmlns=\"urn:vim25\">{inner}</{method}Response>{TAIL}");
    Response::new(200, CONTENT_TYPE, body)
}

/// The answer to a call whose inner XML is written while it is sent.
pub(super) fn stream(
    method: String,
    inner: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Response {
    Response::stream(200, CONTENT_TYPE, move |out| {
        write!(out, "{HEAD}<{method}Response xmlns=\"urn:vim25\">")?;
        inner(out)?;
        write!(out, "</{method}Response>{TAIL}")
    })
}

/// A refusal, sent with status 500.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    kind: &'static str,
    message: String,
    /// The fault's members as XML.
    members: String,
}

impl Fault {
    pub(super) fn new(kind: &'static str, message: &str, members: String) -> Self {
        Fault {
            kind,
            message: message.to_owned(),
            members,
        }
    }

    pub(super) fn invalid_request(message: &str) -> Self {
        Fault::new("InvalidRequest", message, String::new())
    }

    pub(super) fn invalid_argument(name: &str) -> Self {
        let message = format!("A specified parameter was not correct: {name}");
        let members = format!("<invalidProperty>{}</invalidProperty>", escape(name));
        Fault::new("InvalidArgument", &message, members)
    }

    pub(super) fn invalid_property(name: &str) -> Self {
        let members = format!("<name>{}</name>", escape(name));
        Fault::new("InvalidProperty", "", members)
    }

    pub(super) fn not_found(kind: &str, id: &str) -> Self {
        let message = "The object has already been deleted or has not been completely created";
        let members = format!("<obj type=\"{}\">{}</obj>", escape(kind), escape(id));
        Fault::new("ManagedObjectNotFound", message, members)
    }

    pub(super) fn not_authenticated(kind: &str, id: &str) -> Self {
        let (kind, id) = (escape(kind), escape(id));
        let members = format!("<object type=\"{kind}\">{id}</object><privilegeId>System.View</privilegeId>");
        Fault::new("NotAuthenticated", "The session is not authenticated.", members)
    }

    pub(super) fn invalid_login() -> Self {
        let message = "Cannot complete login due to an incorrect user name or password.";
        Fault::new("InvalidLogin", message, String::new())
    }

    pub(super) fn response(&self) -> Response {
        let Fault {
            kind,
            message,
            members,
        } = self;
        let message = escape(message);
        let body = format!(
            "{HEAD}<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>{message}</faultstring><detail>\
             <{kind}Fault xmlns=\"urn:vim25\" xsi:type=\"{kind}\">{members}</{kind}Fault></detail></soapenv:Fault>{TAIL}"
        );
        Response::new(500, CONTENT_TYPE, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"{SOAP}\" xmlns:i=\"{XSI}\"><s:Body>{inner}</s:Body></s:Envelope>"
        )
    }

    #[test]
    fn a_call_is_read_by_namespace_whatever_the_prefixes() {
        let text = envelope(
            "<v:Call xmlns:v=\"urn:vim25\"><v:obj type=\"Host&amp;System\">host-1</v:obj><set i:type=\"v:Spec\"/>\
             <password> a&lt;&#65;<![CDATA[<b>]]></password><skip>true</skip></v:Call>",
        );
        let call = parse_call(text.as_bytes()).unwrap();
        assert_eq!(call.name, "Call");
        assert_eq!(
            call.child("obj").unwrap().reference(),
            Ok(("Host&System", "host-1"))
        );
        assert_eq!(call.child("set").unwrap().xsi_type.as_deref(), Some("Spec"));
        assert_eq!(call.child("password").unwrap().exact(), " a<A<b>");
        assert_eq!(call.flag("skip"), Ok(true));
        assert_eq!(call.flag("other"), Ok(false));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
        let cases = [
            String::new(),
            "hello".into(),
            "<html/>".into(),
            envelope(""),
            envelope("<Login/>"),
            envelope("<Login xmlns=\"urn:vim25\"/><Login xmlns=\"urn:vim25\"/>"),
            envelope("<Login xmlns=\"urn:vim25\"><oops></Login>"),
            envelope("<Login xmlns=\"urn:vim25\">&unknown;</Login>"),
            envelope("<x:Login xmlns=\"urn:vim25\"/>"),
            envelope(&deep),
            format!("<!DOCTYPE x>{}", envelope("<Login xmlns=\"urn:vim25\"/>")),
            envelope("<Login xmlns=\"urn:vim25\"/>").replace("</s:Envelope>", ""),
        ];
        for case in cases {
            let fault = parse_call(case.as_bytes()).unwrap_err();
            assert_eq!(fault.kind, "InvalidRequest", "{case}");
        }
        assert!(parse_call(b"\xff\xfe").is_err());
    }
}
