//! What can go wrong between us and a vSphere server.

use std::fmt;
use std::time::Duration;

use super::{NOT_AUTHENTICATED, NOT_FOUND};
use crate::error::{Classify, Kind};
use crate::{http, xml};

/// A failed call, or an invalid answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The exchange with the server failed.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The server's answer is unreadable XML.
    #[error("the answer to {method}")]
    Answer {
        /// The method that was called.
        method: &'static str,
        /// What is wrong with the answer.
        #[source]
        error: xml::Error,
    },
    /// Something else than the vSphere API answered.
    #[error("the answer to {method} is {found}, not the vSphere API's")]
    NotSoap {
        /// The method that was called.
        method: &'static str,
        /// What came instead.
        found: String,
    },
    /// A mandatory part of the answer is missing.
    #[error("the answer to {method} lacks {what}")]
    Incomplete {
        /// The method that was called.
        method: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The server refused the login.
    #[error(
        "login to {server} as {user:?} failed: {}; the server says {fault}",
        fault.refusal()
    )]
    Login {
        /// The server, host and port.
        server: String,
        /// The user name that was refused.
        user: String,
        /// How the server refused it.
        fault: Fault,
    },
    /// The server sent more than any inventory can have.
    #[error("the answer to {method} never ends: {what}")]
    Endless {
        /// The method that was called.
        method: &'static str,
        /// How much had come when the reading stopped.
        what: String,
    },
    /// Names the server of an error whose own text does not.
    #[error("{server}")]
    At {
        /// The server, host and port.
        server: String,
        /// What happened there.
        #[source]
        error: Box<Error>,
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
    /// The server refused the call.
    #[error("{method} was refused: {fault}{}", fault.meaning())]
    Fault {
        /// The method that was called.
        method: &'static str,
        /// The server's fault.
        fault: Fault,
    },
}

impl Error {
    /// This error with the server's name in its text.
    pub(super) fn at(self, server: String) -> Self {
        match self {
            Error::Http(_) | Error::Login { .. } | Error::At { .. } => self,
            Error::GaveUp { after, last } => Error::GaveUp {
                after,
                last: Box::new(last.at(server)),
            },
            error => Error::At {
                server,
                error: Box::new(error),
            },
        }
    }

    /// Whether this is the fault of this type, with the server's name or without.
    pub(super) fn is_fault(&self, kind: &str) -> bool {
        match self {
            Error::At { error, .. } => error.is_fault(kind),
            Error::Fault { fault, .. } => fault.kind == kind,
            _ => false,
        }
    }

    /// Whether the server refused the login. A repeated one may lock the account.
    pub fn is_login_refused(&self) -> bool {
        match self {
            Error::At { error, .. } | Error::GaveUp { last: error, .. } => error.is_login_refused(),
            error => matches!(error, Error::Login { .. }),
        }
    }

    /// Whether the server refused a call because the account lacks a privilege.
    pub fn is_without_permission(&self) -> bool {
        self.is_fault(Fault::NO_PERMISSION)
    }

    /// A fault that the server reported inside an answer.
    pub(super) fn of_fault(method: &'static str, kind: String) -> Self {
        let text = String::new();
        let fault = Fault { kind, text };
        Error::Fault { method, fault }
    }

    /// An error from reading an answer. If the connection broke, its error says more than that of the XML.
    pub(super) fn of_answer(method: &'static str, error: xml::Error) -> Self {
        let not_soap = |found: &str| Error::NotSoap {
            method,
            found: found.to_owned(),
        };
        match &error {
            xml::Error::Read(io) => match http::Error::within(io) {
                Some(http) => Error::Http(http.clone()),
                None => Error::Answer { method, error },
            },
            xml::Error::Html => not_soap("a web page"),
            xml::Error::Json => not_soap("JSON"),
            xml::Error::Text => not_soap("plain text"),
            _ => Error::Answer { method, error },
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Http(error) => error.kind(),
            Error::Answer { error, .. } => error.kind(),
            Error::NotSoap { .. } | Error::Incomplete { .. } | Error::Endless { .. } => Kind::Protocol,
            Error::Login { .. } => Kind::NoPerm,
            Error::At { error, .. } => error.kind(),
            Error::GaveUp { last, .. } => last.kind(),
            Error::Fault { fault, .. } => fault.error_kind(),
        }
    }
}

/// A fault of the API. It displays as its type and the server's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// The fault's type, such as `InvalidLogin`.
    pub kind: String,
    /// What the server says about it; may be empty.
    pub text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        match &*self.text {
            "" => Ok(()),
            text => write!(f, ": {text}"),
        }
    }
}

/// Why a server refused a login, as far as it says.
///
/// Many servers do not say whether the user name or the password is wrong, so that nobody learns which accounts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The account is locked, usually for some minutes.
    Locked,
    /// The account or its password has expired.
    Expired,
    /// An administrator has disabled the account.
    Disabled,
    /// The account has no role on the server.
    NoRole,
    /// The user name or the password is wrong.
    Credentials,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Locked => "the account is locked",
            Refusal::Expired => "the account or its password has expired",
            Refusal::Disabled => "the account is disabled",
            Refusal::NoRole => "the account may not log in",
            Refusal::Credentials => "wrong user name or password",
        })
    }
}

impl Fault {
    /// The type of the fault of a missing privilege.
    pub const NO_PERMISSION: &str = "NoPermission";

    /// The kind of failure that this fault is.
    pub(super) fn error_kind(&self) -> Kind {
        match self.kind.as_str() {
            "InvalidLogin" | Fault::NO_PERMISSION | "RestrictedByAdministrator" | "PasswordExpired" => {
                Kind::NoPerm
            }
            NOT_AUTHENTICATED | NOT_FOUND | "ServerNotReady" | "HostCommunication" | "HostNotReachable"
            | "Timedout" => Kind::TempFail,
            _ => Kind::Unavailable,
        }
    }

    /// Why a login was refused with this fault: servers say it by the fault's type or in its text.
    pub fn refusal(&self) -> Refusal {
        let words = self.to_string().to_lowercase();
        if words.contains("locked") {
            Refusal::Locked
        } else if words.contains("expired") {
            Refusal::Expired
        } else if words.contains("disabled") {
            Refusal::Disabled
        } else if self.kind == Fault::NO_PERMISSION {
            Refusal::NoRole
        } else {
            Refusal::Credentials
        }
    }

    /// What the fault's type means, for types whose name does not say it.
    fn meaning(&self) -> &'static str {
        match self.kind.as_str() {
            NOT_AUTHENTICATED => "; the session ended",
            NOT_FOUND => "; an object was deleted while it was read",
            _ => "",
        }
    }
}
