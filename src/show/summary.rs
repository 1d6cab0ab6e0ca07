//! The counts of a document, per cluster and in total.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Cluster, Host, Sockets, States};
use crate::mapping::{Fault, LeftOut, Omitted, Tail};

/// The counts of some hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of hosts.
    pub hosts: u64,
    /// The sockets of all hosts that have the fact.
    pub sockets: u64,
    /// The socket pairs: the sum of each host's sockets divided by 2 and rounded up.
    pub pairs: u64,
    /// The number of hosts whose sockets are unknown.
    pub unknown: u64,
    /// The CPUs of the hosts whose source counts CPUs instead of sockets.
    pub cpus: u64,
    /// The number of those hosts.
    pub counted_by_cpus: u64,
    /// The number of hosts without guests.
    pub idle: u64,
    /// The guests.
    pub guests: States,
}

/// The counts of a document, which grows with the number of its clusters only.
#[derive(Debug, Default)]
pub struct Summary {
    clusters: BTreeMap<Option<Cluster>, Tally>,
    /// The guests of this machine itself, which is not a host.
    local: Option<States>,
    left_out: BTreeMap<LeftOutGroup, u64>,
}

/// Counts of which some wait for the source, which a document names after its hypervisors.
#[derive(Debug, Default)]
struct Tally {
    counts: Counts,
    /// The hosts with a number of sockets or CPUs, their numbers, and the pairs if they are sockets.
    open: (u64, u64, u64),
}

/// What one stage left out for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOutGroup {
    /// The command that left it out.
    pub stage: Cow<'static, str>,
    /// `host`, `guest`, or another kind.
    pub kind: Cow<'static, str>,
    /// Why.
    pub reason: String,
}

impl Summary {
    /// Counts a host.
    pub fn add(&mut self, host: &Host) {
        if host.id.is_none() {
            self.local.get_or_insert_default().add(&host.guests);
            return;
        }
        let tally = self.clusters.entry(host.cluster.clone()).or_default();
        tally.counts.hosts += 1;
        tally.counts.idle += u64::from(host.guests.total() == 0);
        tally.counts.guests.add(&host.guests);
        match host.sockets(None) {
            Sockets::Known(sockets) if !host.knows_its_source() => {
                tally.open.0 += 1;
                tally.open.1 += sockets;
                tally.open.2 += sockets.div_ceil(2);
            }
            sockets => tally.counts.add_sockets(sockets),
        }
    }

    /// Counts what the document says after its hypervisors, and what can't be used. `by` is the command that finds this.
    pub fn finish(&mut self, tail: &Tail, faults: Vec<Fault>, by: &'static str) {
        let kind = tail.source.as_ref().and_then(|source| source.kind.as_deref());
        for tally in self.clusters.values_mut() {
            let (hosts, numbers, pairs) = std::mem::take(&mut tally.open);
            match Sockets::Known(numbers).from_source(kind) {
                Sockets::Cpus(cpus) => {
                    tally.counts.cpus += cpus;
                    tally.counts.counted_by_cpus += hosts;
                }
                _ => {
                    tally.counts.sockets += numbers;
                    tally.counts.pairs += pairs;
                }
            }
        }
        for omitted in &tail.omitted {
            self.add_left_out(omitted, 1);
        }
        for fault in faults {
            let count = fault.count as u64;
            // The reason without the number of the others, which are counted.
            let left_out = LeftOut::from(Fault { count: 1, ..fault });
            self.add_left_out(&left_out.by(by), count);
        }
    }

    fn add_left_out(&mut self, omitted: &Omitted, count: u64) {
        let group = LeftOutGroup {
            stage: omitted.stage.clone(),
            kind: omitted.left_out.kind.clone(),
            reason: omitted.left_out.reason.clone(),
        };
        *self.left_out.entry(group).or_default() += count;
    }

    /// The clusters by name, with a name that is different for each; hosts outside clusters come first, with `None`.
    pub fn clusters(&self) -> impl Iterator<Item = (Option<String>, &Counts)> {
        self.clusters.iter().map(|(cluster, tally)| {
            let name = cluster.as_ref().map(|cluster| self.distinct(cluster));
            (name, &tally.counts)
        })
    }

    /// The name, with the id if another cluster has the same name.
    fn distinct(&self, cluster: &Cluster) -> String {
        let same = |other: &&Cluster| other.name == cluster.name;
        let count = self.clusters.keys().flatten().filter(same).count();
        match &cluster.id {
            Some(id) if count > 1 => format!("{} ({id})", cluster.name),
            _ => cluster.name.clone(),
        }
    }

