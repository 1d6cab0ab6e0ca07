//! The documents on stdin. A thread reads ahead, because no signal ends a read of a silent pipe.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cancel::{Cancel, HookGuard};
use crate::cli::{self, Error, Failure};
use crate::commands::report::limit::TimeLimit;
use crate::error::Kind;
use crate::mapping::Mapping;

/// How many documents, each of another source, may wait. Reading stops until there is room.
const MOST_WAITING: usize = 64;

/// How long after the end of the input a signal may arrive. Ctrl-C also ends the command before this one, and that end may be
/// seen first.
const SAME_SIGNAL: Duration = Duration::from_millis(100);

/// The least time for an attempt: a second, and what chance may take off the first pause. So a short `--timeout` always allows
/// the same number of attempts.
const ATTEMPT: Duration = Duration::from_millis(1250);

/// What to do after an attempt that may be repeated.
#[derive(Debug)]
pub(super) enum Next {
    /// Give up: no time is left.
    GiveUp,
    /// Try the document again, until this moment.
    Again(Option<Instant>),
    /// Take this newer document of the same source instead.
    Newer(Box<Mapping>),
}

/// The documents that have been read and not been taken yet.
#[derive(Debug)]
pub(super) struct Inbox {
    shared: Arc<Shared>,
    cancel: Cancel,
    _hook: HookGuard,
}

/// What the reading thread and the reporter share.
#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The newest document of each source.
    documents: VecDeque<Mapping>,
    /// When the input ended.
    ended: Option<Instant>,
    /// Why the input could not be read to its end.
    failed: Option<Error>,
}

impl Inbox {
    /// Starts to read stdin.
    pub(super) fn from_stdin(cancel: &Cancel) -> Result<Self, Failure> {
        let inbox = Inbox::new(cancel);
        let shared = inbox.shared.clone();
        let read = move || {
            let read = read(|mapping| shared.add(mapping));
            let failed = read.map_err(cli::mapping::advise).err();
            shared.change(|waiting| {
                waiting.ended = Some(Instant::now());
                waiting.failed = failed;
            });
        };
        let thread = thread::Builder::new().name("stdin".into());
        let started = thread.spawn(read);
        started.map_err(|error| Failure::new(Kind::Software, format!("reading stdin: {error}")))?;
        Ok(inbox)
    }

    fn new(cancel: &Cancel) -> Self {
        let shared = Arc::<Shared>::default();
        let woken = shared.clone();
        Inbox {
            shared,
            cancel: cancel.clone(),
            _hook: cancel.on_cancel(move || woken.change(|_| {})),
        }
    }

    /// The documents that wait, for a question about them later.
    pub(super) fn backlog(&self) -> Backlog {
        Backlog(self.shared.clone())
    }

    /// The next document; `None` at the end of the input.
    pub(super) fn next(&self) -> cli::Result<Option<Mapping>> {
        let mut waiting = self.shared.lock();
        loop {
            // A signal after the last document changes nothing.
            if waiting.ended.is_some() && waiting.documents.is_empty() && waiting.failed.is_none() {
                return Ok(None);
            }
            self.cancel.check()?;
            if let Some(mapping) = waiting.documents.pop_front() {
                self.shared.changed.notify_all();
                return Ok(Some(mapping));
            }
            if let Some(error) = waiting.failed.take() {
                drop(waiting);
                if error.kind() == Kind::NoInput {
                    self.cancel.sleep(SAME_SIGNAL)?;
                }
                return Err(error);
            }
            waiting = self.shared.wait(waiting, None);
        }
    }

    /// Pauses after a failure of the document `current`, unless no time for another attempt would be left.
    ///
    /// `announce` is called if it does pause.
    pub(super) fn pause(
        &self,
        current: &Mapping,
        limit: &TimeLimit,
        pause: Duration,
        announce: impl FnOnce(),
    ) -> Next {
        let end = Instant::now() + pause;
        let mut announce = Some(announce);
        let mut waiting = self.shared.lock();
        loop {
            let limit = limit.of_retries(waiting.ended);
            if self.cancel.check().is_err() || limit.is_some_and(|limit| limit < end + ATTEMPT) {
                return Next::GiveUp;
            }
            if let Some(announce) = announce.take() {
                announce();
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return match waiting.newer_than(current) {
                    Some(newer) => Next::Newer(Box::new(newer)),
                    None => Next::Again(limit),
                };
            }
            waiting = self.shared.wait(waiting, Some(left));
        }
    }
}

