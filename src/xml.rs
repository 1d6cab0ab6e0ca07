//! A pull reader for XML from untrusted servers.
//!
//! The caller enters one element at a time with [`Reader::child`] or [`Reader::child_after`], and leaves it with
//! [`Reader::text`], [`Reader::skip`] or after its last child. The reader holds a small piece of the document at a time. It limits
//! length and depth, refuses document types and their entities, and detects a document that ends too early.
//!
//! It finds tags and texts by itself, as quick-xml would, but with less work; a test compares the two.

mod token;

use std::borrow::Cow;
use std::io::{self, BufRead};

use quick_xml::events::{BytesRef, BytesText};

use self::token::{Token, Tokens};
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
        /// What is wrong.
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
    tokens: Tokens<R>,
    /// The content of the last start tag, and which of its bytes are the local name and the whole name.
    start: String,
    local: usize,
    name_length: usize,
    open: Open,
    /// Whether the last element was empty, so that it ends now.
    empty: bool,
    text: String,
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
        Reader {
            tokens: Tokens::new(source),
            start: String::new(),
            local: 0,
            name_length: 0,
            open: Open::default(),
            empty: false,
            text: String::new(),
            end: MAX_UNIT,
        }
    }

    /// Allows another [`MAX_UNIT`] bytes. Call it when what was read so far is processed and takes no memory.
    pub fn renew(&mut self) {
        self.end = self.tokens.position() + MAX_UNIT;
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
        let position = self.tokens.position();
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
        let position = self.tokens.position();
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
        let outside = self.open.depth().saturating_sub(1);
        while self.open.depth() > outside {
            self.next()?;
        }
        Ok(())
    }

    /// The error of a document that the caller does not accept, at the current position.
    pub fn refuse(&self, what: &'static str) -> Error {
        let position = self.tokens.position();
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
    #[inline]
    pub fn name(&self) -> &str {
        self.start.get(self.local..self.name_length).unwrap_or_default()
    }

    fn next(&mut self) -> Result<Next<'_>, Error> {
        if std::mem::take(&mut self.empty) {
            self.open.leave();
            return Ok(Next::End);
        }
        let position = self.tokens.position();
        let refused = |what| Err(Error::Refused { position, what });
        if position > self.end {
            return refused("more than 16 MiB in one piece");
        }
        let nothing = Ok(Next::Text(Cow::Borrowed("")));
        match self.tokens.next()? {
            Token::Start(content, empty) => {
                self.start.clear();
                self.start.push_str(content);
                (self.local, self.name_length) = name(content);
                if self.name_length == 0 {
                    let what = "a tag without a name".into();
                    return Err(Error::Malformed { position, what });
                }
                self.open
                    .enter(content.get(..self.name_length).unwrap_or_default());
                self.empty = empty;
                match self.open.depth() > MAX_DEPTH {
                    true => refused("nested deeper than 64 elements"),
                    false => Ok(Next::Start),
                }
            }
            Token::End(name) => match self.open.innermost() {
                Some(expected) if expected == name => {
                    self.open.leave();
                    Ok(Next::End)
                }
                expected => Err(mismatch(position, name, expected)),
            },
            // Only a byte order mark and white space may stand before the first element.
            Token::Text(text) if self.start.is_empty() => {
                let mark = if position == 0 { "\u{feff}" } else { "" };
                let text = text.strip_prefix(mark).unwrap_or(text);
                match text.trim_ascii_start().bytes().next() {
                    None => nothing,
                    Some(b'{' | b'[' | b'"') => Err(Error::Json),
                    Some(_) => Err(Error::Text),
                }
            }
            Token::Text(text) | Token::CData(text) => Ok(Next::Text(lines(text))),
            Token::Reference(reference) => match resolve(reference) {
                Some(c) => Ok(Next::Text(Cow::Owned(c.into()))),
                None => refused("an unknown entity"),
            },
            Token::Eof if self.open.depth() > 0 => Err(Error::Cut(position)),
            Token::Eof => Ok(Next::Eof),
            Token::DocType(declared) if is_html(declared) => Err(Error::Html),
            Token::DocType(_) => refused("a document type"),
            Token::Other => nothing,
        }
    }
}

/// The names of the open elements.
#[derive(Default)]
struct Open {
    /// All names, one after the other.
    names: String,
    /// Where each of them begins.
    begins: Vec<usize>,
}

impl Open {
    fn depth(&self) -> usize {
        self.begins.len()
    }

    fn enter(&mut self, name: &str) {
        self.begins.push(self.names.len());
        self.names.push_str(name);
    }

    fn leave(&mut self) {
        if let Some(begin) = self.begins.pop() {
            self.names.truncate(begin);
        }
    }

    fn innermost(&self) -> Option<&str> {
        self.names.get(*self.begins.last()?..)
    }
}

/// Where the local name begins in a start tag's content, and where the name ends.
fn name(content: &str) -> (usize, usize) {
    let mut local = 0;
    for (at, byte) in content.bytes().enumerate() {
        match byte {
            b':' => local = at + 1,
            b' ' | b'\t' | b'\r' | b'\n' => return (local, at),
            _ => {}
        }
    }
    (local, content.len())
}

/// The error about the name of an end tag, where another is expected, or none.
fn mismatch(position: u64, found: &str, expected: Option<&str>) -> Error {
    // A name may be long.
    let shown = |name: &str| name.chars().take(80).collect::<String>();
    let what = match expected {
        Some(expected) => format!("expected </{}>, found </{}>", shown(expected), shown(found)),
        None => format!("</{}> has no start tag", shown(found)),
    };
    Error::Malformed { position, what }
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
fn lines(text: &str) -> Cow<'_, str> {
    match memchr::memchr(b'\r', text.as_bytes()) {
        Some(_) => BytesText::from_escaped(text).xml10_content(),
        None => Cow::Borrowed(text),
    }
}

/// The character of a character reference, or of one of the five entities that XML predefines.
fn resolve(reference: &str) -> Option<char> {
    match reference {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => BytesRef::new(reference).resolve_char_ref().ok().flatten(),
    }
}

const TOO_LONG: &str = "a tag or text longer than 1 MiB";

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

#[cfg(test)]
mod tests;
