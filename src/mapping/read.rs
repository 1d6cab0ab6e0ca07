//! Reads a stream of documents, with one hypervisor in memory at a time.

use std::io::BufRead;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::Limit;
use super::fault::BoundedFaults;
use super::json::compact;
use super::split::{Budget, Splitter};
use super::{
    Entry, Error, Hypervisor, MAX_BYTES, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_PARTS, MAX_PARTS, Mapping, Tail,
};

/// The limits for one hypervisor, and for the rest of a document.
const BUDGET: Budget = Budget {
    bytes: MAX_BYTES,
    parts: MAX_PARTS,
};

/// The limits for a document that is read as a whole.
const WHOLE: Budget = Budget {
    bytes: MAX_DOCUMENT_BYTES as usize,
    parts: MAX_DOCUMENT_PARTS,
};

/// The known members of a document, which may be there only once.
const KNOWN: [&str; 3] = ["hypervisors", "source", "omitted"];

/// A stream of mappings.
///
/// ```
/// use vw::mapping::Reader;
///
/// let text = r#"{"hypervisors":[{"uuid":"one","guests":[]}]} {"hypervisors":[]}"#;
/// let mut reader = Reader::new(text.as_bytes());
/// while let Some(mut document) = reader.next_document()? {
///     while let Some(entry) = document.next_entry()? {
///         println!("{}", entry.text());
///     }
///     let tail = document.finish()?;
///     assert!(tail.is_empty());
/// }
/// # Ok::<(), vw::mapping::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    splitter: Splitter<R>,
    expected: Expected,
    /// The text of the last value.
    text: Vec<u8>,
    /// Whether any document has begun.
    begun: bool,
}

/// What is expected next in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// A document, or the end.
    Document,
    /// A member of the document. The first has no comma before it.
    Member { first: bool },
    /// An entry of the list. The first has no comma before it.
    Entry { first: bool },
}

/// One document of the stream, while it is being read.
#[derive(Debug)]
pub struct Document<'r, R> {
    reader: &'r mut Reader<R>,
    /// The byte of the stream where the document begins.
    at: u64,
    /// Which of [`KNOWN`] have been read.
    seen: [bool; KNOWN.len()],
    tail: Tail,
    /// The remaining limits for the tail.
    budget: Budget,
}

impl<R: BufRead> Reader<R> {
    /// Reads mappings from `input`.
    pub fn new(input: R) -> Self {
        Reader {
            splitter: Splitter::new(input),
            expected: Expected::Document,
            text: Vec::new(),
            begun: false,
        }
    }

    /// Returns the next document as soon as it begins, or `None` after the last. A stream without documents is
    /// [`Error::Empty`].
    ///
    /// If the previous document was not read to its end, the rest of it is skipped.
    pub fn next_document(&mut self) -> Result<Option<Document<'_, R>>, Error> {
        if self.expected != Expected::Document {
            let mut rest = self.document(0);
            while rest.next_entry()?.is_some() {}
        }
        self.splitter.skip_byte_order_mark()?;
        match self.splitter.peek()? {
            Some(b'{') => {}
            Some(byte) if begins_value(byte) => return Err(self.not_mapping("a document is not an object")),
            Some(byte) => return Err(self.splitter.unexpected(byte, "a document's \"{\"")),
            None if self.begun => return Ok(None),
            None => return Err(Error::Empty),
        }
        let at = self.splitter.at();
        self.splitter.take(1);
        self.begun = true;
        self.expected = Expected::Member { first: true };
        Ok(Some(self.document(at)))
    }

    /// Reads the next document as a whole. Returns `None` after the last.
    ///
    /// The limits are [`MAX_DOCUMENT_BYTES`] and [`MAX_DOCUMENT_PARTS`]. If there are many faults, only the first are named.
    pub fn next_mapping(&mut self) -> Result<Option<Mapping>, Error> {
        let mut hypervisors = Vec::new();
        let rest = self.next_rest(|hypervisor| hypervisors.push(hypervisor))?;
        Ok(rest.map(|rest| Mapping { hypervisors, ..rest }))
    }

    /// Like [`Reader::next_mapping`], but passes each usable hypervisor to `keep`, for a caller that stores less of it. The
    /// mapping that is returned has no hypervisors.
    pub fn next_rest(&mut self, mut keep: impl FnMut(Hypervisor)) -> Result<Option<Mapping>, Error> {
        let parts = self.splitter.parts();
        let Some(mut document) = self.next_document()? else {
            return Ok(None);
        };
        let mut mapping = Mapping::default();
        let (mut faults, mut flaws) = (BoundedFaults::of_document(), BoundedFaults::of_document());
        let mut layout = None;
        while let Some(entry) = document.next_entry()? {
            match entry.read() {
                Ok(read) => {
                    layout.get_or_insert(entry.layout());
                    keep(read.hypervisor);
                    read.faults.into_iter().for_each(|fault| faults.push(fault));
                    read.flaws.into_iter().for_each(|flaw| flaws.push(flaw));
                }
                Err(fault) => faults.push(fault),
            }
            document.check_size(parts, WHOLE)?;
        }
        mapping.layout = layout.unwrap_or_default();
        (mapping.faults, mapping.flaws) = (faults.into_vec(), flaws.into_vec());
        mapping.tail = document.finish()?;
        Ok(Some(mapping))
    }

    /// The number of members and elements that have been read.
    #[cfg(test)]
    pub(super) fn parts(&self) -> usize {
        self.splitter.parts()
    }

    fn document(&mut self, at: u64) -> Document<'_, R> {
        Document {
            reader: self,
            at,
            seen: [false; KNOWN.len()],
            tail: Tail::default(),
            budget: BUDGET,
        }
    }

    fn not_mapping(&self, reason: &str) -> Error {
        Error::NotMapping {
            at: self.splitter.at(),
            reason: reason.into(),
        }
    }

    /// Takes the comma between items, or the bracket after the last. Returns whether there is another item.
    fn another(&mut self, first: bool, end: u8) -> Result<bool, Error> {
        match self.splitter.peek_within()? {
            byte if byte == end => {
                self.splitter.take(1);
                return Ok(false);
            }
            _ if first => {}
            b',' => self.splitter.take(1),
            byte => {
                return Err(self
                    .splitter
                    .unexpected(byte, &format!("\",\" or \"{}\"", end as char)));
            }
        }
        Ok(true)
    }

    /// Reads a value inside `outer` brackets. Returns the byte where it begins, its text without white space, and the value.
    fn value<'s, T: Deserialize<'s>>(
        &'s mut self,
        outer: usize,
        budget: Budget,
    ) -> Result<(u64, &'s str, T), Error> {
        let Reader { splitter, text, .. } = self;
        splitter.peek_within()?;
        let at = splitter.at();
        if splitter.value(outer, budget, text)? {
            parse::<&RawValue>(text, at)?;
            compact(text);
        }
        let (text, value) = parse(text, at)?;
        Ok((at, text, value))
    }
}

