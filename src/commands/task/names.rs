//! The names of virtual machines: from the arguments, or from stdin, one on each line.

use std::io::{self, BufRead, Read as _};
use std::vec;

use super::{Args, Wanted};
use crate::cancel::Cancel;
use crate::cli::{self, Failure};
use crate::error::Kind;

/// The longest line. A name of a virtual machine has at most 80 characters, and a path some hundred names.
const LONGEST: u64 = 64 * 1024;

/// The names that are left.
pub(super) enum Names {
    /// The arguments.
    Given(vec::IntoIter<String>),
    /// The lines of stdin.
    Lines(Cancel),
    /// No names are needed.
    All,
}

impl Names {
    /// Fails if there are too few or too many arguments for the action.
    pub(super) fn new(args: &Args, cancel: &Cancel) -> cli::Result<Self> {
        let usage = |problem: &str| Err(Failure::new(Kind::Usage, problem).into());
        let given = &args.machines;
        match (args.action, given.len()) {
            (Wanted::Answer, 0) => {
                usage("answer: name the virtual machine; see the pending questions with: questions")
            }
            (Wanted::Answer, 1 | 2) => {
                let machine: Vec<String> = given.iter().take(1).cloned().collect();
                Ok(Names::Given(machine.into_iter()))
            }
            (Wanted::Answer, _) => {
                usage("answer takes one VM and one CHOICE; quote a label that contains spaces")
            }
            (Wanted::Questions, 0) => Ok(Names::All),
            (_, 0) if io::IsTerminal::is_terminal(&io::stdin()) => {
                usage("no virtual machine: name one, or pipe names in, one on each line")
            }
            (_, 0) => Ok(Names::Lines(cancel.clone())),
            _ => Ok(Names::Given(given.clone().into_iter())),
        }
    }

    /// The first name. Fails if a name is needed and there is none.
    pub(super) fn first(&mut self) -> cli::Result<Option<String>> {
        match (self.next()?, &self) {
            (None, Names::Lines(_)) => {
                let problem = "no virtual machine: stdin is empty; did the command before this one fail?";
                Err(Failure::new(Kind::NoInput, problem).into())
            }
            (first, _) => Ok(first),
        }
    }

    /// The next name. Blank lines are skipped.
    pub(super) fn next(&mut self) -> cli::Result<Option<String>> {
        match self {
            Names::Given(names) => Ok(names.next()),
            Names::Lines(cancel) => loop {
                let line = cancel.unblocked(|| read_line(&mut io::stdin().lock()))?;
                let line = line.map_err(|error| {
                    let kind = match error.kind() {
                        io::ErrorKind::InvalidData => Kind::Data,
                        _ => Kind::Io,
                    };
                    Failure::new(kind, format!("stdin: {error}"))
                })?;
                match line {
                    None => return Ok(None),
                    Some(line) if line.trim().is_empty() => {}
                    Some(line) => return Ok(Some(line)),
                }
            },
            Names::All => Ok(None),
        }
    }
}

/// A line without its end, or none at the end of the input.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    input.take(LONGEST).read_until(b'\n', &mut line)?;
    let invalid = |problem: &str| Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    if line.is_empty() {
        return Ok(None);
    }
    if line.len() as u64 == LONGEST && line.last() != Some(&b'\n') {
        return invalid("a line is longer than any virtual machine's name");
    }
    let Ok(mut line) = String::from_utf8(line) else {
        return invalid("a name is not UTF-8");
    };
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    Ok(Some(line))
}
