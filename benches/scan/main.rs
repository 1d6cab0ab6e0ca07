//! The cost of a scan, and the least that it could cost: `make bench`.
//!
//! The floor is a process of its own that reads, from a socket, the same bytes that the scan read, and does nothing but to have
//! quick-xml find the XML's events in them. Each is run several times in turn; the table shows medians. Nothing is asserted here:
//! figures depend on the machine. BENCHMARKS.md keeps a table and says more.

#[path = "../cost/mod.rs"]
mod cost;
mod floor;
mod recording;
mod server;

use std::fs::File;
use std::io::{self, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use cost::{Cost, Result, median, run};
use recording::Recorder;
use server::Server;

/// How often each command is run.
const RUNS: usize = 5;

/// The numbers of virtual machines, unless the arguments have others.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// The average number of virtual machines on a host.
const VMS_PER_HOST: usize = 20;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [floor::OPTION, address] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return floor::read(address);
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
        "| server | VMs | hosts | MB | scan CPU | floor CPU | ratio | scan memory | floor memory | scan wall |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    )?;
    for kind in server::Kind::ALL {
        for vms in &sizes {
            match Server::start(kind, vms / VMS_PER_HOST, *vms)? {
                Some(server) => row(&mut out, &server, *vms)?,
                None => {
                    writeln!(out, "{kind}: skipped, for want of {}", kind.program().display())?;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Measures one inventory.
fn row(out: &mut impl Write, server: &Server, vms: usize) -> Result<()> {
    let mut answers = tempfile::tempfile()?;
    let recorder = Recorder::start(&server.address)?;
    run(&mut server.scan(Some(recorder.port())), 0)?;
    let bytes = recorder.finish(&mut answers)?;
    let (mut scans, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        scans.push(run(&mut server.scan(None), 0)?);
        floors.push(run_floor(&answers)?);
    }
    let (scan, floor) = (median(scans), median(floors));
    writeln!(
        out,
        "| {} | {vms} | {} | {:.1} | {:.3} s | {:.3} s | {:.2} | {:.1} MiB | {:.1} MiB | {:.2} s |",
        server.kind,
        vms / VMS_PER_HOST,
        bytes as f64 / 1e6,
        scan.cpu.as_secs_f64(),
        floor.cpu.as_secs_f64(),
        scan.cpu.as_secs_f64() / floor.cpu.as_secs_f64(),
        scan.memory as f64 / f64::from(1 << 20),
        floor.memory as f64 / f64::from(1 << 20),
        scan.wall.as_secs_f64(),
    )?;
    Ok(out.flush()?)
}

/// Runs the floor, and serves it the recorded answers.
fn run_floor(answers: &File) -> Result<Cost> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let mut answers = answers.try_clone()?;
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        io::Seek::rewind(&mut answers)?;
        io::copy(&mut answers, &mut stream)
    });
    let cost = run(
        Command::new(std::env::current_exe()?).args([floor::OPTION, &address]),
        0,
    )?;
    serving.join().map_err(|_| "serving the floor")??;
    Ok(cost)
}