/// The documents that wait, seen by the work on the document before them.
#[derive(Debug, Clone, Default)]
pub(super) struct Backlog(Arc<Shared>);

impl Backlog {
    /// Whether a waiting document mentions a hypervisor with this id, ignoring case.
    pub(super) fn mentions(&self, id: &str) -> bool {
        let id = id.to_lowercase();
        let waiting = self.0.lock();
        let mut mentioned = waiting.documents.iter().flat_map(Mapping::mentioned);
        mentioned.any(|other| other.to_lowercase() == id)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a document; waits until there is room for it.
    fn add(&self, mapping: Mapping) {
        let mut waiting = self.lock();
        if waiting.newer_than(&mapping).is_some() {
            log::info!("skipping a document, because a newer one of its source has arrived");
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
        let index = self
            .documents
            .iter()
            .position(|own| have_same_source(own, mapping))?;
        self.documents.remove(index)
    }
}

/// Whether a newer one of these documents replaces the older one.
fn have_same_source(one: &Mapping, other: &Mapping) -> bool {
    let source = |mapping: &Mapping| {
        mapping
            .tail
            .source
            .clone()
            .map(|source| (source.section, source.kind, source.server, source.instance_uuid))
    };
    source(one) == source(other)
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
    use crate::commands::report::limit::LONGEST;
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

    fn inbox() -> Inbox {
        Inbox::new(&Cancel::default())
    }

    impl Inbox {
        /// One whose input has ended, without any document.
        pub(in super::super) fn ended() -> Self {
            let inbox = inbox();
            inbox
                .shared
                .change(|waiting| waiting.ended = Some(Instant::now()));
            inbox
        }
    }

    #[test]
    fn only_the_newest_document_of_each_source_waits() {
        let inbox = inbox();
        let all = [
            mapping(Some("a"), "1"),
            mapping(Some("b"), "2"),
            mapping(Some("a"), "3"),
            mapping(None, "4"),
            mapping(None, "5"),
        ];
        all.into_iter().for_each(|one| inbox.shared.add(one));
        inbox
            .shared
            .change(|waiting| waiting.ended = Some(Instant::now()));
        let next = || {
            inbox
                .next()
                .unwrap()
                .map(|mapping| mapping.hypervisors[0].id.clone())
        };
        let ids: Vec<_> = std::iter::from_fn(next).flatten().collect();
        assert_eq!(ids, ["2", "3", "5"]);
    }

    #[test]
    fn a_signal_ends_the_wait_unless_the_input_has_ended() {
        let of = |inbox: &Inbox| inbox.next().map_err(|error| error.kind());
        let signal = Err(Kind::Signal(Signal::Terminate));
        let waiting = inbox();
        waiting.shared.add(mapping(None, "1"));
        waiting.cancel.cancel(Signal::Terminate);
        assert_eq!(of(&waiting), signal);
        let open = inbox();
        open.cancel.cancel(Signal::Terminate);
        assert_eq!(of(&open), signal);
        // Everything was reported and its result printed: this is success.
        open.shared.change(|waiting| waiting.ended = Some(Instant::now()));
        assert_eq!(of(&open), Ok(None));
        open.shared
            .change(|waiting| waiting.failed = Some(Failure::new(Kind::NoInput, "cut").into()));
        assert_eq!(of(&open), signal);
    }

    #[test]
    fn a_pause_ends_with_the_newest_document_or_is_not_begun() {
        let inbox = inbox();
        let current = mapping(None, "1");
        let limit = TimeLimit::new(None, Instant::now());
        let pause = |pause| inbox.pause(&current, &limit, pause, || {});
        let short = Duration::from_millis(1);
        assert!(matches!(pause(short), Next::Again(Some(_))));
        inbox.shared.add(mapping(None, "2"));
        assert!(matches!(pause(short), Next::Newer(newer) if *newer == mapping(None, "2")));
        inbox
            .shared
            .change(|waiting| waiting.ended = Some(Instant::now()));
        assert!(matches!(pause(short), Next::Again(Some(_))));
        // No time would be left for another attempt.
        assert!(matches!(pause(LONGEST / 2), Next::GiveUp));
    }
}
