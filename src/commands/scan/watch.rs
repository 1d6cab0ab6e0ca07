//! Watching a source by scanning it again: when it reports an event, when the interval is over, and when the user asks.

use std::convert::Infallible;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Scan;
use crate::cancel::{Cancel, Signal};
use crate::cli;
use crate::pace::{Occasion, Pace, Unsettled};
use crate::retry::{STEADY, backoff, outlasts};

/// Tells a watch that something may have changed; clones tell the same watch.
#[derive(Clone, Default)]
pub(super) struct Bell(Arc<(Mutex<Rung>, Condvar)>);

/// What has happened since a watch last scanned.
#[derive(Default)]
struct Rung {
    /// Changes that have not settled.
    changes: Option<Unsettled>,
    /// The user wants a document now.
    asked: bool,
    /// The watch can't go on.
    failure: Option<cli::Error>,
}

impl Bell {
    /// Something may have changed.
    pub(super) fn ring(&self) {
        let now = Instant::now();
        self.tell(|rung| rung.changes.get_or_insert(Unsettled::new(now)).change(now));
    }

    fn ask(&self) {
        self.tell(|rung| rung.asked = true);
    }

    fn fail(&self, error: cli::Error) {
        self.tell(|rung| rung.failure = Some(error));
    }

    fn tell(&self, what: impl FnOnce(&mut Rung)) {
        what(&mut self.lock());
        self.0.1.notify_all();
    }

    /// Waits until it is time for another scan, and returns why.
    fn wait(&self, times: &Times, cancel: &Cancel) -> cli::Result<Occasion> {
        let mut rung = self.lock();
        loop {
            cancel.check()?;
            if let Some(error) = rung.failure.take() {
                return Err(error);
            }
            let (due, occasion) = times.next(rung.changes.as_ref());
            let left = due.saturating_duration_since(Instant::now());
            if rung.asked || left.is_zero() {
                let asked = std::mem::take(&mut *rung).asked;
                return Ok(if asked { Occasion::Confirmation } else { occasion });
            }
            rung = self.wait_for(rung, left);
        }
    }

    /// Waits this long after a failed scan, unless the user asks for a document.
    fn pause(&self, pause: Duration, cancel: &Cancel) -> cli::Result<()> {
        let end = Instant::now() + pause;
        let mut rung = self.lock();
        loop {
            cancel.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || std::mem::take(&mut rung.asked) {
                return Ok(());
            }
            rung = self.wait_for(rung, left);
        }
    }

