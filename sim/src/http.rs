//! The HTTP server under the simulators: requests and answers, plain or by TLS.
//!
//! A thread serves each connection. [`Server::misbehave`] makes the server fail on purpose; [`Server::requests`] lists its requests.

mod connection;
mod server;
mod tls;

use std::io::{self, Write};
use std::net::SocketAddr;

pub use server::{Fault, Logged, Server};
pub use tls::{Authority, Certificate, Client, Tls};

/// A request as it came in, its body complete.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, …
    pub method: String,
    /// The path before the `?`, as it was sent (not percent-decoded).
    pub path: String,
    /// The text after the `?`, or nothing.
    pub query: String,
    /// The header fields in order, with their names as they were sent.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
    /// The common name in the client's certificate, if it sent one of the server's authority.
    pub peer: Option<String>,
}

impl Request {
    /// The first header field of this name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// An answer.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header fields, without those about the length of the body.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// Writes a body while it is sent.
pub type Stream = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// The body of an answer.
pub enum Body {
    /// Sent with its length.
    Bytes(Vec<u8>),
    /// Sent in chunks while it is made.
    Stream(Stream),
}

impl Response {
    /// An answer with a body of a content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Response {
            status,
            headers: vec![("Content-Type".into(), content_type.into())],
            body: Body::Bytes(body.into()),
        }
    }

    /// An answer whose body is made while it is sent, in chunks.
    pub fn stream(
        status: u16,
        content_type: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Response {
            status,
            headers: vec![("Content-Type".into(), content_type.into())],
            body: Body::Stream(Box::new(write)),
        }
    }
}

/// Answers requests, from several threads at once.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: &Request) -> Response;

    /// What goes wrong with this request, unless [`Server::misbehave`] has planned something else.
    fn fault(&self, _request: &Request) -> Option<Fault> {
        None
    }

    /// The address to connect the client with instead of an answer, as a proxy does after CONNECT.
    fn tunnel(&self, _request: &Request) -> Option<SocketAddr> {
        None
    }
}
