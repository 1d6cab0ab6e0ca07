//! What the options of a scan, its section and the defaults mean together.

use std::time::{Duration, Instant};

use crate::config::{self, Section};
use crate::mapping::HypervisorId;
use crate::retry::Patience;

/// How long a scan may take without `--timeout`.
pub(super) const USUAL_LIMIT: Duration = Duration::from_secs(3600);

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

/// When the scan must have ended, and how long temporary failures are retried until then.
pub(super) fn limits(timeout: Option<Duration>, now: Instant) -> (Option<Instant>, Patience) {
    match timeout {
        // A time that the clock can't represent is no limit.
        Some(time) => (now.checked_add(time), Patience::UntilDeadline),
        None => (Some(now + USUAL_LIMIT), Patience::USUAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_ends_after_an_hour_unless_there_is_a_timeout() {
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        assert_eq!(limits(None, now), (Some(now + hour), Patience::USUAL));
        let day = 24 * hour;
        assert_eq!(limits(Some(day), now), (Some(now + day), Patience::UntilDeadline));
        assert_eq!(limits(Some(Duration::MAX), now), (None, Patience::UntilDeadline));
    }
}
