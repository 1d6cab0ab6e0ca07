//! What a process costs, for the benchmarks.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The resources that a process used, with the processes that it waited for.
pub(crate) struct Cost {
    /// Seconds of CPU, user and system.
    pub(crate) cpu: Duration,
    /// The peak of memory in bytes; of several processes, that of the largest. It is at least that of this process, which
    /// therefore keeps its data in files.
    pub(crate) memory: u64,
    pub(crate) wall: Duration,
}

/// Runs a command to its end. It must end with this status.
pub(crate) fn run(command: &mut Command, status: i32) -> Result<Cost> {
    let since = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let used = child.wait4()?;
    if used.status.code() != Some(status) {
        return Err(format!("{command:?}: {}", used.status).into());
    }
    Ok(Cost {
        cpu: used.rusage.utime + used.rusage.stime,
        memory: used.rusage.maxrss,
        wall: since.elapsed(),
    })
}

/// The median by CPU, with the memory and time of that run.
pub(crate) fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.cpu);
    costs.swap_remove(costs.len() / 2)
}
