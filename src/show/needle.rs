//! A name, an id or a uuid to look for, or a part of one.

use uuid::Uuid;

/// The fewest hex digits that are looked for without regard to the hyphens of a uuid.
const FEWEST_DIGITS: usize = 4;

/// A text to look for. Case is ignored.
#[derive(Debug, Clone)]
pub struct Needle {
    /// In lower case.
    text: String,
    /// The hex digits, if the text may be a uuid or a part of one: with or without hyphens and braces, or with blanks, as in a .vmx
    /// file.
    hex: Option<String>,
}

/// How well a value matches. The better one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// The value contains the text.
    Part,
    /// The value is the text, or a name whose first label it is: `esx17` for `esx17.example.com`.
    Whole,
}

impl Needle {
    /// Looks for this text. `None` if it is blank.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        if text.is_empty() {
            return None;
        }
        let bare = text.trim_start_matches("urn:uuid:");
        let digits = bare.chars().filter(|c| !matches!(c, '-' | ' ' | '{' | '}'));
        let digits: String = digits.collect();
        let is_hex = digits.len() >= FEWEST_DIGITS && digits.chars().all(|c| c.is_ascii_hexdigit());
        Some(Needle {
            hex: is_hex.then_some(digits),
            text,
        })
    }

    /// Compares a value. A uuid is compared in both byte orders; true means that only the other order matches.
    pub fn matches(&self, value: &str) -> Option<(Match, bool)> {
        if let Some(found) = self.matches_text(value) {
            return Some((found, false));
        }
        let uuid = Uuid::try_parse(value).ok()?;
        // VMware, SMBIOS and Microsoft differ in the byte order of the first three fields.
        let other = Uuid::from_bytes_le(*uuid.as_bytes());
        let own = self.matches_uuid(uuid).map(|found| (found, false));
        own.or_else(|| self.matches_uuid(other).map(|found| (found, true)))
    }

    /// Whether a text that is no name or id of its own contains the needle.
    pub fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.text)
    }

    fn matches_text(&self, value: &str) -> Option<Match> {
        let value = value.to_lowercase();
        let rest = value.strip_prefix(&self.text);
        match rest {
            Some(rest) if rest.is_empty() || rest.starts_with('.') => Some(Match::Whole),
            _ => value.contains(&self.text).then_some(Match::Part),
        }
    }

    fn matches_uuid(&self, uuid: Uuid) -> Option<Match> {
        let mut buffer = Uuid::encode_buffer();
        if let Some(hex) = &self.hex {
            let digits: &str = uuid.simple().encode_lower(&mut buffer);
            if hex == digits {
                return Some(Match::Whole);
            }
            if digits.contains(hex) {
                return Some(Match::Part);
            }
        }
        let text: &str = uuid.hyphenated().encode_lower(&mut buffer);
        text.contains(&self.text).then_some(Match::Part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "564dae86-5aee-e348-8b8e-56d029eae0d7";

    fn matches(text: &str, value: &str) -> Option<(Match, bool)> {
        Needle::new(text).unwrap().matches(value)
    }

    #[test]
    fn a_uuid_is_found_in_either_byte_order_and_in_every_notation() {
        let whole = |swapped| Some((Match::Whole, swapped));
        for (text, swapped) in [
            (UUID, false),
            ("564DAE86-5AEE-E348-8B8E-56D029EAE0D7", false),
            ("564dae865aeee3488b8e56d029eae0d7", false),
            ("{564dae86-5aee-e348-8b8e-56d029eae0d7}", false),
            ("urn:uuid:564dae86-5aee-e348-8b8e-56d029eae0d7", false),
            ("56 4d ae 86 5a ee e3 48-8b 8e 56 d0 29 ea e0 d7", false),
            ("86ae4d56-ee5a-48e3-8b8e-56d029eae0d7", true),
            ("86 ae 4d 56 ee 5a 48 e3-8b 8e 56 d0 29 ea e0 d7", true),
        ] {
            assert_eq!(matches(text, UUID), whole(swapped), "{text}");
            assert_eq!(matches(text, &UUID.to_uppercase()), whole(swapped), "{text}");
        }
    }

    #[test]
    fn a_part_of_a_uuid_is_found_in_either_byte_order() {
        let part = |swapped| Some((Match::Part, swapped));
        assert_eq!(matches("564dae86", UUID), part(false));
        assert_eq!(matches("564dae865aee", UUID), part(false));
        assert_eq!(matches("86ae4d56", UUID), part(true));
        assert_eq!(matches("86AE4D56-EE5A", UUID), part(true));
        assert_eq!(matches("4d56ee5a", UUID), part(true));
        assert_eq!(matches("1234abcd", UUID), None);
    }

    #[test]
    fn names_match_as_a_whole_by_their_first_label_or_in_part() {
        let whole = Some((Match::Whole, false));
        let part = Some((Match::Part, false));
        assert_eq!(matches("esx17", "esx17"), whole);
        assert_eq!(matches(" ESX17 ", "esx17.example.com"), whole);
        assert_eq!(matches("esx1", "esx17.example.com"), part);
        assert_eq!(matches("example", "esx17.example.com"), part);
        assert_eq!(matches("zürich", "Zürich 1"), part);
        assert_eq!(matches("esx17.example.org", "esx17.example.com"), None);
        assert!(Needle::new("  ").is_none());
    }
}
