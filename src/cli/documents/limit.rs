//! How long a document may take, and what is said when its time is over.

use std::time::{Duration, Instant};

use crate::candlepin;
use crate::http;

/// How long a document may take where `--timeout` does not say otherwise: a server that trickles must not hold a reporter
/// for ever.
pub const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);

/// How long a document is tried again after the end of the input, where `--timeout` does not say otherwise.
const GRACE: Duration = Duration::from_secs(60);

/// The times that limit the work on one document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    timeout: Option<Duration>,
    arrived: Instant,
}

impl Limit {
    /// The limit of a document that arrived at this moment: complete, and with no other before it. `timeout` is that of
    /// `--timeout`.
    pub(super) fn new(timeout: Option<Duration>, arrived: Instant) -> Self {
        Limit { timeout, arrived }
    }

    /// When an attempt that begins at `begun` has to be done: `--timeout` holds for each attempt, the default for the
    /// document.
    pub(super) fn of_attempt(&self, begun: Instant) -> Option<Instant> {
        match self.timeout {
            Some(timeout) => begun.checked_add(timeout),
            None => self.arrived.checked_add(LONGEST),
        }
    }

    /// When another attempt has to be done at the latest; `ended` is when the input ended, if it has.
    pub(super) fn of_retries(&self, ended: Option<Instant>) -> Option<Instant> {
        let since = ended.map(|ended| ended.max(self.arrived));
        let after_input = since.and_then(|since| since.checked_add(self.timeout.unwrap_or(GRACE)));
        let of_all = match self.timeout {
            Some(_) => None,
            None => self.arrived.checked_add(LONGEST),
        };
        after_input.into_iter().chain(of_all).min()
    }

    /// A failure with what has to be known beside it where it only says that the time is over: why the attempt before it
    /// failed, and which limit it was.
    pub(super) fn explain(&self, error: crate::cli::Error, before: Option<String>) -> crate::cli::Error {
        if !is_late(&error) {
            return error;
        }
        let error = match before {
            Some(before) => error.context(format!("{before}; the last attempt")),
            None => error,
        };
        match self.timeout {
            Some(_) => error,
            None => {
                let hours = LONGEST.as_secs() / 3600;
                error.context(format!(
                    "given up {hours} hours after the document arrived (--timeout sets another limit)"
                ))
            }
        }
    }
}

/// Whether all that an error says is that the time is over.
pub(super) fn is_late(error: &crate::cli::Error) -> bool {
    error.chain().any(|cause| {
        let late = http::Error::of(cause).is_some_and(|error| {
            matches!(
                error,
                http::Error::Timeout {
                    limit: http::Limit::Deadline,
                    ..
                }
            )
        });
        late || matches!(cause.downcast_ref(), Some(candlepin::Error::Late { .. }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn without_a_timeout_a_document_has_four_hours_from_its_arrival() {
        let arrived = Instant::now();
        let limit = Limit::new(None, arrived);
        // However late an attempt begins, and while more input may come.
        for begun in [arrived, arrived + HOUR, arrived + 3 * HOUR] {
            assert_eq!(limit.of_attempt(begun), Some(arrived + 4 * HOUR));
        }
        assert_eq!(limit.of_retries(None), Some(arrived + 4 * HOUR));
    }

    #[test]
    fn after_the_end_of_the_input_retries_have_a_minute() {
        let arrived = Instant::now() + 5 * HOUR;
        let limit = Limit::new(None, arrived);
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
        let (limit, begun) = (Limit::new(Some(9 * HOUR), arrived), arrived + HOUR);
        assert_eq!(limit.of_attempt(begun), Some(begun + 9 * HOUR));
        assert_eq!(limit.of_retries(None), None);
        assert_eq!(limit.of_retries(Some(begun)), Some(begun + 9 * HOUR));
        // A time beyond all clocks is none.
        let endless = Limit::new(Some(Duration::MAX), arrived);
        assert_eq!(endless.of_attempt(arrived), None);
        assert_eq!(endless.of_retries(Some(arrived)), None);
    }

    #[test]
    fn what_failed_before_the_time_was_over_is_kept() {
        let late = || {
            crate::cli::Error::from(http::Error::Timeout {
                server: "sub:443".to_owned(),
                limit: http::Limit::Deadline,
            })
        };
        let said = |timeout, before: Option<&str>| {
            let limit = Limit::new(timeout, Instant::now());
            format!("{:#}", limit.explain(late(), before.map(str::to_owned)))
        };
        let told = said(Some(HOUR), Some("sub:443: answered 503"));
        assert!(
            told.starts_with("sub:443: answered 503; the last attempt: "),
            "{told}"
        );
        assert!(!said(Some(HOUR), None).contains("4 hours"));
        assert!(said(None, None).starts_with("given up 4 hours after the document arrived"));
        // Another failure speaks for itself.
        let limit = Limit::new(None, Instant::now());
        let other = crate::cli::Failure::new(crate::error::Kind::Data, "no");
        let other = limit.explain(other.into(), Some("before".to_owned()));
        assert_eq!(format!("{other:#}"), "no");
    }
}
