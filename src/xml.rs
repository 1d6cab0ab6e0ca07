//! A pull reader for XML from untrusted servers, built on quick-xml.
//!
//! The caller enters one element at a time with [`Reader::child`] or [`Reader::child_after`], and leaves it with
//! [`Reader::text`], [`Reader::skip`] or after its last child. The reader holds one tag or one text at a time. It limits
//! length and depth, refuses document types and their entities, and detects a document that ends too early; quick-xml does
//! none of this by itself.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use quick_xml::events::{BytesRef, BytesText, Event};

use crate::error::{Classify, Kind};

/// The deepest nesting of elements that is read.
pub const MAX_DEPTH: usize = 64;

/// The longest tag or text that is read, in bytes.
pub const MAX_LENGTH: usize = 1 << 20;

/// The most that is read before the caller must call [`Reader::renew`], in bytes.
pub const MAX_UNIT: u64 = 16 << 20;

/// Why a document can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source failed; its own error is inside the [`io::Error`].
    #[error("reading XML")]
    Read(#[source] io::Error),
    /// The document ended too early, after this many bytes.
    #[error("the XML was cut after {0} bytes")]
    Cut(u64),
    /// The bytes are not XML.
    #[error("malformed XML at byte {position}: {what}")]
    Malformed {
        /// The position in bytes from the start.
        position: u64,
        /// What is wrong, in quick-xml's words.
        what: String,
    },
    /// The document breaks a limit or a rule: it is too deep or too long, has a document type or an unknown entity, or is not
    /// what the caller expects.
    #[error("refused XML at byte {position}: {what}")]
    Refused {
        /// The position in bytes from the start.
        position: u64,
        /// What is refused.
        what: &'static str,
    },
    /// The document is a web page.
    #[error("an HTML page instead of XML")]
    Html,
    /// The document begins like JSON.
    #[error("JSON instead of XML")]
    Json,
    /// The document begins with other text.
    #[error("text instead of XML")]
    Text,
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Read(_) | Error::Cut(_) => Kind::TempFail,
            Error::Malformed { .. } | Error::Refused { .. } | Error::Html | Error::Json | Error::Text => {
                Kind::Protocol
            }
        }
    }
}

/// Reads one document from `R`.
///
/// The document has at most [`MAX_UNIT`] bytes, or consists of units that the caller processes one by one, calling
/// [`Reader::renew`] after each.
///
/// ```
/// let mut xml = vw::xml::Reader::new("<a><b>1 &lt; 2</b></a>".as_bytes());
/// assert_eq!(xml.child()?, Some("a"));
/// assert_eq!(xml.child()?, Some("b"));
/// assert_eq!(xml.text()?, "1 < 2");
/// assert_eq!(xml.child()?, None);
/// xml.finish()?;
/// # Ok::<(), vw::xml::Error>(())
/// ```
pub struct Reader<R> {
    inner: quick_xml::Reader<Capped<R>>,
    buffer: Vec<u8>,
    /// The content of the last start tag, and how many of its bytes are the name.
    start: String,
    name_length: usize,
    text: String,
    depth: usize,
    /// The position after which nothing more is read until [`Reader::renew`].
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

    /// Allows another [`MAX_UNIT`] bytes. Call it when what was read so far is processed and takes no memory.
    pub fn renew(&mut self) {
        self.end = self.inner.buffer_position() + MAX_UNIT;
    }

    /// Enters the next child of the current element and returns its local name; text before it is dropped. At the end of the
    /// element leaves it and returns None.
    pub fn child(&mut self) -> Result<Option<&str>, Error> {
        loop {
            match self.next()? {
                Next::Start => return Ok(Some(self.name())),
                Next::End | Next::Eof => return Ok(None),
                Next::Text(_) => {}
            }
        }
    }

    /// Like [`Reader::child`], but appends the text before the child, or before the end, to `text`.
    ///
    /// White space is kept. Character references, predefined entities and CDATA sections are decoded.
    pub fn child_after(&mut self, text: &mut String) -> Result<Option<&str>, Error> {
        let position = self.inner.buffer_position();
        let most = text.len() + MAX_LENGTH;
        loop {
            match self.next()? {
                Next::Start => return Ok(Some(self.name())),
                Next::End | Next::Eof => return Ok(None),
                Next::Text(more) => push_limited(text, &more, most, position)?,
            }
        }
    }

