//! Exchanges that are saved while they happen, without secrets; [`replay`] reads them again.
//!
//! Each exchange has a number and up to three files. `000003-Login-request.http` and `000003-Login-response.http` have the header
//! as in HTTP/1.1, an empty line, and the decompressed body. `000003-Login-error.txt` says what went wrong.

mod redact;
pub(super) mod replay;

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ureq::http::HeaderMap;

use self::redact::Redactor;
use super::{Base, Error, Request};
use crate::secret::Secret;
use crate::secret::redact::REDACTED;
use crate::text;

/// A folder in which exchanges are saved. Clones share the folder and the numbers.
#[derive(Clone)]
pub struct Trace(Arc<Shared>);

struct Shared {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    opened: bool,
    /// A file could not be written. That fails the command, and its clean-up must not fail for the same reason again.
    broken: bool,
    exchanges: u32,
    secrets: Vec<Secret>,
}

impl Trace {
    /// A trace in `folder`, which is made before the first connection.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Trace(Arc::new(Shared {
            folder: folder.into(),
            state: Mutex::default(),
        }))
    }

    /// Redacts this text from now on.
    pub fn hide(&self, secret: &Secret) {
        let mut state = self.state();
        if !secret.expose().is_empty() && !state.secrets.contains(secret) {
            state.secrets.push(secret.clone());
        }
    }

    /// Makes the folder. Fails if it has files already, because two traces in one folder could not be told apart.
    pub fn open(&self) -> Result<(), Error> {
        let mut state = self.state();
        if state.opened {
            return Ok(());
        }
        let folder = &self.0.folder;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        let entries = made.and_then(|()| fs::read_dir(folder));
        match entries.map(|mut entries| entries.next().is_none()) {
            Ok(true) => {
                state.opened = true;
                Ok(())
            }
            Ok(false) => Err(Error::Trace {
                path: folder.clone(),
                reason: "the folder of a trace must be new or empty".into(),
            }),
            Err(error) => Err(failed(folder, &error)),
        }
    }

    /// Saves a file that belongs to the trace as a whole.
    pub fn save(&self, name: &str, content: &[u8]) -> Result<(), Error> {
        self.open()?;
        let mut shown = Vec::new();
        let mut redactor = Redactor::new(&self.state().secrets);
        redactor.push(content, &mut shown);
        redactor.finish(&mut shown);
        let path = self.0.folder.join(name);
        let written = create(&path).and_then(|mut file| file.write_all(&shown));
        written.map_err(|error| self.broken(&path, &error))
    }

    /// Saves a request before it is sent. After the first file that could not be written nothing more is saved.
    pub(super) fn request(&self, base: &Base, request: &Request<'_>) -> Result<Option<Exchange>, Error> {
        let mut state = self.state();
        if state.broken {
            return Ok(None);
        }
        state.exchanges += 1;
        let mut secrets = state.secrets.clone();
        let label = request.label.map(|label| format!("-{label}")).unwrap_or_default();
        let stem = format!("{:06}{label}", state.exchanges);
        drop(state);
        secrets.extend(request.secrets.iter().cloned());
        let exchange = Exchange {
            trace: self.clone(),
            stem,
            secrets,
            only_tags: request.secret_answer,
        };
        let mut head = format!(
            "{} {}{} HTTP/1.1\r\nHost: {}\r\n",
            request.method,
            base.path,
            request.path,
            base.authority()
        );
        for (name, value) in &request.headers {
            let _ = write!(head, "{name}: {}\r\n", shown(name, value.expose()));
        }
        head.push_str("\r\n");
        let mut file = exchange.file("request.http", Redactor::new(&exchange.secrets))?;
        file.write(head.as_bytes())?;
        file.write(request.body.unwrap_or_default())?;
        file.finish()?;
        Ok(Some(exchange))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken(&self, path: &Path, error: &io::Error) -> Error {
        self.state().broken = true;
        failed(path, error)
    }
}

impl From<OsString> for Trace {
    fn from(folder: OsString) -> Self {
        Trace::new(folder)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trace").field(&self.0.folder).finish()
    }
}

impl PartialEq for Trace {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Trace {}

/// An exchange whose request is saved.
pub(super) struct Exchange {
    trace: Trace,
    stem: String,
    secrets: Vec<Secret>,
    only_tags: bool,
}

impl Exchange {
    /// Begins to save the answer.
    pub(super) fn answered(mut self, status: u16, headers: &HeaderMap) -> Result<Recording, Error> {
        let mut head = format!("HTTP/1.1 {status}\r\n");
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            let _ = write!(head, "{name}: {}\r\n", shown(name.as_str(), &value));
            if name == "set-cookie" {
                // A server may repeat it in a body, as in vSphere's answer to Login.
                let secret = Secret::from(cookie_value(&value).to_owned());
                self.trace.hide(&secret);
                self.secrets.push(secret);
            }
        }
        head.push_str("\r\n");
        let mut file = self.file("response.http", Redactor::new(&self.secrets))?;
        file.write(head.as_bytes())?;
        if self.only_tags {
            file.end_part()?;
            file.redactor = Redactor::of_texts();
        }
        Ok(Recording { exchange: self, file })
    }

