//! A simulated Candlepin: check-ins, jobs, heartbeats.
//!
//! It refuses and loses the same as 4.7.5, according to exchanges recorded with a real one. It can also act as 2.4.16, the last
//! version with the synchronous check-in.

mod access;
mod answer;
mod consumer;
mod job;
mod read_back;
mod report;
mod store;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::http::{Request, Response, Service};
use job::{Job, Work};
pub use report::Guest;
use store::{Lists, Manner, Spoiled, Store};

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// 4.7.5: a second report of an owner is refused while one runs; unknown members are ignored.
    Current,
    /// 2.4.16: a second report waits, an unknown member fails the job, and there is the synchronous call, but no heartbeat.
    Old,
}

/// How long a job takes.
#[derive(Debug, Clone, Copy)]
pub enum JobTime {
    /// It is shown unfinished this many times, first as CREATED or RUNNING, however long that takes. Unless this is zero, a job
    /// whose state nobody asks for stays unfinished and blocks others.
    Polls(u32),
    /// It is finished after this time.
    After(Duration),
}

/// What a user may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// All owners.
    All,
    /// These owners. A read-only role is enough to report.
    Owners(Vec<String>),
    /// These owners with a read-only role, which may report but not delete.
    ReadOnly(Vec<String>),
    /// No role at all: 403 for everything.
    Nothing,
}

/// A user.
#[derive(Debug, Clone)]
pub struct Account {
    /// User name.
    pub username: String,
    /// Password in clear.
    pub password: String,
    /// What the user may do.
    pub access: Access,
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base path, without a slash at the end: `/candlepin`, `/rhsm`, `/subscription`.
    pub prefix: String,
    /// Which server it is.
    pub generation: Generation,
    /// Whether a check-in becomes a job; otherwise an old server has only the synchronous call.
    pub asynchronous: bool,
    /// Whether its status lists its capabilities; very old servers list none and have only the synchronous call.
    pub tells_capabilities: bool,
    /// The keys of the owners (organisations).
    pub owners: Vec<String>,
    /// Who may log in.
    pub accounts: Vec<Account>,
    /// How long each job takes.
    pub job_time: JobTime,
}

impl Default for Settings {
    /// Current, under `/candlepin`, one owner `sim` with the user `sim`, password `sim-secret`; jobs take 200 ms.
    fn default() -> Self {
        Settings {
            prefix: "/candlepin".into(),
            generation: Generation::Current,
            asynchronous: true,
            tells_capabilities: true,
            owners: vec!["sim".into()],
            accounts: vec![Account {
                username: "sim".into(),
                password: "sim-secret".into(),
                access: Access::Owners(vec!["sim".into()]),
            }],
            job_time: JobTime::After(Duration::from_millis(200)),
        }
    }
}

/// The states of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Accepted.
    Created,
    /// Waits for another one, in the old generation.
    Waiting,
    /// It is being done.
    Running,
    /// Done; its resultData has the result.
    Finished,
    /// Given up, or refused because another one ran.
    Failed,
    /// Cancelled by an administrator.
    Canceled,
    /// Given up before it ran, in current servers.
    Aborted,
}

impl JobState {
    /// As it is in the answers.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Created => "CREATED",
            JobState::Waiting => "WAITING",
            JobState::Running => "RUNNING",
            JobState::Finished => "FINISHED",
            JobState::Failed => "FAILED",
            JobState::Canceled => "CANCELED",
            JobState::Aborted => "ABORTED",
        }
    }
}

/// How the next job fails.
#[derive(Debug, Clone)]
pub enum Fate {
    /// FAILED, with this resultData.
    Fail(String),
    /// CANCELED by an administrator.
    Cancel,
    /// ABORTED at once, with this resultData. There is no recording of such a job.
    Abort(String),
}

/// A hypervisor as the server holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hypervisor {
    /// The consumer's uuid, which the server chose.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its guests, in the order in which they were reported.
    pub guests: Vec<Guest>,
    /// Its facts.
    pub facts: BTreeMap<String, String>,
    /// Who reported it last.
    pub reporter: Option<String>,
    /// When it was reported last, or a heartbeat of its reporter came.
    pub checked_in: Option<SystemTime>,
}

impl Hypervisor {
    /// The ids of its guests.
    pub fn guest_ids(&self) -> Vec<&str> {
        self.guests.iter().map(|guest| guest.id.as_str()).collect()
    }
}

/// A job, for tests.
#[derive(Debug, Clone)]
pub struct JobSeen {
    /// Its id.
    pub id: String,
    /// The owner that it is for.
    pub owner: String,
    /// Whether it is a heartbeat, not a report.
    pub heartbeat: bool,
    /// Its state.
    pub state: JobState,
    /// The `X-Correlation-ID` of its request.
    pub correlation: Option<String>,
}

