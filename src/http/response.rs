//! Answers.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ureq::http::HeaderMap;

use super::Error;
use super::link::Link;
use super::trace::{Recording, without};
use crate::cancel::HookGuard;
use crate::secret::Secret;
use crate::text::first_line;

/// The most bytes of a refusal's body that are read.
const LONGEST_REFUSAL: u64 = 16 * 1024;
/// The most bytes of a body's rest that are read to keep the connection.
const LONGEST_REST: u64 = 64 * 1024;
/// The most characters that an error shows of what a server says.
pub(super) const LONGEST_MESSAGE: usize = 300;
/// The bytes between the socket and the parser.
const BUFFER: usize = 64 * 1024;

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub struct Response {
    status: u16,
    headers: HeaderMap,
    body: Body,
    /// What an error must not show of the body.
    secrets: Vec<Secret>,
}

impl Response {
    pub(super) fn new(
        status: u16,
        headers: HeaderMap,
        reader: Box<dyn Read + Send>,
        recording: Option<Recording>,
        link: Arc<Link>,
        hook: Arc<HookGuard>,
    ) -> Self {
        let source = Source {
            reader,
            recording,
            link,
            _hook: hook,
        };
        Response {
            status,
            headers,
            body: Body(BufReader::with_capacity(BUFFER, source)),
            secrets: Vec::new(),
        }
    }

    /// This answer to a request with these secrets, which a refusal may quote.
    pub(super) fn hiding(self, secrets: &[Secret]) -> Self {
        match self.status {
            200..=299 => self,
            _ => Response {
                secrets: secrets.to_vec(),
                ..self
            },
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first header field of this name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All header fields of this name that are text, such as `Set-Cookie`.
    pub fn headers<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s str> + use<'s> {
        self.headers
            .get_all(name)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
    }

    /// Whether the header says that the body is HTML. A web page instead of data comes from something other than the expected
    /// service, such as a proxy.
    pub fn is_html(&self) -> bool {
        let kind = self.header("Content-Type").unwrap_or_default();
        kind.trim_start()
            .get(..9)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"))
    }

    /// The body, to be read as it arrives.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// Reads the whole body. Fails with [`Error::TooLarge`] if it has more than `limit` bytes.
    pub fn read(self, limit: u64) -> Result<Vec<u8>, Error> {
        let mut body = self.body;
        let mut bytes = Vec::new();
        let read = body.by_ref().take(limit).read_to_end(&mut bytes);
        let rest = read.and_then(|_| body.fill_buf().map(<[u8]>::len));
        match rest {
            Ok(0) => Ok(bytes),
            Ok(_) => Err(Error::TooLarge {
                server: body.link().server.clone(),
                limit,
            }),
            Err(error) => Err(body.link().failed_reading(error)),
        }
    }

    /// This answer if its status is 2xx, otherwise its [error](Response::into_error).
    pub fn success(self) -> Result<Self, Error> {
        match self.status {
            200..=299 => Ok(self),
            _ => Err(self.into_error(|_| None)),
        }
    }

    /// The error for an unexpected status: [`Error::Status`].
    ///
    /// `message` finds the server's own message in the first kilobytes of the body. If it finds none, the error shows the first
    /// line of a text or the title of an HTML page.
    pub fn into_error(self, message: impl FnOnce(&[u8]) -> Option<String>) -> Error {
        let link = self.body.link().clone();
        let retry_after = self
            .header("Retry-After")
            .and_then(|text| retry_after(text, SystemTime::now()));
        let (status, html) = (self.status, self.is_html());
        let mut bytes = Vec::new();
        // If reading fails, the part before is still worth showing, unless a signal has come.
        let read = self.body.take(LONGEST_REFUSAL).read_to_end(&mut bytes);
        if let Err(error) = read
            && let Some(cancelled @ Error::Cancelled(_)) = Error::within(&error)
        {
            return cancelled.clone();
        }
        let bytes = without(&self.secrets, &bytes);
        let text = String::from_utf8_lossy(&bytes);
        let message = message(&bytes)
            .map(|text| first_line(&text, LONGEST_MESSAGE))
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| {
                if html || looks_like_html(&text) {
                    page(&text)
                } else {
                    first_line(&text, LONGEST_MESSAGE)
                }
            });
        Error::Status {
            server: link.server.clone(),
            status,
            message,
            retry_after,
        }
    }
}

