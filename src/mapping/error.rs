//! What can be wrong with a stream of mappings.

use std::io;

use crate::error::{Classify, Kind};

/// Why a mapping could not be read or written. Positions are bytes from the beginning of the stream, counted from 0.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing came: whoever should have written a mapping failed. Never read as "no hypervisors".
    #[error("no input: the command before this one failed; see its message")]
    Empty,
    /// The end came within a document, which is how a stage that failed half-way says so.
    #[error(
        "the input ended at byte {at}, before a document was complete: the command before this one failed; see its message"
    )]
    Cut {
        /// How many bytes had come.
        at: u64,
    },
    /// Not JSON.
    #[error("the input is not JSON: {reason} at byte {at}")]
    Malformed {
        /// Where reading stopped making sense.
        at: u64,
        /// What is wrong there.
        reason: String,
    },
    /// JSON, but not a mapping.
    #[error("the input is not a mapping: {reason}, at byte {at}; see vw-mapping(5)")]
    NotMapping {
        /// Where the wrong thing stands.
        at: u64,
        /// What a mapping would have there.
        reason: String,
    },
    /// Something is larger than any mapping.
    #[error("the input holds {limit}, at byte {at}: no mapping is that large")]
    TooLarge {
        /// Where that begins.
        at: u64,
        /// What is too large.
        limit: Limit,
    },
    /// Brackets are nested deeper than [`super::MAX_DEPTH`].
    #[error("the input is nested deeper than {} levels, at byte {at}", super::MAX_DEPTH)]
    TooDeep {
        /// The bracket that went too far.
        at: u64,
    },
    /// The input could not be read.
    #[error("reading the input")]
    Read(#[source] io::Error),
    /// The output could not be written.
    #[error("writing the output")]
    Write(#[source] io::Error),
}

/// A limit of size that the input exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// One hypervisor, or all of a document that is no hypervisor, has more than [`super::MAX_BYTES`].
    #[error("an item of more than {} MiB", super::MAX_BYTES >> 20)]
    ItemBytes,
    /// It has more than [`super::MAX_PARTS`] members and list elements.
    #[error("an item of more than {} members and elements", super::MAX_PARTS)]
    ItemParts,
    /// A document that has to be in memory as a whole has more than [`super::MAX_DOCUMENT_BYTES`].
    #[error("a document of more than {} MiB", super::MAX_DOCUMENT_BYTES >> 20)]
    DocumentBytes,
    /// It has more than [`super::MAX_DOCUMENT_PARTS`] members and list elements.
    #[error("a document of more than {} members and elements", super::MAX_DOCUMENT_PARTS)]
    DocumentParts,
}

impl Error {
    /// JSON that serde_json refused; `text` is what it read, and began at byte `at` of the stream.
    pub(super) fn malformed(text: &[u8], at: u64, error: &serde_json::Error) -> Self {
        let before: usize = text
            .split_inclusive(|byte| *byte == b'\n')
            .take(error.line().saturating_sub(1))
            .map(<[u8]>::len)
            .sum();
        let within = (before + error.column().saturating_sub(1)).min(text.len());
        let message = error.to_string();
        let reason = message.split(" at line ").next().unwrap_or(&message).to_owned();
        Error::Malformed {
            at: at + within as u64,
            reason,
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Empty | Error::Cut { .. } => Kind::NoInput,
            Error::Malformed { .. }
            | Error::NotMapping { .. }
            | Error::TooLarge { .. }
            | Error::TooDeep { .. } => Kind::Data,
            Error::Read(_) => Kind::Io,
            Error::Write(error) => Kind::of_output(error),
        }
    }
}
