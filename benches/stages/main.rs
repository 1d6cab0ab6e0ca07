//! The cost of every stage, and the least that it could cost: `make bench`.
//!
//! Each stage is a process, run several times in turn with its floor, another process that does only what is unavoidable. The
//! table shows medians. Nothing is asserted here: figures depend on the machine. BENCHMARKS.md keeps a table and says more.
//!
//! Without `--bench`, which cargo adds for `cargo bench`, this is a test: everything runs once, in the smallest size.

mod cost;
mod document;
mod documents;
mod floor;
mod recorder;
mod report;
mod rounds;
mod scan;
mod serve;
mod start;
mod table;
mod watch;

use table::Table;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The first argument that makes this program a floor, or servers.
const FLOOR: &str = "--floor";
const SERVE: &str = "--serve";

/// The average number of virtual machines on a host.
const VMS_PER_HOST: usize = 20;

/// The numbers of virtual machines, unless the arguments have others.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// That of a test.
const SMALLEST: usize = 100;

/// How often each stage is run, unless an argument says so.
const RUNS: usize = 5;

/// Measures a stage with this number of virtual machines.
type Stage = fn(&Table, usize) -> Result<()>;

const STAGES: [(&str, Stage); 8] = [
    ("scan", scan::measure),
    ("watch", watch::measure),
    ("filter", documents::filter),
    ("show", documents::show),
    ("diff", documents::diff),
    ("candlepin", report::candlepin),
    ("sat5", report::satellite5),
    ("run", rounds::measure),
];
/// The start of each command has no size.
const START: &str = "start";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == FLOOR => return floor::run(rest),
        Some((first, rest)) if first == SERVE => return serve::serve(rest),
        _ => {}
    }
    match arguments.iter().any(|argument| argument == "--bench") {
        true => measure(&Choice::new(&arguments)?),
        // The name of another test.
        false if arguments.iter().any(|argument| !argument.starts_with('-')) => Ok(()),
        false => measure(&Choice {
            stages: Vec::new(),
            sizes: vec![SMALLEST],
            runs: 1,
        }),
    }
}

/// What is measured: `cargo bench --bench stages -- scan watch 5000 --runs=3`.
struct Choice {
    /// All if none.
    stages: Vec<String>,
    sizes: Vec<usize>,
    runs: usize,
}

impl Choice {
    fn new(arguments: &[String]) -> Result<Self> {
        let mut choice = Choice {
            stages: Vec::new(),
            sizes: Vec::new(),
            runs: RUNS,
        };
        for argument in arguments.iter().filter(|argument| *argument != "--bench") {
            if let Some(runs) = argument.strip_prefix("--runs=") {
                choice.runs = runs.parse()?;
            } else if let Ok(size) = argument.parse() {
                choice.sizes.push(size);
            } else if argument == START || STAGES.iter().any(|(name, _)| name == argument) {
                choice.stages.push(argument.clone());
            } else {
                let names: Vec<_> = STAGES.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                return Err(format!(
                    "{argument}: give --runs=N, numbers of virtual machines, {names} or {START}"
                )
                .into());
            }
        }
        if choice.sizes.is_empty() {
            choice.sizes = SIZES.to_vec();
        }
        if choice.runs == 0 || choice.sizes.iter().any(|size| *size < SMALLEST) {
            return Err(format!("at least one run, and {SMALLEST} virtual machines").into());
        }
        Ok(choice)
    }

    fn has(&self, stage: &str) -> bool {
        self.stages.is_empty() || self.stages.iter().any(|name| name == stage)
    }
}

fn measure(choice: &Choice) -> Result<()> {
    let table = Table::begin(choice.runs)?;
    for (_, stage) in STAGES.iter().filter(|(name, _)| choice.has(name)) {
        for vms in &choice.sizes {
            stage(&table, *vms)?;
        }
    }
    match choice.has(START) {
        true => start::measure(&table),
        false => Ok(()),
    }
}

/// The host and port of a URL without a path.
fn host_and_port(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, server)| server)
}
