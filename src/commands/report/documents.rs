//! The documents on stdin, for a command that works on each as it comes.
//!
//! [`report`] is the loop of a reporter: it reads ahead, and of the documents of one source that wait only the newest counts. A
//! document that failed for now is tried again until it is accepted or a newer one takes its place. A failure that the next
//! document would meet as well ends the reporter.

mod limit;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub(super) use limit::LONGEST;

use self::limit::Limit;
use crate::backoff::Backoff;
use crate::cancel::{Cancel, HookGuard};
use crate::cli::result::{Form, Line, Results};
use crate::cli::{self, Error, Exit, Failure};
use crate::error::{Classify, Kind};
use crate::http;
use crate::mapping::Mapping;

/// No server is waited for any longer, whatever it asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// How many documents wait, each of another source, before no more are read.
const MOST_WAITING: usize = 64;

/// How long a signal may take to come after the end of the input: Ctrl-C ends the command before this one, too, and that may be
/// seen first.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// How long a result line is waited for after a signal.
const LAST_LINE: Duration = Duration::from_secs(1);

/// Without so much time left nothing is attempted again: a second, and what chance may take off the first pause, so that a short
/// `--timeout` allows the same number of attempts each time.
const ATTEMPT: Duration = Duration::from_millis(1250);

/// What came of an attempt to report a document.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Its result line; none where nothing was to be reported, as with `--dry-run`.
    pub line: Option<Line>,
    /// What went wrong.
    pub failed: Option<Error>,
    /// Whether the same again may work, later.
    pub again: bool,
    /// Whether the next document would fail the same way, such as where the credentials were refused: accounts get locked
    /// by those who try again. A failure of the kind [`Kind::Config`] always ends the reporter.
    pub ends: bool,
    /// What else went wrong, and has been told: it counts for the exit status.
    pub besides: Vec<Kind>,
}

impl Attempt {
    /// An attempt that has no result line.
    pub(super) fn without_line(done: cli::Result<()>) -> Self {
        Attempt {
            line: None,
            failed: done.err(),
            again: false,
            ends: false,
            besides: Vec::new(),
        }
    }

    fn ends_all(&self) -> bool {
        let kind = self.failed.as_ref().map(Error::kind);
        kind.is_some() && (self.ends || kind == Some(Kind::Config))
    }
}

/// Where documents are reported to, and how.
pub(super) trait Reporter {
    /// What is remembered from one attempt at a document to the next.
    type Memo;

    /// Makes a document ready to be reported.
    fn begin(&self, mapping: &mut Mapping) -> Self::Memo;

    /// Asks for the password that it needs, once. A prompt before a document has come, or for one that is refused, would be for
    /// nothing.
    fn ready(&self, mapping: &Mapping, memo: &Self::Memo, cancel: &Cancel) -> cli::Result<()>;

    /// Tries to report a document, to be done by the moment `until`.
    fn attempt(
        &self,
        mapping: &Mapping,
        memo: &mut Self::Memo,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> Attempt;

    /// Says what went wrong, in one line.
    fn say(&self, error: &Error) {
        log::error!("{error:#}");
    }
}

/// Reports each document on stdin, prints its result line in this form, and says what went wrong.
///
/// `timeout` is that of `--timeout`; without it a document has [`LONGEST`].
pub(super) fn report<R: Reporter>(
    reporter: &R,
    timeout: Option<Duration>,
    form: Form,
    cancel: &Cancel,
) -> cli::Result<Exit> {
    let documents = Documents::from_stdin(cancel)?;
    let mut results = Results::new(form);
    loop {
        let mut mapping = match documents.next() {
            Ok(Some(mapping)) => mapping,
            Ok(None) => return Ok(results.exit()),
            Err(error) => {
                reporter.say(&error);
                results.failed(error.kind());
                return Ok(results.exit());
            }
        };
        let done = loop {
            let memo = reporter.begin(&mut mapping);
            reporter.ready(&mapping, &memo, cancel)?;
            let started = Instant::now();
            let limit = Limit::new(timeout, started);
            let attempt = |mapping: &_, memo: &mut _, until| reporter.attempt(mapping, memo, until, cancel);
            let (mut done, newer) = documents.see_through(&mapping, memo, &limit, attempt);
            if let Some(mut line) = done.line.take() {
                line.end(started, done.failed.as_ref());
                // Nobody may be reading the results, as on a terminal after Ctrl-S.
                let late = Cancel::default();
                let _guards = (late.follow_late(cancel, LAST_LINE), cli::end_at_once(&late));
                results.print(&line);
            }
            // What is newer stands for what it replaces, and so does its success.
            match newer {
                Some(newer) => mapping = newer,
                None => break done,
            }
        };
        if settle(reporter, done, &mut results, cancel) == Then::End {
            return Ok(results.exit());
        }
    }
}

/// Whether to go on to the next document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Next,
    End,
}

