//! The age of a document, by the time with which its scan stamped it.

use std::time::Duration;

use jiff::Timestamp;

use crate::cli::Failure;
use crate::error::Kind;
use crate::mapping::Mapping;

/// Refuses a document that is older than `max_age`, or that does not say its age.
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
    let Ok(made) = time.parse::<Timestamp>() else {
        return refused(format!(
            "the mapping's source.time is not an RFC 3339 time: {time:?}"
        ));
    };
    // A time in the future, from a clock that is ahead, counts as now.
    let age = Timestamp::now().duration_since(made);
    let age = Duration::try_from(age).unwrap_or_default();
    match age > max_age {
        true => refused(format!(
            "the mapping is {} s old, and --max-age allows {} s; scan again",
            age.as_secs(),
            max_age.as_secs()
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Source;

    #[test]
    fn a_document_that_is_too_old_or_of_unknown_age_is_refused() {
        let stamped = |time: Option<&str>| {
            let mut mapping = Mapping::default();
            mapping.tail.source = Some(Source {
                time: time.map(str::to_owned),
                ..Source::default()
            });
            mapping
        };
        let refusal = |time: Option<&str>, max_age: Option<u64>| {
            let refused = check(&stamped(time), max_age.map(Duration::from_secs)).err();
            refused.map(|failure| failure.to_string()).unwrap_or_default()
        };
        assert_eq!(refusal(None, None), "");
        assert!(refusal(None, Some(60)).contains("--stamp"));
        assert!(refusal(Some("yesterday"), Some(60)).contains("RFC 3339"));
        assert!(refusal(Some("2020-01-01T00:00:00Z"), Some(60)).contains("--max-age allows 60 s"));
        assert_eq!(refusal(Some("2020-01-01T00:00:00Z"), Some(u32::MAX.into())), "");
        assert_eq!(refusal(Some("2999-01-01T00:00:00Z"), Some(60)), "");
        // Zones and fractions count; without a zone the time is unknown.
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S");
        for zone in ["Z", "z", ".5Z", "+00:00"] {
            assert_eq!(refusal(Some(&format!("{now}{zone}")), Some(600)), "", "{zone}");
        }
        assert!(refusal(Some(&format!("{now}+01:00")), Some(600)).contains("scan again"));
        assert!(refusal(Some(&now.to_string()), Some(600)).contains("RFC 3339"));
    }
}
