//! Where a host or guest is, or why it is missing.

use std::cell::Cell;
use std::io::{BufRead, Write};

use super::{View, counted, each_document, results, source, written};
use crate::cli::table::{line, sentence};
use crate::cli::{self, Exit, colour};
use crate::mapping::{Entry, Fault, Guest, Hypervisor, Omitted, Reader, Tail};
use crate::show::{Finding, Found, Host, Needle, Search, Sockets, states};

/// Prints where something is in each document on stdin. Without it in any of them, the answer to the question is no.
pub(super) fn answer(text: &str, needle: &Needle) -> cli::Result<Exit> {
    let mut input = cli::stdin()?;
    if results::begin(input.fill_buf().unwrap_or_default()) {
        return results::answer(input, text, needle);
    }
    let mut out = cli::stdout();
    let found = Cell::new(false);
    each_document(Reader::new(input), &mut out, |number| Question {
        text,
        search: Search::new(needle.clone()),
        found: &found,
        is_first: number == 0,
    })?;
    out.flush().map_err(written)?;
    match found.get() {
        true => Ok(Exit::Ok),
        false => Ok(Exit::No),
    }
}

/// The question, put to one document.
struct Question<'q> {
    text: &'q str,
    search: Search,
    /// Whether any document has an answer.
    found: &'q Cell<bool>,
    is_first: bool,
}

impl View for Question<'_> {
    const GROWS: bool = false;

    fn hypervisor(
        &mut self,
        entry: &Entry<'_>,
        hypervisor: Hypervisor,
        _: &mut dyn Write,
    ) -> cli::Result<()> {
        self.search.hypervisor(entry, &hypervisor);
        Ok(())
    }

    fn unusable(&mut self, entry: &Entry<'_>, fault: &Fault) {
        self.search.unusable(entry, fault);
    }

    fn end(mut self, tail: &Tail, _: Vec<Fault>, out: &mut dyn Write) -> cli::Result<()> {
        self.search.tail(tail);
        let findings = self.search.findings();
        self.found.set(self.found.get() || !findings.is_empty());
        let mut text = String::new();
        if !self.is_first {
            text.push('\n');
        }
        let origin = source::words(tail.source.as_ref());
        if !origin.is_empty() {
            text += &colour::heading(&sentence(&origin));
        }
        match findings.is_empty() {
            true => text += &self.not_found(tail),
            false => text += &self.places(findings, tail),
        }
        out.write_all(text.as_bytes()).map_err(written)?;
        Ok(())
    }
}

impl Question<'_> {
    fn places(&self, findings: &[Finding], tail: &Tail) -> String {
        let source = tail.source.as_ref().and_then(|source| source.kind.as_deref());
        let mut text = String::new();
        if let Some(Finding {
            found: Found::Mention(_),
            ..
        }) = findings.first()
        {
            let none = format!(
                "no name or id contains {:?}, but a fact or another member of these does:",
                self.text
            );
            text += &sentence(&none);
        }
        for finding in findings {
            let (found, details) = match &finding.found {
                Found::Host(host) => (
                    format!("host {} is in the document", host.label()),
                    of_host(host, source),
                ),
                Found::Guest(guest, host) => of_guest(guest, host),
                Found::Omitted(omitted) => of_omitted(omitted),
                Found::Unusable(fault) => of_unusable(fault),
                Found::Mention(host) => (
                    format!("host {} or one of its guests", host.label()),
                    of_host(host, source),
                ),
            };
            text += &sentence(&found);
            for (what, value) in details {
                text += &format!("  {what}: {}\n", line(&value));
            }
            if finding.swapped {
                text += "  its uuid is the one asked for, in the other byte order\n";
            }
        }
        if self.search.more() > 0 {
            text += &format!("and {} more; say more of the name or id\n", self.search.more());
        }
        text
    }

    /// That no stage saw it, and what may be the reason.
    fn not_found(&self, tail: &Tail) -> String {
        let (hosts, guests) = self.search.searched();
        let mut text = format!(
            "not found: no name or id of the {} and {} in this document contains {:?}",
            counted(hosts, "host"),
            counted(guests, "guest"),
            self.text
        );
        if self.search.lacks_omitted() {
            text += ".\nVirt-who's layout does not list what was left out. Ask the output of the scan, without --layout checkin.\n";
            return line_by_line(&text);
        }
        text += &match tail.omitted.len() {
            0 => ", and no stage says that it left out anything.\n".to_owned(),
            count => format!(", nor does any of the {count} in \"omitted\".\n"),
        };
        text += "So no stage before this one saw it. Possible reasons:\n";
        text += "- The name or id differs. Try a part of it.\n";
        if guests > 0 && !self.search.has_guest_names() {
            text += "- It is the name of a guest. This document has none: scan with --guest-names, or ask for the uuid.\n";
        }
        text +=
            "- The server does not show it to the account of the scan. Check the account's rights on it.\n";
        text += "- It is on another server, or it came after the scan.\n";
        if tail.omitted.is_empty() {
            text += "- A stage ran with --no-omitted and dropped it. Ask the output of each stage, beginning with the scan.\n";
        }
        line_by_line(&text)
    }
}

