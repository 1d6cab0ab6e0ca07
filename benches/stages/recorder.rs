//! Records what a command and its server say to each other.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

use crate::Result;

/// A relay between a command and a plain server that keeps what passes, in a file for each connection and direction.
pub(crate) struct Recorder {
    folder: TempDir,
    port: u16,
    recording: JoinHandle<io::Result<()>>,
}

impl Recorder {
    /// Waits for a command, and passes its connections on to the server with this URL.
    pub(crate) fn start(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let server = crate::host_and_port(server).to_owned();
        let folder = tempfile::tempdir()?;
        let files = folder.path().to_owned();
        let recording = thread::spawn(move || {
            let mut passing = Vec::new();
            loop {
                let (client, _) = listener.accept()?;
                // Our own empty connection ends it.
                if client.peek(&mut [0])? == 0 {
                    break;
                }
                let server = TcpStream::connect(&server)?;
                let number = passing.len();
                let requests = append(&files.join(format!("requests-{number}")))?;
                let answers = append(&files.join(format!("answers-{number}")))?;
                let (from_client, from_server) = (client.try_clone()?, server.try_clone()?);
                passing.push(thread::spawn(move || pass(from_client, server, requests)));
                passing.push(thread::spawn(move || pass(from_server, client, answers)));
            }
            for direction in passing {
                let ended = direction.join();
                ended.map_err(|_| io::Error::other("a connection's thread failed"))??;
            }
            Ok(())
        });
        Ok(Recorder {
            folder,
            port,
            recording,
        })
    }

    /// Where the command connects to.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Forgets what has passed so far. Nothing may be on its way.
    pub(crate) fn forget(&self) -> Result<()> {
        for file in files(self.folder.path(), "")? {
            append(&file)?.set_len(0)?;
        }
        Ok(())
    }

    /// Writes the bodies of all answers into a file, one after the other. All connections must have ended.
    pub(crate) fn bodies(self, into: &Path) -> Result<()> {
        let folder = self.finish()?;
        let mut into = File::create(into)?;
        for file in files(folder.path(), "answers-")? {
            bodies(&mut BufReader::new(File::open(file)?), &mut into)?;
        }
        Ok(())
    }

    /// Writes all requests into a file, those of each connection together. All connections must have ended.
    pub(crate) fn requests(self, into: &Path) -> Result<()> {
        let folder = self.finish()?;
        let mut into = File::create(into)?;
        for file in files(folder.path(), "requests-")? {
            io::copy(&mut File::open(file)?, &mut into)?;
        }
        Ok(())
    }

    /// The folder of the files.
    fn finish(self) -> Result<TempDir> {
        TcpStream::connect(("127.0.0.1", self.port))?.shutdown(Shutdown::Both)?;
        self.recording.join().map_err(|_| "the recorder failed")??;
        Ok(self.folder)
    }
}

fn append(file: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(file)
}

/// The files of a recorder whose names begin so.
fn files(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Passes one direction of a connection on, and keeps it.
fn pass(mut from: TcpStream, mut to: TcpStream, mut keep: File) -> io::Result<()> {
    to.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // A process that ends may reset its connections.
        let length = from.read(&mut buffer).unwrap_or(0);
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        keep.write_all(bytes)?;
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    Ok(())
}

/// Removes the framing of HTTP/1.1.
fn bodies(answers: &mut impl BufRead, into: &mut impl Write) -> Result<()> {
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
