//! What became of a host, by the results of a reporter.

use std::io::{BufRead, Read, Write};

use serde::Deserialize;

use super::{counted, written};
use crate::cli::table::sentence;
use crate::cli::{self, Exit, Failure};
use crate::error::Kind;
use crate::mapping::MAX_BYTES;
use crate::show::{Match, Needle};

/// The part of a result line that is needed here (vw-report-candlepin(1), vw-report-sat5(1)).
#[derive(Deserialize)]
struct ResultLine {
    time: String,
    section: Option<String>,
    server: String,
    state: String,
    error: Option<String>,
    hypervisors: u64,
    guests: u64,
    omitted: u64,
    failed: Vec<Failed>,
}

/// A hypervisor or guest that the reporter left out, or that the server refused or lost.
#[derive(Deserialize)]
struct Failed {
    id: Option<String>,
    name: Option<String>,
    error: String,
}

/// Whether an input that begins so has the results of a reporter, whose first member is the time.
pub(super) fn begin(input: &[u8]) -> bool {
    input.trim_ascii_start().starts_with(br#"{"time":"#)
}

/// Prints what each result says of a host, as soon as it arrives.
pub(super) fn answer(mut input: impl BufRead, text: &str, needle: &Needle) -> cli::Result<Exit> {
    let mut out = cli::stdout();
    let mut found = false;
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        let limited = input.by_ref().take(MAX_BYTES as u64);
        let length = { limited }
            .read_until(b'\n', &mut line)
            .map_err(|error| Failure::new(Kind::Io, format!("reading the input: {error}")))?;
        if length == 0 {
            break;
        }
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let result: ResultLine = serde_json::from_slice(&line).map_err(|error| {
            Failure::new(
                Kind::Data,
                format!("line {number} of the input is not a reporter's result: {error}"),
            )
        })?;
        let failed = matching(&result.failed, needle);
        found |= !failed.is_empty();
        out.write_all(told(&result, &failed, text).as_bytes())
            .map_err(written)?;
        out.flush().map_err(written)?;
    }
    match found {
        true => Ok(Exit::Ok),
        false => Ok(Exit::No),
    }
}

/// The entries with exactly this name or id, otherwise those that contain it.
fn matching<'f>(failed: &'f [Failed], needle: &Needle) -> Vec<&'f Failed> {
    let best = |one: &Failed| {
        let names = [one.id.as_deref(), one.name.as_deref()];
        let found = names
            .into_iter()
            .flatten()
            .filter_map(|name| needle.matches(name));
        found.map(|(found, _)| found).max()
    };
    let with = |wanted: Match| failed.iter().filter(move |one| best(one) == Some(wanted));
    let whole: Vec<&Failed> = with(Match::Whole).collect();
    match whole.is_empty() {
        true => with(Match::Part).collect(),
        false => whole,
    }
}

fn told(result: &ResultLine, failed: &[&Failed], text: &str) -> String {
    let section = result
        .section
        .as_ref()
        .map(|section| format!("section {section}, "));
    let heading = format!(
        "report to {}{}, {}: {}",
        section.unwrap_or_default(),
        result.server,
        result.time,
        result.state
    );
    let mut told = sentence(&heading);
    for one in failed {
        let name = one.name.as_deref().or(one.id.as_deref()).unwrap_or_default();
        told += &sentence(&format!("{name} was not reported as it is: {}", one.error));
        if let (Some(_), Some(id)) = (&one.name, &one.id) {
            told += &sentence(&format!("  id: {id}"));
        }
    }
    if !failed.is_empty() {
        return told;
    }
    match &result.error {
        Some(error) if result.state == "failed" => {
            told += &sentence(&format!("the report failed, with all that was in it: {error}"))
        }
        _ => {
            let counts = format!(
                "{} and {}, {} left out",
                counted(result.hypervisors, "host"),
                counted(result.guests, "guest"),
                result.omitted
            );
            told += &sentence(&format!(
                "not found: {text:?} is not among what failed. A result does not name the rest ({counts}): ask the reporter's input."
            ));
        }
    }
    told
}
