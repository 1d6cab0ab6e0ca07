//! Answers of servers in trouble, web pages in place of answers, and answers made to do harm.
//!
//! Each is a [`Fault`] for [`Server::misbehave`](crate::http::Server::misbehave). An endless answer ends with the connection.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::http::{Fault, Response};

/// How many bytes of an endless answer are written at once.
const PIECE: usize = 64 * 1024;

/// A status with a line of text.
pub fn status(status: u16) -> Fault {
    Fault::Answer(Response::new(status, "text/plain", "not now\n"))
}

/// A status with a `Retry-After`: seconds, or a date.
pub fn retry_after(status: u16, when: &str) -> Fault {
    let mut response = Response::new(status, "text/plain", "not now\n");
    response.headers.push(("Retry-After".into(), when.into()));
    Fault::Answer(response)
}

/// A web page, as a proxy or portal sends it in place of an answer.
pub fn page(status: u16) -> Fault {
    let page = "<!DOCTYPE html>\n<html><head><title>Please log in</title></head><body><p>You</body></html>\n";
    Fault::Answer(Response::new(status, "text/html; charset=utf-8", page))
}

/// A redirect to another place.
pub fn redirect(status: u16, location: &str) -> Fault {
    let mut response = Response::new(status, "text/plain", "");
    response.headers.push(("Location".into(), location.into()));
    Fault::Answer(response)
}

/// An answer with status 200.
pub fn answer(content_type: &str, body: impl Into<Vec<u8>>) -> Fault {
    Fault::Answer(Response::new(200, content_type, body))
}

/// An answer with status 200 that begins with `start` and repeats `piece` for ever.
pub fn endless(content_type: &str, start: &str, piece: &str) -> Fault {
    let (start, pieces) = (start.to_owned(), pieces(piece));
    Fault::Answer(Response::stream(200, content_type, move |out| {
        out.write_all(start.as_bytes())?;
        for_ever(out, &pieces)
    }))
}

/// The same compressed to about a hundredth.
pub fn bomb(content_type: &str, start: &str, piece: &str) -> Fault {
    let (start, pieces) = (start.to_owned(), pieces(piece));
    let mut response = Response::stream(200, content_type, move |out| {
        let mut packed = GzEncoder::new(out, Compression::fast());
        packed.write_all(start.as_bytes())?;
        for_ever(&mut packed, &pieces)
    });
    response.headers.push(("Content-Encoding".into(), "gzip".into()));
    Fault::Answer(response)
}

/// Sends these bytes, which need not be HTTP, and ends the connection.
pub fn raw(bytes: impl Into<Vec<u8>>) -> Fault {
    let bytes = bytes.into();
    Fault::Raw(Box::new(move |out| out.write_all(&bytes)))
}

/// An answer whose header never ends: `piece` for ever after the status line.
pub fn endless_header(status_line: &str, piece: &str) -> Fault {
    let (start, pieces) = (format!("{status_line}\r\n"), pieces(piece));
    Fault::Raw(Box::new(move |out| {
        out.write_all(start.as_bytes())?;
        for_ever(out, &pieces)
    }))
}

/// As many pieces as are written at once.
fn pieces(piece: &str) -> Vec<u8> {
    piece.repeat(PIECE / piece.len().max(1) + 1).into_bytes()
}

fn for_ever(out: &mut dyn Write, pieces: &[u8]) -> io::Result<()> {
    loop {
        out.write_all(pieces)?;
    }
}
