//! Pull-reading of XML from servers that are not trusted, over quick-xml.
//!
//! The reader goes down one element at a time: [`Reader::child`], then [`Reader::text`], [`Reader::skip`] or the children of
//! that child. It holds no more than one tag or one text, refuses document types and entities, and knows an unfinished
//! document from a whole one, none of which quick-xml does by itself.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use quick_xml::events::{BytesRef, BytesText, Event};

use crate::error::{Classify, Kind};

/// The deepest nesting that is read.
pub const MAX_DEPTH: usize = 64;

/// The longest tag or text that is read, in bytes.
pub const MAX_LENGTH: usize = 1 << 20;

/// The most that is read between two calls of [`Reader::renew`], in bytes.
pub const MAX_UNIT: u64 = 16 << 20;

/// Why a document can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes could not be read; a client finds its own error in the source.
    #[error("reading XML")]
    Read(#[source] io::Error),
    /// The bytes ended before the document did.
    #[error("the XML was cut after {0} bytes; try again")]
    Cut(u64),
    /// The bytes are not XML.
    #[error("malformed XML at byte {position}: {what}")]
    Malformed {
        /// Where, in bytes from the start.
        position: u64,
        /// What is wrong, in quick-xml's words.
        what: String,
    },
    /// The document is hostile, or not what it should be: too deep, too long, with a document type or an entity.
    #[error("refused XML at byte {position}: {what}")]
    Refused {
        /// Where, in bytes from the start.
        position: u64,
        /// What is refused.
        what: &'static str,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Read(_) | Error::Cut(_) => Kind::TempFail,
            Error::Malformed { .. } | Error::Refused { .. } => Kind::Protocol,
        }
    }
}

/// Reads one document from `R`, which has no more than [`MAX_UNIT`] bytes or units that its reader deals with one by one.
pub struct Reader<R> {
    inner: quick_xml::Reader<Capped<R>>,
    buffer: Vec<u8>,
    /// The content of the last start tag, and how much of it is the name.
    start: String,
    name_length: usize,
    text: String,
    depth: usize,
    /// Where reading ends unless it is renewed.
    end: u64,
}

/// What comes next within an element.
enum Next<'b> {
    Start,
    End,
    Text(Cow<'b, str>),
    Eof,
}

impl<R: BufRead> Reader<R> {
    /// A reader at the start of a document.
    pub fn new(source: R) -> Self {
        let mut inner = quick_xml::Reader::from_reader(Capped { source, left: 0 });
        inner.config_mut().expand_empty_elements = true;
        Reader {
            inner,
            buffer: Vec::new(),
            start: String::new(),
            name_length: 0,
            text: String::new(),
            depth: 0,
            end: MAX_UNIT,
        }
    }

    /// Allows another [`MAX_UNIT`] bytes from here: what was read so far is dealt with, and takes no memory of its own.
    pub fn renew(&mut self) {
        self.end = self.inner.buffer_position() + MAX_UNIT;
    }

    /// Goes down to the next child of the current element and answers its local name, or leaves the element at its end.
    pub fn child(&mut self) -> Result<Option<&str>, Error> {
        loop {
            match self.next()? {
                Next::Start => return Ok(Some(self.local_name())),
                Next::End | Next::Eof => return Ok(None),
                Next::Text(_) => {}
            }
        }
    }

