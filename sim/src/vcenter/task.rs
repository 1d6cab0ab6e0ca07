//! Tasks of virtual machines, which take time and may be blocked by questions.
//!
//! From the API's reference: `VirtualMachineQuestionInfo`, `TaskInfo`, `AnswerVM`, `CancelTask` and the power methods of
//! `VirtualMachine`. What a script does not say is as on a quiet server: a task succeeds at once and asks nothing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::inventory::Inventory;
use super::object::{Node, TaskKey, VmKey};
use super::soap::{Fault, escape};

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

/// A task's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// It waits for others.
    Queued,
    /// It runs, or is blocked.
    Running,
    /// It has ended well.
    Success,
    /// It has ended with this fault.
    Error(&'static str),
}

/// A task of a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The managed object id.
    pub id: String,
    /// The method that started it.
    pub method: String,
    /// The virtual machine.
    pub vm: VmKey,
    /// Its state.
    pub state: TaskState,
    /// `progress` in percent.
    pub progress: Option<u8>,
    on_cancel: OnCancel,
    /// Whether the guest was asked, and there is no task that a client sees.
    hidden: bool,
    asks: VecDeque<Asked>,
    /// The question that blocks it.
    asked: Option<Asked>,
    run: Duration,
    fails: Option<&'static str>,
    /// When it goes on by itself.
    due: Option<Instant>,
    /// Whether clients no longer see it, as some minutes after its end.
    pub(super) forgotten: bool,
}

impl Task {
    fn is_pending(&self) -> bool {
        matches!(self.state, TaskState::Queued | TaskState::Running)
    }

    /// The power state at its end.
    fn goal(&self) -> Option<&'static str> {
        match &*self.method {
            "PowerOnVM_Task" | "ResetVM_Task" => Some("poweredOn"),
            "PowerOffVM_Task" | "ShutdownGuest" => Some("poweredOff"),
            "SuspendVM_Task" => Some("suspended"),
            _ => None,
        }
    }

    /// Sets when the next question or the end comes.
    fn schedule(&mut self, now: Instant) {
        let after = self.asks.front().map_or(self.run, |asked| asked.after);
        self.due = Some(now + after);
    }

    fn end(&mut self, state: TaskState) {
        self.state = state;
        self.due = None;
        self.asked = None;
        self.progress = None;
    }
}

/// The `descriptionId` of a method's task.
fn description(method: &str) -> String {
    let name = method.trim_end_matches("VM_Task").trim_end_matches("_Task");
    let (first, rest) = name.split_at(1.min(name.len()));
    format!("VirtualMachine.{}{rest}", first.to_lowercase())
}

impl Inventory {
    /// Adds a task that is pending for ever and asks nothing. Another client started it with this method.
    pub fn add_pending_task(&mut self, vm: VmKey, method: &str) -> TaskKey {
        let script = Script::default();
        let key = self.add_task(vm, method, script, false);
        let task = &mut self.tasks[key.0 as usize];
        task.due = None;
        task.progress = Some(40);
        key
    }

    /// Adds a task that is blocked by the first question of the machine's script.
    pub fn add_blocked_task(&mut self, vm: VmKey, method: &str) -> TaskKey {
        let script = self.vm(vm).script.clone();
        let key = self.add_task(vm, method, script, false);
        self.tasks[key.0 as usize].due = Some(Instant::now());
        key
    }

    /// Hides the tasks of a virtual machine from clients, as a server that was restarted does.
    pub fn forget_tasks(&mut self, vm: VmKey) {
        let own = self.tasks.iter_mut().filter(|task| task.vm == vm);
        own.for_each(|task| task.forgotten = true);
    }

