//! VMware's four schemes to escape names, in both directions. The facts are those of libvirt's ESX driver.
//!
//! | scheme | steps |
//! |---|---|
//! | [`Name`](Scheme::Name) | `%`, `/` and `\` become `%` and two hexadecimal digits |
//! | [`VmxName`](Scheme::VmxName) | that, then `\|` and `"` become `\|` and two hexadecimal digits |
//! | [`Annotation`](Scheme::Annotation) | `\|` and `"` become `\|` and two hexadecimal digits |
//! | [`DatastoreItem`](Scheme::DatastoreItem) | `"*<>:\|?` become `_`, then the steps of a name, then each run of special characters becomes base64 |
//!
//! Digits are written in lower case and read in either case. A special character that is not escaped is read as itself,
//! because it is not ambiguous.

use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

use crate::error::{Classify, Kind};

/// How a text is escaped, by what it is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// The name of an object in the vSphere API.
    Name,
    /// The `displayName` of a VMX file.
    VmxName,
    /// The `annotation` of a VMX file.
    Annotation,
    /// The name of a file or folder in a datastore.
    DatastoreItem,
}

/// Why an escaped text can't be read. Positions count the characters of the escaped text from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `%` or `|` without two hexadecimal digits after it.
    #[error("character {position}: {mark} is not followed by two hexadecimal digits")]
    Digits {
        /// The position of the mark.
        position: usize,
        /// `%` or `|`.
        mark: char,
    },
    /// The digits of an escape are beyond 7f.
    #[error("character {position}: {mark}{code:02x} is not the code of an ASCII character")]
    NotAscii {
        /// The position of the mark.
        position: usize,
        /// `%` or `|`.
        mark: char,
        /// The value of the two digits.
        code: u8,
    },
    /// A base64 sequence contains a character that is not base64. Perhaps the text was never escaped.
    #[error(
        "character {position}: {found:?} is invalid in the base64 sequence that begins at character {start}"
    )]
    NotBase64 {
        /// The position of the character.
        position: usize,
        /// The character.
        found: char,
        /// The position of the sequence's `+`.
        start: usize,
    },
    /// A base64 sequence is empty, incomplete, or does not decode to UTF-8.
    #[error("character {position}: the base64 sequence that begins here does not decode to UTF-8 text")]
    NotText {
        /// The position of the sequence's `+`.
        position: usize,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        Kind::Data
    }
}

impl Scheme {
    /// Escapes a text.
    ///
    /// ```
    /// use vw::escape::Scheme;
    /// assert_eq!(Scheme::Name.encode("50% a/b"), "50%25 a%2fb");
    /// assert_eq!(Scheme::DatastoreItem.encode("50% a/b"), "50+JQ-25 a+JQ-2fb");
    /// ```
    pub fn encode(self, text: &str) -> String {
        match self {
            Scheme::Name => percent(text),
            Scheme::VmxName => pipe(&percent(text)),
            Scheme::Annotation => pipe(text),
            Scheme::DatastoreItem => base64(&percent(&text.replace(is_windows_special, "_"))),
        }
    }

    /// Unescapes a text.
    ///
    /// In a datastore item, `_` may replace one of `"*<>:|?`. The original character is lost, so `_` stays.
    ///
    /// ```
    /// use vw::escape::Scheme;
    /// assert_eq!(Scheme::Name.decode("a%2Fb").unwrap(), "a/b");
    /// assert_eq!(
    ///     Scheme::Name.decode("50%").unwrap_err().to_string(),
    ///     "character 3: % is not followed by two hexadecimal digits"
    /// );
    /// ```
    pub fn decode(self, escaped: &str) -> Result<String, Error> {
        if !escaped.contains(['%', '|', '+']) {
            return Ok(escaped.to_owned());
        }
        let text = (1..).zip(escaped.chars()).collect();
        let text = match self {
            Scheme::Name => read_hex(text, '%'),
            Scheme::VmxName => read_hex(text, '|').and_then(|text| read_hex(text, '%')),
            Scheme::Annotation => read_hex(text, '|'),
            Scheme::DatastoreItem => read_base64(text).and_then(|text| read_hex(text, '%')),
        };
        Ok(text?.into_iter().map(|(_, c)| c).collect())
    }
}

/// Characters with their positions in the escaped text, so that errors of a scheme's second step can name them too.
type Placed = Vec<(usize, char)>;

fn percent(text: &str) -> String {
    hex(text, '%', &['%', '/', '\\'])
}

fn pipe(text: &str) -> String {
    hex(text, '|', &['|', '"'])
}