/// Parses JSON text that began at byte `at` of the stream.
fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], at: u64) -> Result<(&'a str, T), Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| Error::Malformed {
        at: at + error.valid_up_to() as u64,
        reason: "invalid UTF-8".into(),
    })?;
    let value = serde_json::from_str(text).map_err(|error| Error::malformed(bytes, at, &error))?;
    Ok((text, value))
}

impl<R: BufRead> Document<'_, R> {
    /// The byte of the stream where the document begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Returns the next entry of the list of hypervisors, or `None` at the end of the document.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, Error> {
        loop {
            match self.reader.expected {
                Expected::Document => return Ok(None),
                Expected::Member { first } => self.next_member(first)?,
                Expected::Entry { first } => {
                    if self.reader.another(first, b']')? {
                        break;
                    }
                    self.reader.expected = Expected::Member { first: false };
                }
            }
        }
        self.reader.expected = Expected::Entry { first: false };
        match self.reader.splitter.peek_within()? {
            b'{' => {}
            byte if begins_value(byte) => {
                return Err(self.reader.not_mapping("a hypervisor is not an object"));
            }
            byte => return Err(self.reader.splitter.unexpected(byte, "a hypervisor")),
        }
        let (at, text, members) = self.reader.value(2, BUDGET)?;
        Ok(Some(Entry::new(at, text, members)))
    }

    /// Reads the rest of the document, and returns its members other than the hypervisors.
    pub fn finish(mut self) -> Result<Tail, Error> {
        while self.next_entry()?.is_some() {}
        if !self.seen[0] {
            return Err(Error::NotMapping {
                at: self.at,
                reason: "the document has no member \"hypervisors\"".into(),
            });
        }
        Ok(self.tail)
    }

    /// Refuses a document that is too large for memory. `before` is the number of parts in the stream before it.
    fn check_size(&self, before: usize, limits: Budget) -> Result<(), Error> {
        let splitter = &self.reader.splitter;
        let too_large = |limit| Err(Error::TooLarge { at: self.at, limit });
        if splitter.at() - self.at > limits.bytes as u64 {
            return too_large(Limit::DocumentBytes);
        }
        if splitter.parts() - before > limits.parts {
            return too_large(Limit::DocumentParts);
        }
        Ok(())
    }

    /// Reads a member of the tail, the beginning of the list of hypervisors, or the end of the document.
    fn next_member(&mut self, first: bool) -> Result<(), Error> {
        let reader = &mut *self.reader;
        if !reader.another(first, b'}')? {
            reader.expected = Expected::Document;
            return Ok(());
        }
        match reader.splitter.peek_within()? {
            b'"' => {}
            byte => return Err(reader.splitter.unexpected(byte, "the name of a member")),
        }
        let (_, quoted, name): (_, _, String) = reader.value(1, self.budget)?;
        // The limit is for the written text: even an empty name takes two quotes, a colon and a comma.
        self.budget.bytes = self.budget.bytes.saturating_sub(quoted.len() + 2);
        reader.splitter.expect(b':')?;
        if let Some(known) = KNOWN.iter().position(|known| *known == name)
            && std::mem::replace(&mut self.seen[known], true)
        {
            return Err(reader.not_mapping(&format!("the document has two members \"{name}\"")));
        }
        if name == "hypervisors" {
            if reader.splitter.peek_within()? != b'[' {
                return Err(reader.not_mapping("\"hypervisors\" is not a list"));
            }
            reader.splitter.take(1);
            reader.expected = Expected::Entry { first: true };
            return Ok(());
        }
        let before = reader.splitter.parts();
        let (at, text, value): (_, _, &RawValue) = reader.value(1, self.budget)?;
        let (bytes, not_mapping) = (text.len(), |reason: &str| Error::NotMapping {
            at,
            reason: reason.into(),
        });
        self.tail.member(name, value).map_err(not_mapping)?;
        self.budget.bytes = self.budget.bytes.saturating_sub(bytes);
        let parts = reader.splitter.parts() - before;
        let Some(left) = self.budget.parts.checked_sub(parts) else {
            let limit = Limit::ItemParts;
            return Err(Error::TooLarge { at, limit });
        };
        self.budget.parts = left;
        reader.expected = Expected::Member { first: false };
        Ok(())
    }
}

