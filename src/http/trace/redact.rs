//! Removes secrets from a stream of bytes.

use std::borrow::Cow;

use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::secret::redact::REDACTED;

/// A shorter secret is hidden only if it is a word by itself. Otherwise it would be hidden in so many words that it could be guessed.
const SHORT: usize = 6;

/// The element whose content is always a password.
const ELEMENT: &[u8] = b"<password>";
const ELEMENT_END: &[u8] = b"</password>";

/// Removes secrets from bytes that come in pieces. It holds back no more bytes than the longest secret has.
pub(super) struct Redactor {
    mode: Mode,
    pending: Zeroizing<Vec<u8>>,
    /// The byte before the pending ones.
    last: u8,
}

enum Mode {
    /// Known texts are hidden, and the content of [`ELEMENT`].
    Known {
        secrets: Vec<Zeroizing<Vec<u8>>>,
        longest: usize,
        /// Inside the element.
        inside: bool,
    },
    /// Every text is hidden, and only XML tags are shown.
    Texts(Within),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Blank,
    Text,
    /// After a `<`; the next byte shows whether it opens a tag.
    Opening,
    Tag,
}

impl Redactor {
    /// Hides these secrets, as they are and as XML, JSON and URLs write them.
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let mut forms: Vec<Zeroizing<Vec<u8>>> = vec![Zeroizing::new(ELEMENT.to_vec())];
        for secret in secrets {
            for form in forms_of(secret.expose()) {
                if !form.is_empty() && !forms.contains(&form) {
                    forms.push(form);
                }
            }
        }
        // The longer one comes first, in case two begin at the same place.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Redactor::of(Mode::Known {
            longest: forms.first().map_or(0, |form| form.len()).max(ELEMENT_END.len()),
            secrets: forms,
            inside: false,
        })
    }

    /// Hides every text, for an answer with a secret in it.
    pub(super) fn of_texts() -> Self {
        Redactor::of(Mode::Texts(Within::Blank))
    }

    fn of(mode: Mode) -> Self {
        Redactor {
            mode,
            pending: Zeroizing::default(),
            last: b' ',
        }
    }

    /// Takes more bytes, and adds those that may be shown to `out`.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.pending.extend_from_slice(bytes);
        self.advance(false, out);
    }

    /// Adds the bytes that were held back to `out`.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.advance(true, out);
    }

    fn advance(&mut self, end: bool, out: &mut Vec<u8>) {
        let pending = std::mem::take(&mut self.pending);
        let taken = match &mut self.mode {
            Mode::Known {
                secrets,
                longest,
                inside,
            } => known(&pending, secrets, *longest, inside, self.last, end, out),
            Mode::Texts(within) => {
                texts(&pending, within, out);
                pending.len()
            }
        };
        self.pending.extend_from_slice(&pending[taken..]);
        if let Some(last) = taken.checked_sub(1) {
            self.last = pending[last];
        }
    }
}

/// Copies the bytes that are certainly no secret, and returns how many are done.
fn known(
    bytes: &[u8],
    secrets: &[Zeroizing<Vec<u8>>],
    longest: usize,
    inside: &mut bool,
    last: u8,
    end: bool,
    out: &mut Vec<u8>,
) -> usize {
    // A secret, or the word that it is part of, may go on in the next piece.
    let certain = if end {
        bytes.len()
    } else {
        bytes.len().saturating_sub(longest)
    };
    let mut at = 0;
    let find = |secret: &Zeroizing<Vec<u8>>, from| hidden(bytes, secret, from, last);
    let mut next: Vec<Option<usize>> = secrets.iter().map(|secret| find(secret, 0)).collect();
    loop {
        if *inside {
            match memmem::find(&bytes[at..], ELEMENT_END) {
                Some(length) => at += length,
                None => return if end { bytes.len() } else { certain.max(at) },
            }
            *inside = false;
        }
        for (next, secret) in next.iter_mut().zip(secrets) {
            if next.is_some_and(|found| found < at) {
                *next = find(secret, at);
            }
        }
        let first = next
            .iter()
            .zip(secrets)
            .filter_map(|(next, secret)| Some(((*next)?, secret)));
        // Among equals `min_by_key` takes the first, which is the longest.
        match first
            .min_by_key(|(found, _)| *found)
            .filter(|(found, _)| *found < certain)
        {
            None => {
                out.extend_from_slice(&bytes[at..certain.max(at)]);
                return certain.max(at);
            }
            Some((found, secret)) => {
                out.extend_from_slice(&bytes[at..found]);
                at = found + secret.len();
                if ***secret == *ELEMENT {
                    out.extend_from_slice(ELEMENT);
                    *inside = true;
                }
                out.extend_from_slice(REDACTED.as_bytes());
            }
        }
    }
}

