//! Escapes and unescapes names as VMware does: vw-escape(1).
//!
//! Like base64(1), it prints the result unchanged, even on a terminal.

use std::io::{BufRead, Read, Write};
use std::process::ExitCode;

use crate::cli::Context as _;
use crate::cli::{self, Failure};
use crate::error::Kind;
use crate::escape;

/// Escape names as VMware does, or unescape them
#[derive(clap::Parser)]
#[command(name = "vw-escape", version)]
struct Args {
    /// Unescape instead of escaping
    #[arg(short, long)]
    decode: bool,
    /// End each text with NUL instead of a newline, in input and output
    #[arg(short = 'z', long)]
    null: bool,
    /// Kind of text
    scheme: Scheme,
    /// Texts to convert [default: the lines of stdin]
    string: Vec<String>,
}

/// The kind of text, as the command line names it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Scheme {
    /// Name of an object in the vSphere API
    Name,
    /// The displayName of a VMX file
    VmxName,
    /// The annotation of a VMX file
    Annotation,
    /// Name of a file or folder in a datastore
    DatastoreItem,
}

impl From<Scheme> for escape::Scheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Name => escape::Scheme::Name,
            Scheme::VmxName => escape::Scheme::VmxName,
            Scheme::Annotation => escape::Scheme::Annotation,
            Scheme::DatastoreItem => escape::Scheme::DatastoreItem,
        }
    }
}

/// The longest line of stdin, in bytes. Names and annotations are far shorter; a stream without newlines must not fill the memory.
const LONGEST: u64 = 1 << 20;

/// The command line.
pub fn command() -> clap::Command {
    cli::command_without_messages::<Args>()
}

/// Runs vw-escape.
pub fn main() -> ExitCode {
    cli::main_without_messages(|args: Args| match args.string.as_slice() {
        [] => args.convert_stdin(),
        // A single result may contain newlines: there is no other to separate it from.
        [text] => {
            let converted = args.convert(text).with_context(|| text.clone())?;
            Ok(cli::print_raw(&format!("{converted}{}", args.terminator()))?)
        }
        texts => {
            let mut lines = String::new();
            for text in texts {
                lines += &args.convert_to_line(text).with_context(|| text.clone())?;
            }
            Ok(cli::print_raw(&lines)?)
        }
    })
}

impl Args {
    fn terminator(&self) -> char {
        if self.null { '\0' } else { '\n' }
    }

    fn convert(&self, text: &str) -> cli::Result<String> {
        let scheme = escape::Scheme::from(self.scheme);
        if self.decode {
            Ok(scheme.decode(text)?)
        } else {
            Ok(scheme.encode(text))
        }
    }

    /// The converted text with its terminator. Fails if the text itself contains the terminator.
    fn convert_to_line(&self, text: &str) -> cli::Result<String> {
        let mut line = self.convert(text)?;
        if line.contains(self.terminator()) {
            let problem = match self.null {
                true => "the result contains a NUL, so it would look like two results",
                false => "the result contains a newline, so it would look like two results; use -z",
            };
            return Err(Failure::new(Kind::Data, problem).into());
        }
        line.push(self.terminator());
        Ok(line)
    }

    fn convert_stdin(&self) -> cli::Result<()> {
        let mut input = cli::stdin_or_terminal();
        let mut output = cli::stdout();
        let mut bytes = Vec::new();
        for number in 1u64.. {
            // The program at the other end may wait for these results before it writes more.
            if input.buffer().is_empty() {
                output.flush().map_err(|error| Failure::of_stdout(&error))?;
            }
            bytes.clear();
            let read = input
                .by_ref()
                .take(LONGEST)
                .read_until(self.terminator() as u8, &mut bytes);
            read.map_err(|error| Failure::new(Kind::Io, format!("reading stdin: {error}")))?;
            if bytes.is_empty() {
                break;
            }
            let line = self
                .convert_bytes(&bytes)
                .with_context(|| format!("line {number}"))?;
            let written = output.write_all(line.as_bytes());
            written.map_err(|error| Failure::of_stdout(&error))?;
        }
        Ok(())
    }

    fn convert_bytes(&self, bytes: &[u8]) -> cli::Result<String> {
        let text = match bytes.strip_suffix(&[self.terminator() as u8]) {
            Some(text) => text,
            None if bytes.len() as u64 == LONGEST => {
                let problem = format!("{LONGEST} bytes or longer");
                return Err(Failure::new(Kind::Data, problem).into());
            }
            None => bytes,
        };
        match std::str::from_utf8(text) {
            Ok(text) => self.convert_to_line(text),
            Err(error) => {
                let problem = format!("invalid UTF-8 at byte {}", error.valid_up_to() + 1);
                Err(Failure::new(Kind::Data, problem).into())
            }
        }
    }
}
