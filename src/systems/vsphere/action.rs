//! The changes of the power state, and the methods of the API for them.

use super::task::TaskInfo;

/// A change of the power state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Turns it on, or resumes it.
    PowerOn,
    /// Turns it off at once.
    PowerOff,
    /// Saves its memory and turns it off.
    Suspend,
    /// Turns it off and on at once.
    Reset,
    /// Asks the guest to shut down. It is done when the virtual machine is off.
    ShutdownGuest,
    /// Asks the guest to reboot. It is done when the guest has been asked, because its end cannot be seen.
    RebootGuest,
}

impl Action {
    /// The method of the API.
    pub fn method(self) -> &'static str {
        match self {
            Action::PowerOn => "PowerOnVM_Task",
            Action::PowerOff => "PowerOffVM_Task",
            Action::Suspend => "SuspendVM_Task",
            Action::Reset => "ResetVM_Task",
            Action::ShutdownGuest => "ShutdownGuest",
            Action::RebootGuest => "RebootGuest",
        }
    }

    /// The last part of the `descriptionId` of the task.
    fn description(self) -> &'static str {
        match self {
            Action::PowerOn => "powerOn",
            Action::PowerOff => "powerOff",
            Action::Suspend => "suspend",
            Action::Reset => "reset",
            Action::ShutdownGuest | Action::RebootGuest => "",
        }
    }

    /// The power state that it leads to. None if it leads back to the same state.
    pub(super) fn goal(self) -> Option<&'static str> {
        match self {
            Action::PowerOn => Some("poweredOn"),
            Action::PowerOff | Action::ShutdownGuest => Some("poweredOff"),
            Action::Suspend => Some("suspended"),
            Action::Reset | Action::RebootGuest => None,
        }
    }

    /// Whether it starts a task. Otherwise it only asks the guest.
    pub(super) fn is_task(self) -> bool {
        !matches!(self, Action::ShutdownGuest | Action::RebootGuest)
    }

    /// Whether the task is one that this action starts.
    pub(super) fn starts(self, task: &TaskInfo) -> bool {
        if !self.is_task() {
            return false;
        }
        let last = task.description.rsplit('.').next().unwrap_or_default();
        last.eq_ignore_ascii_case(self.description()) || last == self.method()
    }
}
