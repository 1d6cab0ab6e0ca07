//! Why hypervisors can't be reported.

use std::sync::Arc;
use std::time::Duration;

use super::systemid;
use super::{ARCH, RELEASE};
use crate::error::{Classify, Kind};
use crate::xmlrpc::{self, Fault};
use crate::{http, xml};

/// Why hypervisors could not be reported, or not with all guests.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection can't be set up as the endpoint says.
    #[error("connecting to Satellite 5")]
    Connection(#[source] http::Error),
    /// The exchange of request and answer failed.
    #[error("{call}")]
    Exchange {
        /// The method that was called.
        call: &'static str,
        /// What happened.
        source: http::Error,
    },
    /// A call whose answer must not be lost was not begun, because of a signal or the deadline.
    #[error("{call} was not called")]
    NotBegun {
        /// The method that was to be called.
        call: &'static str,
        /// Why not.
        source: http::Error,
    },
    /// XML-RPC can't carry a parameter; for example, an id has control characters.
    #[error("{call} can't be called")]
    Unsendable {
        /// The method.
        call: &'static str,
        /// What is wrong.
        source: xmlrpc::Error,
    },
    /// The answer is not one to an XML-RPC call.
    #[error("{call}")]
    Answer {
        /// The method that was called.
        call: &'static str,
        /// What is wrong with the answer.
        source: xmlrpc::Error,
    },
    /// The answer is well-formed, but not what the method returns.
    #[error("{call}: the server's answer has no {missing}")]
    Unexpected {
        /// The method that was called.
        call: &'static str,
        /// What the answer lacks.
        missing: &'static str,
    },
    /// The server refused the call.
    #[error("{call}: {fault}")]
    Refused {
        /// The method that was called.
        call: &'static str,
        /// What the server says.
        fault: Fault,
    },
    /// The server does not accept user name and password.
    #[error("login to {server} as {user:?} failed: {fault}")]
    Login {
        /// The server's address.
        server: String,
        /// The user.
        user: String,
        /// What the server says.
        fault: Fault,
    },
    /// The answer to a registration was lost.
    #[error(
        "a profile {profile:?} may now exist on the server, because the answer to its registration was lost; the next report \
         looks for it"
    )]
    InDoubt {
        /// The profile's name.
        profile: String,
        /// How the answer was lost.
        source: Box<Error>,
    },
    /// Several profiles may be that of a hypervisor without a systemid.
    #[error(
        "the systems {} all have the profile {profile:?}, and one of them may be this hypervisor",
        systems.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    SeveralProfiles {
        /// The profile's name.
        profile: String,
        /// The numbers of the systems.
        systems: Vec<i64>,
    },
    /// A hypervisor was not registered, because its systemid could not be stored.
    #[error("not registered, because its systemid could not be kept")]
    NotStorable(#[source] systemid::Error),
    /// A hypervisor was registered, but its systemid could not be stored.
    #[error(
        "the server has registered {profile:?}, but its systemid can't be kept; the next report looks for the profile"
    )]
    NotStored {
        /// The profile's name.
        profile: String,
        /// Why not.
        source: systemid::Error,
    },
    /// A hypervisor was not registered, because the attempts before at other hypervisors failed.
    #[error("not registered, because the last {attempts} registrations failed")]
    NotTried {
        /// How many failed.
        attempts: usize,
        /// The failure of the last one.
        source: Arc<Error>,
    },
    /// No base channel is mapped for hypervisors (−70).
    #[error("no base channel is mapped for hypervisors (release {RELEASE}, {ARCH}){}", of_map(map.as_ref()))]
    NoBaseChannel {
        /// Why the server refused to map the channel; None if it said that the channel is mapped.
        map: Option<Fault>,
    },
    /// A systemid could not be looked up, or another process uses the systemids.
    #[error(transparent)]
    Registration(#[from] systemid::Error),
    /// The hypervisor was reported, but not these guests.
    #[error("reported without guests: {0}")]
    Incomplete(String),
    /// The hypervisor had no turn, because the report ended before, with an error of this kind.
    #[error("not reached, because the report ended before")]
    NotReached(Kind),
    /// An error that concerns several hypervisors.
    #[error(transparent)]
    Shared(Arc<Error>),
}

impl Error {
    /// The error itself, which several hypervisors may share.
    pub fn root(&self) -> &Error {
        match self {
            Error::Shared(error) => error.root(),
            error => error,
        }
    }

    /// The error, to be shared by several hypervisors.
    pub(super) fn into_shared(self) -> Arc<Error> {
        match self {
            Error::Shared(error) => error,
            error => Arc::new(error),
        }
    }

    /// Whether it is about files of this machine.
    pub fn is_about_this_machine(&self) -> bool {
        matches!(
            self.root(),
            Error::NotStorable(_) | Error::NotStored { .. } | Error::Registration(_)
        )
    }

    /// Whether a server answers that is no Satellite 5: it does not know the path of the API, or answers something else than
    /// XML-RPC. One that is being deployed may do so, too.
    pub fn is_about_another_server(&self) -> bool {
        match self.root() {
            Error::Exchange { source, .. } => is_elsewhere(source),
            Error::Answer { source, .. } => matches!(source, xmlrpc::Error::Unreadable(xml::Error::Html)),
            Error::Unexpected { .. } => true,
            _ => false,
        }
    }

    /// Whether the server, or a front end of it, refuses the credentials. The next document would meet that, too, and repeated
    /// attempts get an account locked.
    pub(super) fn refuses_login(&self) -> bool {
        match self.root() {
            Error::Login { .. } => true,
            Error::Exchange { source, .. } => matches!(
                source,
                http::Error::Status {
                    status: 401 | 403 | 410,
                    ..
                }
            ),
            _ => false,
        }
    }

