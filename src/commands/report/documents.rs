//! The loop of a reporter over the documents on stdin.
//!
//! It reads ahead, and keeps only the newest waiting document of each source. A document that fails for now is tried again until
//! it is accepted or a newer one replaces it. A failure that the next document would meet as well ends the reporter.

use std::time::{Duration, Instant};

use super::inbox::{Inbox, Next};
use super::limit::{self, TimeLimit};
use super::settings::{Memo, Settings};
use crate::backoff::Backoff;
use crate::cancel::Cancel;
use crate::cli::result::{Line, Results};
use crate::cli::{self, Error, Exit};
use crate::error::{Classify, Kind};
use crate::http;
use crate::mapping::Mapping;

/// The longest pause between two attempts, whatever the server asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// How long printing a result line may take after a signal.
const LAST_LINE: Duration = Duration::from_secs(1);

/// What came of an attempt to report a document.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Its result line; `None` with `--dry-run`.
    pub line: Option<Line>,
    /// Why the document is not reported, or not all of it.
    pub failed: Option<Error>,
    /// Whether another attempt may work, later.
    pub again: bool,
    /// Whether the next document would fail the same way, for example because the credentials were refused. Trying again may
    /// lock the account. A failure of the kind [`Kind::Config`] always ends the reporter.
    pub ends: bool,
    /// How long the server asks to wait before another attempt, if `failed` does not say it.
    pub asked_pause: Option<Duration>,
    /// Other failures, which have been logged already: they count for the exit status.
    pub besides: Vec<Kind>,
}

impl Attempt {
    /// An attempt without a result line.
    pub(super) fn without_line(done: cli::Result<()>) -> Self {
        Attempt {
            line: None,
            failed: done.err(),
            again: false,
            ends: false,
            asked_pause: None,
            besides: Vec::new(),
        }
    }

    fn ends_reporter(&self) -> bool {
        let kind = self.failed.as_ref().map(Error::kind);
        kind.is_some() && (self.ends || kind == Some(Kind::Config))
    }
}

/// Reports documents to one kind of system.
pub(super) trait Reporter {
    /// What attempts at a document have delivered so far.
    type Delivered: Default;

    /// Its settings.
    fn settings(&self) -> &Settings;

    /// Asks for the password, once, if one is needed for a document.
    fn ask_password(&self, mapping: &Mapping, cancel: &Cancel) -> cli::Result<()>;

    /// Tries to report a document before the moment `until`.
    fn attempt(
        &self,
        mapping: &Mapping,
        memo: &mut Memo<Self::Delivered>,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> Attempt;

    /// Logs an error in one line.
    fn log_error(&self, error: &Error) {
        log::error!("{error:#}");
    }
}

/// Reports each document on stdin, prints its result line and logs its failure.
pub(super) fn report<R: Reporter>(reporter: &R, cancel: &Cancel) -> cli::Result<Exit> {
    let inbox = Inbox::from_stdin(cancel)?;
    let mut results = Results::new(reporter.settings().form);
    loop {
        let mapping = match inbox.next() {
            Ok(Some(mapping)) => mapping,
            Ok(None) => return Ok(results.exit()),
            Err(error) => {
                reporter.log_error(&error);
                results.failed(error.kind());
                return Ok(results.exit());
            }
        };
        let done = report_newest(reporter, &inbox, mapping, &mut results, cancel)?;
        if settle(reporter, done, &mut results, cancel) == Then::End {
            return Ok(results.exit());
        }
    }
}

/// Reports a document, or the newer documents that replace it one after the other; returns what came of the last.
///
/// A result line is printed for each. The failure of a document that was replaced does not count.
fn report_newest<R: Reporter>(
    reporter: &R,
    inbox: &Inbox,
    mut mapping: Mapping,
    results: &mut Results,
    cancel: &Cancel,
) -> cli::Result<Attempt> {
    let settings = reporter.settings();
    loop {
        let memo = settings.prepare(&mut mapping, inbox.backlog());
        // A prompt before a document has arrived, or for one that is refused, would be pointless.
        if !settings.refuses(&mapping, &memo) {
            reporter.ask_password(&mapping, cancel)?;
        }
        let started = Instant::now();
        let limit = TimeLimit::new(settings.connection.time(), started);
        let attempt = |mapping: &_, memo: &mut _, until| reporter.attempt(mapping, memo, until, cancel);
        let (mut done, newer) = try_until_settled(inbox, &mapping, memo, &limit, attempt);
        if let Some(mut line) = done.line.take() {
            line.end(started, done.failed.as_ref());
            // vw-run, which starts the next attempt, waits that long.
            let asked = done
                .failed
                .as_ref()
                .and_then(|error| asked_pause(error, done.asked_pause));
            line.retry_after = asked.map(|asked| asked.as_secs_f64().ceil() as u64);
            // Nobody may be reading the results, for example on a terminal after Ctrl-S.
            let late = Cancel::default();
            let _guards = (late.follow_late(cancel, LAST_LINE), cli::end_at_once(&late));
            results.print(&line);
        }
        match newer {
            Some(newer) => mapping = newer,
            None => return Ok(done),
        }
    }
}

/// Tries a document until it is accepted, fails for good, runs out of time, or is replaced by the newer one that is returned.
fn try_until_settled<M>(
    inbox: &Inbox,
    mapping: &Mapping,
    mut memo: M,
    limit: &TimeLimit,
    mut attempt: impl FnMut(&Mapping, &mut M, Option<Instant>) -> Attempt,
) -> (Attempt, Option<Mapping>) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let mut latest = None;
    let mut previous = None;
    loop {
        let until = limit.of_attempt(Instant::now());
        let until = until.into_iter().chain(latest).min();
        let mut done = attempt(mapping, &mut memo, until);
        let Some(error) = done.failed.take() else {
            return (done, None);
        };
        let is_late = limit::is_late(&error);
        let message = format!("{error:#}");
        let error = done.failed.insert(limit.explain(error, previous.clone()));
        if !done.again {
            return (done, None);
        }
        if !is_late {
            previous = Some(message);
        }
        let pause = backoff.pause(asked_pause(error, done.asked_pause));
        let next = inbox.pause(mapping, limit, pause, || {
            log::warn!("{error:#}; trying again in {} s", pause.as_secs_f32());
        });
        match next {
            Next::GiveUp => return (done, None),
            Next::Again(end) => latest = end,
            Next::Newer(newer) => return (done, Some(*newer)),
        }
    }
}

