//! What can go wrong between us and a server: facts only.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ureq::http::StatusCode;

use super::thumbprint::Thumbprint;
use crate::cancel::Cancelled;
use crate::error::{Classify, Kind};

/// A failed exchange with a server, or settings that can't be used for one.
///
/// The errors say what happened; what to do about it is added by the commands. `server` is the host and port that we spoke to,
/// which are the proxy's if the proxy failed. No variant holds a secret.
///
/// While a body is read, the error travels inside an [`io::Error`]; [`Error::within`] gets it out again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not the address of a server.
    #[error("{text:?} is not a server's address: {reason}")]
    Address {
        /// The text, without user name and password.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The text is not the address of a proxy, or of an unsupported kind of proxy.
    #[error("{origin} is not usable: {reason}")]
    Proxy {
        /// What names the proxy: an option, a key or a variable. Its text is not shown, because it may hold a password.
        origin: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file with certificates or a key, or the folder of a replay, can't be used.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system's store of trusted authorities is empty or unreadable.
    #[error("no trusted authorities were found on this system ({reason})")]
    NoAuthorities {
        /// Where they were looked for, or why they could not be read.
        reason: String,
    },
    /// The request itself is not valid HTTP, which is a defect of ours.
    #[error("{server}: the request can't be sent: {reason}")]
    Request {
        /// The server.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The name has no address.
    #[error("the address of {server} was not found ({reason}); is the name right?")]
    Name {
        /// The server, or the proxy.
        server: String,
        /// What the resolver said.
        reason: String,
    },
    /// No connection was made, or it broke in another way than by its end.
    #[error("{server}: {reason}")]
    Unreachable {
        /// The server, or the proxy.
        server: String,
        /// What the system said.
        reason: String,
    },
    /// One of the time limits was hit.
    #[error("{server}: {limit}")]
    Timeout {
        /// The server, or the proxy.
        server: String,
        /// Which limit.
        limit: Limit,
    },
    /// The server's certificate is not trusted.
    #[error("{server}: its certificate is not trusted: {reason}")]
    Untrusted {
        /// The server.
        server: String,
        /// What is wrong with the certificate.
        flaw: Flaw,
        /// Why.
        reason: String,
        /// The SHA-256 of the certificate that the server showed.
        thumbprint: Thumbprint,
    },
    /// The server requires a client certificate, or does not accept ours.
    #[error("{server}: the server does not accept our certificate: {reason}")]
    ClientCertificate {
        /// The server.
        server: String,
        /// What the server said.
        reason: String,
    },
    /// TLS could not be started, for another reason than trust.
    #[error("{server}: no TLS connection: {reason}")]
    Tls {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// The proxy refused to connect us.
    #[error("the proxy {proxy} answered {}{}", Answered(*status), match (status, user) {
        (407, _) if !wants.is_empty() => {
            format!("; it wants {}, and only Basic authentication is supported", wants.join(", "))
        }
        (407, Some(user)) => format!("; it does not accept the user {user:?} with the given password"),
        _ => String::new(),
    })]
    ProxyRefused {
        /// The proxy's host and port.
        proxy: String,
        /// Its answer.
        status: u16,
        /// The user that we logged in as.
        user: Option<String>,
        /// The ways to log in that it offers, if it does not offer Basic.
        wants: Vec<String>,
    },
    /// The answer to plain HTTP was TLS.
    #[error("{server} speaks TLS on this port{}", if *is_proxy { ", and only proxies without TLS are supported" } else { "" })]
    SpeaksTls {
        /// The server, or the proxy.
        server: String,
        /// Whether it is a proxy.
        is_proxy: bool,
    },
    /// The connection ended before the answer was complete.
    #[error("{server}: the connection ended before the answer was complete{}", match unanswered {
        true => "; does this port speak TLS (https://)?",
        false => "",
    })]
    Cut {
        /// The server.
        server: String,
        /// Nothing at all came back to plain HTTP, as from many servers that speak TLS.
        unanswered: bool,
    },
    /// The answer is not HTTP, or its body is not what its header says.
    #[error("{server}: the answer is not valid HTTP: {reason}")]
    NotHttp {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// The answer is longer than its limit.
    #[error("{server}: the answer is longer than {limit} bytes")]
    TooLarge {
        /// The server.
        server: String,
        /// The limit in bytes, after decompression.
        limit: u64,
    },
    /// The server redirects. Redirects are not followed, because credentials go only where the user sent them.
    #[error("{server}: answered {} to {location}", Answered(*status))]
    Redirect {
        /// The server.
        server: String,
        /// The status.
        status: u16,
        /// The new URL, without user name and query.
        location: String,
    },
    /// The server answered with an unexpected status.
    #[error("{server}: answered {}{}{message}{}", Answered(*status), if message.is_empty() { "" } else { ": " }, Asked(*retry_after))]
    Status {
        /// The server.
        server: String,
        /// The status.
        status: u16,
        /// What the server said about it, in one line; empty if nothing.
        message: String,
        /// How long the server asks us to wait.
        retry_after: Option<Duration>,
    },
    /// An exchange can't be saved.
    #[error("writing the trace {}: {reason}", path.display())]
    Trace {
        /// The folder, or the file in it.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An exchange that was saved can't be read again.
    #[error("replaying the trace {}: {reason}", path.display())]
    Replay {
        /// The folder, or the file in it.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An exchange of a trace failed when it was recorded.
    #[error("{}: it failed when it was recorded: {reason}", path.display())]
    Recorded {
        /// The file that says so.
        path: PathBuf,
        /// What went wrong.
        reason: String,
        /// Whether the command started again when it was recorded, as the replay has to.
        started_again: bool,
    },
    /// A signal came.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Error {
    /// The error that an [`io::Error`] from a [`Body`](super::Body) carries.
    pub fn within(error: &io::Error) -> Option<&Error> {
        error.get_ref()?.downcast_ref()
    }

    /// This type's error in a chain of errors, boxed or not.
    pub fn of<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
        let boxed = || cause.downcast_ref::<Box<Error>>().map(|error| &**error);
        cause.downcast_ref().or_else(boxed)
    }

    /// Whether the deadline of the whole work has passed.
    pub fn is_deadline(&self) -> bool {
        let limit = Limit::Deadline;
        matches!(self, Error::Timeout { limit: own, .. } if *own == limit)
    }

    /// How long the server asked us to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Address { .. }
            | Error::Proxy { .. }
            | Error::File { .. }
            | Error::NoAuthorities { .. } => Kind::Config,
            Error::Trace { .. } => Kind::Io,
            Error::Recorded {
                started_again: true, ..
            } => Kind::TempFail,
            Error::Replay { .. } | Error::Recorded { .. } => Kind::Data,
            Error::Request { .. } => Kind::Software,
            Error::Name { .. } | Error::Unreachable { .. } | Error::Timeout { .. } | Error::Cut { .. } => {
                Kind::TempFail
            }
            Error::Untrusted { .. } | Error::ClientCertificate { .. } => Kind::NoPerm,
            Error::Tls { .. }
            | Error::SpeaksTls { .. }
            | Error::NotHttp { .. }
            | Error::TooLarge { .. }
            | Error::Redirect { .. } => Kind::Protocol,
            Error::Status { status, .. } | Error::ProxyRefused { status, .. } => match status {
                401 | 403 | 407 | 410 => Kind::NoPerm,
                404 => Kind::Unavailable,
                429 | 500 | 502..=504 => Kind::TempFail,
                _ => Kind::Protocol,
            },
            Error::Cancelled(cancelled) => cancelled.kind(),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::other(error)
    }
}

