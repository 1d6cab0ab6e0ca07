//! What the fact `cpu.cpu_socket(s)` says of a host.

use std::fmt;

use crate::mapping::{JsonValue, Members};

/// The fact.
const FACT: &str = "cpu.cpu_socket(s)";

/// virt-who's type of the sources that write the number of CPUs into the fact: KubeVirt does not know a node's sockets.
const OF_CPUS: &str = "kubevirt";

/// The number of a host's sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sockets {
    /// The fact is missing, 0 or not a number.
    Unknown,
    /// The number of sockets.
    Known(u64),
    /// The number of CPUs, because the source does not know the sockets.
    Cpus(u64),
}

impl Sockets {
    /// Reads the fact.
    pub(super) fn of(facts: &Members) -> Self {
        let number: Option<u32> = match facts.get(FACT) {
            Some(JsonValue::Text(text)) => text.trim().parse().ok(),
            Some(JsonValue::Other(raw)) => raw.get().parse().ok(),
            None => None,
        };
        match number {
            None | Some(0) => Sockets::Unknown,
            Some(number) => Sockets::Known(number.into()),
        }
    }

    /// The same number, known to come from a source of this type.
    pub fn from_source(self, kind: Option<&str>) -> Self {
        match self {
            Sockets::Known(cpus) if kind == Some(OF_CPUS) => Sockets::Cpus(cpus),
            sockets => sockets,
        }
    }

    /// The number of socket pairs: half of the sockets, rounded up. CPUs have none.
    pub fn pairs(self) -> Option<u64> {
        match self {
            Sockets::Known(sockets) => Some(sockets.div_ceil(2)),
            Sockets::Unknown | Sockets::Cpus(_) => None,
        }
    }
}

/// The number, with its unit if that is not sockets; `?` if it is unknown.
impl fmt::Display for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sockets::Unknown => f.write_str("?"),
            Sockets::Known(sockets) => write!(f, "{sockets}"),
            Sockets::Cpus(1) => f.write_str("1 CPU"),
            Sockets::Cpus(cpus) => write!(f, "{cpus} CPUs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Reader;

    fn sockets(fact: &str) -> Sockets {
        let text = format!(r#"{{"hypervisors":[{{"uuid":"a","guests":[],"facts":{fact}}}]}}"#);
        let mapping = Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap();
        Sockets::of(&mapping.hypervisors[0].facts)
    }

    #[test]
    fn a_fact_that_is_no_number_of_sockets_is_unknown_and_never_0() {
        for (fact, wanted) in [
            (r#"{"cpu.cpu_socket(s)":"2"}"#, Sockets::Known(2)),
            (r#"{"cpu.cpu_socket(s)":4}"#, Sockets::Known(4)),
            ("{}", Sockets::Unknown),
            (r#"{"cpu.cpu_socket(s)":"0"}"#, Sockets::Unknown),
            (r#"{"cpu.cpu_socket(s)":"two"}"#, Sockets::Unknown),
            (r#"{"cpu.cpu_socket(s)":"-1"}"#, Sockets::Unknown),
            (r#"{"cpu.cpu_socket(s)":null}"#, Sockets::Unknown),
            (r#"{"cpu.cpu_socket(s)":"99999999999"}"#, Sockets::Unknown),
        ] {
            assert_eq!(sockets(fact), wanted, "{fact}");
        }
    }

    #[test]
    fn a_pair_is_two_sockets_of_one_host_and_an_odd_socket_is_a_pair_too() {
        let pairs = |sockets| Sockets::Known(sockets).pairs();
        assert_eq!([1, 2, 3, 4].map(pairs), [Some(1), Some(1), Some(2), Some(2)]);
        assert_eq!(Sockets::Unknown.pairs(), None);
        let cpus = Sockets::Known(8).from_source(Some("kubevirt"));
        assert_eq!(
            (cpus, cpus.pairs(), &*cpus.to_string()),
            (Sockets::Cpus(8), None, "8 CPUs")
        );
        assert_eq!(Sockets::Known(8).from_source(Some("esx")), Sockets::Known(8));
        assert_eq!(Sockets::Known(8).from_source(None), Sockets::Known(8));
    }
}