/// A body that is read as it arrives.
///
/// Reading fails if the body is shorter than its header says. If the header has no length, the body ends with the connection,
/// and only its parser can notice that something is missing.
///
/// Its errors are [`io::Error`]s that carry an [`Error`]: see [`Error::within`] and [`Body::error`].
pub struct Body(BufReader<Source>);

impl Body {
    /// The [`Error`] for one of reading this body.
    pub fn error(&self, error: io::Error) -> Error {
        self.link().failed_reading(error)
    }

    /// Reads and drops a short rest, so that the connection can be used again.
    pub fn finish(mut self) -> Result<(), Error> {
        let rest = io::copy(&mut self.0.by_ref().take(LONGEST_REST), &mut io::sink());
        rest.map(drop).map_err(|error| self.error(error))
    }

    fn link(&self) -> &Arc<Link> {
        &self.0.get_ref().link
    }
}

impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

// A parser calls these two for every tag and text. Not inlined, they were 5 % of a scan's instructions.
impl BufRead for Body {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    #[inline]
    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

struct Source {
    reader: Box<dyn Read + Send>,
    /// Where the body is saved while it is read.
    recording: Option<Recording>,
    link: Arc<Link>,
    _hook: Arc<HookGuard>,
}

impl Source {
    fn save(&mut self, read: &Result<&[u8], Error>) -> Result<(), Error> {
        match (&mut self.recording, read) {
            (None, _) => Ok(()),
            (Some(recording), Ok([])) => recording.finish(),
            (Some(recording), Ok(bytes)) => recording.write(bytes),
            (Some(recording), Err(error)) => {
                recording.failed(error);
                Ok(())
            }
        }
    }
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        // A few bytes of gzip may decompress for a long time, during which nothing else checks the limits.
        self.link.check()?;
        let read = match self.reader.read(buf) {
            // A signal closes the connection, which looks like the end of a body without a length.
            Ok(0) => self.link.cancel.check().map(|()| 0).map_err(Error::from),
            Ok(n) => Ok(n),
            Err(error) => Err(self.link.failed_reading(error)),
        };
        let read = read.map(|n| &buf[..n]);
        self.save(&read)?;
        Ok(read?.len())
    }
}

/// The longest pause that a server may ask for. A longer one is a mistake, or an attack.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// The value of `Retry-After`: seconds or a date (RFC 9110, 10.2.3), at most [`LONGEST_PAUSE`].
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(now).unwrap_or_default()
        }
    };
    Some(asked.min(LONGEST_PAUSE))
}

fn looks_like_html(text: &str) -> bool {
    let start: String = text
        .trim_start()
        .chars()
        .take(15)
        .collect::<String>()
        .to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

/// Describes a web page that came instead of data, by its title.
fn page(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|start| {
        let start = start + lower[start..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        Some(text[start..end].split_whitespace().collect::<Vec<_>>().join(" "))
    });
    match title.map(|title| first_line(&title, LONGEST_MESSAGE)) {
        Some(title) if !title.is_empty() => format!("a web page, perhaps a proxy's: {title:?}"),
        _ => "a web page, perhaps a proxy's".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:07 GMT").unwrap();
        for (text, wanted) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("18446744073709551615", Some(86_400)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now), wanted.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_page_is_named_by_its_title() {
        for (text, wanted) in [
            (
                "<html><head><TITLE>502\n Bad</TITLE>",
                "a web page, perhaps a proxy's: \"502 Bad\"",
            ),
            ("<html><title></title>", "a web page, perhaps a proxy's"),
            ("<html><title>cut", "a web page, perhaps a proxy's"),
            (
                "<html>İ<title lang=x>İ</title>",
                "a web page, perhaps a proxy's: \"İ\"",
            ),
        ] {
            assert!(looks_like_html(text));
            assert_eq!(page(text), wanted);
        }
        assert!(!looks_like_html("<?xml version='1.0'?>"));
    }
}