    /// Leaves the current element and answers the text in it, without that of its children.
    pub fn text(&mut self) -> Result<&str, Error> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        self.append_text(&mut text)?;
        self.text = text;
        Ok(&self.text)
    }

    /// Like [`Reader::text`], but adds the text to what `into` has already.
    pub fn append_text(&mut self, into: &mut String) -> Result<(), Error> {
        let position = self.inner.buffer_position();
        let most = into.len() + MAX_LENGTH;
        loop {
            match self.next()? {
                Next::Start => self.skip()?,
                Next::End | Next::Eof => return Ok(()),
                // Many references could make a text longer than one event may be.
                Next::Text(more) if into.len() + more.len() > most => {
                    return Err(Error::Refused {
                        position,
                        what: TOO_LONG,
                    });
                }
                Next::Text(more) => into.push_str(&more),
            }
        }
    }

    /// Leaves the current element with all that is in it.
    pub fn skip(&mut self) -> Result<(), Error> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.next()?;
        }
        Ok(())
    }

    /// The error that the document says what it must not.
    pub fn refuse(&self, what: &'static str) -> Error {
        let position = self.inner.buffer_position();
        Error::Refused { position, what }
    }

    /// Reads the rest of the document.
    pub fn finish(mut self) -> Result<(), Error> {
        while !matches!(self.next()?, Next::Eof) {}
        Ok(())
    }

    /// The attribute without a prefix of the element that was gone down to last.
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.attributes(name).0
    }

    /// The attribute with a prefix, whichever, of the element that was gone down to last: servers choose their own prefix
    /// for `xsi:type`.
    pub fn prefixed_attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.attributes(name).1
    }

    /// The attributes of this local name, of the element that was gone down to last: the one without a prefix, and the one with
    /// any prefix.
    pub fn attributes(&self, name: &str) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
        let (mut plain, mut prefixed) = (None, None);
        let mut rest = self.start.get(self.name_length..).unwrap_or_default();
        while let Some((key, value, after)) = first_attribute(rest) {
            rest = after;
            let (found, local) = match split(key, b':') {
                None => (&mut plain, key),
                Some((_, local)) => (&mut prefixed, local),
            };
            if found.is_none() && local == name {
                *found = quick_xml::escape::unescape(value).ok();
            }
        }
        (plain, prefixed)
    }

    fn local_name(&self) -> &str {
        let name = self.start.get(..self.name_length).unwrap_or_default();
        match name.bytes().rposition(|byte| byte == b':') {
            Some(colon) => name.get(colon + 1..).unwrap_or_default(),
            None => name,
        }
    }

    fn next(&mut self) -> Result<Next<'_>, Error> {
        self.buffer.clear();
        self.inner.get_mut().left = MAX_LENGTH;
        let position = self.inner.buffer_position();
        if position > self.end {
            return Err(Error::Refused {
                position,
                what: "more than 16 MiB in one piece",
            });
        }
        let event = match self.inner.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(error) => {
                let ended = self.inner.get_mut().fill_buf().is_ok_and(<[u8]>::is_empty);
                return Err(failure(error, position, ended));
            }
        };
        match event {
            Event::Start(start) => {
                self.start.clear();
                self.start.push_str(&start);
                self.name_length = start.name().as_ref().len();
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(Error::Refused {
                        position,
                        what: "nested deeper than 64 elements",
                    });
                }
                Ok(Next::Start)
            }
            Event::End(_) => {
                self.depth -= 1;
                Ok(Next::End)
            }
            Event::Text(text) => Ok(Next::Text(lines(text))),
            Event::CData(text) => Ok(Next::Text(text.xml10_content())),
            Event::GeneralRef(reference) => match resolve(&reference) {
                Some(c) => Ok(Next::Text(Cow::Owned(c.into()))),
                None => Err(Error::Refused {
                    position,
                    what: "an entity",
                }),
            },
            Event::Eof if self.depth > 0 => Err(Error::Cut(position)),
            Event::Eof => Ok(Next::Eof),
            Event::DocType(_) => Err(Error::Refused {
                position,
                what: "a document type",
            }),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {
                Ok(Next::Text(Cow::Borrowed("")))
            }
        }
    }
}

/// Splits the first attribute off: its name, its value as written, and what follows.
///
/// It stands in for quick-xml's own iterator, which tells each kind of mistake, where nobody asks; the time is about the same.
fn first_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (key, rest) = split(text, b'=')?;
    let rest = rest.trim_ascii_start();
    let quote = *rest.as_bytes().first().filter(|c| matches!(c, b'"' | b'\''))?;
    let (value, rest) = split(rest.get(1..)?, quote)?;
    Some((key.trim_ascii(), value, rest))
}

/// What stands before and behind an ASCII character.
#[inline]
fn split(text: &str, at: u8) -> Option<(&str, &str)> {
    let found = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..found)?, text.get(found + 1..)?))
}

/// A text with the end of each line as `\n` (XML 1.0, 2.11).
fn lines(text: BytesText<'_>) -> Cow<'_, str> {
    match memchr::memchr(b'\r', text.as_bytes()) {
        Some(_) => text.xml10_content(),
        None => text.into_inner(),
    }
}

/// A character reference or one of the five entities that XML itself defines.
fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    match reference.as_ref() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => reference.resolve_char_ref().ok().flatten(),
    }
}

const TOO_LONG: &str = "a tag or text longer than 1 MiB";

/// `ended` tells whether there are no more bytes: what quick-xml then takes for bad syntax was cut.
fn failure(error: quick_xml::Error, position: u64, ended: bool) -> Error {
    use quick_xml::errors::IllFormedError::UnclosedReference;
    match error {
        quick_xml::Error::Io(error) => match std::sync::Arc::try_unwrap(error) {
            Ok(error) if error.get_ref().is_some_and(|inner| inner.is::<TooLong>()) => Error::Refused {
                position,
                what: TOO_LONG,
            },
            Ok(error) => Error::Read(error),
            Err(shared) => Error::Read(io::Error::new(shared.kind(), shared.to_string())),
        },
        quick_xml::Error::Syntax(_) | quick_xml::Error::IllFormed(UnclosedReference) if ended => {
            Error::Cut(position)
        }
        error => malformed(&error, position),
    }
}

fn malformed(error: &quick_xml::Error, position: u64) -> Error {
    // The words may quote a name from the document, which may be long.
    let what = error.to_string().chars().take(200).collect();
    Error::Malformed { position, what }
}

/// Escapes text for use between tags and in attributes.
pub fn escape(text: &str) -> Cow<'_, str> {
    quick_xml::escape::escape(text)
}

