//! What processes cost.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4 as _;

use crate::Result;

/// The resources that a process used, with the processes that it waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU time, user and system.
    pub(crate) cpu: Duration,
    /// The peak of memory in bytes; of several processes, that of the largest. It is at least that of this process, which
    /// therefore keeps its data in files.
    pub(crate) memory: u64,
    pub(crate) wall: Duration,
}

/// A stage and its floor.
pub(crate) struct Compared {
    pub(crate) stage: Cost,
    pub(crate) floor: Cost,
    /// CPU of the stage divided by CPU of the floor.
    pub(crate) ratio: f64,
}

/// Runs a command to its end, with this file or nothing as its stdin. It must end with this status.
pub(crate) fn run(command: &mut Command, stdin: Option<&Path>, status: i32) -> Result<Cost> {
    let stdin = stdin.map(File::open).transpose()?;
    command.stdin(stdin.map_or_else(Stdio::null, Stdio::from));
    let since = Instant::now();
    let mut child = command.spawn()?;
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

/// A command of this project, which prints to nowhere and uses no proxy.
pub(crate) fn vw(command: &str) -> Command {
    let mut command = Command::new(commands().join(command));
    command.env("NO_PROXY", "*").stdout(Stdio::null());
    command
}

/// The folder of the built commands.
pub(crate) fn commands() -> &'static Path {
    let one = Path::new(env!("CARGO_BIN_EXE_vw-run"));
    one.parent().unwrap_or(one)
}

/// This program as a floor.
pub(crate) fn floor<A: AsRef<OsStr>>(name: &str, arguments: impl IntoIterator<Item = A>) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(crate::FLOOR).arg(name).args(arguments);
    command.stdout(Stdio::null());
    Ok(command)
}

/// Runs a stage and its floor in turn. Returns the medians.
///
/// The ratio is the median of the ratios of neighbours, because a machine that is loaded for a while slows both.
pub(crate) fn compare(
    runs: usize,
    mut stage: impl FnMut() -> Result<Cost>,
    mut floor: impl FnMut() -> Result<Cost>,
) -> Result<Compared> {
    let pairs = (0..runs).map(|_| Ok((stage()?, floor()?)));
    let pairs = pairs.collect::<Result<Vec<_>>>()?;
    let ratio = |(stage, floor): &(Cost, Cost)| stage.cpu.as_secs_f64() / floor.cpu.as_secs_f64();
    let mut ratios: Vec<f64> = pairs.iter().map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let (stages, floors): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    Ok(Compared {
        stage: median(stages),
        floor: median(floors),
        ratio: ratios[runs / 2],
    })
}

/// The median by CPU, with the memory and time of that run.
fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.cpu);
    costs[costs.len() / 2]
}

/// What a running process has used since its start. Threads that have ended are not counted.
pub(crate) fn so_far(process: u32, since: Instant) -> Result<Cost> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let statistics = fs::read_to_string(thread?.path().join("schedstat"))?;
        let on_cpu = statistics.split(' ').next().unwrap_or("");
        nanoseconds += on_cpu.parse::<u64>()?;
    }
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(Cost {
        cpu: Duration::from_nanos(nanoseconds),
        memory: peak.ok_or("no VmHWM")?.parse::<u64>()? << 10,
        wall: since.elapsed(),
    })
}
