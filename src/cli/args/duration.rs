//! Durations in options.

use std::time::Duration;

/// The longest duration in seconds, about 136 years.
const LONGEST: u64 = u32::MAX as u64;

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not a whole number with a known unit.
    #[error("not a duration: give seconds, or a number with s, m, h or d, such as 90, 90s, 5m or 1h")]
    Unreadable,
    /// It is longer than `LONGEST`.
    #[error("the duration is too long: at most {LONGEST} seconds")]
    TooLong,
    /// It is zero, but the option is a limit.
    #[error("the duration must be at least 1 second")]
    Zero,
}

/// How long the work may take.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct TimeLimit {
    /// Give up after this time, such as 90, 5m or 1h
    #[arg(long, value_name = "SECONDS", value_parser = limit)]
    pub timeout: Option<Duration>,
}

/// Parses a duration: seconds, or a whole number with the unit s, m, h or d, such as `90`, `90s`, `5m` or `1h`.
pub fn duration(text: &str) -> Result<Duration, Error> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(Error::Unreadable),
    };
    if number.is_empty() {
        return Err(Error::Unreadable);
    }
    // The text consists of digits, so parsing fails only if the number is too large.
    let number: u64 = number.parse().map_err(|_| Error::TooLong)?;
    match number.checked_mul(unit) {
        Some(seconds) if seconds <= LONGEST => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::TooLong),
    }
}

/// Parses a [`duration`] of at least 1 second, for a limit.
pub fn limit(text: &str) -> Result<Duration, Error> {
    match duration(text)? {
        Duration::ZERO => Err(Error::Zero),
        limit => Ok(limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_have_a_unit() {
        for (text, seconds) in [
            ("0", 0),
            ("90", 90),
            ("90s", 90),
            ("5m", 300),
            ("1h", 3600),
            ("24h", 86_400),
            ("7d", 604_800),
            (" 007 ", 7),
            ("4294967295", LONGEST),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn an_invalid_duration_is_refused_with_examples() {
        for text in [
            "", "s", "-1", "+1", "1.5", "5 m", "5M", "1h30m", "5min", "soon", "٣", "1e3", "∞",
        ] {
            assert_eq!(duration(text), Err(Error::Unreadable), "{text:?}");
        }
        for text in [
            "4294967296",
            "71582789m",
            "99999999999999999999999",
            "999999999999999999d",
        ] {
            assert_eq!(duration(text), Err(Error::TooLong), "{text}");
        }
        assert!(Error::Unreadable.to_string().contains("90, 90s, 5m or 1h"));
    }

    #[test]
    fn a_limit_is_not_zero() {
        assert_eq!(limit("0"), Err(Error::Zero));
        assert_eq!(limit("0h"), Err(Error::Zero));
        assert_eq!(limit("1m"), Ok(Duration::from_secs(60)));
    }
}
