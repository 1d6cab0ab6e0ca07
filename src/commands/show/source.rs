//! Where a document comes from, in words.

use crate::mapping::Source;

/// Such as `section prod, vc.example.com, scanned 2026-08-01T12:00:00Z, filtered by prod`; nothing if the document does not say.
pub(super) fn words(source: Option<&Source>) -> String {
    let Some(source) = source else {
        return String::new();
    };
    let part = |value: &Option<String>, before: &str| {
        let value = value.as_ref().filter(|value| !value.is_empty());
        value.map(|value| format!("{before}{value}"))
    };
    let parts = [
        part(&source.section, "section "),
        part(&source.server, ""),
        part(&source.time, "scanned "),
        part(&source.filtered, "filtered by "),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_said() {
        let mut source = Source::default();
        assert_eq!(
            (words(None), words(Some(&source))),
            (String::new(), String::new())
        );
        source.server = Some("vc.example.com".into());
        source.section = Some("prod".into());
        assert_eq!(words(Some(&source)), "section prod, vc.example.com");
    }
}
