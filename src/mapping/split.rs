//! Splits a stream into JSON values by their brackets and strings, without parsing them.

use std::io::{self, BufRead};

use memchr::memchr2;

use super::error::Limit;
use super::flaw::after_usual_guest;
use super::json::is_blank;
use super::{Error, MAX_DEPTH};

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
                    // Nearly all of a large document are guests as a scan writes them. Each has two levels and three commas.
                    if self.depth > 0
                        && self.depth + 2 <= max_depth
                        && let Some(after) = after_usual_guest(&chunk[next..])
                    {
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
}
