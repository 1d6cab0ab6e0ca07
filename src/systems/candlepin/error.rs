//! Why hypervisors could not be checked in, and where to look for it in the server's log.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::time::Duration;

use crate::cancel::Cancelled;
use crate::error::{Classify, Kind};
use crate::http;
use crate::state;

/// One random id for all requests of a run, by which they are found in the server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation(pub(super) String);

impl Correlation {
    /// A new one: 32 hexadecimal digits. The server takes up to 40 characters.
    pub fn random() -> Self {
        // The keys of a hasher are random, and this is no secret.
        let half = || RandomState::new().build_hasher().finish();
        Correlation(format!("{:016x}{:016x}", half(), half()))
    }
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// By which ids an exchange is found in the server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIds {
    pub(super) correlation: Correlation,
    /// The server's `x-candlepin-request-uuid`, where there was an answer with one.
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

/// Why hypervisors could not be checked in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection can't be set up as it was asked for.
    #[error("connecting to Candlepin")]
    Connection(#[source] Box<http::Error>),
    /// An exchange failed; what the server said is in the source.
    #[error("{doing}")]
    Exchange {
        /// What was asked for.
        doing: String,
        /// Where to look for it in the server's log.
        log_ids: LogIds,
        /// What happened.
        #[source]
        source: Box<http::Error>,
    },
    /// 401, 403: the credentials are wrong, or the user has no role. The status request never tells this.
    #[error("{who} was refused")]
    Refused {
        /// The user or consumer.
        who: String,
        /// Where to look for it in the server's log.
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
        /// Where to look for it in the server's log.
        log_ids: LogIds,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// 404 in Candlepin's own words: what was asked for, such as a job or a consumer, is not there.
    #[error("{doing}")]
    NotFound {
        /// What was asked for.
        doing: String,
        /// Where to look for it in the server's log.
        log_ids: LogIds,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// 404 in other words than Candlepin's, or for its status: a server whose Candlepin has not started yet, or a wrong path.
    #[error("{doing}: no Candlepin answers there")]
    NoCandlepin {
        /// What was asked for.
        doing: String,
        /// Where to look for it in the server's log.
        log_ids: LogIds,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// 404 in Candlepin's own words for a check-in. The server does not tell an owner of others from none.
    #[error("owner {owner:?} is unknown, or {who} has no right to it; case counts")]
    Owner {
        /// The owner.
        owner: String,
        /// The user or consumer.
        who: String,
        /// Where to look for it in the server's log.
        log_ids: LogIds,
        /// What the server said.
        #[source]
        source: Box<http::Error>,
    },
    /// What came is no answer of a Candlepin.
    #[error("{doing}: the answer is not one of Candlepin: {reason}")]
    Answer {
        /// What was asked for.
        doing: String,
        /// What is wrong with it.
        reason: String,
        /// Where to look for it in the server's log.
        log_ids: LogIds,
    },
    /// The server knows no heartbeats.
    #[error("Candlepin {version} has no heartbeat (hypervisors_heartbeat)")]
    NoHeartbeat {
        /// The server's version.
        version: String,
    },
    /// 404 for a heartbeat, from a server that says it knows them. It need not mean that the owner is unknown.
    #[error("{doing}: the server takes none at this path")]
    HeartbeatNotFound {
        /// What was asked for.
        doing: &'static str,
        /// Where to look for it in the server's log.
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
    /// The server gave the job up.
    #[error("job {job} {state}: {}", if reason.is_empty() { "the server does not say why" } else { reason })]
    Job {
        /// The job.
        job: String,
        /// Its state.
        state: String,
        /// The server's reason; may be empty.
        reason: String,
        /// Where to look for it in the server's log.
        log_ids: LogIds,
    },
    /// The job is finished, but what became of the hypervisors is not told.
    #[error("job {job} FINISHED, but does not tell what became of the hypervisors: {reason}")]
    Untold {
        /// The job.
        job: String,
        /// What stood where the lists should have been.
        reason: String,
        /// Where to look for it in the server's log.
        log_ids: LogIds,
    },
    /// The job, or one before it, was not done in time.
    #[error("job {job} is {state} after {} s; it may go on", waited.as_secs())]
    JobTimeout {
        /// The job.
        job: String,
        /// Its last state.
        state: String,
        /// How long it was waited for.
        waited: Duration,
        /// Where to look for it in the server's log.
        log_ids: LogIds,
    },
    /// The job, or one before it, was not done when the time for the whole was over.
    #[error("job {job} is {state}; it may go on")]
    Late {
        /// The job.
        job: String,
        /// Its last state.
        state: String,
        /// Where to look for it in the server's log.
        log_ids: LogIds,
    },
    /// A signal came while a job was waited for.
    #[error("while waiting for job {job}, which goes on")]
    Waiting {
        /// The job.
        job: String,
        /// Where to look for it in the server's log.
        log_ids: LogIds,
        /// The signal.
        #[source]
        source: Cancelled,
    },
    /// What was reported last can't be kept.
    #[error("keeping what was reported")]
    State(#[source] state::Error),
    /// Another run of the same report did not end in time, or a signal came first.
    #[error("not reported")]
    Locked(#[source] state::Error),
    /// The body could not be made: a defect of ours.
    #[error("making the body")]
    Body(#[source] serde_json::Error),
}

impl Error {
    /// By which ids the failure is found in the server's log, where it has come so far. Messages end with it.
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
            | Error::Untold { log_ids, .. }
            | Error::JobTimeout { log_ids, .. }
            | Error::Late { log_ids, .. }
            | Error::Waiting { log_ids, .. } => Some(log_ids),
            Error::Connection(_)
            | Error::NoHeartbeat { .. }
            | Error::Certificate { .. }
            | Error::State(_)
            | Error::Locked(_)
            | Error::Body(_) => None,
        }
    }

    /// Whether every report would fail the same way until a person does something: nobody is let in, or the owner is
    /// unknown. Who goes on trying may get the account locked.
    pub fn is_lasting(&self) -> bool {
        match self {
            Error::Refused { .. } | Error::Gone { .. } | Error::Owner { .. } => true,
            Error::Connection(source) | Error::Exchange { source, .. } => {
                matches!(**source, http::Error::ProxyRefused { status: 407, .. })
            }
            _ => false,
        }
    }

    /// Whether the path may be wrong: something answers there, and it is no Candlepin.
    pub fn is_about_the_path(&self) -> bool {
        match self {
            Error::NoCandlepin { .. } => true,
            Error::Answer { doing, .. } => doing == super::STATUS,
            _ => false,
        }
    }

    /// Whether it is about files of this machine.
    pub fn is_about_this_machine(&self) -> bool {
        matches!(
            self,
            Error::State(_) | Error::Locked(_) | Error::Body(_) | Error::Certificate { .. }
        )
    }

    /// Whether the same again may work: the failure is one for now, and not the end of the time that was to be waited.
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
            | Error::Untold { .. } => Kind::Protocol,
            Error::Certificate { .. } => Kind::Config,
            Error::NoHeartbeat { .. } | Error::Job { .. } => Kind::Unavailable,
            Error::JobTimeout { .. } | Error::Late { .. } => Kind::TempFail,
            Error::Waiting { source, .. } => source.kind(),
            Error::State(source) => source.kind(),
            Error::Locked(source) => source.kind(),
            Error::Body(_) => Kind::Software,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correlation_id_is_one_that_the_server_keeps() {
        let id = Correlation::random().to_string();
        assert!(
            id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit()),
            "{id}"
        );
        assert_ne!(Correlation::random().to_string(), id);
    }
}
