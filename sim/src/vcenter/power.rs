//! Tasks of virtual machines, which take time and may be blocked by questions.
//!
//! From the API's reference: `VirtualMachineQuestionInfo`, `TaskInfo`, `AnswerVM`, `CancelTask` and the power methods of
//! `VirtualMachine`. What a script does not say is as on a quiet server: a task succeeds at once and asks nothing.

use std::time::Instant;

use super::inventory::Inventory;
use super::object::{Node, TaskKey, VmKey};
use super::script::{OnCancel, Script};
use super::soap::{Fault, escape};
use super::task::{Task, TaskState, description};

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

    /// Lets the pending tasks of a virtual machine end well.
    pub fn end_tasks(&mut self, vm: VmKey) {
        let own = self
            .tasks
            .iter_mut()
            .filter(|task| task.vm == vm && task.is_pending());
        own.for_each(|task| task.due = Some(Instant::now()));
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
