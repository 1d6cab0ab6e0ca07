//! A task of a virtual machine.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::object::VmKey;
use super::script::{Asked, OnCancel};

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
    pub(super) on_cancel: OnCancel,
    /// Whether the guest was asked, and there is no task that a client sees.
    pub(super) hidden: bool,
    pub(super) asks: VecDeque<Asked>,
    /// The question that blocks it.
    pub(super) asked: Option<Asked>,
    pub(super) run: Duration,
    pub(super) fails: Option<&'static str>,
    /// When it goes on by itself.
    pub(super) due: Option<Instant>,
    /// Whether clients no longer see it, as some minutes after its end.
    pub(super) forgotten: bool,
}

impl Task {
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, TaskState::Queued | TaskState::Running)
    }

    /// The power state at its end.
    pub(super) fn goal(&self) -> Option<&'static str> {
        match &*self.method {
            "PowerOnVM_Task" | "ResetVM_Task" => Some("poweredOn"),
            "PowerOffVM_Task" | "ShutdownGuest" => Some("poweredOff"),
            "SuspendVM_Task" => Some("suspended"),
            _ => None,
        }
    }

    /// Sets when the next question or the end comes.
    pub(super) fn schedule(&mut self, now: Instant) {
        let after = self.asks.front().map_or(self.run, |asked| asked.after);
        self.due = Some(now + after);
    }

    pub(super) fn end(&mut self, state: TaskState) {
        self.state = state;
        self.due = None;
        self.asked = None;
        self.progress = None;
    }
}

/// The `descriptionId` of a method's task.
pub(super) fn description(method: &str) -> String {
    let name = method.trim_end_matches("VM_Task").trim_end_matches("_Task");
    let (first, rest) = name.split_at(1.min(name.len()));
    format!("VirtualMachine.{}{rest}", first.to_lowercase())
}
