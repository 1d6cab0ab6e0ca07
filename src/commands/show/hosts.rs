//! The table of hosts, and that of guests.

use std::cmp::Ordering;
use std::fmt;
use std::io::Write;
use std::rc::Rc;

use super::{Args, STAGE, View, counted, source, written};
use crate::cli::table::{self, Cells, Column};
use crate::cli::{self, Failure, colour};
use crate::error::Kind;
use crate::mapping::{Entry, Fault, Guest, Hypervisor, Tail};
use crate::show::{Counts, Host, Sockets, Summary, states};

/// Which table is shown, and how.
pub(super) struct Form {
    guests: bool,
    /// The index of the column by which the rows are sorted.
    sort: usize,
    reverse: bool,
    /// In lower case.
    matching: Option<String>,
}

const HOSTS: [Column; 6] = [
    column("NAME", Cells::Text),
    column("ID", Cells::Ids),
    column("CLUSTER", Cells::Text),
    column("SOCKETS", Cells::Numbers),
    column("GUESTS", Cells::Numbers),
    column("STATES", Cells::Text),
];

const GUESTS: [Column; 5] = [
    column("NAME", Cells::Text),
    column("ID", Cells::Ids),
    column("STATE", Cells::Text),
    column("HOST", Cells::Text),
    column("CLUSTER", Cells::Text),
];

const fn column(title: &'static str, cells: Cells) -> Column {
    Column { title, cells }
}

impl Form {
    pub(super) fn new(args: &Args) -> Result<Self, Failure> {
        let mut form = Form {
            guests: args.guests,
            sort: 0,
            reverse: args.reverse,
            matching: args.matching.as_ref().map(|text| text.to_lowercase()),
        };
        if let Some(wanted) = &args.sort {
            let titles = || form.columns().iter().map(|column| column.title.to_lowercase());
            form.sort = titles()
                .position(|title| title == wanted.to_lowercase())
                .ok_or_else(|| {
                    let names = titles().collect::<Vec<_>>().join(", ");
                    Failure::new(
                        Kind::Usage,
                        format!("--sort {wanted}: the table's columns are {names}"),
                    )
                })?;
        }
        Ok(form)
    }

    fn columns(&self) -> &'static [Column] {
        match self.guests {
            true => &GUESTS,
            false => &HOSTS,
        }
    }
}

/// A cell of the table.
#[derive(Debug, PartialEq)]
enum Cell {
    Text(String),
    Number(u64),
    Sockets(Sockets),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Text(text) => f.write_str(text),
            Cell::Number(number) => number.fmt(f),
            Cell::Sockets(sockets) => sockets.fmt(f),
        }
    }
}

impl Cell {
    fn optional(text: &Option<impl ToString>) -> Self {
        Cell::Text(text.as_ref().map(ToString::to_string).unwrap_or_default())
    }

    /// Ignores the case of text, unless nothing else differs.
    fn compare(&self, other: &Cell) -> Ordering {
        match (self, other) {
            (Cell::Text(one), Cell::Text(other)) => {
                let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
                lower(one).cmp(&lower(other)).then_with(|| one.cmp(other))
            }
            (Cell::Number(one), Cell::Number(other)) => one.cmp(other),
            (Cell::Sockets(one), Cell::Sockets(other)) => one.cmp(other),
            _ => Ordering::Equal,
        }
    }
}

/// One document's hosts and guests.
pub(super) struct Listing<'f> {
    form: &'f Form,
    summary: Summary,
    /// Without guests, only the hosts.
    hosts: Vec<(Rc<Host>, Vec<Guest>)>,
    is_first: bool,
}

impl<'f> Listing<'f> {
    /// The next document.
    pub(super) fn new(form: &'f Form, number: usize) -> Self {
        Listing {
            form,
            summary: Summary::default(),
            hosts: Vec::new(),
            is_first: number == 0,
        }
    }

    fn rows(&self, tail: &Tail) -> Vec<Vec<Cell>> {
        let kind = tail.source.as_ref().and_then(|source| source.kind.as_deref());
        let mut rows = Vec::new();
        for (host, guests) in &self.hosts {
            match self.form.guests {
                true => rows.extend(guests.iter().map(|guest| guest_row(guest, host))),
                false => rows.push(host_row(host, kind)),
            }
        }
        rows
    }
}

fn host_row(host: &Host, source: Option<&str>) -> Vec<Cell> {
    let name = match &host.id {
        Some(_) => Cell::optional(&host.name),
        None => Cell::Text(host.label().to_owned()),
    };
    vec![
        name,
        Cell::optional(&host.id),
        Cell::optional(&host.cluster),
        Cell::Sockets(host.sockets(source)),
        Cell::Number(host.guests.total()),
        Cell::Text(host.guests.to_string()),
    ]
}

