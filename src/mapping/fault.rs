//! A bounded list of faults: the first are named, the others are counted.

use super::{Concerns, Fault};

/// The most faults that are named for one hypervisor.
const OF_HYPERVISOR: usize = 10;
/// The most faults that are named for one document.
const OF_DOCUMENT: usize = 1000;

/// Faults of a document or of a hypervisor, which may be very many.
#[derive(Debug)]
pub struct BoundedFaults {
    most: usize,
    named: Vec<Fault>,
    /// For hosts and facts, and for guests and states: the first fault that is not named, with the count of the others.
    rest: [Option<Fault>; 2],
}

impl BoundedFaults {
    /// An empty list for a document.
    pub fn of_document() -> Self {
        BoundedFaults::new(OF_DOCUMENT)
    }

    pub(super) fn of_hypervisor() -> Self {
        BoundedFaults::new(OF_HYPERVISOR)
    }

    fn new(most: usize) -> Self {
        BoundedFaults {
            most,
            named: Vec::new(),
            rest: [None, None],
        }
    }

    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        self.push_with(fault.about, fault.count, || fault);
    }

    /// Adds a fault about `count` of a kind. `fault` is called only if it is kept.
    pub(super) fn push_with(&mut self, about: Concerns, count: usize, fault: impl FnOnce() -> Fault) {
        if self.named.len() < self.most {
            return self.named.push(fault());
        }
        match &mut self.rest[usize::from(matches!(about, Concerns::Guest | Concerns::State))] {
            Some(rest) => rest.count += count,
            rest => *rest = Some(fault()),
        }
    }

    /// The named faults, followed by one for each kind that was counted.
    pub fn into_vec(self) -> Vec<Fault> {
        let BoundedFaults { mut named, rest, .. } = self;
        named.extend(rest.into_iter().flatten());
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_faults_are_named_and_all_are_counted() {
        let fault = |about, n: u64| Fault {
            at: n,
            about,
            id: None,
            name: None,
            host: None,
            reason: "it is odd".into(),
            count: 1,
        };
        let mut bounded = BoundedFaults::of_hypervisor();
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
            "guest at byte 10: it is odd (and 9 more like this)"
        );
    }
}
