//! One value of an answer, read as it arrives.

use std::io::BufRead;

use super::Datum;
use crate::xml::{self, Reader};

/// A value of an answer that has not been read yet.
///
/// Each method reads the value to its end. Whoever gets one must read or skip it, because the reader is still within it.
#[must_use = "the reader is still within the value"]
pub struct Value<'x, R>(pub(super) &'x mut Reader<R>);

impl<R: BufRead> Value<'_, R> {
    /// Reads the whole value. One with more than [`xml::MAX_UNIT`] bytes is refused.
    pub fn read(self) -> Result<Datum<'static>, xml::Error> {
        let Value(xml) = self;
        let mut text = String::new();
        let datum = match xml.child_after(&mut text)? {
            // A value without a type is a string.
            None => return Ok(Datum::text(text)),
            Some(_) if !text.trim().is_empty() => return Err(xml.refuse("text before a type")),
            Some("struct") => read_struct(xml)?,
            Some("array") => read_array(xml)?,
            Some(name) => {
                let name = name.to_owned();
                read_text(xml, &mut text)?;
                scalar(&name, text)
                    .ok_or_else(|| xml.refuse("a type or number that XML-RPC does not have"))?
            }
        };
        leave(xml)?;
        Ok(datum)
    }

    /// Skips the value. Its content is not checked.
    pub fn skip(self) -> Result<(), xml::Error> {
        self.0.skip()
    }

    /// Calls `each` with the name and value of each member of a struct. Any other value is skipped; returns whether it is a
    /// struct.
    ///
    /// A struct may have any size, because each member is done with before the next one is read.
    pub fn members(
        self,
        mut each: impl FnMut(&str, Value<'_, R>) -> Result<(), xml::Error>,
    ) -> Result<bool, xml::Error> {
        let Value(xml) = self;
        if !enter_type(xml, "struct")? {
            return Ok(false);
        }
        each_member(xml, |name, xml| {
            each(name, Value(&mut *xml))?;
            xml.renew();
            Ok(())
        })?;
        leave(xml)?;
        Ok(true)
    }

    /// Calls `each` with each element of an array. Any other value is skipped; returns whether it is an array.
    ///
    /// An array may have any size, because each element is done with before the next one is read.
    pub fn elements(
        self,
        mut each: impl FnMut(Value<'_, R>) -> Result<(), xml::Error>,
    ) -> Result<bool, xml::Error> {
        let Value(xml) = self;
        if !enter_type(xml, "array")? {
            return Ok(false);
        }
        each_element(xml, |xml| {
            each(Value(&mut *xml))?;
            xml.renew();
            Ok(())
        })?;
        leave(xml)?;
        Ok(true)
    }

    /// The error of a value that the caller does not accept.
    pub fn refuse(&self, what: &'static str) -> xml::Error {
        self.0.refuse(what)
    }
}

/// Enters the value's type if it is this one, or skips the value and returns false.
fn enter_type<R: BufRead>(xml: &mut Reader<R>, kind: &str) -> Result<bool, xml::Error> {
    let is_it = match xml.child()? {
        Some(name) => name == kind,
        None => return Ok(false),
    };
    if !is_it {
        // The type, then the value.
        xml.skip()?;
        xml.skip()?;
    }
    Ok(is_it)
}

fn read_struct<R: BufRead>(xml: &mut Reader<R>) -> Result<Datum<'static>, xml::Error> {
    let mut members = Vec::new();
    each_member(xml, |name, xml| {
        members.push((name.to_owned().into(), Value(xml).read()?));
        Ok(())
    })?;
    Ok(Datum::Struct(members))
}

fn read_array<R: BufRead>(xml: &mut Reader<R>) -> Result<Datum<'static>, xml::Error> {
    let mut elements = Vec::new();
    each_element(xml, |xml| {
        elements.push(Value(xml).read()?);
        Ok(())
    })?;
    Ok(Datum::Array(elements))
}

/// Calls `each` in the `<value>` of each member, and leaves the struct.
fn each_member<R: BufRead>(
    xml: &mut Reader<R>,
    mut each: impl FnMut(&str, &mut Reader<R>) -> Result<(), xml::Error>,
) -> Result<(), xml::Error> {
    let mut name = String::new();
    while enter_next(xml, "member", "an element other than <member> in <struct>")? {
        enter(xml, "name", "no <name> in <member>")?;
        name.clear();
        read_text(xml, &mut name)?;
        enter(xml, "value", "no <value> in <member>")?;
        each(&name, xml)?;
        leave(xml)?;
    }
    Ok(())
}

/// Calls `each` in each `<value>` of an array, and leaves the array.
fn each_element<R: BufRead>(
    xml: &mut Reader<R>,
    mut each: impl FnMut(&mut Reader<R>) -> Result<(), xml::Error>,
) -> Result<(), xml::Error> {
    enter(xml, "data", "no <data> in <array>")?;
    while enter_next(xml, "value", "an element other than <value> in <data>")? {
        each(xml)?;
    }
    leave(xml)
}

/// Enters the next child and returns its name, or leaves the element at its end. Only white space may be before either.
///
/// Names come without a prefix: Apache's extensions have one, as in `ex:nil`.
pub(super) fn read_child<R: BufRead>(xml: &mut Reader<R>) -> Result<Option<&str>, xml::Error> {
    let mut text = String::new();
    let is_child = xml.child_after(&mut text)?.is_some();
    match text.trim().is_empty() {
        true => Ok(is_child.then(|| xml.name())),
        false => Err(xml.refuse("text outside of a value")),
    }
}

/// Enters the next child, which must have this name.
pub(super) fn enter<R: BufRead>(
    xml: &mut Reader<R>,
    name: &str,
    missing: &'static str,
) -> Result<(), xml::Error> {
    match read_child(xml)? == Some(name) {
        true => Ok(()),
        false => Err(xml.refuse(missing)),
    }
}

/// Leaves the current element, which must have no further child.
pub(super) fn leave<R: BufRead>(xml: &mut Reader<R>) -> Result<(), xml::Error> {
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

/// Appends the text of the current element, which must have no children, and leaves it.
fn read_text<R: BufRead>(xml: &mut Reader<R>, text: &mut String) -> Result<(), xml::Error> {
    match xml.child_after(text)? {
        None => Ok(()),
        Some(_) => Err(xml.refuse("an element within a text")),
    }
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
