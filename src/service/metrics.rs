//! The metrics of vw-run in the text format of Prometheus, for the textfile collector of node_exporter.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::status::{KINDS, Section};
use crate::error::{Classify, Kind};
use crate::state::{self, Folder};

/// Why a path can't become the file of the metrics.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not end with the name of a file.
    #[error("{} is not the name of a file", .0.display())]
    NoName(PathBuf),
    /// Something else is there: replacing a device or a pipe would destroy it.
    #[error("{} exists and is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Its folder can't be used.
    #[error("the folder {} can't be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::NoName(_) | Error::NotAFile(_) => Kind::Usage,
            Error::Folder { .. } => Kind::Config,
        }
    }
}

/// The file of the metrics.
#[derive(Debug, Clone)]
pub struct File {
    folder: Folder,
    name: String,
}

impl File {
    /// The file at `path`. Its folder must exist. If it is a link to a file, that file is meant.
    pub fn new(path: &Path) -> Result<Self, Error> {
        let path = match fs::canonicalize(path) {
            Ok(real) if real.is_file() => real,
            Ok(_) => return Err(Error::NotAFile(path.to_owned())),
            Err(_) => path.to_owned(),
        };
        let Some(name) = path.file_name().and_then(OsStr::to_str) else {
            return Err(Error::NoName(path));
        };
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        match fs::read_dir(folder) {
            Err(source) => Err(Error::Folder {
                path: folder.to_owned(),
                source,
            }),
            Ok(_) => Ok(File {
                folder: Folder::new(folder),
                name: name.to_owned(),
            }),
        }
    }

    /// Writes the metrics. Readers find the old ones or the new ones. Every user may read them, because node_exporter has a user
    /// of its own.
    pub fn write(&self, text: &str) -> Result<(), state::Error> {
        self.folder.publish(&self.name, text.as_bytes())
    }
}

/// A metric that has at most one value per section.
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&Section) -> Option<f64>,
}

const METRICS: [Metric; 9] = [
    Metric {
        name: "vw_hypervisors",
        kind: "gauge",
        help: "Hypervisors in the last successful scan.",
        value: |section| Some(section.source.scanned?.hypervisors as f64),
    },
    Metric {
        name: "vw_guests",
        kind: "gauge",
        help: "Guests in the last successful scan.",
        value: |section| Some(section.source.scanned?.guests as f64),
    },
    Metric {
        name: "vw_omitted",
        kind: "gauge",
        help: "Hypervisors and guests that were left out of the last successful scan or its report.",
        value: |section| Some(section.source.scanned?.omitted as f64),
    },
    Metric {
        name: "vw_last_scan_timestamp_seconds",
        kind: "gauge",
        help: "Time of the last successful scan.",
        value: |section| seconds(section.source.last_successful_retrieve),
    },
    Metric {
        name: "vw_last_report_timestamp_seconds",
        kind: "gauge",
        help: "Time of the last report that the destination accepted.",
        value: |section| seconds(section.destination.last_successful_send),
    },
    Metric {
        name: "vw_last_success_timestamp_seconds",
        kind: "gauge",
        help: "Time of the last round without a failure.",
        value: |section| seconds(section.last_success),
    },
    Metric {
        name: "vw_last_round_success",
        kind: "gauge",
        help: "Whether the last round had no failure (1) or failed (0).",
        value: |section| Some(f64::from(u8::from(section.round.as_ref()?.kind.is_none()))),
    },
    Metric {
        name: "vw_last_round_duration_seconds",
        kind: "gauge",
        help: "Duration of the last round.",
        value: |section| Some(section.round.as_ref()?.seconds),
    },
    Metric {
        name: "vw_rounds_total",
        kind: "counter",
        help: "Rounds that ended.",
        value: |section| Some(section.rounds as f64),
    },
];

/// The metrics of these sections, each with its name.
///
/// A section without a value for a metric has no line there. Failures are counted from 0 for each kind, because Prometheus sees
/// no increase if a counter begins with 1.
pub fn text<'a>(sections: impl IntoIterator<Item = (&'a str, &'a Section)>) -> String {
    let sections: Vec<(String, &Section)> = sections
        .into_iter()
        .map(|(name, section)| (escape(name), section))
        .collect();
    let mut text = String::new();
    for metric in &METRICS {
        head(&mut text, metric.name, metric.kind, metric.help);
        for (name, section) in &sections {
            if let Some(value) = (metric.value)(section) {
                line(
                    &mut text,
                    format_args!("{}{{section=\"{name}\"}} {value}", metric.name),
                );
            }
        }
    }
    head(
        &mut text,
        "vw_failures_total",
        "counter",
        "Rounds that failed, by the kind of failure (the names of sysexits).",
    );
    for (name, section) in &sections {
        for kind in KINDS {
            let count = section.failures.get(kind).copied().unwrap_or_default();
            line(
                &mut text,
                format_args!("vw_failures_total{{section=\"{name}\",kind=\"{kind}\"}} {count}"),
            );
        }
    }
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "{line}");
}

fn seconds(time: Option<Timestamp>) -> Option<f64> {
    Some(time?.as_second() as f64)
}

/// The value of a label: a backslash escapes a backslash, a quote, and as `\n` a line feed.
fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests;
