//! Rounds without end: each source has a thread that runs its rounds when they are due.

mod watch;

use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::schedule::{Next, Schedule};
use super::{Outcome, Pipeline, Source, Work};
use crate::error::Kind;

/// Sections that are due within this time are served together, so that one scan is enough.
const TOGETHER: Duration = Duration::from_secs(5);

/// What is called with what came of each section.
pub type Done = Arc<dyn Fn(Outcome) + Send + Sync>;

/// The sources and their threads.
pub struct Rounds {
    work: Arc<Work>,
    /// From the beginning of a section's round to that of the next.
    interval: Duration,
    /// Whether documents come after each change, rather than once per interval.
    is_watching: bool,
    done: Done,
    lines: Vec<Line>,
    /// Threads that end after the round that is going on.
    leaving: Vec<JoinHandle<()>>,
}

/// A source with its thread.
struct Line {
    fingerprint: Vec<u8>,
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

/// What a thread has to know.
enum Order {
    /// The next round is due now, unless the section is held.
    Hurry,
    /// No round follows.
    Stop,
    /// The scan that watches has a new document.
    News,
    /// The scan that watches has ended.
    Ended(Result<(), super::Failure>),
}

impl fmt::Debug for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rounds({} sources)", self.lines.len())
    }
}

impl Rounds {
    /// No sources yet; [`Rounds::apply`] adds them.
    pub fn new(work: Work, interval: Duration, is_watching: bool, done: Done) -> Self {
        Rounds {
            work: Arc::new(work),
            interval,
            is_watching,
            done,
            lines: Vec::new(),
            leaving: Vec::new(),
        }
    }

    /// Sets the interval of the sources that are added from now on.
    pub fn set_interval(&mut self, interval: Duration) {
        if interval != std::mem::replace(&mut self.interval, interval) {
            // Their schedules have the old one.
            self.stop_unless(|_| false);
        }
    }

    /// Makes these the sources. One that is the same as before goes on, and its next round is due now unless it is held. One that
    /// is gone or has changed ends after the round that is going on.
    pub fn apply(&mut self, sources: Vec<Source>) {
        let pipelines = sources.iter().flat_map(|source| &source.pipelines);
        let names = pipelines.map(|pipeline| pipeline.name().to_owned());
        self.work.set_configured(names.collect());
        let wanted = |line: &Line| {
            sources
                .iter()
                .any(|source| source.fingerprint == line.fingerprint)
        };
        self.stop_unless(wanted);
        for source in sources {
            let same = |line: &&Line| line.fingerprint == source.fingerprint && !line.thread.is_finished();
            match self.lines.iter().find(same) {
                Some(line) => _ = line.orders.send(Order::Hurry),
                None => self.start(source),
            }
        }
    }

    fn stop_unless(&mut self, wanted: impl Fn(&Line) -> bool) {
        self.leaving.retain(|thread| !thread.is_finished());
        for line in self.lines.extract_if(.., |line| !wanted(line)) {
            let _ = line.orders.send(Order::Stop);
            self.leaving.push(line.thread);
        }
    }

    fn start(&mut self, source: Source) {
        let fingerprint = source.fingerprint.clone();
        let name = source.name().to_owned();
        let (orders, received) = mpsc::channel();
        let line = SourceLine {
            schedules: Schedules::new(&source, self.interval),
            work: self.work.clone(),
            done: self.done.clone(),
            source,
        };
        let (is_watching, own_orders) = (self.is_watching, orders.clone());
        let run = move || match is_watching {
            true => line.watch(&received, &own_orders),
            false => line.repeat(&received),
        };
        match thread::Builder::new().name("source".into()).spawn(run) {
            Ok(thread) => self.lines.push(Line {
                fingerprint,
                orders,
                thread,
            }),
            Err(error) => {
                log::error!(section = name; "[{name}] no thread for it: {error}; reload when there are less")
            }
        }
    }

    /// Ends: no round follows, and the stages that run are ended by the token, which must be set.
    pub fn end(mut self) {
        self.stop_unless(|_| false);
        for thread in self.leaving {
            let _ = thread.join();
        }
    }
}

