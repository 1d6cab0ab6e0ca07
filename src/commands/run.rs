//! Runs the pipeline of every section, once or for ever: vw-run(1).

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{self, args};

/// Run the pipeline of every section, once or for ever
#[derive(Debug, clap::Parser)]
#[command(
    name = "vw-run",
    version,
    after_help = "It runs, for each section:\n  \
                  vw-scan-TYPE -n SECTION | vw-filter -n SECTION | vw-report-... -n SECTION\n\n\
                  Examples:\n  \
                      vw-run --dry-run   print the pipelines\n  \
                      vw-run -o          every section once\n  \
                      vw-run -s          can every server be reached?"
)]
struct Args {
    /// Read FILE, or *.conf in a folder (repeatable)
    #[arg(short, long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Use only this section (repeatable)
    #[arg(short, long = "name", value_name = "SECTION")]
    names: Vec<String>,
    /// Report every section once, then end
    #[arg(short, long, conflicts_with_all = ["watch", "interval"])]
    one_shot: bool,
    /// Report every section this often, 60 at least [default: 1h]
    #[arg(short, long, value_name = "SECONDS", value_parser = args::duration)]
    interval: Option<Duration>,
    /// Report after each change, as the scans see them
    #[arg(long)]
    watch: bool,
    /// Print each section's mapping, and report nothing
    #[arg(short, long, conflicts_with_all = ["watch", "interval", "one_shot", "metrics"])]
    print: bool,
    /// Log in to both ends of every section, and print what works
    #[arg(short, long, conflicts_with_all = ["print", "watch", "interval", "one_shot", "metrics"])]
    status: bool,
    /// With -s: print virt-who's JSON
    #[arg(short, long)]
    json: bool,
    /// Print the pipelines, and run nothing
    #[arg(long, conflicts_with_all = ["print", "status"])]
    dry_run: bool,
    /// Run N pipelines at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Write Prometheus metrics to FILE after each round
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Keep locks, results and what was reported in DIR
    #[arg(long, value_name = "DIR", default_value = "/var/lib/virt-who")]
    state_dir: PathBuf,
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|_args: Args| -> cli::Result<cli::Exit> { Ok(cli::Exit::Ok) })
}
