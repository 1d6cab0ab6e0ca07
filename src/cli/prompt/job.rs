//! This process as a shell's job: whether it may use the terminal, and whether it can stop.

use std::fs;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::process::{Signal, getpgrp, kill_current_process_group};
use rustix::termios::tcgetpgrp;
use signal_hook::consts::SIGTTOU;

use crate::cancel::{Cancel, Cancelled};
use crate::cli::signals::{has_come, is_ignored};

/// How long a signal that came while the job was stopped may take until its handler has run, on a busy machine.
const PAUSE: Duration = Duration::from_millis(200);

/// Stops the job until it is in the foreground. A signal that ends the command takes effect when the job continues.
///
/// The kernel would also stop a background job, but inside tcsetattr(3). After SIGCONT that call is repeated and stops the job
/// again, before a SIGTERM that came together with SIGCONT can end it. timeout(1) and `kill %1` send both.
pub(super) fn wait_for_foreground(terminal: impl AsFd, cancel: &Cancel) -> Result<(), Cancelled> {
    while !may_use(&terminal) {
        cancel.sleep(PAUSE)?;
        if !may_use(&terminal) && !has_come() {
            // It can't fail for the process's own group, and returns after SIGCONT.
            let _ = kill_current_process_group(Signal::TTOU);
        }
    }
    cancel.check()
}

/// Whether using the terminal succeeds or fails, but does not stop the process.
pub(super) fn may_use(terminal: impl AsFd) -> bool {
    let background = tcgetpgrp(terminal).is_ok_and(|group| group != getpgrp());
    !background || is_ignored(SIGTTOU) || !can_stop()
}

/// The parts of proc_pid_stat(5) that are needed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    parent: i32,
    group: i32,
    session: i32,
}

/// Whether a shell can continue this process after SIGTSTP: an ancestor in the same session is in another group, so the
/// process's group is not orphaned (POSIX, 3.264). Without /proc the answer is yes.
pub(super) fn can_stop() -> bool {
    match process("self") {
        Some(own) => is_watched(own, |id| process(&id.to_string())),
        None => true,
    }
}

fn is_watched(own: Process, find: impl Fn(i32) -> Option<Process>) -> bool {
    let mut parent = find(own.parent);
    while let Some(process) = parent {
        if process.session != own.session {
            return false;
        }
        if process.group != own.group {
            return true;
        }
        parent = find(process.parent);
    }
    false
}

fn process(id: &str) -> Option<Process> {
    parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Process> {
    // The second field, the name in brackets, may contain any characters.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut numbers = fields.split_whitespace().skip(1).map(|field| field.parse().ok());
    Some(Process {
        parent: numbers.next()??,
        group: numbers.next()??,
        session: numbers.next()??,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_an_ancestor_in_another_group_and_an_orphan_has_none() {
        let of = |parent, group, session| Process {
            parent,
            group,
            session,
        };
        let own = of(20, 30, 10);
        // A stage that the login shell started, and one that a script started.
        assert!(is_watched(of(10, 30, 10), |_| Some(of(1, 10, 10))));
        let script = |id| match id {
            20 => Some(of(10, 30, 10)),
            10 => Some(of(1, 10, 10)),
            _ => None,
        };
        assert!(is_watched(own, script));
        // With ssh -t, the shell is in the same group and sshd in another session.
        let remote = |id| Some(if id == 20 { of(5, 30, 10) } else { of(1, 5, 5) });
        assert!(!is_watched(own, remote));
        assert!(!is_watched(own, |_| None));
    }

    #[test]
    fn the_fields_of_proc_stat_are_read() {
        let read = parse("77 (vw) scan) S 20 30 10 34819 30 4194304 0 0");
        let expected = Process {
            parent: 20,
            group: 30,
            session: 10,
        };
        assert_eq!(read, Some(expected));
        assert_eq!(parse("77 (vw) S"), None);
    }
}
