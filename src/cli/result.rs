//! What a reporter prints: one line for each document, and what the status of the whole is.

use std::io::{self, Write};
use std::time::Instant;

use serde::Serialize;

use crate::error::Kind;

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The server holds all of it.
    Finished,
    /// Something of it was left out, refused or lost.
    Partial,
    /// It equals the one that the server has; where the server knows heartbeats it got one.
    Unchanged,
    /// The server was told that the reporter is alive.
    Heartbeat,
    /// It was sent, and nobody waited for what the server makes of it.
    Sent,
    /// It failed.
    Failed,
}

/// The result line of a document; `F` is a hypervisor that failed, with its members `id`, `name` and `error`.
#[derive(Debug, Serialize)]
pub struct Line<F> {
    /// The section in use, if any.
    pub section: Option<String>,
    /// The destination.
    pub server: String,
    /// The owner, or organisation, where it is known.
    pub owner: Option<String>,
    /// What became of the document.
    pub state: State,
    /// How many hypervisors the document has.
    pub hypervisors: usize,
    /// How many guests the document has.
    pub guests: usize,
    /// How many hypervisors are new to the server.
    pub created: usize,
    /// How many hypervisors the server changed.
    pub updated: usize,
    /// How many hypervisors the server knew so already.
    pub unchanged: usize,
    /// How many hypervisors and guests were left out on the way: the document's `omitted`, and what this stage left out.
    pub omitted: usize,
    /// Those that are not on the server as they should be.
    pub failed: Vec<F>,
    /// The ids of the server's jobs.
    pub jobs: Vec<String>,
    /// How long it took, in seconds, with milliseconds; [`super::documents::report`] sets it.
    pub seconds: f64,
}

impl<F> Line<F> {
    /// It took the time since then.
    pub fn set_seconds(&mut self, started: Instant) {
        self.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    }
}

/// The results of a run: prints them, and remembers the worst.
#[derive(Debug, Default)]
pub struct Results {
    worst: Option<Kind>,
    closed: bool,
}

impl Results {
    /// Prints a line. A reader that went away has had enough, which is no failure; what was to be done goes on.
    pub fn print<F: Serialize>(&mut self, line: &Line<F>) {
        if self.closed {
            return;
        }
        if let Err(error) = write(line) {
            self.closed = true;
            if error.kind() != io::ErrorKind::BrokenPipe {
                log::error!("writing to stdout: {error}");
                self.failed(Kind::Io);
            }
        }
    }

    /// Remembers a failure, which has been told already.
    pub fn failed(&mut self, kind: Kind) {
        self.worst = Some(match self.worst {
            Some(worst) if rank(worst) <= rank(kind) => worst,
            _ => kind,
        });
    }

    /// How the run ended.
    pub fn exit(self) -> super::Exit {
        self.worst.map_or(super::Exit::Ok, super::Exit::Failed)
    }
}

fn write(line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&text)?;
    stdout.flush()
}

/// Of several failures in one run the one of the lowest rank counts, first found first: those come first that only a
/// person can mend.
fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Signal(_) => 0,
        Kind::Software => 1,
        Kind::Config => 2,
        Kind::NoPerm => 3,
        Kind::Protocol => 4,
        Kind::Unavailable => 5,
        Kind::Data => 6,
        Kind::NoInput => 7,
        Kind::Io => 8,
        Kind::TempFail => 9,
        Kind::Usage => 10,
        Kind::ReaderGone => 11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;

    #[test]
    fn the_worst_failure_counts_and_of_equals_the_first() {
        let of = |kinds: &[Kind]| {
            let mut results = Results::default();
            kinds.iter().for_each(|kind| results.failed(*kind));
            results.exit()
        };
        assert_eq!(of(&[]), Exit::Ok);
        assert_eq!(of(&[Kind::TempFail]), Exit::Failed(Kind::TempFail));
        let order = [
            Kind::TempFail,
            Kind::Io,
            Kind::NoInput,
            Kind::Data,
            Kind::Unavailable,
            Kind::Protocol,
            Kind::NoPerm,
            Kind::Config,
            Kind::Software,
        ];
        for (n, kind) in order.iter().enumerate() {
            assert_eq!(of(&order[..=n]), Exit::Failed(*kind));
            let mut back: Vec<Kind> = order[..=n].to_vec();
            back.reverse();
            assert_eq!(of(&back), Exit::Failed(*kind));
        }
    }

    #[test]
    fn a_line_has_the_members_that_are_promised() {
        #[derive(Serialize)]
        struct Failed {
            id: &'static str,
            name: Option<String>,
            error: &'static str,
        }
        let failed = vec![Failed {
            id: "a",
            name: None,
            error: "no",
        }];
        let line = Line {
            section: None,
            server: "https://sub.example.com".to_owned(),
            owner: Some("org".to_owned()),
            state: State::Partial,
            hypervisors: 2,
            guests: 3,
            created: 1,
            updated: 0,
            unchanged: 0,
            omitted: 4,
            failed,
            jobs: vec!["j".to_owned()],
            seconds: 0.25,
        };
        let expected = concat!(
            r#"{"section":null,"server":"https://sub.example.com","owner":"org","state":"partial","#,
            r#""hypervisors":2,"guests":3,"created":1,"updated":0,"unchanged":0,"omitted":4,"#,
            r#""failed":[{"id":"a","name":null,"error":"no"}],"jobs":["j"],"seconds":0.25}"#
        );
        assert_eq!(serde_json::to_string(&line).unwrap(), expected);
    }
}
