//! Tasks: what the server says about them, following one to its end, and the questions that block it (vSphere Web Services API,
//! `Task`, `TaskInfo`, `CancelTask`).

use std::time::{Duration, Instant};

use super::changes::{Changes, Update};
use super::property::{self, Object, PropertySpec, Structure};
use super::question::{self, Choice, QUESTION, Question, Reply, Unanswerable};
use super::session::Session;
use super::{Error, Fault, ManagedObject, NOT_AUTHENTICATED, NOT_FOUND};

const TASK: &str = "Task";
const MACHINE: &str = "VirtualMachine";
const INFO: &str = "info";
const POWER: &str = "runtime.powerState";
const RECENT: &str = "recentTask";
const CANCEL: &str = "CancelTask";

/// The error of a task that was cancelled.
const CANCELED: &str = "RequestCanceled";

const TASK_INFO: PropertySpec = PropertySpec {
    kind: TASK,
    paths: &[INFO],
};

const MACHINE_NOW: PropertySpec = PropertySpec {
    kind: MACHINE,
    paths: &[QUESTION, POWER, RECENT],
};

const MACHINE_FOLLOWED: PropertySpec = PropertySpec {
    kind: MACHINE,
    paths: &[QUESTION, POWER],
};

/// The longest wait for updates. A server ends a session after half an hour without a call.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// After this time without an update, a question that was answered and is still asked is a new one of the same words.
const STALE: Duration = Duration::from_secs(10);

/// How long a task that was cancelled may take to end.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);

/// The most questions of one task. A server that asks more asks for ever.
const MOST_QUESTIONS: usize = 1000;

/// The state of a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TaskState {
    /// It waits for others.
    Queued,
    /// It runs, or is blocked by a question.
    #[default]
    Running,
    /// It has ended well.
    Success,
    /// It has failed, or was cancelled.
    Error,
}

/// What the server says about a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskInfo {
    /// The managed object id of the task.
    pub id: String,
    /// What it does, such as `VirtualMachine.powerOn`; or the method's name.
    pub description: String,
    /// Its state.
    pub state: TaskState,
    /// Whether it can be cancelled.
    pub is_cancelable: bool,
    /// How much of it is done, in percent, if the server says so.
    pub progress: Option<u8>,
    /// Why it failed.
    pub error: Option<Fault>,
}

impl TaskInfo {
    fn of(task: &Object) -> Self {
        let Some(info) = task.structure(INFO) else {
            // A property that the account may not read: the task exists, and nothing else is known.
            return TaskInfo {
                id: task.id.clone(),
                ..TaskInfo::default()
            };
        };
        let description = [info.text("descriptionId"), info.text("name")];
        let description = description.into_iter().flatten().find(|text| !text.is_empty());
        let state = match info.text("state") {
            Some("queued") => TaskState::Queued,
            Some("success") => TaskState::Success,
            Some("error") => TaskState::Error,
            _ => TaskState::Running,
        };
        TaskInfo {
            id: task.id.clone(),
            description: description.unwrap_or_default().to_owned(),
            state,
            is_cancelable: matches!(info.text("cancelable"), Some("true" | "1")),
            progress: info.text("progress").and_then(|text| text.parse().ok()),
            error: (state == TaskState::Error).then(|| fault_of(info.member("error"))),
        }
    }

    /// Whether it has not ended.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, TaskState::Queued | TaskState::Running)
    }
}

/// The fault in a `LocalizedMethodFault`.
fn fault_of(error: Option<&Structure>) -> Fault {
    let kind = error.and_then(|error| error.member("fault"));
    let text = error.and_then(|error| error.text("localizedMessage"));
    Fault {
        kind: kind.map_or_else(|| "unknown error".to_owned(), |fault| fault.kind.clone()),
        text: text.unwrap_or_default().to_owned(),
    }
}

/// A virtual machine at one moment.
#[derive(Debug, Default)]
pub(super) struct Now {
    pub(super) question: Option<Question>,
    /// `poweredOn`, `poweredOff` or `suspended`; empty if it is unknown.
    pub(super) power: String,
    /// The tasks of the last minutes.
    pub(super) tasks: Vec<TaskInfo>,
}

