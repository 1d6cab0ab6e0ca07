//! XML-RPC, as far as a Satellite 5 speaks it: calls are written, answers and faults are read.

use std::borrow::Cow;
use std::fmt;

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// The deepest nesting of arrays and structs in an answer; real ones have three levels.
const DEEPEST: usize = 32;

/// A value of XML-RPC.
///
/// Dates and base64 in an answer become the text that the server wrote: nothing here looks into them.
#[derive(Clone, PartialEq)]
#[expect(missing_docs, reason = "the names of XML-RPC's types")]
pub enum Value<'a> {
    Nil,
    Boolean(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Struct(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// A text.
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Value::Text(text.into())
    }

    /// A struct of these members.
    pub fn members<const N: usize>(members: [(&'a str, Value<'a>); N]) -> Self {
        Value::Struct(
            members
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        )
    }

    /// The text of a text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A member of a struct; of several with one name the last, as Python and Java read them.
    pub fn member(&self, name: &str) -> Option<&Value<'a>> {
        match self {
            Value::Struct(members) => members
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }
}

/// Values hold passwords, session keys and systemids: only the shape is shown.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(_) => f.write_str("text"),
            Value::Nil => f.write_str("nil"),
            Value::Boolean(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Double(value) => value.fmt(f),
            Value::Array(values) => f.debug_list().entries(values).finish(),
            Value::Struct(members) => f
                .debug_map()
                .entries(members.iter().map(|(k, v)| (k, v)))
                .finish(),
        }
    }
}

/// As JSON, for people who want to see what would be sent.
impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Nil => serializer.serialize_unit(),
            Value::Boolean(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Double(value) => serializer.serialize_f64(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Array(values) => serializer.collect_seq(values),
            Value::Struct(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
        }
    }
}

/// A call could not be written, or an answer not be read. No message quotes an answer's text, for that may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A text to be sent holds a character that XML forbids; the server would answer with status 500.
    #[error("it holds the character U+{:04X}, which XML can't carry", *.0 as u32)]
    Unsendable(char),
    /// An integer to be sent does not fit the 32 bits that the server reads.
    #[error("the number {0} does not fit into 32 bits")]
    LargeNumber(i64),
    /// The answer is a page for people: a proxy's or front end's, or the server's page about an error of its own.
    #[error("the server answered with an HTML page instead of XML-RPC; check the server's name and port")]
    Html,
    /// The answer is not the XML that it should be.
    #[error("the server's answer is not XML-RPC: {what} (near byte {position})")]
    Malformed {
        /// What is wrong with it.
        what: String,
        /// About where.
        position: u64,
    },
}

/// A fault: the server's own refusal of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Java's codes are as in its classes (2950), those of the Python side mostly negative (−9).
    pub code: i64,
    /// The server's text, in the language that it chose, on one line.
    pub text: String,
}

