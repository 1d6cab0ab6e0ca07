//! The mappings to compare, from files and stdin.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use crate::cli::words::Warnings;
use crate::cli::{self, Failure};
use crate::diff::Snapshot;
use crate::error::Kind;
use crate::mapping::{self, Mapping, Reader};
use crate::secret::redact;

/// The most sources of which the last document is remembered. The oldest is forgotten first.
const MOST_SOURCES: usize = 64;

/// Where mappings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// Standard input.
    Stdin,
    /// A file, which may be a pipe.
    File(PathBuf),
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        match path.as_os_str() == "-" {
            true => Input::Stdin,
            false => Input::File(path),
        }
    }
}

/// The source of a document: its section, type and server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source([Option<String>; 3]);

impl Source {
    fn of(mapping: &mut Mapping) -> Self {
        let source = mapping.tail.source.take().unwrap_or_default();
        Source([source.section, source.kind, source.server])
    }

    /// The section.
    pub(super) fn section(&self) -> Option<&str> {
        self.0[0].as_deref()
    }
}

/// An input while it is read.
pub(super) struct Read {
    reader: Reader<Box<dyn BufRead>>,
    /// The file; none for stdin.
    file: Option<PathBuf>,
}

impl Read {
    /// Opens an input.
    pub(super) fn open(input: &Input) -> cli::Result<Self> {
        let (source, file): (Box<dyn BufRead>, _) = match input {
            Input::Stdin => (Box::new(cli::stdin()?), None),
            Input::File(path) => {
                let opened = File::open(path).map_err(|error| {
                    let shown = redact::value(&path.to_string_lossy());
                    Failure::new(Kind::Io, format!("{shown}: {}", crate::text::reason(&error)))
                })?;
                let buffered = BufReader::with_capacity(64 * 1024, opened);
                (Box::new(buffered), Some(path.clone()))
            }
        };
        let reader = Reader::new(source);
        Ok(Read { reader, file })
    }

    /// The next document with its source; `None` after the last. What is unusable is named in warnings, and left out.
    pub(super) fn next(&mut self) -> cli::Result<Option<(Source, Snapshot)>> {
        let mut snapshot = Snapshot::default();
        let read = self.reader.next_rest(|hypervisor| snapshot.add(hypervisor));
        let Some(mut rest) = read.map_err(|error| self.placed(error))? else {
            return Ok(None);
        };
        let mut warnings = Warnings::default();
        for fault in &rest.faults {
            warnings.say(format_args!("{}{fault}; it is not compared", self.place()));
        }
        for flaw in &rest.flaws {
            warnings.say(format_args!("{}{flaw}", self.place()));
        }
        warnings.end();
        Ok(Some((Source::of(&mut rest), snapshot)))
    }

    /// The file before a message.
    fn place(&self) -> String {
        let file = self.file.as_ref();
        file.map(|file| format!("{}: ", redact::value(&file.to_string_lossy())))
            .unwrap_or_default()
    }

    /// An error with the file, and advice if the input is missing or incomplete.
    fn placed(&self, error: mapping::Error) -> cli::Error {
        let Some(file) = &self.file else {
            return cli::mapping::advise(error.into());
        };
        let is_cut = matches!(error, mapping::Error::Empty | mapping::Error::Cut { .. });
        let error = cli::Error::from(error).context(redact::value(&file.to_string_lossy()));
        // A process substitution, <(COMMAND).
        match is_cut && (file.starts_with("/dev/fd") || file.starts_with("/proc")) {
            true => error.advise("the command in <(...) failed; see its message"),
            false => error,
        }
    }
}

/// The last document of each source, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Documents {
    known: Vec<(Source, Snapshot)>,
    /// Whether a document of any source may be compared with the only one there is.
    is_baseline: bool,
}

impl Documents {
    /// Reads an input to its end.
    pub(super) fn read_all(input: &Input) -> cli::Result<Self> {
        let mut read = Read::open(input)?;
        let mut documents = Documents::default();
        while let Some((source, snapshot)) = read.next()? {
            documents.known.retain(|(own, _)| *own != source);
            documents.known.push((source, snapshot));
        }
        documents.is_baseline = documents.known.len() == 1;
        Ok(documents)
    }

    /// The documents as a side of a comparison.
    pub(super) fn into_snapshots(self) -> Vec<Snapshot> {
        self.known.into_iter().map(|(_, snapshot)| snapshot).collect()
    }

    /// Takes the last document of a source. The first document of a stream is also compared with a single one from elsewhere,
    /// such as what a service holds.
    pub(super) fn take(&mut self, source: &Source) -> Option<Snapshot> {
        let is_baseline = std::mem::take(&mut self.is_baseline);
        let own = self.known.iter().position(|(own, _)| own == source);
        let place = own.or((is_baseline && self.known.len() == 1).then_some(0))?;
        Some(self.known.remove(place).1)
    }

    /// Remembers the last document of a source.
    pub(super) fn put(&mut self, source: Source, snapshot: Snapshot) {
        if self.known.len() == MOST_SOURCES {
            self.known.remove(0);
        }
        self.known.push((source, snapshot));
    }
}
