//! Retries of temporary failures: how often, after which pauses, and which failures are never retried.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::cancel::{Cancel, Cancelled};
use crate::error::{Classify, Kind};

/// How long temporary failures are retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until the deadline.
    UntilDeadline,
    /// For this time after the first failure, at most until the deadline.
    For(Duration),
}

impl Patience {
    /// One minute, if the user has not set a time limit.
    pub const USUAL: Patience = Patience::For(Duration::from_secs(60));
}

/// How often the work is repeated because an object was deleted meanwhile.
const RESTARTS: u32 = 5;

/// The longest pause that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// What a system's error says about another attempt.
pub trait Retryable: Classify + From<Cancelled> + Sized {
    /// Whether the session has ended, so that another login helps. Never, if each request logs in.
    fn is_end_of_session(&self) -> bool {
        false
    }

    /// Whether an object was deleted while it was used.
    fn is_vanished(&self) -> bool {
        false
    }

    /// Whether the deadline has passed.
    fn is_deadline(&self) -> bool;

    /// The pause that the server asks for.
    fn retry_after(&self) -> Option<Duration>;

    /// The error of someone who gave up after this time; `last` is the last failure.
    fn gave_up(after: Duration, last: Box<Self>) -> Self;
}

/// Repeats an attempt until it works or fails for good.
///
/// Each attempt logs in for itself. Temporary failures are retried with growing pauses, as long as `patience` says. If the session
/// ends meanwhile, there is one retry, without a pause. If an object is deleted meanwhile, which is normal on a busy server, there
/// are five retries, however long an attempt takes. Nothing else is retried, because servers lock accounts whose login fails too
/// often.
pub fn retry<T, E: Retryable>(
    deadline: Option<Instant>,
    patience: Patience,
    cancel: &Cancel,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut attempts = Attempts::new(deadline, patience, Instant::now());
    loop {
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        match attempts.after(error, Instant::now())? {
            (error, None) => log::warn!("{}; logging in again", error.with_causes()),
            (error, Some(pause)) => {
                wait(&error, pause, cancel)?;
                attempts.last = Some(error);
            }
        }
    }
}

/// Pauses that grow from a quarter of a second to a minute.
pub fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(250), Duration::from_secs(60))
}

/// After this time without a failure the pauses of a watch are short again.
pub const STEADY: Duration = Duration::from_secs(60);

/// Whether a watch goes on after this failure. A server that restarts may send invalid answers; but a refused login stays refused,
/// and repeating it can lock the account.
pub fn outlasts(kind: Kind) -> bool {
    matches!(kind, Kind::TempFail | Kind::Unavailable | Kind::Protocol)
}

/// The pause that the server asks for, an hour at most.
pub fn asked_pause(error: &impl Retryable) -> Option<Duration> {
    error.retry_after().map(|asked| asked.min(LONGEST_ASKED))
}

/// Warns of the failure and waits.
pub fn wait(error: &impl Classify, pause: Duration, cancel: &Cancel) -> Result<(), Cancelled> {
    let seconds = crate::text::seconds(pause);
    log::warn!("{}; trying again in {seconds} s", error.with_causes());
    cancel.sleep(pause)
}

/// The attempts so far.
struct Attempts<E> {
    begun: Instant,
    deadline: Option<Instant>,
    patience: Patience,
    /// When patience ends; set by the first failure.
    end: Option<Instant>,
    has_expired: bool,
    vanished: u32,
    backoff: Backoff,
    /// The failure before the current attempt.
    last: Option<E>,
}

impl<E: Retryable> Attempts<E> {
    fn new(deadline: Option<Instant>, patience: Patience, begun: Instant) -> Self {
        Attempts {
            begun,
            deadline,
            patience,
            end: None,
            has_expired: false,
            vanished: 0,
            backoff: backoff(),
            last: None,
        }
    }

    /// Decides what follows this failure: another attempt after a pause, one without a pause, or the final error.
    fn after(&mut self, error: E, now: Instant) -> Result<(E, Option<Duration>), E> {
        if error.is_end_of_session() {
            return match std::mem::replace(&mut self.has_expired, true) {
                true => Err(error),
                false => Ok((error, None)),
            };
        }
        if error.is_deadline() {
            // The last failure says more than that the time is over.
            return Err(match self.last.take() {
                Some(last) => self.gave_up(last, now),
                None => error,
            });
        }
        if error.kind() != Kind::TempFail {
            return Err(error);
        }
        let end = match error.is_vanished() {
            true => {
                self.vanished += 1;
                self.deadline
            }
            false => self.end(now),
        };
        let asked = asked_pause(&error);
        let pause = self.backoff.pause(asked);
        let fits = end.is_none_or(|end| now + pause < end);
        if fits && self.vanished <= RESTARTS {
            return Ok((error, Some(pause)));
        }
        match asked == Some(pause) {
            // The error itself says that the server asks for a long pause.
            true => Err(error),
            false => Err(self.gave_up(error, now)),
        }
    }

    /// When patience ends; it begins at the first failure.
    fn end(&mut self, now: Instant) -> Option<Instant> {
        let patience = match self.patience {
            Patience::UntilDeadline => self.deadline,
            Patience::For(time) => Some(*self.end.get_or_insert(now + time)),
        };
        patience.into_iter().chain(self.deadline).min()
    }

