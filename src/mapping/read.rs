//! Reads a stream of documents, with one hypervisor in memory at a time.

use std::io::BufRead;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::compact;
use super::split::Splitter;
use super::{Entry, Error, MAX_BYTES, Mapping, Tail};

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
    place: Place,
    /// The text of the value that was read last.
    text: Vec<u8>,
    /// Whether a document has been begun.
    begun: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A document, or the end.
    Between,
    /// A member of the document; the first one needs no comma.
    Member { first: bool },
    /// An entry of the list; the first one needs no comma.
    Entry { first: bool },
}

/// One document of the stream, being read.
#[derive(Debug)]
pub struct Document<'r, R> {
    reader: &'r mut Reader<R>,
    /// Where the document begins.
    at: u64,
    listed: bool,
    tail: Tail,
    /// How many bytes the tail may still have.
    room: usize,
}

impl<R: BufRead> Reader<R> {
    /// Reads mappings from `input`.
    pub fn new(input: R) -> Self {
        Reader {
            splitter: Splitter::new(input),
            place: Place::Between,
            text: Vec::new(),
            begun: false,
        }
    }

    /// The next document as soon as it begins, `None` after the last; a stream without any is [`Error::Empty`].
    ///
    /// What is left of a document that was not read to its end is skipped.
    pub fn next_document(&mut self) -> Result<Option<Document<'_, R>>, Error> {
        if self.place != Place::Between {
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
        self.place = Place::Member { first: true };
        Ok(Some(self.document(at)))
    }

    /// The next document, whole; `None` after the last.
    pub fn next_mapping(&mut self) -> Result<Option<Mapping>, Error> {
        let Some(mut document) = self.next_document()? else {
            return Ok(None);
        };
        let mut mapping = Mapping::default();
        let mut layout = None;
        while let Some(entry) = document.next_entry()? {
            match entry.read() {
                Ok((hypervisor, faults)) => {
                    layout.get_or_insert(entry.layout());
                    mapping.hypervisors.push(hypervisor);
                    mapping.faults.extend(faults);
                }
                Err(fault) => mapping.faults.push(fault),
            }
        }
        mapping.layout = layout.unwrap_or_default();
        mapping.tail = document.finish()?;
        Ok(Some(mapping))
    }

    fn document(&mut self, at: u64) -> Document<'_, R> {
        Document {
            reader: self,
            at,
            listed: false,
            tail: Tail::default(),
            room: MAX_BYTES,
        }
    }

    fn not_mapping(&self, reason: &str) -> Error {
        Error::NotMapping {
            at: self.splitter.at(),
            reason: reason.into(),
        }
    }

    /// Takes the comma between items, or the bracket that ends them; tells whether there is another item.
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

    /// Reads a value within `outer` brackets, of at most `room` bytes: where it begins, its text without blanks, and what it is.
    fn value<'s, T: Deserialize<'s>>(
        &'s mut self,
        outer: usize,
        room: usize,
    ) -> Result<(u64, &'s str, T), Error> {
        let Reader { splitter, text, .. } = self;
        splitter.peek_within()?;
        let at = splitter.at();
        if splitter.value(outer, room, text)? {
            understand::<&RawValue>(text, at)?;
            compact(text);
        }
        let (text, value) = understand(text, at)?;
        Ok((at, text, value))
    }
}

/// Understands JSON text that began at byte `at` of the stream.
fn understand<'a, T: Deserialize<'a>>(bytes: &'a [u8], at: u64) -> Result<(&'a str, T), Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| Error::Malformed {
        at: at + error.valid_up_to() as u64,
        reason: "there is no valid UTF-8".into(),
    })?;
    let value = serde_json::from_str(text).map_err(|error| Error::malformed(bytes, at, &error))?;
    Ok((text, value))
}

impl<R: BufRead> Document<'_, R> {
    /// The byte of the stream where the document begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The next entry of the list of hypervisors; `None` at the document's end.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, Error> {
        loop {
            match self.reader.place {
                Place::Between => return Ok(None),
                Place::Member { first } => self.next_member(first)?,
                Place::Entry { first } => {
                    if self.reader.another(first, b']')? {
                        break;
                    }
                    self.reader.place = Place::Member { first: false };
                }
            }
        }
        self.reader.place = Place::Entry { first: false };
        match self.reader.splitter.peek_within()? {
            b'{' => {}
            byte if begins_value(byte) => {
                return Err(self.reader.not_mapping("a hypervisor is not an object"));
            }
            byte => return Err(self.reader.splitter.unexpected(byte, "a hypervisor")),
        }
        let (at, text, members) = self.reader.value(2, MAX_BYTES)?;
        Ok(Some(Entry::new(at, text, members)))
    }

    /// Reads what is left of the document, and returns what it holds beside its hypervisors.
    pub fn finish(mut self) -> Result<Tail, Error> {
        while self.next_entry()?.is_some() {}
        if !self.listed {
            return Err(Error::NotMapping {
                at: self.at,
                reason: "the document has no member \"hypervisors\"".into(),
            });
        }
        Ok(self.tail)
    }

    /// Goes past a member, or up to the first entry of the list, or past the end.
    fn next_member(&mut self, first: bool) -> Result<(), Error> {
        let reader = &mut *self.reader;
        if !reader.another(first, b'}')? {
            reader.place = Place::Between;
            return Ok(());
        }
        match reader.splitter.peek_within()? {
            b'"' => {}
            byte => return Err(reader.splitter.unexpected(byte, "the name of a member")),
        }
        let (_, _, name): (_, _, String) = reader.value(1, self.room)?;
        reader.splitter.expect(b':')?;
        if name == "hypervisors" {
            if std::mem::replace(&mut self.listed, true) {
                return Err(reader.not_mapping("the document has two members \"hypervisors\""));
            }
            if reader.splitter.peek_within()? != b'[' {
                return Err(reader.not_mapping("\"hypervisors\" is not a list"));
            }
            reader.splitter.take(1);
            reader.place = Place::Entry { first: true };
            return Ok(());
        }
        let room = self.room - name.len();
        let (at, text, value): (_, _, &RawValue) = reader.value(1, room)?;
        self.room = room - text.len();
        self.tail
            .member(name, value)
            .map_err(|reason| Error::NotMapping {
                at,
                reason: reason.into(),
            })?;
        reader.place = Place::Member { first: false };
        Ok(())
    }
}

/// Whether some JSON value begins with this byte.
fn begins_value(byte: u8) -> bool {
    matches!(byte, b'[' | b'{' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
}
