//! Finds the tags and texts of a document while it arrives.
//!
//! quick-xml's own reader copies each tag and text and then checks that it is UTF-8. Here both are done for a whole piece of the
//! document, which is less work. Names and attributes are not looked at, and tags need not match.

use std::io::{self, BufRead};

use memchr::{memchr, memchr_iter, memchr2};
use quick_xml::parser::{ElementParser, Parser};

use super::{Error, MAX_LENGTH, TOO_LONG};

/// The most bytes that are taken from the source at once.
const PIECE: usize = 64 * 1024;

/// A piece of a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// The name and the attributes of a start tag, and whether the element ends with it, as in `<a/>`.
    Start(&'t str, bool),
    /// The name in an end tag.
    End(&'t str),
    /// Text up to the next tag or reference.
    Text(&'t str),
    /// The text of a CDATA section.
    CData(&'t str),
    /// The part of a reference between `&` and `;`.
    Reference(&'t str),
    /// What follows the keyword of a document type. It may end too early, because of a `>` in it.
    DocType(&'t str),
    /// A comment, a processing instruction or the XML declaration.
    Other,
    /// The end of the source.
    Eof,
}

/// The tokens of a document.
pub(super) struct Tokens<R> {
    source: R,
    /// Bytes that have been read, but not decoded: the beginning of a character, or what is not UTF-8.
    raw: Vec<u8>,
    /// Text that has been read. It is decoded at once, because that is much faster than token by token.
    text: String,
    /// How many bytes of the text belong to tokens that have been returned.
    used: usize,
    /// The position of the text in the document.
    at: u64,
    after: After,
}

/// What comes after the text that has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Unread,
    /// Bytes that are not UTF-8.
    Invalid,
    /// The end of the source within a character.
    Cut,
    /// The end of the source.
    End,
}

impl<R: BufRead> Tokens<R> {
    pub(super) fn new(source: R) -> Self {
        Tokens {
            source,
            raw: Vec::new(),
            text: String::new(),
            used: 0,
            at: 0,
            after: After::Unread,
        }
    }

    /// The position after the last token, in bytes from the start.
    #[inline]
    pub(super) fn position(&self) -> u64 {
        self.at + self.used as u64
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Token<'_>, Error> {
        let position = self.position();
        let (length, whole) = loop {
            let rest = self.text.as_bytes().get(self.used..).unwrap_or_default();
            match length(rest) {
                Some(length) => break (length, true),
                None if self.after == After::End || rest.len() > MAX_LENGTH => break (rest.len(), false),
                None => {
                    // Twice as much, so that a long token that arrives in small pieces is searched only a few times.
                    let wanted = (2 * rest.len()).min(MAX_LENGTH);
                    self.read(wanted)?;
                }
            }
        };
        if length > MAX_LENGTH {
            let what = TOO_LONG;
            return Err(Error::Refused { position, what });
        }
        let start = self.used;
        self.used += length;
        let text = self.text.get(start..self.used).unwrap_or_default();
        match text.as_bytes() {
            [] => Ok(Token::Eof),
            [b'<' | b'&', ..] if !whole => Err(Error::Cut(position)),
            [b'<', ..] => markup(text.get(1..length - 1).unwrap_or_default(), position),
            [b'&', .., b';'] => Ok(Token::Reference(text.get(1..length - 1).unwrap_or_default())),
            [b'&', ..] => Err(malformed(position, "an & without a ;")),
            _ => Ok(Token::Text(text)),
        }
    }

    /// Drops the used text, and reads until there is more than this number of bytes, or no more.
    fn read(&mut self, wanted: usize) -> Result<(), Error> {
        self.text.drain(..self.used);
        self.at += std::mem::take(&mut self.used) as u64;
        let end = self.at + self.text.len() as u64;
        match self.after {
            After::Invalid => return Err(malformed(end, "invalid UTF-8")),
            After::Cut => return Err(Error::Cut(end)),
            After::Unread | After::End => {}
        }
        while self.after == After::Unread && self.text.len() <= wanted {
            let window = match self.source.fill_buf() {
                Ok(window) => window,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Read(error)),
            };
            let count = window.len().min(PIECE);
            self.raw.extend_from_slice(&window[..count]);
            self.source.consume(count);
            match count {
                0 if self.raw.is_empty() => self.after = After::End,
                0 => self.after = After::Cut,
                _ => self.decode(),
            }
        }
        Ok(())
    }

    fn decode(&mut self) {
        match std::str::from_utf8(&self.raw) {
            Ok(text) => {
                self.text.push_str(text);
                self.raw.clear();
            }
            Err(error) => {
                let valid = self.raw.drain(..error.valid_up_to());
                self.text.push_str(&String::from_utf8_lossy(valid.as_slice()));
                drop(valid);
                if error.error_len().is_some() {
                    self.after = After::Invalid;
                }
            }
        }
    }
}

/// The length of the token at the start of `bytes`, or `None` if its end is not among them.
fn length(bytes: &[u8]) -> Option<usize> {
    let end = match bytes {
        // The dashes of `<!-->` belong to the start of a comment only.
        [b'<', b'!', b'-', ..] => 4 + closing(bytes.get(4..)?, b"--")?,
        [b'<', b'!', b'[', ..] => closing(bytes, b"]]")?,
        [b'<', b'!', ..] => memchr(b'>', bytes)?,
        [b'<', b'?', ..] => closing(bytes, b"?")?,
        [b'<', ..] => ElementParser::default().feed(bytes)?,
        [b'&', ..] => memchr2(b';', b'<', bytes)?,
        _ => return memchr2(b'<', b'&', bytes),
    };
    Some(end + 1)
}

/// Where the first `>` after `mark` is.
fn closing(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    memchr_iter(b'>', bytes).find(|at| bytes[..*at].ends_with(mark))
}

/// The token with this content between `<` and `>`.
fn markup(content: &str, position: u64) -> Result<Token<'_>, Error> {
    let token = match content.as_bytes() {
        [b'/', ..] => content.get(1..).map(|name| Token::End(name.trim_ascii_end())),
        [b'!', b'-', b'-', ..] | [b'?', .., b'?'] => Some(Token::Other),
        [b'!', b'[', ..] => {
            let text = content.strip_prefix("![CDATA[");
            text.and_then(|text| text.strip_suffix("]]")).map(Token::CData)
        }
        [b'!', ..] => {
            let (keyword, rest) = content.split_at_checked(8).unwrap_or_default();
            keyword
                .eq_ignore_ascii_case("!DOCTYPE")
                .then_some(Token::DocType(rest))
        }
        [b'?', ..] => None,
        [.., b'/'] => content
            .strip_suffix('/')
            .map(|content| Token::Start(content, true)),
        _ => Some(Token::Start(content, false)),
    };
    token.ok_or_else(|| malformed(position, "neither a tag nor a comment"))
}

fn malformed(position: u64, what: &str) -> Error {
    Error::Malformed {
        position,
        what: what.to_owned(),
    }
}
