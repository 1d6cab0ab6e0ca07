//! The result line of a virtual machine.

use serde::Serialize;

use crate::cli::result::{Shown, fitted};
use crate::systems::vsphere::{self, Machine, Unidentified};

/// The state of a virtual machine's work in its result line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It is done, or there was nothing to do.
    Success,
    /// It has failed.
    Error,
    /// A question blocks the task, or would.
    Blocked,
    /// An older question was answered; the wanted task was not started.
    Answered,
    /// Another task is pending; the wanted task was not started.
    Busy,
    /// The wait ended before the task did.
    Running,
    /// The name does not mean one virtual machine.
    Unknown,
}

/// A question.
#[derive(Debug, Serialize)]
pub(super) struct Question {
    pub id: String,
    pub text: String,
    choices: Vec<Choice>,
    /// The key of the default choice, if there is one.
    default: Option<String>,
}

/// A possible answer.
#[derive(Debug, Serialize)]
struct Choice {
    key: String,
    label: String,
}

/// A result line. Members that say nothing are left out.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// The virtual machine's name, or what the user called it.
    pub vm: String,
    /// Its managed object id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What was to be done.
    pub action: String,
    /// How it ended.
    pub state: State,
    /// The managed object id of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The question that blocks, or that was answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// The labels of the answers that were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// What else is to be known about it, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why it failed, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Line {
    /// The line of a virtual machine, without details.
    pub(super) fn new(machine: &Machine, action: &str, state: State) -> Self {
        Line {
            vm: machine.name.clone(),
            id: Some(machine.object.id.clone()),
            action: action.to_owned(),
            state,
            task: None,
            question: None,
            answer: None,
            note: None,
            error: None,
        }
    }

    /// The line of a virtual machine that asked a question when it was read.
    pub(super) fn of_question(machine: &Machine, action: &str) -> Option<Self> {
        let question = machine.question.as_ref()?;
        let mut line = Line::new(machine, action, State::Blocked);
        line.question = Some(question.into());
        Some(line)
    }

    /// The line of a name that does not mean one virtual machine.
    pub(super) fn unidentified(name: &str, action: &str, reason: &Unidentified) -> Self {
        let error = match reason {
            Unidentified::Unknown(similar) if similar.is_empty() => {
                "there is no such virtual machine, or the account may not see it".to_owned()
            }
            Unidentified::Unknown(similar) => format!(
                "there is no such virtual machine; did you mean {}?",
                similar.join(", ")
            ),
            Unidentified::Ambiguous(all) => format!(
                "{} virtual machines are called so; use one of these paths or ids: {}",
                all.len(),
                all.join(", ")
            ),
        };
        Line {
            vm: name.to_owned(),
            id: None,
            action: action.to_owned(),
            state: State::Unknown,
            task: None,
            question: None,
            answer: None,
            note: None,
            error: Some(error),
        }
    }
}

impl From<&vsphere::Question> for Question {
    fn from(question: &vsphere::Question) -> Self {
        let choice = |choice: &vsphere::Choice| Choice {
            key: choice.key.clone(),
            label: choice.label.clone(),
        };
        Question {
            id: question.id.clone(),
            text: question.text.clone(),
            choices: question.choices.iter().map(choice).collect(),
            default: question.default_choice().ok().map(|choice| choice.key.clone()),
        }
    }
}

impl Question {
    /// The choices with their keys, such as `0 "Append" (default), 1 "Replace"`.
    pub(super) fn choices(&self) -> String {
        let one = |choice: &Choice| {
            let mark = match self.default.as_ref() == Some(&choice.key) {
                true => " (default)",
                false => "",
            };
            format!("{} {:?}{mark}", choice.key, choice.label)
        };
        match self.choices.is_empty() {
            true => "none".to_owned(),
            false => self.choices.iter().map(one).collect::<Vec<_>>().join(", "),
        }
    }
}

impl Shown for Line {
    fn readable(&self) -> String {
        let state = match self.state {
            State::Success => "success",
            State::Error => "ERROR",
            State::Blocked => "BLOCKED",
            State::Answered => "answered",
            State::Busy => "busy",
            State::Running => "running",
            State::Unknown => "UNKNOWN",
        };
        let id = self.id.as_ref().map(|id| format!(" ({id})"));
        let mut first = format!("{}{}: {}: {state}", self.vm, id.unwrap_or_default(), self.action);
        if let Some(note) = &self.note {
            first += &format!(", {note}");
        }
        let mut lines = vec![first];
        if let Some(question) = &self.question {
            lines.push(format!("  question {}: {}", question.id, question.text));
            lines.push(format!("  choices: {}", question.choices()));
        }
        if let Some(answer) = &self.answer {
            lines.push(format!("  answer: {answer}"));
        }
        fitted(&lines)
    }
}
