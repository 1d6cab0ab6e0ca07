//! Faults in numbers that memory and readers can bear: a few are named, the rest is counted.

use super::{Concerns, Fault};

/// How many faults of one kind are named of one hypervisor.
const OF_HYPERVISOR: usize = 10;
/// How many faults of one kind are named of one document.
const OF_DOCUMENT: usize = 1000;

/// Faults of a document or of a hypervisor. Those beyond the first are only counted.
#[derive(Debug)]
pub struct Bounded {
    most: usize,
    named: Vec<Fault>,
    /// The first host or fact and the first guest or state that are not named, with the count of all of these.
    rest: [Option<Fault>; 2],
}

impl Bounded {
    /// None yet, of a document.
    pub fn of_document() -> Self {
        Bounded::new(OF_DOCUMENT)
    }

    pub(super) fn of_hypervisor() -> Self {
        Bounded::new(OF_HYPERVISOR)
    }

    fn new(most: usize) -> Self {
        Bounded {
            most,
            named: Vec::new(),
            rest: [None, None],
        }
    }

    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        self.push_with(fault.about, fault.count, || fault);
    }

    /// Adds a fault about `count` of a kind, which is not put into words unless they are kept.
    pub(super) fn push_with(&mut self, about: Concerns, count: usize, fault: impl FnOnce() -> Fault) {
        if self.named.len() < self.most {
            return self.named.push(fault());
        }
        match &mut self.rest[usize::from(matches!(about, Concerns::Guest | Concerns::State))] {
            Some(rest) => rest.count += count,
            rest => *rest = Some(fault()),
        }
    }

    /// Those that are named, and one more for each kind that was counted.
    pub fn into_vec(self) -> Vec<Fault> {
        let Bounded { mut named, rest, .. } = self;
        named.extend(rest.into_iter().flatten());
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_named_and_all_are_counted() {
        let fault = |about, n: u64| Fault {
            at: n,
            about,
            id: None,
            name: None,
            host: None,
            reason: "it is odd".into(),
            count: 1,
        };
        let mut bounded = Bounded::of_hypervisor();
        for n in 0..20 {
            bounded.push(fault(Concerns::Guest, n));
        }
        bounded.push(fault(Concerns::Host, 20));
        let faults = bounded.into_vec();
        let counts: Vec<_> = faults.iter().map(|fault| (fault.at, fault.count)).collect();
        assert_eq!(counts[..10], std::array::from_fn::<_, 10, _>(|n| (n as u64, 1)));
        assert_eq!(counts[10..], [(20, 1), (10, 10)]);
        assert_eq!(
            faults[11].to_string(),
            "guest at byte 10: it is odd, and 9 more such"
        );
    }
}