/// A request, for tests, without its header, because that has the password.
#[derive(Debug, Clone)]
pub struct RequestSeen {
    /// `GET`, `POST`, `PUT`.
    pub method: String,
    /// The path with its prefix.
    pub path: String,
    /// The text after the `?`.
    pub query: String,
    /// The body.
    pub body: Vec<u8>,
    /// The status of the answer.
    pub status: u16,
}

/// How many requests are kept; further ones are only counted.
const KEPT: usize = 1_000;

/// The server.
pub struct Candlepin {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stores: BTreeMap<String, Store>,
    jobs: Vec<Job>,
    heartbeats: Vec<(String, String)>,
    reporters: BTreeSet<String>,
    requests: Vec<RequestSeen>,
    count: usize,
    fates: VecDeque<Fate>,
    lost: BTreeSet<String>,
    refused: BTreeSet<String>,
    /// The uuids of consumers that were deleted.
    deleted: BTreeSet<String>,
    refusals: VecDeque<u16>,
    /// Texts that are added to every failedUpdate.
    remarks: Vec<String>,
    database_down: bool,
    deploying: bool,
    heartbeats_unknown: bool,
}

impl Default for Candlepin {
    fn default() -> Self {
        Candlepin::new(Settings::default())
    }
}

impl Candlepin {
    /// A server that holds nothing yet.
    pub fn new(settings: Settings) -> Self {
        let mut state = State::default();
        state.stores.extend(
            settings
                .owners
                .iter()
                .map(|owner| (owner.clone(), Store::default())),
        );
        Candlepin {
            settings,
            state: Mutex::new(state),
        }
    }

    /// The settings that it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The hypervisors of an owner by their ids, which are in lower case.
    pub fn hypervisors(&self, owner: &str) -> BTreeMap<String, Hypervisor> {
        let state = self.settled();
        state
            .stores
            .get(owner)
            .map(Store::hypervisors)
            .unwrap_or_default()
    }

    /// Registers a system that is not a hypervisor, and returns its uuid. A report with its dmi.system.uuid turns it into one.
    pub fn register(&self, owner: &str, name: &str, facts: BTreeMap<String, String>) -> Option<String> {
        let mut state = self.settled();
        Some(state.stores.get_mut(owner)?.register(name, facts))
    }

    /// Deletes a registered system; its certificate is refused from then on.
    pub fn unregister(&self, uuid: &str) {
        self.lock().deleted.insert(uuid.to_owned());
    }

    /// Makes a hypervisor look as if this reporter had checked it in at this time.
    pub fn checked_in_by(&self, owner: &str, id: &str, reporter: &str, time: SystemTime) {
        let mut state = self.settled();
        if let Some(store) = state.stores.get_mut(owner) {
            store.touch(id, reporter, time);
        }
    }

    /// The reported guests of a registered system or hypervisor.
    pub fn guests_of(&self, uuid: &str) -> Option<Vec<Guest>> {
        let state = self.settled();
        let mut stores = state.stores.values();
        stores.find_map(|store| Some(store.held(uuid)?.guests.clone()))
    }

    /// All jobs in the order of their arrival.
    pub fn jobs(&self) -> Vec<JobSeen> {
        let state = self.settled();
        let jobs = state.jobs.iter().map(|job| JobSeen {
            id: job.id.clone(),
            owner: job.owner.clone(),
            heartbeat: job.heartbeat,
            state: job.state,
            correlation: job.correlation.clone(),
        });
        jobs.collect()
    }

    /// The heartbeats that came: owner and reporter.
    pub fn heartbeats(&self) -> Vec<(String, String)> {
        self.settled().heartbeats.clone()
    }

    /// Every reporter_id of a report.
    pub fn reporters(&self) -> BTreeSet<String> {
        self.lock().reporters.clone()
    }

    /// The first thousand requests, oldest first.
    pub fn requests(&self) -> Vec<RequestSeen> {
        self.lock().requests.clone()
    }

    /// How many requests came.
    pub fn request_count(&self) -> usize {
        self.lock().count
    }

    /// Plans how the next accepted job fails; several calls make a queue.
    pub fn doom_next_job(&self, fate: Fate) {
        self.lock().fates.push_back(fate);
    }

    /// From now on these hypervisors are lost: they are in none of the four lists, and not stored.
    pub fn lose<I: IntoIterator<Item = S>, S: AsRef<str>>(&self, ids: I) {
        self.lock().lost = ids.into_iter().map(|id| id.as_ref().to_lowercase()).collect();
    }

    /// From now on these hypervisors are refused: they are in failedUpdate and do not change.
    pub fn refuse<I: IntoIterator<Item = S>, S: AsRef<str>>(&self, ids: I) {
        self.lock().refused = ids.into_iter().map(|id| id.as_ref().to_lowercase()).collect();
    }

