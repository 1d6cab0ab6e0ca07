//! One connection's bytes: requests read, answers written.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::{Body, Request, Response};

/// More than the request line and header of any of our clients.
const MAX_HEAD: u64 = 64 * 1024;
const MAX_HEADERS: usize = 100;
/// A check-in of 5,000 hypervisors with 100,000 guests has about 12 MB.
const MAX_BODY: u64 = 256 * 1024 * 1024;
/// Bytes of a streamed body in one chunk.
const CHUNK: usize = 32 * 1024;

/// Why there is no further request on a connection.
pub(super) enum NoRequest {
    /// The client is done, or gone.
    End,
    /// It sent something invalid, which gets this status; nothing more is read.
    Refused(u16, &'static str),
}

impl From<io::Error> for NoRequest {
    fn from(_: io::Error) -> Self {
        NoRequest::End
    }
}

/// A request, and what its header says about the form of the answer.
pub(super) struct Received {
    pub(super) request: Request,
    pub(super) keep_alive: bool,
    /// An HTTP/1.0 client knows no chunks.
    chunks: bool,
}

/// Reads the next request with its whole body.
pub(super) fn receive<S: Read + Write>(stream: &mut BufReader<S>) -> Result<Received, NoRequest> {
    let head = read_head(stream)?;
    let mut received = parse_head(&head)?;
    let request = &mut received.request;
    let framing = framing(request)?;
    if framing != Framing::Length(0) && expects_continue(request) {
        stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        stream.get_mut().flush()?;
    }
    request.body = match framing {
        Framing::Length(length) => read_exactly(stream, length)?,
        Framing::Chunked => read_chunks(stream)?,
    };
    Ok(received)
}

fn read_head(stream: &mut impl BufRead) -> Result<Vec<u8>, NoRequest> {
    // The client begins with TLS and will send no line. nginx and Apache answer this at once.
    if stream.fill_buf().is_ok_and(|begin| begin.first() == Some(&0x16)) {
        return Err(NoRequest::Refused(
            400,
            "this is TLS, and plain HTTP is spoken here",
        ));
    }
    let mut head = Vec::new();
    let mut limited = stream.take(MAX_HEAD);
    loop {
        let start = head.len();
        if limited.read_until(b'\n', &mut head)? == 0 {
            return match head.len() as u64 {
                MAX_HEAD => Err(NoRequest::Refused(431, "the header is too large")),
                _ => Err(NoRequest::End),
            };
        }
        let line = head[start..].trim_ascii_end();
        match (line.is_empty(), start) {
            // Empty lines before a request are to be skipped (RFC 9112, 2.2).
            (true, 0) => head.clear(),
            (true, _) => return Ok(head),
            (false, _) => {}
        }
    }
}

fn parse_head(head: &[u8]) -> Result<Received, NoRequest> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => {
            return Err(NoRequest::Refused(431, "too many header fields"));
        }
        _ => return Err(NoRequest::Refused(400, "this is no HTTP request")),
    }
    let target = parsed.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let field = |field: &httparse::Header| {
        let value = String::from_utf8_lossy(field.value).into_owned();
        (field.name.to_owned(), value)
    };
    let request = Request {
        method: parsed.method.unwrap_or("GET").to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: parsed.headers.iter().map(field).collect(),
        ..Request::default()
    };
    let newest = parsed.version == Some(1);
    let connection = request.header("Connection").unwrap_or("");
    let keep_alive = match newest {
        true => !connection.eq_ignore_ascii_case("close"),
        false => connection.eq_ignore_ascii_case("keep-alive"),
    };
    Ok(Received {
        request,
        keep_alive,
        chunks: newest,
    })
}

#[derive(PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
}

fn framing(request: &Request) -> Result<Framing, NoRequest> {
    if let Some(coding) = request.header("Transfer-Encoding") {
        return match coding.eq_ignore_ascii_case("chunked") {
            true => Ok(Framing::Chunked),
            false => Err(NoRequest::Refused(501, "this transfer coding is not known")),
        };
    }
    match request.header("Content-Length").map(str::parse) {
        None => Ok(Framing::Length(0)),
        Some(Ok(length)) if length <= MAX_BODY => Ok(Framing::Length(length)),
        Some(Ok(_)) => Err(TOO_LARGE),
        Some(Err(_)) => Err(NoRequest::Refused(400, "the content length is no number")),
    }
}

const TOO_LARGE: NoRequest = NoRequest::Refused(413, "the body is too large");

fn expects_continue(request: &Request) -> bool {
    let expect = request.header("Expect").unwrap_or("");
    expect.eq_ignore_ascii_case("100-continue")
}

