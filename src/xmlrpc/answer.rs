//! Reads the answer to a call, element by element.

use std::io::BufRead;

use super::value::{Value, enter, leave, read_child};
use super::{Datum, Error, Fault};
use crate::text;
use crate::xml::{self, Reader};

/// The longest text of a fault that is kept, in characters.
const LONGEST_FAULT: usize = 400;

/// Reads the answer to a call from `source`, to its end: the value that the method returned, or the server's fault.
pub fn answer<R: BufRead>(source: R) -> Result<Result<Datum<'static>, Fault>, Error> {
    answer_with(source, |value| value.read())
}

/// Reads the answer to a call from `source`, to its end; `read` reads the value that the method returned.
///
/// ```
/// use vw::xmlrpc::{Value, answer_with};
///
/// let xml = "<methodResponse><params><param><value><struct>\
///            <member><name>a</name><value>1</value></member>\
///            <member><name>b</name><value>2</value></member>\
///            </struct></value></param></params></methodResponse>";
/// let mut b = None;
/// answer_with(xml.as_bytes(), |value: Value<'_, _>| {
///     value.members(|name, value| match name {
///         "b" => Ok(b = value.read()?.into_text()),
///         _ => value.skip(),
///     })
/// })?.expect("no fault");
/// assert_eq!(b.as_deref(), Some("2"));
/// # Ok::<(), vw::xmlrpc::Error>(())
/// ```
pub fn answer_with<R: BufRead, T>(
    source: R,
    read: impl FnOnce(Value<'_, R>) -> Result<T, xml::Error>,
) -> Result<Result<T, Fault>, Error> {
    let mut xml = Reader::new(source);
    read_response(&mut xml, read).map_err(Error::Unreadable)
}

fn read_response<R: BufRead, T>(
    xml: &mut Reader<R>,
    read: impl FnOnce(Value<'_, R>) -> Result<T, xml::Error>,
) -> Result<Result<T, Fault>, xml::Error> {
    match read_child(xml)? {
        Some("methodResponse") => {}
        Some(name) if name.eq_ignore_ascii_case("html") => return Err(xml::Error::Html),
        _ => return Err(xml.refuse("the root is not <methodResponse>")),
    }
    let answer = match read_child(xml)? {
        Some("params") => {
            enter(xml, "param", "no <param> in <params>")?;
            enter(xml, "value", "no <value> in <param>")?;
            let value = read(Value(xml))?;
            leave(xml)?;
            Ok(value)
        }
        Some("fault") => {
            enter(xml, "value", "no <value> in <fault>")?;
            let value = Value(xml).read()?;
            Err(fault(&value).ok_or_else(|| xml.refuse("a fault without code and text"))?)
        }
        _ => return Err(xml.refuse("neither <params> nor <fault>")),
    };
    // The end of <params> or <fault>, that of <methodResponse>, and that of the document.
    for _ in 0..3 {
        leave(xml)?;
    }
    Ok(answer)
}

fn fault(value: &Datum<'_>) -> Option<Fault> {
    let Some(&Datum::Int(code)) = value.member("faultCode") else {
        return None;
    };
    let all = value.member("faultString")?.as_text()?.trim_start();
    // Redstone, an XML-RPC library in Java, writes the name of its class before the text.
    let all = all.strip_prefix("redstone.xmlrpc.XmlRpcFault:").unwrap_or(all);
    let words: Vec<&str> = all.split_whitespace().collect();
    let line = words.join(" ");
    // A message may continue after the text.
    let text = text::cut(line.trim_end_matches('.'), LONGEST_FAULT).into_owned();
    Some(Fault { code, text })
}
