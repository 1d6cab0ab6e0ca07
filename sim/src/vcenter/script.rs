//! Questions of virtual machines, and the scripts that their tasks follow.

use std::time::Duration;

use super::soap::escape;

/// A choice of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What an answer names.
    pub key: String,
    /// What people see.
    pub label: String,
}

/// A question of a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What an answer refers to.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// The possible answers.
    pub choices: Vec<Choice>,
    /// `defaultIndex`, an index into the choices.
    pub default: Option<i32>,
}

impl Question {
    /// A question with these keys and labels.
    pub fn new(id: &str, text: &str, choices: &[(&str, &str)], default: Option<i32>) -> Self {
        let choice = |(key, label): &(&str, &str)| Choice {
            key: (*key).to_owned(),
            label: (*label).to_owned(),
        };
        Question {
            id: id.to_owned(),
            text: text.to_owned(),
            choices: choices.iter().map(choice).collect(),
            default,
        }
    }

    /// What a serial port to an existing file asks; the default, Append, has the key 7.
    pub fn serial_port() -> Self {
        let text = "Serial port file exists. Replace its content or append to it?";
        Question::new(
            "_vmx1",
            text,
            &[("3", "Replace"), ("7", "Append"), ("0", "Cancel")],
            Some(1),
        )
    }

    pub(super) fn members(&self) -> String {
        let choice = |choice: &Choice| {
            let (key, label) = (escape(&choice.key), escape(&choice.label));
            format!(
                "<choiceInfo xsi:type=\"ElementDescription\"><label>{label}</label><summary>{label}</summary><key>{key}</key>\
                 </choiceInfo>"
            )
        };
        let choices: String = self.choices.iter().map(choice).collect();
        let default = self
            .default
            .map(|index| format!("<defaultIndex>{index}</defaultIndex>"));
        format!(
            "<id>{}</id><text>{}</text><choice>{choices}{}</choice>",
            escape(&self.id),
            escape(&self.text),
            default.unwrap_or_default()
        )
    }
}

/// A question of a script, and what happens with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// How long after the start, or after the answer to the question before, it is asked.
    pub after: Duration,
    /// The keys of the answers that make the task fail.
    pub fatal: Vec<String>,
    /// Whether somebody else answers it just before the client does.
    pub is_taken: bool,
}

impl Asked {
    /// A question that is asked at once.
    pub fn at_once(question: Question) -> Self {
        Asked::after(Duration::ZERO, question)
    }

    /// A question that is asked after this time.
    pub fn after(after: Duration, question: Question) -> Self {
        Asked {
            question,
            after,
            fatal: Vec::new(),
            is_taken: false,
        }
    }
}

/// What a call of CancelTask does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnCancel {
    /// The task ends with RequestCanceled.
    #[default]
    Ends,
    /// NotSupported: the task says that it can't be cancelled.
    NotCancelable,
    /// The call fails with HostCommunication, although the task says that it can be cancelled.
    Fails,
    /// Nothing happens.
    Ignored,
}

/// What the tasks of a virtual machine do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// What they ask, one after the other.
    pub questions: Vec<Asked>,
    /// How long they run after the last answer.
    pub run: Duration,
    /// Whether they can be cancelled.
    pub on_cancel: OnCancel,
    /// The fault that they end with; none is success.
    pub fails: Option<&'static str>,
    /// Whether the guest has no tools.
    pub without_tools: bool,
}
