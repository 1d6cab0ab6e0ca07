//! Questions that virtual machines ask, and their answers (vSphere Web Services API, `VirtualMachineQuestionInfo`, `AnswerVM`).
//!
//! A task that meets a situation which needs a decision asks through its virtual machine, and is blocked until somebody answers.

use super::property::{self, Object, PropertySpec, Structure};
use super::session::Session;
use super::{Error, Fault, ManagedObject, NOT_AUTHENTICATED};

/// The property with the question that is pending.
pub(super) const QUESTION: &str = "runtime.question";

const ANSWER: &str = "AnswerVM";

const SPEC: PropertySpec = PropertySpec {
    kind: "VirtualMachine",
    paths: &[QUESTION],
};

/// A question with its choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its id, which names it in the answer.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// The possible answers; a server may send none.
    pub choices: Vec<Choice>,
    /// The position of the default among the choices.
    pub default: Option<usize>,
}

/// A possible answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is sent to the server. It need not be a number, nor the choice's position.
    pub key: String,
    /// What people see.
    pub label: String,
}

/// Why an answer names no choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswerable {
    /// Nobody named a choice, and the question has no default.
    NoDefault,
    /// The question has no choices.
    NoChoices,
    /// No choice has this key or label.
    UnknownChoice,
    /// Several choices have this label.
    SeveralChoices,
}

/// What became of an answer that was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The server took it.
    Taken,
    /// The question was gone: somebody else has answered it, or its task has ended.
    Gone,
    /// The server refused it, and still asks.
    Refused(Fault),
}

impl Question {
    /// The question that a virtual machine asks, if any.
    pub(super) fn of(machine: &Object) -> Option<Self> {
        machine.structure(QUESTION).map(Question::read)
    }

    fn read(info: &Structure) -> Self {
        let text = |of: &Structure, name: &str| of.text(name).unwrap_or_default().to_owned();
        let choices = info.member("choice");
        let each = choices.into_iter().flat_map(|choices| choices.all("choiceInfo"));
        let default = choices.and_then(|choices| choices.text("defaultIndex"));
        let choices: Vec<Choice> = each
            .map(|choice| Choice {
                key: text(choice, "key"),
                label: match choice.text("label") {
                    None | Some("") => text(choice, "summary"),
                    Some(label) => label.to_owned(),
                },
            })
            .collect();
        let default = default.and_then(|index| index.parse::<usize>().ok());
        Question {
            id: text(info, "id"),
            text: text(info, "text"),
            // An index outside of the choices names none of them.
            default: default.filter(|index| *index < choices.len()),
            choices,
        }
    }

    /// The choice that is marked as the default.
    pub fn default_choice(&self) -> Result<&Choice, Unanswerable> {
        let default = self.default.and_then(|index| self.choices.get(index));
        default.ok_or(match self.choices.is_empty() {
            true => Unanswerable::NoChoices,
            false => Unanswerable::NoDefault,
        })
    }

    /// The choice with this key, or else with this label, whose case does not matter.
    pub fn choice(&self, wanted: &str) -> Result<&Choice, Unanswerable> {
        if self.choices.is_empty() {
            return Err(Unanswerable::NoChoices);
        }
        if let Some(choice) = self.choices.iter().find(|choice| choice.key == wanted) {
            return Ok(choice);
        }
        let wanted = wanted.to_lowercase();
        let mut labelled = self.choices.iter().filter(|c| c.label.to_lowercase() == wanted);
        match (labelled.next(), labelled.next()) {
            (Some(choice), None) => Ok(choice),
            (None, _) => Err(Unanswerable::UnknownChoice),
            (Some(_), Some(_)) => Err(Unanswerable::SeveralChoices),
        }
    }
}

/// The question that the virtual machine asks now.
pub(super) fn pending(session: &mut Session, machine: &ManagedObject) -> Result<Option<Question>, Error> {
    let Session { client, content, .. } = session;
    let mut found = None;
    let (collector, machine) = (&content.property_collector, std::slice::from_ref(machine));
    property::retrieve_these(client, collector, machine, &SPEC, |object| {
        found = Question::of(object);
    })?;
    Ok(found)
}

/// Answers the question. A refusal is looked into, because a question that has vanished meanwhile is no failure.
pub(super) fn answer(
    session: &mut Session,
    machine: &ManagedObject,
    question: &Question,
    choice: &Choice,
) -> Result<Reply, Error> {
    let parameters = format!(
        "<questionId>{}</questionId><answerChoice>{}</answerChoice>",
        crate::xml::escape(&question.id),
        crate::xml::escape(&choice.key),
    );
    let answered = session
        .client
        .call(ANSWER, machine, &parameters, |xml| xml.skip());
    match answered {
        Ok(()) => Ok(Reply::Taken),
        Err(Error::Fault { fault, .. }) if fault.kind != NOT_AUTHENTICATED => {
            let still = pending(session, machine)?;
            match still.is_some_and(|now| now == *question) {
                true => Ok(Reply::Refused(fault)),
                false => Ok(Reply::Gone),
            }
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::Reader;

    fn read(choice: &str) -> Question {
        let text = format!(
            "<objects><obj type='VirtualMachine'>vm-1</obj><propSet><name>runtime.question</name>\
             <val xmlns:i='u' i:type='VirtualMachineQuestionInfo'><id>_vmx1</id><text>Replace &lt;it&gt;?</text>{choice}\
             <message><id>msg</id><text>more</text></message></val></propSet></objects>"
        );
        let mut reader = Reader::new(text.as_bytes());
        reader.child().unwrap();
        let mut object = Object::default();
        object.read(&mut reader).unwrap();
        Question::of(&object).unwrap()
    }

    fn info(key: &str, label: &str) -> String {
        format!("<choiceInfo><label>{label}</label><summary>s{key}</summary><key>{key}</key></choiceInfo>")
    }

    #[test]
    fn the_default_is_an_index_and_not_a_key() {
        let choices = info("7", "Append") + &info("0", "Replace") + &info("1", "");
        let of = |default: &str| read(&format!("<choice>{choices}{default}</choice>"));
        let question = of("<defaultIndex>1</defaultIndex>");
        assert_eq!((&*question.id, &*question.text), ("_vmx1", "Replace <it>?"));
        assert_eq!(question.default_choice().unwrap().key, "0");
        assert_eq!(
            question.choices[2].label, "s1",
            "the summary replaces an empty label"
        );
        for none in [
            "",
            "<defaultIndex>3</defaultIndex>",
            "<defaultIndex>-1</defaultIndex>",
        ] {
            assert_eq!(of(none).default_choice(), Err(Unanswerable::NoDefault), "{none}");
        }
        for none in ["", "<choice/>", "<choice><defaultIndex>0</defaultIndex></choice>"] {
            assert_eq!(
                read(none).default_choice(),
                Err(Unanswerable::NoChoices),
                "{none}"
            );
        }
    }

    #[test]
    fn a_choice_is_found_by_key_before_label() {
        let choices = info("7", "0") + &info("0", "Append") + &info("1", "Twice") + &info("2", "twice");
        let question = read(&format!("<choice>{choices}</choice>"));
        let key = |wanted| question.choice(wanted).map(|choice| &*choice.key);
        assert_eq!(key("0"), Ok("0"));
        assert_eq!(key("APPEND"), Ok("0"));
        assert_eq!(key("twice"), Err(Unanswerable::SeveralChoices));
        assert_eq!(key("9"), Err(Unanswerable::UnknownChoice));
        assert_eq!(read("").choice("0"), Err(Unanswerable::NoChoices));
    }
}
