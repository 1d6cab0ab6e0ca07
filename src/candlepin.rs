//! Candlepin, the subscription service: hypervisors and their guests are checked in with it.
//!
//! A [`CheckIn`] is what of a mapping is sent. [`Candlepin::check_in`] sends it, waits for the job that the server makes of
//! it, compares what the job says with what was sent, and adds that to a [`Tally`].
//!
//! Facts about real servers, current and old, are from exchanges recorded with Candlepin 4.7.5 and 2.4.16.

mod account;
mod checkin;
mod job;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::account::{Failed, Tally};
pub use self::checkin::CheckIn;
use self::job::{End, Job, Pauses, shortened};
use crate::cancel::{Cancel, Cancelled};
use crate::error::Kind;
use crate::http::{self, Endpoint, Http, Request, Response};
use crate::secret::Secret;

/// The largest answer about a job in bytes; one of 100,000 hypervisors takes a fifth of it.
const LARGEST_JOB: u64 = 128 << 20;
/// The largest answer about the server's state, in bytes.
const LARGEST_STATUS: u64 = 1 << 20;

/// What may stand in a path or query as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Who reports, and for whom.
#[derive(Debug, Clone)]
pub struct Reporter {
    /// The owner's key, or organisation's label; case counts.
    pub owner: String,
    /// What the server keeps with each hypervisor as the one who reported it.
    pub id: String,
    /// The user.
    pub username: String,
    /// The user's password.
    pub password: Secret,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Candlepin {
    http: Http,
    reporter: Reporter,
    cancel: Cancel,
    correlation: Correlation,
}

/// One random id for all requests of a run, by which they are found in the server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation(String);

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
pub struct Trace {
    correlation: Correlation,
    /// The server's `x-candlepin-request-uuid`, where there was an answer with one.
    request: Option<String>,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(correlation id {}", self.correlation)?;
        if let Some(request) = &self.request {
            write!(f, ", request uuid {request}")?;
        }
        f.write_str(")")
    }
}

/// Why hypervisors could not be checked in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection can't be set up as it was asked for.
    #[error("connecting to Candlepin")]
    Connection(#[source] http::Error),
    /// An exchange failed; what the server said is in the source.
    #[error("{doing} {trace}")]
    Exchange {
        /// What was asked for.
        doing: String,
        /// Where to look for it in the server's log.
        trace: Trace,
        /// What happened.
        #[source]
        source: http::Error,
    },
    /// 401, 403: the credentials are wrong, or the user has no role. The status request never tells this.
    #[error("user {username:?} may not check in; check user name, password and role {trace}")]
    Refused {
        /// The user.
        username: String,
        /// Where to look for it in the server's log.
        trace: Trace,
        /// What the server said.
        #[source]
        source: http::Error,
    },
    /// 404 for a check-in. The server does not tell an owner of others from none.
    #[error("owner {owner:?} is unknown, or user {username:?} has no right to it; case counts {trace}")]
    Owner {
        /// The owner.
        owner: String,
        /// The user.
        username: String,
        /// Where to look for it in the server's log.
        trace: Trace,
        /// What the server said.
        #[source]
        source: http::Error,
    },
    /// What came is no answer of a Candlepin.
    #[error("{doing}: the answer is not one of Candlepin, is the path right? {reason} {trace}")]
    Answer {
        /// What was asked for.
        doing: String,
        /// What is wrong with it.
        reason: String,
        /// Where to look for it in the server's log.
        trace: Trace,
    },
    /// The server is too old for the asynchronous check-in.
    #[error(
        "Candlepin {version} has no asynchronous check-in (hypervisors_async), and this version does no other"
    )]
    NoAsync {
        /// The server's version.
        version: String,
    },
    /// The server gave the job up.
    #[error("job {job} {state}: {} {trace}", if reason.is_empty() { "the server does not say why" } else { reason })]
    Job {
        /// The job.
        job: String,
        /// Its state.
        state: String,
        /// The server's reason; may be empty.
        reason: String,
        /// Where to look for it in the server's log.
        trace: Trace,
    },
    /// The job is finished, but what became of the hypervisors is not told.
    #[error("job {job} FINISHED, but does not tell what became of the hypervisors: {reason} {trace}")]
    Untold {
        /// The job.
        job: String,
        /// What stood where the lists should have been.
        reason: String,
        /// Where to look for it in the server's log.
        trace: Trace,
    },
    /// The job, or one before it, was not done in time.
    #[error("job {job} was still {state} after {} s (--job-timeout); it may go on {trace}", waited.as_secs())]
    JobTimeout {
        /// The job.
        job: String,
        /// Its last state.
        state: String,
        /// How long it was waited for.
        waited: Duration,
        /// Where to look for it in the server's log.
        trace: Trace,
    },
    /// A signal came while a job was waited for.
    #[error("while waiting for job {job}, which goes on {trace}")]
    Waiting {
        /// The job.
        job: String,
        /// Where to look for it in the server's log.
        trace: Trace,
        /// The signal.
        #[source]
        source: Cancelled,
    },
    /// The body could not be made: a defect of ours.
    #[error("making the body")]
    Body(#[source] serde_json::Error),
}

