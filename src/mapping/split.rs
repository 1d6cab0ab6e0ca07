//! Splits a stream into JSON values by their brackets and strings, without parsing them.

use std::io::{self, BufRead};

use memchr::memchr2;

use super::error::Limit;
use super::json::is_blank;
use super::{Error, MAX_DEPTH, usual};

/// A stream of bytes, with the number of bytes taken.
#[derive(Debug)]
pub(super) struct Splitter<R> {
    input: R,
    at: u64,
    /// The number of members and elements in the values taken, including the values themselves.
    parts: usize,
}

/// The limits for a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Bytes.
    pub(super) bytes: usize,
    /// Members and elements, less one.
    pub(super) parts: usize,
}

/// The state after a part of a value, which may be split into any number of chunks.
#[derive(Default)]
struct Progress {
    /// Open brackets, the innermost in the lowest bit: 1 for `{`, 0 for `[`.
    brackets: u128,
    depth: usize,
    within_string: bool,
    escaped: bool,
    within_scalar: bool,
    blanks: bool,
    commas: usize,
}

/// The result of reading a chunk. Numbers are bytes of the chunk.
enum Step {
    /// The value ends after this many bytes.
    Done(usize),
    More,
    Mismatch(usize),
    TooDeep(usize),
}

impl<R: BufRead> Splitter<R> {
    pub(super) fn new(input: R) -> Self {
        Splitter {
            input,
            at: 0,
            parts: 0,
        }
    }

    /// The number of bytes taken.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The number of members and elements in the values taken, including the values themselves.
    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    /// The next byte after white space, without taking it. `None` at the end of the input.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Error> {
        loop {
            let chunk = fill(&mut self.input)?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let blanks = chunk.iter().take_while(|byte| is_blank(**byte)).count();
            let next = chunk.get(blanks).copied();
            self.take(blanks);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Like [`Splitter::peek`] inside a document, where the end of the input is an error.
    pub(super) fn peek_within(&mut self) -> Result<u8, Error> {
        self.peek()?.ok_or(Error::Cut { at: self.at })
    }

    /// Takes bytes that have been examined.
    pub(super) fn take(&mut self, count: usize) {
        self.input.consume(count);
        self.at += count as u64;
    }

    /// Takes this byte, or fails.
    pub(super) fn expect(&mut self, wanted: u8) -> Result<(), Error> {
        match self.peek_within()? {
            byte if byte == wanted => {
                self.take(1);
                Ok(())
            }
            byte => Err(self.unexpected(byte, &format!("\"{}\"", wanted as char))),
        }
    }

    /// The error about a byte where something else is expected.
    pub(super) fn unexpected(&self, byte: u8, wanted: &str) -> Error {
        let found = match byte {
            b' '..=b'~' => format!("\"{}\"", byte as char),
            _ => format!("the byte 0x{byte:02x}"),
        };
        Error::Malformed {
            at: self.at,
            reason: format!("found {found} instead of {wanted}"),
        }
    }

    /// Takes the text of the next value, and returns whether it contains white space outside strings. Its brackets are balanced,
    /// but it may still be invalid JSON.
    ///
    /// `outer` is the number of open brackets around it.
    pub(super) fn value(&mut self, outer: usize, budget: Budget, text: &mut Vec<u8>) -> Result<bool, Error> {
        text.clear();
        self.peek_within()?;
        let start = self.at;
        let mut progress = Progress::default();
        loop {
            let chunk = fill(&mut self.input)?;
            if chunk.is_empty() {
                return Err(Error::Cut { at: self.at });
            }
            let step = progress.walk(chunk, MAX_DEPTH - outer);
            let used = match step {
                Step::Done(used) => used,
                Step::More => chunk.len(),
                Step::Mismatch(offset) => {
                    let byte = chunk[offset];
                    self.take(offset);
                    return Err(self.unexpected(byte, "another bracket"));
                }
                Step::TooDeep(offset) => {
                    return Err(Error::TooDeep {
                        at: self.at + offset as u64,
                    });
                }
            };
            if used > budget.bytes.saturating_sub(text.len()) {
                let limit = Limit::ItemBytes;
                return Err(Error::TooLarge { at: start, limit });
            }
            if progress.commas > budget.parts {
                let limit = Limit::ItemParts;
                return Err(Error::TooLarge { at: start, limit });
            }
            text.extend_from_slice(&chunk[..used]);
            self.take(used);
            if matches!(step, Step::Done(_)) {
                self.parts = self.parts.saturating_add(progress.commas + 1);
                return Ok(progress.blanks);
            }
        }
    }

    /// Takes a byte order mark, if there is one.
    pub(super) fn skip_byte_order_mark(&mut self) -> Result<(), Error> {
        const MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];
        if self.peek()? == Some(MARK[0]) {
            MARK.into_iter().try_for_each(|byte| self.expect(byte))?;
        }
        Ok(())
    }
}