/// Ends with an error when one event takes more bytes than it may.
struct Capped<R> {
    source: R,
    left: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("{TOO_LONG}")]
struct TooLong;

impl<R: BufRead> BufRead for Capped<R> {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other(TooLong));
        }
        let buffer = self.source.fill_buf()?;
        Ok(&buffer[..buffer.len().min(self.left)])
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.left -= amount;
        self.source.consume(amount);
    }
}

impl<R: BufRead> Read for Capped<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(into)?;
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(text: &str) -> Reader<&[u8]> {
        Reader::new(text.as_bytes())
    }

    /// Everything in the document, read to its end.
    fn whole(text: &str) -> Result<(), Error> {
        reader(text).finish()
    }

    #[test]
    fn elements_are_read_one_by_one() {
        let mut xml =
            reader("<?xml version='1.0'?><s:a xmlns:s='u'>\n<b>1 &lt; 2</b><c><d>in</d>out</c><e/></s:a>\n");
        assert_eq!(xml.child().unwrap(), Some("a"));
        assert_eq!(xml.child().unwrap(), Some("b"));
        assert_eq!(xml.text().unwrap(), "1 < 2");
        assert_eq!(xml.child().unwrap(), Some("c"));
        assert_eq!(xml.text().unwrap(), "out");
        assert_eq!(xml.child().unwrap(), Some("e"));
        assert_eq!(xml.text().unwrap(), "");
        assert_eq!(xml.child().unwrap(), None);
        xml.finish().unwrap();
    }

    #[test]
    fn an_element_is_skipped_with_all_that_is_in_it() {
        let mut xml = reader("<a><b><c>x</c><c/></b><d>y</d></a>");
        xml.child().unwrap();
        assert_eq!(xml.child().unwrap(), Some("b"));
        xml.skip().unwrap();
        assert_eq!(xml.child().unwrap(), Some("d"));
    }

    #[test]
    fn attributes_with_and_without_prefix_are_told_apart() {
        let mut xml =
            reader("<val a='\"=' type = \"Compute&amp;\" xmlns:p='i' p:type='p:Ref' type='b'>x</val>");
        xml.child().unwrap();
        assert_eq!(xml.attribute("type").as_deref(), Some("Compute&"));
        assert_eq!(xml.prefixed_attribute("type").as_deref(), Some("p:Ref"));
        assert_eq!(xml.attribute("none"), None);
        for broken in [
            "<a type>",
            "<a type=>",
            "<a type=b>",
            "<a type='b>\"'",
            "<a =>",
            "<a type='&none;'>",
        ] {
            let mut xml = reader(broken);
            if xml.child().is_ok() {
                assert_eq!(xml.attribute("type"), None, "{broken}");
            }
        }
    }

    #[test]
    fn a_cut_document_is_no_whole_one() {
        let document = "<a x='1'><!-- c --><b>t&amp;</b><![CDATA[x]]></a>";
        whole(document).unwrap();
        for length in 1..document.len() {
            let error = whole(&document[..length]).unwrap_err();
            assert_eq!(error.kind(), Kind::TempFail, "{length}: {error}");
        }
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "<a>".repeat(1000);
        let long = format!("<a>{}</a>", "x".repeat(MAX_LENGTH + 1));
        let long_tag = format!("<a {}></a>", "x".repeat(MAX_LENGTH + 1));
        let documents = [
            &*deep,
            &long,
            &long_tag,
            "<!DOCTYPE a [<!ENTITY e 'x'>]><a/>",
            "<a>&e;</a>",
            "<a></b>",
            "</a>",
            "<a><!x></a>",
        ];
        for document in documents {
            let start = &document[..document.len().min(20)];
            let error = whole(document).unwrap_err();
            assert_eq!(error.kind(), Kind::Protocol, "{start}: {error}");
        }
        let many = format!("<a>{}</a>", "&lt;".repeat(MAX_LENGTH + 1));
        let mut xml = reader(&many);
        xml.child().unwrap();
        assert_eq!(xml.text().unwrap_err().kind(), Kind::Protocol);
    }

    #[test]
    fn a_document_is_as_long_as_its_units_allow() {
        let unit = format!("<b>{}</b>", "x".repeat(MAX_LENGTH - 100));
        let document = format!("<a>{}</a>", unit.repeat(20));
        let error = whole(&document).unwrap_err();
        assert!(error.to_string().contains("more than 16 MiB"), "{error}");
        assert_eq!(error.kind(), Kind::Protocol);
        let mut xml = reader(&document);
        xml.child().unwrap();
        while xml.child().unwrap().is_some() {
            xml.skip().unwrap();
            xml.renew();
        }
        xml.finish().unwrap();
    }

    #[test]
    fn what_is_escaped_is_read_again() {
        let text = "a<b>&\"'é😀";
        let document = format!("<a>{}</a>", escape(text));
        let mut xml = reader(&document);
        xml.child().unwrap();
        assert_eq!(xml.text().unwrap(), text);
    }
}
