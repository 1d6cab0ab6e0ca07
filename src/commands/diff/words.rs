//! Differences in an administrator's words, one a line.

use std::fmt::{self, Display};
use std::io::{self, Write};

use jiff::ZonedDateTime;

use crate::cli::words::{counted, counts};
use crate::diff::{Change, Differences, GuestRef, HostRef};
use crate::text;

/// The most characters of a value.
const LONGEST_VALUE: usize = 80;

/// What stands before the lines about a document of a stream: the time and the section.
pub(super) fn prefix(section: Option<&str>) -> String {
    let time = ZonedDateTime::now().strftime("%F %T").to_string();
    match section {
        Some(section) => format!("{time} {section}: "),
        None => format!("{time} "),
    }
}

/// Writes the differences, or only their numbers.
pub(super) fn write(
    mut out: impl Write,
    differences: &Differences<'_>,
    summary: bool,
    prefix: &str,
) -> io::Result<()> {
    let mut line = |words: fmt::Arguments<'_>| {
        // A name must not break a line or control a terminal.
        let words = text::line(&format!("{prefix}{words}"));
        writeln!(out, "{words}")
    };
    if summary {
        line(format_args!("{}", summary_of(differences)))?;
        return out.flush();
    }
    let Differences { hosts, guests } = differences;
    for host in &hosts.came {
        let guests = counted(host.guests(), "guest");
        line(format_args!("host came: {} with {guests}", full(host)))?;
    }
    for host in &hosts.went {
        line(format_args!("host went: {}", full(host)))?;
    }
    for changed in &hosts.changed {
        let what = Changes(&changed.what);
        line(format_args!("host changed: {}: {what}", full(&changed.new)))?;
    }
    for guest in &guests.came {
        let state = guest.state().map(|state| format!(", {state}"));
        let (name, host) = (label(guest), short(&guest.host()));
        line(format_args!(
            "guest came: {name} on {host}{}",
            state.unwrap_or_default()
        ))?;
    }
    for guest in &guests.went {
        line(format_args!(
            "guest went: {} from {}",
            label(guest),
            short(&guest.host())
        ))?;
    }
    for moved in &guests.moved {
        let (from, to) = (short(&moved.from), short(&moved.guest.host()));
        line(format_args!(
            "guest moved: {} from {from} to {to}",
            label(&moved.guest)
        ))?;
    }
    for changed in &guests.changed {
        let (name, host) = (label(&changed.new), short(&changed.new.host()));
        let what = Changes(&changed.what);
        line(format_args!("guest changed: {name} on {host}: {what}"))?;
    }
    out.flush()
}

/// Such as `hosts: 1 came, 2 changed; guests: 3 moved`.
fn summary_of(differences: &Differences<'_>) -> String {
    let Differences { hosts, guests } = differences;
    let hosts = counts(&[
        (hosts.came.len(), "came"),
        (hosts.went.len(), "went"),
        (hosts.changed.len(), "changed"),
    ]);
    let guests = counts(&[
        (guests.came.len(), "came"),
        (guests.went.len(), "went"),
        (guests.moved.len(), "moved"),
        (guests.changed.len(), "changed"),
    ]);
    let parts = [("hosts", hosts), ("guests", guests)];
    let parts = parts.iter().filter(|(_, counts)| !counts.is_empty());
    let parts: Vec<String> = parts.map(|(what, counts)| format!("{what}: {counts}")).collect();
    match parts.is_empty() {
        true => "no differences".to_owned(),
        false => parts.join("; "),
    }
}

/// The name with the id, or what there is of them.
fn named(name: Option<&str>, id: &str) -> String {
    match name {
        Some(name) => format!("{name} ({id})"),
        None => id.to_owned(),
    }
}

fn full(host: &HostRef<'_>) -> String {
    match host.id() {
        Some(id) => named(host.name(), id),
        None => "this machine".to_owned(),
    }
}

/// The name alone, because the lines about hosts have the id.
fn short<'s>(host: &HostRef<'s>) -> &'s str {
    host.name().or(host.id()).unwrap_or("this machine")
}

fn label(guest: &GuestRef<'_>) -> String {
    named(guest.name(), guest.id())
}

/// Such as `state running -> shut off, name a -> b`.
struct Changes<'c, 's>(&'c [Change<'s>]);

impl Display for Changes<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, Change { member, old, new }) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            let (old, new) = (old.to_string(), new.to_string());
            let (old, new) = (text::cut(&old, LONGEST_VALUE), text::cut(&new, LONGEST_VALUE));
            write!(f, "{comma}{member} {old} -> {new}")?;
        }
        Ok(())
    }
}