fn fill<R: BufRead>(input: &mut R) -> Result<&[u8], Error> {
    // The borrow checker requires a second call, which returns what the first has read.
    loop {
        match input.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Read(error)),
        }
    }
    input.fill_buf().map_err(Error::Read)
}

impl Progress {
    fn walk(&mut self, chunk: &[u8], max_depth: usize) -> Step {
        let mut next = 0;
        while next < chunk.len() {
            if self.escaped {
                self.escaped = false;
                next += 1;
                continue;
            }
            if self.within_string {
                let Some(found) = memchr2(b'"', b'\\', &chunk[next..]) else {
                    return Step::More;
                };
                next += found + 1;
                if chunk[next - 1] == b'\\' {
                    self.escaped = true;
                } else {
                    self.within_string = false;
                    if self.depth == 0 {
                        return Step::Done(next);
                    }
                }
                continue;
            }
            let byte = chunk[next];
            if self.within_scalar
                && (is_blank(byte) || matches!(byte, b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']'))
            {
                return Step::Done(next);
            }
            match byte {
                b'"' => self.within_string = true,
                b'{' | b'[' => {
                    if self.depth == max_depth {
                        return Step::TooDeep(next);
                    }
                    if let Some(after) = self.after_guest(&chunk[next..], max_depth) {
                        self.commas += 3;
                        next = chunk.len() - after.len();
                        continue;
                    }
                    self.brackets = self.brackets << 1 | u128::from(byte == b'{');
                    self.depth += 1;
                }
                b'}' | b']' => {
                    if self.depth == 0 || (self.brackets & 1 == 1) != (byte == b'}') {
                        return Step::Mismatch(next);
                    }
                    self.brackets >>= 1;
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Step::Done(next + 1);
                    }
                }
                b',' if self.depth > 0 => self.commas += 1,
                byte if is_blank(byte) => self.blanks = true,
                _ if self.depth == 0 => self.within_scalar = true,
                _ => {}
            }
            next += 1;
        }
        Step::More
    }

    /// The bytes after a guest as a scan writes it, if one begins here within another value, and whole. Nearly all of a large
    /// document are such guests. Each has two levels and three commas.
    fn after_guest<'c>(&self, rest: &'c [u8], max_depth: usize) -> Option<&'c [u8]> {
        match self.depth > 0 && self.depth + 2 <= max_depth {
            true => usual::guest(rest).map(|(_, after)| after),
            false => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    const AMPLE: Budget = Budget {
        bytes: 1_000,
        parts: 1_000,
    };

    fn value(text: &str, budget: Budget) -> Result<(String, usize), Error> {
        let (mut splitter, mut taken) = (Splitter::new(text.as_bytes()), Vec::new());
        splitter.value(1, budget, &mut taken)?;
        assert_eq!(splitter.at(), taken.len() as u64);
        Ok((String::from_utf8(taken).unwrap(), splitter.parts()))
    }

    #[test]
    fn a_value_has_as_many_parts_as_members_and_elements() {
        let usual = r#"{"guestId":"g","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}"#;
        for (text, parts) in [
            ("1", 1),
            ("[]", 1),
            ("[1,2,3]", 3),
            (r#"{"a":[1,2],"b":","}"#, 3),
            (usual, 4),
        ] {
            assert_eq!(
                value(&format!("{text},1"), AMPLE).unwrap(),
                (text.to_owned(), parts)
            );
        }
    }

    #[test]
    fn a_budget_may_be_used_up() {
        let text = "[1,2,3]";
        let budget = |bytes, parts| Budget { bytes, parts };
        assert!(value(text, budget(7, 2)).is_ok());
        for (bytes, parts, expected) in [(6, 2, Limit::ItemBytes), (7, 1, Limit::ItemParts)] {
            let error = value(text, budget(bytes, parts)).unwrap_err();
            assert!(
                matches!(error, Error::TooLarge { at: 0, limit } if limit == expected),
                "{error:?}"
            );
        }
    }

    #[test]
    fn an_error_names_the_byte_and_what_was_found() {
        let table = [
            ("}", "found \"}\" instead of another bracket", 0),
            ("[1}", "found \"}\" instead of another bracket", 2),
            ("{\"a\":[{}}", "found \"}\" instead of another bracket", 8),
        ];
        for (text, expected, place) in table {
            let error = value(text, AMPLE).unwrap_err();
            assert!(
                matches!(&error, Error::Malformed { at, reason } if *at == place && reason == expected),
                "{text}: {error:?}"
            );
        }
        let unexpected = Splitter::new(&b"\n"[..]).unexpected(b'\n', "\"x\"");
        assert!(
            unexpected
                .to_string()
                .contains("found the byte 0x0a instead of \"x\"")
        );
    }

    #[test]
    fn the_bracket_that_is_too_deep_is_named() {
        // One more bracket is around it.
        let nested = |depth: usize| format!("[{}1{}]", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(value(&nested(MAX_DEPTH - 1), AMPLE).is_ok());
        for window in [1, 1_000] {
            let text = format!("  {}", nested(MAX_DEPTH));
            let mut splitter = Splitter::new(BufReader::with_capacity(window, text.as_bytes()));
            let error = splitter.value(1, AMPLE, &mut Vec::new()).unwrap_err();
            let deep = 2 + MAX_DEPTH as u64 - 1;
            assert!(
                matches!(error, Error::TooDeep { at } if at == deep),
                "{window}: {error:?}"
            );
        }
    }

    #[test]
    fn a_usual_guest_has_two_levels() {
        let guest = r#"{"guestId":"g","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}"#;
        let within = |depth: usize| format!("{}{guest}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(value(&within(MAX_DEPTH - 3), AMPLE).is_ok());
        let error = value(&within(MAX_DEPTH - 2), AMPLE).unwrap_err();
        assert!(matches!(error, Error::TooDeep { .. }), "{error:?}");
    }

    /// A source that fails once, before each of its bytes.
    struct Failing<'a>(&'a [u8], io::ErrorKind, bool);

    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.2 = !self.2;
            match self.2 {
                true => Err(self.1.into()),
                false => self.0.read(&mut buffer[..1]),
            }
        }
    }

    #[test]
    fn an_interrupted_read_is_repeated_and_any_other_error_is_reported() {
        let read = |kind| {
            let input = BufReader::new(Failing(b"[1,2] ", kind, false));
            let mut text = Vec::new();
            Splitter::new(input).value(1, AMPLE, &mut text).map(|_| text)
        };
        assert_eq!(read(io::ErrorKind::Interrupted).unwrap(), b"[1,2]");
        let error = read(io::ErrorKind::TimedOut).unwrap_err();
        assert!(
            matches!(&error, Error::Read(source) if source.kind() == io::ErrorKind::TimedOut),
            "{error:?}"
        );
    }
}
