//! A small client, so that the servers are not tested by code that shares their mistakes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// An answer, with its chunks joined.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

pub(crate) struct Client {
    stream: BufReader<Box<dyn Stream>>,
}

impl Client {
    /// Connects to `http://127.0.0.1:PORT`.
    pub(crate) fn plain(url: &str) -> Client {
        let stream = connect(url.strip_prefix("http://").unwrap());
        Client {
            stream: BufReader::new(Box::new(stream)),
        }
    }

    /// Connects to `https://127.0.0.1:PORT` and verifies the certificate for a name.
    pub(crate) fn tls(url: &str, authority: &str, name: &str) -> Result<Client, String> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut session = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = connect(url.strip_prefix("https://").unwrap());
        while session.is_handshaking() {
            session.complete_io(&mut stream).map_err(|e| e.to_string())?;
        }
        Ok(Client {
            stream: BufReader::new(Box::new(StreamOwned::new(session, stream))),
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    /// Sends a request with a body and reads its answer.
    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: sim\r\nContent-Length: {length}\r\n{headers}\r\n");
        self.write(head.as_bytes());
        self.write(body);
        self.answer().unwrap()
    }

    /// The next answer; an error says where it was cut.
    pub(crate) fn answer(&mut self) -> Result<Answer, String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).map_err(|e| e.to_string())? == 0 {
                return Err(format!("end in the head {head:?}"));
            }
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let field = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, v)| v)
        };
        let mut body = Vec::new();
        if let Some(length) = field("Content-Length") {
            self.read(length.parse().unwrap(), &mut body)?;
        } else if field("Transfer-Encoding") == Some("chunked") {
            loop {
                let mut size = String::new();
                self.stream.read_line(&mut size).map_err(|e| e.to_string())?;
                let size =
                    usize::from_str_radix(size.trim(), 16).map_err(|_| format!("no chunk: {size:?}"))?;
                self.read(size, &mut body)?;
                self.read(2, &mut Vec::new())?;
                if size == 0 {
                    break;
                }
            }
        } else if status >= 200 {
            self.stream.read_to_end(&mut body).map_err(|e| e.to_string())?;
        }
        Ok(Answer { status, head, body })
    }

    fn read(&mut self, length: usize, body: &mut Vec<u8>) -> Result<(), String> {
        let mut limited = (&mut self.stream).take(length as u64);
        match limited.read_to_end(body) {
            Ok(read) if read == length => Ok(()),
            Ok(read) => Err(format!("end after {read} of {length} bytes")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The first bytes of an unframed body.
    pub(crate) fn body_start(&mut self, length: usize) -> Vec<u8> {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert!(self.stream.read_line(&mut line).unwrap() > 0);
        }
        let mut body = Vec::new();
        self.read(length, &mut body).unwrap();
        body
    }

    /// Whether the server has closed the connection.
    pub(crate) fn closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0) | Err(_))
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}
