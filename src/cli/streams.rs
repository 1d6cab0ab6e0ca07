//! Stdin and stdout.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, StdinLock, StdoutLock, Write};
use std::os::fd::AsFd;

use rustix::fs::{OFlags, fcntl_getfl};

use super::error::Failure;
use super::json::TerminalJson;
use crate::cancel::Cancel;
use crate::error::Kind;
use crate::text;

/// Standard input, buffered. Fails if stdin is a terminal, because then the pipe is missing.
pub fn stdin() -> Result<BufReader<StdinLock<'static>>, Failure> {
    if io::stdin().is_terminal() {
        return Err(Failure::new(
            Kind::NoInput,
            "stdin is a terminal; pipe a mapping in, or redirect a file with <",
        ));
    }
    Ok(stdin_or_terminal())
}

/// Standard input, buffered, for a command that people also type into.
pub fn stdin_or_terminal() -> BufReader<StdinLock<'static>> {
    BufReader::with_capacity(64 * 1024, io::stdin().lock())
}

/// Standard output, buffered.
pub fn stdout() -> BufWriter<Stdout> {
    BufWriter::with_capacity(64 * 1024, Stdout(io::stdout().lock()))
}

/// Standard output, unbuffered. The standard library's own searches everything for the end of the last line.
#[derive(Debug)]
pub struct Stdout(StdoutLock<'static>);

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Standard output, buffered. A blocking write fails when the token is set, with [`crate::cancel::Cancelled`] in the error.
pub fn stdout_until(cancel: &Cancel) -> Until {
    Until {
        cancel: cancel.clone(),
        buffer: Vec::with_capacity(Until::BUFFER),
    }
}

/// Standard output, buffered, until the token is set.
pub struct Until {
    cancel: Cancel,
    buffer: Vec<u8>,
}

impl Until {
    /// Each write starts a thread, so the buffer is large.
    const BUFFER: usize = 256 * 1024;
}

impl Write for Until {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == Until::BUFFER {
            self.flush()?;
        }
        let (fitting, _) = bytes.split_at(bytes.len().min(Until::BUFFER - self.buffer.len()));
        self.buffer.extend_from_slice(fitting);
        Ok(fitting.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // The thread may still be writing after we stop waiting, so it owns its descriptor and the buffer.
        let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let mut buffer = std::mem::take(&mut self.buffer);
        let written = self.cancel.unblocked(move || {
            stdout.write_all(&buffer)?;
            buffer.clear();
            Ok(buffer)
        });
        self.buffer = written.unwrap_or_else(|cancelled| Err(io::Error::other(cancelled)))?;
        Ok(())
    }
}

/// Standard output for JSON, buffered. On a terminal, characters that control it are escaped.
pub fn json_stdout() -> TerminalJson<BufWriter<Stdout>> {
    TerminalJson::new(stdout(), io::stdout().is_terminal())
}

/// Like [`json_stdout`], but a blocking write fails when the token is set, as with [`stdout_until`].
pub fn json_stdout_until(cancel: &Cancel) -> TerminalJson<Until> {
    TerminalJson::new(stdout_until(cancel), io::stdout().is_terminal())
}

/// Prints text that is a command's whole result, such as the answer to `--check`. On a terminal, characters that control it
/// are replaced.
pub fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().is_terminal() {
        true => print_raw(&text::printable(text)),
        false => print_raw(text),
    }
}

/// Prints text unchanged, even on a terminal, for a command that converts its input.
pub fn print_raw(text: &str) -> Result<(), Failure> {
    write_out(stdout(), text)
}

/// Prints JSON.
pub fn print_json(text: &str) -> Result<(), Failure> {
    write_out(json_stdout(), text)
}

fn write_out(mut out: impl Write, text: &str) -> Result<(), Failure> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::of_stdout(&error))
}

/// Whether a descriptor is open for writing. std ignores the error of a write to a descriptor that is open for reading only.
pub(super) fn is_writable(descriptor: impl AsFd) -> bool {
    let mode = fcntl_getfl(descriptor).map(|flags| flags & OFlags::ACCMODE);
    mode != Ok(OFlags::RDONLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_of_a_descriptor_decides_whether_it_is_writable() {
        let null = |read, write| {
            let mut options = File::options();
            options.read(read).write(write).open("/dev/null").unwrap()
        };
        assert!(!is_writable(null(true, false)));
        assert!(is_writable(null(false, true)));
        assert!(is_writable(null(true, true)));
        let (reader, writer) = io::pipe().unwrap();
        assert!(!is_writable(reader));
        assert!(is_writable(writer));
    }
}
