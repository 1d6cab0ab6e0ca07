//! Requests.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use ureq::http::Method;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A request to a path below the server's [`Base`](super::Base).
///
/// Its `Debug` shows no values of header fields and no body, which may hold secrets.
#[derive(Clone)]
pub struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, Secret)>,
    pub(super) body: Option<&'a [u8]>,
    pub(super) limit: u64,
    pub(super) silence: Option<Duration>,
    pub(super) repeatable: bool,
    pub(super) label: Option<&'static str>,
    pub(super) secrets: Vec<Secret>,
    pub(super) secret_answer: bool,
}

impl<'a> Request<'a> {
    fn new(method: Method, path: impl Into<String>, body: Option<&'a [u8]>, repeatable: bool) -> Self {
        Request {
            method,
            path: path.into(),
            headers: Vec::new(),
            body,
            limit: 1 << 30,
            silence: None,
            repeatable,
            label: None,
            secrets: Vec::new(),
            secret_answer: false,
        }
    }

    /// A GET of `path`, which is appended to the base's path. It must be percent-encoded already.
    pub fn get(path: impl Into<String>) -> Self {
        Request::new(Method::GET, path, None, true)
    }

    /// A DELETE of `path`.
    pub fn delete(path: impl Into<String>) -> Self {
        Request::new(Method::DELETE, path, None, true)
    }

    /// A PUT of `body` at `path`.
    pub fn put(path: impl Into<String>, content_type: &str, body: &'a [u8]) -> Self {
        Request::new(Method::PUT, path, Some(body), true).header("Content-Type", content_type)
    }

    /// A POST of `body` to `path`. See [`repeatable`](Request::repeatable).
    pub fn post(path: impl Into<String>, content_type: &str, body: &'a [u8]) -> Self {
        Request::new(Method::POST, path, Some(body), false).header("Content-Type", content_type)
    }

    /// Adds a header field.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, Secret::from(value.to_owned())));
        self
    }

    /// Adds a login by HTTP Basic authentication, and keeps the password out of the trace and of errors.
    pub fn basic(mut self, user: &str, password: &Secret) -> Self {
        let value = basic(user, password.expose());
        let pair = value
            .expose()
            .split(' ')
            .next_back()
            .unwrap_or_default()
            .to_owned();
        self.secrets.push(Secret::from(pair));
        self.headers.push(("Authorization", value));
        self.secret(password.expose())
    }

    /// Allows the server to compress its answer, which is decompressed while it is read.
    pub fn gzip(self) -> Self {
        self.header("Accept-Encoding", "gzip")
    }

    /// Sets the most bytes that the answer's body may have after decompression; 1 GiB by default.
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Sets how long the server may be silent, instead of the endpoint's limit, such as for a poll that waits for changes.
    pub fn silence(mut self, limit: Duration) -> Self {
        self.silence = Some(limit);
        self
    }

    /// Names the operation, for the files of a [`Trace`](super::Trace).
    pub fn label(mut self, name: &'static str) -> Self {
        self.label = Some(name);
        self
    }

    /// Keeps `text` out of the trace of this exchange, and out of its error if the server quotes it there.
    pub fn secret(mut self, text: &str) -> Self {
        self.secrets.push(Secret::from(text.to_owned()));
        self
    }

    /// Keeps all texts of the answer out of the trace, because one of them is a secret, such as a session's key. Only XML tags are
    /// saved.
    pub fn secret_answer(mut self) -> Self {
        self.secret_answer = true;
        self
    }

    /// Declares that it makes no difference whether the request arrives once or twice, as for one that only reads.
    ///
    /// A server may close a kept connection while the next request is on its way. Then it is unknown whether the server has handled
    /// the request, and only a repeatable one is sent again. GET, PUT and DELETE are always repeatable (RFC 9110, 9.2.2).
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// The value of a header field for HTTP Basic authentication (RFC 7617). It leaves no copy in memory.
pub(super) fn basic(user: &str, password: &str) -> Secret {
    const SCHEME: &str = "Basic ";
    let mut pair = Zeroizing::new(String::with_capacity(user.len() + 1 + password.len()));
    pair.push_str(user);
    pair.push(':');
    pair.push_str(password);
    // One allocation, because a string that grows leaves copies behind.
    let mut value = String::with_capacity(SCHEME.len() + pair.len().div_ceil(3) * 4);
    value.push_str(SCHEME);
    base64::prelude::BASE64_STANDARD.encode_string(pair.as_bytes(), &mut value);
    Secret::from(value)
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{} {path} {:?}", self.method, self.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_no_secret() {
        let request = Request::get("/x?token=s3cret")
            .basic("me", &Secret::from("s3cret".to_owned()))
            .header("Cookie", "s3cret");
        let shown = format!("{request:?}");
        assert!(shown.starts_with("GET /x "), "{shown}");
        assert!(!shown.contains("s3cret") && !shown.contains("bWU6"), "{shown}");
    }
}