/// Whether some JSON value begins with this byte.
fn begins_value(byte: u8) -> bool {
    matches!(byte, b'[' | b'{' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_too_large<T>(result: Result<T, Error>, limit: Limit) -> bool {
        matches!(result, Err(Error::TooLarge { limit: found, .. }) if found == limit)
    }

    #[test]
    fn the_limits_of_the_tail_are_for_all_its_members() {
        let finish = |text: &str, bytes, parts| {
            let mut reader = Reader::new(text.as_bytes());
            let mut document = reader.next_document().unwrap().unwrap();
            document.budget = Budget { bytes, parts };
            document.finish()
        };
        // A name takes its quotes, a colon and a comma, too.
        let text = r#"{"ab":1,"cd":1,"ef":1,"hypervisors":[]}"#;
        let written = 3 * 7 + r#""hypervisors""#.len();
        assert!(finish(text, written, 10).is_ok());
        assert!(is_too_large(finish(text, written - 1, 10), Limit::ItemBytes));
        let text = r#"{"a":[1,2],"b":[1,2],"c":[1,2],"hypervisors":[]}"#;
        assert!(finish(text, 1_000, 6).is_ok());
        assert!(is_too_large(finish(text, 1_000, 5), Limit::ItemParts));
    }

    #[test]
    fn the_limits_of_a_document_do_not_count_what_is_before_it() {
        let text = r#"{"hypervisors":[{"uuid":"a","guests":[]}]}{"hypervisors":[{"uuid":"b","guests":[]}]}"#;
        let mut reader = Reader::new(text.as_bytes());
        reader.next_mapping().unwrap().unwrap();
        let before = reader.parts();
        let mut document = reader.next_document().unwrap().unwrap();
        assert_eq!(document.at(), text.len() as u64 / 2);
        assert!(document.next_entry().unwrap().is_some());
        // The name of the list and the hypervisor with its members.
        let bytes = r#"{"hypervisors":[{"uuid":"b","guests":[]}"#.len();
        let parts = 1 + 2;
        assert!(document.check_size(before, Budget { bytes, parts }).is_ok());
        let fewer = Budget {
            bytes: bytes - 1,
            parts,
        };
        assert!(is_too_large(
            document.check_size(before, fewer),
            Limit::DocumentBytes
        ));
        let fewer = Budget {
            bytes,
            parts: parts - 1,
        };
        assert!(is_too_large(
            document.check_size(before, fewer),
            Limit::DocumentParts
        ));
    }

    /// The advice differs: a value is JSON of another kind, anything else is no JSON.
    #[test]
    fn other_json_is_no_mapping_and_other_text_is_malformed() {
        for value in ["[1]", "\"a\"", "-1", "0", "9", "true", "false", "null"] {
            for text in [value.to_owned(), format!("{{\"hypervisors\":[{value}]}}")] {
                let found = Reader::new(text.as_bytes()).next_mapping();
                assert!(
                    matches!(found, Err(Error::NotMapping { .. })),
                    "{text}: {found:?}"
                );
            }
        }
        for value in ["x", ":", "(", "+1", "\u{e9}"] {
            for text in [value.to_owned(), format!("{{\"hypervisors\":[{value}]}}")] {
                let found = Reader::new(text.as_bytes()).next_mapping();
                assert!(matches!(found, Err(Error::Malformed { .. })), "{text}: {found:?}");
            }
        }
    }
}