    /// The counts of all hosts.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for tally in self.clusters.values() {
            total.add(&tally.counts);
        }
        total
    }

    /// The guests of this machine itself, if the document lists them.
    pub fn local(&self) -> Option<&States> {
        self.local.as_ref()
    }

    /// What was left out, by stage, kind and reason, with the numbers.
    pub fn left_out(&self) -> impl ExactSizeIterator<Item = (&LeftOutGroup, u64)> {
        self.left_out.iter().map(|(group, count)| (group, *count))
    }
}

impl Counts {
    fn add_sockets(&mut self, sockets: Sockets) {
        match sockets {
            Sockets::Unknown => self.unknown += 1,
            Sockets::Known(number) => {
                self.sockets += number;
                self.pairs += sockets.pairs().unwrap_or(0);
            }
            Sockets::Cpus(cpus) => {
                self.cpus += cpus;
                self.counted_by_cpus += 1;
            }
        }
    }

    fn add(&mut self, other: &Counts) {
        self.hosts += other.hosts;
        self.sockets += other.sockets;
        self.pairs += other.pairs;
        self.unknown += other.unknown;
        self.cpus += other.cpus;
        self.counted_by_cpus += other.counted_by_cpus;
        self.idle += other.idle;
        self.guests.add(&other.guests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Reader;

    fn summary(text: &str) -> Summary {
        let mapping = Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap();
        let mut summary = Summary::default();
        for hypervisor in &mapping.hypervisors {
            summary.add(&Host::new(hypervisor));
        }
        summary.finish(&mapping.tail, mapping.faults, "vw-show");
        summary
    }

    fn host(id: &str, sockets: &str, cluster: &str, domain: &str) -> String {
        format!(
            r#"{{"uuid":"{id}","guests":[],"facts":{{"cpu.cpu_socket(s)":"{sockets}"}},
            "parent":{{"type":"ClusterComputeResource","id":"{domain}","name":"{cluster}"}}}}"#
        )
    }

    #[test]
    fn pairs_are_rounded_up_for_each_host_and_unknown_sockets_are_counted_apart() {
        let hosts = [
            host("a", "1", "A", "c1"),
            host("b", "3", "A", "c1"),
            host("c", "", "A", "c1"),
            host("d", "4", "A", "c2"),
            r#"{"uuid":"e","guests":[{"guestId":"g","state":1}]},{"guests":[{"guestId":"h","state":5}]}"#
                .into(),
        ];
        let summary = summary(&format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(",")));
        let counts = |counts: &Counts| {
            (
                counts.hosts,
                counts.sockets,
                counts.pairs,
                counts.unknown,
                counts.idle,
            )
        };
        let clusters: Vec<_> = summary
            .clusters()
            .map(|(name, own)| (name, counts(own)))
            .collect();
        assert_eq!(
            clusters,
            [
                (None, (1, 0, 0, 1, 0)),
                (Some("A (c1)".into()), (3, 4, 3, 1, 3)),
                (Some("A (c2)".into()), (1, 4, 2, 0, 1)),
            ]
        );
        assert_eq!(counts(&summary.total()), (5, 8, 5, 2, 4));
        assert_eq!(summary.total().guests.to_string(), "1 running");
        assert_eq!(summary.local().unwrap().to_string(), "1 shut off");
    }

    #[test]
    fn cpus_of_kubevirt_are_no_sockets() {
        let of = |source: &str| {
            let host = host("a", "8", "A", "c1");
            let total = summary(&format!(r#"{{"hypervisors":[{host}]{source}}}"#)).total();
            (total.sockets, total.pairs, total.cpus, total.counted_by_cpus)
        };
        assert_eq!(of(""), (8, 4, 0, 0));
        assert_eq!(of(r#","source":{"type":"esx"}"#), (8, 4, 0, 0));
        assert_eq!(of(r#","source":{"type":"kubevirt"}"#), (0, 0, 8, 1));
    }

    #[test]
    fn what_was_left_out_is_counted_by_stage_kind_and_reason() {
        let omitted = r#"{"kind":"host","id":"x","stage":"vw-filter","reason":"r"}"#;
        let summary = summary(&format!(
            r#"{{"hypervisors":[{{"uuid":"","guests":[]}}],"omitted":[{omitted},{omitted}]}}"#
        ));
        let left_out: Vec<_> = summary.left_out().collect();
        let group = |stage: &'static str, reason: &str| LeftOutGroup {
            stage: stage.into(),
            kind: "host".into(),
            reason: reason.into(),
        };
        assert_eq!(
            left_out,
            [
                (&group("vw-filter", "r"), 2),
                (&group("vw-show", "its id is empty"), 1)
            ]
        );
    }
}
