//! When the state of something that changes is emitted: after changes have settled, and now and then although nothing changed.

use std::time::{Duration, Instant};

/// After this many times the settling time a state that never settles is emitted.
const UNREST: u32 = 10;

/// When a state is emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long nothing must have changed. A state that never settles is emitted after ten times as long.
    pub settle: Duration,
    /// After this time the unchanged state is emitted again.
    pub repeat: Option<Duration>,
}

/// Why a state is emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Something has changed, or may have changed because all of it was read.
    News,
    /// The user asked, or it is time to repeat the state, and the state is known to be current.
    Confirmation,
}

/// Changes that have not settled.
#[derive(Debug, Clone, Copy)]
pub struct Unsettled {
    /// When the first came.
    first: Instant,
    /// When the last came.
    last: Instant,
}

impl Unsettled {
    /// A first change.
    pub fn new(now: Instant) -> Self {
        Unsettled {
            first: now,
            last: now,
        }
    }

    /// Notes another change.
    pub fn change(&mut self, now: Instant) {
        self.last = now;
    }
}

impl Pace {
    /// When the state is emitted next, if no more changes come.
    pub fn due(&self, last_emitted: Instant, unsettled: Option<&Unsettled>) -> Option<Instant> {
        match unsettled {
            Some(changes) => {
                let latest = changes.first + self.settle * UNREST;
                Some(latest.min(changes.last + self.settle))
            }
            None => self.repeat.map(|repeat| last_emitted + repeat),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_emitted_once_it_has_settled_or_never_does() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace {
            settle: Duration::from_secs(10),
            repeat: Some(Duration::from_secs(3600)),
        };
        assert_eq!(pace.due(start, None), Some(at(3600)));
        for (first, last, due) in [(5, 5, 15), (5, 14, 24), (5, 94, 104), (5, 96, 105), (5, 104, 105)] {
            let mut unsettled = Unsettled::new(at(first));
            unsettled.change(at(last));
            assert_eq!(pace.due(start, Some(&unsettled)), Some(at(due)), "{first} {last}");
        }
        pace.repeat = None;
        assert_eq!(pace.due(start, None), None);
    }
}
