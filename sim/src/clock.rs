//! Points in time as the servers write them, in UTC.

use std::time::SystemTime;

use jiff::Timestamp;

/// `2026-11-23T03:34:30+0000`, as Candlepin writes it.
pub(crate) fn with_zone(time: SystemTime) -> String {
    written(time, "%Y-%m-%dT%H:%M:%S+0000")
}

/// `2026-11-23T03:34:30Z`, XML Schema's `dateTime`.
pub(crate) fn with_z(time: SystemTime) -> String {
    written(time, "%Y-%m-%dT%H:%M:%SZ")
}

/// `20261123T03:34:30`, XML-RPC's `dateTime.iso8601`.
pub(crate) fn compact(time: SystemTime) -> String {
    written(time, "%Y%m%dT%H:%M:%S")
}

fn written(time: SystemTime, form: &str) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    time.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00+0000"),
            (951_782_400, "2000-02-29T00:00:00+0000"),
            (1_795_404_870, "2026-11-23T03:34:30+0000"),
        ] {
            assert_eq!(with_zone(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
        assert_eq!(
            compact(UNIX_EPOCH + Duration::from_secs(1_795_404_870)),
            "20261123T03:34:30"
        );
    }
}
