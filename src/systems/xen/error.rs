//! What can go wrong between us and a pool.

use std::fmt;
use std::io::BufRead;
use std::time::Duration;

use crate::cancel::Cancelled;
use crate::error::{Classify, Kind};
use crate::http;
use crate::retry::Retryable;
use crate::text;
use crate::xml;
use crate::xmlrpc::{self, Fault, Value};

/// The most parameters of a refusal that are kept, and the most characters of each.
const PARAMETERS: usize = 4;
const LONGEST_PARAMETER: usize = 200;

/// The name of the first call.
pub(super) const LOGIN: &str = "session.login_with_password";

/// A failed call, or an invalid answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection can't be set up as the endpoint says.
    #[error("connecting to the pool")]
    Connection(#[source] http::Error),
    /// The exchange of request and answer failed.
    #[error("{call}")]
    Exchange {
        /// The method that was called.
        call: &'static str,
        /// What happened.
        source: http::Error,
    },
    /// XML-RPC can't carry the user name or the password.
    #[error("the user name or the password can't be sent")]
    Unsendable(#[source] xmlrpc::Error),
    /// The answer is not one to an XML-RPC call.
    #[error("{server}: the answer to {call}")]
    Answer {
        /// The server, host and port.
        server: String,
        /// The method that was called.
        call: &'static str,
        /// What is wrong with the answer.
        source: xmlrpc::Error,
    },
    /// The answer is well-formed, but not what the method returns.
    #[error("{server}: the answer to {call} has no {missing}")]
    Incomplete {
        /// The server, host and port.
        server: String,
        /// The method that was called.
        call: &'static str,
        /// What the answer lacks.
        missing: &'static str,
    },
    /// The server does not know XenAPI's calls, because it answered with an XML-RPC fault.
    #[error("{server}: {call}: {fault}")]
    Fault {
        /// The server, host and port.
        server: String,
        /// The method that was called.
        call: &'static str,
        /// What the server says.
        fault: Fault,
    },
    /// The server does not accept user name and password.
    #[error("login to {server} as {user:?} failed: wrong user name or password; the server says {refusal}")]
    Login {
        /// The server, host and port.
        server: String,
        /// The user name that was refused.
        user: String,
        /// How the server refused it.
        refusal: Refusal,
    },
    /// The server refused the call.
    #[error("{server} refused {call}: {refusal}{}", refusal.meaning())]
    Refused {
        /// The server, host and port.
        server: String,
        /// The method that was called.
        call: &'static str,
        /// The server's reason.
        refusal: Refusal,
    },
    /// The login at the coordinator that a member of the pool named failed.
    #[error("{member} is a member of a pool and names {coordinator:?} as its coordinator")]
    Coordinator {
        /// The server that was asked first, host and port.
        member: String,
        /// The coordinator's address, as the member wrote it.
        coordinator: String,
        /// What happened there.
        source: Box<Error>,
    },
    /// The address of the coordinator is invalid.
    #[error("the coordinator's address")]
    Address(#[source] http::Error),
    /// A temporary failure lasted too long.
    #[error("gave up after {} s: last error", text::seconds(*after))]
    GaveUp {
        /// How long it was tried.
        after: Duration,
        /// What went wrong the last time.
        source: Box<Error>,
    },
    /// A signal came.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Error {
    /// The server's reason, if it refused a call.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Error::Login { refusal, .. } | Error::Refused { refusal, .. } => Some(refusal),
            Error::Coordinator { source, .. } | Error::GaveUp { source, .. } => source.refusal(),
            _ => None,
        }
    }

    /// Whether something else than XenAPI answered. Who accepts a login has XenAPI.
    pub fn is_about_another_service(&self) -> bool {
        match self {
            Error::Answer { call, .. } | Error::Incomplete { call, .. } | Error::Fault { call, .. } => {
                *call == LOGIN && self.kind() == Kind::Protocol
            }
            Error::Exchange { source, .. } => matches!(
                source,
                http::Error::Status {
                    status: 404 | 405,
                    ..
                }
            ),
            Error::Coordinator { source, .. } | Error::GaveUp { source, .. } => {
                source.is_about_another_service()
            }
            _ => false,
        }
    }

    /// Whether the server refused a call with this code.
    pub(super) fn is_refusal(&self, code: &str) -> bool {
        matches!(self, Error::Refused { refusal, .. } if refusal.code == code)
    }

    /// The error of an exchange that failed.
    pub(super) fn of_exchange(call: &'static str, source: http::Error) -> Self {
        match source {
            http::Error::Cancelled(cancelled) => Error::Cancelled(cancelled),
            source => Error::Exchange { call, source },
        }
    }

    /// The error of an answer that can't be read. If the connection broke, its own error says more than that of the XML.
    pub(super) fn of_answer(server: String, call: &'static str, source: xmlrpc::Error) -> Self {
        let broken = match &source {
            xmlrpc::Error::Unreadable(xml::Error::Read(error)) => http::Error::within(error),
            _ => None,
        };
        match broken.cloned() {
            Some(source) => Error::of_exchange(call, source),
            None => Error::Answer { server, call, source },
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            // No server of this kind has no such path.
            Error::Exchange {
                source: http::Error::Status { status: 404, .. },
                ..
            } => Kind::Protocol,
            Error::Connection(source) | Error::Exchange { source, .. } => source.kind(),
            // The configuration names both.
            Error::Unsendable(_) => Kind::Config,
            Error::Answer { source, .. } => match source {
                xmlrpc::Error::Unreadable(error) => error.kind(),
                other => other.kind(),
            },
            Error::Incomplete { .. } | Error::Fault { .. } | Error::Address(_) => Kind::Protocol,
            Error::Login { .. } => Kind::NoPerm,
            Error::Refused { refusal, .. } => refusal.kind(),
            Error::Coordinator { source, .. } | Error::GaveUp { source, .. } => source.kind(),
            Error::Cancelled(cancelled) => cancelled.kind(),
        }
    }
}

