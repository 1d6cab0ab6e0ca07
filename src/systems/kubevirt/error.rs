//! Why a cluster could not be read.

use std::process::ExitStatus;
use std::time::Duration;

use super::answer::Unreadable;
use super::complaint::Complaint;
use crate::cancel::Cancelled;
use crate::error::{Classify, Kind};
use crate::process;
use crate::retry::Retryable;
use crate::text;

/// Why a cluster could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// kubectl can't be run, or did not end in time.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// kubectl failed and says why.
    #[error("{program}: {complaint}")]
    Refused {
        /// Its name: kubectl or oc.
        program: String,
        /// What it says.
        complaint: Complaint,
    },
    /// kubectl failed and does not say why.
    #[error("{program} ended with {} and no message", process::end_of(*status))]
    Silent {
        /// Its name.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// What kubectl printed is unusable.
    #[error("{program}: {reason}")]
    Answer {
        /// Its name.
        program: String,
        /// Why.
        reason: Unreadable,
    },
    /// A watch ended soon after it had begun, which a server that works does not do.
    #[error("{program}: the watch ended early")]
    Watch {
        /// Its name.
        program: String,
    },
    /// An error that names the server.
    #[error("{server}: {error}")]
    At {
        /// The server's URL.
        server: String,
        /// The error.
        error: Box<Error>,
    },
    /// Temporary failures did not end in time.
    #[error("gave up after {} s: {last}", text::seconds(*after))]
    GaveUp {
        /// The time from the beginning.
        after: Duration,
        /// The last failure.
        last: Box<Error>,
    },
}

impl Error {
    /// The error with the server's name, if that is known.
    pub(super) fn at(self, server: Option<&str>) -> Self {
        match (self, server) {
            (Error::Process(error), _) => Error::Process(error),
            (error, Some(server)) => Error::At {
                server: server.to_owned(),
                error: Box::new(error),
            },
            (error, None) => error,
        }
    }

    /// What kubectl says, if it says anything.
    pub fn complaint(&self) -> Option<&Complaint> {
        match self {
            Error::Refused { complaint, .. } => Some(complaint),
            Error::At { error, .. } | Error::GaveUp { last: error, .. } => error.complaint(),
            _ => None,
        }
    }

    /// Whether kubectl did not end before the deadline.
    pub fn is_late(&self) -> bool {
        matches!(self, Error::Process(process::Error::Late { .. }))
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Process(error) => error.kind(),
            Error::Refused { complaint, .. } => complaint.kind(),
            // Someone has ended it, perhaps because memory was short.
            Error::Silent { status, .. } if status.code().is_none() => Kind::TempFail,
            Error::Silent { .. } => Kind::Unavailable,
            Error::Answer { reason, .. } => match reason {
                Unreadable::Cut => Kind::TempFail,
                Unreadable::Read(_) => Kind::Io,
                Unreadable::Json(_) | Unreadable::TooLarge | Unreadable::TooMany => Kind::Protocol,
            },
            Error::Watch { .. } => Kind::TempFail,
            Error::At { error, .. } | Error::GaveUp { last: error, .. } => error.kind(),
        }
    }
}

impl From<Cancelled> for Error {
    fn from(cancelled: Cancelled) -> Self {
        Error::Process(cancelled.into())
    }
}

/// kubectl logs in for each call, so no session can end, and it restarts a list that has expired by itself.
impl Retryable for Error {
    fn is_deadline(&self) -> bool {
        self.is_late()
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }

    fn gave_up(after: Duration, last: Box<Self>) -> Self {
        Error::GaveUp { after, last }
    }
}
