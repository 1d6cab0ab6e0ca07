//! What vw-show and vw-diff make of mappings: their counts agree with the documents, and a comparison is the same both ways.

use vw::diff::{Differences, Snapshot};
use vw::mapping::{Mapping, Reader};
use vw::show::{Host, Needle, Search, Summary};

pub fn run(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let documents: Vec<Mapping> = std::iter::from_fn(|| reader.next_mapping().ok().flatten())
        .take(3)
        .collect();
    for document in &documents {
        counted(document);
    }
    search(bytes);
    let mut sides = documents
        .into_iter()
        .map(|document| [Snapshot::from_iter(document.hypervisors)]);
    let Some(one) = sides.next() else { return };
    same(&one);
    if let Some(other) = sides.next() {
        both_ways(&one, &other);
    }
}

fn counted(document: &Mapping) {
    let mut summary = Summary::default();
    for hypervisor in &document.hypervisors {
        summary.add(&Host::new(hypervisor));
    }
    summary.finish(&document.tail, document.faults.clone(), "fuzz");
    let total = summary.total();
    let hosts = document.hypervisors.iter().filter(|host| !host.is_local());
    assert_eq!(total.hosts, hosts.clone().count() as u64);
    assert_eq!(
        total.guests.total(),
        hosts.map(|host| host.guests.len() as u64).sum::<u64>()
    );
    let known = total.hosts - total.unknown - total.counted_by_cpus;
    assert!(known > 0 || total.sockets == 0, "{total:?}");
    assert!(
        total.pairs <= total.sockets && total.sockets <= 2 * total.pairs,
        "{total:?}"
    );
    let mut names: Vec<_> = summary.clusters().map(|(name, _)| name).collect();
    let clusters = names.len();
    names.sort();
    names.dedup();
    assert_eq!(
        summary.clusters().map(|(_, counts)| counts.hosts).sum::<u64>(),
        total.hosts
    );
    assert!(names.len() <= clusters);
    let left_out: u64 = summary.left_out().map(|(_, count)| count).sum();
    let faults: usize = document.faults.iter().map(|fault| fault.count).sum();
    assert_eq!(left_out, (document.tail.omitted.len() + faults) as u64);
}

/// Every host is found by its own id.
fn search(bytes: &[u8]) {
    let ids: Vec<String> = {
        let mut reader = Reader::new(bytes);
        let Ok(Some(mapping)) = reader.next_mapping() else {
            return;
        };
        mapping
            .hypervisors
            .into_iter()
            .filter_map(|host| host.id)
            .take(3)
            .collect()
    };
    for id in ids {
        let Some(needle) = Needle::new(&id) else { continue };
        let mut search = Search::new(needle);
        let mut reader = Reader::new(bytes);
        let Ok(Some(mut document)) = reader.next_document() else {
            return;
        };
        while let Ok(Some(entry)) = document.next_entry() {
            match entry.read() {
                Ok(read) => search.hypervisor(&entry, &read.hypervisor),
                Err(fault) => search.unusable(&entry, &fault),
            }
        }
        let found = search.findings().len() as u64 + search.more();
        assert!(found > 0, "{id:?} is not found");
    }
}

fn same(side: &[Snapshot]) {
    let none = Differences::between(side, side);
    assert!(none.is_empty(), "{none:?}");
}

fn both_ways(one: &[Snapshot], other: &[Snapshot]) {
    let (there, back) = (Differences::between(one, other), Differences::between(other, one));
    let ids = |guests: &[vw::diff::GuestRef<'_>]| {
        guests
            .iter()
            .map(|guest| guest.id().to_lowercase())
            .collect::<Vec<_>>()
    };
    assert_eq!(there.is_empty(), back.is_empty());
    assert_eq!(there.hosts.came.len(), back.hosts.went.len());
    assert_eq!(there.hosts.went.len(), back.hosts.came.len());
    assert_eq!(there.hosts.changed.len(), back.hosts.changed.len());
    assert_eq!(ids(&there.guests.came), ids(&back.guests.went));
    assert_eq!(ids(&there.guests.went), ids(&back.guests.came));
    assert_eq!(there.guests.moved.len(), back.guests.moved.len());
    assert_eq!(there.guests.changed.len(), back.guests.changed.len());
    let balance = one.iter().map(|side| side.hosts().len()).sum::<usize>() + there.hosts.came.len();
    assert_eq!(
        balance,
        other.iter().map(|side| side.hosts().len()).sum::<usize>() + there.hosts.went.len()
    );
}
