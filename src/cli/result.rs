//! Result lines, such as those of a reporter for each document, and the exit status that follows from them.

mod read;
mod readable;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::time::{Instant, SystemTime};

pub use readable::fitted;
use serde::{Serialize, Serializer};

use super::error::Error;
use super::exit::Exit;
use super::stamp;
use super::streams::json_stdout;
use crate::error::Kind;
use crate::mapping::LeftOut;
use crate::text;

/// The state of a document in its result line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The server holds all of it.
    Finished,
    /// Part of it was left out, refused or lost.
    Partial,
    /// It equals the last accepted document. If the server supports heartbeats, one was sent.
    Unchanged,
    /// A heartbeat was sent.
    Heartbeat,
    /// It was sent, without waiting for the server to process it.
    Sent,
    /// Nothing of it arrived.
    Failed,
}

/// The result line of a document.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The time of the end, in UTC. [`Line::end`] sets it.
    pub time: String,
    /// The section in use, if any.
    pub section: Option<String>,
    /// The destination.
    pub server: String,
    /// The owner, or organisation, if it is known.
    pub owner: Option<String>,
    /// The state of the document.
    pub state: State,
    /// Why the document failed, in one line. [`Line::end`] sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many hypervisors the document has.
    pub hypervisors: usize,
    /// How many guests the document has.
    pub guests: usize,
    /// How many hypervisors are new to the server.
    pub created: usize,
    /// How many hypervisors the server changed.
    pub updated: usize,
    /// How many hypervisors were already the same on the server.
    pub unchanged: usize,
    /// How many vanished hypervisors were deleted. Absent if none was.
    #[serde(skip_serializing_if = "is_zero")]
    pub deleted: usize,
    /// How many hypervisors and guests were left out: the document's `omitted`, and what this stage left out.
    pub omitted: usize,
    /// The hypervisors that failed or were left out.
    #[serde(serialize_with = "each")]
    pub failed: Vec<LeftOut>,
    /// The ids of the server's jobs.
    pub jobs: Vec<String>,
    /// The pause that the server asks for, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The duration in seconds, rounded to milliseconds. [`Line::end`] sets it.
    pub seconds: f64,
}

impl Line {
    /// Sets the time, the duration since `started`, and the error.
    pub fn end(&mut self, started: Instant, failed: Option<&Error>) {
        self.time = stamp::utc(SystemTime::now());
        self.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        if let Some(error) = failed {
            self.error = Some(text::message(&format!("{error:#}")));
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it like this")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The hypervisors that failed, each with `id`, `name` and `error`.
fn each<S: Serializer>(failed: &[LeftOut], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Failed<'a> {
        id: Option<&'a str>,
        name: Option<&'a str>,
        error: Cow<'a, str>,
    }
    serializer.collect_seq(failed.iter().map(|failed| Failed {
        id: failed.id.as_deref(),
        name: failed.name.as_deref(),
        error: text::without_numbers(&failed.reason),
    }))
}

/// The format of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// JSON, one line each.
    #[default]
    Json,
    /// A line for people, followed by what failed.
    Readable,
}

impl Form {
    /// Readable on a terminal, unless `--json` is given.
    pub fn new(json: bool) -> Self {
        match !json && io::stdout().is_terminal() {
            true => Form::Readable,
            false => Form::Json,
        }
    }
}

/// A line about a result.
pub trait Shown: Serialize {
    /// The line for people, with everything that belongs to it, and a newline at the end.
    fn readable(&self) -> String;
}

impl Shown for Line {
    fn readable(&self) -> String {
        readable::here(self)
    }
}

/// Prints the results of a run, and keeps the worst failure.
#[derive(Debug, Default)]
pub struct Results {
    worst: Option<Kind>,
    closed: bool,
    form: Form,
}

impl Results {
    /// Results in this format.
    pub fn new(form: Form) -> Self {
        Results {
            form,
            ..Results::default()
        }
    }

