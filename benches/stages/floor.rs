//! The floors: programs that do only what their stage cannot avoid.
//!
//! | floor | what it does | of |
//! |---|---|---|
//! | `events` | reads the same XML from a socket, also over TLS, has quick-xml find its events, writes the same document | scan, watch |
//! | `ids` | reads the document into memory, has serde_json find each hypervisor and parse it for its id, writes it | filter |
//! | `typed` | reads the documents into memory, has serde_json make typed values of them, writes the same output | show, diff |
//! | `send` | the same as `typed`; then sends the same requests over as many connections, and reads the answers | both reporters |
//! | `nothing` | prints a line | the start of a command |
//!
//! The floor of vw-run is a shell script with the same pipelines.

use std::borrow::Cow;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use quick_xml::events::Event;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Result, host_and_port};

/// Runs a floor by its name and arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["events", url, authority, output] => events(url, authority, output),
        ["ids"] => ids(),
        ["typed", output, ref documents @ ..] => {
            for document in documents {
                typed(document)?;
            }
            copy(output)
        }
        ["send", url, connections, requests, document] => {
            typed(document)?;
            send(host_and_port(url), connections.parse()?, requests)
        }
        ["nothing"] => Ok(writeln!(io::stdout(), "vw 0.1.0")?),
        _ => Err(format!("no such floor: {arguments:?}").into()),
    }
}

/// Writes the content of a file.
fn copy(output: &str) -> Result<()> {
    Ok(io::stdout().write_all(&fs::read(output)?)?)
}

/// Reads a page with quick-xml.
fn events(url: &str, authority: &str, output: &str) -> Result<()> {
    let stream = TcpStream::connect(host_and_port(url))?;
    match url.starts_with("https:") {
        false => read_events(stream)?,
        true => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(authority)?)?;
            let config = ClientConfig::builder()
                .with_root_certificates(roots)
                .with_no_client_auth();
            let name = ServerName::try_from("127.0.0.1")?;
            read_events(StreamOwned::new(
                ClientConnection::new(Arc::new(config), name)?,
                stream,
            ))?;
        }
    }
    copy(output)
}

fn read_events(mut stream: impl Read + Write) -> Result<()> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
    let mut answer = BufReader::with_capacity(64 * 1024, stream);
    let length = head(&mut answer, &mut Vec::new())?.ok_or("no answer")?;
    let mut reader = quick_xml::Reader::from_reader(answer.take(length));
    let mut buffer = Vec::new();
    while !matches!(black_box(reader.read_event_into(&mut buffer)?), Event::Eof) {
        buffer.clear();
    }
    Ok(())
}

/// Copies a mapping, each hypervisor by itself.
fn ids() -> Result<()> {
    #[derive(Deserialize)]
    struct Document<'d> {
        #[serde(borrow)]
        hypervisors: Vec<&'d RawValue>,
    }
    #[derive(Deserialize)]
    struct Hypervisor<'d> {
        #[serde(borrow)]
        uuid: Cow<'d, str>,
    }
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    let document: Document<'_> = serde_json::from_slice(&text)?;
    let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    write!(out, "{{\"hypervisors\":[")?;
    for hypervisor in document.hypervisors {
        black_box(serde_json::from_str::<Hypervisor<'_>>(hypervisor.get())?.uuid);
        out.write_all(hypervisor.get().as_bytes())?;
        out.write_all(b",")?;
    }
    Ok(writeln!(out, "]}}")?)
}

/// Makes typed values of a mapping.
fn typed(document: &str) -> Result<()> {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "they are only parsed")]
    struct Document<'d> {
        #[serde(borrow)]
        hypervisors: Vec<Hypervisor<'d>>,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "they are only parsed")]
    struct Hypervisor<'d> {
        #[serde(borrow)]
        uuid: Cow<'d, str>,
        #[serde(borrow)]
        name: Cow<'d, str>,
        #[serde(borrow)]
        facts: &'d RawValue,
        guests: Vec<Guest<'d>>,
    }
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "they are only parsed")]
    struct Guest<'d> {
        #[serde(borrow, rename = "guestId")]
        id: Cow<'d, str>,
        state: u8,
        #[serde(borrow)]
        attributes: &'d RawValue,
    }
    let text = fs::read(document)?;
    black_box(serde_json::from_slice::<Document<'_>>(&text)?);
    Ok(())
}

/// Sends requests, each when the answer to the one before it on its connection has arrived.
fn send(server: &str, connections: usize, requests: &str) -> Result<()> {
    let requests = Mutex::new(BufReader::with_capacity(64 * 1024, File::open(requests)?));
    let converse = || -> io::Result<()> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        let mut answers = BufReader::with_capacity(64 * 1024, stream);
        let mut bytes = Vec::new();
        loop {
            let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
            if !message(&mut *requests, &mut bytes)? {
                return Ok(());
            }
            drop(requests);
            answers.get_mut().write_all(&bytes)?;
            message(&mut answers, &mut bytes)?;
            black_box(&bytes);
        }
    };
    thread::scope(|scope| {
        let conversing: Vec<_> = (0..connections).map(|_| scope.spawn(converse)).collect();
        for thread in conversing {
            thread.join().map_err(|_| "a connection's thread failed")??;
        }
        Ok(())
    })
}

/// Reads a message of HTTP/1.1 whose body has a length; false at the end.
fn message(messages: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<bool> {
    bytes.clear();
    let Some(length) = head(messages, bytes)? else {
        return Ok(false);
    };
    match messages.take(length).read_to_end(bytes)? as u64 == length {
        true => Ok(true),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Appends the head of a message of HTTP/1.1. Returns the length of its body, or nothing at the end.
fn head(messages: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<Option<u64>> {
    let mut length = 0;
    loop {
        let line = bytes.len();
        if messages.read_until(b'\n', bytes)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&bytes[line..]);
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            None if line.trim().is_empty() => return Ok(Some(length)),
            _ => {}
        }
    }
}