/// Reads the state of a virtual machine. Returns none if it was deleted.
pub(super) fn look(session: &mut Session, machine: &ManagedObject) -> Result<Option<Now>, Error> {
    let Session { client, content, .. } = session;
    let collector = &content.property_collector;
    let (mut now, mut tasks) = (Now::default(), Vec::new());
    let machine = std::slice::from_ref(machine);
    let read = property::retrieve_these(client, collector, machine, &MACHINE_NOW, |object| {
        now.question = Question::of(object);
        now.power = object.text(POWER).unwrap_or_default().to_owned();
        let reference = |(_, id): (&str, &str)| task(id);
        tasks = object.references(RECENT).map(reference).collect();
    });
    match read {
        Err(error) if error.is_fault(NOT_FOUND) => return Ok(None),
        read => read?,
    }
    let mut read = |tasks: &[ManagedObject]| {
        let mut found = Vec::new();
        let each = |object: &Object| found.push(TaskInfo::of(object));
        let read = property::retrieve_these(client, collector, tasks, &TASK_INFO, each);
        read.map(|()| found)
    };
    if tasks.is_empty() {
        return Ok(Some(now));
    }
    now.tasks = match read(&tasks) {
        // The server forgets a task some minutes after its end, and then refuses the whole call.
        Err(error) if error.is_fault(NOT_FOUND) => {
            let each = tasks.iter().map(std::slice::from_ref);
            let found = each.filter_map(|task| match read(task) {
                Err(error) if error.is_fault(NOT_FOUND) => None,
                read => Some(read),
            });
            found.collect::<Result<Vec<_>, _>>()?.concat()
        }
        read => read?,
    };
    Ok(Some(now))
}

/// A reference to a task.
pub(super) fn task(id: &str) -> ManagedObject {
    ManagedObject {
        kind: TASK.to_owned(),
        id: id.to_owned(),
    }
}

/// What became of a blocked task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftover {
    /// It was there before, so it was left alone; the wanted task was not started.
    Older,
    /// It was cancelled.
    Cancelled,
    /// It can't be cancelled, so it is still blocked.
    NotCancelable,
    /// The server refused to cancel it, so it is still blocked.
    CancelRefused(Fault),
    /// The server was asked to cancel it, but it has not ended.
    Cancelling,
    /// There is no task that could be cancelled: the guest itself was asked to act.
    NoTask,
}

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Questions are not to be answered.
    NotWanted,
    /// There is no default answer.
    Unanswerable(Unanswerable),
    /// The server refused the default answer.
    Refused(Fault),
}

/// How a followed task ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Followed {
    Success,
    Failed(Fault),
    Blocked {
        question: Question,
        obstacle: Obstacle,
        leftover: Leftover,
    },
    /// The server has forgotten the task.
    Forgotten,
}

/// What is followed, and what has happened so far. It survives a lost session.
pub(super) struct Following<'f> {
    /// The virtual machine.
    pub(super) machine: &'f ManagedObject,
    /// The task; none if the guest was asked to act.
    pub(super) task: Option<ManagedObject>,
    /// The power state that ends the work of a guest.
    pub(super) until: Option<&'static str>,
    /// Whether questions are answered with their defaults.
    pub(super) auto_answer: bool,
    /// The questions that were answered, and how.
    pub(super) answers: Vec<(Question, Choice)>,
    /// The question that was reported, and why it was not answered.
    pub(super) reported: Option<(Question, Obstacle)>,
    /// Told what the server says about the task.
    pub(super) progress: &'f dyn Fn(&TaskInfo),
    /// When an answer of the server about the task came last.
    pub(super) last_heard: Option<Instant>,
}

/// The newest values of the followed properties.
#[derive(Default)]
struct Latest {
    info: Option<TaskInfo>,
    question: Option<Question>,
    power: String,
    is_forgotten: bool,
    /// How many objects the filter has found.
    found: usize,
}

impl Latest {
    fn apply(&mut self, update: &Update<'_>) {
        let Update { kind, object, paths } = update;
        self.found += usize::from(*kind == "enter");
        let names = |wanted: &str| paths.iter().any(|path| path == wanted);
        if object.kind == TASK {
            if *kind == "leave" || object.fault_of(INFO) == Some(NOT_FOUND) {
                self.is_forgotten = true;
            } else if names(INFO) || object.fault_of(INFO).is_some() {
                self.info = Some(TaskInfo::of(object));
            }
        }
        if object.kind == MACHINE {
            self.is_forgotten |= *kind == "leave";
            if names(QUESTION) {
                self.question = Question::of(object);
            }
            if names(POWER) {
                self.power = object.text(POWER).unwrap_or_default().to_owned();
            }
        }
    }
}

