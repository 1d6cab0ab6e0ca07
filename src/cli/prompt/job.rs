//! This process as one of the jobs that a shell watches over.

use std::fs;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::process::{Signal, getpgrp, kill_current_process_group};
use rustix::termios::tcgetpgrp;
use signal_hook::consts::SIGTTOU;

use crate::cancel::{Cancel, Cancelled};
use crate::cli::signals::is_ignored;

/// How long a signal that came while the job was stopped may need until it is heard.
const PAUSE: Duration = Duration::from_millis(200);

/// Stops the job until it is in the foreground, as the kernel does with one that uses the terminal. A signal that ends the
/// command is heard when the job goes on.
///
/// The kernel does it in the middle of tcsetattr(2): after SIGCONT that call is repeated, and stops the job again before anybody
/// hears of a SIGTERM that came together with it, as timeout(1) and `kill %1` send them.
pub(super) fn wait_for_foreground(terminal: impl AsFd, cancel: &Cancel) -> Result<(), Cancelled> {
    while !may_use(&terminal) {
        cancel.sleep(PAUSE)?;
        if !may_use(&terminal) {
            // It can't fail for one's own group, and returns when SIGCONT has come.
            let _ = kill_current_process_group(Signal::TTOU);
        }
    }
    cancel.check()
}

/// Whether the kernel lets us use the terminal, or says why not, instead of stopping us.
pub(super) fn may_use(terminal: impl AsFd) -> bool {
    let background = tcgetpgrp(terminal).is_ok_and(|group| group != getpgrp());
    !background || is_ignored(SIGTTOU) || !can_stop()
}

/// A process as proc_pid_stat(5) shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    parent: i32,
    group: i32,
    session: i32,
}

/// Whether somebody can have this process go on after SIGTSTP: its group is not orphaned, for some ancestor in the same
/// session is in another group (POSIX, 3.264). A system without /proc is believed to have a shell.
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
    // The second field, the name in brackets, may hold anything.
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
    fn a_job_has_a_shell_above_it_and_an_orphan_has_none() {
        let of = |parent, group, session| Process {
            parent,
            group,
            session,
        };
        let own = of(20, 30, 10);
        // A stage below the login shell, and one below a script that is the job.
        assert!(is_watched(of(10, 30, 10), |_| Some(of(1, 10, 10))));
        let script = |id| match id {
            20 => Some(of(10, 30, 10)),
            10 => Some(of(1, 10, 10)),
            _ => None,
        };
        assert!(is_watched(own, script));
        // What ssh -t started: the shell is in the same group, and sshd in another session.
        let remote = |id| Some(if id == 20 { of(5, 30, 10) } else { of(1, 5, 5) });
        assert!(!is_watched(own, remote));
        assert!(!is_watched(own, |_| None));
    }

    #[test]
    fn the_systems_line_is_read() {
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