impl Error {
    /// The kind of this failure.
    pub fn kind(&self) -> Kind {
        match self {
            Error::Connection(source)
            | Error::Exchange { source, .. }
            | Error::Refused { source, .. }
            | Error::Owner { source, .. } => source.kind(),
            Error::Answer { .. } | Error::Untold { .. } => Kind::Protocol,
            Error::NoAsync { .. } | Error::Job { .. } => Kind::Unavailable,
            Error::JobTimeout { .. } => Kind::TempFail,
            Error::Waiting { source, .. } => source.kind(),
            Error::Body(_) => Kind::Software,
        }
    }
}

/// What the server says of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What it can do, such as `hypervisors_async`.
    pub manager_capabilities: Vec<String>,
}

impl Status {
    /// Whether the server can do this.
    pub fn can(&self, capability: &str) -> bool {
        self.manager_capabilities.iter().any(|own| own == capability)
    }
}

impl Candlepin {
    /// Makes ready to talk to a server; nothing is sent yet.
    pub fn new(
        endpoint: &Endpoint,
        reporter: Reporter,
        correlation: Correlation,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        Ok(Candlepin {
            http: Http::new(endpoint, cancel).map_err(Error::Connection)?,
            reporter,
            cancel: cancel.clone(),
            correlation,
        })
    }

    /// Asks the server what it is and can do. This proves neither the credentials nor that it works.
    pub fn status(&mut self) -> Result<Status, Error> {
        let doing = "asking for the status";
        let (response, trace) = self.exchange(doing, Request::get("/status"))?;
        Ok(json(response, LARGEST_STATUS, doing, trace)?.0)
    }

    /// Fails unless the server has the asynchronous check-in, the only one that [`Candlepin::check_in`] does.
    pub fn require_async(&mut self) -> Result<(), Error> {
        let status = self.status()?;
        match status.can("hypervisors_async") {
            true => Ok(()),
            false => Err(Error::NoAsync {
                version: shortened(&status.version),
            }),
        }
    }