/// What the thread of a source has.
struct SourceLine {
    source: Source,
    schedules: Schedules,
    work: Arc<Work>,
    done: Done,
}

/// The schedules of a source's pipelines, in their order.
struct Schedules(Mutex<Vec<(String, Schedule)>>);

impl Schedules {
    fn new(source: &Source, interval: Duration) -> Self {
        let now = Instant::now();
        let names = source.pipelines.iter().map(|pipeline| pipeline.name().to_owned());
        Schedules(Mutex::new(
            names.map(|name| (name, Schedule::new(interval, now))).collect(),
        ))
    }

    /// The next moment at which one of these pipelines is due.
    fn first_due(&self, pipelines: &[&Pipeline]) -> Option<Instant> {
        let dues = pipelines.iter().filter_map(|pipeline| self.due_of(pipeline));
        dues.min()
    }

    /// Which of these pipelines are due at this moment, or soon after.
    fn due<'a>(&self, pipelines: &[&'a Pipeline], now: Instant) -> Vec<&'a Pipeline> {
        let is_due = |pipeline: &&&Pipeline| self.due_of(pipeline).is_some_and(|due| due <= now + TOGETHER);
        pipelines.iter().filter(is_due).copied().collect()
    }

    fn due_of(&self, pipeline: &Pipeline) -> Option<Instant> {
        self.with(|all| {
            let own = all.iter().find(|(name, _)| name == pipeline.name());
            own.map(|(_, schedule)| schedule.due())
        })
    }

    fn hurry(&self) {
        let now = Instant::now();
        self.with(|all| all.iter_mut().for_each(|(_, schedule)| schedule.hurry(now)));
    }

    /// Plans the next round of a section, and says so if it is not the usual one.
    fn ended(&self, outcome: &Outcome, began: Instant) {
        let asked = outcome.line.as_ref().and_then(|line| line.retry_after());
        let name = outcome.section.as_deref().unwrap_or(super::status::VARIABLES);
        let next = self.with(|all| {
            let (_, schedule) = all.iter_mut().find(|(own, _)| own == name)?;
            Some(schedule.ended(outcome.kind(), asked, began, Instant::now()))
        });
        match next {
            Some(Next::After(pause)) => {
                log::info!(
                    section = name; "[{name}] the next attempt is in {} s",
                    pause.as_secs()
                );
            }
            Some(Next::Held(pause)) => {
                let why = match outcome.kind() {
                    Some(Kind::NoPerm) => ", because repeated failures may lock the account",
                    _ => "",
                };
                log::warn!(
                    section = name;
                    "[{name}] not tried again for {} h{why}; when it is fixed, reload vw-run if the configuration has changed, \
                     or restart it",
                    pause.as_secs() / 3600
                );
            }
            Some(Next::Usual) | None => {}
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<(String, Schedule)>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SourceLine {
    /// Runs a round whenever a section is due, until it is stopped.
    fn repeat(&self, orders: &Receiver<Order>) {
        while self.wait_until_due(orders) {
            let began = Instant::now();
            let due = self.schedules.due(&self.pipelines(), began);
            self.work
                .round(&self.source, &due, &|outcome| self.conclude(outcome, began));
        }
    }

    /// Returns false if no round may follow.
    fn wait_until_due(&self, orders: &Receiver<Order>) -> bool {
        loop {
            let Some(due) = self
                .schedules
                .first_due(&self.pipelines())
                .filter(|_| !self.is_cancelled())
            else {
                return false;
            };
            match orders.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => return !self.is_cancelled(),
                Ok(Order::Hurry) => self.schedules.hurry(),
                Ok(Order::News | Order::Ended(_)) => {}
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn pipelines(&self) -> Vec<&Pipeline> {
        self.source.pipelines.iter().collect()
    }

    fn is_cancelled(&self) -> bool {
        self.work.cancel().check().is_err()
    }

    fn conclude(&self, outcome: Outcome, began: Instant) {
        if !matches!(outcome.kind(), Some(Kind::Signal(_))) {
            self.schedules.ended(&outcome, began);
        }
        (self.done)(outcome);
    }
}
