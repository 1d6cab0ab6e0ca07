//! What the options of a scan, its section and the defaults mean together.

use crate::config::{self, Section};
use crate::mapping::HypervisorId;

/// The id of the hypervisors: the option's, then the section's, then uuid.
pub(crate) fn hypervisor_id(
    option: Option<HypervisorId>,
    section: &Section,
) -> Result<HypervisorId, config::Error> {
    match (option, section.text("hypervisor_id")?) {
        (Some(id), _) => Ok(id),
        (None, Some(text)) => text
            .parse()
            .map_err(|_| section.wrong_value("hypervisor_id", "is not uuid, hostname or hwuuid")),
        (None, None) => Ok(HypervisorId::default()),
    }
}