/// Lines that do not control a terminal.
fn line_by_line(text: &str) -> String {
    text.lines().map(sentence).collect()
}

type Details = Vec<(&'static str, String)>;

fn of_host(host: &Host, source: Option<&str>) -> Details {
    let mut details = Vec::new();
    details.extend(host.id.clone().map(|id| ("id", id)));
    details.extend(
        host.cluster
            .as_ref()
            .map(|cluster| ("cluster", cluster.name.clone())),
    );
    let sockets = match host.sockets(source) {
        Sockets::Unknown => "unknown".to_owned(),
        sockets => sockets.to_string(),
    };
    details.push(("sockets", sockets));
    let guests = match host.guests.total() {
        0 => "none".to_owned(),
        total => format!("{total} ({})", host.guests),
    };
    details.push(("guests", guests));
    details
}

fn of_guest(guest: &Guest, host: &Host) -> (String, Details) {
    let name = guest.name.as_ref().unwrap_or(&guest.id);
    let sentence = match host.id {
        Some(_) => format!("guest {name} is on host {}", host.label()),
        None => format!("guest {name} is on this machine"),
    };
    let mut details = vec![("id", guest.id.clone()), ("state", states::word(guest.state))];
    details.extend(guest.moref.clone().map(|moref| ("managed object id", moref)));
    details.extend(host.id.clone().map(|id| ("host id", id)));
    details.extend(
        host.cluster
            .as_ref()
            .map(|cluster| ("cluster", cluster.name.clone())),
    );
    (sentence, details)
}

fn of_omitted(omitted: &Omitted) -> (String, Details) {
    let left_out = &omitted.left_out;
    let name = left_out.name.as_ref().or(left_out.id.as_ref());
    let kind = if left_out.kind.is_empty() {
        "something"
    } else {
        &left_out.kind
    };
    let name = name.map_or("", String::as_str);
    let stage = if omitted.stage.is_empty() {
        "a stage"
    } else {
        &omitted.stage
    };
    let sentence = format!("{kind} {name} was left out by {stage}: {}", left_out.reason);
    let mut details = Vec::new();
    if left_out.name.is_some() {
        details.extend(left_out.id.clone().map(|id| ("id", id)));
    }
    let texts = omitted
        .unknown
        .iter()
        .filter_map(|(name, value)| Some((name, value.text()?)));
    details.extend(texts.map(|(name, value)| ("also", format!("{name} {value}"))));
    (sentence, details)
}

fn of_unusable(fault: &Fault) -> (String, Details) {
    let name = fault.name.as_ref().or(fault.id.as_ref());
    let name = name.map_or("without a name", String::as_str);
    let sentence = format!(
        "host {name} is in the document (at byte {}), but no reporter can use it: {}",
        fault.at, fault.reason
    );
    (sentence, Vec::new())
}
