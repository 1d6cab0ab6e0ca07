//! Changing the power state of virtual machines, each change at most once, whatever happens to the connection.

use std::time::{Duration, Instant};

use super::action::Action;
use super::pool::Pool;
use super::question::{self, Choice, Question, Reply, Unanswerable};
use super::session::Session;
use super::task::{self, Followed, Following, Leftover, Now, Obstacle, TaskInfo};
use super::{Error, Fault, ManagedObject, NOT_FOUND};
use crate::error::{Classify, Kind};
use crate::http;
use crate::retry::{Patience, Retryable, asked_pause, backoff, wait};

/// How often, and after which pauses, the server is asked for a task that it may have started.
const SEARCHES: u32 = 3;
const SEARCH_PAUSE: Duration = Duration::from_millis(500);

/// The fault of a start while another task is pending.
const IN_PROGRESS: &str = "TaskInProgress";
/// The fault of a power state that does not allow the action.
const INVALID_STATE: &str = "InvalidPowerState";

/// How often the questions of one moment may change while one is being answered.
const MOST_CHANGES: usize = 100;

/// What is to be done with one virtual machine.
#[derive(Debug, Clone, Copy)]
pub struct Order<'o> {
    /// The virtual machine.
    pub machine: &'o ManagedObject,
    /// The change.
    pub action: Action,
    /// Whether questions are answered with their defaults.
    pub auto_answer: bool,
    /// Whether nothing is started, answered or cancelled.
    pub is_rehearsal: bool,
    /// When the wait ends.
    pub deadline: Option<Instant>,
    /// How long temporary failures are retried.
    pub patience: Patience,
}

/// How an order ended.
#[derive(Debug)]
pub enum Ended {
    /// The task has succeeded.
    Done,
    /// The virtual machine was in this power state already.
    Already(&'static str),
    /// A rehearsal would start the task here.
    WouldStart,
    /// A rehearsal would answer this question, which is older.
    WouldAnswer(Question, Choice),
    /// The task has failed.
    Failed(Fault),
    /// A question blocks the task.
    Blocked {
        /// The question.
        question: Question,
        /// Why it was not answered.
        obstacle: Obstacle,
        /// What became of the task.
        leftover: Leftover,
    },
    /// An older question was answered; the task was not started.
    OlderAnswered(Question, Choice),
    /// Another task is pending; the task was not started.
    Busy(TaskInfo),
    /// The wait ended before the task did.
    Running(Error),
    /// The server no longer knows the task, and the power state does not say how it ended.
    Forgotten,
    /// The connection broke while the task was being started, and the server does not list it.
    MaybeStarted(Error),
    /// The virtual machine no longer exists.
    Deleted,
    /// Nothing was started.
    NotStarted(Error),
}

/// How an order ended, and what happened before.
#[derive(Debug)]
pub struct Answered {
    /// How it ended.
    pub ended: Ended,
    /// The id of the task, if one was started.
    pub task: Option<String>,
    /// The questions of the task that were answered, and how.
    pub answers: Vec<(Question, Choice)>,
}

/// Carries out an order. `progress` is told what the server says about the task.
///
/// Temporary failures are retried in a new session. A task that may have been started is looked up, and never started again.
pub fn perform(pool: &Pool<'_>, order: &Order<'_>, progress: &dyn Fn(&TaskInfo)) -> Answered {
    let mut work = Work {
        pool,
        order,
        known: Vec::new(),
        start: Start::Not,
        older: None,
        following: Following {
            machine: order.machine,
            task: None,
            until: order.action.goal(),
            auto_answer: order.auto_answer,
            answers: Vec::new(),
            reported: None,
            progress,
            last_heard: None,
        },
    };
    let ended = work.ended();
    let Following { task, answers, .. } = work.following;
    Answered {
        ended,
        task: task.map(|task| task.id),
        answers,
    }
}

/// Whether the task was started.
enum Start {
    /// The server has refused it, or was not asked.
    Not,
    /// The server was asked, and its answer was lost.
    Maybe,
    /// It was.
    Done,
}

/// An order in work. It survives lost sessions.
struct Work<'w> {
    pool: &'w Pool<'w>,
    order: &'w Order<'w>,
    /// The tasks that were there before.
    known: Vec<String>,
    start: Start,
    /// The older question that was answered.
    older: Option<(Question, Choice)>,
    following: Following<'w>,
}

