//! The number of guests in each state.

use std::fmt;

use crate::mapping::{Guest, GuestState};

/// The words for all states in the order of their [`index`].
pub fn words() -> Vec<String> {
    let known = GuestState::ALL.into_iter().map(Some);
    known.chain([None]).map(word).collect()
}

/// The state in words. A document such as that of `vw-scan-candlepin` has none.
pub fn word(state: Option<GuestState>) -> String {
    state.map_or_else(|| "state unknown".to_owned(), |state| state.to_string())
}

/// The state's number; the next one if the document does not have the state.
pub fn index(state: Option<GuestState>) -> u8 {
    state.map_or(UNKNOWN, GuestState::number)
}

const UNKNOWN: u8 = GuestState::ALL.len() as u8;

/// The number of guests in each state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct States([u64; GuestState::ALL.len() + 1]);

impl States {
    /// The states of some guests.
    pub fn of(guests: &[Guest]) -> Self {
        let mut states = States::default();
        for guest in guests {
            states.0[usize::from(index(guest.state))] += 1;
        }
        states
    }

    /// Adds the guests of another host.
    pub fn add(&mut self, other: &States) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own += other;
        }
    }

    /// The number of guests.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The [`index`] of each state that occurs, with its number of guests. Guests without a state come last.
    pub fn iter(&self) -> impl Iterator<Item = (u8, u64)> {
        let by_index = (0..).zip(self.0);
        let (without, unknown) = (
            by_index.clone().take(1),
            by_index.clone().skip(usize::from(UNKNOWN)),
        );
        let known = by_index.take(usize::from(UNKNOWN)).skip(1);
        known
            .chain(without)
            .chain(unknown)
            .filter(|(_, count)| *count > 0)
    }
}

/// Such as `4 running, 2 shut off`; nothing for no guests.
impl fmt::Display for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (index, count)) in self.iter().enumerate() {
            let before = if number == 0 { "" } else { ", " };
            write!(f, "{before}{count} {}", word(GuestState::from_number(index)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_counted_and_those_without_one_come_last() {
        let guests = |states: &[GuestState]| -> Vec<Guest> {
            let guest = |state: &GuestState| Guest::new("g", *state, "esx");
            states.iter().map(guest).collect()
        };
        use GuestState::{None, Running, ShutOff};
        let mut states = States::of(&guests(&[None, ShutOff, Running, Running]));
        assert_eq!(states.to_string(), "2 running, 1 shut off, 1 no state");
        states.add(&States::of(&guests(&[ShutOff])));
        assert_eq!(
            (states.total(), states.to_string()),
            (5, "2 running, 2 shut off, 1 no state".into())
        );
        assert_eq!(States::default().to_string(), "");
        let unknown = Guest {
            state: Option::None,
            ..Guest::default()
        };
        states.add(&States::of(&[unknown]));
        assert_eq!(
            states.to_string(),
            "2 running, 2 shut off, 1 no state, 1 state unknown"
        );
        assert_eq!(words()[8], "state unknown");
    }
}