    /// Prints a line. If the reader of stdout is gone, nothing is printed: this is not a failure, and the work goes on.
    pub fn print(&mut self, line: &impl Shown) {
        self.print_as(line, None);
    }

    /// Prints a line of another command as that has printed it, or in a form for people.
    pub fn pass_on(&mut self, line: &Line, printed: &str) {
        self.print_as(line, Some(printed));
    }

    fn print_as(&mut self, line: &impl Shown, printed: Option<&str>) {
        if self.closed {
            return;
        }
        if let Err(error) = self.write(line, printed) {
            self.closed = true;
            if error.kind() != io::ErrorKind::BrokenPipe {
                log::error!("writing to stdout: {error}");
                self.failed(Kind::Io);
            }
        }
    }

    fn write(&self, line: &impl Shown, printed: Option<&str>) -> io::Result<()> {
        let mut stdout = json_stdout();
        match self.form {
            Form::Json => {
                match printed {
                    Some(printed) => stdout.write_all(printed.as_bytes())?,
                    None => serde_json::to_writer(&mut stdout, line)?,
                }
                stdout.write_all(b"\n")?;
            }
            Form::Readable => stdout.write_all(line.readable().as_bytes())?,
        }
        stdout.flush()
    }

    /// Records a failure that has already been reported.
    pub fn failed(&mut self, kind: Kind) {
        self.worst = Some(match self.worst {
            Some(worst) if rank(worst) <= rank(kind) => worst,
            _ => kind,
        });
    }

    /// How the run ended.
    pub fn exit(self) -> Exit {
        self.worst.map_or(Exit::Ok, Exit::Failed)
    }
}

/// The rank of a failure. Of several failures in one run the one with the lowest rank decides the exit status. Failures that
/// only a person can fix come first.
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

    #[test]
    fn the_worst_failure_decides_the_exit_status() {
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

    fn line() -> Line {
        Line {
            time: String::new(),
            section: None,
            server: "https://sub.example.com".to_owned(),
            owner: Some("org".to_owned()),
            state: State::Partial,
            error: None,
            hypervisors: 2,
            guests: 3,
            created: 1,
            updated: 0,
            unchanged: 0,
            deleted: 0,
            omitted: 4,
            failed: vec![LeftOut {
                id: Some("a".to_owned()),
                reason: "no file (os error 2)".to_owned(),
                ..LeftOut::default()
            }],
            jobs: vec!["j".to_owned()],
            retry_after: None,
            seconds: 0.25,
        }
    }

    #[test]
    fn a_line_has_the_documented_members() {
        let expected = concat!(
            r#"{"time":"","section":null,"server":"https://sub.example.com","owner":"org","state":"partial","#,
            r#""hypervisors":2,"guests":3,"created":1,"updated":0,"unchanged":0,"omitted":4,"#,
            r#""failed":[{"id":"a","name":null,"error":"no file"}],"jobs":["j"],"seconds":0.25}"#
        );
        assert_eq!(serde_json::to_string(&line()).unwrap(), expected);
        let read = Line::read(&serde_json::from_str(expected).unwrap());
        assert_eq!(serde_json::to_string(&read).unwrap(), expected);
    }

    #[test]
    fn the_end_sets_the_time_and_the_error() {
        let mut line = line();
        line.end(Instant::now(), None);
        assert_eq!((line.time.len(), line.time.as_bytes()[19]), (20, b'Z'));
        assert_eq!(line.error, None);
        let failure = |text: &str| crate::cli::Error::from(crate::cli::Failure::new(Kind::Io, text));
        let error = failure("no file\n(os error 2)").context("reading");
        line.end(Instant::now(), Some(&error));
        assert_eq!(line.error.as_deref(), Some("reading: no file (os error 2)"));
        let error = failure("no file (os error 2)").context("reading");
        line.end(Instant::now(), Some(&error));
        assert_eq!(line.error.as_deref(), Some("reading: no file"));
    }
}
