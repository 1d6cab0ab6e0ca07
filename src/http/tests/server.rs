//! A server whose connections are handled by the test.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http::{Base, Endpoint, Proxy};

/// The server's side of a connection, with or without TLS.
pub(super) trait Stream: Read + Write {
    /// Reads a request; `None` if the client has closed the connection.
    fn request(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            match self.read(&mut byte) {
                Ok(1) => bytes.push(byte[0]),
                _ => return None,
            }
        }
        let head = String::from_utf8(bytes).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.read_exact(&mut body).ok()?;
        Some(head + &String::from_utf8(body).unwrap())
    }

    /// Sends text, unless the client has closed the connection.
    fn send(&mut self, text: impl AsRef<[u8]>)
    where
        Self: Sized,
    {
        let _ = self.write_all(text.as_ref()).and_then(|()| self.flush());
    }
}

impl<S: Read + Write> Stream for S {}

/// A listening server; its thread ends with the tests.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Each connection, counted from 0, gets a thread that serves it.
    pub(super) fn start(serve: impl Fn(usize, TcpStream, &Server) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            seen: Arc::default(),
        };
        let own = server.clone();
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let number = own.connections.fetch_add(1, Ordering::SeqCst);
                let (own, serve) = (own.clone(), serve.clone());
                std::thread::spawn(move || serve(number, stream.unwrap(), &own));
            }
        });
        server
    }

    /// Answers every request with the same text.
    pub(super) fn answering(text: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Server::start(move |_, mut stream, server| {
            while let Some(request) = stream.request() {
                server.note(request);
                stream.send(&text);
            }
        })
    }

    /// Answers `hello` within TLS.
    pub(super) fn with_tls(config: ServerConfig) -> Self {
        let config = Arc::new(config);
        Server::start(move |_, stream, server| {
            let mut stream = tls(stream, &config);
            while let Some(request) = stream.request() {
                server.note(request);
                stream.send(HELLO);
            }
            // Read to the end: closing earlier could drop an alert that is on its way.
            let _ = stream.sock.shutdown(std::net::Shutdown::Write);
            let _ = std::io::copy(&mut stream.sock, &mut std::io::sink());
        })
    }

    pub(super) fn note(&self, request: String) {
        self.seen.lock().unwrap().push(request);
    }

    /// The requests so far.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// The number of connections so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// An endpoint without a proxy; `scheme` is `http` or `https`, and `host` any name of this machine.
    pub(super) fn endpoint(&self, scheme: &str, host: &str) -> Endpoint {
        let text = format!("{scheme}://{host}:{}", self.address.port());
        let mut endpoint = Endpoint::new(Base::parse(&text, 0, "").unwrap());
        endpoint.proxy = Proxy::none("the test");
        endpoint
    }

    pub(super) fn plain(&self) -> Endpoint {
        self.endpoint("http", "127.0.0.1")
    }
}

pub(super) const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

pub(super) fn tls(stream: TcpStream, config: &Arc<ServerConfig>) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream)
}
