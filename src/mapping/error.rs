//! Errors of reading and writing mappings.

use std::io;

use crate::error::{Classify, Kind};

/// Why a mapping could not be read or written. Positions are bytes from the beginning of the stream, counted from 0.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is empty, because the stage that should write it failed. This never means "no hypervisors".
    #[error("no input")]
    Empty,
    /// The input ends inside a document, because the stage that writes it failed.
    #[error("the input ended at byte {at}, before a document was complete")]
    Cut {
        /// The length of the input.
        at: u64,
    },
    /// Not JSON.
    #[error("the input is not JSON: {reason} at byte {at}")]
    Malformed {
        /// The position of the error.
        at: u64,
        /// What is wrong there.
        reason: String,
    },
    /// JSON, but not a mapping.
    #[error("the input is not a mapping: {reason}, at byte {at}; see vw-mapping(5)")]
    NotMapping {
        /// The position of the error.
        at: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Part of the input is larger than a limit.
    #[error("the input contains {limit}, at byte {at}: no mapping is that large")]
    TooLarge {
        /// The beginning of the part.
        at: u64,
        /// The limit.
        limit: Limit,
    },
    /// Brackets are nested deeper than [`super::MAX_DEPTH`].
    #[error("the input is nested deeper than {} levels, at byte {at}", super::MAX_DEPTH)]
    TooDeep {
        /// The position of the bracket.
        at: u64,
    },
    /// The input could not be read.
    #[error("reading the input")]
    Read(#[source] io::Error),
    /// The output could not be written.
    #[error("writing the output")]
    Write(#[source] io::Error),
}

/// A limit that the input exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// One hypervisor, or the rest of a document, has more than [`super::MAX_BYTES`].
    #[error("an item of more than {} MiB", super::MAX_BYTES >> 20)]
    ItemBytes,
    /// One hypervisor, or the rest of a document, has more than [`super::MAX_PARTS`] members and list elements.
    #[error("an item of more than {} members and elements", super::MAX_PARTS)]
    ItemParts,
    /// A document that is read as a whole has more than [`super::MAX_DOCUMENT_BYTES`].
    #[error("a document of more than {} MiB", super::MAX_DOCUMENT_BYTES >> 20)]
    DocumentBytes,
    /// A document that is read as a whole has more than [`super::MAX_DOCUMENT_PARTS`] members and list elements.
    #[error("a document of more than {} members and elements", super::MAX_DOCUMENT_PARTS)]
    DocumentParts,
}

impl Error {
    /// The error for JSON that serde_json refused. `text` began at byte `at` of the stream.
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
