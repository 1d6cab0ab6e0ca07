//! How old a document is, by the time that its scan stamped it with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cli::Failure;
use crate::error::Kind;
use crate::mapping::Mapping;

/// Refuses a document that is older than `--max-age` allows, or that does not say how old it is.
pub(super) fn check(mapping: &Mapping, max_age: Option<Duration>) -> Result<(), Failure> {
    let Some(max_age) = max_age else {
        return Ok(());
    };
    let time = mapping
        .tail
        .source
        .as_ref()
        .and_then(|source| source.time.as_deref());
    let refused = |reason: String| Err(Failure::new(Kind::Data, reason));
    let Some(time) = time else {
        return refused(
            "the mapping does not say when it was made (source.time); scan with --stamp".to_owned(),
        );
    };
    let Some(made) = rfc3339(time) else {
        return refused(format!(
            "the mapping's source.time is no time in RFC 3339: {time:?}"
        ));
    };
    // A clock that is ahead makes a document young, not old.
    let age = SystemTime::now().duration_since(made).unwrap_or_default();
    match age > max_age {
        true => refused(format!(
            "the mapping is {} s old, and --max-age allows {} s; scan again",
            age.as_secs(),
            max_age.as_secs()
        )),
        false => Ok(()),
    }
}

/// The moment that a text such as `2026-08-01T12:00:00Z` names; fractions of a second are passed over.
fn rfc3339(text: &str) -> Option<SystemTime> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let (clock, rest) = (rest.get(..9)?, rest.get(9..)?);
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock.strip_prefix(['T', 't', ' '])?, ':')?;
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let [hours, minutes] = numbers(zone.strip_prefix(['+', '-'])?, ':')?;
            sign * (hours * 60 + minutes)
        }
    };
    let fits =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !fits {
        return None;
    }
    // Days since 1970 of a date in the Gregorian calendar, with years that begin in March.
    let years = year - i64::from(month < 3);
    let era = years.div_euclid(400);
    let of_era = years.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute - offset) * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// `N` numbers of digits only.
fn numbers<const N: usize>(text: &str, between: char) -> Option<[i64; N]> {
    let parts = text.split(between).map(|part| {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| digits)
    });
    parts.collect::<Option<Vec<i64>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Source;

    #[test]
    fn moments() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-08-01T12:00:00Z", Some(1_785_585_600)),
            ("2024-02-29t23:59:59.125z", Some(1_709_251_199)),
            ("2026-08-01T14:00:00+02:00", Some(1_785_585_600)),
            ("2026-08-01 07:30:00-04:30", Some(1_785_585_600)),
            ("2000-03-01T00:00:00Z", Some(951_868_800)),
            ("1969-12-31T23:59:59Z", None),
            ("2026-13-01T12:00:00Z", None),
            ("2026-08-01T12:00:00", None),
            ("2026-08-01T12:00Z", None),
            ("2026-08-01T12:00:00+2", None),
            ("+026-08-01T12:00:00Z", None),
            ("é", None),
            ("", None),
        ] {
            let wanted = seconds.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(rfc3339(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_document_of_unknown_age_is_refused_where_age_counts() {
        let stamped = |time: Option<&str>| {
            let mut mapping = Mapping::default();
            mapping.tail.source = Some(Source {
                time: time.map(str::to_owned),
                ..Source::default()
            });
            mapping
        };
        let refusal = |time, max_age: Option<u64>| {
            let refused = check(&stamped(time), max_age.map(Duration::from_secs)).err();
            refused.map(|failure| failure.to_string()).unwrap_or_default()
        };
        assert_eq!(refusal(None, None), "");
        assert!(refusal(None, Some(60)).contains("--stamp"));
        assert!(refusal(Some("yesterday"), Some(60)).contains("RFC 3339"));
        assert!(refusal(Some("2020-01-01T00:00:00Z"), Some(60)).contains("--max-age allows 60 s"));
        assert_eq!(refusal(Some("2020-01-01T00:00:00Z"), Some(u32::MAX.into())), "");
        assert_eq!(refusal(Some("2999-01-01T00:00:00Z"), Some(60)), "");
    }
}
