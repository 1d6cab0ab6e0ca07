//! How long a document may take, and what an error says when the time is over.

use std::time::{Duration, Instant};

use crate::cli::Error;
use crate::systems::{candlepin, satellite5};
use crate::{http, state};

/// How long a document may take without `--timeout`: a server that sends byte by byte must not hold a reporter for ever.
pub(crate) const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);

/// How long a document is tried again after the end of the input, without `--timeout`.
const GRACE: Duration = Duration::from_secs(60);

/// The times that limit the work on one document.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimit {
    timeout: Option<Duration>,
    arrived: Instant,
}

impl TimeLimit {
    /// The limit of a document that arrived at this moment, complete and with no other before it. `timeout` is that of
    /// `--timeout`.
    pub(super) fn new(timeout: Option<Duration>, arrived: Instant) -> Self {
        TimeLimit { timeout, arrived }
    }

    /// The end of an attempt that begins at `begun`: `--timeout` limits each attempt, [`LONGEST`] the document.
    pub(super) fn of_attempt(&self, begun: Instant) -> Option<Instant> {
        match self.timeout {
            Some(timeout) => begun.checked_add(timeout),
            None => self.arrived.checked_add(LONGEST),
        }
    }

    /// The latest end of another attempt; `ended` is when the input ended, if it has.
    pub(super) fn of_retries(&self, ended: Option<Instant>) -> Option<Instant> {
        let since = ended.map(|ended| ended.max(self.arrived));
        let after_input = since.and_then(|since| since.checked_add(self.timeout.unwrap_or(GRACE)));
        let of_all = match self.timeout {
            Some(_) => None,
            None => self.arrived.checked_add(LONGEST),
        };
        after_input.into_iter().chain(of_all).min()
    }

    /// Adds to an error that only says that the time is over which limit that was, and why the previous attempt failed.
    pub(super) fn explain(&self, error: Error, previous: Option<String>) -> Error {
        if !is_late(&error) {
            return error;
        }
        let error = match previous {
            Some(previous) => error.context(format!("{previous}; the last attempt")),
            None => error,
        };
        match self.timeout {
            Some(_) => advise_if_late(error),
            None => {
                let hours = LONGEST.as_secs() / 3600;
                let limit = format!("given up {hours} hours after the document arrived");
                error.context(limit).advise("--timeout sets another limit")
            }
        }
    }
}

/// The error with advice after it, if all that it says is that the time is over.
pub(crate) fn advise_if_late(error: Error) -> Error {
    if error.chain().any(is_locked) {
        error.advise("try again when it has ended, or use a longer --timeout")
    } else if is_late(&error) {
        error.advise("see --timeout")
    } else {
        error
    }
}

/// Whether all that an error says is that the time is over.
pub(super) fn is_late(error: &Error) -> bool {
    error.chain().any(|cause| {
        http::Error::of(cause).is_some_and(http::Error::is_deadline)
            || matches!(cause.downcast_ref(), Some(candlepin::Error::Late { .. }))
            || is_locked(cause)
    })
}

/// Whether another process held a lock until the time was over.
fn is_locked(cause: &(dyn std::error::Error + 'static)) -> bool {
    use satellite5::systemid;
    let error = match cause.downcast_ref() {
        Some(satellite5::Error::Registration(systemid::Error::File(error))) => Some(error),
        _ => cause.downcast_ref(),
    };
    matches!(error, Some(state::Error::Locked { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn without_a_timeout_a_document_has_four_hours_from_its_arrival() {
        let arrived = Instant::now();
        let limit = TimeLimit::new(None, arrived);
        // However late an attempt begins, and while more input may arrive.
        for begun in [arrived, arrived + HOUR, arrived + 3 * HOUR] {
            assert_eq!(limit.of_attempt(begun), Some(arrived + 4 * HOUR));
        }
        assert_eq!(limit.of_retries(None), Some(arrived + 4 * HOUR));
    }

    #[test]
    fn after_the_end_of_the_input_retries_have_a_minute() {
        let arrived = Instant::now() + 5 * HOUR;
        let limit = TimeLimit::new(None, arrived);
        // Input that ended before the document's turn came takes none of its time.
        for ended in [arrived - 4 * HOUR, arrived] {
            assert_eq!(limit.of_retries(Some(ended)), Some(arrived + GRACE));
        }
        let ended = arrived + HOUR;
        assert_eq!(limit.of_retries(Some(ended)), Some(ended + GRACE));
        let ended = arrived + 5 * HOUR;
        assert_eq!(limit.of_retries(Some(ended)), Some(arrived + 4 * HOUR));
    }

    #[test]
    fn a_timeout_is_for_each_attempt_and_ends_retries_only_after_the_input() {
        let arrived = Instant::now();
        let (limit, begun) = (TimeLimit::new(Some(9 * HOUR), arrived), arrived + HOUR);
        assert_eq!(limit.of_attempt(begun), Some(begun + 9 * HOUR));
        assert_eq!(limit.of_retries(None), None);
        assert_eq!(limit.of_retries(Some(begun)), Some(begun + 9 * HOUR));
        // A time beyond the clock's range is no limit.
        let endless = TimeLimit::new(Some(Duration::MAX), arrived);
        assert_eq!(endless.of_attempt(arrived), None);
        assert_eq!(endless.of_retries(Some(arrived)), None);
    }

    #[test]
    fn a_late_error_names_its_limit_and_the_failure_before_it() {
        let late = || {
            Error::from(http::Error::Timeout {
                server: "sub:443".to_owned(),
                limit: http::Limit::Deadline,
            })
        };
        let message = |timeout, previous: Option<&str>| {
            let limit = TimeLimit::new(timeout, Instant::now());
            format!("{:#}", limit.explain(late(), previous.map(str::to_owned)))
        };
        let text = message(Some(HOUR), Some("sub:443: answered 503"));
        assert!(
            text.starts_with("sub:443: answered 503; the last attempt: ")
                && text.ends_with("; see --timeout"),
            "{text}"
        );
        assert!(!message(Some(HOUR), None).contains("4 hours"));
        let text = message(None, None);
        assert!(
            text.starts_with("given up 4 hours after the document arrived: "),
            "{text}"
        );
        assert!(text.ends_with("; --timeout sets another limit"), "{text}");
        // Another failure speaks for itself.
        let limit = TimeLimit::new(None, Instant::now());
        let other = crate::cli::Failure::new(crate::error::Kind::Data, "no");
        let other = limit.explain(other.into(), Some("before".to_owned()));
        assert_eq!(format!("{other:#}"), "no");
    }
}
