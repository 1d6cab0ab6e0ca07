//! The number of guests in each state.

use std::fmt;

use crate::mapping::{Guest, GuestState};

/// The number of guests in each state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct States([u64; GuestState::ALL.len()]);

impl States {
    /// The states of some guests.
    pub fn of(guests: &[Guest]) -> Self {
        let mut states = States::default();
        for guest in guests {
            states.0[usize::from(guest.state.number())] += 1;
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

    /// The states that occur, with their numbers of guests. Guests without a state come last.
    pub fn iter(&self) -> impl Iterator<Item = (GuestState, u64)> {
        let by_number = GuestState::ALL.into_iter().zip(self.0);
        let without = by_number.clone().take(1);
        by_number.skip(1).chain(without).filter(|(_, count)| *count > 0)
    }
}

/// Such as `4 running, 2 shut off`; nothing for no guests.
impl fmt::Display for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (state, count)) in self.iter().enumerate() {
            let before = if number == 0 { "" } else { ", " };
            write!(f, "{before}{count} {state}")?;
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
    }
}
