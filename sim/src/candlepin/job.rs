//! Jobs: their states, how long they take, and how each generation shows them.

use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::report::Report;
use super::{Generation, JobState, JobTime};
use crate::{clock, fresh};

/// What a job does at its end.
pub(super) enum Work {
    /// Applies a report.
    CheckIn {
        report: Report,
        reporter: Option<String>,
    },
    /// Notes that a reporter is alive.
    Heartbeat { reporter: String },
    /// Fails in any case, as with a body that 2.4.16 cannot read.
    Fail(String),
    /// An administrator cancels it.
    Cancel,
    /// Does nothing: the report of somebody else, which only takes time.
    Nothing,
}

/// A job of an owner.
pub(super) struct Job {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) heartbeat: bool,
    pub(super) principal: String,
    pub(super) correlation: Option<String>,
    pub(super) state: JobState,
    previous: JobState,
    pub(super) result: Value,
    /// 2.4.16's sentence about the end.
    sentence: Option<String>,
    pub(super) work: Option<Work>,
    time: JobTime,
    /// How many GETs showed it before its end.
    shown: u32,
    /// When it began; `None` for a waiting job.
    begun: Option<Instant>,
    created: SystemTime,
    started: Option<SystemTime>,
    ended: Option<SystemTime>,
}

impl Job {
    pub(super) fn new(owner: &str, work: Work, time: JobTime, generation: Generation) -> Self {
        let id = match generation {
            Generation::Current => format!("ff808081{}", fresh::hex(12)),
            Generation::Old => format!("hypervisor_update_{}", fresh::uuid()),
        };
        Job {
            id,
            owner: owner.into(),
            heartbeat: matches!(work, Work::Heartbeat { .. }),
            principal: String::new(),
            correlation: None,
            state: JobState::Created,
            previous: JobState::Created,
            result: Value::Null,
            sentence: None,
            work: Some(work),
            time,
            shown: 0,
            begun: Some(Instant::now()),
            created: SystemTime::now(),
            started: None,
            ended: None,
        }
    }

    /// Makes it wait for the jobs before it.
    pub(super) fn wait(&mut self) {
        self.state = JobState::Waiting;
        self.begun = None;
    }

    /// Lets it begin, because the jobs before it are done.
    pub(super) fn begin(&mut self) {
        self.go(JobState::Created);
        self.begun = Some(Instant::now());
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(
            self.state,
            JobState::Created | JobState::Waiting | JobState::Running
        )
    }

    /// Whether it is to end now; also moves it from CREATED to RUNNING.
    pub(super) fn is_due(&mut self) -> bool {
        let Some(begun) = self.begun.filter(|_| self.is_open()) else {
            return false;
        };
        let (runs, due) = match self.time {
            JobTime::Polls(polls) => (self.shown > 0, self.shown >= polls),
            JobTime::After(time) => (
                begun.elapsed() > time.min(Duration::from_millis(20)),
                begun.elapsed() >= time,
            ),
        };
        if runs && self.state == JobState::Created {
            self.go(JobState::Running);
            self.started = Some(SystemTime::now());
        }
        due
    }

    /// Counts that a client saw its state.
    pub(super) fn show(&mut self) {
        self.shown += 1;
    }

    /// Ends it. `sentence` is the text of 2.4.16.
    pub(super) fn end(&mut self, state: JobState, result: Value, sentence: Option<String>) {
        if self.state == JobState::Created && state == JobState::Finished {
            self.go(JobState::Running);
        }
        self.started.get_or_insert_with(SystemTime::now);
        self.go(state);
        self.result = result;
        self.sentence = sentence;
        self.ended = Some(SystemTime::now());
    }

    /// Refuses it before it ever runs.
    pub(super) fn block(&mut self, by: &[String]) {
        self.work = None;
        self.go(JobState::Failed);
        self.result = format!("Job blocked by the following existing jobs: {}", by.join(", ")).into();
    }

    fn go(&mut self, state: JobState) {
        self.previous = self.state;
        self.state = state;
    }

    /// The job as a server of this generation shows it.
    pub(super) fn json(&self, generation: Generation, with_result: bool) -> Value {
        let time = |time: Option<SystemTime>| time.map(clock::with_zone);
        let path = format!("/jobs/{}", self.id);
        let updated = self.ended.or(self.started).or(Some(self.created));
        match generation {
            Generation::Current => {
                let (key, name) = match self.heartbeat {
                    true => ("HypervisorHeartbeatUpdateJob", "Hypervisor Heartbeat Update"),
                    false => ("HypervisorUpdateJob", "Hypervisor Update"),
                };
                json!({
                    "attempts": u8::from(self.started.is_some()), "created": time(Some(self.created)),
                    "endTime": time(self.ended), "executor": self.started.map(|_| "vm"), "group": null,
                    "id": self.id, "key": key, "maxAttempts": 1, "name": name, "origin": "vm",
                    "previousState": self.previous.as_str(), "principal": self.principal,
                    "resultData": self.result, "startTime": time(self.started), "state": self.state.as_str(),
                    "statusPath": path, "updated": time(updated),
                })
            }
            Generation::Old => {
                let finished = if self.state == JobState::Finished {
                    self.ended
                } else {
                    None
                };
                let result = if with_result {
                    self.result.clone()
                } else {
                    "[cloaked]".into()
                };
                json!({
                    "created": time(Some(self.created)), "updated": time(updated), "id": self.id,
                    "state": self.state.as_str(), "startTime": time(self.started), "finishTime": time(finished),
                    "result": self.sentence, "principalName": self.principal, "targetType": "owner",
                    "targetId": self.owner, "ownerId": self.owner, "correlationId": self.correlation,
                    "resultData": result, "done": !self.is_open(), "group": "async group", "statusPath": path,
                })
            }
        }
    }
}