    /// Sends a check-in and waits for its job to the end, but no longer than `limit` for it and the jobs before it.
    ///
    /// What the server says is added to the tally, the job's id also where the check-in fails. A report may be sent
    /// twice: it only says how things are.
    pub fn check_in(
        &mut self,
        check_in: &CheckIn<'_>,
        limit: Duration,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        let body = check_in.body().map_err(Error::Body)?;
        let patience = Patience::new(limit);
        // They grow over all attempts, lest two reporters get in each other's way for ever.
        let mut pauses = Pauses::default();
        loop {
            let job = self.send(&body)?;
            let blocked = matches!(job.about.clone().end(), Some(End::Blocked(_)));
            if !blocked {
                tally.jobs.push(job.about.id.clone());
            }
            let (end, job) = self.wait(job, &patience)?;
            match end {
                End::Finished(lists) => {
                    tally.add(&check_in.sent(), &lists);
                    return Ok(());
                }
                End::Blocked(others) => {
                    log::info!(
                        "waiting for another report of this owner: job {}",
                        others.join(", ")
                    );
                    self.pause(&mut pauses, &patience, &job)?;
                    for other in others {
                        self.wait_for_other(&other, &patience)?;
                    }
                }
                End::Failed(reason) => {
                    let Told { about, trace } = job;
                    let (job, state) = (about.id, about.state.to_string());
                    return Err(Error::Job {
                        job,
                        state,
                        reason,
                        trace,
                    });
                }
                End::Untold(reason) => {
                    let Told { about, trace } = job;
                    return Err(Error::Untold {
                        job: about.id,
                        reason,
                        trace,
                    });
                }
            }
        }
    }

    fn send(&mut self, body: &[u8]) -> Result<Told, Error> {
        let doing = "checking in";
        let owner = utf8_percent_encode(&self.reporter.owner, PLAIN);
        let reporter = utf8_percent_encode(&self.reporter.id, PLAIN);
        let path = format!("/hypervisors/{owner}?reporter_id={reporter}");
        // Any other type than text/plain is answered with 415.
        let request = Request::post(path, "text/plain", body).repeatable();
        let request = request.basic(&self.reporter.username, &self.reporter.password);
        match self.exchange(doing, request) {
            Ok((response, trace)) => self.job(response, doing, trace),
            Err(Error::Exchange {
                trace,
                source: source @ http::Error::Status { status: 404, .. },
                ..
            }) => Err(Error::Owner {
                owner: self.reporter.owner.clone(),
                username: self.reporter.username.clone(),
                trace,
                source,
            }),
            Err(error) => Err(error),
        }
    }

    fn ask(&mut self, id: &str) -> Result<Told, Error> {
        let doing = format!("asking for job {id}");
        // Without result_data=true old servers hide the result.
        let path = format!("/jobs/{}?result_data=true", utf8_percent_encode(id, PLAIN));
        let request = Request::get(path).basic(&self.reporter.username, &self.reporter.password);
        let (response, trace) = self.exchange(&doing, request)?;
        self.job(response, &doing, trace)
    }

    /// Waits for the job's end.
    fn wait(&mut self, mut job: Told, patience: &Patience) -> Result<(End, Told), Error> {
        let mut pauses = Pauses::default();
        loop {
            if let Some(end) = job.about.clone().end() {
                return Ok((end, job));
            }
            self.pause(&mut pauses, patience, &job)?;
            job = self.ask(&job.about.id)?;
        }
    }

