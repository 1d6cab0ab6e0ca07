//! The cost of a report to Satellite 5, and the least that it could cost: `make bench`.
//!
//! The floor is a process that sends the same requests to the same simulated server, and reads the answers without looking at them.
//! It keeps no systemid, reads no document and no XML. Each is run several times in turn; the table shows medians. Nothing is
//! asserted here: figures depend on the machine. BENCHMARKS.md keeps a table and says more.

#[path = "../cost/mod.rs"]
mod cost;
mod floor;
mod recording;
mod server;

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write};
use std::path::Path;
use std::process::Command;

use cost::{Cost, Result, median, run};
use recording::Recorder;
use server::Server;

/// How often each command is run.
const RUNS: usize = 3;

/// The number of hypervisors, unless the arguments have others.
const SIZES: [usize; 1] = [5_000];

const GUESTS_PER_HOST: usize = 20;

/// How many hypervisors are reported at once.
const AT_ONCE: [usize; 2] = [1, 4];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [floor::OPTION, address, connections] => return floor::send(address, connections.parse()?),
        [server::OPTION] => return server::serve(),
        _ => {}
    }
    // cargo adds --bench.
    let sizes = arguments.iter().filter(|argument| *argument != "--bench");
    let sizes = sizes
        .map(|size| size.parse())
        .collect::<std::result::Result<Vec<usize>, _>>()?;
    let sizes = if sizes.is_empty() { SIZES.to_vec() } else { sizes };

    let mut out = io::stdout();
    writeln!(
        out,
        "| report | hypervisors | guests | -j | requests | report CPU | floor CPU | ratio | report memory | report wall | \
         floor wall |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for hosts in sizes {
        for at_once in AT_ONCE {
            rows(&mut out, hosts, at_once)?;
        }
    }
    Ok(())
}

/// The folder and the documents of reporters, and how many hypervisors they report at once.
struct Reporter {
    folder: tempfile::TempDir,
    at_once: usize,
    /// In the second document, each guest has another state.
    documents: [File; 2],
}

impl Reporter {
    fn new(hosts: usize, at_once: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("password"), "sim-secret\n")?;
        std::fs::write(folder.path().join("virt-who.conf"), "")?;
        Ok(Reporter {
            folder,
            at_once,
            documents: [document(hosts, 1)?, document(hosts, 5)?],
        })
    }

    /// Reports a document with the registrations of a folder.
    fn report(&self, address: &str, state: &Path, document: usize) -> Result<Cost> {
        let file = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_vw-report-sat5"));
        command
            .args(["--server", &format!("http://{address}"), "-u", "sim", "--quiet"])
            .args(["-j", &self.at_once.to_string()])
            .arg("--password-file")
            .arg(file("password"))
            .arg("--state-dir")
            .arg(state)
            .env("VW_CONFIG", file("virt-who.conf"))
            .env("NO_PROXY", "*");
        let mut stdin = self.documents[document].try_clone()?;
        stdin.rewind()?;
        run(&mut command, Some(stdin), 0)
    }

    /// An empty folder for registrations.
    fn state(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::tempdir_in(self.folder.path())?)
    }
}

/// Measures a first report, which registers all hypervisors, and one after it, in which all have changed.
fn rows(out: &mut impl Write, hosts: usize, at_once: usize) -> Result<()> {
    let reporter = Reporter::new(hosts, at_once)?;
    // The floor sends what was recorded to the server that knows the recorded systemids.
    let recorded = Server::start()?;
    let state = reporter.state()?;
    let mut requests = Vec::new();
    for document in [0, 1] {
        let recorder = Recorder::start(&recorded.address)?;
        reporter.report(&format!("127.0.0.1:{}", recorder.port()), state.path(), document)?;
        requests.push(recorder.finish()?);
    }
    let mut costs = [0, 1].map(|_| (Vec::new(), Vec::new()));
    for _ in 0..RUNS {
        let (server, state) = (Server::start()?, reporter.state()?);
        for (document, (reports, floors)) in costs.iter_mut().enumerate() {
            reports.push(reporter.report(&server.address, state.path(), document)?);
            floors.push(run_floor(&recorded.address, &requests[document].file, at_once)?);
        }
    }
    for ((name, (reports, floors)), requests) in ["first", "changed"].iter().zip(costs).zip(requests) {
        let (report, floor) = (median(reports), median(floors));
        writeln!(
            out,
            "| {name} | {hosts} | {} | {at_once} | {} | {:.2} s | {:.2} s | {:.2} | {:.1} MiB | {:.2} s | {:.2} s |",
            hosts * GUESTS_PER_HOST,
            requests.count,
            report.cpu.as_secs_f64(),
            floor.cpu.as_secs_f64(),
            report.cpu.as_secs_f64() / floor.cpu.as_secs_f64(),
            report.memory as f64 / f64::from(1 << 20),
            report.wall.as_secs_f64(),
            floor.wall.as_secs_f64(),
        )?;
    }
    Ok(out.flush()?)
}

/// Sends recorded requests over this number of connections.
fn run_floor(address: &str, requests: &File, connections: usize) -> Result<Cost> {
    let mut requests = requests.try_clone()?;
    requests.rewind()?;
    let mut command = Command::new(std::env::current_exe()?);
    run(
        command.args([floor::OPTION, address, &connections.to_string()]),
        Some(requests),
        0,
    )
}

/// A document in which all guests have this state.
fn document(hosts: usize, state: u8) -> Result<File> {
    let mut out = BufWriter::new(tempfile::tempfile()?);
    write!(out, "{{\"hypervisors\":[")?;
    for host in 0..hosts {
        let comma = if host == 0 { "" } else { "," };
        write!(out, "{comma}{{\"uuid\":\"esx{host:05}.example.com\",\"guests\":[")?;
        for guest in 0..GUESTS_PER_HOST {
            let comma = if guest == 0 { "" } else { "," };
            write!(
                out,
                "{comma}{{\"guestId\":\"564dae86-0000-1000-{guest:04}-{host:012}\",\"state\":{state},\
                 \"attributes\":{{\"active\":0,\"virtWhoType\":\"esx\"}}}}"
            )?;
        }
        write!(out, "]}}")?;
    }
    writeln!(out, "]}}")?;
    Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?)
}
