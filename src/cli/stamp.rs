//! Moments as documents carry them.

use std::time::SystemTime;

/// A moment as RFC 3339 writes it, in UTC and whole seconds: `2026-08-01T12:00:00Z`.
pub fn utc(moment: SystemTime) -> String {
    // `Sat, 01 Aug 2026 12:00:00 GMT`: each part has its place.
    let date = httpdate::fmt_http_date(moment);
    let part = |from, to| date.get(from..to).unwrap_or_default();
    let month = "JanFebMarAprMayJunJulAugSepOctNovDec"
        .find(part(8, 11))
        .map_or(0, |at| at / 3 + 1);
    format!("{}-{month:02}-{}T{}Z", part(12, 16), part(5, 7), part(17, 25))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_are_written_in_utc() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_785_585_600, "2026-08-01T12:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_102_444_800, "2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), wanted);
        }
    }
}
