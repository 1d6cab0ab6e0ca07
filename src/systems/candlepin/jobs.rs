//! Check-ins and heartbeats, and waiting for the jobs that the server makes of them.

use std::time::{Duration, Instant};

use percent_encoding::utf8_percent_encode;

use super::job::{End, Job, JobState, Lists, backoff, shortened};
use super::{Batch, Candlepin, Error, LogIds, PLAIN, Status, Tally, can_be_named, json};
use crate::backoff::Backoff;
use crate::error::{Classify, Kind};
use crate::http::{Request, Response};

/// The limit for an answer about a job, in bytes. One with 100,000 hypervisors has about 25 MB.
const LARGEST_JOB: u64 = 32 << 20;

/// How a check-in is done.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How long to wait for its job, including the jobs that block it.
    pub limit: Duration,
    /// Whether to wait for its job.
    pub wait: bool,
}

/// What became of a check-in, or of a job that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server has finished it, and said what became of each hypervisor.
    Finished,
    /// The server has accepted it; it is not done yet.
    Pending,
}

impl Candlepin {
    /// Sends a batch and waits until its job ends, as `manner` says.
    ///
    /// Adds the server's answer to the tally, and the job's id also if the check-in fails. Sending a batch twice is harmless: it
    /// describes a state, not a change. `status` is that of [`Candlepin::status`].
    pub fn check_in(
        &mut self,
        batch: Batch<'_, '_>,
        status: &Status,
        manner: Manner,
        tally: &mut Tally,
    ) -> Result<Outcome, Error> {
        if !status.is_asynchronous() {
            let lists = self.check_in_synchronously(batch)?;
            tally.ended = None;
            tally.add(&batch.sent_synchronously(), &lists);
            return Ok(Outcome::Finished);
        }
        let body = batch.body().map_err(Error::Body)?;
        let patience = Patience::new(manner.limit);
        // Pauses grow over all attempts, so that two reporters don't livelock.
        let mut pauses = backoff();
        loop {
            let job = self.send(&body)?;
            let blocked = matches!(job.job.end(), Some(End::Blocked(_)));
            if !blocked {
                tally.jobs.push(job.job.id.clone());
            }
            if !manner.wait && job.job.end().is_none() {
                return Ok(Outcome::Pending);
            }
            let (end, job) = self.wait(job, &patience)?;
            match end {
                End::Blocked(others) => {
                    log::info!(
                        "waiting for another report of this owner: job {}",
                        others.join(", ")
                    );
                    let awaited = Awaited {
                        job: &others.join(", "),
                        state: "another report of this owner and must end first",
                        log_ids: &job.log_ids,
                    };
                    self.pause(&mut pauses, None, &patience, awaited)?;
                    for other in others {
                        self.wait_for_other(&other, &patience)?;
                    }
                }
                end => {
                    tally.ended = job.job.ended();
                    tally.add(&batch.sent(), &job.finished(end)?);
                    return Ok(Outcome::Finished);
                }
            }
        }
    }

    /// Proves that a report would be accepted, by an empty check-in, which changes nothing.
    pub fn try_out(&mut self, status: &Status, limit: Duration) -> Result<(), Error> {
        if !status.is_asynchronous() {
            return self.check_in_synchronously(Batch::EMPTY).map(drop);
        }
        let job = self.send(&Batch::EMPTY.body().map_err(Error::Body)?)?;
        match self.wait(job, &Patience::new(limit))? {
            // Blocked by another report means that the login was accepted.
            (End::Blocked(_), _) => Ok(()),
            (end, job) => job.finished(end).map(drop),
        }
    }

    /// Sends a heartbeat: the reporter is alive, and its last report is still true.
    pub fn heartbeat(&mut self, status: &Status, limit: Duration, tally: &mut Tally) -> Result<(), Error> {
        if !status.has_heartbeat() {
            return Err(Error::NoHeartbeat {
                version: shortened(&status.version),
            });
        }
        let doing = "sending a heartbeat";
        let (owner, reporter) = self.encoded_names();
        let request = Request::put(
            format!("/hypervisors/{owner}/heartbeat?reporter_id={reporter}"),
            "application/json",
            b"",
        );
        let job = match self.exchange(doing, request) {
            Ok((response, log_ids)) => tracked(response, doing, log_ids)?,
            // The owner may be known nevertheless: some proxies in front of Candlepin don't pass this request on.
            Err(Error::NotFound { log_ids, source, .. }) => {
                return Err(Error::HeartbeatNotFound {
                    doing,
                    log_ids,
                    source,
                });
            }
            Err(error) => return Err(error),
        };
        tally.jobs.push(job.job.id.clone());
        let (end, job) = self.wait(job, &Patience::new(limit))?;
        tally.ended = job.job.ended();
        match (&job.job.state, end) {
            // The result of a heartbeat is a sentence, not lists.
            (JobState::Finished, _) => Ok(()),
            (_, end) => job.finished(end).map(drop),
        }
    }