    /// Answers the next requests, except those for the status, with these HTTP statuses and an error body.
    pub fn refuse_next(&self, statuses: impl IntoIterator<Item = u16>) {
        self.lock().refusals.extend(statuses);
    }

    /// Takes the database away, or gives it back. Without it reports get 500, jobs 503, and the status still 200.
    pub fn set_database_down(&self, down: bool) {
        self.lock().database_down = down;
    }

    /// While Candlepin is being deployed, or after it was removed, Tomcat answers 404 with its own page.
    pub fn set_deploying(&self, deploying: bool) {
        self.lock().deploying = deploying;
    }

    /// From now on heartbeats get a 404 with an error body, as from a gateway that passes on only known paths.
    pub fn lose_heartbeats(&self) {
        self.lock().heartbeats_unknown = true;
    }

    /// From now on these texts are added to failedUpdate, whatever is reported.
    pub fn remark(&self, texts: impl IntoIterator<Item = String>) {
        self.lock().remarks = texts.into_iter().collect();
    }

    /// Starts a report of somebody else for this owner, and returns the id of its job.
    pub fn occupy(&self, owner: &str, time: JobTime) -> String {
        let job = Job::new(owner, Work::Nothing, time, self.settings.generation);
        let id = job.id.clone();
        self.lock().jobs.push(job);
        id
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, after every job that is due has ended.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.settle(self.settings.generation);
        state
    }
}

impl State {
    /// Ends the jobs that are due, and starts the next waiting one of each owner.
    fn settle(&mut self, generation: Generation) {
        for place in 0..self.jobs.len() {
            if self.jobs[place].state == JobState::Waiting
                && self.open_reports(&self.jobs[place].owner, place).is_empty()
            {
                self.jobs[place].begin();
            }
            if self.jobs[place].is_due() {
                self.finish(place, generation);
            }
        }
    }

    /// The ids of an owner's unfinished reports among the first `among` jobs.
    fn open_reports(&self, owner: &str, among: usize) -> Vec<String> {
        let jobs = self.jobs[..among].iter();
        let open = jobs.filter(|job| job.is_open() && !job.heartbeat && job.owner == owner);
        open.map(|job| job.id.clone()).collect()
    }

    fn finish(&mut self, place: usize, generation: Generation) {
        let job = &mut self.jobs[place];
        let lists = match job.work.take() {
            Some(Work::Heartbeat { reporter }) => {
                let text = format!(
                    "Last hypervisor check-in updated for owner \"{}\" by reporter: {reporter}",
                    job.owner
                );
                let store = self.stores.entry(job.owner.clone()).or_default();
                store.renew(&reporter, SystemTime::now());
                self.heartbeats.push((job.owner.clone(), reporter));
                return job.end(JobState::Finished, text.into(), None);
            }
            Some(Work::CheckIn { report, reporter }) => {
                let manner = Manner {
                    owner: &job.owner,
                    reporter: reporter.as_deref(),
                    generation,
                    create_missing: true,
                    lost: &self.lost,
                    refused: &self.refused,
                };
                self.stores
                    .entry(job.owner.clone())
                    .or_default()
                    .apply(&report, &manner)
            }
            Some(Work::Cancel) => return job.end(JobState::Canceled, Value::Null, None),
            Some(Work::Fail(reason)) => Err(Spoiled {
                reason,
                checked: false,
            }),
            Some(Work::Nothing) | None => Ok(Lists::default()),
        };
        match lists {
            Ok(mut lists) => {
                lists.failed.extend_from_slice(&self.remarks);
                let sentence = format!(
                    "Created: {}, Updated: {}, Unchanged: {}, Failed: {}",
                    lists.created.len(),
                    lists.updated.len(),
                    lists.unchanged.len(),
                    lists.failed.len()
                );
                job.end(JobState::Finished, lists.json(), Some(sentence));
            }
            Err(Spoiled { reason, checked }) => {
                // Newer servers put the reason into resultData, 2.4.16 next to it.
                let result = match generation {
                    Generation::Current => reason.clone().into(),
                    Generation::Old if checked => {
                        json!({"displayMessage": reason, "requestUuid": job.id})
                    }
                    Generation::Old => Value::Null,
                };
                job.end(JobState::Failed, result, Some(reason));
            }
        }
    }
}

impl Service for Candlepin {
    fn answer(&self, request: &Request) -> Response {
        let response = self.respond(request);
        let mut state = self.lock();
        state.count += 1;
        if state.requests.len() < KEPT {
            state.requests.push(RequestSeen {
                method: request.method.clone(),
                path: request.path.clone(),
                query: request.query.clone(),
                body: request.body.clone(),
                status: response.status,
            });
        }
        response
    }
}
