//! Which errors of the API are temporary.

use std::time::Duration;

use super::{Error, NOT_AUTHENTICATED, NOT_FOUND};
use crate::cancel::{Cancel, Cancelled};
use crate::http::Endpoint;
use crate::retry::{Patience, Retryable};

/// Repeats an attempt, which logs in for itself, as [`crate::retry::retry`] does. Its errors name the server.
pub fn retry<T>(
    endpoint: &Endpoint,
    patience: Patience,
    cancel: &Cancel,
    mut attempt: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    crate::retry::retry(endpoint.deadline, patience, cancel, || {
        attempt().map_err(|error| error.at(endpoint.base.authority()))
    })
}

impl From<Cancelled> for Error {
    fn from(cancelled: Cancelled) -> Self {
        Error::Http(cancelled.into())
    }
}

impl Retryable for Error {
    /// A session ends after half an hour without a call, or when the server restarts.
    fn is_end_of_session(&self) -> bool {
        self.is_fault(NOT_AUTHENTICATED)
    }

    fn is_vanished(&self) -> bool {
        self.is_fault(NOT_FOUND)
    }

    fn is_deadline(&self) -> bool {
        matches!(self, Error::Http(error) if error.is_deadline())
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Http(error) => error.retry_after(),
            _ => None,
        }
    }

    fn gave_up(after: Duration, last: Box<Self>) -> Self {
        Error::GaveUp { after, last }
    }
}
