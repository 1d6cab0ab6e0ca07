//! VMware's escaping of names: four schemes, both ways, as libvirt's ESX driver describes and writes them.
//!
//! | scheme | steps |
//! |---|---|
//! | [`Name`](Scheme::Name) | `%`, `/` and `\` become `%` and two hexadecimal digits |
//! | [`VmxName`](Scheme::VmxName) | that, then `\|` and `"` become `\|` and two hexadecimal digits |
//! | [`Annotation`](Scheme::Annotation) | `\|` and `"` become `\|` and two hexadecimal digits |
//! | [`DatastoreItem`](Scheme::DatastoreItem) | `"*<>:\|?` become `_`, then as a name, then runs of other than plain characters become base64 |
//!
//! Digits are written in lower case and read in both. A character that ought to have been escaped but is not is read as
//! itself, since it can't be mistaken for anything else.

use base64::Engine as _;
use base64::alphabet::Alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

use crate::error::{Classify, Kind};

/// Where an escaped text stands, and so how it is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Scheme {
    /// The name of an object in the vSphere API
    Name,
    /// The displayName of a VMX file
    VmxName,
    /// The annotation of a VMX file
    Annotation,
    /// The name of a file or folder in a datastore
    DatastoreItem,
}

/// What is not valid escaping. Positions count the characters of the escaped text from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The mark of an escape stands without its two digits.
    #[error("character {position}: {mark} is not followed by two hexadecimal digits")]
    Digits {
        /// Where the mark stands.
        position: usize,
        /// `%` or `|`.
        mark: char,
    },
    /// An escape's digits are beyond 7f.
    #[error("character {position}: {mark}{code:02x} is not the code of an ASCII character")]
    NotAscii {
        /// Where the mark stands.
        position: usize,
        /// `%` or `|`.
        mark: char,
        /// The code that the digits give.
        code: u8,
    },
    /// A character within a base64 sequence is no digit of it; perhaps the text was never escaped.
    #[error("character {position}: {found:?} stands in the base64 sequence that begins at character {start}")]
    NotBase64 {
        /// Where the character stands.
        position: usize,
        /// The character.
        found: char,
        /// Where the sequence's `+` stands.
        start: usize,
    },
    /// A base64 sequence is empty or cut, or does not give text in UTF-8.
    #[error("character {position}: the base64 sequence that begins here is no text in UTF-8")]
    NotText {
        /// Where the sequence's `+` stands.
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

    /// Reads an escaped text.
    ///
    /// A datastore item's `_` may once have been one of `"*<>:|?`: which, nothing tells, and so it stays `_`.
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

/// Characters with their positions in the escaped text, so that the second step of a scheme can name them, too.
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

/// Base64 with `,` for `/`, which separates the parts of a path, and without padding.
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

/// What a datastore item's name keeps as it is.
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

    /// What libvirt's own tests expect of its driver, besides the seed's examples.
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

    /// A minus of the name itself beside one that ends a sequence.
    const MINUS: [(&str, &str); 3] = [("~-", "+fg--"), ("-~", "-+fg"), ("a-b", "a-b")];

    #[test]
    fn datastore_items_are_written_as_libvirt_writes_them() {
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
            "another scheme's marks"
        );
        assert_eq!(
            Scheme::VmxName.decode("|2541").unwrap(),
            "A",
            "what was written last is read first"
        );
    }

    #[test]
    fn what_is_no_escaping_is_named_with_its_position() {
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
                "character 4: '.' stands in the base64 sequence that begins at character 2",
            ),
            (
                Scheme::DatastoreItem,
                "a+",
                "character 2: the base64 sequence that begins here is no text in UTF-8",
            ),
            (
                Scheme::DatastoreItem,
                "a+-b",
                "character 2: the base64 sequence that begins here is no text in UTF-8",
            ),
            (
                Scheme::DatastoreItem,
                "+fh",
                "character 1: the base64 sequence that begins here is no text in UTF-8",
            ),
            (
                Scheme::DatastoreItem,
                "+,,,,",
                "character 1: the base64 sequence that begins here is no text in UTF-8",
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

    /// Any text, and text in which marks, digits and specials come close to each other.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), r#"[-%|+/\\"*_,2f5cAä\x00\n]{0,24}"#]
    }

    proptest! {
        #[test]
        fn what_was_escaped_is_read_back(text in texts()) {
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
        fn any_text_is_read_or_refused_at_a_position_within_it(text in texts()) {
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
