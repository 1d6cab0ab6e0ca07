//! The vw-run that started this command, if one did: the command ends with it, and asks nobody for passwords.

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, test_kill_process};

use crate::process::STARTED_BY;

/// Whether vw-run started this command, or a program that started this command.
pub(super) fn is_vw_run() -> bool {
    std::env::var_os(STARTED_BY).is_some()
}

/// Asks for SIGTERM when vw-run ends, because a vw-run that was killed can't end its stages, and the next one would start the same
/// stages again. Returns false if it has already ended.
pub(super) fn end_with_it() -> bool {
    let id: Option<i32> = std::env::var(STARTED_BY).ok().and_then(|id| id.parse().ok());
    let Some(id) = id.filter(|id| *id > 0).and_then(Pid::from_raw) else {
        return true;
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        log::debug!("this command will not end with vw-run: {error}");
    }
    // It may have ended before the request. If it lives and is not the parent, a program in between is, and we end with that.
    getppid() == Some(id) || test_kill_process(id).is_ok()
}