    /// Asks what became of a job.
    pub fn job(&mut self, id: &str, tally: &mut Tally) -> Result<Outcome, Error> {
        let job = self.ask(id)?;
        tally.jobs.push(job.job.id.clone());
        let Some(end) = job.job.end() else {
            return Ok(Outcome::Pending);
        };
        tally.add(&[], &job.finished(end)?);
        Ok(Outcome::Finished)
    }

    /// The owner and the reporter id, encoded for a path and a query.
    fn encoded_names(&self) -> (String, String) {
        let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
        (encoded(&self.client.owner), encoded(&self.client.id))
    }

    fn send(&mut self, body: &[u8]) -> Result<TrackedJob, Error> {
        let doing = "checking in";
        let (owner, reporter) = self.encoded_names();
        let path = format!("/hypervisors/{owner}?reporter_id={reporter}");
        // The server answers any other type than text/plain with 415.
        let request = Request::post(path, "text/plain", body).repeatable();
        match self.exchange(doing, request) {
            Ok((response, log_ids)) => tracked(response, doing, log_ids),
            Err(error) => Err(self.unknown_owner(error)),
        }
    }

    /// The check-in of servers without jobs: the answer has the lists.
    fn check_in_synchronously(&mut self, batch: Batch<'_, '_>) -> Result<Lists, Error> {
        let doing = "checking in";
        let body = batch.synchronous_body().map_err(Error::Body)?;
        let (owner, reporter) = self.encoded_names();
        let environment = match &self.client.environment {
            Some(environment) => format!("&env={}", utf8_percent_encode(environment, PLAIN)),
            None => String::new(),
        };
        let path = format!("/hypervisors?owner={owner}{environment}&reporter_id={reporter}");
        let request = Request::post(path, "application/json", &body).repeatable();
        match self.exchange(doing, request) {
            Ok((response, log_ids)) => Ok(json(response, LARGEST_JOB, doing, log_ids)?.0),
            Err(error) => Err(self.unknown_owner(error)),
        }
    }

    /// The error of a check-in or a list that got 404: the owner does not exist, or the user has no access to it.
    pub(super) fn unknown_owner(&self, error: Error) -> Error {
        match error {
            Error::NotFound { log_ids, source, .. } => Error::Owner {
                owner: self.client.owner.clone(),
                who: self.client.login.to_string(),
                log_ids,
                source,
            },
            error => error,
        }
    }

    fn ask(&mut self, id: &str) -> Result<TrackedJob, Error> {
        let doing = format!("asking for job {id}");
        if !can_be_named(id) {
            let log_ids = LogIds {
                correlation: self.correlation.clone(),
                request: None,
            };
            let reason = "no job can have this id".to_owned();
            return Err(Error::Answer {
                doing,
                reason,
                log_ids,
            });
        }
        // Without result_data=true old servers hide the result.
        let path = format!("/jobs/{}?result_data=true", utf8_percent_encode(id, PLAIN));
        let (response, log_ids) = self.exchange(&doing, Request::get(path))?;
        tracked(response, &doing, log_ids)
    }

    /// Waits until the job ends. Temporary failures don't end the wait: a server that restarts continues the job afterwards.
    fn wait(&mut self, mut job: TrackedJob, patience: &Patience) -> Result<(End, TrackedJob), Error> {
        let begun = Instant::now();
        let mut pauses = backoff();
        let mut trouble: Option<Error> = None;
        loop {
            if let Some(end) = job.job.end() {
                let seconds = begun.elapsed().as_secs_f32();
                log::debug!("job {} {} after {seconds:.1} s", job.job.id, job.job.state);
                return Ok((end, job));
            }
            let asked = trouble.as_ref().and_then(Error::retry_after);
            let paused = self.pause(&mut pauses, asked, patience, job.awaited());
            match paused.and_then(|()| self.ask(&job.job.id)) {
                Ok(answer) => {
                    job = answer;
                    trouble = None;
                }
                // The path was right a moment ago: a server that restarts answers like this until Candlepin is up.
                Err(error)
                    if (error.may_pass() || matches!(error, Error::NoCandlepin { .. }))
                        && !self.is_late() =>
                {
                    log::warn!("{}; asking again", error.with_causes());
                    trouble = Some(error);
                }
                // The time is over: the last trouble says more than that.
                Err(error) => {
                    return Err(match (error.kind(), trouble) {
                        (Kind::TempFail, Some(trouble)) => trouble,
                        (Kind::TempFail, None) if self.is_late() => job.awaited().late(),
                        _ => error,
                    });
                }
            }
        }
    }