    /// Whether the server answered with this fault.
    pub(super) fn is_fault(&self, code: i64) -> bool {
        matches!(self.root(), Error::Refused { fault, .. } if fault.code == code)
    }

    /// Whether every other call would meet the same error: no time is left, a signal came, the server is not trusted, or it
    /// refuses the credentials.
    pub(super) fn ends_report(&self) -> bool {
        use http::Error as Http;
        match self.root() {
            Error::Connection(_) | Error::NotBegun { .. } => true,
            Error::Registration(systemid::Error::File(error)) => error.is_of_waiting(),
            error @ Error::Exchange { .. } if error.refuses_login() => true,
            Error::Exchange { source, .. } => !matches!(
                source,
                Http::Status { .. }
                    | Http::Unreachable { .. }
                    | Http::Cut { .. }
                    | Http::NotHttp { .. }
                    | Http::TooLarge { .. }
                    | Http::Timeout {
                        limit: http::Limit::Silence(_) | http::Limit::Connect(_) | http::Limit::Tls(_),
                        ..
                    }
            ),
            Error::InDoubt { source, .. } => source.ends_report(),
            _ => false,
        }
    }

    /// Whether the server may be away or overloaded. If this happens to many hypervisors in a row, the others need not wait
    /// for it, too.
    pub(super) fn is_of_absence(&self) -> bool {
        use http::Error as Http;
        match self.root() {
            Error::Exchange { source, .. } => match source {
                Http::Status { status, .. } => matches!(status, 429 | 502..=504),
                Http::Unreachable { .. } | Http::Cut { .. } | Http::Timeout { .. } => true,
                _ => false,
            },
            Error::InDoubt { source, .. } => source.is_of_absence(),
            _ => false,
        }
    }

    /// Whether a call that is repeated in a moment may work.
    pub(super) fn may_pass_soon(&self) -> bool {
        use http::Error as Http;
        match self {
            Error::Exchange { source, .. } => match source {
                Http::Status { status, .. } => matches!(status, 429 | 502..=504),
                Http::Unreachable { .. } | Http::Cut { .. } => true,
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether the hypervisor may be reported if it is tried again later in the same run.
    ///
    /// After a lost answer to a registration it is not: the server may still be working on it, and a look for the profile would
    /// find nothing yet.
    pub(super) fn may_pass(&self) -> bool {
        !matches!(self.root(), Error::InDoubt { .. }) && self.kind() == Kind::TempFail
    }

    /// The pause that the server asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.root() {
            Error::Exchange { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    /// Whether the server may have done what was asked, although no answer says so.
    ///
    /// If a connection breaks the request may have arrived. A status of 500 and more may be that of a front end, after the
    /// server has done its work.
    pub(super) fn may_be_done(&self) -> bool {
        use http::Error as Http;
        match self {
            Error::Exchange { source, .. } => match source {
                Http::Status { status, .. } => *status >= 500,
                Http::Timeout { limit, .. } => !matches!(limit, http::Limit::Connect(_)),
                Http::Unreachable { .. }
                | Http::Cut { .. }
                | Http::NotHttp { .. }
                | Http::TooLarge { .. }
                | Http::Cancelled(_) => true,
                _ => false,
            },
            Error::Answer { .. } | Error::Unexpected { .. } => true,
            _ => false,
        }
    }

    /// The error of an answer that can't be read. If the connection broke, its own error says more than that of the XML.
    pub(super) fn of_answer(call: &'static str, source: xmlrpc::Error) -> Self {
        let broken = match &source {
            xmlrpc::Error::Unreadable(xml::Error::Read(error)) => http::Error::within(error),
            _ => None,
        };
        match broken.cloned() {
            Some(source) => Error::Exchange { call, source },
            None => Error::Answer { call, source },
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Exchange { source, .. } if is_elsewhere(source) => Kind::Protocol,
            Error::Connection(source) | Error::Exchange { source, .. } | Error::NotBegun { source, .. } => {
                source.kind()
            }
            Error::Login { .. } => Kind::NoPerm,
            Error::InDoubt { source, .. } => source.kind(),
            Error::NotStorable(source) | Error::NotStored { source, .. } => source.kind(),
            Error::Unsendable { source, .. } | Error::Answer { source, .. } => source.kind(),
            Error::Unexpected { .. } => Kind::Protocol,
            Error::Refused { fault, .. } => match fault.code {
                -23 | -71 | -702 => Kind::NoPerm,
                _ => Kind::Unavailable,
            },
            Error::NoBaseChannel { map: Some(_) } => Kind::NoPerm,
            Error::NoBaseChannel { map: None } | Error::SeveralProfiles { .. } => Kind::Unavailable,
            Error::Registration(error) => error.kind(),
            Error::Incomplete(_) => Kind::Data,
            Error::NotReached(kind) => *kind,
            Error::NotTried { source, .. } => source.kind(),
            Error::Shared(error) => error.kind(),
        }
    }
}

/// Whether the server does not know the path of the API.
fn is_elsewhere(error: &http::Error) -> bool {
    matches!(error, http::Error::Status { status: 404, .. })
}

fn of_map(map: Option<&Fault>) -> String {
    match map {
        Some(fault) => format!(", and distchannel.setMapForOrg was refused: {fault}"),
        None => ", although distchannel.setMapForOrg said that it is".into(),
    }
}
