//! One at a time: the locks of vw-run, and a word about virt-who.

use std::fs;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::Args;
use crate::cli;
use crate::error::Kind;
use crate::state::{self, Claim, Folder, Lock};

/// virt-who's file with its process id.
const VIRT_WHO: &str = "/run/virt-who.pid";

/// Takes the locks, which end with the process, however it ends.
///
/// A vw-run for all sections is alone. Those with `-n` may run beside each other if their sections differ.
pub(super) fn claim(args: &Args) -> cli::Result<Vec<Lock>> {
    if let Some(id) = running_virt_who(Path::new(VIRT_WHO), Path::new("/proc")) {
        log::warn!(
            "virt-who is running, too (process {id}), and both report; end one of them: systemctl disable --now virt-who"
        );
    }
    let folder = Folder::new(&args.state_dir);
    let take = |name: &str, claim| folder.claim(name, claim).map_err(explain);
    let Some(_) = args.names.first() else {
        return Ok(vec![take("vw-run.lock", Claim::Alone)?]);
    };
    let mut locks = vec![take("vw-run.lock", Claim::Beside)?];
    let mut names: Vec<&str> = args.names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let file = state::file_name("vw-run-", &format!("{name}.lock"));
        locks.push(take(&file, Claim::Alone)?);
    }
    Ok(locks)
}

fn explain(error: state::Error) -> cli::Error {
    match &error {
        state::Error::Locked { path, holder, .. } => cli::Failure::new(
            Kind::TempFail,
            format!(
                "another vw-run is running: {holder} holds the lock {}; end it, or use another --state-dir",
                path.display()
            ),
        )
        .into(),
        _ => cli::Error::from(error).advise("--state-dir names another folder"),
    }
}

/// The process id of a virt-who that runs. A file that a crash has left behind does not count.
fn running_virt_who(file: &Path, processes: &Path) -> Option<i32> {
    let id: i32 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let pid = (id > 0).then(|| Pid::from_raw(id))??;
    // Another user's process answers that we may not.
    let lives = matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM));
    let command = fs::read(processes.join(id.to_string()).join("cmdline")).unwrap_or_default();
    let is_virt_who = String::from_utf8_lossy(&command).contains("virt-who");
    (lives && is_virt_who).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_virt_who_that_lives_counts() {
        let place = tempfile::tempdir().unwrap();
        let me = std::process::id();
        let (file, own) = (place.path().join("pid"), place.path().join(me.to_string()));
        let running = || running_virt_who(&file, place.path());
        fs::create_dir(&own).unwrap();
        assert_eq!(running(), None);
        fs::write(&file, format!("{me}\n")).unwrap();
        fs::write(own.join("cmdline"), "/usr/bin/python3\0/usr/bin/virt-who\0").unwrap();
        assert_eq!(running(), Some(me as i32));
        fs::write(own.join("cmdline"), "/usr/sbin/sshd\0").unwrap();
        assert_eq!(running(), None);
        fs::write(&file, "-1").unwrap();
        assert_eq!(running(), None);
        fs::write(&file, "nonsense").unwrap();
        assert_eq!(running(), None);
    }
}