impl Work<'_> {
    fn ended(&mut self) -> Ended {
        let (deadline, patience) = (self.order.deadline, self.order.patience);
        let cancel = self.pool.cancel();
        let server = self.pool.endpoint().base.authority();
        let first = crate::retry::retry(deadline, patience, cancel, || {
            match self.attempt().map_err(|error| error.at(server.clone())) {
                // From here on it is not about starting a task, but about not losing one.
                Err(error) if !matches!(self.start, Start::Not) => Ok(Err(error)),
                Err(error) => Err(error),
                Ok(ended) => Ok(Ok(ended)),
            }
        });
        match first {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => self.find_again(error),
            Err(error) => Ended::NotStarted(error),
        }
    }

    /// Looks the task up in new sessions, until it ends or the wait does.
    fn find_again(&mut self, mut error: Error) -> Ended {
        let mut pauses = backoff();
        let mut lost = Instant::now();
        loop {
            if self.following.last_heard.is_some_and(|heard| heard > lost) {
                lost = Instant::now();
                pauses = backoff();
            }
            let is_temporary = matches!(error.kind(), Kind::TempFail | Kind::Protocol);
            let pause = pauses.pause(asked_pause(&error));
            let end = match self.order.patience {
                Patience::UntilDeadline => None,
                Patience::For(time) => Some(lost + time),
            };
            let mut ends = end.into_iter().chain(self.order.deadline);
            let is_late = ends.any(|end| Instant::now() + pause >= end);
            let is_over = !is_temporary || error.is_deadline() || is_late;
            if is_over || wait(&error, pause, self.pool.cancel()).is_err() {
                let error = match self.pool.cancel().check() {
                    Ok(()) => error,
                    Err(cancelled) => cancelled.into(),
                };
                return match self.start {
                    Start::Maybe => Ended::MaybeStarted(error),
                    Start::Not | Start::Done => Ended::Running(error),
                };
            }
            match self.attempt() {
                // Why it was searched says more than that it was not found.
                Ok(Ended::MaybeStarted(_)) => return Ended::MaybeStarted(error),
                Ok(ended) => return ended,
                Err(again) => error = again.at(self.pool.endpoint().base.authority()),
            }
        }
    }

    /// Works in one session as far as it gets.
    fn attempt(&mut self) -> Result<Ended, Error> {
        let mut session = self.pool.take(self.order.deadline)?;
        let ended = match self.start {
            Start::Not => self.begin(&mut session)?,
            Start::Maybe => self.search(&mut session)?,
            Start::Done => self.follow(&mut session)?,
        };
        self.pool.put(session);
        Ok(ended)
    }

    /// Starts the task, unless a question, another task or the power state says no, and follows it.
    fn begin(&mut self, session: &mut Session) -> Result<Ended, Error> {
        for _ in 0..MOST_CHANGES {
            let Some(now) = task::look(session, self.order.machine)? else {
                return Ok(Ended::Deleted);
            };
            if let Some((question, choice)) = self
                .older
                .take_if(|(older, _)| now.question.as_ref() != Some(older))
            {
                return Ok(Ended::OlderAnswered(question, choice));
            }
            if let Some(question) = &now.question {
                match self.answer_older(session, question)? {
                    Some(ended) => return Ok(ended),
                    None => continue,
                }
            }
            return self.begin_unblocked(session, now);
        }
        Err(Error::Endless {
            method: "RetrievePropertiesEx",
            what: format!("{MOST_CHANGES} questions that vanished before they were answered"),
        })
    }

    fn begin_unblocked(&mut self, session: &mut Session, now: Now) -> Result<Ended, Error> {
        if let Some(task) = now.tasks.iter().find(|task| task.is_pending()) {
            return Ok(Ended::Busy(task.clone()));
        }
        if let Some(goal) = self.order.action.goal()
            && goal == now.power
        {
            return Ok(Ended::Already(goal));
        }
        if self.order.is_rehearsal {
            return Ok(Ended::WouldStart);
        }
        self.known = now.tasks.into_iter().map(|task| task.id).collect();
        match self.start(session) {
            // Somebody else was faster.
            Err(error) if error.is_fault(IN_PROGRESS) => {
                let now = task::look(session, self.order.machine)?.unwrap_or_default();
                let pending = now.tasks.into_iter().find(TaskInfo::is_pending);
                return Ok(Ended::Busy(pending.unwrap_or_default()));
            }
            Err(error) if error.is_fault(INVALID_STATE) => {
                return self.reached_meanwhile(session)?.ok_or(error);
            }
            started => started?,
        }
        self.follow(session)
    }

    /// Whether somebody else has brought the virtual machine into the wanted state since it was looked at.
    fn reached_meanwhile(&self, session: &mut Session) -> Result<Option<Ended>, Error> {
        let now = task::look(session, self.order.machine)?.unwrap_or_default();
        let goal = self.order.action.goal();
        Ok(goal.filter(|goal| *goal == now.power).map(Ended::Already))
    }

    /// Asks the server to start the task, once.
    fn start(&mut self, session: &mut Session) -> Result<(), Error> {
        let method = self.order.action.method();
        let machine = self.order.machine;
        self.start = Start::Maybe;
        let mut created = None;
        let started = session.client.call(method, machine, "", |xml| {
            while let Some(name) = xml.child()? {
                match name {
                    "returnval" => created = Some(ManagedObject::read(xml)?),
                    _ => xml.skip()?,
                }
            }
            Ok(())
        });
        match &started {
            Ok(()) if created.is_some() || !self.order.action.is_task() => {
                self.following.task = created;
                self.start = Start::Done;
            }
            // It may have started one all the same.
            Ok(()) => {
                let what = "the task";
                return Err(Error::Incomplete { method, what });
            }
            Err(error) if is_refusal(error) => self.start = Start::Not,
            Err(_) => {}
        }
        started
    }

    /// Looks for the task that the server may have started.
    fn search(&mut self, session: &mut Session) -> Result<Ended, Error> {
        let action = self.order.action;
        for search in 0..SEARCHES {
            if search > 0 {
                self.pool.cancel().sleep(SEARCH_PAUSE)?;
            }
            let Some(now) = task::look(session, self.order.machine)? else {
                return Ok(Ended::Deleted);
            };
            let mut new = now.tasks.iter().filter(|task| !self.known.contains(&task.id));
            if let Some(own) = new.find(|task| action.starts(task)) {
                log::debug!("found the task {}", own.id);
                self.following.task = Some(task::task(&own.id));
                self.start = Start::Done;
                return self.follow(session);
            }
            if let Some(goal) = action.goal()
                && goal == now.power
            {
                return Ok(Ended::Done);
            }
        }
        Ok(Ended::MaybeStarted(Error::Incomplete {
            method: action.method(),
            what: "the task",
        }))
    }

    fn follow(&mut self, session: &mut Session) -> Result<Ended, Error> {
        if self.order.action == Action::RebootGuest {
            return Ok(Ended::Done);
        }
        Ok(match self.following.follow(session)? {
            Followed::Success => Ended::Done,
            Followed::Failed(fault) if fault.kind == INVALID_STATE => {
                self.reached_meanwhile(session)?.unwrap_or(Ended::Failed(fault))
            }
            Followed::Failed(fault) => Ended::Failed(fault),
            Followed::Blocked {
                question,
                obstacle,
                leftover,
            } => Ended::Blocked {
                question,
                obstacle,
                leftover,
            },
            Followed::Forgotten => match task::look(session, self.order.machine)? {
                None => Ended::Deleted,
                Some(now) if self.order.action.goal() == Some(&*now.power) => Ended::Done,
                Some(_) => Ended::Forgotten,
            },
        })
    }

    /// Handles a question that was there before. Returns none if it has vanished meanwhile.
    fn answer_older(&mut self, session: &mut Session, question: &Question) -> Result<Option<Ended>, Error> {
        let blocked = |obstacle| {
            Ok(Some(Ended::Blocked {
                question: question.clone(),
                obstacle,
                leftover: Leftover::Older,
            }))
        };
        if !self.order.auto_answer {
            return blocked(Obstacle::NotWanted);
        }
        let choice = match question.default_choice() {
            Ok(choice) => choice.clone(),
            Err(reason) => return blocked(Obstacle::Unanswerable(reason)),
        };
        if self.order.is_rehearsal {
            return Ok(Some(Ended::WouldAnswer(question.clone(), choice)));
        }
        // If the answer gets lost, the question is looked at again.
        self.older = Some((question.clone(), choice.clone()));
        match question::answer(session, self.order.machine, question, &choice)? {
            Reply::Taken => Ok(Some(Ended::OlderAnswered(question.clone(), choice))),
            Reply::Refused(fault) => blocked(Obstacle::Refused(fault)),
            Reply::Gone => {
                self.older = None;
                Ok(None)
            }
        }
    }
}

