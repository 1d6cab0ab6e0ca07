//! Records the requests that a report sends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Requests in the order in which they were sent, one after the other.
pub(crate) struct Requests {
    pub(crate) file: File,
    pub(crate) count: usize,
}

/// A relay between a report and its server that keeps what the report sends.
pub(crate) struct Recorder {
    port: u16,
    recording: JoinHandle<io::Result<Recorded>>,
}

/// The requests so far, and their number.
type Recorded = Arc<Mutex<(BufWriter<File>, usize)>>;

impl Recorder {
    /// Waits for a report, and passes its connections on to `server`.
    pub(crate) fn start(server: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let server = server.to_owned();
        let recorded: Recorded = Arc::new(Mutex::new((BufWriter::new(tempfile::tempfile()?), 0)));
        let recording = thread::spawn(move || {
            let mut connections = Vec::new();
            loop {
                let (client, _) = listener.accept()?;
                // Our own empty connection ends it.
                if client.peek(&mut [0])? == 0 {
                    break;
                }
                let (server, recorded) = (TcpStream::connect(&server)?, Arc::clone(&recorded));
                connections.push(thread::spawn(move || pass(&client, &server, &recorded)));
            }
            for connection in connections {
                let ended = connection.join();
                ended.map_err(|_| io::Error::other("a connection's thread failed"))??;
            }
            Ok(recorded)
        });
        Ok(Recorder { port, recording })
    }

    /// Where the report connects to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The requests of a report that has ended.
    pub(crate) fn finish(self) -> crate::Result<Requests> {
        TcpStream::connect(("127.0.0.1", self.port))?.shutdown(Shutdown::Both)?;
        let recorded = self.recording.join().map_err(|_| "the recorder failed")??;
        let recorded = Arc::into_inner(recorded).ok_or("a connection is still open")?;
        let (file, count) = recorded.into_inner().unwrap_or_else(PoisonError::into_inner);
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Requests { file, count })
    }
}

fn pass(client: &TcpStream, server: &TcpStream, recorded: &Recorded) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut answers, mut to_client) = (server.try_clone()?, client.try_clone()?);
    let answering = thread::spawn(move || {
        // The client may be gone already.
        let _ = io::copy(&mut answers, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut requests, mut server) = (BufReader::new(client), server);
    let mut bytes = Vec::new();
    while request(&mut requests, &mut bytes)? {
        let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.0.write_all(&bytes)?;
        recorded.1 += 1;
        drop(recorded);
        server.write_all(&bytes)?;
        bytes.clear();
    }
    let _ = server.shutdown(Shutdown::Write);
    let _ = answering.join();
    Ok(())
}

/// Appends the next message of HTTP/1.1, whose body has a length; false at the end.
pub(crate) fn request(messages: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = 0;
    loop {
        let line = bytes.len();
        if messages.read_until(b'\n', bytes)? == 0 {
            return Ok(false);
        }
        let line = String::from_utf8_lossy(&bytes[line..]);
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            None if line.trim().is_empty() => break,
            _ => {}
        }
    }
    let read = messages.take(length).read_to_end(bytes)?;
    if (read as u64) < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(true)
}
