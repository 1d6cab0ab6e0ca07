//! XML-RPC as the servers read and write it: Satellite's Redstone in Java and xmlrpclib in Python, and XenServer's xapi.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::escape::partial_escape;
use quick_xml::events::Event;

/// Deeper nesting is refused.
const DEPTH: usize = 64;

/// Which program's XML-RPC it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `/rpc/api`: ints without blanks in 32 bit, no nil, `<i4>`.
    Redstone,
    /// `/XMLRPC`: more lenient, `<int>`.
    Python,
    /// XenServer: a string has no type (the examples in xapi's documentation).
    Xen,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Boolean(bool),
    Double(f64),
    Text(String),
    Date(String),
    Binary(String),
    Array(Vec<Value>),
    Struct(BTreeMap<String, Value>),
    Nil,
}

/// A call: its method and its parameters.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) parameters: Vec<Value>,
}

/// It is not XML-RPC; the reason helps in debugging.
#[derive(Debug, PartialEq)]
pub(crate) struct Malformed(pub(crate) String);

/// The error of a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: i64,
    pub(crate) text: String,
}

impl Value {
    /// A struct of these members.
    pub(crate) fn members<const N: usize>(members: [(&str, Value); N]) -> Value {
        Value::Struct(
            members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }

    /// The type's name, for faults.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Int(_) => "int",
            Value::Boolean(_) => "boolean",
            Value::Double(_) => "double",
            Value::Text(_) => "string",
            Value::Date(_) => "dateTime.iso8601",
            Value::Binary(_) => "base64",
            Value::Array(_) => "array",
            Value::Struct(_) => "struct",
            Value::Nil => "nil",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

/// Reads a `<methodCall>`.
pub(crate) fn read_call(body: &[u8], dialect: Dialect) -> Result<Call, Malformed> {
    let mut tags = Tags::new(body, dialect)?;
    tags.open("methodCall")?;
    tags.open("methodName")?;
    let method = tags.text_until_end("methodName")?.trim().to_owned();
    let parameters = match tags.next()? {
        Tag::Open(name) if name == "params" => {
            let parameters = tags.parameters()?;
            tags.close("methodCall")?;
            parameters
        }
        Tag::Close(name) if name == "methodCall" => Vec::new(),
        other => return Err(other.unexpected()),
    };
    tags.end()?;
    Ok(Call { method, parameters })
}

/// Reads a `<params>` without a call, such as a systemid.
pub(crate) fn read_parameters(text: &str) -> Result<Vec<Value>, Malformed> {
    let mut tags = Tags::new(text.as_bytes(), Dialect::Python)?;
    tags.open("params")?;
    let parameters = tags.parameters()?;
    tags.end()?;
    Ok(parameters)
}

enum Tag {
    Open(String),
    Close(String),
    End,
}

impl Tag {
    fn unexpected(self) -> Malformed {
        Malformed(match self {
            Tag::Open(name) => format!("unexpected <{name}>"),
            Tag::Close(name) => format!("unexpected </{name}>"),
            Tag::End => "unexpected end".into(),
        })
    }
}

struct Tags<'a> {
    reader: Reader<&'a [u8]>,
    dialect: Dialect,
    depth: usize,
    /// Text since the last tag.
    text: String,
}

impl<'a> Tags<'a> {
    fn new(body: &'a [u8], dialect: Dialect) -> Result<Self, Malformed> {
        let body = std::str::from_utf8(body).map_err(|error| Malformed(error.to_string()))?;
        let mut reader = Reader::from_str(body);
        reader.config_mut().expand_empty_elements = true;
        Ok(Tags {
            reader,
            dialect,
            depth: 0,
            text: String::new(),
        })
    }

