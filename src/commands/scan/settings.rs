//! What the options of a scan, its section and the defaults mean together.

use std::time::{Duration, SystemTime};

use super::options::ScanOptions;
use crate::cli::{self, stamp};
use crate::commands::interval;
use crate::commands::kind::{Kind, alternatives};
use crate::config::Section;
use crate::mapping::{HypervisorId, Source};

/// What is in force in a scan of any type.
#[derive(Debug, Clone)]
pub(super) struct ScanSettings {
    /// The section in use; it may be nameless.
    pub section: Section,
    /// What becomes the hypervisors' id.
    pub hypervisor_id: HypervisorId,
    /// Whether the document shows the guests' names.
    pub guest_names: bool,
    /// What the mapping says about its source, except for what only the server knows.
    pub source: Source,
}

impl ScanSettings {
    /// The settings of a scan of this type; `server` is the server's name in the mapping.
    pub(super) fn new(
        kind: &Kind,
        options: &ScanOptions,
        section: Section,
        server: Option<String>,
    ) -> cli::Result<Self> {
        Ok(ScanSettings {
            hypervisor_id: hypervisor_id(options.hypervisor_id, &section, kind.ids)?,
            guest_names: options.guest_names,
            source: Source {
                section: section.name().map(str::to_owned),
                kind: Some(kind.name.into()),
                server,
                time: options.stamp.then(|| stamp::utc(SystemTime::now())),
                ..Source::default()
            },
            section,
        })
    }

    /// How often `--watch` scans a source that reports no events: `interval` of `[global]`, otherwise an hour.
    pub(super) fn interval(&self) -> Duration {
        interval::of(None, &self.section.global())
    }
}

/// The id of the hypervisors: the option's, then the section's, then uuid. Fails if the section's is none of those that the source's
/// hosts have; the option allows no other.
pub(crate) fn hypervisor_id(
    option: Option<HypervisorId>,
    section: &Section,
    allowed: &[HypervisorId],
) -> cli::Result<HypervisorId> {
    let is_allowed = |id: &HypervisorId| allowed.contains(id);
    match (option, section.text("hypervisor_id")?) {
        (Some(id), _) => Ok(id),
        (None, Some(text)) => match text.parse::<HypervisorId>().ok().filter(is_allowed) {
            Some(id) => Ok(id),
            None => {
                let reason = format!("is not {}", alternatives(allowed));
                Err(section.wrong_value("hypervisor_id", &reason).into())
            }
        },
        (None, None) => Ok(HypervisorId::default()),
    }
}
