//! Points in time as the servers write them, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// `2026-11-23T03:34:30+0000`, as Candlepin writes it.
pub(crate) fn with_zone(time: SystemTime) -> String {
    let (year, month, day, hour, minute, second) = civil(time);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+0000")
}

/// `2026-11-23T03:34:30Z`, XML Schema's `dateTime`.
pub(crate) fn with_z(time: SystemTime) -> String {
    with_zone(time).replace("+0000", "Z")
}

/// `20261123T03:34:30`, XML-RPC's `dateTime.iso8601`.
pub(crate) fn compact(time: SystemTime) -> String {
    let (year, month, day, hour, minute, second) = civil(time);
    format!("{year:04}{month:02}{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// Year, month, day, hour, minute, second. Days are counted in eras of 400 years that begin on a first of March.
fn civil(time: SystemTime) -> (u64, u64, u64, u64, u64, u64) {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let second = seconds % 86_400;
    (year, month, day, second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
