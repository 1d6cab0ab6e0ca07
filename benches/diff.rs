//! The cost of comparing two large mappings, and what jq and diff need for the same: `make bench`. BENCHMARKS.md keeps a table.

mod cost;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Command;

use cost::{Result, median, run};

/// How often each command is run.
const RUNS: usize = 5;

const HOSTS: usize = 5_000;
const GUESTS_PER_HOST: usize = 20;

/// A line for each host and each guest, sorted, with what vw-diff compares: the same differences as lines that only one side has.
const WITH_JQ: &str = r#"
lines() {
    jq -r '.hypervisors[] | (.uuid | ascii_downcase) as $host
        | "host \($host) \(.name) \(.facts | tojson)",
          (.guests[] | "guest \(.guestId | ascii_downcase) \($host) \(.state) \(.attributes | tojson)")' "$1" | LC_ALL=C sort
}
lines old.json > old.lines
lines new.json > new.lines
diff old.lines new.lines
"#;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let size = write(&folder.path().join("old.json"), 0)? + write(&folder.path().join("new.json"), 1)?;
    let mut out = io::stdout();
    writeln!(
        out,
        "| command | hosts | guests | MB | CPU | memory | wall |\n|---|--:|--:|--:|--:|--:|--:|"
    )?;
    for (name, command) in commands() {
        let Some(mut command) = command else {
            writeln!(out, "{name}: skipped, because jq is not installed")?;
            continue;
        };
        command.current_dir(&folder);
        let costs = (0..RUNS).map(|_| run(&mut command, 1));
        let cost = median(costs.collect::<Result<Vec<_>>>()?);
        writeln!(
            out,
            "| {name} | {HOSTS} | {} | {:.1} | {:.3} s | {:.1} MiB | {:.2} s |",
            HOSTS * GUESTS_PER_HOST,
            size as f64 / 1e6,
            cost.cpu.as_secs_f64(),
            cost.memory as f64 / f64::from(1 << 20),
            cost.wall.as_secs_f64(),
        )?;
    }
    Ok(())
}

/// The commands with their names; none for one whose programs are missing.
fn commands() -> [(&'static str, Option<Command>); 3] {
    let own = |option: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vw-diff"));
        command.args(["old.json", "new.json", option]);
        Some(command)
    };
    let has_jq = Command::new("jq").arg("--version").output().is_ok();
    let mut shell = Command::new("sh");
    shell.args(["-c", WITH_JQ]);
    [
        ("vw-diff --summary", own("--summary")),
        ("vw-diff --json", own("--json")),
        ("jq, sort, diff", has_jq.then_some(shell)),
    ]
}

/// Writes a mapping as a scan does. With `shift` 1, one guest of each host is on the next host, and every hundredth guest has
/// another state.
fn write(file: &Path, shift: usize) -> Result<u64> {
    let mut out = BufWriter::new(File::create(file)?);
    write!(out, "{{\"hypervisors\":[")?;
    let count = HOSTS * GUESTS_PER_HOST;
    for host in 0..HOSTS {
        let comma = if host == 0 { "" } else { "," };
        write!(out, "{comma}{{\"uuid\":\"{}\",\"guests\":[", uuid(host + count))?;
        for guest in 0..GUESTS_PER_HOST {
            let comma = if guest == 0 { "" } else { "," };
            let number = (host * GUESTS_PER_HOST + guest + shift) % count;
            let state = if number.is_multiple_of(100) && shift == 1 { 5 } else { 1 };
            let active = u8::from(state == 1);
            write!(
                out,
                "{comma}{{\"guestId\":\"{}\",\"state\":{state},\
                 \"attributes\":{{\"active\":{active},\"virtWhoType\":\"esx\"}}}}",
                uuid(number)
            )?;
        }
        write!(
            out,
            "],\"facts\":{{\"hypervisor.type\":\"VMware ESXi\",\"cpu.cpu_socket(s)\":\"2\",\"hypervisor.version\":\"8.0.3\",\
             \"dmi.system.uuid\":\"{}\",\"hypervisor.cluster\":\"Cluster {}\"}},\"name\":\"esx{host}.example.com\"}}",
            uuid(host + count),
            host / 20
        )?;
    }
    writeln!(out, "]}}")?;
    out.flush()?;
    Ok(file.metadata()?.len())
}

/// A uuid that looks random and is always the same for a number.
fn uuid(number: usize) -> String {
    let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (first, last) = (mixed >> 32, mixed & 0xffff_ffff);
    format!("{first:08x}-{:04x}-4000-8000-{last:012x}", number & 0xffff)
}