/// Whether the server has certainly not started the task: it said no, or was not there.
fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Fault { .. } => true,
        Error::Http(http::Error::Status { status, .. }) => matches!(status, 400..=499 | 501 | 503),
        _ => false,
    }
}

/// How an answer by hand ended.
#[derive(Debug)]
pub enum AnsweredByHand {
    /// The server took the answer.
    Taken(Question, Choice),
    /// There was no question.
    NoQuestion,
    /// The wanted answer is not one of the question's.
    Unanswerable(Question, Unanswerable),
    /// The server refused the answer.
    Refused(Question, Fault),
    /// The virtual machine no longer exists.
    Deleted,
}

/// Answers the question that a virtual machine asks with the choice of this key or label, or with its default.
///
/// Temporary failures are retried in a new session, as for [`perform`].
pub fn answer(pool: &Pool<'_>, order: &Order<'_>, wanted: Option<&str>) -> Result<AnsweredByHand, Error> {
    let mut sent: Option<(Question, Choice)> = None;
    let server = pool.endpoint().base.authority();
    let attempt = |sent: &mut Option<(Question, Choice)>| {
        let mut session = pool.take(order.deadline)?;
        let question = match question::pending(&mut session, order.machine) {
            Err(error) if error.is_fault(NOT_FOUND) => return Ok(AnsweredByHand::Deleted),
            question => question?,
        };
        // An answer whose confirmation was lost has reached the server if the question is gone.
        if let Some((before, choice)) = sent.take_if(|(before, _)| question.as_ref() != Some(before)) {
            pool.put(session);
            return Ok(AnsweredByHand::Taken(before, choice));
        }
        let answered = answer_in(&mut session, order, question, wanted, sent)?;
        pool.put(session);
        Ok(answered)
    };
    crate::retry::retry(order.deadline, order.patience, pool.cancel(), || {
        attempt(&mut sent).map_err(|error: Error| error.at(server.clone()))
    })
}

fn answer_in(
    session: &mut Session,
    order: &Order<'_>,
    question: Option<Question>,
    wanted: Option<&str>,
    sent: &mut Option<(Question, Choice)>,
) -> Result<AnsweredByHand, Error> {
    let Some(question) = question else {
        return Ok(AnsweredByHand::NoQuestion);
    };
    let choice = match wanted {
        Some(wanted) => question.choice(wanted),
        None => question.default_choice(),
    };
    let choice = match choice {
        Ok(choice) => choice.clone(),
        Err(reason) => return Ok(AnsweredByHand::Unanswerable(question, reason)),
    };
    if order.is_rehearsal {
        return Ok(AnsweredByHand::Taken(question, choice));
    }
    *sent = Some((question.clone(), choice.clone()));
    Ok(
        match question::answer(session, order.machine, &question, &choice)? {
            Reply::Taken => AnsweredByHand::Taken(question, choice),
            Reply::Gone => AnsweredByHand::NoQuestion,
            Reply::Refused(fault) => AnsweredByHand::Refused(question, fault),
        },
    )
}