    /// Whether a call of this method would be refused because of the power state.
    fn check_power(&self, method: &str, vm: VmKey) -> Result<(), Fault> {
        let power = self.vm(vm).power.as_deref().unwrap_or_default();
        let wanted = match method {
            "PowerOnVM_Task" => &["poweredOff", "suspended"][..],
            "PowerOffVM_Task" => &["poweredOn", "suspended"],
            _ => &["poweredOn"],
        };
        match wanted.contains(&power) {
            true => Ok(()),
            false => {
                let message = "The attempted operation cannot be performed in the current state.";
                let members = format!(
                    "<requestedState>{}</requestedState><existingState>{power}</existingState>",
                    wanted[0]
                );
                Err(Fault::new("InvalidPowerState", message, members))
            }
        }
    }

    fn pending_task(&self, vm: VmKey) -> Option<&Task> {
        self.tasks.iter().find(|task| task.vm == vm && task.is_pending())
    }

    /// Starts a power task and returns its id.
    pub(super) fn start_task(&mut self, method: &str, vm: VmKey) -> Result<String, Fault> {
        if let Some(task) = self.pending_task(vm) {
            let members = format!("<task type=\"Task\">{}</task>", task.id);
            let message = "The operation is not allowed because another task is in progress.";
            return Err(Fault::new("TaskInProgress", message, members));
        }
        self.check_power(method, vm)?;
        let script = self.vm(vm).script.clone();
        let key = self.add_task(vm, method, script, false);
        Ok(self.tasks[key.0 as usize].id.clone())
    }

    /// Asks a guest to shut down or to reboot.
    pub(super) fn ask_guest(&mut self, method: &str, vm: VmKey) -> Result<(), Fault> {
        self.check_power(method, vm)?;
        if self.vm(vm).script.without_tools {
            let message =
                "Cannot complete operation because VMware Tools is not running in this virtual machine.";
            return Err(Fault::new("ToolsUnavailable", message, String::new()));
        }
        let script = self.vm(vm).script.clone();
        self.add_task(vm, method, script, true);
        Ok(())
    }

    fn add_task(&mut self, vm: VmKey, method: &str, script: Script, hidden: bool) -> TaskKey {
        let key = TaskKey(u32::try_from(self.tasks.len()).unwrap_or(u32::MAX));
        let number = format!("haTask-{}", self.tasks.len() + 1);
        let id = self.id("task-", &number);
        let mut task = Task {
            id,
            method: method.to_owned(),
            vm,
            state: TaskState::Running,
            progress: Some(0),
            on_cancel: script.on_cancel,
            hidden,
            asks: script.questions.into(),
            asked: None,
            run: script.run,
            fails: script.fails,
            due: None,
            forgotten: false,
        };
        task.schedule(Instant::now());
        self.tasks.push(task);
        key
    }

    /// All tasks that were started, also those that asked a guest.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The tasks that `recentTask` lists.
    pub(super) fn tasks_of(&self, vm: VmKey) -> impl Iterator<Item = TaskKey> {
        let tasks = (0..).map(TaskKey).zip(&self.tasks);
        tasks
            .filter(move |(_, task)| task.vm == vm && !task.hidden && !task.forgotten)
            .map(|(key, _)| key)
    }

    /// The virtual machine that a call names.
    pub(super) fn machine(&self, kind: &str, id: &str) -> Result<VmKey, Fault> {
        match self.find(kind, id) {
            Some(Node::Vm(vm)) => Ok(vm),
            _ => Err(Fault::not_found(kind, id)),
        }
    }

    /// When a task goes on by itself.
    pub(super) fn next_step(&self) -> Option<Instant> {
        self.tasks.iter().filter_map(|task| task.due).min()
    }

    /// Goes on with the tasks that are due.
    pub(super) fn step(&mut self, now: Instant) {
        for at in 0..self.tasks.len() {
            let task = &mut self.tasks[at];
            if task.due.is_none_or(|due| due > now) {
                continue;
            }
            task.due = None;
            if let Some(asked) = task.asks.pop_front() {
                let (vm, question) = (task.vm, asked.question.clone());
                task.progress = Some(50);
                task.asked = Some(asked);
                self.vm_mut(vm).question = Some(question);
                continue;
            }
            match task.fails {
                Some(fault) => task.end(TaskState::Error(fault)),
                None => {
                    task.end(TaskState::Success);
                    let (vm, goal) = (task.vm, task.goal());
                    if let Some(goal) = goal {
                        self.vm_mut(vm).power = Some(goal.to_owned());
                    }
                }
            }
        }
    }