    fn wait_for<'b>(&'b self, rung: MutexGuard<'b, Rung>, longest: Duration) -> MutexGuard<'b, Rung> {
        let waited = self.0.1.wait_timeout(rung, longest);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the next scan is due.
struct Times {
    pace: Pace,
    /// The longest time between two scans.
    interval: Duration,
    /// When the last scan began.
    scanned: Instant,
    /// When the scan began whose document was printed last.
    printed: Instant,
}

impl Times {
    /// When the next scan is due, and why.
    fn next(&self, changes: Option<&Unsettled>) -> (Instant, Occasion) {
        let poll = self.scanned + self.interval;
        match (self.pace.due(self.printed, changes), changes) {
            (Some(due), Some(_)) => (due.min(poll), Occasion::News),
            // Both are an hour by default: one scan serves both.
            (Some(due), None) if due <= poll => (due, Occasion::Confirmation),
            _ => (poll, Occasion::News),
        }
    }
}

/// Scans, prints, waits, and scans again until a signal comes.
///
/// A failure before the first document is final. Later ones are retried with growing pauses, except for a refused right.
pub(super) fn by_scans<S: Scan>(
    scan: &S,
    pace: Pace,
    cancel: &Cancel,
    print: impl FnMut(S::Found, Occasion) -> cli::Result<bool>,
) -> cli::Result<Infallible> {
    let bell = Bell::default();
    let user = bell.clone();
    cli::on_user_signal(move || user.ask())?;
    let woken = bell.clone();
    let _wakes = cancel.on_cancel(move || woken.tell(|_| {}));
    // The listener ends with the watch, for whatever reason that ends.
    let listening = Cancel::default();
    let _follows = listening.follow(cancel);
    let begun = Instant::now();
    let first = scan.read(cancel)?;
    let times = Times {
        pace,
        interval: scan.settings().interval(),
        scanned: begun,
        printed: begun,
    };
    thread::scope(|scope| {
        scope.spawn(|| listen(scan, &bell, &listening));
        let end = follow(scan, first, times, &bell, cancel, print);
        listening.cancel(Signal::Terminate);
        end
    })
}

fn follow<S: Scan>(
    scan: &S,
    first: S::Found,
    mut times: Times,
    bell: &Bell,
    cancel: &Cancel,
    mut print: impl FnMut(S::Found, Occasion) -> cli::Result<bool>,
) -> cli::Result<Infallible> {
    let (mut found, mut occasion) = (first, Occasion::News);
    loop {
        if print(found, occasion)? {
            times.printed = times.scanned;
        }
        occasion = bell.wait(&times, cancel)?;
        let mut pauses = backoff();
        found = loop {
            times.scanned = Instant::now();
            match scan.read(cancel) {
                Ok(found) => break found,
                Err(error) => {
                    let pause = pauses.pause(None);
                    warn::<S>(scan, error, pause)?;
                    bell.pause(pause, cancel)?;
                }
            }
        };
    }
}

/// Listens to the source's events as long as the watch lives, and rings the bell at each.
fn listen<S: Scan>(scan: &S, bell: &Bell, cancel: &Cancel) {
    let mut pauses = backoff();
    loop {
        let begun = Instant::now();
        let Err(error) = scan.listen(bell, cancel) else {
            return;
        };
        if cancel.check().is_err() {
            return;
        }
        if begun.elapsed() > STEADY {
            pauses = backoff();
        }
        let pause = pauses.pause(None);
        match warn::<S>(scan, error, pause) {
            Err(error) => return bell.fail(error),
            Ok(()) if cancel.sleep(pause).is_err() => return,
            Ok(()) => {}
        }
    }
}

/// Warns of a failure that another attempt may mend, and returns any other.
fn warn<S: Scan>(scan: &S, error: cli::Error, pause: Duration) -> cli::Result<()> {
    if !outlasts(error.kind()) {
        return Err(error);
    }
    let seconds = crate::text::seconds(pause);
    log::warn!("{:#}; trying again in {seconds} s", super::explain(scan, error));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn the_next_scan_is_the_first_that_is_due() {
        let start = Instant::now();
        let next = |repeat: u64, interval: u64, printed: u64, changed: Option<u64>| {
            let times = Times {
                pace: Pace {
                    settle: seconds(10),
                    repeat: Some(seconds(repeat)).filter(|repeat| !repeat.is_zero()),
                },
                interval: seconds(interval),
                scanned: start + seconds(100),
                printed: start + seconds(printed),
            };
            let changes = changed.map(|at| Unsettled::new(start + seconds(at)));
            let (due, occasion) = times.next(changes.as_ref());
            (due.duration_since(start).as_secs(), occasion)
        };
        let (news, confirmation) = (Occasion::News, Occasion::Confirmation);
        assert_eq!(next(3600, 3600, 100, None), (3700, confirmation));
        assert_eq!(next(3600, 60, 100, None), (160, news));
        assert_eq!(next(3600, 60, 0, None), (160, news));
        assert_eq!(next(120, 60, 10, None), (130, confirmation));
        assert_eq!(next(0, 60, 100, None), (160, news));
        assert_eq!(next(3600, 3600, 100, Some(200)), (210, news));
        assert_eq!(next(3600, 60, 100, Some(155)), (160, news));
    }

    #[test]
    fn a_bell_wakes_the_watch() {
        let bell = Bell::default();
        let cancel = Cancel::default();
        let times = |settle| Times {
            pace: Pace { settle, repeat: None },
            interval: seconds(3600),
            scanned: Instant::now(),
            printed: Instant::now(),
        };
        bell.ring();
        assert_eq!(
            bell.wait(&times(Duration::ZERO), &cancel).unwrap(),
            Occasion::News
        );
        bell.ring();
        bell.ask();
        let asked = bell.wait(&times(seconds(3600)), &cancel).unwrap();
        assert_eq!(asked, Occasion::Confirmation);
        bell.ask();
        bell.pause(seconds(3600), &cancel).unwrap();
        bell.fail(cli::Failure::new(crate::error::Kind::NoPerm, "no right").into());
        let failed = bell.wait(&times(seconds(3600)), &cancel).unwrap_err();
        assert_eq!(failed.to_string(), "no right");
        cancel.cancel(Signal::Terminate);
        assert!(bell.wait(&times(seconds(3600)), &cancel).is_err());
    }
}
