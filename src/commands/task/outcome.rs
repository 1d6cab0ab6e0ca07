//! How the work on one virtual machine ended, in words.

use super::line::{Line, Question, State};
use super::settings::{Settings, Work};
use crate::error::{Classify as _, Kind};
use crate::systems::vsphere::{
    self, Answered, AnsweredByHand, Choice, Ended, Fault, Leftover, Machine, Obstacle, TaskInfo, Unanswerable,
};

/// A result line, and the kind of the failure that it reports.
pub(super) struct Reported {
    pub line: Line,
    pub kind: Option<Kind>,
    /// Whether no other virtual machine must be handled.
    pub fatal: bool,
}

impl Reported {
    fn new(line: Line, kind: Option<Kind>) -> Self {
        Reported {
            line,
            kind,
            fatal: false,
        }
    }
}

/// The result of a power task.
pub(super) fn of_power(machine: &Machine, action: &str, answered: Answered, settings: &Settings) -> Reported {
    let Answered { ended, task, answers } = answered;
    let mut line = Line::new(machine, action, State::Success);
    line.task = task;
    line.question = answers.last().map(|(question, _)| question.into());
    let labels: Vec<&str> = answers.iter().map(|(_, choice)| choice.label.as_str()).collect();
    line.answer = (!labels.is_empty()).then(|| labels.join(", "));
    let kind = describe(&mut line, ended, settings);
    Reported::new(line, kind)
}

/// Fills the line. Returns the kind of the failure, if it is one.
fn describe(line: &mut Line, ended: Ended, settings: &Settings) -> Option<Kind> {
    let (state, kind) = match &ended {
        Ended::Done | Ended::Already(_) | Ended::WouldStart => (State::Success, None),
        Ended::WouldAnswer(..) => (State::Blocked, Some(Kind::TempFail)),
        Ended::Failed(_) | Ended::Deleted => (State::Error, Some(Kind::Unavailable)),
        Ended::Forgotten => (State::Error, Some(Kind::TempFail)),
        Ended::Blocked { .. } => (State::Blocked, Some(Kind::Unavailable)),
        Ended::OlderAnswered(..) => (State::Answered, Some(Kind::TempFail)),
        Ended::Busy(_) => (State::Busy, Some(Kind::TempFail)),
        Ended::Running(error) => (State::Running, Some(error.kind())),
        Ended::MaybeStarted(error) => (
            State::Error,
            Some(match error.kind() {
                Kind::Protocol => Kind::TempFail,
                kind => kind,
            }),
        ),
        Ended::NotStarted(error) => (State::Error, Some(error.kind())),
    };
    line.state = state;
    match ended {
        Ended::Done => {}
        Ended::Already(power) => line.note = Some(format!("it is {} already", words_of(power))),
        Ended::WouldStart => line.note = Some(would_start(settings)),
        Ended::WouldAnswer(question, choice) => {
            line.note = Some(format!(
                "would answer the older question with {:?} and start nothing",
                choice.label
            ));
            line.question = Some((&question).into());
        }
        Ended::Failed(fault) => {
            let answered = line.answer.as_ref();
            let after = answered.map(|answer| format!(", after the answer {answer:?}"));
            line.error = Some(format!("the task failed{}: {fault}", after.unwrap_or_default()));
        }
        Ended::Blocked {
            question,
            obstacle,
            leftover,
        } => {
            let question = Question::from(&question);
            line.error = Some(blocked(line, &question, &obstacle, &leftover));
            line.question = Some(question);
        }
        Ended::OlderAnswered(question, choice) => {
            line.error = Some(format!(
                "an older question was answered with {:?}; {} was not started, because the task that had asked goes on",
                choice.label, line.action
            ));
            line.question = Some((&question).into());
            line.answer = Some(choice.label);
        }
        Ended::Busy(task) => line.error = Some(busy(line, &task)),
        Ended::Running(error) => line.error = Some(still_running(line, &error)),
        Ended::Forgotten => {
            line.error = Some("the server no longer knows the task, so its end is unknown".to_owned());
        }
        Ended::MaybeStarted(error) => {
            line.error = Some(format!(
                "{}; it is unknown whether the task was started, because the server does not list it; it was not \
                 started again",
                error.with_causes()
            ));
        }
        Ended::Deleted => line.error = Some("the virtual machine was deleted".to_owned()),
        Ended::NotStarted(error) => line.error = Some(refused(&error)),
    }
    kind
}

fn words_of(power: &str) -> &str {
    match power {
        "poweredOn" => "powered on",
        "poweredOff" => "powered off",
        other => other,
    }
}

fn would_start(settings: &Settings) -> String {
    match settings.work {
        Work::Power(action) => format!("would call {}", action.method()),
        Work::Questions | Work::Answer => String::new(),
    }
}