    /// The next tag; the text before it is in `self.text`.
    fn next(&mut self) -> Result<Tag, Malformed> {
        self.text.clear();
        loop {
            match self
                .reader
                .read_event()
                .map_err(|error| Malformed(error.to_string()))?
            {
                Event::Start(tag) => {
                    self.depth += 1;
                    if self.depth > DEPTH {
                        return Err(Malformed("nested too deeply".into()));
                    }
                    return Ok(Tag::Open(tag.name().0.to_owned()));
                }
                Event::End(tag) => {
                    self.depth -= 1;
                    return Ok(Tag::Close(tag.name().0.to_owned()));
                }
                Event::Text(text) => self.push(&text.xml10_content())?,
                Event::CData(text) => self.push(&text.xml10_content())?,
                Event::GeneralRef(reference) => {
                    let known = match reference
                        .resolve_char_ref()
                        .map_err(|error| Malformed(error.to_string()))?
                    {
                        Some(known) => known,
                        None => match &*reference.xml10_content() {
                            "lt" => '<',
                            "gt" => '>',
                            "amp" => '&',
                            "quot" => '"',
                            "apos" => '\'',
                            other => return Err(Malformed(format!("unknown entity {other}"))),
                        },
                    };
                    self.push(known.encode_utf8(&mut [0; 4]))?;
                }
                Event::Eof if self.depth == 0 => return Ok(Tag::End),
                Event::Eof => return Err(Malformed("it ends in the middle".into())),
                Event::DocType(_) => return Err(Malformed("a document type".into())),
                _ => {}
            }
        }
    }