fn hex(text: &str, mark: char, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            escaped.push_str(&format!("{mark}{:02x}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn read_hex(escaped: Placed, mark: char) -> Result<Placed, Error> {
    let mut text = Vec::with_capacity(escaped.len());
    let mut rest = escaped.into_iter();
    while let Some((position, c)) = rest.next() {
        if c != mark {
            text.push((position, c));
            continue;
        }
        let mut digit = || {
            rest.next()
                .and_then(|(_, c)| c.to_digit(16))
                .map(|digit| digit as u8)
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(Error::Digits { position, mark });
        };
        let code = high << 4 | low;
        if !code.is_ascii() {
            return Err(Error::NotAscii { position, mark, code });
        }
        text.push((position, char::from(code)));
    }
    Ok(text)
}

/// Base64 without padding, and with `,` instead of `/`, because `/` separates the parts of a path.
const BASE64: GeneralPurpose = {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
    match Alphabet::new(digits) {
        Ok(alphabet) => GeneralPurpose::new(&alphabet, NO_PAD),
        Err(_) => unreachable!(),
    }
};

fn is_windows_special(c: char) -> bool {
    matches!(c, '"' | '*' | '<' | '>' | ':' | '|' | '?')
}

/// Characters that a datastore item's name keeps unescaped.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '\'' | '(' | ')' | ',' | '.' | ' ' | '_' | '-')
}

fn base64(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c| !is_plain(c)) {
        let (plain, run) = rest.split_at(start);
        let end = run.find(is_plain).unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        escaped.push_str(plain);
        escaped.push('+');
        BASE64.encode_string(run, &mut escaped);
        if !after.is_empty() {
            escaped.push('-');
        }
        rest = after;
    }
    escaped.push_str(rest);
    escaped
}