/// Writes the call of `method`.
pub fn call(method: &str, params: &[Value<'_>]) -> Result<Zeroizing<String>, Error> {
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

fn push_value(xml: &mut String, value: &Value<'_>) -> Result<(), Error> {
    xml.push_str("<value>");
    match value {
        // Java's side knows no nil; an empty text is what it makes of its own nulls.
        Value::Nil => xml.push_str("<string></string>"),
        Value::Boolean(value) => {
            xml.push_str(&format!("<boolean>{}</boolean>", u8::from(*value)));
        }
        Value::Int(value) => {
            i32::try_from(*value).map_err(|_| Error::LargeNumber(*value))?;
            xml.push_str(&format!("<int>{value}</int>"));
        }
        Value::Double(value) => xml.push_str(&format!("<double>{value}</double>")),
        Value::Text(text) => {
            xml.push_str("<string>");
            push_text(xml, text)?;
            xml.push_str("</string>");
        }
        Value::Array(values) => {
            xml.push_str("<array><data>");
            for value in values {
                push_value(xml, value)?;
            }
            xml.push_str("</data></array>");
        }
        Value::Struct(members) => {
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

fn push_text(xml: &mut String, text: &str) -> Result<(), Error> {
    if let Some(c) = text.chars().find(|c| !is_sendable(*c)) {
        return Err(Error::Unsendable(c));
    }
    // A bare carriage return would be read as a newline.
    xml.push_str(&escape(text).replace('\r', "&#13;"));
    Ok(())
}

/// Reads the answer to a call: its one value, or the fault.
pub fn answer(body: &[u8]) -> Result<Result<Value<'static>, Fault>, Error> {
    let text = std::str::from_utf8(body).map_err(|error| Error::Malformed {
        what: "it is not UTF-8".into(),
        position: error.valid_up_to() as u64,
    })?;
    let mut parser = Parser::new(text.trim_start_matches('\u{feff}'));
    match parser.start()?.as_str() {
        "methodResponse" => {}
        name if name.eq_ignore_ascii_case("html") => return Err(Error::Html),
        _ => return Err(parser.wrong("the root is no methodResponse")),
    }
    let answered = match parser.start()?.as_str() {
        "params" => {
            parser.start_of("param")?;
            parser.start_of("value")?;
            let value = parser.value(0)?;
            parser.end()?;
            Ok(value)
        }
        "fault" => {
            parser.start_of("value")?;
            let value = parser.value(0)?;
            Err(fault(&value).ok_or_else(|| parser.wrong("a fault without code and text"))?)
        }
        _ => return Err(parser.wrong("neither params nor a fault")),
    };
    parser.end()?;
    parser.end()?;
    match parser.tag()? {
        Token::Eof => Ok(answered),
        _ => Err(parser.wrong("something follows it")),
    }
}

fn fault(value: &Value<'_>) -> Option<Fault> {
    let Some(&Value::Int(code)) = value.member("faultCode") else {
        return None;
    };
    let text = value.member("faultString")?.as_text()?;
    let text = text.trim_start();
    let text = text.strip_prefix("redstone.xmlrpc.XmlRpcFault:").unwrap_or(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    Some(Fault {
        code,
        // Something may be said behind it.
        text: shortened(line.trim_end_matches('.'), 400),
    })
}

/// The beginning of a text that a server may have made as long as it liked.
fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What comes next in an answer.
enum Token {
    /// A start tag's local name: Apache's extensions are written with a prefix, as in `ex:nil`.
    Start(String),
    Text(String),
    /// An end tag, of which quick-xml has checked that it is the right one.
    End,
    /// The end of the document, outside of all elements.
    Eof,
}

/// Walks an answer.
struct Parser<'a> {
    reader: Reader<&'a [u8]>,
    open: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Parser { reader, open: 0 }
    }

    fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Malformed {
            what: what.into(),
            position: self.reader.buffer_position(),
        }
    }

    fn next(&mut self) -> Result<Token, Error> {
        loop {
            let event = self.reader.read_event();
            let event = event.map_err(|error| self.wrong(shortened(&error.to_string(), 120)))?;
            return Ok(match event {
                Event::Start(tag) => {
                    self.open += 1;
                    Token::Start(tag.local_name().into_inner().to_owned())
                }
                Event::End(_) => {
                    self.open -= 1;
                    Token::End
                }
                Event::Text(text) => Token::Text(text.xml10_content().into_owned()),
                Event::CData(text) => Token::Text(text.xml10_content().into_owned()),
                Event::GeneralRef(name) => {
                    let character = name.resolve_char_ref().ok().flatten().map(String::from);
                    let text = character.or_else(|| resolve_predefined_entity(&name).map(str::to_owned));
                    Token::Text(text.ok_or_else(|| self.wrong("an unknown entity"))?)
                }
                Event::DocType(name) if name.trim().to_ascii_lowercase().starts_with("html") => {
                    return Err(Error::Html);
                }
                Event::DocType(_) => return Err(self.wrong("a document type")),
                Event::Eof if self.open > 0 => return Err(self.wrong("it ends too early")),
                Event::Eof => Token::Eof,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => continue,
            });
        }
    }

    /// The next tag; only blanks may stand before it.
    fn tag(&mut self) -> Result<Token, Error> {
        loop {
            match self.next()? {
                Token::Text(text) if text.trim().is_empty() => {}
                Token::Text(_) => return Err(self.wrong("text outside of a value")),
                tag => return Ok(tag),
            }
        }
    }

    fn start(&mut self) -> Result<String, Error> {
        match self.tag()? {
            Token::Start(name) => Ok(name),
            _ => Err(self.wrong("an element is missing")),
        }
    }

    fn start_of(&mut self, name: &str) -> Result<(), Error> {
        match self.start()? == name {
            true => Ok(()),
            false => Err(self.wrong(format!("no <{name}>"))),
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        match self.tag()? {
            Token::End => Ok(()),
            _ => Err(self.wrong("an element too many")),
        }
    }

    /// Whether another `name` begins, or else the list of them has ended.
    fn another(&mut self, name: &str) -> Result<bool, Error> {
        match self.tag()? {
            Token::Start(found) if found == name => Ok(true),
            Token::End => Ok(false),
            _ => Err(self.wrong(format!("something else than <{name}>"))),
        }
    }

    /// Text up to the end tag.
    fn text(&mut self) -> Result<String, Error> {
        let mut all = String::new();
        loop {
            match self.next()? {
                Token::Text(text) => all.push_str(&text),
                Token::End => return Ok(all),
                _ => return Err(self.wrong("an element within a text")),
            }
        }
    }

    /// The value whose start tag has been read, with its end tag.
    fn value(&mut self, depth: usize) -> Result<Value<'static>, Error> {
        let mut text = String::new();
        loop {
            match self.next()? {
                Token::Text(more) => text.push_str(&more),
                // Without a type it is a text.
                Token::End => return Ok(Value::text(text)),
                Token::Start(name) if text.trim().is_empty() => {
                    let value = self.typed(&name, depth)?;
                    self.end()?;
                    return Ok(value);
                }
                _ => return Err(self.wrong("text before a type")),
            }
        }
    }

    fn typed(&mut self, name: &str, depth: usize) -> Result<Value<'static>, Error> {
        if depth == DEEPEST {
            return Err(self.wrong("arrays and structs nested too deep"));
        }
        match name {
            "struct" => self.members(depth + 1),
            "array" => self.elements(depth + 1),
            _ => {
                let text = self.text()?;
                scalar(name, text).ok_or_else(|| self.wrong("a type or number that XML-RPC does not have"))
            }
        }
    }

    fn members(&mut self, depth: usize) -> Result<Value<'static>, Error> {
        let mut members = Vec::new();
        while self.another("member")? {
            self.start_of("name")?;
            let name = self.text()?;
            self.start_of("value")?;
            members.push((name.into(), self.value(depth)?));
            self.end()?;
        }
        Ok(Value::Struct(members))
    }

    fn elements(&mut self, depth: usize) -> Result<Value<'static>, Error> {
        let mut values = Vec::new();
        self.start_of("data")?;
        while self.another("value")? {
            values.push(self.value(depth)?);
        }
        self.end()?;
        Ok(Value::Array(values))
    }
}

fn scalar(kind: &str, text: String) -> Option<Value<'static>> {
    let number = text.trim();
    Some(match kind {
        "string" | "base64" | "dateTime.iso8601" => Value::text(text),
        "int" | "i4" | "i8" => Value::Int(number.parse().ok()?),
        "boolean" => Value::Boolean(match number {
            "0" | "false" => false,
            "1" | "true" => true,
            _ => return None,
        }),
        "double" => Value::Double(number.parse().ok()?),
        "nil" => Value::Nil,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
