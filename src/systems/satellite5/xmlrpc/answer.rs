//! Reads the answer to a call, element by element.

use std::io::BufRead;

use super::{Datum, Error, Fault};
use crate::text;
use crate::xml::{self, Reader};

/// The longest text of a fault that is kept, in characters.
const LONGEST_FAULT: usize = 400;

/// Reads the answer to a call from `source`, to its end: the value that the method returned, or the server's fault.
pub fn answer<R: BufRead>(source: R) -> Result<Result<Datum<'static>, Fault>, Error> {
    let mut xml = Reader::new(source);
    read_response(&mut xml).map_err(Error::Unreadable)
}

fn read_response<R: BufRead>(xml: &mut Reader<R>) -> Result<Result<Datum<'static>, Fault>, xml::Error> {
    match read_child(xml)? {
        Some("methodResponse") => {}
        Some(name) if name.eq_ignore_ascii_case("html") => return Err(xml::Error::Html),
        _ => return Err(xml.refuse("the root is not <methodResponse>")),
    }
    let answer = match read_child(xml)? {
        Some("params") => {
            enter(xml, "param", "no <param> in <params>")?;
            enter(xml, "value", "no <value> in <param>")?;
            let value = read_value(xml)?;
            leave(xml)?;
            Ok(value)
        }
        Some("fault") => {
            enter(xml, "value", "no <value> in <fault>")?;
            let value = read_value(xml)?;
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

/// Enters the next child and returns its name, or leaves the element at its end. Only white space may be before either.
///
/// Names come without a prefix: Apache's extensions have one, as in `ex:nil`.
fn read_child<R: BufRead>(xml: &mut Reader<R>) -> Result<Option<&str>, xml::Error> {
    let mut text = String::new();
    let is_child = xml.child_after(&mut text)?.is_some();
    match text.trim().is_empty() {
        true => Ok(is_child.then(|| xml.name())),
        false => Err(xml.refuse("text outside of a value")),
    }
}

/// Enters the next child, which must have this name.
fn enter<R: BufRead>(xml: &mut Reader<R>, name: &str, missing: &'static str) -> Result<(), xml::Error> {
    match read_child(xml)? == Some(name) {
        true => Ok(()),
        false => Err(xml.refuse(missing)),
    }
}

/// Leaves the current element, which must have no further child.
fn leave<R: BufRead>(xml: &mut Reader<R>) -> Result<(), xml::Error> {
    match read_child(xml)? {
        None => Ok(()),
        Some(_) => Err(xml.refuse("one element too many")),
    }
}

/// Enters the next child, which must have this name, or leaves the element at its end and returns false.
fn enter_next<R: BufRead>(xml: &mut Reader<R>, name: &str, other: &'static str) -> Result<bool, xml::Error> {
    match read_child(xml)? {
        None => Ok(false),
        Some(found) if found == name => Ok(true),
        Some(_) => Err(xml.refuse(other)),
    }
}

/// Reads the text of the current element, which must have no children, and leaves it.
fn read_text<R: BufRead>(xml: &mut Reader<R>) -> Result<String, xml::Error> {
    let mut text = String::new();
    match xml.child_after(&mut text)? {
        None => Ok(text),
        Some(_) => Err(xml.refuse("an element within a text")),
    }
}

/// Reads the current `<value>` and leaves it. A value without a type is a string.
fn read_value<R: BufRead>(xml: &mut Reader<R>) -> Result<Datum<'static>, xml::Error> {
    let mut text = String::new();
    let datum = match xml.child_after(&mut text)? {
        None => return Ok(Datum::text(text)),
        Some(_) if !text.trim().is_empty() => return Err(xml.refuse("text before a type")),
        Some("struct") => read_struct(xml)?,
        Some("array") => read_array(xml)?,
        Some(name) => {
            let name = name.to_owned();
            let text = read_text(xml)?;
            scalar(&name, text).ok_or_else(|| xml.refuse("a type or number that XML-RPC does not have"))?
        }
    };
    leave(xml)?;
    Ok(datum)
}

fn read_struct<R: BufRead>(xml: &mut Reader<R>) -> Result<Datum<'static>, xml::Error> {
    let mut members = Vec::new();
    while enter_next(xml, "member", "an element other than <member> in <struct>")? {
        enter(xml, "name", "no <name> in <member>")?;
        let name = read_text(xml)?;
        enter(xml, "value", "no <value> in <member>")?;
        members.push((name.into(), read_value(xml)?));
        leave(xml)?;
    }
    Ok(Datum::Struct(members))
}

fn read_array<R: BufRead>(xml: &mut Reader<R>) -> Result<Datum<'static>, xml::Error> {
    let mut elements = Vec::new();
    enter(xml, "data", "no <data> in <array>")?;
    while enter_next(xml, "value", "an element other than <value> in <data>")? {
        elements.push(read_value(xml)?);
    }
    leave(xml)?;
    Ok(Datum::Array(elements))
}

fn scalar(kind: &str, text: String) -> Option<Datum<'static>> {
    let number = text.trim();
    Some(match kind {
        "string" | "base64" | "dateTime.iso8601" => Datum::text(text),
        "int" | "i4" | "i8" => Datum::Int(number.parse().ok()?),
        "boolean" => Datum::Boolean(match number {
            "0" | "false" => false,
            "1" | "true" => true,
            _ => return None,
        }),
        "double" => Datum::Double(number.parse().ok()?),
        "nil" => Datum::Nil,
        _ => return None,
    })
}

fn fault(value: &Datum<'_>) -> Option<Fault> {
    let Some(&Datum::Int(code)) = value.member("faultCode") else {
        return None;
    };
    let all = value.member("faultString")?.as_text()?.trim_start();
    let all = all.strip_prefix("redstone.xmlrpc.XmlRpcFault:").unwrap_or(all);
    let words: Vec<&str> = all.split_whitespace().collect();
    let line = words.join(" ");
    // A message may continue after the text.
    let text = text::cut(line.trim_end_matches('.'), LONGEST_FAULT).into_owned();
    Some(Fault { code, text })
}