    fn gave_up(&self, last: E, now: Instant) -> E {
        let end = self.deadline.map_or(now, |deadline| deadline.min(now));
        let after = end.saturating_duration_since(self.begun);
        let rounded = match after.as_secs() {
            0 => after,
            _ => Duration::from_secs(after.as_secs_f64().round() as u64),
        };
        E::gave_up(rounded, Box::new(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Error {
        #[error("busy")]
        Busy(Option<u64>),
        #[error("no session")]
        NoSession,
        #[error("vanished")]
        Vanished,
        #[error("no time left")]
        Deadline,
        #[error("refused")]
        Refused,
        #[error("gave up after {after:?}")]
        GaveUp { after: Duration, source: Box<Error> },
    }

    impl Classify for Error {
        fn kind(&self) -> Kind {
            match self {
                Error::Refused => Kind::NoPerm,
                _ => Kind::TempFail,
            }
        }
    }

    impl From<Cancelled> for Error {
        fn from(_: Cancelled) -> Self {
            Error::Refused
        }
    }

    impl Retryable for Error {
        fn is_end_of_session(&self) -> bool {
            matches!(self, Error::NoSession)
        }

        fn is_vanished(&self) -> bool {
            matches!(self, Error::Vanished)
        }

        fn is_deadline(&self) -> bool {
            matches!(self, Error::Deadline)
        }

        fn retry_after(&self) -> Option<Duration> {
            match self {
                Error::Busy(seconds) => seconds.map(Duration::from_secs),
                _ => None,
            }
        }

        fn gave_up(after: Duration, source: Box<Self>) -> Self {
            Error::GaveUp { after, source }
        }
    }

    fn busy(retry_after: Option<u64>) -> Error {
        Error::Busy(retry_after)
    }

    fn seconds(number: f32) -> Duration {
        Duration::from_secs_f32(number)
    }

    /// The pauses after failures at these seconds, and the final error.
    fn attempts(
        deadline: Option<f32>,
        patience: Patience,
        failures: Vec<(f32, Error)>,
    ) -> (Vec<f32>, String) {
        let begun = Instant::now();
        let deadline = deadline.map(|time| begun + seconds(time));
        let mut attempts = Attempts::new(deadline, patience, begun);
        let mut paused = Vec::new();
        for (at, error) in failures {
            match attempts.after(error, begun + seconds(at)) {
                Ok((error, pause)) => {
                    paused.push(pause.unwrap_or_default().as_secs_f32());
                    attempts.last = pause.map(|_| error);
                }
                Err(error) => return (paused, error.with_causes()),
            }
        }
        (paused, "goes on".into())
    }

    /// Each pause may be a quarter shorter.
    #[track_caller]
    fn assert_paused(paused: &[f32], nominal: &[f32]) {
        assert_eq!(paused.len(), nominal.len(), "{paused:?}");
        let pairs = paused.iter().zip(nominal);
        assert!(
            pairs
                .clone()
                .all(|(pause, nominal)| (nominal * 0.74..=*nominal).contains(pause)),
            "{paused:?} {nominal:?}"
        );
    }

    #[test]
    fn patience_begins_with_the_first_failure_and_ends_at_the_deadline() {
        let late = || vec![(600.0, busy(None)), (650.0, busy(None)), (659.9, busy(None))];
        let (paused, end) = attempts(Some(3600.0), Patience::USUAL, late());
        assert_paused(&paused, &[0.25, 0.5]);
        assert_eq!(end, "gave up after 660s: busy");
        let (paused, end) = attempts(Some(3600.0), Patience::UntilDeadline, late());
        assert_eq!((paused.len(), &*end), (3, "goes on"));
        let (paused, end) = attempts(Some(601.0), Patience::USUAL, late());
        assert_paused(&paused, &[0.25]);
        assert_eq!(end, "gave up after 601s: busy");
    }

    #[test]
    fn the_last_failure_is_named_after_the_deadline() {
        let (_, end) = attempts(
            Some(30.0),
            Patience::UntilDeadline,
            vec![(1.0, busy(None)), (30.2, Error::Deadline)],
        );
        assert_eq!(end, "gave up after 30s: busy");
        let (_, end) = attempts(Some(30.0), Patience::UntilDeadline, vec![(30.2, Error::Deadline)]);
        assert_eq!(end, "no time left");
    }

    #[test]
    fn a_long_pause_that_the_server_asks_for_is_the_error() {
        let (paused, end) = attempts(None, Patience::USUAL, vec![(0.0, busy(Some(3600)))]);
        assert!(paused.is_empty());
        assert_eq!(end, "busy");
    }

    #[test]
    fn deleted_objects_cause_five_retries_however_long_each_takes() {
        let vanished = |times: usize| (0..times).map(|n| (n as f32 * 300.0, Error::Vanished)).collect();
        let (paused, end) = attempts(Some(3600.0), Patience::USUAL, vanished(5));
        assert_paused(&paused, &[0.25, 0.5, 1.0, 2.0, 4.0]);
        assert_eq!(end, "goes on");
        let (_, end) = attempts(Some(3600.0), Patience::USUAL, vanished(6));
        assert_eq!(end, "gave up after 1500s: vanished");
        let (paused, _) = attempts(Some(400.0), Patience::USUAL, vanished(6));
        assert_eq!(paused.len(), 2);
    }

    #[test]
    fn an_ended_session_is_retried_once_and_a_refusal_never() {
        let ended = || (0.0, Error::NoSession);
        let (paused, end) = attempts(None, Patience::USUAL, vec![ended(), ended()]);
        assert_eq!(paused, [0.0]);
        assert_eq!(end, "no session");
        let (paused, end) = attempts(None, Patience::USUAL, vec![(0.0, Error::Refused)]);
        assert_eq!((paused.len(), &*end), (0, "refused"));
    }

    #[test]
    fn a_server_may_ask_for_an_hour_at_most() {
        for (asked, expected) in [(0, 0), (59, 59), (u64::MAX, 3600)] {
            assert_eq!(
                asked_pause(&busy(Some(asked))),
                Some(Duration::from_secs(expected))
            );
        }
    }
}