/// Where a secret that must be hidden is found first, at `from` or after. `last` is the byte before `bytes`.
fn hidden(bytes: &[u8], secret: &[u8], mut from: usize, last: u8) -> Option<usize> {
    loop {
        let found = from + memmem::find(bytes.get(from..)?, secret)?;
        let before = found.checked_sub(1).map_or(last, |before| bytes[before]);
        let after = bytes.get(found + secret.len()).copied().unwrap_or(b' ');
        let is_word = !before.is_ascii_alphanumeric() && !after.is_ascii_alphanumeric();
        if is_word || secret.len() >= SHORT {
            return Some(found);
        }
        from = found + 1;
    }
}

/// Copies tags and white space, and replaces each text by [`REDACTED`].
fn texts(bytes: &[u8], within: &mut Within, out: &mut Vec<u8>) {
    for &byte in bytes {
        *within = match *within {
            Within::Tag => {
                out.push(byte);
                if byte == b'>' { Within::Blank } else { Within::Tag }
            }
            Within::Opening if byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'?' | b'_') => {
                out.extend_from_slice(&[b'<', byte]);
                Within::Tag
            }
            // CDATA is text too.
            Within::Opening => {
                out.extend_from_slice(REDACTED.as_bytes());
                Within::Text
            }
            Within::Blank | Within::Text if byte == b'<' => Within::Opening,
            Within::Blank if byte.is_ascii_whitespace() => {
                out.push(byte);
                Within::Blank
            }
            Within::Blank => {
                out.extend_from_slice(REDACTED.as_bytes());
                Within::Text
            }
            Within::Text => Within::Text,
        };
    }
}

/// A secret as it is, and as XML, JSON and URLs write it.
fn forms_of(secret: &str) -> [Zeroizing<Vec<u8>>; 5] {
    let bytes = |text: Cow<'_, str>| Zeroizing::new(text.into_owned().into_bytes());
    let json = serde_json::to_string(secret).unwrap_or_default();
    [
        bytes(secret.into()),
        bytes(crate::xml::escape(secret)),
        // Some programs escape only what they must.
        bytes(
            secret
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .into(),
        ),
        bytes(json.trim_matches('"').to_owned().into()),
        bytes(utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string().into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redacted(secrets: &[&str], pieces: &[&[u8]]) -> String {
        let secrets: Vec<Secret> = secrets
            .iter()
            .map(|text| Secret::from((*text).to_owned()))
            .collect();
        passed(Redactor::new(&secrets), pieces)
    }

    fn passed(mut redactor: Redactor, pieces: &[&[u8]]) -> String {
        let mut out = Vec::new();
        for piece in pieces {
            redactor.push(piece, &mut out);
        }
        redactor.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn secrets_are_hidden_in_each_form_at_any_place() {
        for (secret, text, wanted) in [
            ("s3cret", "a s3cret, as3cretb", "a (redacted), a(redacted)b"),
            (
                "a&b<c'd",
                "a&amp;b&lt;c&apos;d a&amp;b&lt;c'd",
                "(redacted) (redacted)",
            ),
            ("a\"b\\cd", r#"{"x":"a\"b\\cd"}"#, r#"{"x":"(redacted)"}"#),
            ("a b/c?d", "p=a%20b%2Fc%3Fd", "p=(redacted)"),
            ("", "nothing", "nothing"),
            // A short one is hidden only as a word by itself.
            ("esx", "esx esx1 (esx)", "(redacted) esx1 ((redacted))"),
            (
                "x",
                "<password>other</password>",
                "<password>(redacted)</password>",
            ),
            (
                "x",
                "<password>a</password><password>b</password>c",
                "<password>(redacted)</password><password>(redacted)</password>c",
            ),
            ("x", "<password>cut", "<password>(redacted)"),
        ] {
            assert_eq!(redacted(&[secret], &[text.as_bytes()]), wanted);
        }
        assert_eq!(
            redacted(&["secret", "secret-long"], &[b"secret-long secret"]),
            "(redacted) (redacted)"
        );
    }

    #[test]
    fn only_the_tags_of_a_secret_answer_remain() {
        let text = "<?xml version='1.0'?>\n<a x='1'><key>s3cret</key> <b/><![CDATA[s3cret]]></a>";
        let wanted = "<?xml version='1.0'?>\n<a x='1'><key>(redacted)</key> <b/>(redacted)</a>";
        for at in 0..text.len() {
            let (one, other) = text.as_bytes().split_at(at);
            assert_eq!(passed(Redactor::of_texts(), &[one, other]), wanted, "{at}");
        }
        assert_eq!(
            passed(Redactor::of_texts(), &[b"{\"key\":\"s3cret\"}"]),
            "(redacted)"
        );
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "(s3cret|ab|a|b|<password>|</password>|[a-b ]){0,12}", cuts in proptest::collection::vec(0usize..60, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            let whole = redacted(&["s3cret", "ab"], &[bytes]);
            prop_assert!(!whole.contains("s3cret"));
            prop_assert_eq!(redacted(&["s3cret", "ab"], &pieces), whole);
        }
    }
}
