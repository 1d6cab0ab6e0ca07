//! The vSphere Web Services API, as ESX and ESXi hosts and vCenter speak it: sessions, and the scan of an inventory.

mod inventory;
mod names;
mod property;
mod retry;
mod rounds;
mod session;
mod soap;
mod update;
mod uri;
mod watch;

use std::fmt;
use std::io::BufRead;
use std::time::{Duration, Instant};

pub use inventory::{HypervisorId, Identified, Inventory, UnknownHypervisorId};
pub use retry::{Patience, retry};
pub use session::{About, Credentials, Session};
pub use uri::Address;
pub use watch::{Nudge, Occasion, Pace, Watched, watch};

use crate::error::{Classify, Kind};
use crate::{http, xml};

/// The fault of an object that was deleted.
const NOT_FOUND: &str = "ManagedObjectNotFound";

/// The fault of a call without a session.
const NOT_AUTHENTICATED: &str = "NotAuthenticated";

/// A managed object reference: what the API calls an object of the server by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ManagedObject {
    /// The type, such as `Folder`.
    pub kind: String,
    /// The managed object id, such as `group-d1`.
    pub id: String,
}

impl ManagedObject {
    /// The reference as an XML element of this name.
    fn element(&self, name: &str) -> String {
        format!(
            "<{name} type=\"{}\">{}</{name}>",
            xml::escape(&self.kind),
            xml::escape(&self.id)
        )
    }

    /// Reads a reference, whose element has been gone down to.
    fn read<R: BufRead>(xml: &mut xml::Reader<R>) -> Result<Self, xml::Error> {
        let kind = xml.attribute("type").unwrap_or_default().into_owned();
        let id = xml.text()?.to_owned();
        Ok(ManagedObject { kind, id })
    }
}

/// A fault of the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// The fault's type, such as `InvalidLogin`.
    pub kind: String,
    /// What the server says about it; may be empty.
    pub text: String,
}

/// Reads the whole inventory that the session's account may see, as it arrives, and calls `seen` for each object;
/// `guest_names` asks for the guests' names, too.
pub fn scan(session: &mut Session, guest_names: bool, mut seen: impl FnMut()) -> Result<Inventory, Error> {
    let wanted = inventory::wanted(guest_names);
    let begun = Instant::now();
    let view = session.create_view(wanted)?;
    let Session { client, content, .. } = session;
    let mut inventory = Inventory::new(guest_names);
    let collector = &content.property_collector;
    property::retrieve(client, collector, &view, wanted, |object| {
        seen();
        inventory.add(object)
    })?;
    tell_read(inventory.counts(), begun);
    names::of_nameless(client, collector, &mut inventory)?;
    Ok(inventory)
}

/// Says how much was read, and how long that took.
fn tell_read((hosts, vms): (usize, usize), begun: Instant) {
    log::debug!(
        "read {} and {} in {}",
        count(hosts, "host"),
        count(vms, "virtual machine"),
        Seconds::since(begun)
    );
}

/// Such as `1 host` and `2 hosts`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A time for messages, such as `0.25 s`, `0.004 s` and `12 s`.
struct Seconds(Duration);

impl Seconds {
    fn since(begun: Instant) -> Self {
        Seconds(begun.elapsed())
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            seconds @ 10.0.. => write!(f, "{seconds:.0} s"),
            seconds => write!(f, "{} s", (seconds * 1000.0).round() / 1000.0),
        }
    }
}