impl Following<'_> {
    /// Waits until the task ends, handling its questions. The filter is gone afterwards, unless the session is lost.
    pub(super) fn follow(&mut self, session: &mut Session) -> Result<Followed, Error> {
        let objects: Vec<ManagedObject> = std::iter::once(self.machine.clone())
            .chain(self.task.clone())
            .collect();
        let specs = [MACHINE_FOLLOWED, TASK_INFO];
        let specs = &specs[..objects.len()];
        let filter = match session.create_filter(&property::spec_of_objects(&objects, specs)) {
            Err(error) if error.is_fault(NOT_FOUND) => return Ok(Followed::Forgotten),
            filter => filter?,
        };
        let followed = self.wait(session, objects.len())?;
        session.destroy_filter(&filter);
        Ok(followed)
    }

    fn wait(&mut self, session: &mut Session, objects: usize) -> Result<Followed, Error> {
        let mut changes = Changes::default();
        let mut latest = Latest::default();
        let mut handled: Option<Question> = None;
        let mut cancelling: Option<Instant> = None;
        loop {
            let longest = match (cancelling, &handled) {
                // The first state comes at once. Nothing ever comes of an object that was gone before.
                _ if latest.found == 0 => Duration::ZERO,
                (Some(end), _) => end.saturating_duration_since(Instant::now()),
                (None, Some(_)) => STALE,
                (None, None) => LONGEST_WAIT,
            };
            let changed = changes.wait(session, longest, &mut |update| latest.apply(update))?;
            self.last_heard = Some(Instant::now());
            latest.is_forgotten |= latest.found < objects;
            if let Some(info) = &latest.info {
                (self.progress)(info);
            }
            if let Some(end) = self.end(&latest) {
                return Ok(end);
            }
            if cancelling.is_some_and(|end| end <= Instant::now())
                && let Some(blocked) = self.blocked(Leftover::Cancelling)
            {
                return Ok(blocked);
            }
            if latest.question.is_none() || !changed {
                handled = None;
            }
            let Some(question) = latest.question.clone() else {
                continue;
            };
            if cancelling.is_some() || handled.as_ref() == Some(&question) {
                continue;
            }
            let Some(obstacle) = self.answer(session, &question)? else {
                handled = Some(question);
                continue;
            };
            // If the session is lost now, the end of the task still tells what has happened.
            self.reported = Some((question, obstacle));
            match self.cancel(session, latest.info.as_ref())? {
                Leftover::Cancelling => cancelling = Some(Instant::now() + CANCEL_LIMIT),
                leftover => {
                    if let Some(blocked) = self.blocked(leftover) {
                        return Ok(blocked);
                    }
                }
            }
        }
    }

    /// How the task has ended, if it has.
    fn end(&self, latest: &Latest) -> Option<Followed> {
        if latest.is_forgotten {
            return Some(Followed::Forgotten);
        }
        match &latest.info {
            Some(info) if info.state == TaskState::Success => return Some(Followed::Success),
            Some(info) if info.state == TaskState::Error => {
                let fault = info.error.clone().unwrap_or_default();
                let cancelled = match fault.kind == CANCELED {
                    true => self.blocked(Leftover::Cancelled),
                    false => None,
                };
                return Some(cancelled.unwrap_or(Followed::Failed(fault)));
            }
            _ => {}
        }
        let is_reached = self.until.is_some_and(|until| until == latest.power);
        (self.task.is_none() && is_reached).then_some(Followed::Success)
    }

    /// The end of a task whose question was reported.
    fn blocked(&self, leftover: Leftover) -> Option<Followed> {
        let (question, obstacle) = self.reported.clone()?;
        Some(Followed::Blocked {
            question,
            obstacle,
            leftover,
        })
    }

    /// Answers a question with its default. Returns why it was not answered.
    fn answer(&mut self, session: &mut Session, question: &Question) -> Result<Option<Obstacle>, Error> {
        if !self.auto_answer {
            return Ok(Some(Obstacle::NotWanted));
        }
        let choice = match question.default_choice() {
            Ok(choice) => choice,
            Err(reason) => return Ok(Some(Obstacle::Unanswerable(reason))),
        };
        if self.answers.len() == MOST_QUESTIONS {
            return Err(Error::Endless {
                method: "WaitForUpdatesEx",
                what: format!("more than {MOST_QUESTIONS} questions"),
            });
        }
        match question::answer(session, self.machine, question, choice) {
            Ok(Reply::Taken) => self.note(question, choice),
            Ok(Reply::Gone) => {}
            Ok(Reply::Refused(fault)) => return Ok(Some(Obstacle::Refused(fault))),
            Err(error) => {
                // The server may have taken it. If it has not, it asks again.
                if !matches!(error, Error::Fault { .. }) {
                    self.note(question, choice);
                }
                return Err(error);
            }
        }
        Ok(None)
    }

    fn note(&mut self, question: &Question, choice: &Choice) {
        let is_repeated = self.answers.last().is_some_and(|(last, _)| last == question);
        if !is_repeated {
            self.answers.push((question.clone(), choice.clone()));
        }
    }

    /// Tries to cancel the task, which is blocked. [`Leftover::Cancelling`] means that the server agreed.
    fn cancel(&self, session: &mut Session, info: Option<&TaskInfo>) -> Result<Leftover, Error> {
        let Some(task) = &self.task else {
            return Ok(Leftover::NoTask);
        };
        if info.is_some_and(|info| !info.is_cancelable) {
            return Ok(Leftover::NotCancelable);
        }
        match session.client.call(CANCEL, task, "", |xml| xml.skip()) {
            Ok(()) => Ok(Leftover::Cancelling),
            Err(Error::Fault { fault, .. }) => match &*fault.kind {
                NOT_AUTHENTICATED => Err(Error::of_fault(CANCEL, fault.kind)),
                "NotSupported" => Ok(Leftover::NotCancelable),
                _ => Ok(Leftover::CancelRefused(fault)),
            },
            Err(error) => Err(error),
        }
    }
}
