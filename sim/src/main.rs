//! Starts the simulated servers and runs a command against them, or serves until it is interrupted.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;

use clap::Parser;
use clap::error::ErrorKind;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use vw_sim::satellite5::Planned;
use vw_sim::simulation::Simulation;
use vw_sim::vcenter::Inventory;

const EXAMPLES: &str = "\
Without COMMAND, vw-sim prints the settings as shell lines and serves until it
is interrupted. With COMMAND, it sets VW_CONFIG (the configuration),
SSL_CERT_FILE (the servers' certificate authority) and PATH (its own folder
first), runs COMMAND, and ends with its exit status. SIGTERM is passed on.

PLAN is METHOD:N=TROUBLE for the Nth call of METHOD, or METHOD:N-=TROUBLE for
the Nth and each later one. May be repeated. TROUBLE is one of:
    delete (the system that the call is about), expire (all sessions),
    lose (the work is done, but no answer comes), close, cut, delay, html,
    xml (malformed), empty, endless, an HTTP status, or a fault: fault-9

Examples:
    vw-sim -- vw-scan-esx -n sim
    vw-sim --hosts 50 --vms 1000 -- sh -c \\
        'vw-scan-esx -n sim | vw-filter -n sim | vw-report-candlepin -n sim'
    vw-sim --sat5 registration.virt_notify:2=lose -- sh -c \\
        'vw-scan-esx -n sim-sat5 | vw-report-sat5 -n sim-sat5 --state-dir .'";

/// Start simulated sources and destinations on 127.0.0.1
#[derive(Parser)]
#[command(name = "vw-sim", version, after_help = EXAMPLES)]
struct Args {
    /// Number of hosts of each source
    #[arg(long, value_name = "N", default_value_t = 5)]
    hosts: u16,
    /// Number of virtual machines, spread over hosts
    #[arg(long, value_name = "N", default_value_t = 25)]
    vms: u32,
    /// Use HTTP instead of HTTPS
    #[arg(long)]
    plain: bool,
    /// Plan a trouble of Satellite 5: see below
    #[arg(long, value_name = "PLAN")]
    sat5: Vec<Planned>,
    /// Run COMMAND while the servers are up, then end
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(shown) if matches!(shown.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return ExitCode::from(u8::from(shown.print().is_err()));
        }
        Err(wrong) => {
            let text = wrong.to_string();
            let line = text.lines().next().unwrap_or("");
            return fail(64, line.trim_start_matches("error: "));
        }
    };
    if args.hosts == 0 && args.vms > 0 {
        return fail(
            64,
            "virtual machines need a host: with --hosts 0 give --vms 0, too",
        );
    }
    match run(&args) {
        Ok(status) => status,
        Err(error) => fail(1, &error.to_string()),
    }
}

fn fail(status: u8, message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "vw-sim: {message}");
    ExitCode::from(status)
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    // First, so that no signal ends the program before it can clean up.
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let inventory = Inventory::new(args.hosts.into(), usize::try_from(args.vms)?);
    let simulation = Simulation::start(inventory, args.plain)?;
    for planned in &args.sat5 {
        simulation.satellite5().plan(planned.clone());
    }
    let Some((program, arguments)) = args.command.split_first() else {
        print_settings(&simulation)?;
        let signal = signals.forever().next().unwrap_or(SIGTERM);
        return Ok(ExitCode::from(128 + u8::try_from(signal)?));
    };
    let started = Command::new(program)
        .args(arguments)
        .envs(simulation.environment())
        .env("PATH", path()?)
        // It would add the system's own authorities.
        .env_remove("SSL_CERT_DIR")
        .spawn();
    let child = match started {
        Ok(child) => child,
        Err(error) => {
            let status = if error.kind() == io::ErrorKind::NotFound {
                127
            } else {
                126
            };
            let text = error.to_string();
            let reason = text.split(" (os error").next().unwrap_or(&text);
            return Ok(fail(status, &format!("cannot run {program}: {reason}")));
        }
    };
    let status = wait(child, signals)?;
    Ok(ExitCode::from(exit_code(status)))
}

/// The search path with this program's own folder in front, because the commands are built into the same folder.
fn path() -> Result<OsString, Box<dyn Error>> {
    let own = env::current_exe()?;
    // The system's default; an empty PATH would mean the current folder.
    let usual = env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let folders = own.parent().map(PathBuf::from).into_iter();
    Ok(env::join_paths(folders.chain(env::split_paths(&usual)))?)
}

/// Waits for the command and passes SIGTERM on to it. A terminal sends SIGINT to the command itself.
fn wait(mut child: Child, mut signals: Signals) -> io::Result<ExitStatus> {
    let handle = signals.handle();
    let pid = rustix::process::Pid::from_child(&child);
    let passing = thread::spawn(move || {
        for _ in signals.forever().filter(|signal| *signal == SIGTERM) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    });
    let status = child.wait();
    handle.close();
    let _ = passing.join();
    status
}

/// The command's exit status, as a shell shows it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn print_settings(simulation: &Simulation) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let (user, password) = simulation.account();
    writeln!(out, "# vCenter      {}/sdk", simulation.vcenter().url())?;
    writeln!(out, "# oVirt        {}/ovirt-engine/api", simulation.rhevm_url())?;
    writeln!(out, "# Candlepin    {}", simulation.candlepin_url())?;
    writeln!(out, "# Satellite 5  {}", simulation.satellite5_url())?;
    writeln!(out, "# XenServer    {}", simulation.xen().url())?;
    let [element, central] = simulation.prism_urls();
    writeln!(out, "# Prism Element  {element}\n# Prism Central  {central}")?;
    writeln!(out, "# user {user}, password {password}; interrupt to stop")?;
    writeln!(
        out,
        "# sections sim, sim-sat5, sim-xen, sim-ahv, sim-prism, sim-rhevm"
    )?;
    for (name, path) in simulation.environment() {
        writeln!(out, "export {name}='{}'", path.display())?;
    }
    out.flush()
}
