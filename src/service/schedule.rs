//! When a section's next round is due.

use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::error::Kind;

/// The first pause after a temporary failure, which the stages have already retried for a minute.
const FIRST_PAUSE: Duration = Duration::from_secs(15);

/// The pause after a failure that only a person can fix: refused credentials, a wrong configuration. More attempts would lock
/// the account.
pub const HELD: Duration = Duration::from_secs(4 * 3600);

/// When a section's next round is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    interval: Duration,
    backoff: Backoff,
    due: Instant,
    /// Before this moment nobody may hurry, because the server asks for a pause.
    not_before: Instant,
    is_held: bool,
}

/// What a round that ended means for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It begins at the usual time.
    Usual,
    /// It begins after this pause, because this one failed for now, or because the server asks for it.
    After(Duration),
    /// It begins after this pause, unless the configuration changes before, because only a person can fix the failure.
    Held(Duration),
}

impl Schedule {
    /// The first round is due now, then one each `interval`.
    pub fn new(interval: Duration, now: Instant) -> Self {
        Schedule {
            interval,
            backoff: Backoff::new(FIRST_PAUSE, interval),
            due: now,
            not_before: now,
            is_held: false,
        }
    }

    /// When the next round is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Makes the next round due now, or after the pause that the server asks for, unless the section is held.
    pub fn hurry(&mut self, now: Instant) {
        if !self.is_held {
            self.due = self.due.min(now.max(self.not_before));
        }
    }

    /// Plans the round after one that `began` and has ended `now`. `asked` is the pause that the server asks for.
    pub fn ended(
        &mut self,
        failed: Option<Kind>,
        asked: Option<Duration>,
        began: Instant,
        now: Instant,
    ) -> Next {
        self.is_held = matches!(failed, Some(Kind::NoPerm | Kind::Config | Kind::Usage));
        if failed != Some(Kind::TempFail) {
            self.backoff = Backoff::new(FIRST_PAUSE, self.interval);
        }
        self.not_before = now + asked.unwrap_or_default();
        let usual = (began + self.interval).saturating_duration_since(now);
        let next = match failed {
            _ if self.is_held => Next::Held(HELD.max(self.interval).max(asked.unwrap_or_default())),
            Some(Kind::TempFail) => Next::After(self.backoff.pause(asked)),
            _ => asked
                .filter(|asked| *asked > usual)
                .map_or(Next::Usual, Next::After),
        };
        self.due = match next {
            Next::Usual => now + usual,
            Next::After(pause) | Next::Held(pause) => now + pause,
        };
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn rounds_begin_once_per_interval_however_long_they_take() {
        let start = Instant::now();
        let mut schedule = Schedule::new(HOUR, start);
        assert_eq!(schedule.due(), start);
        for kind in [
            None,
            Some(Kind::Data),
            Some(Kind::Unavailable),
            Some(Kind::Protocol),
        ] {
            assert_eq!(
                schedule.ended(kind, None, start, start + seconds(600)),
                Next::Usual
            );
            assert_eq!(schedule.due(), start + HOUR, "{kind:?}");
        }
        // A round that took longer than the interval is followed immediately by the next.
        schedule.ended(None, None, start, start + HOUR * 2);
        assert_eq!(schedule.due(), start + HOUR * 2);
    }

    #[test]
    fn a_vcenter_that_is_down_for_ten_rounds_is_tried_less_and_less_often_until_it_is_back() {
        let mut now = Instant::now();
        let mut schedule = Schedule::new(HOUR, now);
        let mut longest = Duration::ZERO;
        for round in 0..10 {
            let Next::After(pause) = schedule.ended(Some(Kind::TempFail), None, now, now) else {
                panic!("round {round}");
            };
            assert_eq!(schedule.due(), now + pause);
            assert!(
                pause <= HOUR && pause >= longest * 3 / 4,
                "round {round}: {pause:?}"
            );
            longest = longest.max(pause);
            now = schedule.due();
        }
        assert!(longest > HOUR / 2);
        assert_eq!(schedule.ended(None, None, now, now), Next::Usual);
        let Next::After(pause) = schedule.ended(Some(Kind::TempFail), None, now, now) else {
            panic!("no pause");
        };
        assert!(pause <= FIRST_PAUSE, "the pauses begin again");
    }

    #[test]
    fn the_server_may_ask_for_a_longer_pause() {
        let now = Instant::now();
        let mut schedule = Schedule::new(HOUR, now);
        let asked = Some(HOUR * 2);
        for kind in [Some(Kind::TempFail), Some(Kind::Unavailable), None] {
            assert_eq!(schedule.ended(kind, asked, now, now), Next::After(HOUR * 2));
        }
        schedule.hurry(now);
        assert_eq!(schedule.due(), now + HOUR * 2);
        assert_eq!(schedule.ended(None, Some(seconds(1)), now, now), Next::Usual);
        schedule.hurry(now + seconds(5));
        assert_eq!(schedule.due(), now + seconds(5));
    }

    #[test]
    fn what_a_person_must_fix_is_held_even_if_somebody_hurries() {
        let now = Instant::now();
        let mut schedule = Schedule::new(HOUR, now);
        for kind in [Kind::NoPerm, Kind::Config] {
            assert_eq!(schedule.ended(Some(kind), None, now, now), Next::Held(HELD));
            schedule.hurry(now);
            assert_eq!(schedule.due(), now + HELD);
        }
        schedule.ended(Some(Kind::TempFail), None, now, now);
        schedule.hurry(now);
        assert_eq!(schedule.due(), now);
    }
}
