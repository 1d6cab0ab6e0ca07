//! A simulated Candlepin: check-ins, jobs, heartbeats.
//!
//! It refuses what a real 4.7.5 refuses and loses what that one loses, as exchanges recorded with one show; on demand it is
//! a 2.4.16, the last with the synchronous check-in.

mod answer;
mod consumer;
mod job;
mod report;
mod store;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Request, Response, Service};
use job::{Job, Work};
pub use report::Guest;
use store::{Lists, Manner, Spoiled, Store};

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// 4.7.5: a second report of an owner is refused while one runs; unknown members are passed over.
    Current,
    /// 2.4.16: 202, a second report waits, unknown members fail the job; the synchronous call is there, heartbeats are not.
    Old,
}

/// How long a job takes.
#[derive(Debug, Clone, Copy)]
pub enum JobTime {
    /// It is shown unfinished this many times, first as CREATED or RUNNING: independent of time. A job that nobody
    /// asks for stays unfinished, and so blocks, unless this is zero.
    Polls(u32),
    /// It is finished when this time is over.
    After(Duration),
}

/// What a user may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// All owners.
    All,
    /// These owners; a read-only role suffices to report.
    Owners(Vec<String>),
    /// No role at all: 403 for everything.
    Nothing,
}

/// A user.
#[derive(Debug, Clone)]
pub struct Account {
    /// Name for the log-in.
    pub username: String,
    /// Password in clear.
    pub password: String,
    /// What the user may do.
    pub access: Access,
}

/// What the server is from its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base path, without a slash at the end: `/candlepin`, `/rhsm`, `/subscription`.
    pub prefix: String,
    /// Which server it is.
    pub generation: Generation,
    /// Whether it makes jobs of check-ins; an old one without has the synchronous call only.
    pub asynchronous: bool,
    /// Whether its status lists what it can do; servers of before there were such lists have the synchronous call only.
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
    /// Behind another one, in the old generation.
    Waiting,
    /// Under way.
    Running,
    /// Done; its resultData says with what success.
    Finished,
    /// Given up, or refused since another one ran.
    Failed,
    /// Taken back by an administrator.
    Canceled,
    /// Given up before it ran: current servers.
    Aborted,
}

impl JobState {
    /// As it stands in the answers.
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

/// How the next job shall end, other than well.
#[derive(Debug, Clone)]
pub enum Fate {
    /// FAILED, with this resultData.
    Fail(String),
    /// CANCELED by an administrator.
    Cancel,
    /// ABORTED at once, with this resultData, of which there is no recording.
    Abort(String),
}

/// A hypervisor as the server holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hypervisor {
    /// The consumer's uuid, which the server chose.
    pub uuid: String,
    /// Its name.
    pub name: String,
    /// Its guests, in the order of the report that they came with.
    pub guests: Vec<Guest>,
    /// Its facts.
    pub facts: BTreeMap<String, String>,
    /// Who reported it last.
    pub reporter: Option<String>,
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
    /// Where it stands.
    pub state: JobState,
    /// What `X-Correlation-ID` it keeps.
    pub correlation: Option<String>,
}

/// A request, for tests; without its header, which holds the password.
#[derive(Debug, Clone)]
pub struct RequestSeen {
    /// `GET`, `POST`, `PUT`.
    pub method: String,
    /// The path with its prefix.
    pub path: String,
    /// What stood behind the `?`.
    pub query: String,
    /// The body.
    pub body: Vec<u8>,
    /// The status of the answer.
    pub status: u16,
}

/// How many requests are kept for a look; the count goes on.
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
    /// Texts that are in every failedUpdate.
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

    /// What it was made with.
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

    /// Registers a system that is no hypervisor; its uuid. A report with its dmi.system.uuid makes one of it.
    pub fn register(&self, owner: &str, name: &str, facts: BTreeMap<String, String>) -> Option<String> {
        let mut state = self.settled();
        Some(state.stores.get_mut(owner)?.register(name, facts))
    }

    /// Deletes a registered system; its certificate is good for nothing from then on.
    pub fn unregister(&self, uuid: &str) {
        self.lock().deleted.insert(uuid.to_owned());
    }

    /// The guests that a registered system, or a hypervisor, was reported to run.
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

    /// Every reporter_id that came with a report.
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

    /// The next job that is accepted ends so; several calls stand in a queue.
    pub fn doom_next_job(&self, fate: Fate) {
        self.lock().fates.push_back(fate);
    }

    /// From now on these hypervisors are lost: in none of the four lists, and not held.
    pub fn lose<I: IntoIterator<Item = S>, S: AsRef<str>>(&self, ids: I) {
        self.lock().lost = ids.into_iter().map(|id| id.as_ref().to_lowercase()).collect();
    }

    /// From now on these hypervisors are refused: in failedUpdate, and left as they were.
    pub fn refuse<I: IntoIterator<Item = S>, S: AsRef<str>>(&self, ids: I) {
        self.lock().refused = ids.into_iter().map(|id| id.as_ref().to_lowercase()).collect();
    }

    /// The next requests other than for the status are answered with these HTTP statuses and an error's body.
    pub fn refuse_next(&self, statuses: impl IntoIterator<Item = u16>) {
        self.lock().refusals.extend(statuses);
    }

    /// Takes the database away, or gives it back: reports 500, jobs 503, while the status goes on saying 200.
    pub fn set_database_down(&self, down: bool) {
        self.lock().database_down = down;
    }

    /// While it is being deployed, or after it was removed, Tomcat answers instead: 404 with a page of its own.
    pub fn set_deploying(&self, deploying: bool) {
        self.lock().deploying = deploying;
    }

    /// Something in front of it hands everything on but heartbeats, and answers those with 404 in Candlepin's manner.
    pub fn lose_heartbeats(&self) {
        self.lock().heartbeats_unknown = true;
    }

    /// From now on these texts are in failedUpdate too, whatever was reported.
    pub fn remark(&self, texts: impl IntoIterator<Item = String>) {
        self.lock().remarks = texts.into_iter().collect();
    }

    /// A report of somebody else for this owner takes its time from now on; the id of its job.
    pub fn occupy(&self, owner: &str, time: JobTime) -> String {
        let job = Job::new(owner, Work::Nothing, time, self.settings.generation);
        let id = job.id.clone();
        self.lock().jobs.push(job);
        id
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state with every job ended whose time is over.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.settle(self.settings.generation);
        state
    }
}

impl State {
    /// Ends what is due and lets the next waiting one of its owner begin.
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

    /// The ids of the unfinished reports of an owner among the first jobs.
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
                // Newer servers put the reason in resultData, 2.4.16 beside it.
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
