//! Candlepin, the subscription service: hypervisors and their guests are checked in with it.
//!
//! A [`CheckIn`] is what of a mapping is sent. [`Candlepin::check_in`] sends it, waits for the job that the server makes of
//! it, compares what the job says with what was sent, and adds that to a [`Tally`].
//!
//! Facts about real servers, current and old, are from exchanges recorded with Candlepin 4.7.5 and 2.4.16.

mod account;
mod checkin;
mod error;
mod job;

use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::account::{Failed, Tally};
pub use self::checkin::CheckIn;
pub use self::error::{Correlation, Error, Trace};
use self::job::{End, Job, Pauses, shortened};
use crate::cancel::Cancel;
use crate::error::Kind;
use crate::http::{self, Endpoint, Http, Request, Response};
use crate::secret::Secret;

/// The largest answer about a job in bytes; one of 100,000 hypervisors has about 25 MB.
const LARGEST_JOB: u64 = 32 << 20;
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
            http: Http::new(endpoint, cancel).map_err(|error| Error::Connection(error.into()))?,
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
            Err(Error::Exchange { trace, source, .. })
                if matches!(*source, http::Error::Status { status: 404, .. }) =>
            {
                Err(Error::Owner {
                    owner: self.reporter.owner.clone(),
                    username: self.reporter.username.clone(),
                    trace,
                    source,
                })
            }
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
        let source = match self.http.send(&request) {
            Ok(response) => {
                trace.request = response.header("x-candlepin-request-uuid").map(shortened);
                let status = response.status();
                log::debug!("{doing}: {status}, {trace}");
                // 200 from current servers, 202 from old ones for a check-in.
                if matches!(status, 200 | 202) {
                    return Ok((response, trace));
                }
                response.into_error(displayed)
            }
            Err(error) => error,
        };
        let source = Box::new(source);
        Err(match *source {
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
                source: source.into(),
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