    /// Waits for a job of another reporter, which we may not be allowed to see.
    fn wait_for_other(&mut self, id: &str, patience: &Patience) -> Result<(), Error> {
        match self.ask(id) {
            Ok(job) => self.wait(job, patience).map(drop),
            Err(Error::Refused { .. }) => Ok(()),
            Err(error) if error.kind() == Kind::Unavailable => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Pauses before the next question about a job, at least as long as the server asked for.
    fn pause(
        &self,
        pauses: &mut Backoff,
        asked: Option<Duration>,
        patience: &Patience,
        awaited: Awaited<'_>,
    ) -> Result<(), Error> {
        let pause = pauses.pause(asked);
        let Some(pause) = patience.part_of(pause) else {
            return Err(Error::JobTimeout {
                job: awaited.job.to_owned(),
                state: awaited.state.to_owned(),
                waited: patience.limit,
                log_ids: awaited.log_ids.clone(),
            });
        };
        let left = self
            .deadline
            .map(|end| end.saturating_duration_since(Instant::now()));
        let pause = left.into_iter().chain([pause]).min().unwrap_or(pause);
        self.cancel.sleep(pause).map_err(|source| Error::Waiting {
            job: awaited.job.to_owned(),
            log_ids: awaited.log_ids.clone(),
            source,
        })?;
        match self.is_late() {
            true => Err(awaited.late()),
            false => Ok(()),
        }
    }

    /// Whether the time for everything is over.
    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|end| end <= Instant::now())
    }
}

/// A job, and the ids of the exchange that described it.
struct TrackedJob {
    job: Job,
    log_ids: LogIds,
}

/// A job that we wait for, as an error names it if that takes too long.
#[derive(Debug, Clone, Copy)]
struct Awaited<'a> {
    job: &'a str,
    state: &'a str,
    log_ids: &'a LogIds,
}

impl Awaited<'_> {
    fn late(&self) -> Error {
        Error::Late {
            job: self.job.to_owned(),
            state: self.state.to_owned(),
            log_ids: self.log_ids.clone(),
        }
    }
}

impl TrackedJob {
    fn awaited(&self) -> Awaited<'_> {
        Awaited {
            job: &self.job.id,
            state: self.job.state.as_str(),
            log_ids: &self.log_ids,
        }
    }

    /// The job's lists of hypervisors, if it succeeded.
    fn finished(self, end: End) -> Result<Lists, Error> {
        let TrackedJob { job, log_ids } = self;
        let Job { id, state, .. } = job;
        match end {
            End::Finished(lists) => Ok(lists),
            End::NoLists(reason) => Err(Error::NoLists {
                job: id,
                reason,
                log_ids,
            }),
            End::Failed(reason) => Err(Error::Job {
                job: id,
                state: state.to_string(),
                reason,
                log_ids,
            }),
            End::Blocked(others) => Err(Error::Job {
                job: id,
                state: state.to_string(),
                reason: format!("blocked by {}", others.join(", ")),
                log_ids,
            }),
        }
    }
}

/// Reads an answer that describes a job.
fn tracked(response: Response, doing: &str, log_ids: LogIds) -> Result<TrackedJob, Error> {
    let (job, log_ids): (Job, LogIds) = json(response, LARGEST_JOB, doing, log_ids)?;
    log::debug!("job {} {}", job.id, job.state);
    Ok(TrackedJob { job, log_ids })
}

/// How long a check-in waits for its job and the jobs that block it.
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

    /// The pause, or the rest of the time if that is shorter; `None` if no time is left.
    fn part_of(&self, pause: Duration) -> Option<Duration> {
        let left = self.limit.saturating_sub(self.since.elapsed());
        (!left.is_zero()).then(|| pause.min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_cut_to_what_is_left_of_the_time_limit() {
        let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
        let after = |elapsed: Duration| Patience {
            since: Instant::now().checked_sub(elapsed).unwrap(),
            limit: hour,
        };
        let fits = after(hour / 2).part_of(second);
        assert_eq!(fits, Some(second), "a pause that fits is not changed");
        let cut = after(hour / 2).part_of(hour).unwrap();
        assert!(cut > second && cut <= hour / 2, "{cut:?}");
        assert_eq!(after(hour).part_of(second), None, "the time is over");
    }
}
