//! Why hypervisors could not be checked in or read back, and the ids that find the failure in the server's log.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::cancel::Cancelled;
use crate::error::{Classify, Kind};
use crate::http;
use crate::retry::Retryable;
use crate::state;

/// One random id for all requests of a run, which finds them in the server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation(pub(super) String);

impl Correlation {
    /// A new id: 32 hexadecimal digits. The server accepts up to 40 characters.
    pub fn random() -> Self {
        // A hasher has random keys; this id need not be secret.
        let half = || RandomState::new().build_hasher().finish();
        Correlation(format!("{:016x}{:016x}", half(), half()))
    }
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ids that find an exchange in the server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIds {
    pub(super) correlation: Correlation,
    /// The server's `x-candlepin-request-uuid`, if there was an answer with one.
    pub(super) request: Option<String>,
}

impl fmt::Display for LogIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "correlation id {}", self.correlation)?;
        match &self.request {
            Some(request) => write!(f, ", request uuid {request}"),
            None => Ok(()),
        }
    }
}

/// Why hypervisors could not be checked in or read back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection can't be set up.
    #[error("connecting to Candlepin")]
    Connection(#[source] Box<http::Error>),
    /// An exchange failed. The source has the server's words.
    #[error("{doing}")]
    Exchange {
        /// What the request was for.
        doing: String,
        /// The ids in the server's log.
        log_ids: LogIds,
        /// What happened.
        #[source]
        source: Box<http::Error>,
    },
    /// 401 or 403: the credentials are wrong, or the user lacks a role. The status request never fails like this.
    #[error("{who} was refused")]
    Refused {
        /// The user or consumer.
        who: String,
        /// The ids in the server's log.
        log_ids: LogIds,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// 410: the system's registration was deleted on the server.
    #[error("{who} was deleted on the server")]
    Gone {
        /// The consumer.
        who: String,
        /// The ids in the server's log.
        log_ids: LogIds,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// 404 from Candlepin itself: the job or consumer that the request was for does not exist.
    #[error("{doing}")]
    NotFound {
        /// What the request was for.
        doing: String,
        /// The ids in the server's log.
        log_ids: LogIds,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// 404 that is not from Candlepin, or for the status: Candlepin has not started yet, or the path is wrong.
    #[error("{doing}: no Candlepin answers there")]
    NoCandlepin {
        /// What the request was for.
        doing: String,
        /// The ids in the server's log.
        log_ids: LogIds,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// 404 from Candlepin itself for a check-in. The server answers the same for an unknown owner and for one without access.
    #[error("owner {owner:?} is unknown (upper and lower case differ), or {who} has no access to it")]
    Owner {
        /// The owner.
        owner: String,
        /// The user or consumer.
        who: String,
        /// The ids in the server's log.
        log_ids: LogIds,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// The answer is not from a Candlepin.
    #[error("{doing}: the answer is not one of Candlepin: {reason}")]
    Answer {
        /// What the request was for.
        doing: String,
        /// What is wrong with it.
        reason: String,
        /// The ids in the server's log.
        log_ids: LogIds,
    },
    /// The server does not accept heartbeats.
    #[error("Candlepin {version} has no heartbeat (hypervisors_heartbeat)")]
    NoHeartbeat {
        /// The server's version.
        version: String,
    },
    /// 404 for a heartbeat, from a server that says it accepts them. The owner need not be unknown.
    #[error("{doing}: the server accepts none at this path")]
    HeartbeatNotFound {
        /// What the request was for.
        doing: &'static str,
        /// The ids in the server's log.
        log_ids: LogIds,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// The certificate of a registered system can't be used.
    #[error("{}: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The job failed.
    #[error("job {job} {state}: {}", if reason.is_empty() { "the server does not say why" } else { reason })]
    Job {
        /// The job.
        job: String,
        /// Its state.
        state: String,
        /// The server's reason; may be empty.
        reason: String,
        /// The ids in the server's log.
        log_ids: LogIds,
    },
    /// The job is finished, but its answer does not say what became of the hypervisors.
    #[error("job {job} FINISHED, but does not say what became of the hypervisors: {reason}")]
    NoLists {
        /// The job.
        job: String,
        /// What the answer has instead of the lists.
        reason: String,
        /// The ids in the server's log.
        log_ids: LogIds,
    },
    /// The job, or one that blocks it, was not done within the limit for jobs.
    #[error("gave up after {} s: job {job} is {state}; it may go on", waited.as_secs())]
    JobTimeout {
        /// The job.
        job: String,
        /// Its last state.
        state: String,
        /// How long we waited for it.
        waited: Duration,
        /// The ids in the server's log.
        log_ids: LogIds,
    },
    /// The job, or one that blocks it, was not done when the time for everything was over.
    #[error("no time is left to wait for job {job}, which is {state}; it may go on")]
    Late {
        /// The job.
        job: String,
        /// Its last state.
        state: String,
        /// The ids in the server's log.
        log_ids: LogIds,
    },
    /// A signal came while waiting for a job.
    #[error("while waiting for job {job}, which goes on")]
    Waiting {
        /// The job.
        job: String,
        /// The ids in the server's log.
        log_ids: LogIds,
        /// The signal.
        #[source]
        source: Cancelled,
    },
    /// The accepted report can't be stored.
    #[error("storing what was reported")]
    State(#[source] state::Error),
    /// Another run of the same series did not end in time, or a signal came first.
    #[error("not reported")]
    Locked(#[source] state::Error),
    /// The list of hypervisors changed between two of its pages.
    #[error("the list of hypervisors changed while it was read")]
    Changing,
    /// The list of hypervisors can't be used.
    #[error("{reason}")]
    Unusable {
        /// Why not.
        reason: String,
    },
    /// Repeated attempts failed.
    #[error("gave up after {} s", crate::text::seconds(*after))]
    GaveUp {
        /// How long it was tried.
        after: Duration,
        /// What went wrong the last time.
        #[source]
        last: Box<Error>,
    },
    /// No thread could be started for a connection.
    #[error("starting a thread")]
    Threads(#[source] io::Error),
    /// A thread ended without a result: a defect.
    #[error("a thread ended without a result")]
    Lost,
    /// The body could not be written as JSON: a defect.
    #[error("writing the body")]
    Body(#[source] serde_json::Error),
}

impl Error {
    /// The ids that find the failure in the server's log, if the request got that far. Messages end with them.
    pub fn log_ids(&self) -> Option<&LogIds> {
        match self {
            Error::Exchange { log_ids, .. }
            | Error::Refused { log_ids, .. }
            | Error::Gone { log_ids, .. }
            | Error::NotFound { log_ids, .. }
            | Error::NoCandlepin { log_ids, .. }
            | Error::HeartbeatNotFound { log_ids, .. }
            | Error::Owner { log_ids, .. }
            | Error::Answer { log_ids, .. }
            | Error::Job { log_ids, .. }
            | Error::NoLists { log_ids, .. }
            | Error::JobTimeout { log_ids, .. }
            | Error::Late { log_ids, .. }
            | Error::Waiting { log_ids, .. } => Some(log_ids),
            Error::GaveUp { last, .. } => last.log_ids(),
            Error::Connection(_)
            | Error::Changing
            | Error::Unusable { .. }
            | Error::Threads(_)
            | Error::Lost
            | Error::NoHeartbeat { .. }
            | Error::Certificate { .. }
            | Error::State(_)
            | Error::Locked(_)
            | Error::Body(_) => None,
        }
    }

    /// Whether every report would fail the same way until a person does something: the login is refused, or the owner is unknown.
    /// More attempts may lock the account.
    pub fn is_lasting(&self) -> bool {
        match self {
            Error::Refused { .. } | Error::Gone { .. } | Error::Owner { .. } => true,
            Error::Connection(source) | Error::Exchange { source, .. } => {
                matches!(**source, http::Error::ProxyRefused { status: 407, .. })
            }
            _ => false,
        }
    }

    /// Whether the path may be wrong: what answers is not a Candlepin.
    pub fn is_about_the_path(&self) -> bool {
        match self {
            Error::NoCandlepin { .. } => true,
            Error::Answer { doing, .. } => doing == super::STATUS,
            _ => false,
        }
    }

    /// Whether it is about files on this machine.
    pub fn is_about_this_machine(&self) -> bool {
        matches!(
            self,
            Error::State(_) | Error::Locked(_) | Error::Body(_) | Error::Certificate { .. }
        )
    }

    /// Whether another attempt may work: the failure is temporary, and not the end of the time for jobs.
    pub fn may_pass(&self) -> bool {
        self.kind() == Kind::TempFail && !matches!(self, Error::JobTimeout { .. })
    }

    /// How long the server asks us to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Exchange { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}

impl From<Cancelled> for Error {
    fn from(cancelled: Cancelled) -> Self {
        Error::Connection(Box::new(cancelled.into()))
    }
}

/// Reading back is retried request by request. Reports have their own rules, because a job may go on.
impl Retryable for Error {
    fn is_vanished(&self) -> bool {
        matches!(self, Error::Changing)
    }

    fn is_deadline(&self) -> bool {
        match self {
            Error::Connection(source) | Error::Exchange { source, .. } => source.is_deadline(),
            _ => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        Error::retry_after(self)
    }

    fn gave_up(after: Duration, last: Box<Self>) -> Self {
        Error::GaveUp { after, last }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Connection(source)
            | Error::Exchange { source, .. }
            | Error::Refused { source, .. }
            | Error::Gone { source, .. } => source.kind(),
            Error::NotFound { .. } | Error::Owner { .. } => Kind::Unavailable,
            Error::NoCandlepin { .. }
            | Error::HeartbeatNotFound { .. }
            | Error::Answer { .. }
            | Error::NoLists { .. } => Kind::Protocol,
            Error::Certificate { .. } => Kind::Config,
            Error::NoHeartbeat { .. } | Error::Job { .. } => Kind::Unavailable,
            Error::JobTimeout { .. } | Error::Late { .. } => Kind::TempFail,
            Error::Waiting { source, .. } => source.kind(),
            Error::State(source) => source.kind(),
            Error::Locked(source) => source.kind(),
            Error::Body(_) | Error::Lost => Kind::Software,
            Error::Changing | Error::Threads(_) => Kind::TempFail,
            Error::Unusable { .. } => Kind::Protocol,
            Error::GaveUp { last, .. } => last.kind(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correlation_id_fits_the_server_and_is_random() {
        let id = Correlation::random().to_string();
        assert!(
            id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()),
            "{id}"
        );
        assert_ne!(Correlation::random().to_string(), id);
    }
}
