//! Mappings on stdin and stdout.

use std::io::{self, BufReader, IsTerminal, StdinLock, Write};

use super::args;
use super::error::{Error, Failure};
use super::streams::stdin;
use crate::mapping::{self, Layout, Reader, Style, Writer};

/// The mappings on stdin.
pub fn reader() -> Result<Reader<BufReader<StdinLock<'static>>>, Failure> {
    Ok(Reader::new(stdin()?))
}

/// Adds advice to an error of [`reader`], if the input is missing or incomplete.
pub fn advise(error: Error) -> Error {
    let advised = match error.downcast_ref() {
        Some(mapping::Error::Empty) => {
            "no input: the command before this one failed; see its message".to_owned()
        }
        Some(mapping::Error::Cut { .. }) => {
            format!("{error:#}: the command before this one failed; see its message")
        }
        _ => return error,
    };
    Failure::new(error.kind(), advised).into()
}

/// Begins a document in the format that the options choose. `out` is usually [`super::json_stdout`].
pub fn writer<W: Write>(out: W, options: &args::Output) -> Writer<W> {
    let style = match options {
        args::Output { pretty: true, .. } => Style::Pretty,
        args::Output { compact: true, .. } => Style::Compact,
        _ if io::stdout().is_terminal() => Style::Pretty,
        _ => Style::Compact,
    };
    let layout = options.layout.unwrap_or(Layout::Mapping);
    Writer::new(out, layout, style).with_omitted(!options.no_omitted)
}
