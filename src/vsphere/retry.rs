//! Trying again what may work later: how often, after which pauses, and what is never tried again.

use std::time::{Duration, Instant};

use super::Error;
use crate::cancel::Cancel;
use crate::error::Kind;
use crate::http::{self, Endpoint};

/// How long failures that may pass are met with another attempt, where no deadline says it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tries until it works, where failures may pass: for a minute from the first of them, or until the endpoint's deadline.
///
/// Each attempt begins anew, with a log-in of its own. A session that ended in between is tried once again, and at once. Nothing
/// else is: servers lock accounts whose log-in is refused too often.
pub fn retry<T>(
    endpoint: &Endpoint,
    cancel: &Cancel,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut pauses = Pauses::default();
    let (mut end, mut has_expired) = (endpoint.deadline, false);
    loop {
        let error = match attempt() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if error.is_end_of_session() {
            if std::mem::replace(&mut has_expired, true) {
                return Err(error);
            }
            log::warn!("{}; logging in once more", error.with_sources());
            continue;
        }
        if error.kind() != Kind::TempFail {
            return Err(error);
        }
        let end = *end.get_or_insert_with(|| Instant::now() + PATIENCE);
        let pause = pauses.after(&error);
        if Instant::now() + pause >= end {
            return Err(error);
        }
        pauses.take(&error, pause, cancel)?;
    }
}

/// Pauses that grow from a quarter of a second to a minute.
#[derive(Debug)]
pub(super) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Pauses(Duration::from_millis(250))
    }
}

impl Pauses {
    const LONGEST: Duration = Duration::from_secs(60);
    /// A server may ask for more, but not for ever.
    const LONGEST_ASKED: Duration = Duration::from_secs(3600);

    /// The next pause, or the longer one that the server asks for.
    pub(super) fn after(&mut self, error: &Error) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Pauses::LONGEST);
        match error {
            Error::Http(error) => {
                let asked = error.retry_after().unwrap_or_default();
                asked.min(Pauses::LONGEST_ASKED).max(pause)
            }
            _ => pause,
        }
    }

    /// Says what failed and waits.
    pub(super) fn take(&self, error: &Error, pause: Duration, cancel: &Cancel) -> Result<(), Error> {
        let seconds = pause.as_secs_f32();
        log::warn!("{}; trying again in {seconds} s", error.with_sources());
        Ok(cancel.sleep(pause).map_err(http::Error::from)?)
    }
}

impl Error {
    /// The whole chain in one line.
    pub(super) fn with_sources(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_unless_the_server_asks_for_more() {
        let asking = |seconds: Option<u64>| {
            Error::Http(http::Error::Status {
                server: "vc".into(),
                status: 503,
                message: String::new(),
                retry_after: seconds.map(Duration::from_secs),
            })
        };
        let mut pauses = Pauses::default();
        let grown: Vec<u128> = (0..10).map(|_| pauses.after(&asking(None)).as_millis()).collect();
        assert_eq!(
            grown,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
        );
        for (asked, expected) in [(0, 60), (59, 60), (120, 120), (u64::MAX, 3600)] {
            assert_eq!(pauses.after(&asking(Some(asked))), Duration::from_secs(expected));
        }
    }
}
