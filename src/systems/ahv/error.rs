//! What can go wrong between us and a Prism.

use std::time::Duration;

use super::Api;
use super::list::{Flaw, List};
use crate::cancel::Cancelled;
use crate::error::{Classify, Kind};
use crate::http;
use crate::retry::Retryable;

/// A failed request, or an invalid answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection can't be set up.
    #[error("connecting to Prism")]
    Connection(#[source] Box<http::Error>),
    /// The exchange with the server failed.
    #[error("reading the {list}")]
    Exchange {
        /// What was to be read.
        list: List,
        /// What happened.
        #[source]
        source: Box<http::Error>,
    },
    /// A signal came.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// 401: the server refused the login.
    #[error("login to {server} as {user:?} failed: wrong user name or password")]
    Login {
        /// The server, host and port.
        server: String,
        /// The user name that was refused.
        user: String,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// 403: the user may not read a list.
    #[error("{user:?} may not read the {list}")]
    Forbidden {
        /// The user name.
        user: String,
        /// What was to be read.
        list: List,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// 404 or 405: the server does not have the API.
    #[error("there are no {list} of {api}")]
    NotFound {
        /// What was to be read.
        list: List,
        /// The API that the server does not have.
        api: Api,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// A list can't be used.
    #[error("{server}: the list of {list} {flaw}")]
    List {
        /// The server, host and port.
        server: String,
        /// The list.
        list: List,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// A temporary failure lasted too long.
    #[error("gave up after {} s: last error", crate::text::seconds(*after))]
    GaveUp {
        /// How long it was tried.
        after: Duration,
        /// What went wrong the last time.
        #[source]
        last: Box<Error>,
    },
}

impl Error {
    /// The failed exchange, unless it has a variant of its own.
    fn exchange(&self) -> Option<&http::Error> {
        match self {
            Error::Connection(source) | Error::Exchange { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Connection(source) | Error::Exchange { source, .. } => source.kind(),
            Error::Cancelled(cancelled) => cancelled.kind(),
            Error::Login { .. } | Error::Forbidden { .. } => Kind::NoPerm,
            Error::NotFound { .. } => Kind::Protocol,
            Error::List { flaw, .. } => match flaw {
                Flaw::Invalid(_) | Flaw::Page | Flaw::NoTotal | Flaw::Endless(_) | Flaw::TooLarge => {
                    Kind::Protocol
                }
                Flaw::Changed => Kind::TempFail,
            },
            Error::GaveUp { last, .. } => last.kind(),
        }
    }
}

/// There are no sessions: each request carries the credentials.
impl Retryable for Error {
    fn is_vanished(&self) -> bool {
        matches!(
            self,
            Error::List {
                flaw: Flaw::Changed,
                ..
            }
        )
    }

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
