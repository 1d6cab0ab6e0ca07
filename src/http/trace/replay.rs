//! Answers from the folder of a [`Trace`](super::Trace) instead of a server's.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::{Base, Error, Request};
use crate::secret::redact::REDACTED;
use crate::text;

/// The most bytes of a saved request, of the header of an answer, and of a file for [`Replay::load`].
const LIMIT: u64 = 4 << 20;

const REQUEST: &str = "-request.http";

/// The exchanges in a folder. Each one answers once; clones share them.
#[derive(Debug, Clone)]
pub struct Replay(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    /// The exchanges that have not answered yet, in their order.
    unused: Mutex<Vec<Saved>>,
    /// The first request of the trace.
    first: Option<Saved>,
}

/// A request that was saved.
#[derive(Debug, Clone)]
struct Saved {
    /// The beginning of its files' names.
    stem: String,
    /// Method and path.
    line: String,
    /// Without its secrets.
    body: Vec<u8>,
}

/// An answer that was saved.
pub(in crate::http) struct Answer {
    pub(in crate::http) status: u16,
    pub(in crate::http) headers: HeaderMap,
    pub(in crate::http) body: Box<dyn Read + Send>,
}

impl Replay {
    /// Reads the requests in `folder`.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        let folder = folder.into();
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|error| Error::File {
            path: folder.clone(),
            reason: text::reason(&error),
        })?;
        let names = entries
            .iter()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let mut stems: Vec<String> = names
            .filter_map(|name| Some(name.strip_suffix(REQUEST)?.to_owned()))
            .collect();
        stems.sort();
        let saved = stems.into_iter().map(|stem| Saved::read(&folder, stem));
        let unused = saved.collect::<Result<Vec<_>, _>>()?;
        Ok(Replay(Arc::new(Shared {
            folder,
            first: unused.first().cloned(),
            unused: Mutex::new(unused),
        })))
    }

    /// Reads the file that [`Trace::save`](super::Trace::save) saved with this name.
    pub fn load(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.0.folder.join(name);
        read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::Replay {
                path: self.0.folder.clone(),
                reason: format!(
                    "there is no {name} in it, so it is the trace of another command, or no trace"
                ),
            },
            _ => failed(&path, &error),
        })
    }

    /// The answer to the first unused exchange with such a request.
    pub(in crate::http) fn answer(&self, base: &Base, request: &Request<'_>) -> Result<Answer, Error> {
        let line = format!("{} {}{}", request.method, base.path, request.path);
        let body = request.body.unwrap_or_default();
        let mut unused = self.0.unused.lock().unwrap_or_else(PoisonError::into_inner);
        let found = unused
            .iter()
            .position(|saved| saved.line == line && matches(&saved.body, body));
        let saved = found.map(|at| unused.remove(at));
        let started_again = unused.iter().any(|saved| {
            let first = self.0.first.as_ref();
            first.is_some_and(|first| first.line == saved.line && first.body == saved.body)
        });
        drop(unused);
        let Some(saved) = saved else {
            let label = request.label.unwrap_or(&line);
            return Err(Error::Replay {
                path: self.0.folder.clone(),
                reason: format!(
                    "it holds no answer to {label}, or none to the same question; was it made by this version, with the same options?"
                ),
            });
        };
        let path = self.0.folder.join(format!("{}-response.http", saved.stem));
        let failure = self.failure(&saved.stem, started_again)?;
        match (File::open(&path), failure) {
            (Ok(file), failure) => read_answer(file, failure).map_err(|error| failed(&path, &error)),
            (Err(error), Some(failure)) if error.kind() == io::ErrorKind::NotFound => Err(failure),
            (Err(error), _) => Err(failed(&path, &error)),
        }
    }

    /// The failure that ended an exchange early.
    fn failure(&self, stem: &str, started_again: bool) -> Result<Option<Error>, Error> {
        let path = self.0.folder.join(format!("{stem}-error.txt"));
        match read(&path) {
            Ok(text) => Ok(Some(Error::Recorded {
                reason: String::from_utf8_lossy(&text).trim_end().to_owned(),
                path,
                started_again,
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, &error)),
        }
    }
}

impl PartialEq for Replay {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Replay {}

impl Saved {
    fn read(folder: &Path, stem: String) -> Result<Self, Error> {
        let path = folder.join(format!("{stem}{REQUEST}"));
        let content = read(&path).map_err(|error| failed(&path, &error))?;
        let mut reader = &content[..];
        let head = read_head(&mut reader).map_err(|error| failed(&path, &error))?;
        let line = head.first().and_then(|line| line.strip_suffix(" HTTP/1.1"));
        let line = line.ok_or_else(|| failed(&path, &no_head()))?.to_owned();
        let body = reader.to_vec();
        Ok(Saved { stem, line, body })
    }
}

/// Whether a body can be the saved one: any text can have been at a redacted place.
fn matches(saved: &[u8], body: &[u8]) -> bool {
    let mut parts = Vec::new();
    let mut rest = saved;
    while let Some(at) = memchr::memmem::find(rest, REDACTED.as_bytes()) {
        parts.push(&rest[..at]);
        rest = &rest[at + REDACTED.len()..];
    }
    let (Some((first, middle)), last) = (parts.split_first(), rest) else {
        return saved == body;
    };
    let inner = body.strip_prefix(*first).and_then(|body| body.strip_suffix(last));
    let Some(mut inner) = inner else { return false };
    middle.iter().all(|part| match memchr::memmem::find(inner, part) {
        Some(at) => {
            inner = &inner[at + part.len()..];
            true
        }
        None => false,
    })
}

fn read_answer(file: File, failure: Option<Error>) -> io::Result<Answer> {
    let mut reader = BufReader::new(file);
    let head = read_head(&mut reader)?;
    let (line, fields) = head.split_first().ok_or_else(no_head)?;
    let status = line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|status| status.parse().ok());
    let mut headers = HeaderMap::new();
    for field in fields {
        let (name, value) = field.split_once(": ").unwrap_or((field, ""));
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    Ok(Answer {
        status: status.ok_or_else(no_head)?,
        headers,
        body: match failure {
            Some(failure) => Box::new(reader.chain(Failing(failure))),
            None => Box::new(reader),
        },
    })
}

/// The lines before the first empty one.
fn read_head(reader: &mut impl io::BufRead) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut head = reader.by_ref().take(LIMIT);
    loop {
        let mut line = Vec::new();
        head.read_until(b'\n', &mut line)?;
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r\n").ok_or_else(no_head)?).into_owned();
        if line.is_empty() {
            return Ok(lines);
        }
        lines.push(line);
    }
}

/// The end of an answer that was cut.
struct Failing(Error);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.clone().into())
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut content)?;
    match content.len() as u64 > LIMIT {
        true => Err(io::Error::other("it is too large for a file of a trace")),
        false => Ok(content),
    }
}

fn no_head() -> io::Error {
    io::Error::other("it does not begin with the header of a request or an answer")
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::Replay {
        path: path.to_owned(),
        reason: text::reason(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redacted_place_matches_anything() {
        for (saved, body, wanted) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a(redacted)c", "a-secret-c", true),
            ("a(redacted)c", "ac", true),
            ("a(redacted)c", "a", false),
            ("a(redacted)b(redacted)c", "a1b2c", true),
            ("a(redacted)b(redacted)c", "a12c", false),
            ("(redacted)", "x", true),
        ] {
            assert_eq!(
                matches(saved.as_bytes(), body.as_bytes()),
                wanted,
                "{saved} {body}"
            );
        }
    }
}
