//! The server of a connection, its limits, and its errors.

use std::io;
use std::time::{Duration, Instant};

use ureq::Timeout;

use super::{Error, Limit};
use crate::cancel::Cancel;
use crate::text;

/// A server with the limits that apply to each exchange with it.
#[derive(Clone)]
pub(super) struct Link {
    /// Host and port, for messages.
    pub(super) server: String,
    pub(super) cancel: Cancel,
    /// See [`Endpoint`](super::Endpoint) for the three limits.
    pub(super) connect_limit: Duration,
    pub(super) silence_limit: Duration,
    pub(super) deadline: Option<Instant>,
}

impl Link {
    /// Fails if a signal has come or no time is left.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.cancel.check()?;
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => Err(Error::Timeout {
                server: self.server.clone(),
                limit: Limit::Deadline,
            }),
            _ => Ok(()),
        }
    }

    /// Our error for one of ureq's.
    pub(super) fn failed(&self, error: ureq::Error) -> Error {
        if let Err(cancelled) = self.cancel.check() {
            return cancelled.into();
        }
        self.failed_at(self.server.clone(), error)
    }

    /// Our error for what happened between us and `peer`: the server, or the proxy before it.
    pub(super) fn failed_at(&self, peer: String, error: ureq::Error) -> Error {
        let limit = |server, limit| Error::Timeout { server, limit };
        match error {
            ureq::Error::Other(other) => match other.downcast::<Error>() {
                Ok(error) => *error,
                Err(other) => Error::NotHttp {
                    server: peer,
                    reason: other.to_string(),
                },
            },
            ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
                limit(peer, Limit::Silence(self.silence_limit))
            }
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                limit(peer, Limit::Connect(self.connect_limit))
            }
            ureq::Error::Timeout(_) => limit(peer, Limit::Deadline),
            ureq::Error::Io(error) | ureq::Error::Decompress(_, error) if is_cut(&error) => Error::Cut {
                server: peer,
                unanswered: false,
            },
            ureq::Error::Io(error) => unreachable(peer, &error),
            ureq::Error::BodyExceedsLimit(limit) => Error::TooLarge { server: peer, limit },
            error @ (ureq::Error::Http(_) | ureq::Error::BadUri(_)) => Error::Request {
                server: peer,
                reason: error.to_string(),
            },
            error => Error::NotHttp {
                server: peer,
                reason: error.to_string(),
            },
        }
    }

    /// Our error for one of reading a body, which may carry one of ours already.
    pub(super) fn failed_reading(&self, error: io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => self.failed(error.into()),
        }
    }
}

/// Whether the other side ended the connection.
pub(super) fn is_cut(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// A connection that was not made, or broke.
pub(super) fn unreachable(server: String, error: &io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused; is the server running and the port right?".to_owned()
        }
        _ => text::reason(error),
    };
    Error::Unreachable { server, reason }
}
