//! The counts per cluster and in total.

use std::io::Write;

use super::{STAGE, View, counted, hosts, source, written};
use crate::cli::table::{self, Cells, Column};
use crate::cli::{self, colour};
use crate::mapping::{Entry, Fault, Hypervisor, Tail};
use crate::show::{Counts, Host, LeftOutGroup, Summary};

/// The most reasons that are listed.
const MOST: usize = 20;

/// How the number of socket pairs comes about.
pub(super) const PAIRS: &str =
    "Socket pairs: each host's sockets (its fact cpu.cpu_socket(s)) divided by 2 and rounded up, then added.";

/// What follows [`PAIRS`] if hosts are counted by CPUs.
pub(super) const CPUS: &str = "KubeVirt counts CPUs, not sockets: such hosts have no socket pairs.";

/// What follows [`PAIRS`] if hosts have no fact.
pub(super) const UNKNOWN: &str = "Hosts whose sockets are unknown are in no number of sockets or pairs.";

/// The counts of one document, while it is read.
#[derive(Default)]
pub(super) struct Counting {
    summary: Summary,
    number: usize,
}

impl Counting {
    /// The next document.
    pub(super) fn new(number: usize) -> Self {
        Counting {
            number,
            ..Counting::default()
        }
    }
}

impl View for Counting {
    /// With the number of its clusters, which a hostile document may have many of.
    const GROWS: bool = true;

    fn hypervisor(&mut self, _: &Entry<'_>, hypervisor: Hypervisor, _: &mut dyn Write) -> cli::Result<()> {
        self.summary.add(&Host::new(&hypervisor));
        Ok(())
    }

    fn end(mut self, tail: &Tail, faults: Vec<Fault>, out: &mut dyn Write) -> cli::Result<()> {
        self.summary.finish(tail, faults, STAGE);
        let mut text = String::new();
        if self.number > 0 {
            text.push('\n');
        }
        let origin = source::words(tail.source.as_ref());
        if !origin.is_empty() {
            text += &colour::heading(&table::sentence(&origin));
            text += "\n";
        }
        text += &counts(&self.summary);
        let left_out = left_out(&self.summary);
        if !left_out.is_empty() {
            text.push('\n');
        }
        for one in left_out {
            text += &colour::attention(&table::sentence(&one));
        }
        out.write_all(text.as_bytes()).map_err(written)?;
        Ok(())
    }
}

/// The columns of the table of clusters.
pub(super) const TITLES: [&str; 8] = [
    "CLUSTER", "HOSTS", "EMPTY", "SOCKETS", "PAIRS", "UNKNOWN", "GUESTS", "STATES",
];

/// The rows of the table of clusters, and their total.
pub(super) fn rows(summary: &Summary) -> Vec<[String; 8]> {
    let clusters = summary.clusters();
    let mut rows: Vec<_> = clusters
        .map(|(name, counts)| row(name.unwrap_or_else(|| "(no cluster)".into()), counts))
        .collect();
    rows.push(row("total".into(), &summary.total()));
    rows
}

fn row(name: String, counts: &Counts) -> [String; 8] {
    [
        name,
        counts.hosts.to_string(),
        counts.idle.to_string(),
        sockets(counts),
        pairs(counts),
        counts.unknown.to_string(),
        counts.guests.total().to_string(),
        counts.guests.to_string(),
    ]
}

/// The number of sockets, of CPUs, or both.
fn sockets(counts: &Counts) -> String {
    match (counts.sockets, counts.counted_by_cpus) {
        (sockets, 0) => sockets.to_string(),
        (0, _) => counted(counts.cpus, "CPU"),
        (sockets, _) => format!("{sockets} + {}", counted(counts.cpus, "CPU")),
    }
}

/// The number of socket pairs. Where only CPUs are counted, there is none, which is not the same as 0.
fn pairs(counts: &Counts) -> String {
    match counts.sockets == 0 && counts.counted_by_cpus > 0 {
        true => "-".to_owned(),
        false => counts.pairs.to_string(),
    }
}

fn counts(summary: &Summary) -> String {
    let columns = TITLES.map(|title| Column {
        title,
        cells: match title {
            "CLUSTER" | "STATES" => Cells::Text,
            _ => Cells::Numbers,
        },
    });
    let mut text = table::titled(&columns, rows(summary).into_iter().map(Vec::from));
    text += "\n";
    for line in notes(summary) {
        text += &table::sentence(&line);
    }
    text
}

/// What the numbers mean, and what is not among them.
pub(super) fn notes(summary: &Summary) -> Vec<String> {
    let total = summary.total();
    let pairs = counted(total.pairs, "socket pair");
    let idle = counted(total.idle, "host");
    let known = format!("{pairs}, {}, without guests: {idle}", hosts::sockets(&total));
    let mut notes = vec![known, PAIRS.to_owned()];
    if total.unknown > 0 {
        notes.push(UNKNOWN.to_owned());
    }
    if total.counted_by_cpus > 0 {
        notes.push(CPUS.to_owned());
    }
    if let Some(local) = summary.local() {
        let guests = counted(local.total(), "guest");
        notes.push(format!(
            "This machine itself is not counted as a host; it has {guests}."
        ));
    }
    notes
}

/// What was left out, by stage and reason.
pub(super) fn left_out(summary: &Summary) -> Vec<String> {
    let groups = summary.left_out();
    let more = groups.len().saturating_sub(MOST);
    let line = |(group, count): (&LeftOutGroup, u64)| {
        let known = |text: &'_ str, otherwise: &'static str| match text {
            "" => otherwise.to_owned(),
            text => text.to_owned(),
        };
        let stage = known(&group.stage, "a stage");
        let what = counted(count, &known(&group.kind, "entry without a kind"));
        format!("left out by {stage}: {what}: {}", group.reason)
    };
    let mut lines: Vec<String> = groups.take(MOST).map(line).collect();
    if more > 0 {
        lines.push(format!(
            "left out for {more} other reasons: see \"omitted\" in the document"
        ));
    }
    lines
}