    /// Saves why there is no answer, or only a part of one. A failure to do so is only worth a warning beside that.
    pub(super) fn failed(&self, error: &Error) {
        let saved = self
            .file("error.txt", Redactor::new(&self.secrets))
            .and_then(|mut file| {
                file.write(format!("{error}\n").as_bytes())?;
                file.finish()
            });
        if let Err(error) = saved {
            log::warn!("{error}");
        }
    }

    fn file(&self, name: &str, redactor: Redactor) -> Result<Redacted, Error> {
        let path = self.trace.0.folder.join(format!("{}-{name}", self.stem));
        match create(&path) {
            Ok(file) => Ok(Redacted {
                trace: self.trace.clone(),
                path,
                file,
                redactor,
                ready: Vec::new(),
            }),
            Err(error) => Err(self.trace.broken(&path, &error)),
        }
    }
}

/// An answer that is saved while it is read.
pub(super) struct Recording {
    exchange: Exchange,
    file: Redacted,
}

impl Recording {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write(bytes)
    }

    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.file.finish()
    }

    pub(super) fn failed(&mut self, error: &Error) {
        // Only the first failure is reported.
        let _ = self.file.finish();
        self.exchange.failed(error);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // An answer that is not read to its end is complete enough for its reader, or has failed already.
        let _ = self.file.finish();
    }
}

/// These bytes without the secrets.
pub(super) fn without(secrets: &[Secret], bytes: &[u8]) -> Vec<u8> {
    let mut redactor = Redactor::new(secrets);
    let mut shown = Vec::with_capacity(bytes.len());
    redactor.push(bytes, &mut shown);
    redactor.finish(&mut shown);
    shown
}

/// A file without secrets.
struct Redacted {
    trace: Trace,
    path: PathBuf,
    file: File,
    redactor: Redactor,
    ready: Vec<u8>,
}

impl Redacted {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.redactor.push(bytes, &mut self.ready);
        self.flush()
    }

    /// Writes what the redactor holds back, before another one takes over.
    fn end_part(&mut self) -> Result<(), Error> {
        self.redactor.finish(&mut self.ready);
        self.flush()
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.end_part()
    }

    fn flush(&mut self) -> Result<(), Error> {
        let written = self.file.write_all(&self.ready);
        self.ready.clear();
        written.map_err(|error| self.trace.broken(&self.path, &error))
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn failed(path: &Path, error: &io::Error) -> Error {
    Error::Trace {
        path: path.to_owned(),
        reason: text::reason(error),
    }
}

/// A header field's value without its secrets: credentials, tokens, the values of cookies.
fn shown(name: &str, value: &str) -> String {
    let name = name.to_ascii_lowercase();
    let pair = |cookie: &str| match cookie.split_once('=') {
        Some((name, _)) => format!("{name}={REDACTED}"),
        None => REDACTED.to_owned(),
    };
    if name == "cookie" {
        value.split(';').map(pair).collect::<Vec<_>>().join(";")
    } else if name == "set-cookie" {
        match value.split_once(';') {
            Some((cookie, attributes)) => format!("{};{attributes}", pair(cookie)),
            None => pair(value),
        }
    } else if ["authorization", "cookie", "token"]
        .iter()
        .any(|secret| name.contains(secret))
    {
        match value.split_once(' ') {
            Some((scheme @ ("Basic" | "Bearer" | "Digest" | "Negotiate"), _)) => {
                format!("{scheme} {REDACTED}")
            }
            _ => REDACTED.to_owned(),
        }
    } else {
        value.to_owned()
    }
}

/// The value in a `Set-Cookie` field, without its quotes.
fn cookie_value(field: &str) -> &str {
    let pair = field.split(';').next().unwrap_or_default();
    let value = pair.split_once('=').map_or("", |(_, value)| value);
    value.trim().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_without_their_secrets() {
        for (name, value, wanted) in [
            ("Authorization", "Basic dTpw", "Basic (redacted)"),
            ("authorization", "s3cret", "(redacted)"),
            ("Proxy-Authorization", "Negotiate abc", "Negotiate (redacted)"),
            ("X-Auth-Token", "s3cret", "(redacted)"),
            ("Cookie", "a=s3cret; b=s3cret", "a=(redacted); b=(redacted)"),
            (
                "Set-Cookie",
                "a=\"s3cret\"; Path=/; HttpOnly",
                "a=(redacted); Path=/; HttpOnly",
            ),
            ("Set-Cookie", "s3cret", "(redacted)"),
            ("SOAPAction", "\"urn:vim25/8.0\"", "\"urn:vim25/8.0\""),
        ] {
            assert_eq!(shown(name, value), wanted, "{name}: {value}");
        }
        assert_eq!(cookie_value("a=\"s3cret\"; Path=/"), "s3cret");
    }
}
