//! What can go wrong between us and a server.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ureq::http::StatusCode;

use super::tls::{Flaw, Thumbprint};
use crate::cancel::Cancelled;
use crate::error::{Classify, Kind};

/// A failed exchange with a server, or settings that can't be used for one.
///
/// `server` is always the host and port that were spoken to, a proxy's where the proxy failed. No variant holds a secret.
/// While a body is read the error travels inside an [`io::Error`]; [`Error::within`] gets it out again.
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
    /// The text is not the address of a proxy, or of a kind of proxy that is not spoken.
    #[error("{origin} is not usable: {reason}")]
    Proxy {
        /// Where the proxy was named: an option, a key or a variable. The text itself could hold a password.
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
    #[error("no trusted authorities were found on this system ({reason}); name a file of them with --cacert")]
    NoAuthorities {
        /// Where they were looked for, or why they could not be read.
        reason: String,
    },
    /// The request itself is not valid HTTP: a defect of ours.
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
    /// No connection was made, or it broke for another reason than its end.
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
    #[error("{server}: its certificate is not trusted: {reason}; {}--thumbprint {thumbprint}", advice(*flaw))]
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
    /// The server wants a certificate of ours, or does not accept the one that it got.
    #[error("{server}: the server does not accept our certificate: {reason}")]
    ClientCertificate {
        /// The server.
        server: String,
        /// What the server said.
        reason: String,
    },
    /// TLS could not be started for another reason than trust.
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
        (407, None) => "; give its URL with a user name, http://USER@HOST:PORT, and --proxy-password-file".to_owned(),
        _ => String::new(),
    })]
    ProxyRefused {
        /// The proxy's host and port.
        proxy: String,
        /// Its answer.
        status: u16,
        /// Who we said to be.
        user: Option<String>,
        /// The ways to log in that it offers, if it does not offer Basic.
        wants: Vec<String>,
    },
    /// TLS came where plain HTTP is spoken.
    #[error("{server} speaks TLS on this port: {advice}")]
    SpeaksTls {
        /// The server, or the proxy.
        server: String,
        /// What to do.
        advice: &'static str,
    },
    /// The connection ended before the answer was complete.
    #[error("{server}: the connection ended before the answer was complete{}", match unanswered {
        true => "; does this port speak TLS (https://)?",
        false => "",
    })]
    Cut {
        /// The server.
        server: String,
        /// Plain HTTP was spoken, and not a single byte came back. Many servers do so that speak TLS.
        unanswered: bool,
    },
    /// What came is not HTTP, or not what its header promised.
    #[error("{server}: the answer is not valid HTTP: {reason}")]
    NotHttp {
        /// The server.
        server: String,
        /// Why.
        reason: String,
    },
    /// The answer is longer than what was asked for can be.
    #[error("{server}: the answer is longer than {limit} bytes")]
    TooLarge {
        /// The server.
        server: String,
        /// The limit that it passed, after decompression.
        limit: u64,
    },
    /// The server points elsewhere. It is not followed: credentials go only where the user sent them.
    #[error("{server}: answered {} to {location}; if that is right, use it as the server's address (--server)", Answered(*status))]
    Redirect {
        /// The server.
        server: String,
        /// The status.
        status: u16,
        /// The new place, without user name and query.
        location: String,
    },
    /// The server answered with a status that was not wanted.
    #[error("{server}: answered {}{}{message}{}", Answered(*status), if message.is_empty() { "" } else { ": " }, Asked(*retry_after))]
    Status {
        /// The server.
        server: String,
        /// The status.
        status: u16,
        /// What the server said about it, in one line; may be empty.
        message: String,
        /// How long the server asks us to wait.
        retry_after: Option<Duration>,
    },
    /// An exchange can't be saved (`--trace`).
    #[error("--trace {}: {reason}", path.display())]
    Trace {
        /// The folder, or the file in it.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An exchange that was saved can't be read again (`--replay`).
    #[error("--replay {}: {reason}", path.display())]
    Replay {
        /// The folder, or the file in it.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An exchange of a trace failed when it was recorded.
    #[error("{}: it failed when it was recorded: {reason}", path.display())]
    Recorded {
        /// The file that tells it.
        path: PathBuf,
        /// What went wrong.
        reason: String,
        /// Whether what was recorded then began anew, as the replay has to.
        began_anew: bool,
    },
    /// A signal came.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Error {
    /// The error of this room that an [`io::Error`] from a [`Body`](super::Body) carries.
    pub fn within(error: &io::Error) -> Option<&Error> {
        error.get_ref()?.downcast_ref()
    }

    /// The error of this room that a link of a chain of errors is, boxed or not.
    pub fn of<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
        let boxed = || cause.downcast_ref::<Box<Error>>().map(|error| &**error);
        cause.downcast_ref().or_else(boxed)
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
            Error::Recorded { began_anew: true, .. } => Kind::TempFail,
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

/// What to do about a certificate that is not trusted; the option for its thumbprint follows. An authority's file is no help
/// against a wrong name or date.
fn advice(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Issuer => {
            "if it is the right server, pass its authority with --cacert FILE or this certificate with "
        }
        Flaw::Name => {
            "give the server's address as a name in its certificate, or, if it is the right server, pass "
        }
        Flaw::Date => "check the clock, renew the certificate, or, if it is the right server, pass ",
        Flaw::Thumbprint => {
            "if the server has got a new certificate, compare it with what the server's administrator sees, and pass "
        }
        Flaw::Other => "if it is the right server, pass ",
    }
}

/// A limit in time, and how long it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Finding the address, or connecting, TLS and proxy included.
    Connect(Duration),
    /// There is a connection, but TLS could not be started on it.
    Tls(Duration),
    /// Nothing was received, or nothing could be sent.
    Silence(Duration),
    /// The whole work's deadline (`--timeout`).
    Deadline,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Connect(limit) => write!(f, "no connection within {} s", limit.as_secs_f32()),
            Limit::Tls(limit) => write!(
                f,
                "no TLS connection within {} s; does this port speak TLS, or plain HTTP (http://)?",
                limit.as_secs_f32()
            ),
            Limit::Silence(limit) => write!(f, "the server was silent for {} s", limit.as_secs_f32()),
            Limit::Deadline => f.write_str("not done within the time limit (see --timeout)"),
        }
    }
}

/// What the server asks for beside its status.
struct Asked(Option<Duration>);

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(|wait| wait.as_secs()) {
            Some(seconds @ 1..) => write!(f, " (the server asks to wait {seconds} s)"),
            _ => Ok(()),
        }
    }
}

/// A status as people know it: `503 Service Unavailable`.
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