/// Why a question blocks the task, what became of the task, and how to answer.
fn blocked(line: &Line, question: &Question, obstacle: &Obstacle, leftover: &Leftover) -> String {
    let what = match leftover {
        Leftover::Older => "an older task is blocked by a question",
        _ => "the task is blocked by a question",
    };
    let why = match obstacle {
        Obstacle::NotWanted => String::new(),
        Obstacle::Unanswerable(reason) => format!("; {}", unanswerable(*reason)),
        Obstacle::Refused(fault) => format!("; the server refused the default answer: {fault}"),
    };
    let task = match leftover {
        Leftover::Older => "nothing was started or cancelled".to_owned(),
        Leftover::Cancelled => "the task was cancelled".to_owned(),
        Leftover::NotCancelable => {
            "the task can't be cancelled, so it was left behind and is still blocked".to_owned()
        }
        Leftover::CancelRefused(fault) => {
            format!("cancelling the task failed, so it was left behind and is still blocked: {fault}")
        }
        Leftover::Cancelling => "the server agreed to cancel the task, but it has not ended".to_owned(),
        Leftover::NoTask => "the guest was asked already, so the question was left behind".to_owned(),
    };
    let id = line.id.as_deref().unwrap_or(&line.vm);
    let by_hand = match (leftover, obstacle) {
        _ if question.choices() == "none" => String::new(),
        (Leftover::Cancelled | Leftover::Cancelling, Obstacle::NotWanted) => {
            "; --auto-answer 1 answers with the default".to_owned()
        }
        (Leftover::Cancelled | Leftover::Cancelling, _) => format!(
            "; to choose an answer, start the task in the vSphere client and run: vw-task-esx answer {id} KEY"
        ),
        _ => format!("; to answer it, run: vw-task-esx answer {id} KEY"),
    };
    format!(
        "{what}: {:?} (id {}; choices: {}){why}; {task}{by_hand}",
        question.text,
        question.id,
        question.choices()
    )
}

fn unanswerable(reason: Unanswerable) -> &'static str {
    match reason {
        Unanswerable::NoDefault => "it has no default answer, and none is guessed",
        Unanswerable::NoChoices => "it has no choices, so it can't be answered",
        Unanswerable::UnknownChoice => "no choice has this key or label",
        Unanswerable::SeveralChoices => "several choices have this label; use a key",
    }
}

fn busy(line: &Line, task: &TaskInfo) -> String {
    let name = match (&*task.description, &*task.id) {
        ("", "") => "another task".to_owned(),
        ("", id) => format!("the task {id}"),
        (description, id) => format!("the task {id} ({description})"),
    };
    let progress = task.progress.map(|percent| format!(" at {percent} %"));
    format!(
        "{name} is pending{}; {} was not started",
        progress.unwrap_or_default(),
        line.action
    )
}

fn still_running(line: &Line, error: &vsphere::Error) -> String {
    let what = match &line.task {
        Some(task) => format!("the task {task} is still running"),
        None => "the guest was asked, but has not finished".to_owned(),
    };
    match error.kind() {
        Kind::Signal(_) => format!("{what}; the wait was {}", error.with_causes()),
        _ => format!("{what}; the wait ended: {}", error.with_causes()),
    }
}

/// Why a call was refused, with advice.
fn refused(error: &vsphere::Error) -> String {
    let text = error.with_causes();
    match error.is_without_permission() {
        true => format!("{text}; the account needs the privileges of Virtual machine / Interaction on it"),
        false => text,
    }
}

/// The result of an answer by hand.
pub(super) fn of_answer(
    machine: &Machine,
    action: &str,
    answered: Result<AnsweredByHand, vsphere::Error>,
    settings: &Settings,
) -> Reported {
    let mut line = Line::new(machine, action, State::Error);
    let id = &machine.object.id;
    let kind = match answered {
        Ok(AnsweredByHand::Taken(question, Choice { label, key })) => {
            line.state = State::Success;
            line.question = Some((&question).into());
            if settings.is_rehearsal {
                line.note = Some(format!("would answer with {key} {label:?}"));
            } else {
                line.answer = Some(label);
            }
            None
        }
        Ok(AnsweredByHand::NoQuestion) => {
            line.error = Some("no question is pending; it may have been answered meanwhile".to_owned());
            Some(Kind::Unavailable)
        }
        Ok(AnsweredByHand::Unanswerable(question, reason)) => {
            let question = Question::from(&question);
            line.error = Some(format!(
                "{}; the question is {:?}, its choices: {}",
                unanswerable(reason),
                question.text,
                question.choices()
            ));
            line.question = Some(question);
            Some(match reason {
                Unanswerable::UnknownChoice | Unanswerable::SeveralChoices => Kind::Usage,
                Unanswerable::NoDefault | Unanswerable::NoChoices => Kind::Unavailable,
            })
        }
        Ok(AnsweredByHand::Refused(question, fault)) => {
            line.error = Some(refusal(&fault));
            line.question = Some((&question).into());
            Some(Kind::Unavailable)
        }
        Ok(AnsweredByHand::Deleted) => {
            line.error = Some(format!("the virtual machine {id} was deleted"));
            Some(Kind::Unavailable)
        }
        Err(error) => {
            line.error = Some(refused(&error));
            Some(error.kind())
        }
    };
    Reported::new(line, kind)
}

fn refusal(fault: &Fault) -> String {
    format!("the server refused the answer: {fault}")
}