fn read_base64(escaped: Placed) -> Result<Placed, Error> {
    let mut text = Vec::with_capacity(escaped.len());
    let mut rest = escaped.into_iter();
    while let Some((start, c)) = rest.next() {
        if c != '+' {
            text.push((start, c));
            continue;
        }
        let mut digits = String::new();
        for (position, found) in rest.by_ref().take_while(|(_, c)| *c != '-') {
            if !(found.is_ascii_alphanumeric() || matches!(found, '+' | ',')) {
                return Err(Error::NotBase64 {
                    position,
                    found,
                    start,
                });
            }
            digits.push(found);
        }
        let run = BASE64
            .decode(digits)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        match run {
            Some(run) if !run.is_empty() => text.extend(run.chars().map(|c| (start, c))),
            _ => return Err(Error::NotText { position: start }),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What libvirt's tests expect of its driver.
    const DATASTORE_ITEMS: [(&str, &str); 15] = [
        ("normal", "normal"),
        (
            "Aä1ö2ü3ß4#5~6!7§8/9%Z",
            "A+w6Q-1+w7Y-2+w7w-3+w58-4+Iw-5+fg-6+IQ-7+wqc-8+JQ-2f9+JQ-25Z",
        ),
        (
            "Z~6!7§8/9%0#1\"2'3`4&A",
            "Z+fg-6+IQ-7+wqc-8+JQ-2f9+JQ-250+Iw-1_2'3+YA-4+Jg-A",
        ),
        ("標準語", "+5qiZ5rqW6Kqe"),
        (
            "!\"#$%&'()*+,-./0123456789:;<=>?",
            "+IQ-_+IyQl-25+Jg-'()_+Kw-,-.+JQ-2f0123456789_+Ow-_+PQ-__",
        ),
        ("A Z[\\]^_B", "A Z+WyU-5c+XV4-_B"),
        ("A`B@{|}~DEL", "A+YA-B+QHs-_+fX4-DEL"),
        ("hÀÁÂÃÄÅH", "h+w4DDgcOCw4PDhMOF-H"),
        ("A쿀Z", "A+7L+A-Z"),
        ("!쿀A", "+Iey,gA-A"),
        ("~~~", "+fn5+"),
        ("~~~A", "+fn5+-A"),
        ("K%U/H\\Z", "K+JQ-25U+JQ-2fH+JQ-5cZ"),
        ("vvv<A\"B\"C>zzz", "vvv_A_B_C_zzz"),
        ("", ""),
    ];

    /// A `-` that is part of the name, next to one that ends a base64 sequence.
    const MINUS: [(&str, &str); 3] = [("~-", "+fg--"), ("-~", "-+fg"), ("a-b", "a-b")];

    #[test]
    fn datastore_items_are_escaped_as_by_libvirt() {
        for (text, escaped) in DATASTORE_ITEMS.iter().chain(&MINUS) {
            assert_eq!(Scheme::DatastoreItem.encode(text), *escaped, "{text}");
            assert_eq!(
                Scheme::DatastoreItem.decode(escaped).unwrap(),
                text.replace(is_windows_special, "_"),
                "{escaped}"
            );
        }
    }

    #[test]
    fn hexadecimal_escapes() {
        let cases = [
            (Scheme::Name, r#"a%b/c\d|e"f"#, r#"a%25b%2fc%5cd|e"f"#),
            (Scheme::VmxName, r#"a%b/c\d|e"f"#, "a%25b%2fc%5cd|7ce|22f"),
            (Scheme::Annotation, r#"a%b/c\d|e"f"#, r"a%b/c\d|7ce|22f"),
        ];
        for (scheme, text, escaped) in cases {
            assert_eq!(scheme.encode(text), escaped, "{scheme:?}");
            assert_eq!(scheme.decode(escaped).unwrap(), text, "{scheme:?}");
        }
        assert_eq!(Scheme::Name.decode("%2F%5C%5c").unwrap(), r"/\\");
        assert_eq!(Scheme::Annotation.decode("one|0Atwo").unwrap(), "one\ntwo");
        assert_eq!(
            Scheme::Name.decode("|zz+").unwrap(),
            "|zz+",
            "the marks of another scheme"
        );
        assert_eq!(
            Scheme::VmxName.decode("|2541").unwrap(),
            "A",
            "the last step of encoding is undone first"
        );
    }

    #[test]
    fn errors_name_the_position() {
        let cases = [
            (
                Scheme::Name,
                "ä%",
                "character 2: % is not followed by two hexadecimal digits",
            ),
            (
                Scheme::Name,
                "ab%2",
                "character 3: % is not followed by two hexadecimal digits",
            ),
            (
                Scheme::Name,
                "%2g",
                "character 1: % is not followed by two hexadecimal digits",
            ),
            (
                Scheme::Name,
                "%+2",
                "character 1: % is not followed by two hexadecimal digits",
            ),
            (
                Scheme::Name,
                "x%C3%A4",
                "character 2: %c3 is not the code of an ASCII character",
            ),
            (
                Scheme::Annotation,
                "a|b",
                "character 2: | is not followed by two hexadecimal digits",
            ),
            (
                Scheme::VmxName,
                "a|25|7c%",
                "character 2: % is not followed by two hexadecimal digits",
            ),
            (
                Scheme::DatastoreItem,
                "ä+b.c",
                "character 4: '.' is invalid in the base64 sequence that begins at character 2",
            ),
            (
                Scheme::DatastoreItem,
                "a+",
                "character 2: the base64 sequence that begins here does not decode to UTF-8 text",
            ),
            (
                Scheme::DatastoreItem,
                "a+-b",
                "character 2: the base64 sequence that begins here does not decode to UTF-8 text",
            ),
            (
                Scheme::DatastoreItem,
                "+fh",
                "character 1: the base64 sequence that begins here does not decode to UTF-8 text",
            ),
            (
                Scheme::DatastoreItem,
                "+,,,,",
                "character 1: the base64 sequence that begins here does not decode to UTF-8 text",
            ),
            (
                Scheme::DatastoreItem,
                "ab+JQ-2",
                "character 3: % is not followed by two hexadecimal digits",
            ),
        ];
        for (scheme, escaped, message) in cases {
            let error = scheme.decode(escaped).unwrap_err();
            assert_eq!(error.to_string(), message, "{scheme:?} {escaped}");
            assert_eq!(error.kind(), Kind::Data);
        }
    }

    /// Any text, and text with many marks, digits and special characters.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), r#"[-%|+/\\"*_,2f5cAä\x00\n]{0,24}"#]
    }

    proptest! {
        #[test]
        fn decoding_reverses_encoding(text in texts()) {
            for scheme in [Scheme::Name, Scheme::VmxName, Scheme::Annotation] {
                prop_assert_eq!(scheme.decode(&scheme.encode(&text)).unwrap(), text.as_str());
            }
            let item = Scheme::DatastoreItem.encode(&text);
            prop_assert_eq!(
                Scheme::DatastoreItem.decode(&item).unwrap(),
                text.replace(is_windows_special, "_")
            );
            prop_assert!(item.chars().all(|c| is_plain(c) || c == '+'), "{}", item);
        }

        #[test]
        fn any_text_is_decoded_or_refused_at_a_position_within_it(text in texts()) {
            for scheme in [Scheme::Name, Scheme::VmxName, Scheme::Annotation, Scheme::DatastoreItem] {
                if let Err(error) = scheme.decode(&text) {
                    let (Error::Digits { position, .. }
                    | Error::NotAscii { position, .. }
                    | Error::NotBase64 { position, .. }
                    | Error::NotText { position }) = error;
                    prop_assert!((1..=text.chars().count()).contains(&position));
                }
            }
        }
    }
}
