//! `--status`: whether both ends of every section can be reached now, and when they last could.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::settings::Settings;
use super::{Args, exit};
use crate::cli::table::{self, Cells, Column};
use crate::cli::{self, Exit, Failure as CliFailure};
use crate::error::Classify as _;
use crate::process::Program;
use crate::service::round::side_by_side;
use crate::service::status::{Section, Status};
use crate::service::{Failure, Pipeline, Work};
use crate::state::Folder;

/// Whether both ends of a section can be reached.
struct Ends {
    source: Result<(), Failure>,
    destination: Result<(), Failure>,
}

/// Logs in to both ends of every section, and prints what came of it.
pub(super) fn print(args: &Args, settings: &Settings) -> cli::Result<Exit> {
    let cancel = cli::cancel_on_signals()?;
    let work = Work::new(args.jobs.into(), &cancel);
    let found = Mutex::new(BTreeMap::new());
    side_by_side(&settings.sources, &|source| {
        let scanned = match &source.scan {
            Ok(scan) => work.check_login(&check(scan), source.name()),
            Err(failure) => Err(failure.clone()),
        };
        for pipeline in &source.pipelines {
            let ends = Ends {
                source: scanned.clone(),
                destination: work.check_login(&check(&pipeline.report), pipeline.name()),
            };
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(pipeline.name().to_owned(), ends);
        }
    });
    cancel.check()?;
    let _at_once = cli::end_at_once(&cancel);
    // Without it, the logins are still worth to be shown.
    let status = Status::read(&Folder::new(&args.state_dir)).unwrap_or_else(|error| {
        log::warn!("{}; the earlier successes are unknown", error.with_causes());
        Status::default()
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let pipelines = settings.sources.iter().flat_map(|source| &source.pipelines);
    let rows: Vec<_> = pipelines
        .filter_map(|pipeline| Some((pipeline, found.get(pipeline.name())?)))
        .collect();
    let earlier = |pipeline: &Pipeline| {
        let known = status.sections.get(pipeline.name());
        known.cloned().unwrap_or_default()
    };
    match settings.json {
        true => {
            let configurations = rows
                .iter()
                .map(|(pipeline, ends)| Configuration::new(pipeline, ends, earlier(pipeline)))
                .collect();
            cli::print_json(&indented(&Configurations { configurations })?)?;
        }
        // All text in it is printable, except for the colours.
        false => cli::print_raw(&shown(&rows, earlier))?,
    }
    let failures = found
        .into_values()
        .flat_map(|ends| [ends.source, ends.destination]);
    Ok(exit(failures.filter_map(Result::err).map(|failure| failure.kind)))
}

/// How long a login may take, in seconds. Whoever asks is waiting, so there is no time for many attempts.
const PATIENCE: &str = "20";

/// The command that only logs in and out.
fn check(command: &Program) -> Program {
    command.clone().argument("--check").option("--timeout", PATIENCE)
}

/// What virt-who's `-s -j` prints.
#[derive(Serialize)]
struct Configurations<'a> {
    configurations: Vec<Configuration<'a>>,
}

/// One section of it.
#[derive(Serialize)]
struct Configuration<'a> {
    name: &'a str,
    source: SourceEnd<'a>,
    destination: DestinationEnd<'a>,
}

/// Whether a server can be reached, and why not.
#[derive(Serialize)]
struct End<'a> {
    connection: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct SourceEnd<'a> {
    #[serde(flatten)]
    end: End<'a>,
    last_successful_retrieve: Option<String>,
    hypervisors: Option<u64>,
    guests: Option<u64>,
}

#[derive(Serialize)]
struct DestinationEnd<'a> {
    #[serde(flatten)]
    end: End<'a>,
    last_successful_send: Option<String>,
    last_successful_send_job_status: Option<String>,
}

impl<'a> Configuration<'a> {
    fn new(pipeline: &'a Pipeline, ends: &'a Ends, earlier: Section) -> Self {
        let end = |connection, found: &'a Result<(), Failure>| End {
            connection,
            status: word(found, "success", "failure"),
            message: found.as_ref().err().map(|failure| failure.message.as_str()),
        };
        let scanned = earlier.source.scanned;
        Configuration {
            name: pipeline.name(),
            source: SourceEnd {
                end: end(&pipeline.source, &ends.source),
                last_successful_retrieve: earlier.source.last_successful_retrieve.map(moment),
                hypervisors: scanned.map(|scanned| scanned.hypervisors),
                guests: scanned.map(|scanned| scanned.guests),
            },
            destination: DestinationEnd {
                end: end(&pipeline.destination.server, &ends.destination),
                last_successful_send: earlier.destination.last_successful_send.map(moment),
                last_successful_send_job_status: earlier.destination.last_successful_send_job_status,
            },
        }
    }
}

fn word(found: &Result<(), Failure>, fine: &'static str, failed: &'static str) -> &'static str {
    match found {
        Ok(()) => fine,
        Err(_) => failed,
    }
}

/// A time as virt-who writes it: `2020-02-28 07:25:25 UTC`.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// JSON indented by 4, like virt-who's.
fn indented(value: &impl Serialize) -> Result<String, CliFailure> {
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, format);
    value.serialize(&mut serializer).map_err(CliFailure::defect)?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(CliFailure::defect)
}

/// The same as a table, with the reasons of failures below it.
fn shown(rows: &[(&Pipeline, &Ends)], earlier: impl Fn(&Pipeline) -> Section) -> String {
    let column = |title, cells| Column { title, cells };
    let columns = [
        column("SECTION", Cells::Text),
        column("END", Cells::Words),
        column("STATUS", Cells::Words),
        column("LAST SUCCESS", Cells::Words),
        column("SERVER", Cells::Text),
    ];
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut reasons = String::new();
    for (pipeline, ends) in rows {
        let earlier = earlier(pipeline);
        let last = |time: Option<Timestamp>| time.map_or_else(|| "never".to_owned(), moment);
        let name = pipeline.name();
        let all = [
            (
                "source",
                &ends.source,
                last(earlier.source.last_successful_retrieve),
                &pipeline.source,
            ),
            (
                "destination",
                &ends.destination,
                last(earlier.destination.last_successful_send),
                &pipeline.destination.server,
            ),
        ];
        for (end, found, last, server) in all {
            let status = word(found, "ok", "FAILED");
            lines.push([name, end, status, &last, server].map(str::to_owned).to_vec());
            if let Err(failure) = found {
                reasons += &table::sentence(&format!("{name}: {}: {}", failure.stage, failure.message));
            }
        }
    }
    let table = table::titled(&columns, lines);
    match reasons.is_empty() {
        true => table,
        false => format!("{table}\n{reasons}"),
    }
}
