//! What can go wrong with an engine.

use std::time::Duration;

use crate::cancel::Cancelled;
use crate::error::{Classify, Kind};
use crate::http;
use crate::retry::Retryable;

/// What is asked for first.
pub(super) const ABOUT: &str = "the description of the API";

/// Why an engine was not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings of the connection can't be used, or a signal came.
    #[error(transparent)]
    Connection(#[from] http::Error),
    /// The engine does not accept the account.
    #[error("login to {server} as {user:?} failed")]
    Login {
        /// The engine.
        server: String,
        /// The user.
        user: String,
        /// The engine's answer.
        source: Box<http::Error>,
    },
    /// A request failed.
    #[error("reading {what}")]
    Request {
        /// What was asked for, such as `the hosts`.
        what: &'static str,
        /// Why.
        source: Box<http::Error>,
    },
    /// An answer is not what the API promises.
    #[error("{server}: the answer with {what} is not the oVirt API's: {reason}")]
    Answer {
        /// The engine.
        server: String,
        /// What was asked for.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The lists changed as often as they were read.
    #[error(
        "{server}: hosts or virtual machines came or went each of the {times} times that they were listed"
    )]
    Changing {
        /// The engine.
        server: String,
        /// How often they were listed.
        times: usize,
    },
    /// Retries did not help.
    #[error("gave up after {} s: last error", crate::text::seconds(*after))]
    GaveUp {
        /// The time since the first attempt.
        after: Duration,
        /// The last failure.
        #[source]
        last: Box<Error>,
    },
}

impl Error {
    /// Whether the account lacks a right.
    pub fn is_about_rights(&self) -> bool {
        matches!(self, Error::Request { source, .. } if is_about_rights(source))
    }

    /// Whether something else than an engine answered. Who describes the API is an engine.
    pub fn is_about_another_service(&self) -> bool {
        match self {
            Error::Answer { what, .. } => *what == ABOUT,
            Error::Request { source, .. } => matches!(**source, http::Error::Status { status: 404, .. }),
            _ => false,
        }
    }

    /// The failed exchange, if it is one.
    pub fn exchange(&self) -> Option<&http::Error> {
        match self {
            Error::Connection(error) => Some(error),
            Error::Login { source, .. } | Error::Request { source, .. } => Some(source),
            Error::GaveUp { last, .. } => last.exchange(),
            Error::Answer { .. } | Error::Changing { .. } => None,
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Connection(error) => error.kind(),
            Error::Login { source, .. } => source.kind(),
            Error::Request { source, .. } => match &**source {
                // The server is there, but not the API: another path, or another service.
                http::Error::Status { status: 404, .. } => Kind::Protocol,
                refusal if is_about_rights(refusal) => Kind::NoPerm,
                other => other.kind(),
            },
            Error::Answer { .. } => Kind::Protocol,
            Error::Changing { .. } => Kind::TempFail,
            Error::GaveUp { last, .. } => last.kind(),
        }
    }
}

/// Whether the account may not read what was asked for. The status of this refusal is not documented, but its words are the engine's.
fn is_about_rights(error: &http::Error) -> bool {
    match error {
        http::Error::Status { status: 403, .. } => true,
        http::Error::Status { message, .. } => message.contains("insufficient permissions"),
        _ => false,
    }
}

impl From<Cancelled> for Error {
    fn from(cancelled: Cancelled) -> Self {
        Error::Connection(cancelled.into())
    }
}

/// There are no sessions: each request logs in.
impl Retryable for Error {
    fn is_deadline(&self) -> bool {
        self.exchange().is_some_and(http::Error::is_deadline)
    }

    fn retry_after(&self) -> Option<Duration> {
        self.exchange()?.retry_after()
    }

    fn gave_up(after: Duration, last: Box<Self>) -> Self {
        Error::GaveUp { after, last }
    }
}
