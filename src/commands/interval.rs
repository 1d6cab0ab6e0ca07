//! The time between two rounds or two scans.

use std::time::Duration;

use crate::config::Section;

/// The interval if there is no other, as in virt-who.
pub(super) const USUAL: Duration = Duration::from_secs(3600);

/// The shortest interval, as in virt-who.
const SHORTEST: Duration = Duration::from_secs(60);

/// The longest interval of the configuration, that of the option. Beyond it, clocks would overflow.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The interval of `--interval` or `[global]`. As in virt-who, one that is too short or no number becomes an hour.
pub(super) fn of(option: Option<Duration>, global: &Section) -> Duration {
    let (interval, origin) = match option {
        Some(option) => (option, "--interval".to_owned()),
        None => match global.number("interval") {
            Ok(Some(seconds)) => (
                Duration::from_secs(seconds),
                global.note("interval", "").to_string(),
            ),
            Ok(None) => return USUAL,
            Err(error) => {
                log::warn!("{error}; the interval is {} s", USUAL.as_secs());
                return USUAL;
            }
        },
    };
    if interval < SHORTEST {
        log::warn!(
            "{}: {} s is too short, the least is {} s; the interval is {} s",
            origin.trim_end_matches([' ', ':']),
            interval.as_secs(),
            SHORTEST.as_secs(),
            USUAL.as_secs()
        );
        return USUAL;
    }
    interval.min(LONGEST)
}
