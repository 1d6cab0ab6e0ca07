//! `vw-escape`: VMware's four escaping schemes, both ways.
//!
//! It is a converter, and like base64 it writes what it is told to, also to a terminal.

use std::io::{BufRead, Read, Write};
use std::process::ExitCode;

use vw::cli::Context as _;
use vw::cli::{self, Failure};
use vw::error::Kind;
use vw::escape::Scheme;

/// Escape names as VMware does, or read escaped ones
#[derive(clap::Parser)]
#[command(name = "vw-escape", version)]
struct Args {
    /// Read escaped text
    #[arg(short, long)]
    decode: bool,
    /// Texts end with NUL instead of a line break, in and out
    #[arg(short = 'z', long)]
    null: bool,
    /// What kind of text it is
    scheme: Scheme,
    /// Texts; without any, the lines of stdin
    string: Vec<String>,
}

/// No name or annotation comes near this many bytes; a stream without line breaks must not fill the memory.
const LONGEST: u64 = 1 << 20;

fn main() -> ExitCode {
    cli::main_without_messages(|args: Args| match args.string.as_slice() {
        [] => args.map_stdin(),
        // A single text can hold line breaks, for no other has to be told from it.
        [text] => {
            let mapped = args.map(text).with_context(|| text.clone())?;
            Ok(cli::print_raw(&format!("{mapped}{}", args.end()))?)
        }
        texts => {
            let mut mapped = String::new();
            for text in texts {
                mapped += &args.map_to_line(text).with_context(|| text.clone())?;
            }
            Ok(cli::print_raw(&mapped)?)
        }
    })
}

impl Args {
    fn end(&self) -> char {
        if self.null { '\0' } else { '\n' }
    }

    fn map(&self, text: &str) -> cli::Result<String> {
        if self.decode {
            Ok(self.scheme.decode(text)?)
        } else {
            Ok(self.scheme.encode(text))
        }
    }

    /// The mapped text with its end, which stands nowhere else in it.
    fn map_to_line(&self, text: &str) -> cli::Result<String> {
        let mut mapped = self.map(text)?;
        if mapped.contains(self.end()) {
            let problem = match self.null {
                true => "has a NUL in it, and would look like two",
                false => "has a line break in it, and would look like two; use -z",
            };
            return Err(Failure::new(Kind::Data, problem).into());
        }
        mapped.push(self.end());
        Ok(mapped)
    }

    fn map_stdin(&self) -> cli::Result<()> {
        let mut input = cli::stdin_or_terminal();
        let mut output = cli::stdout();
        let mut bytes = Vec::new();
        for number in 1u64.. {
            // Before waiting for more, say what there is: the other side may wait for it.
            if input.buffer().is_empty() {
                output.flush().map_err(|error| Failure::of_stdout(&error))?;
            }
            bytes.clear();
            let read = input
                .by_ref()
                .take(LONGEST)
                .read_until(self.end() as u8, &mut bytes);
            read.map_err(|error| Failure::new(Kind::Io, format!("reading stdin: {error}")))?;
            if bytes.is_empty() {
                break;
            }
            let line = self.line(&bytes).with_context(|| format!("line {number}"))?;
            let written = output.write_all(line.as_bytes());
            written.map_err(|error| Failure::of_stdout(&error))?;
        }
        Ok(())
    }

    fn line(&self, bytes: &[u8]) -> cli::Result<String> {
        let text = match bytes.strip_suffix(&[self.end() as u8]) {
            Some(text) => text,
            None if bytes.len() as u64 == LONGEST => {
                let problem = format!("{LONGEST} bytes or more, which no name has");
                return Err(Failure::new(Kind::Data, problem).into());
            }
            None => bytes,
        };
        match std::str::from_utf8(text) {
            Ok(text) => self.map_to_line(text),
            Err(error) => {
                let problem = format!("not UTF-8 after {} bytes", error.valid_up_to());
                Err(Failure::new(Kind::Data, problem).into())
            }
        }
    }
}