    /// Takes an answer.
    pub(super) fn answer_question(&mut self, vm: VmKey, id: &str, key: &str) -> Result<(), Fault> {
        let Some(question) = self.vm(vm).question.clone().filter(|question| question.id == id) else {
            return Err(Fault::invalid_argument("questionId"));
        };
        let blocked = |task: &&mut Task| task.vm == vm && task.asked.is_some();
        let task = self.tasks.iter_mut().find(blocked);
        let is_taken = task
            .as_ref()
            .is_some_and(|task| task.asked.as_ref().is_some_and(|a| a.is_taken));
        if !is_taken && !question.choices.iter().any(|choice| choice.key == key) {
            return Err(Fault::invalid_argument("answerChoice"));
        }
        if let Some(task) = task {
            let asked = task.asked.take();
            match asked.is_some_and(|asked| !is_taken && asked.fatal.iter().any(|fatal| fatal == key)) {
                true => task.end(TaskState::Error("GenericVmConfigFault")),
                false => task.schedule(Instant::now()),
            }
        }
        self.vm_mut(vm).question = None;
        match is_taken {
            true => Err(Fault::invalid_argument("questionId")),
            false => Ok(()),
        }
    }

    /// Cancels a task.
    pub(super) fn cancel_task(&mut self, kind: &str, id: &str) -> Result<(), Fault> {
        let Some(Node::Task(key)) = self.find(kind, id) else {
            return Err(Fault::not_found(kind, id));
        };
        let task = &mut self.tasks[key.0 as usize];
        match task.on_cancel {
            OnCancel::NotCancelable => {
                let message = "The operation is not supported on the object.";
                return Err(Fault::new("NotSupported", message, String::new()));
            }
            OnCancel::Fails => {
                let message = "Unable to communicate with the remote host, since it is disconnected.";
                return Err(Fault::new("HostCommunication", message, String::new()));
            }
            OnCancel::Ignored => return Ok(()),
            OnCancel::Ends => {}
        }
        if task.is_pending() {
            let (vm, was_asking) = (task.vm, task.asked.is_some());
            task.end(TaskState::Error("RequestCanceled"));
            if was_asking {
                self.vm_mut(vm).question = None;
            }
        }
        Ok(())
    }

    /// The members of a `TaskInfo`.
    pub(super) fn task_members(&self, key: TaskKey) -> String {
        let task = &self.tasks[key.0 as usize];
        let vm = self.vm(task.vm);
        let id = escape(&task.id);
        let (state, error) = match task.state {
            TaskState::Queued => ("queued", String::new()),
            TaskState::Running => ("running", String::new()),
            TaskState::Success => ("success", String::new()),
            TaskState::Error(fault) => (
                "error",
                format!(
                    "<error><fault xsi:type=\"{fault}\"/><localizedMessage>The task ended: {fault}</localizedMessage></error>"
                ),
            ),
        };
        let progress = task
            .progress
            .map(|percent| format!("<progress>{percent}</progress>"));
        format!(
            "<key>{id}</key><task type=\"Task\">{id}</task><name>{}</name><descriptionId>{}</descriptionId>\
             <entity type=\"VirtualMachine\">{}</entity><entityName>{}</entityName><state>{state}</state>\
             <cancelled>{}</cancelled><cancelable>{}</cancelable>{error}{}\
             <reason xsi:type=\"TaskReasonUser\"><userName>sim</userName></reason><eventChainId>1</eventChainId>",
            escape(&task.method),
            description(&task.method),
            escape(&vm.id),
            escape(vm.name.as_deref().unwrap_or_default()),
            task.state == TaskState::Error("RequestCanceled"),
            task.is_pending() && task.on_cancel != OnCancel::NotCancelable,
            progress.unwrap_or_default(),
        )
    }
}
