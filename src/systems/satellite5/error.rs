//! Why a report fails, and what a person can do about it.

use std::fmt;

use super::systemid;
use super::xmlrpc::{self, Fault};
use super::{ARCH, RELEASE};
use crate::error::{Classify, Kind};
use crate::http;
use crate::state::Reserved;

/// Why hypervisors could not be reported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection can't be set up as it was asked for.
    #[error("connecting to Satellite 5")]
    Connection(#[source] http::Error),
    /// An exchange failed.
    #[error("{call}{}", match is_elsewhere(source) {
        true => ": no Satellite 5 or Spacewalk answers there; check the server's address",
        false => "",
    })]
    Exchange {
        /// The method that was called.
        call: &'static str,
        /// What happened.
        source: http::Error,
    },
    /// A call whose answer must not be lost was not begun, since a signal came or there is no time left.
    #[error("{call} was not called")]
    NotBegun {
        /// The method that was to be called.
        call: &'static str,
        /// Why not.
        source: http::Error,
    },
    /// What was to be sent is not possible in XML-RPC; an id with control characters, for one.
    #[error("{call} can't be called")]
    Unsendable {
        /// The method.
        call: &'static str,
        /// What is wrong.
        source: xmlrpc::Error,
    },
    /// What came is no answer to a call.
    #[error("{call}")]
    Answer {
        /// The method that was called.
        call: &'static str,
        /// What is wrong with it.
        source: xmlrpc::Error,
    },
    /// The answer is well-formed and not what the method returns.
    #[error("{call}: the server's answer has no {missing}; is it a Satellite 5 or Spacewalk?")]
    Unexpected {
        /// The method that was called.
        call: &'static str,
        /// What the answer should have.
        missing: &'static str,
    },
    /// The server refused the call.
    #[error("{call}: {fault}{}", advice(call, fault.code))]
    Refused {
        /// The method that was called.
        call: &'static str,
        /// What the server says.
        fault: Fault,
    },
    /// The server does not accept user name and password.
    #[error(
        "login to {server} as {user:?} failed: check user name and password (repeated failures may lock the account); {fault}"
    )]
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
    /// Several profiles could be the one that a registration made whose answer was lost.
    #[error(
        "the systems {} all have the profile {profile:?}, and one of them may be this hypervisor; delete those that are not, in the \
         server's web interface",
        systems.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    SeveralProfiles {
        /// The profile's name.
        profile: String,
        /// The numbers of the systems.
        systems: Vec<i64>,
    },
    /// A hypervisor was not registered, since its systemid could not be kept.
    #[error("not registered, because its systemid could not be kept")]
    NoRoom(#[source] systemid::Error),
    /// A hypervisor was registered, but its systemid could not be kept.
    #[error(
        "the server has registered {profile:?}, but its systemid can't be kept; the next report looks for the profile"
    )]
    Unkept {
        /// The profile's name.
        profile: String,
        /// Why not.
        source: systemid::Error,
    },
    /// No base channel is mapped for hypervisors (−70), and why it could not be.
    #[error("no base channel is mapped for hypervisors (release {RELEASE}, {ARCH}){}", no_map(map.as_ref()))]
    NoBaseChannel {
        /// What the server said when the channel was to be mapped; none where it agreed.
        map: Option<Fault>,
    },
    /// A systemid could not be looked up, or another process works with the systemids.
    #[error(transparent)]
    Registration(#[from] systemid::Error),
    /// Nothing is registered any more in this run, since it failed before.
    #[error("{reason}")]
    Blocked {
        /// What kind of failure that was.
        kind: Kind,
        /// What it was.
        reason: String,
    },
}

impl Error {
    /// Whether it is about files of this machine.
    pub fn is_about_this_machine(&self) -> bool {
        matches!(
            self,
            Error::NoRoom(_) | Error::Unkept { .. } | Error::Registration(_)
        )
    }

    /// Whether the server, or a front end of it, refuses who we are. The next document would meet that, too, and accounts get
    /// locked by those who try again.
    pub(super) fn refuses_login(&self) -> bool {
        let refused = |error: &http::Error| {
            matches!(
                error,
                http::Error::Status {
                    status: 401 | 403 | 410,
                    ..
                }
            )
        };
        match self {
            Error::Login { .. } => true,
            Error::Exchange { source, .. } => refused(source),
            _ => false,
        }
    }

    /// Whether the next hypervisor would meet the same.
    ///
    /// A 500 is about the one call: with it the server answers what its database refuses.
    pub(super) fn ends_report(&self) -> bool {
        match self {
            Error::Exchange { source, .. } => !matches!(source, http::Error::Status { status: 500, .. }),
            Error::InDoubt { source, .. } => source.ends_report(),
            Error::Connection(_)
            | Error::NotBegun { .. }
            | Error::Answer { .. }
            | Error::Unexpected { .. } => true,
            _ => false,
        }
    }

    /// Whether the server may have done what was asked, though no answer says so.
    ///
    /// A connection that broke does not tell whether the request had arrived. A status of 500 and more may be a front end's,
    /// after the server itself has done it.
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
        match source.connection() {
            Some(error) => Error::Exchange {
                call,
                source: error.clone(),
            },
            None => Error::Answer { call, source },
        }
    }

    /// The failure of a registration that may have made a profile of this name. Its mark stays for the next report.
    pub(super) fn in_doubt(profile: String, lost: Error, begun: Reserved) -> Self {
        begun.leave();
        let source = Box::new(lost);
        Error::InDoubt { profile, source }
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
            Error::NoRoom(source) | Error::Unkept { source, .. } => source.kind(),
            Error::Unsendable { source, .. } | Error::Answer { source, .. } => source.kind(),
            Error::Unexpected { .. } => Kind::Protocol,
            Error::Refused { fault, .. } => match fault.code {
                -23 | -71 | -702 => Kind::NoPerm,
                _ => Kind::Unavailable,
            },
            Error::NoBaseChannel { map: Some(_) } => Kind::NoPerm,
            Error::NoBaseChannel { map: None } | Error::SeveralProfiles { .. } => Kind::Unavailable,
            Error::Registration(error) => error.kind(),
            Error::Blocked { kind, .. } => *kind,
        }
    }
}

/// Whether the server does not know the path of the API. One that is being deployed answers so, too.
fn is_elsewhere(error: &http::Error) -> bool {
    matches!(error, http::Error::Status { status: 404, .. })
}

/// What a person can do about a fault, as far as it is known.
fn advice(call: &str, code: i64) -> &'static str {
    match (call, code) {
        ("user.getDetails", -23) => "; write the user name as the server spells it, its case counts",
        ("channel.software.create", -23) => {
            "; the user needs the role channel_admin to create the channel for hypervisors"
        }
        ("channel.software.create", 1200 | 1201) => {
            "; the channel for hypervisors may exist already, where the user is not allowed to see it"
        }
        (_, -71) => "; the user may not subscribe systems to the channel for hypervisors",
        (_, -702) => "; the user may only read",
        _ => "",
    }
}

fn no_map(map: Option<&Fault>) -> String {
    match map {
        Some(fault) => format!(
            ", and distchannel.setMapForOrg was refused: {fault}; the user needs the role org_admin once, or let an \
             administrator set the map"
        ),
        None => ", though distchannel.setMapForOrg said that it is; look at the organisation's distribution channel maps".into(),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered fault {}: {}", self.code, self.text)
    }
}