impl Retryable for Error {
    /// A session ends after 24 hours without a call, when the server restarts, and when it has too many of them.
    fn is_end_of_session(&self) -> bool {
        self.is_refusal(Refusal::SESSION_INVALID)
    }

    fn is_deadline(&self) -> bool {
        match self {
            Error::Exchange { source, .. } => source.is_deadline(),
            Error::Coordinator { source, .. } => source.is_deadline(),
            _ => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Exchange { source, .. } => source.retry_after(),
            Error::Coordinator { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    fn gave_up(after: Duration, source: Box<Self>) -> Self {
        Error::GaveUp { after, source }
    }
}

/// Why a server refused a call: an `ErrorDescription`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The code, such as `SESSION_INVALID`.
    pub code: String,
    /// What it is about, the first few; what each means depends on the code.
    pub parameters: Vec<String>,
}

impl Refusal {
    /// Wrong user name or password.
    pub const AUTHENTICATION_FAILED: &str = "SESSION_AUTHENTICATION_FAILED";
    /// The session has ended.
    pub const SESSION_INVALID: &str = "SESSION_INVALID";
    /// The server is a pool member. The parameter is the coordinator's address.
    pub const HOST_IS_SLAVE: &str = "HOST_IS_SLAVE";
    /// The account's role does not allow the call.
    pub const PERMISSION_DENIED: &str = "RBAC_PERMISSION_DENIED";

    /// Reads an `ErrorDescription`. `hide` removes secrets: a server repeats the session's reference.
    pub(super) fn read<R: BufRead>(
        value: Value<'_, R>,
        hide: impl Fn(&str) -> String,
    ) -> Result<Self, xml::Error> {
        let mut words = Vec::new();
        value.elements(|element| {
            if words.len() > PARAMETERS {
                return element.skip();
            }
            let word = element.read()?.into_text().unwrap_or_default();
            words.push(text::first_line(&hide(&word), LONGEST_PARAMETER));
            Ok(())
        })?;
        let mut words = words.into_iter();
        Ok(Refusal {
            code: words.next().unwrap_or_default(),
            parameters: words.collect(),
        })
    }

    /// What the code means, if its name does not say it.
    fn meaning(&self) -> &'static str {
        match self.code.as_str() {
            Refusal::SESSION_INVALID => "; the session ended",
            Refusal::HOST_IS_SLAVE => "; the server is not the pool's coordinator",
            "HOST_STILL_BOOTING" => "; its services are starting",
            _ => "",
        }
    }

    fn kind(&self) -> Kind {
        match self.code.as_str() {
            Refusal::AUTHENTICATION_FAILED | Refusal::PERMISSION_DENIED => Kind::NoPerm,
            Refusal::SESSION_INVALID
            | "HOST_STILL_BOOTING"
            | "HOST_OFFLINE"
            | "HOST_HAS_NO_MANAGEMENT_IP"
            | "TOO_BUSY"
            | "TOO_MANY_PENDING_TASKS" => Kind::TempFail,
            _ => Kind::Unavailable,
        }
    }
}

/// The code, then the parameters in parentheses.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        match self.parameters.as_slice() {
            [] => Ok(()),
            parameters => write!(f, " ({})", parameters.join(", ")),
        }
    }
}