/// Our error inside ureq's, from within the transports that ureq calls.
impl From<Error> for ureq::Error {
    fn from(error: Error) -> Self {
        ureq::Error::Other(Box::new(error))
    }
}

/// What is wrong with a certificate that is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// No trusted authority has signed it.
    Issuer,
    /// It is for another name.
    Name,
    /// It has expired, or is not valid yet.
    Date,
    /// Its thumbprint is not the given one.
    Thumbprint,
    /// Something else.
    Other,
}

/// A limit in time, and how long it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Finding the address, or connecting, including TLS and the proxy.
    Connect(Duration),
    /// There is a connection, but TLS did not start on it.
    Tls(Duration),
    /// Nothing was received or nothing could be sent for so long.
    Silence(Duration),
    /// The deadline of the whole work.
    Deadline,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Connect(limit) => write!(f, "no connection within {} s", crate::text::seconds(*limit)),
            Limit::Tls(limit) => write!(
                f,
                "no TLS connection within {} s; does this port speak TLS, or plain HTTP (http://)?",
                crate::text::seconds(*limit)
            ),
            Limit::Silence(limit) => {
                write!(f, "the server was silent for {} s", crate::text::seconds(*limit))
            }
            Limit::Deadline => f.write_str("not done within the time limit"),
        }
    }
}

/// How long the server asks us to wait.
struct Asked(Option<Duration>);

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|wait| wait.as_secs()) {
            Some(seconds @ 1..) => write!(f, " (the server asks to wait {seconds} s)"),
            _ => Ok(()),
        }
    }
}

/// A status with its reason phrase: `503 Service Unavailable`.
struct Answered(u16);

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phrase = StatusCode::from_u16(self.0)
            .ok()
            .and_then(|s| s.canonical_reason());
        match phrase {
            Some(phrase) => write!(f, "{} {phrase}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}
