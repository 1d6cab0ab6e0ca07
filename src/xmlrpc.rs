//! XML-RPC, as Satellite 5 and XenAPI use it: [`call`] writes a call, [`answer()`] reads its answer or fault.
//!
//! [`answer_with`] reads an answer while it arrives, for one that is too large for the memory: its [`Value`] is read member by
//! member, and what nobody needs is skipped.

mod answer;
mod value;

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

pub use self::answer::{answer, answer_with};
pub use self::value::Value;
use crate::error::{Classify, Kind};
use crate::xml;

/// The content of an XML-RPC `<value>`.
///
/// A date or base64 in an answer becomes a text, as the server wrote it: nothing here uses its content.
#[derive(Clone, PartialEq)]
#[expect(missing_docs, reason = "the names of XML-RPC's types")]
pub enum Datum<'a> {
    Nil,
    Boolean(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    Array(Vec<Datum<'a>>),
    Struct(Vec<(Cow<'a, str>, Datum<'a>)>),
}

impl<'a> Datum<'a> {
    /// A string.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Datum::Text(text.into())
    }

    /// A struct with these members.
    pub fn members<const N: usize>(members: [(&'a str, Datum<'a>); N]) -> Self {
        Datum::Struct(
            members
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    /// The content of a string; None for any other type.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Datum::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The content of a string; None for any other type.
    pub fn into_text(self) -> Option<String> {
        match self {
            Datum::Text(text) => Some(text.into_owned()),
            _ => None,
        }
    }

    /// A member of a struct. If several have this name the last one counts, as in Python and Java.
    pub fn member(&self, name: &str) -> Option<&Datum<'a>> {
        match self {
            Datum::Struct(members) => members
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }
}

/// Shows only the shape: strings may be passwords, session keys and systemids.
impl fmt::Debug for Datum<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Datum::Text(_) => f.write_str("text"),
            Datum::Nil => f.write_str("nil"),
            Datum::Boolean(value) => value.fmt(f),
            Datum::Int(value) => value.fmt(f),
            Datum::Double(value) => value.fmt(f),
            Datum::Array(values) => f.debug_list().entries(values).finish(),
            Datum::Struct(members) => f
                .debug_map()
                .entries(members.iter().map(|(k, v)| (k, v)))
                .finish(),
        }
    }
}

/// As JSON, to show what would be sent.
impl Serialize for Datum<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Datum::Nil => serializer.serialize_unit(),
            Datum::Boolean(value) => serializer.serialize_bool(*value),
            Datum::Int(value) => serializer.serialize_i64(*value),
            Datum::Double(value) => serializer.serialize_f64(*value),
            Datum::Text(text) => serializer.serialize_str(text),
            Datum::Array(values) => serializer.collect_seq(values),
            Datum::Struct(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

/// A call can't be written, or an answer can't be read. No message quotes a text of the answer, which may be secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A text to be sent has a character that XML forbids; the server would answer with status 500.
    #[error("it has the character U+{:04X}, which XML can't carry", *.0 as u32)]
    Unsendable(char),
    /// An integer to be sent does not fit the 32 bits that the server reads.
    #[error("the number {0} does not fit into 32 bits")]
    LargeNumber(i64),
    /// The answer can't be read, or is not an XML-RPC response. If the connection broke, its error is inside.
    #[error("the server's answer is not XML-RPC")]
    Unreadable(#[source] xml::Error),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Unsendable(_) | Error::LargeNumber(_) => Kind::Data,
            Error::Unreadable(_) => Kind::Protocol,
        }
    }
}

/// A fault: the server's refusal of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code, whose meaning each server defines.
    pub code: i64,
    /// The server's text on one line, in the server's language, at most 400 characters.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered fault {}: {}", self.code, self.text)
    }
}

/// Writes the call of `method`.
pub fn call(method: &str, params: &[Datum<'_>]) -> Result<Zeroizing<String>, Error> {
    let mut xml = Zeroizing::new(String::with_capacity(4096));
    xml.push_str("<?xml version=\"1.0\"?>\n<methodCall><methodName>");
    push_text(&mut xml, method)?;
    xml.push_str("</methodName><params>");
    for param in params {
        xml.push_str("<param>");
        push_value(&mut xml, param)?;
        xml.push_str("</param>");
    }
    xml.push_str("</params></methodCall>\n");
    Ok(xml)
}

fn push_value(xml: &mut String, value: &Datum<'_>) -> Result<(), Error> {
    xml.push_str("<value>");
    match value {
        // XML-RPC itself has no nil. Satellite's Java program sends its own nulls as empty strings.
        Datum::Nil => xml.push_str("<string></string>"),
        Datum::Boolean(value) => {
            xml.push_str(&format!("<boolean>{}</boolean>", u8::from(*value)));
        }
        Datum::Int(value) => {
            i32::try_from(*value).map_err(|_| Error::LargeNumber(*value))?;
            xml.push_str(&format!("<int>{value}</int>"));
        }
        Datum::Double(value) => xml.push_str(&format!("<double>{value}</double>")),
        Datum::Text(text) => {
            xml.push_str("<string>");
            push_text(xml, text)?;
            xml.push_str("</string>");
        }
        Datum::Array(values) => {
            xml.push_str("<array><data>");
            for value in values {
                push_value(xml, value)?;
            }
            xml.push_str("</data></array>");
        }
        Datum::Struct(members) => {
            xml.push_str("<struct>");
            for (name, value) in members {
                xml.push_str("<member><name>");
                push_text(xml, name)?;
                xml.push_str("</name>");
                push_value(xml, value)?;
                xml.push_str("</member>");
            }
            xml.push_str("</struct>");
        }
    }
    xml.push_str("</value>");
    Ok(())
}

/// Whether XML can carry a character.
pub fn is_sendable(c: char) -> bool {
    (c >= ' ' || matches!(c, '\t' | '\n' | '\r')) && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

fn push_text(body: &mut String, text: &str) -> Result<(), Error> {
    if let Some(c) = text.chars().find(|c| !is_sendable(*c)) {
        return Err(Error::Unsendable(c));
    }
    body.push_str(&xml::escape(text));
    Ok(())
}

#[cfg(test)]
mod tests;
