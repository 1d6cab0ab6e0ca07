//! Records the answers that a scan reads.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

/// A relay between a scan and its server that keeps what the server sends.
pub(crate) struct Recorder {
    port: u16,
    /// Ends with the bytes of each connection.
    recording: JoinHandle<io::Result<Vec<File>>>,
}

impl Recorder {
    /// Waits for a scan, and passes its connections on to `server`.
    pub(crate) fn start(server: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let server = server.to_owned();
        let recording = thread::spawn(move || {
            let mut connections = Vec::new();
            loop {
                let (client, _) = listener.accept()?;
                // Our own empty connection ends it.
                if client.peek(&mut [0])? == 0 {
                    break;
                }
                connections.push(thread::spawn({
                    let server = TcpStream::connect(&server)?;
                    move || pass(client, server)
                }));
            }
            let recorded = connections.into_iter().map(|connection| {
                let file = connection.join();
                file.map_err(|_| io::Error::other("a connection's thread failed"))?
            });
            recorded.collect()
        });
        Ok(Recorder { port, recording })
    }

    /// Where the scan connects to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Writes the bodies of all answers, one after the other, and returns their size in bytes.
    pub(crate) fn finish(self, into: &mut File) -> crate::Result<u64> {
        TcpStream::connect(("127.0.0.1", self.port))?.shutdown(Shutdown::Both)?;
        let recorded = self.recording.join().map_err(|_| "the recorder failed")??;
        for file in recorded {
            bodies(&mut BufReader::new(file), into)?;
        }
        Ok(into.stream_position()?)
    }
}

fn pass(client: TcpStream, server: TcpStream) -> io::Result<File> {
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let asking = thread::spawn(move || {
        let passed = io::copy(&mut from_client, &mut to_server);
        to_server.shutdown(Shutdown::Write).and(passed)
    });
    let mut file = tempfile::tempfile()?;
    let (mut client, mut server) = (client, server);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        file.write_all(bytes)?;
        client.write_all(bytes)?;
    }
    // The client may be gone already.
    let _ = client.shutdown(Shutdown::Write);
    let _ = asking.join();
    file.rewind()?;
    Ok(file)
}

/// Removes the framing of HTTP/1.1.
fn bodies(answers: &mut impl BufRead, into: &mut impl Write) -> crate::Result<()> {
    while !answers.fill_buf()?.is_empty() {
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = line(answers)?.to_ascii_lowercase();
            match line.split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse()?,
                Some(("transfer-encoding", _)) => chunked = true,
                Some(("content-encoding", _)) => return Err("a compressed answer".into()),
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        loop {
            if chunked {
                length = u64::from_str_radix(&line(answers)?, 16)?;
            }
            if io::copy(&mut answers.take(length), into)? < length {
                return Err("an answer was cut".into());
            }
            if !chunked {
                break;
            }
            line(answers)?;
            if length == 0 {
                break;
            }
        }
    }
    Ok(())
}

fn line(answers: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