/// A failed call, or answer that makes no sense.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The exchange with the server failed.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The server's answer can't be read as XML.
    #[error("the answer to {method}")]
    Answer {
        /// The method that was called.
        method: &'static str,
        /// What is wrong with the answer.
        #[source]
        error: xml::Error,
    },
    /// What answers is no vSphere API.
    #[error(
        "the answer to {method} is {found}, not the vSphere API's; is this the address of a vCenter or ESX host?"
    )]
    NotSoap {
        /// The method that was called.
        method: &'static str,
        /// What came instead.
        found: String,
    },
    /// The answer lacks what it must have.
    #[error("the answer to {method} lacks {what}")]
    Incomplete {
        /// The method that was called.
        method: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// User name or password is wrong, or the account may not log in.
    ///
    /// Many servers do not tell which, so that nobody learns which accounts there are.
    #[error("login to {server} as {user:?} failed: {}", fault.refusal())]
    Login {
        /// The server, host and port.
        server: String,
        /// The user name that was refused.
        user: String,
        /// How the server refused it.
        fault: Fault,
    },
    /// The server has gone on for so long that it never seems to end.
    #[error("the answer to {method} never ends: {what}")]
    Endless {
        /// The method that was called.
        method: &'static str,
        /// How much came until it was given up.
        what: String,
    },
    /// A failure with the server where it happened, which its own text does not name.
    #[error("{server}")]
    At {
        /// The server, host and port.
        server: String,
        /// What happened there.
        #[source]
        error: Box<Error>,
    },
    /// A failure that may pass has not passed in time.
    #[error("gave up after {}: last error", Seconds(*after))]
    GaveUp {
        /// How long it was tried.
        after: Duration,
        /// What went wrong the last time.
        #[source]
        last: Box<Error>,
    },
    /// The server refused the call.
    #[error("{method} was refused: {}{}{}{}", fault.kind, if fault.text.is_empty() { "" } else { ": " }, fault.text, fault.advice())]
    Fault {
        /// The method that was called.
        method: &'static str,
        /// The server's fault.
        fault: Fault,
    },
}

impl Error {
    /// This failure with the server's name in its text.
    fn at(self, server: String) -> Self {
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

    /// Whether the session is no more, as after half an hour without a call, or a restart of the server.
    fn is_end_of_session(&self) -> bool {
        matches!(self, Error::Fault { fault, .. } if fault.kind == NOT_AUTHENTICATED)
    }

    /// Whether an object was deleted that the call is about.
    fn is_vanished(&self) -> bool {
        matches!(self, Error::Fault { fault, .. } if fault.kind == NOT_FOUND)
    }

    /// Whether the endpoint's deadline has passed.
    fn is_deadline(&self) -> bool {
        matches!(
            self,
            Error::Http(http::Error::Timeout {
                limit: http::Limit::Deadline,
                ..
            })
        )
    }

    /// A fault that the server told within an answer.
    fn of_fault(method: &'static str, kind: String) -> Self {
        let text = String::new();
        let fault = Fault { kind, text };
        Error::Fault { method, fault }
    }

    /// An answer that broke off is the connection's error, which says more than that of the XML.
    fn of_answer(method: &'static str, error: xml::Error) -> Self {
        match &error {
            xml::Error::Read(io) => match http::Error::within(io) {
                Some(http) => Error::Http(http.clone()),
                None => Error::Answer { method, error },
            },
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

impl Fault {
    /// The kind of failure that this fault is.
    fn error_kind(&self) -> Kind {
        match self.kind.as_str() {
            "InvalidLogin" | "NoPermission" | "RestrictedByAdministrator" | "PasswordExpired" => Kind::NoPerm,
            NOT_AUTHENTICATED | NOT_FOUND | "ServerNotReady" | "HostCommunication" | "HostNotReachable"
            | "Timedout" => Kind::TempFail,
            _ => Kind::Unavailable,
        }
    }

    /// Why a log-in was refused, as far as the server tells it: by the fault's type, or in words.
    fn refusal(&self) -> String {
        let told = format!("{} {}", self.kind, self.text).to_lowercase();
        let reason = if told.contains("locked") {
            "the account is locked; have it unlocked, or wait, before the next try"
        } else if told.contains("expired") {
            "the account or its password has expired; renew it"
        } else if told.contains("disabled") {
            "the account is disabled; have it enabled"
        } else if self.kind == "NoPermission" {
            "the account may not log in; give it a role on the server, such as the read-only one"
        } else {
            "wrong user name or password (repeated failures may lock the account)"
        };
        match &*self.text {
            "" => format!("{reason}; the server says {}", self.kind),
            text => format!("{reason}; the server says {}: {text}", self.kind),
        }
    }

    /// What can be done about it.
    fn advice(&self) -> &'static str {
        match self.kind.as_str() {
            NOT_AUTHENTICATED => "; the session ended",
            NOT_FOUND => "; an object was deleted during the scan",
            "NoPermission" => "; the account needs the read-only role on the inventory's root",
            _ => "",
        }
    }
}
