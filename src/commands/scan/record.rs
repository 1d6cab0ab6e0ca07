//! What the folder of a trace says about the scan itself, so that a replay prints the same document.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::options::ScanOptions;
use crate::cli::{self, Context as _, Failure, stamp};
use crate::error::Kind;
use crate::http::{Base, Replay, Trace};
use crate::mapping::HypervisorId;

/// The file in the folder.
const FILE: &str = "scan.json";

/// A scan that is saved beside its trace.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    /// The version of `vw`.
    version: String,
    /// The server's URL.
    pub server: String,
    /// The account.
    pub username: String,
    /// The section, if one was used.
    pub section: Option<String>,
    /// What became the hypervisors' id.
    hypervisor_id: String,
    /// Whether the guests' names were read.
    pub guest_names: bool,
    /// Whether the document has the time.
    stamp: bool,
    /// The time of the scan.
    time: String,
}

impl Record {
    /// The scan that begins now.
    pub(super) fn new(
        base: &Base,
        username: &str,
        section: Option<&str>,
        hypervisor_id: HypervisorId,
        options: &ScanOptions,
    ) -> Self {
        Record {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            server: base.to_string(),
            username: username.to_owned(),
            section: section.map(str::to_owned),
            hypervisor_id: hypervisor_id.to_string(),
            guest_names: options.guest_names,
            stamp: options.stamp,
            time: stamp::utc(SystemTime::now()),
        }
    }

    /// Saves the record beside the trace.
    pub(super) fn save(&self, trace: &Trace) -> cli::Result<()> {
        let record = serde_json::to_vec_pretty(self).map_err(Failure::defect)?;
        Ok(trace.save(FILE, &record)?)
    }

    /// The time of the scan, if the document has it.
    pub(super) fn stamp(&self) -> Option<String> {
        self.stamp.then(|| self.time.clone())
    }
}

/// A saved scan that is replayed.
pub(super) struct Replayed {
    pub record: Record,
    /// What becomes the hypervisors' id: the option's, or that of the saved scan.
    pub hypervisor_id: HypervisorId,
    /// The saved answers.
    pub replay: Replay,
}

impl Replayed {
    /// Reads the record of the scan that was saved in `folder`, and applies the options to it.
    pub(super) fn open(folder: &Path, options: &ScanOptions) -> cli::Result<Self> {
        let replay = Replay::open(folder).context("--replay")?;
        let record = replay.load(FILE)?;
        let record = serde_json::from_slice::<Record>(&record);
        let mut record = record.map_err(|error| unusable(folder, error))?;
        if options.guest_names && !record.guest_names {
            let problem = "it was made without --guest-names, so it does not contain the names";
            return Err(unusable(folder, problem).into());
        }
        record.stamp |= options.stamp;
        let hypervisor_id = match options.hypervisor_id {
            Some(id) => id,
            None => {
                let id = record.hypervisor_id.parse::<HypervisorId>();
                id.map_err(|error| unusable(folder, error))?
            }
        };
        Ok(Replayed {
            record,
            hypervisor_id,
            replay,
        })
    }
}

/// The error of a record that can't be used, which names its file.
pub(super) fn unusable(folder: &Path, reason: impl fmt::Display) -> Failure {
    let path = folder.join(FILE);
    Failure::new(Kind::Data, format!("--replay {}: {reason}", path.display()))
}
