//! Checking in, and the jobs that come of it.

use std::time::{Duration, Instant};

use percent_encoding::utf8_percent_encode;

use super::job::{End, Job, Lists, State, backoff, shortened};
use super::{Batch, Candlepin, Error, LogIds, PLAIN, Status, Tally, can_be_named, json};
use crate::backoff::Backoff;
use crate::error::{Classify, Kind};
use crate::http::{Request, Response};

/// The largest answer about a job in bytes; one of 100,000 hypervisors has about 25 MB.
const LARGEST_JOB: u64 = 32 << 20;

/// How a check-in is done.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How long to wait for its job and those before it.
    pub limit: Duration,
    /// Whether to wait for its job at all.
    pub wait: bool,
}

/// What became of a check-in, or of a job that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server has done it, and said what became of each hypervisor.
    Finished,
    /// The server has accepted it; it is not done yet.
    Pending,
}

impl Candlepin {
    /// Sends a batch and waits for its job to the end, as `manner` says.
    ///
    /// What the server says is added to the tally, the job's id also where the check-in fails. A report may be sent
    /// twice: it only says how things are. `status` is that of [`Candlepin::status`].
    pub fn check_in(
        &mut self,
        batch: Batch<'_, '_>,
        status: &Status,
        manner: Manner,
        tally: &mut Tally,
    ) -> Result<Outcome, Error> {
        if !status.is_asynchronous() {
            let lists = self.check_in_synchronously(batch)?;
            tally.add(&batch.sent_synchronously(), &lists);
            return Ok(Outcome::Finished);
        }
        let body = batch.body().map_err(Error::Body)?;
        let patience = Patience::new(manner.limit);
        // They grow over all attempts, so that two reporters don't livelock.
        let mut pauses = backoff();
        loop {
            let job = self.send(&body)?;
            let blocked = matches!(job.about.end(), Some(End::Blocked(_)));
            if !blocked {
                tally.jobs.push(job.about.id.clone());
            }
            if !manner.wait && job.about.end().is_none() {
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
                    tally.add(&batch.sent(), &job.finished(end)?);
                    return Ok(Outcome::Finished);
                }
            }
        }
    }

    /// Proves that a report would be taken: an empty check-in, which changes nothing.
    pub fn try_out(&mut self, status: &Status, limit: Duration) -> Result<(), Error> {
        if !status.is_asynchronous() {
            return self.check_in_synchronously(Batch::EMPTY).map(drop);
        }
        let job = self.send(&Batch::EMPTY.body().map_err(Error::Body)?)?;
        match self.wait(job, &Patience::new(limit))? {
            // Whoever has to wait for another report has been let in.
            (End::Blocked(_), _) => Ok(()),
            (end, job) => job.finished(end).map(drop),
        }
    }

    /// Tells the server that the reporter is alive and what it reported still holds.
    pub fn heartbeat(&mut self, status: &Status, limit: Duration, tally: &mut Tally) -> Result<(), Error> {
        if !status.has_heartbeat() {
            return Err(Error::NoHeartbeat {
                version: shortened(&status.version),
            });
        }
        let doing = "sending a heartbeat";
        let (owner, reporter) = self.names();
        let request = Request::put(
            format!("/hypervisors/{owner}/heartbeat?reporter_id={reporter}"),
            "application/json",
            b"",
        );
        let job = match self.exchange(doing, request) {
            Ok((response, log_ids)) => told(response, doing, log_ids)?,
            // The owner may be known all the same: not everything before a Candlepin hands this request on.
            Err(Error::NotFound { log_ids, source, .. }) => {
                return Err(Error::HeartbeatNotFound {
                    doing,
                    log_ids,
                    source,
                });
            }
            Err(error) => return Err(error),
        };
        tally.jobs.push(job.about.id.clone());
        let (end, job) = self.wait(job, &Patience::new(limit))?;
        match (&job.about.state, end) {
            // Its result is a sentence.
            (State::Finished, _) => Ok(()),
            (_, end) => job.finished(end).map(drop),
        }
    }

    /// Asks what became of a job.
    pub fn job(&mut self, id: &str, tally: &mut Tally) -> Result<Outcome, Error> {
        let job = self.ask(id)?;
        tally.jobs.push(job.about.id.clone());
        let Some(end) = job.about.end() else {
            return Ok(Outcome::Pending);
        };
        tally.add(&[], &job.finished(end)?);
        Ok(Outcome::Finished)
    }

    /// The owner and the reporter, as they stand in a path and a query.
    fn names(&self) -> (String, String) {
        let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
        (encoded(&self.client.owner), encoded(&self.client.id))
    }

    fn send(&mut self, body: &[u8]) -> Result<Told, Error> {
        let doing = "checking in";
        let (owner, reporter) = self.names();
        let path = format!("/hypervisors/{owner}?reporter_id={reporter}");
        // Any other type than text/plain is answered with 415.
        let request = Request::post(path, "text/plain", body).repeatable();
        match self.exchange(doing, request) {
            Ok((response, log_ids)) => told(response, doing, log_ids),
            Err(error) => Err(self.unknown_owner(error)),
        }
    }

    /// The check-in of servers that know no jobs: they answer with the lists at once.
    fn check_in_synchronously(&mut self, batch: Batch<'_, '_>) -> Result<Lists, Error> {
        let doing = "checking in";
        let body = batch.synchronous_body().map_err(Error::Body)?;
        let (owner, reporter) = self.names();
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

    /// The server does not tell an owner of others from none.
    fn unknown_owner(&self, error: Error) -> Error {
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

    fn ask(&mut self, id: &str) -> Result<Told, Error> {
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
        told(response, &doing, log_ids)
    }

    /// Waits for the job's end. A server that can't be asked for a while, as it restarts, goes on with it afterwards.
    fn wait(&mut self, mut job: Told, patience: &Patience) -> Result<(End, Told), Error> {
        let begun = Instant::now();
        let mut pauses = backoff();
        let mut trouble: Option<Error> = None;
        loop {
            if let Some(end) = job.about.end() {
                let seconds = begun.elapsed().as_secs_f32();
                log::debug!("job {} {} after {seconds:.1} s", job.about.id, job.about.state);
                return Ok((end, job));
            }
            let asked = trouble.as_ref().and_then(Error::retry_after);
            let paused = self.pause(&mut pauses, asked, patience, job.awaited());
            match paused.and_then(|()| self.ask(&job.about.id)) {
                Ok(told) => {
                    job = told;
                    trouble = None;
                }
                // The path was right a moment ago: a server that restarts answers so until its Candlepin is there.
                Err(error)
                    if (error.may_pass() || matches!(error, Error::NoCandlepin { .. }))
                        && !self.is_late() =>
                {
                    log::warn!("{}; asking again", error.with_causes());
                    trouble = Some(error);
                }
                // The time is over: what kept us from hearing of the end says more than that.
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

    /// Waits for a job of somebody else, of which we may not be allowed to hear.
    fn wait_for_other(&mut self, id: &str, patience: &Patience) -> Result<(), Error> {
        match self.ask(id) {
            Ok(job) => self.wait(job, patience).map(drop),
            Err(Error::Refused { .. }) => Ok(()),
            Err(error) if error.kind() == Kind::Unavailable => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Lets time go by before the job is asked for again, as long as the server asks for it.
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

    /// Whether the time for the whole is over.
    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|end| end <= Instant::now())
    }
}

/// A job, and the exchange that told of it.
struct Told {
    about: Job,
    log_ids: LogIds,
}

/// A job that is waited for, as it is told if that takes too long.
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

impl Told {
    fn awaited(&self) -> Awaited<'_> {
        Awaited {
            job: &self.about.id,
            state: self.about.state.as_str(),
            log_ids: &self.log_ids,
        }
    }

    /// What the job says of the hypervisors, if its end is a good one.
    fn finished(self, end: End) -> Result<Lists, Error> {
        let Told { about, log_ids } = self;
        let job = about.id;
        match end {
            End::Finished(lists) => Ok(lists),
            End::Untold(reason) => Err(Error::Untold { job, reason, log_ids }),
            End::Failed(reason) => Err(Error::Job {
                job,
                state: about.state.to_string(),
                reason,
                log_ids,
            }),
            End::Blocked(others) => Err(Error::Job {
                job,
                state: about.state.to_string(),
                reason: format!("blocked by {}", others.join(", ")),
                log_ids,
            }),
        }
    }
}

fn told(response: Response, doing: &str, log_ids: LogIds) -> Result<Told, Error> {
    let (about, log_ids): (Job, LogIds) = json(response, LARGEST_JOB, doing, log_ids)?;
    log::debug!("job {} {}", about.id, about.state);
    Ok(Told { about, log_ids })
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