fn guest_row(guest: &Guest, host: &Host) -> Vec<Cell> {
    vec![
        Cell::optional(&guest.name),
        Cell::Text(guest.id.clone()),
        Cell::Text(states::word(guest.state)),
        Cell::Text(host.label().to_owned()),
        Cell::optional(&host.cluster),
    ]
}

impl View for Listing<'_> {
    const GROWS: bool = true;

    fn hypervisor(&mut self, _: &Entry<'_>, hypervisor: Hypervisor, _: &mut dyn Write) -> cli::Result<()> {
        let host = Host::new(&hypervisor);
        self.summary.add(&host);
        let guests = match self.form.guests {
            true => hypervisor.guests,
            false => Vec::new(),
        };
        self.hosts.push((Rc::new(host), guests));
        Ok(())
    }

    fn end(mut self, tail: &Tail, faults: Vec<Fault>, out: &mut dyn Write) -> cli::Result<()> {
        self.summary.finish(tail, faults, STAGE);
        let mut rows = self.rows(tail);
        let all = rows.len();
        if let Some(text) = &self.form.matching {
            let contains = |cell: &Cell| cell.to_string().to_lowercase().contains(text.as_str());
            rows.retain(|row| row.iter().any(contains));
        }
        let shown = rows.len();
        sort(&mut rows, self.form);
        let mut text = String::new();
        if !self.is_first {
            text.push('\n');
        }
        if shown > 0 {
            let (columns, rows) = printed(self.form.columns(), rows);
            text += &table::titled(&columns, rows);
            text.push('\n');
        }
        if self.form.matching.is_some() {
            let noun = if self.form.guests { "guest" } else { "host" };
            text += &format!("{shown} of {} shown\n", counted(all as u64, noun));
        }
        text += &totals(&self.summary, tail);
        out.write_all(text.as_bytes()).map_err(written)?;
        Ok(())
    }
}

fn sort(rows: &mut [Vec<Cell>], form: &Form) {
    // Of equal cells, the other columns decide, so that the order does not depend on the input's.
    rows.sort_by(|one, other| {
        let by = |column: usize| match (one.get(column), other.get(column)) {
            (Some(one), Some(other)) => one.compare(other),
            _ => Ordering::Equal,
        };
        let first = match form.reverse {
            true => by(form.sort).reverse(),
            false => by(form.sort),
        };
        first.then_with(|| by(0)).then_with(|| by(1))
    });
}

/// The rows as text, without columns that are empty in all rows.
fn printed(columns: &[Column], rows: Vec<Vec<Cell>>) -> (Vec<Column>, impl Iterator<Item = Vec<String>>) {
    let is_used = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(column));
        cells.any(|cell| !matches!(cell, Cell::Text(text) if text.is_empty()))
    };
    let used: Vec<bool> = (0..columns.len()).map(is_used).collect();
    let kept = columns.iter().zip(&used).filter(|(_, used)| **used);
    let kept = kept.map(|(column, _)| *column).collect();
    let rows = rows.into_iter().map(move |row| {
        let cells = row.iter().zip(&used).filter(|(_, used)| **used);
        cells.map(|(cell, _)| cell.to_string()).collect()
    });
    (kept, rows)
}

/// What is in the document, and what was left out.
fn totals(summary: &Summary, tail: &Tail) -> String {
    let total = summary.total();
    let mut counts = format!("{}, {}", counted(total.hosts, "host"), sockets(&total));
    counts += &format!(", {}", counted(total.guests.total(), "guest"));
    if total.guests.total() > 0 {
        counts += &format!(" ({})", total.guests);
    }
    if let Some(local) = summary.local() {
        counts += &format!("; this machine: {}", counted(local.total(), "guest"));
    }
    let mut text = table::sentence(&counts);
    let origin = source::words(tail.source.as_ref());
    if !origin.is_empty() {
        text.insert_str(0, &table::sentence(&origin));
    }
    let left_out: u64 = summary.left_out().map(|(_, count)| count).sum();
    if left_out > 0 {
        let line =
            format!("{left_out} left out: vw-show --summary lists the reasons, --why NAME explains one");
        text += &colour::attention(&table::sentence(&line));
    }
    text
}

/// Such as `12 sockets, sockets unknown: 3 hosts`.
pub(super) fn sockets(counts: &Counts) -> String {
    let mut text = counted(counts.sockets, "socket");
    if counts.counted_by_cpus > 0 {
        text += &format!(
            ", {} of {}",
            counted(counts.cpus, "CPU"),
            counted(counts.counted_by_cpus, "host")
        );
    }
    if counts.unknown > 0 {
        text += &format!(", sockets unknown: {}", counted(counts.unknown, "host"));
    }
    text
}