    /// Waits for a job of somebody else, of which we may not be allowed to hear.
    fn wait_for_other(&mut self, id: &str, patience: &Patience) -> Result<(), Error> {
        match self.ask(id) {
            Ok(job) => self.wait(job, patience).map(drop),
            Err(Error::Refused { .. }) => Ok(()),
            Err(error) if error.kind() == Kind::Unavailable => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Lets time go by before the job is asked for again.
    fn pause(&self, pauses: &mut Pauses, patience: &Patience, job: &Told) -> Result<(), Error> {
        let Told { about, trace } = job;
        let pause = pauses.next().unwrap_or_default();
        let Some(pause) = patience.part_of(pause) else {
            return Err(Error::JobTimeout {
                job: about.id.clone(),
                state: about.state.to_string(),
                waited: patience.limit,
                trace: trace.clone(),
            });
        };
        self.cancel.sleep(pause).map_err(|source| Error::Waiting {
            job: about.id.clone(),
            trace: trace.clone(),
            source,
        })
    }

    /// Sends a request, and makes an error of every answer but a good one.
    fn exchange(&mut self, doing: &str, request: Request<'_>) -> Result<(Response, Trace), Error> {
        let mut trace = Trace {
            correlation: self.correlation.clone(),
            request: None,
        };
        let request = request
            .header("Accept", "application/json")
            .header("X-Correlation-ID", &self.correlation.0);
        let sent = self.http.send(&request).map(|response| {
            trace.request = response.header("x-candlepin-request-uuid").map(shortened);
            response
        });
        let status = sent.as_ref().map(Response::status).unwrap_or_default();
        let source = match sent {
            // 200 from current servers, 202 from old ones for a check-in.
            Ok(response) if matches!(status, 200 | 202) => {
                log::debug!("{doing}: {status} {trace}");
                return Ok((response, trace));
            }
            Ok(response) => response.into_error(displayed),
            Err(error) => error,
        };
        Err(match source {
            http::Error::Status {
                status: 401 | 403, ..
            } => Error::Refused {
                username: self.reporter.username.clone(),
                trace,
                source,
            },
            _ => Error::Exchange {
                doing: doing.to_owned(),
                trace,
                source,
            },
        })
    }

    fn job(&self, response: Response, doing: &str, trace: Trace) -> Result<Told, Error> {
        let (about, trace): (Job, Trace) = json(response, LARGEST_JOB, doing, trace)?;
        log::debug!("job {} {}", about.id, about.state);
        Ok(Told { about, trace })
    }
}

/// A job, and the exchange that told of it.
struct Told {
    about: Job,
    trace: Trace,
}

/// Reads the body of an answer as JSON.
fn json<T: DeserializeOwned>(
    response: Response,
    limit: u64,
    doing: &str,
    trace: Trace,
) -> Result<(T, Trace), Error> {
    let html = response.is_html();
    let body = match response.read(limit) {
        Ok(body) => body,
        Err(source) => {
            return Err(Error::Exchange {
                doing: doing.to_owned(),
                trace,
                source,
            });
        }
    };
    match serde_json::from_slice(&body) {
        Ok(value) => Ok((value, trace)),
        Err(error) => Err(Error::Answer {
            doing: doing.to_owned(),
            reason: match html {
                true => "a web page came instead".to_owned(),
                false => shortened(&error.to_string()),
            },
            trace,
        }),
    }
}

/// The message in the body of a Candlepin's refusal.
fn displayed(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Refusal {
        display_message: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    Some(refusal.display_message)
}

/// How long a check-in waits for the server's jobs, its own and those before it.
struct Patience {
    since: Instant,
    limit: Duration,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Patience {
            since: Instant::now(),
            limit,
        }
    }

    /// The pause, or the part of it that is left; none when nothing is left.
    fn part_of(&self, pause: Duration) -> Option<Duration> {
        let left = self.limit.saturating_sub(self.since.elapsed());
        (!left.is_zero()).then(|| pause.min(left))
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

    #[test]
    fn the_status_of_both_generations_tells_what_they_can() {
        for body in [
            &include_bytes!("../tests/data/candlepin/4.7.5-status.json")[..],
            include_bytes!("../tests/data/candlepin/2.4.16-status.json"),
        ] {
            let status: Status = serde_json::from_slice(body).unwrap();
            assert!(
                status.can("hypervisors_async") && !status.can("hypervisors"),
                "{status:?}"
            );
        }
    }

    #[test]
    fn the_message_of_a_refusal() {
        let body = br#"{"displayMessage":"Invalid Credentials","requestUuid":"x"}"#;
        assert_eq!(displayed(body).as_deref(), Some("Invalid Credentials"));
        assert_eq!(displayed(b"<html>"), None);
    }

    #[test]
    fn an_owner_is_encoded_as_the_server_reads_it() {
        let encoded = utf8_percent_encode("A b/ü+", PLAIN).to_string();
        assert_eq!(encoded, "A%20b%2F%C3%BC%2B");
    }

    #[test]
    fn patience_ends() {
        let minute = Duration::from_secs(60);
        assert_eq!(Patience::new(Duration::ZERO).part_of(minute), None);
        assert!(Patience::new(minute).part_of(minute * 2).unwrap() <= minute);
    }
}
