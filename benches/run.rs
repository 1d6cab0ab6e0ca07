//! The cost of a round of `vw-run` over many vCenters, with all the stages that it starts, beside that of one section alone:
//! `make bench`. BENCHMARKS.md keeps a table.

mod cost;

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use cost::{Cost, Result, median, run};

/// How often each round is run.
const RUNS: usize = 5;

const VCENTERS: usize = 30;
const HOSTS: usize = 50;
const VMS: usize = 1_000;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let simulators = (0..VCENTERS).map(|_| Simulator::start());
    let simulators = simulators.collect::<Result<Vec<_>>>()?;
    let configuration = folder.path().join("virt-who.conf");
    write(&configuration, &simulators)?;
    let mut out = io::stdout();
    writeln!(
        out,
        "| round | sections | VMs | CPU | per section | memory | wall |\n|---|--:|--:|--:|--:|--:|--:|"
    )?;
    for (name, sections) in [("one section", 1), ("all sections", VCENTERS)] {
        let rounds = (0..RUNS).map(|_| round(&configuration, sections));
        let cost = median(rounds.collect::<Result<Vec<_>>>()?);
        writeln!(
            out,
            "| {name} | {sections} | {} | {:.3} s | {:.3} s | {:.1} MiB | {:.2} s |",
            sections * VMS,
            cost.cpu.as_secs_f64(),
            cost.cpu.as_secs_f64() / sections as f64,
            cost.memory as f64 / f64::from(1 << 20),
            cost.wall.as_secs_f64(),
        )?;
    }
    Ok(())
}

/// One round over the first sections. Nothing is known from an earlier round, so everything is sent.
fn round(configuration: &Path, sections: usize) -> Result<Cost> {
    let state = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_vw-run"));
    command.args(["--one-shot", "--state-dir"]).arg(state.path());
    for number in 0..sections {
        command.args(["-n", &format!("vc{number}")]);
    }
    command.env("VW_CONFIG", configuration).env("NO_PROXY", "*");
    run(&mut command, None, 0)
}

/// Writes a section for each vCenter. All report to the Candlepin of the first simulator.
fn write(configuration: &Path, simulators: &[Simulator]) -> Result<()> {
    let mut out = File::create(configuration)?;
    out.set_permissions(Permissions::from_mode(0o600))?;
    writeln!(out, "[defaults]")?;
    let keys = simulators.first().into_iter().flat_map(|first| &first.keys);
    for key in keys.filter(|key| key.starts_with("rhsm_")) {
        writeln!(out, "{key}")?;
    }
    for (number, simulator) in simulators.iter().enumerate() {
        writeln!(out, "[vc{number}]")?;
        for key in simulator.keys.iter().filter(|key| !key.starts_with("rhsm_")) {
            writeln!(out, "{key}")?;
        }
    }
    Ok(())
}

/// A simulated vCenter with a Candlepin, in a process that ends with its stdin.
struct Simulator {
    /// The lines of its section.
    keys: Vec<String>,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl Simulator {
    fn start() -> Result<Self> {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_vw-run")).with_file_name("vw-sim");
        let mut child = Command::new(program)
            .args([
                "--plain",
                "--hosts",
                &HOSTS.to_string(),
                "--vms",
                &VMS.to_string(),
            ])
            .args(["--", "sh", "-c", "echo \"$VW_CONFIG\"; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut path = String::new();
        output.read_line(&mut path)?;
        let text = fs::read_to_string(path.trim_end())?;
        let section = text.lines().skip_while(|line| *line != "[sim]").skip(1);
        let keys = section.take_while(|line| !line.starts_with('['));
        Ok(Simulator {
            keys: keys.map(str::to_owned).collect(),
            output,
            child,
        })
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It may print more before it cleans up.
        let _ = io::copy(&mut self.output, &mut io::sink());
        let _ = self.child.wait();
    }
}