/// How long the server asks us to wait, by the error or `besides` it.
fn asked_pause(error: &Error, besides: Option<Duration>) -> Option<Duration> {
    let mut errors = error.chain().filter_map(http::Error::of);
    let asked = errors.find_map(http::Error::retry_after).max(besides);
    asked.map(|asked| asked.min(LONGEST_PAUSE))
}

/// Whether to go on to the next document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Next,
    End,
}

/// Logs the failure of a document, and counts it.
fn settle<R: Reporter>(reporter: &R, done: Attempt, results: &mut Results, cancel: &Cancel) -> Then {
    let ends = done.ends_reporter();
    done.besides.into_iter().for_each(|kind| results.failed(kind));
    let Some(error) = done.failed else {
        return Then::Next;
    };
    let kind = error.kind();
    reporter.log_error(&error);
    results.failed(kind);
    // A signal has interrupted the attempt, or prevents another one.
    if let (true, Err(cancelled)) = (done.again || is_signal(kind), cancel.check()) {
        if !is_signal(kind) {
            reporter.log_error(&cancelled.into());
        }
        results.failed(cancelled.kind());
        return Then::End;
    }
    match ends {
        true => Then::End,
        false => Then::Next,
    }
}

fn is_signal(kind: Kind) -> bool {
    matches!(kind, Kind::Signal(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Failure;

    #[test]
    fn a_late_document_fails_with_the_reason_of_the_attempt_before() {
        let inbox = Inbox::ended();
        let limit = TimeLimit::new(Some(Duration::from_secs(100)), Instant::now());
        let server = || "sub:443".to_owned();
        let mut errors = vec![
            http::Error::Timeout {
                server: server(),
                limit: http::Limit::Deadline,
            },
            http::Error::Cut {
                server: server(),
                unanswered: true,
            },
        ];
        let attempt = |_: &Mapping, _: &mut (), _| Attempt {
            again: errors.len() > 1,
            ..Attempt::without_line(errors.pop().map_or(Ok(()), |error| Err(error.into())))
        };
        let (done, newer) = try_until_settled(&inbox, &Mapping::default(), (), &limit, attempt);
        let message = format!("{:#}", done.failed.unwrap());
        assert!(newer.is_none());
        let (previous, last) = message.split_once("; the last attempt: ").unwrap();
        assert!(
            previous.contains("ended before") && last.ends_with("; see --timeout"),
            "{message}"
        );
    }

    #[test]
    fn an_attempt_knows_when_it_has_to_be_done() {
        let inbox = Inbox::ended();
        for timeout in [None, Some(Duration::from_secs(5))] {
            let limit = TimeLimit::new(timeout, Instant::now());
            let mut given = None;
            let attempt = |_: &Mapping, _: &mut (), until| {
                given = until;
                Attempt::without_line(Ok(()))
            };
            try_until_settled(&inbox, &Mapping::default(), (), &limit, attempt);
            let (given, longest) = (given.unwrap(), timeout.unwrap_or(limit::LONGEST));
            assert!(given > Instant::now() && given <= Instant::now() + longest);
        }
    }

    #[test]
    fn a_wrong_configuration_ends_a_stream_and_a_wrong_document_does_not() {
        let of = |kind, ends| Attempt {
            ends,
            ..Attempt::without_line(Err(Failure::new(kind, "no").into()))
        };
        assert!(of(Kind::Config, false).ends_reporter() && of(Kind::NoPerm, true).ends_reporter());
        for kind in [Kind::NoPerm, Kind::Data, Kind::Protocol, Kind::Unavailable] {
            assert!(!of(kind, false).ends_reporter(), "{kind:?}");
        }
        assert!(!Attempt::without_line(Ok(())).ends_reporter());
    }
}
