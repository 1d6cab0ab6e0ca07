//! Pauses between attempts.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// Pauses that double from one attempt to the next, up to a limit.
///
/// Each pause is shortened by a random share of up to a quarter. So clients that failed together do not all return together,
/// and two reporters don't livelock.
///
/// ```
/// use std::time::Duration;
/// use vw::backoff::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// assert!(backoff.pause(None) <= Duration::from_secs(1));
/// // The server asks for more.
/// assert_eq!(backoff.pause(Some(Duration::from_secs(90))), Duration::from_secs(90));
/// ```
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Pauses from `first` up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        let next = first.min(longest);
        Backoff { next, longest }
    }

    /// Returns the next pause, or the server's `asked` pause if that is longer.
    pub fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        // Hundredths of a second are short enough to be shown in messages.
        let hundredths = pause.as_secs_f64() * (1.0 - random() / 4.0) * 100.0;
        let pause = Duration::from_millis(hundredths.round() as u64 * 10);
        pause.max(asked.unwrap_or_default())
    }
}

/// A random number from 0 to 1. The keys of a hasher are random enough for a pause.
fn random() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    random as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_limit_and_are_spread() {
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(10));
        let mut firsts = std::collections::BTreeSet::new();
        for _ in 0..20 {
            let mut backoff = Backoff::new(first, longest);
            for nominal in [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
                let (nominal, pause) = (Duration::from_millis(nominal), backoff.pause(None));
                assert!(
                    pause <= nominal && pause >= nominal * 74 / 100,
                    "{pause:?} {nominal:?}"
                );
                if nominal == first {
                    firsts.insert(pause);
                }
            }
        }
        // Machines that were refused at the same time do not come back at the same time.
        assert!(firsts.len() > 1, "{firsts:?}");
    }

    #[test]
    fn a_server_can_make_a_pause_longer_but_not_shorter() {
        let minute = Duration::from_secs(60);
        let mut backoff = Backoff::new(minute, minute);
        assert_eq!(backoff.pause(Some(minute * 2)), minute * 2);
        assert!(backoff.pause(Some(Duration::ZERO)) >= minute * 3 / 4);
        // A limit below the first pause also applies to the first pause.
        assert!(Backoff::new(minute, Duration::from_secs(1)).pause(None) <= Duration::from_secs(1));
    }
}
