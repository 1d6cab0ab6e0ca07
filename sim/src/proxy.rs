//! A proxy on loopback that leads to one server, for tests that interfere between a command and its server, or that use an HTTP
//! proxy.
//!
//! It accepts requests as if it were the server, requests whose line names a server (`GET http://HOST/PATH`), and CONNECT; all
//! of them go to the one server. [`Proxy::server`] makes it misbehave.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::http::{Body, Request, Response, Server, Service};

/// More than the header of any of the servers.
const MAX_HEAD: u64 = 64 * 1024;
const MAX_HEADERS: usize = 100;
/// A server that is silent for this long hangs.
const SILENCE: Duration = Duration::from_secs(120);

/// A running proxy. Dropping it ends it.
pub struct Proxy {
    server: Server,
}

impl Proxy {
    /// Starts a proxy before the server at this address.
    pub fn before(server: SocketAddr) -> io::Result<Proxy> {
        Proxy::start(server, None)
    }

    /// The same, but it demands this user and password in `Proxy-Authorization`; without them it answers 407.
    pub fn with_credentials(server: SocketAddr, user: &str, password: &str) -> io::Result<Proxy> {
        let pair = BASE64_STANDARD.encode(format!("{user}:{password}"));
        Proxy::start(server, Some(format!("Basic {pair}")))
    }

    fn start(server: SocketAddr, authorization: Option<String>) -> io::Result<Proxy> {
        let relay = Arc::new(Relay {
            server,
            authorization,
        });
        let server = Server::start(relay, None)?;
        Ok(Proxy { server })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The proxy's own HTTP server, to make it misbehave and to see its requests.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

struct Relay {
    server: SocketAddr,
    authorization: Option<String>,
}

impl Relay {
    fn knows(&self, request: &Request) -> bool {
        self.authorization.is_none() || request.header("Proxy-Authorization") == self.authorization.as_deref()
    }
}

impl Service for Relay {
    fn answer(&self, request: &Request) -> Response {
        if !self.knows(request) {
            let mut refusal = Response::new(407, "text/plain", "who are you?\n");
            refusal
                .headers
                .push(("Proxy-Authenticate".into(), "Basic realm=\"vw-sim\"".into()));
            return refusal;
        }
        let passed = pass_on(self.server, request);
        passed.unwrap_or_else(|error| Response::new(502, "text/plain", format!("no answer: {error}\n")))
    }

    fn tunnel(&self, request: &Request) -> Option<SocketAddr> {
        (request.method == "CONNECT" && self.knows(request)).then_some(self.server)
    }
}

/// Sends a request to the server and reads the head of its answer.
///
/// The client gets HTTP/1.1. The server gets HTTP/1.0, which has no chunks: its answer ends with the connection or
/// after its length.
fn pass_on(server: SocketAddr, request: &Request) -> io::Result<Response> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let mut head = format!("{} {}", request.method, path(request));
    if !request.query.is_empty() {
        head = head + "?" + &request.query;
    }
    head.push_str(" HTTP/1.0\r\n");
    for (name, value) in request.headers.iter().filter(|(name, _)| !of_this_hop(name)) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", request.body.len()));
    stream.write_all(head.as_bytes())?;
    stream.write_all(&request.body)?;
    let mut answer = BufReader::with_capacity(64 * 1024, stream);
    let mut response = read_head(&mut answer)?;
    let length = response
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("Content-Length"))
        .and_then(|(_, value)| value.parse().ok());
    response.headers.retain(|(name, _)| !of_this_hop(name));
    match length {
        Some(length) => {
            let mut body = Vec::new();
            answer.take(length).read_to_end(&mut body)?;
            response.body = Body::Bytes(body);
        }
        None => {
            let copy = move |out: &mut dyn Write| io::copy(&mut answer, out).map(drop);
            response.body = Body::Stream(Box::new(copy));
        }
    }
    Ok(response)
}

/// The path without the server that may be before it.
fn path(request: &Request) -> &str {
    match request.path.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => &request.path,
    }
}

/// Fields about one connection, not the request or answer (RFC 9110, 7.6.1), and those about the length, which is written again.
fn of_this_hop(name: &str) -> bool {
    let fields = [
        "connection",
        "proxy-authorization",
        "transfer-encoding",
        "content-length",
        "expect",
    ];
    fields.contains(&name.to_ascii_lowercase().as_str())
}

/// Reads status and header fields; the body is empty.
fn read_head(stream: &mut impl BufRead) -> io::Result<Response> {
    let mut head = Vec::new();
    let mut limited = stream.take(MAX_HEAD);
    while !head.ends_with(b"\r\n\r\n") {
        if limited.read_until(b'\n', &mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut fields);
    parsed.parse(&head).map_err(io::Error::other)?;
    let field = |field: &httparse::Header| {
        let value = String::from_utf8_lossy(field.value).into_owned();
        (field.name.to_owned(), value)
    };
    Ok(Response {
        status: parsed.code.unwrap_or(502),
        headers: parsed.headers.iter().map(field).collect(),
        body: Body::Bytes(Vec::new()),
    })
}