fn read_exactly(stream: &mut impl Read, length: u64) -> Result<Vec<u8>, NoRequest> {
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    match body.len() as u64 == length {
        true => Ok(body),
        false => Err(NoRequest::End),
    }
}

fn read_chunks(stream: &mut impl BufRead) -> Result<Vec<u8>, NoRequest> {
    let mut body = Vec::new();
    loop {
        let line = read_line(stream)?;
        let size = line.split(';').next().unwrap_or("").trim();
        let Ok(size) = u64::from_str_radix(size, 16) else {
            return Err(NoRequest::Refused(400, "a chunk has no size"));
        };
        if size > MAX_BODY - body.len() as u64 {
            return Err(TOO_LARGE);
        }
        if size == 0 {
            // Trailer fields, which are ignored, end with an empty line.
            while !read_line(stream)?.trim().is_empty() {}
            return Ok(body);
        }
        body.append(&mut read_exactly(stream, size)?);
        if !read_line(stream)?.trim().is_empty() {
            return Err(NoRequest::Refused(400, "a chunk is longer than it says"));
        }
    }
}

fn read_line(stream: &mut impl BufRead) -> Result<String, NoRequest> {
    let mut line = String::new();
    let mut limited = stream.take(MAX_HEAD);
    match limited.read_line(&mut line)? > 0 && line.ends_with('\n') {
        true => Ok(line),
        false => Err(NoRequest::End),
    }
}

/// Writes an answer; fails on purpose after `limit` bytes of the body.
pub(super) fn send(
    stream: &mut dyn Write,
    received: &Received,
    response: Response,
    limit: Option<usize>,
) -> io::Result<()> {
    let status = response.status;
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !received.keep_alive {
        head.push_str("Connection: close\r\n");
    }
    let has_body = status >= 200 && status != 204 && status != 304;
    match &response.body {
        _ if !has_body => {}
        Body::Bytes(bytes) => head.push_str(&format!("Content-Length: {}\r\n", bytes.len())),
        Body::Stream(_) if received.chunks => head.push_str("Transfer-Encoding: chunked\r\n"),
        Body::Stream(_) => {}
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if has_body && received.request.method != "HEAD" {
        let mut cut = Cut {
            left: limit.unwrap_or(usize::MAX),
        };
        match response.body {
            Body::Bytes(bytes) => {
                let whole = cut.pass(&bytes);
                stream.write_all(whole)?;
                cut.check(bytes.len() - whole.len(), stream)?;
            }
            Body::Stream(write) => {
                let mut body = Streamed {
                    stream,
                    buffer: Vec::with_capacity(CHUNK),
                    chunks: received.chunks,
                    cut,
                };
                write(&mut body)?;
                body.end()?;
            }
        }
    }
    stream.flush()
}

/// A refusal by the server itself.
pub(super) fn refuse(stream: &mut dyn Write, status: u16, why: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status} {}\r\nConnection: close\r\n", reason(status));
    let body = format!(
        "Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{why}\n",
        why.len() + 1
    );
    stream.write_all((head + &body).as_bytes())?;
    stream.flush()
}

/// Cuts a body on purpose.
struct Cut {
    left: usize,
}

impl Cut {
    /// The part of these bytes that is still sent.
    fn pass<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let passed = &bytes[..bytes.len().min(self.left)];
        self.left -= passed.len();
        passed
    }

    fn check(&self, held_back: usize, stream: &mut dyn Write) -> io::Result<()> {
        if held_back == 0 {
            return Ok(());
        }
        stream.flush()?;
        Err(io::Error::other("cut on purpose"))
    }
}

/// A body that is sent while it is made.
struct Streamed<'a> {
    stream: &'a mut dyn Write,
    buffer: Vec<u8>,
    chunks: bool,
    cut: Cut,
}

impl Streamed<'_> {
    fn send_buffer(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.chunks {
            write!(self.stream, "{:x}\r\n", self.buffer.len())?;
        }
        let passed = self.cut.pass(&self.buffer);
        self.stream.write_all(passed)?;
        self.cut.check(self.buffer.len() - passed.len(), self.stream)?;
        if self.chunks {
            self.stream.write_all(b"\r\n")?;
        }
        self.buffer.clear();
        Ok(())
    }

    fn end(mut self) -> io::Result<()> {
        self.send_buffer()?;
        match self.chunks {
            true => self.stream.write_all(b"0\r\n\r\n"),
            false => Ok(()),
        }
    }
}

impl Write for Streamed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > CHUNK {
            self.send_buffer()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_buffer()?;
        self.stream.flush()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