/// Says what came of a document, and counts it.
fn settle<R: Reporter>(reporter: &R, done: Attempt, results: &mut Results, cancel: &Cancel) -> Then {
    let ends = done.ends_all();
    done.besides.into_iter().for_each(|kind| results.failed(kind));
    let Some(error) = done.failed else {
        return Then::Next;
    };
    let kind = error.kind();
    reporter.say(&error);
    results.failed(kind);
    // A signal has cut it off, or keeps us from trying again.
    if let (true, Err(cancelled)) = (done.again || is_signal(kind), cancel.check()) {
        if !is_signal(kind) {
            reporter.say(&cancelled.into());
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

/// How long the server asks us to wait.
fn asked_pause(error: &Error) -> Option<Duration> {
    let mut errors = error.chain().filter_map(http::Error::of);
    Some(errors.find_map(http::Error::retry_after)?.min(LONGEST_PAUSE))
}

/// What to do after an attempt.
#[derive(Debug)]
enum Next {
    /// Nothing more: no time is left for it.
    Settled,
    /// Try the document again, to be done by this moment.
    Again(Option<Instant>),
    /// A newer document of its source has come: try that one.
    Newer(Box<Mapping>),
}

/// Reads documents from stdin, in a thread, since no signal ends a read of a pipe that stays silent.
#[derive(Debug)]
struct Documents {
    inbox: Arc<Inbox>,
    cancel: Cancel,
    _hook: HookGuard,
}

#[derive(Debug, Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// What has been read and not been asked for.
#[derive(Debug, Default)]
struct Waiting {
    /// The newest document of each source.
    documents: VecDeque<Mapping>,
    /// When the input ended.
    ended: Option<Instant>,
    /// Why the input ended before its end.
    failed: Option<Error>,
}

impl Documents {
    fn from_stdin(cancel: &Cancel) -> Result<Self, Failure> {
        let inbox = Arc::<Inbox>::default();
        let reading = inbox.clone();
        let read = move || {
            let failed = read(|mapping| reading.add(mapping)).err();
            reading.change(|waiting| {
                waiting.ended = Some(Instant::now());
                waiting.failed = failed;
            });
        };
        let thread = thread::Builder::new().name("stdin".into());
        let started = thread.spawn(read);
        started.map_err(|error| Failure::new(Kind::Software, format!("reading stdin: {error}")))?;
        let woken = inbox.clone();
        Ok(Documents {
            inbox,
            cancel: cancel.clone(),
            _hook: cancel.on_cancel(move || woken.change(|_| {})),
        })
    }

    /// The next document; none at the end of the input.
    fn next(&self) -> cli::Result<Option<Mapping>> {
        let mut waiting = self.inbox.lock();
        loop {
            // What has come to its end is done, whatever signal comes then.
            if waiting.ended.is_some() && waiting.documents.is_empty() && waiting.failed.is_none() {
                return Ok(None);
            }
            self.cancel.check()?;
            if let Some(mapping) = waiting.documents.pop_front() {
                self.inbox.changed.notify_all();
                return Ok(Some(mapping));
            }
            if let Some(error) = waiting.failed.take() {
                drop(waiting);
                if error.kind() == Kind::NoInput {
                    self.cancel.sleep(SAME_SIGNAL)?;
                }
                return Err(error);
            }
            waiting = self.inbox.wait(waiting, None);
        }
    }

    /// Tries a document until it is done, failed for good, out of time, or replaced by the newer one that is returned.
    fn see_through<P>(
        &self,
        mapping: &Mapping,
        mut progress: P,
        limit: &Limit,
        mut attempt: impl FnMut(&Mapping, &mut P, Option<Instant>) -> Attempt,
    ) -> (Attempt, Option<Mapping>) {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut latest = None;
        let mut before = None;
        loop {
            let until = limit.of_attempt(Instant::now());
            let until = until.into_iter().chain(latest).min();
            let mut done = attempt(mapping, &mut progress, until);
            let told = done.failed.as_ref().map(|error| format!("{error:#}"));
            let late = done.failed.as_ref().is_some_and(limit::is_late);
            done.failed = done.failed.map(|error| limit.explain(error, before.clone()));
            let Some(error) = done.failed.as_ref().filter(|_| done.again) else {
                return (done, None);
            };
            if !late {
                before = told;
            }
            let pause = backoff.pause(asked_pause(error));
            let next = self.pause(mapping, limit, pause, |pause| {
                log::warn!("{error:#}; trying again in {} s", pause.as_secs_f32());
            });
            match next {
                Next::Settled => return (done, None),
                Next::Again(end) => latest = end,
                Next::Newer(newer) => return (done, Some(*newer)),
            }
        }
    }

    /// Lets a pause go by after a failure of `current`.
    ///
    /// It is not begun unless time for an attempt is left behind it.
    fn pause(&self, current: &Mapping, limit: &Limit, pause: Duration, say: impl FnOnce(Duration)) -> Next {
        let end = Instant::now() + pause;
        let mut say = Some(say);
        let mut waiting = self.inbox.lock();
        loop {
            let limit = limit.of_retries(waiting.ended);
            if self.cancel.check().is_err() || limit.is_some_and(|limit| limit < end + ATTEMPT) {
                return Next::Settled;
            }
            if let Some(say) = say.take() {
                say(pause);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return match waiting.newer_than(current) {
                    Some(newer) => Next::Newer(Box::new(newer)),
                    None => Next::Again(limit),
                };
            }
            waiting = self.inbox.wait(waiting, Some(left));
        }
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a document, when there is room for it.
    fn add(&self, mapping: Mapping) {
        let mut waiting = self.lock();
        if waiting.newer_than(&mapping).is_some() {
            log::info!("a newer document has come, the one before it is passed over");
        }
        while waiting.documents.len() >= MOST_WAITING {
            waiting = self.wait(waiting, None);
        }
        waiting.documents.push_back(mapping);
        self.changed.notify_all();
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait<'a>(&self, waiting: MutexGuard<'a, Waiting>, time: Option<Duration>) -> MutexGuard<'a, Waiting> {
        match time {
            None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                let woken = self.changed.wait_timeout(waiting, time);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

impl Waiting {
    /// Takes the waiting document of the same source.
    fn newer_than(&mut self, mapping: &Mapping) -> Option<Mapping> {
        let place = self.documents.iter().position(|own| one_source(own, mapping))?;
        self.documents.remove(place)
    }
}

/// Whether the documents tell of one source: the newer one of these replaces the older one, but not the one of another source.
fn one_source(one: &Mapping, other: &Mapping) -> bool {
    let about = |mapping: &Mapping| {
        mapping
            .tail
            .source
            .clone()
            .map(|source| (source.section, source.kind, source.server, source.instance_uuid))
    };
    about(one) == about(other)
}

fn read(mut give: impl FnMut(Mapping)) -> cli::Result<()> {
    let mut reader = cli::mapping::reader()?;
    while let Some(mapping) = reader.next_mapping()? {
        give(mapping);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Signal;
    use crate::mapping::{Hypervisor, Source};

    fn mapping(section: Option<&str>, id: &str) -> Mapping {
        let mut mapping = Mapping::default();
        mapping.hypervisors.push(Hypervisor::new(id));
        mapping.tail.source = section.map(|section| Source {
            section: Some(section.to_owned()),
            time: Some(id.to_owned()),
            ..Source::default()
        });
        mapping
    }

    fn documents() -> Documents {
        let cancel = Cancel::default();
        Documents {
            inbox: Arc::default(),
            _hook: cancel.on_cancel(|| {}),
            cancel,
        }
    }

    #[test]
    fn of_each_source_the_newest_waits() {
        let documents = documents();
        let all = [
            mapping(Some("a"), "1"),
            mapping(Some("b"), "2"),
            mapping(Some("a"), "3"),
            mapping(None, "4"),
            mapping(None, "5"),
        ];
        all.into_iter().for_each(|one| documents.inbox.add(one));
        documents
            .inbox
            .change(|waiting| waiting.ended = Some(Instant::now()));
        let next = || {
            documents
                .next()
                .unwrap()
                .map(|mapping| mapping.hypervisors[0].id.clone())
        };
        let ids: Vec<_> = std::iter::from_fn(next).flatten().collect();
        assert_eq!(ids, ["2", "3", "5"]);
    }

    #[test]
    fn a_signal_ends_the_wait_for_more_but_not_what_is_done() {
        let of = |documents: &Documents| documents.next().map_err(|error| error.kind());
        let signal = Err(Kind::Signal(Signal::Terminate));
        let waiting = documents();
        waiting.inbox.add(mapping(None, "1"));
        waiting.cancel.cancel(Signal::Terminate);
        assert_eq!(of(&waiting), signal);
        let open = documents();
        open.cancel.cancel(Signal::Terminate);
        assert_eq!(of(&open), signal);
        // All was reported, the result is printed: this is success.
        open.inbox.change(|waiting| waiting.ended = Some(Instant::now()));
        assert_eq!(of(&open), Ok(None));
        open.inbox
            .change(|waiting| waiting.failed = Some(Failure::new(Kind::NoInput, "cut").into()));
        assert_eq!(of(&open), signal);
    }

    #[test]
    fn a_pause_ends_with_the_newest_or_not_at_all() {
        let documents = documents();
        let current = mapping(None, "1");
        let limit = Limit::new(None, Instant::now());
        let pause = |pause| documents.pause(&current, &limit, pause, |_| {});
        let short = Duration::from_millis(1);
        assert!(matches!(pause(short), Next::Again(Some(_))));
        documents.inbox.add(mapping(None, "2"));
        assert!(matches!(pause(short), Next::Newer(newer) if *newer == mapping(None, "2")));
        documents
            .inbox
            .change(|waiting| waiting.ended = Some(Instant::now()));
        assert!(matches!(pause(short), Next::Again(Some(_))));
        // It does not begin to wait for what it will not do.
        assert!(matches!(pause(LONGEST / 2), Next::Settled));
    }

    #[test]
    fn a_document_that_is_late_tells_what_kept_it() {
        let documents = documents();
        documents
            .inbox
            .change(|waiting| waiting.ended = Some(Instant::now()));
        let limit = Limit::new(Some(Duration::from_secs(100)), Instant::now());
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
        let (done, newer) = documents.see_through(&mapping(None, "1"), (), &limit, attempt);
        let told = format!("{:#}", done.failed.unwrap());
        assert!(newer.is_none());
        let (cause, last) = told.split_once("; the last attempt: ").unwrap();
        assert!(
            cause.contains("ended before") && last.contains("--timeout"),
            "{told}"
        );
    }

    #[test]
    fn an_attempt_knows_when_it_has_to_be_done() {
        let documents = documents();
        for timeout in [None, Some(Duration::from_secs(5))] {
            let limit = Limit::new(timeout, Instant::now());
            let mut given = None;
            let attempt = |_: &Mapping, _: &mut (), until| {
                given = until;
                Attempt::without_line(Ok(()))
            };
            documents.see_through(&mapping(None, "1"), (), &limit, attempt);
            let (given, longest) = (given.unwrap(), timeout.unwrap_or(LONGEST));
            assert!(given > Instant::now() && given <= Instant::now() + longest);
        }
    }

    #[test]
    fn a_wrong_configuration_ends_a_stream_and_a_wrong_document_does_not() {
        let of = |kind, ends| Attempt {
            ends,
            ..Attempt::without_line(Err(Failure::new(kind, "no").into()))
        };
        assert!(of(Kind::Config, false).ends_all() && of(Kind::NoPerm, true).ends_all());
        for kind in [Kind::NoPerm, Kind::Data, Kind::Protocol, Kind::Unavailable] {
            assert!(!of(kind, false).ends_all(), "{kind:?}");
        }
        assert!(!Attempt::without_line(Ok(())).ends_all());
    }
}
