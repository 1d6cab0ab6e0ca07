//! Pauses between attempts.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// Pauses that double from one attempt to the next, up to a limit.
///
/// Each is up to a quarter shorter, by chance: many that failed in the same moment do not come back in the same moment, and two
/// that get in each other's way do not do so for ever.
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
    /// Pauses from `first` to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        let next = first.min(longest);
        Backoff { next, longest }
    }

    /// The next pause, or the longer one that the server asks for.
    pub fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        // In hundredths of a second, for messages.
        let hundredths = pause.as_secs_f64() * (1.0 - by_chance() / 4.0) * 100.0;
        let pause = Duration::from_millis(hundredths.round() as u64 * 10);
        pause.max(asked.unwrap_or_default())
    }
}

/// A number from 0 to 1. The keys of a hasher are random enough for a pause.
fn by_chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    random as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_limit_and_are_spread() {
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(10));
        let mut spread = false;
        for _ in 0..20 {
            let mut backoff = Backoff::new(first, longest);
            for nominal in [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
                let (nominal, pause) = (Duration::from_millis(nominal), backoff.pause(None));
                assert!(
                    pause <= nominal && pause >= nominal * 74 / 100,
                    "{pause:?} {nominal:?}"
                );
                spread |= pause < nominal;
            }
        }
        assert!(spread);
    }

    #[test]
    fn a_server_may_ask_for_a_longer_pause_but_not_for_a_shorter_one() {
        let minute = Duration::from_secs(60);
        let mut backoff = Backoff::new(minute, minute);
        assert_eq!(backoff.pause(Some(minute * 2)), minute * 2);
        assert!(backoff.pause(Some(Duration::ZERO)) >= minute * 3 / 4);
        // A limit below the first pause holds from the beginning.
        assert!(Backoff::new(minute, Duration::from_secs(1)).pause(None) <= Duration::from_secs(1));
    }
}