    /// Leaves the current element and returns its text, without that of its children.
    pub fn text(&mut self) -> Result<&str, Error> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        self.append_text(&mut text)?;
        self.text = text;
        Ok(&self.text)
    }

    /// Like [`Reader::text`], but appends the text to `into`.
    pub fn append_text(&mut self, into: &mut String) -> Result<(), Error> {
        let position = self.inner.buffer_position();
        let most = into.len() + MAX_LENGTH;
        loop {
            match self.next()? {
                Next::Start => self.skip()?,
                Next::End | Next::Eof => return Ok(()),
                Next::Text(more) => push_limited(into, &more, most, position)?,
            }
        }
    }

    /// Leaves the current element and skips its content.
    pub fn skip(&mut self) -> Result<(), Error> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.next()?;
        }
        Ok(())
    }

    /// The error of a document that the caller does not accept, at the current position.
    pub fn refuse(&self, what: &'static str) -> Error {
        let position = self.inner.buffer_position();
        Error::Refused { position, what }
    }

    /// Reads the rest of the document, and checks that it is complete.
    pub fn finish(mut self) -> Result<(), Error> {
        while !matches!(self.next()?, Next::Eof) {}
        Ok(())
    }

    /// The attribute without a prefix, of the element that was entered last.
    pub fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.attributes(name).0
    }

    /// The attribute with any prefix, of the element that was entered last. Each server chooses its own prefix for `xsi:type`.
    pub fn prefixed_attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        self.attributes(name).1
    }

    /// The attributes with this local name, of the element that was entered last: the one without a prefix, and the one with
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

    /// The local name of the element that was entered last.
    pub fn name(&self) -> &str {
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
            let what = "more than 16 MiB in one piece";
            return Err(Error::Refused { position, what });
        }
        let event = match self.inner.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(error) => {
                let ended = self.inner.get_mut().fill_buf().is_ok_and(<[u8]>::is_empty);
                return Err(failure(error, position, ended));
            }
        };
        let refused = |what| Err(Error::Refused { position, what });
        match event {
            Event::Start(start) => {
                self.start.clear();
                self.start.push_str(&start);
                self.name_length = start.name().as_ref().len();
                self.depth += 1;
                match self.depth > MAX_DEPTH {
                    true => refused("nested deeper than 64 elements"),
                    false => Ok(Next::Start),
                }
            }
            Event::End(_) => {
                self.depth -= 1;
                Ok(Next::End)
            }
            // Only white space may stand before the first element.
            Event::Text(text) if self.start.is_empty() => match text.trim_ascii_start().bytes().next() {
                None => Ok(Next::Text(Cow::Borrowed(""))),
                Some(b'{' | b'[' | b'"') => Err(Error::Json),
                Some(_) => Err(Error::Text),
            },
            Event::Text(text) => Ok(Next::Text(lines(text))),
            Event::CData(text) => Ok(Next::Text(text.xml10_content())),
            Event::GeneralRef(reference) => match resolve(&reference) {
                Some(c) => Ok(Next::Text(Cow::Owned(c.into()))),
                None => refused("an unknown entity"),
            },
            Event::Eof if self.depth > 0 => Err(Error::Cut(position)),
            Event::Eof => Ok(Next::Eof),
            Event::DocType(declared) if is_html(&declared) => Err(Error::Html),
            Event::DocType(_) => refused("a document type"),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {
                Ok(Next::Text(Cow::Borrowed("")))
            }
        }
    }
}

/// Appends `more` to a text that may have `most` bytes: many references can make it longer than one event may be.
fn push_limited(text: &mut String, more: &str, most: usize, position: u64) -> Result<(), Error> {
    if text.len() + more.len() > most {
        let what = TOO_LONG;
        return Err(Error::Refused { position, what });
    }
    text.push_str(more);
    Ok(())
}

/// Whether a document type is that of a web page.
fn is_html(declared: &str) -> bool {
    let name = declared.split_whitespace().next();
    name.is_some_and(|name| name.eq_ignore_ascii_case("html"))
}

/// Splits off the first attribute: returns its name, its value as written, and what follows.
///
/// quick-xml's own iterator would report mistakes that do not matter here; it takes about the same time.
fn first_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let (key, rest) = split(text, b'=')?;
    let rest = rest.trim_ascii_start();
    let quote = *rest.as_bytes().first().filter(|c| matches!(c, b'"' | b'\''))?;
    let (value, rest) = split(rest.get(1..)?, quote)?;
    Some((key.trim_ascii(), value, rest))
}

/// The text before and after the first `at`, an ASCII character.
#[inline]
fn split(text: &str, at: u8) -> Option<(&str, &str)> {
    let found = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..found)?, text.get(found + 1..)?))
}

/// A text whose lines end with `\n` (XML 1.0, 2.11).
fn lines(text: BytesText<'_>) -> Cow<'_, str> {
    match memchr::memchr(b'\r', text.as_bytes()) {
        Some(_) => text.xml10_content(),
        None => text.into_inner(),
    }
}

/// The character of a character reference, or of one of the five entities that XML predefines.
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

/// The error that quick-xml's stands for. At the end of the input (`ended`) it reports a cut document as bad syntax.
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
    // quick-xml may quote a long name from the document.
    let what = error.to_string().chars().take(200).collect();
    Error::Malformed { position, what }
}

/// Escapes a text for use between tags and in attributes.
///
/// A parser would read a bare carriage return as a newline, so it is written as a reference.
pub fn escape(text: &str) -> Cow<'_, str> {
    let escaped = quick_xml::escape::escape(text);
    match memchr::memchr(b'\r', escaped.as_bytes()) {
        Some(_) => Cow::Owned(escaped.replace('\r', "&#13;")),
        None => escaped,
    }
}

/// A source that fails when one event takes more than `left` bytes.
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
mod tests;