    /// XML allows only these three control characters, even escaped.
    fn push(&mut self, text: &str) -> Result<(), Malformed> {
        if text.chars().any(|c| c < ' ' && !matches!(c, '\t' | '\n' | '\r')) {
            return Err(Malformed("a control character".into()));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn open(&mut self, name: &str) -> Result<(), Malformed> {
        match self.next()? {
            Tag::Open(found) if found == name => Ok(()),
            other => Err(other.unexpected()),
        }
    }

    fn close(&mut self, name: &str) -> Result<(), Malformed> {
        match self.next()? {
            Tag::Close(found) if found == name => Ok(()),
            other => Err(other.unexpected()),
        }
    }

    fn end(&mut self) -> Result<(), Malformed> {
        match self.next()? {
            Tag::End => Ok(()),
            other => Err(other.unexpected()),
        }
    }

    fn text_until_end(&mut self, name: &str) -> Result<String, Malformed> {
        self.close(name)?;
        Ok(std::mem::take(&mut self.text))
    }

    /// After `<params>`, to its end.
    fn parameters(&mut self) -> Result<Vec<Value>, Malformed> {
        let mut parameters = Vec::new();
        loop {
            match self.next()? {
                Tag::Open(name) if name == "param" => {
                    self.open("value")?;
                    parameters.push(self.value()?);
                    self.close("param")?;
                }
                Tag::Close(name) if name == "params" => return Ok(parameters),
                other => return Err(other.unexpected()),
            }
        }
    }

    /// After `<value>`, to its end.
    fn value(&mut self) -> Result<Value, Malformed> {
        let kind = match self.next()? {
            Tag::Open(kind) => kind,
            // Without a type it is a string.
            Tag::Close(_) => return Ok(Value::Text(std::mem::take(&mut self.text))),
            Tag::End => return Err(Tag::End.unexpected()),
        };
        let value = match kind.as_str() {
            "array" => self.array()?,
            "struct" => self.structure()?,
            _ => {
                let text = self.text_until_end(&kind)?;
                self.scalar(&kind, text)?
            }
        };
        self.close("value")?;
        Ok(value)
    }

    fn scalar(&self, kind: &str, text: String) -> Result<Value, Malformed> {
        let malformed = || Malformed(format!("no {kind}: {text}"));
        let bare = match self.dialect {
            Dialect::Redstone => text.as_str(),
            Dialect::Python | Dialect::Xen => text.trim(),
        };
        Ok(match kind {
            "string" => Value::Text(text),
            "int" | "i4" => match self.dialect {
                Dialect::Redstone => Value::Int(bare.parse::<i32>().map_err(|_| malformed())?.into()),
                Dialect::Python | Dialect::Xen => Value::Int(bare.parse().map_err(|_| malformed())?),
            },
            "i8" => Value::Int(bare.parse().map_err(|_| malformed())?),
            "boolean" => match bare {
                "1" => Value::Boolean(true),
                "0" => Value::Boolean(false),
                _ => return Err(malformed()),
            },
            "double" => Value::Double(bare.parse().map_err(|_| malformed())?),
            "dateTime.iso8601" => Value::Date(text),
            "base64" => Value::Binary(text),
            "nil" if self.dialect == Dialect::Python => Value::Nil,
            _ => return Err(Malformed(format!("no type: {kind}"))),
        })
    }

    /// After `<array>`, to its end.
    fn array(&mut self) -> Result<Value, Malformed> {
        self.open("data")?;
        let mut values = Vec::new();
        loop {
            match self.next()? {
                Tag::Open(name) if name == "value" => values.push(self.value()?),
                Tag::Close(name) if name == "data" => break,
                other => return Err(other.unexpected()),
            }
        }
        self.close("array")?;
        Ok(Value::Array(values))
    }

    /// After `<struct>`, to its end.
    fn structure(&mut self) -> Result<Value, Malformed> {
        let mut members = BTreeMap::new();
        loop {
            match self.next()? {
                Tag::Open(name) if name == "member" => {
                    self.open("name")?;
                    let name = self.text_until_end("name")?;
                    self.open("value")?;
                    members.insert(name, self.value()?);
                    self.close("member")?;
                }
                Tag::Close(name) if name == "struct" => return Ok(Value::Struct(members)),
                other => return Err(other.unexpected()),
            }
        }
    }
}

/// Writes a `<methodResponse>`.
pub(crate) fn write_response(outcome: &Result<Value, Fault>, dialect: Dialect) -> String {
    let mut out = String::from(match dialect {
        Dialect::Redstone => "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        Dialect::Python => "<?xml version='1.0'?>\n",
        Dialect::Xen => "<?xml version=\"1.0\"?>",
    });
    match outcome {
        Ok(value) => {
            out.push_str("<methodResponse>");
            write_parameters(&mut out, value, dialect);
        }
        Err(fault) => {
            out.push_str("<methodResponse><fault><value>");
            let value = Value::members([
                ("faultCode", Value::Int(fault.code)),
                ("faultString", Value::Text(fault.text.clone())),
            ]);
            write_value(&mut out, &value, dialect);
            out.push_str("</value></fault>");
        }
    }
    out.push_str("</methodResponse>");
    if dialect == Dialect::Python {
        out.push('\n');
    }
    out
}

/// Writes `<params>` around one value.
pub(crate) fn write_parameters(out: &mut String, value: &Value, dialect: Dialect) {
    out.push_str("<params><param><value>");
    write_value(out, value, dialect);
    out.push_str("</value></param></params>");
}

/// Writes the content of a `<value>`.
pub(crate) fn write_value(out: &mut String, value: &Value, dialect: Dialect) {
    // Python puts each element on its own line.
    let line = if dialect == Dialect::Python { "\n" } else { "" };
    let int = if dialect == Dialect::Python { "int" } else { "i4" };
    // Writing to a String does not fail.
    let _ = match value {
        Value::Int(number) => write!(out, "<{int}>{number}</{int}>"),
        Value::Boolean(flag) => write!(out, "<boolean>{}</boolean>", u8::from(*flag)),
        Value::Double(number) => write!(out, "<double>{number}</double>"),
        Value::Text(text) if dialect == Dialect::Xen => write!(out, "{}", partial_escape(text.as_str())),
        Value::Text(text) => write!(out, "<string>{}</string>", partial_escape(text.as_str())),
        Value::Date(text) => write!(out, "<dateTime.iso8601>{text}</dateTime.iso8601>"),
        Value::Binary(text) => write!(out, "<base64>{text}</base64>"),
        Value::Nil => write!(out, "<nil/>"),
        Value::Array(values) => {
            let _ = write!(out, "<array><data>{line}");
            for value in values {
                out.push_str("<value>");
                write_value(out, value, dialect);
                let _ = write!(out, "</value>{line}");
            }
            write!(out, "</data></array>")
        }
        Value::Struct(members) => {
            let _ = write!(out, "<struct>{line}");
            for (name, value) in members {
                let _ = write!(
                    out,
                    "<member>{line}<name>{}</name>{line}<value>",
                    partial_escape(name.as_str())
                );
                write_value(out, value, dialect);
                let _ = write!(out, "</value>{line}</member>{line}");
            }
            write!(out, "</struct>")
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(parameter: &str, dialect: Dialect) -> Result<Value, Malformed> {
        let body = format!(
            "<?xml version='1.0'?><methodCall><methodName>m</methodName><params><param><value>{parameter}</value></param></params></methodCall>"
        );
        Ok(read_call(body.as_bytes(), dialect)?.parameters.remove(0))
    }

    #[test]
    fn values_are_read_with_their_types() {
        let both = [Dialect::Redstone, Dialect::Python];
        for dialect in both {
            for (xml, value) in [
                ("plain &amp; &#65;", Value::from("plain & A")),
                (" blank ", Value::from(" blank ")),
                ("<string></string>", Value::from("")),
                ("<string/>", Value::from("")),
                ("<string><![CDATA[<a>]]></string>", Value::from("<a>")),
                ("<int>-3</int>", Value::Int(-3)),
                ("<i4>3</i4>", Value::Int(3)),
                ("<boolean>1</boolean>", Value::Boolean(true)),
                (
                    "\n<array>\n<data>\n<value><int>1</int></value> <value>x</value>\n</data></array>\n",
                    Value::Array(vec![Value::Int(1), Value::from("x")]),
                ),
                ("<array><data/></array>", Value::Array(Vec::new())),
                (
                    "<struct><member><name>a</name><value>1</value></member></struct>",
                    Value::members([("a", Value::from("1"))]),
                ),
                ("<struct/>", Value::members([])),
            ] {
                assert_eq!(parse(xml, dialect), Ok(value), "{xml}");
            }
        }
    }

    #[test]
    fn the_dialects_differ() {
        assert_eq!(parse("<int> 3 </int>", Dialect::Python), Ok(Value::Int(3)));
        assert!(parse("<int> 3 </int>", Dialect::Redstone).is_err());
        assert!(parse("<int>3000000000</int>", Dialect::Redstone).is_err());
        assert_eq!(parse("<nil/>", Dialect::Python), Ok(Value::Nil));
        assert!(parse("<nil/>", Dialect::Redstone).is_err());
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        let deep = "<array><data><value>".repeat(40);
        for xml in [
            "\u{1}",
            "&#1;",
            "&nbsp;",
            "<int>x</int>",
            "<struct><member/></struct>",
            "<odd>1</odd>",
            "</value>",
            &deep,
        ] {
            assert!(parse(xml, Dialect::Python).is_err(), "{xml}");
        }
        for body in [
            "",
            "hello",
            "<methodCall>",
            "<methodCall><methodName>a</methodName></methodCall><x/>",
            "{}",
        ] {
            assert!(read_call(body.as_bytes(), Dialect::Redstone).is_err(), "{body}");
        }
    }

    #[test]
    fn answers_have_the_form_of_their_program() {
        let value = Value::members([("n", Value::Int(1)), ("t", Value::from("<&>"))]);
        assert_eq!(
            write_response(&Ok(value), Dialect::Redstone),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodResponse><params><param><value><struct><member><name>n</name>\
             <value><i4>1</i4></value></member><member><name>t</name><value><string>&lt;&amp;&gt;</string></value></member>\
             </struct></value></param></params></methodResponse>"
        );
        let fault = Err(Fault {
            code: -9,
            text: "gone".into(),
        });
        let written = write_response(&fault, Dialect::Python);
        assert!(
            written.contains("<name>faultCode</name>\n<value><int>-9</int></value>"),
            "{written}"
        );
    }
}
