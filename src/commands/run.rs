//! Runs the pipeline of every section, once or for ever: vw-run(1).

mod instance;
mod plan;
mod print;
mod settings;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::settings::{Mode, Settings};
use crate::cancel::Cancel;
use crate::cli::result::{Form, Line, Results, State};
use crate::cli::{self, Context as _, Exit, args, stamp};
use crate::error::Kind;
use crate::service::{Destination, Outcome, Record, Rounds, Source, Work, metrics, notify, round};
use crate::state::Folder;
use crate::text;

/// Run the pipeline of every section, once or for ever
#[derive(Debug, Clone, clap::Parser)]
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
    #[arg(short, long = "name", value_name = "SECTION", allow_hyphen_values = true)]
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
    /// Print JSON: results on a terminal, virt-who's with -s
    #[arg(short, long)]
    json: bool,
    /// Print the pipelines, and run nothing
    #[arg(long, conflicts_with_all = ["print", "status"])]
    dry_run: bool,
    /// Run N scans and N reports at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Write Prometheus metrics to FILE after each round
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// Keep locks, results and what was reported in DIR
    #[arg(long, value_name = "DIR", default_value = "/var/lib/virt-who")]
    state_dir: PathBuf,
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        let settings = Settings::load(&args)?;
        match settings.mode {
            Mode::DryRun => {
                let (text, failed) = plan::shown(&settings.sources);
                cli::print(&text)?;
                Ok(exit(failed))
            }
            Mode::Print => print::documents(&args, &settings),
            Mode::Status => status::print(&args, &settings),
            Mode::Once => once(&args, &settings),
            Mode::ForEver => for_ever(&args, settings),
        }
    })
}

/// The exit status of several failures that have been reported.
fn exit(failed: impl IntoIterator<Item = Kind>) -> Exit {
    let mut worst = Results::default();
    failed.into_iter().for_each(|kind| worst.failed(kind));
    worst.exit()
}

/// Reports every section once.
fn once(args: &Args, settings: &Settings) -> cli::Result<Exit> {
    let cancel = cli::cancel_on_signals()?;
    let _instance = instance::claim(args)?;
    let reporting = Reporting::new(args, &settings.sources, &cancel)?;
    // `oneshot` of `[global]` may have been set for a service.
    notify::ready_and_alive();
    let work = Work::new(args.jobs.into(), &cancel);
    round::once(&work, &settings.sources, &|outcome| reporting.add(&outcome));
    cancel.check()?;
    Ok(reporting.exit())
}

/// What wakes the service.
enum Event {
    /// SIGHUP: the configuration may have changed.
    Reload,
    /// A signal ends the service.
    End,
}

/// Reports every section again and again, until a signal comes.
fn for_ever(args: &Args, settings: Settings) -> cli::Result<Exit> {
    let cancel = cli::cancel_on_signals_but_hangup()?;
    let (sender, events) = mpsc::channel();
    let ending = sender.clone();
    let _hook = cancel.on_cancel(move || _ = ending.send(Event::End));
    cli::on_hangup(move || _ = sender.send(Event::Reload))?;
    let _instance = instance::claim(args)?;
    let reporting = Arc::new(Reporting::new(args, &settings.sources, &cancel)?);
    let done = reporting.clone();
    let done = Arc::new(move |outcome: Outcome| done.add(&outcome));
    let work = Work::new(args.jobs.into(), &cancel);
    let mut rounds = Rounds::new(work, settings.interval, args.watch, done);
    rounds.apply(settings.sources);
    notify::ready();
    let pulse = notify::watchdog();
    loop {
        match events.recv_timeout(pulse.unwrap_or(Duration::MAX)) {
            Err(RecvTimeoutError::Timeout) => notify::alive(),
            Ok(Event::Reload) => {
                notify::reloading();
                // Its file may be a pipe that nobody writes to.
                let own = args.clone();
                let Ok(loaded) = cancel.unblocked(move || Ok(Settings::load(&own))) else {
                    break;
                };
                let loaded = loaded.unwrap_or_else(|error| Err(cli::Failure::defect(error).into()));
                reload(loaded, &mut rounds, &reporting);
                notify::ready();
            }
            Ok(Event::End) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    notify::stopping();
    rounds.end();
    cancel.check()?;
    Ok(reporting.exit())
}

/// Uses a configuration that was read again. If reading it failed, the sections stay as they are.
fn reload(loaded: cli::Result<Settings>, rounds: &mut Rounds, reporting: &Reporting) {
    match loaded {
        Ok(settings) => {
            log::info!("the configuration was read again");
            reporting.set_sections(&settings.sources);
            rounds.set_interval(settings.interval);
            rounds.apply(settings.sources);
        }
        Err(error) => {
            let error = cli::advice::advised(error);
            log::error!("{error:#}; the sections stay as they were");
        }
    }
}

/// What is done with each outcome: its result line, and the record.
struct Reporting {
    cancel: Cancel,
    inner: Mutex<Inner>,
}

struct Inner {
    results: Results,
    record: Record,
    /// Where the section's reports go, for the result line of a scan that failed.
    destinations: Vec<(Option<String>, Destination)>,
}

impl Reporting {
    fn new(args: &Args, sources: &[Source], cancel: &Cancel) -> cli::Result<Self> {
        let metrics = args.metrics.as_deref().map(metrics::File::new).transpose();
        let metrics = metrics.context("--metrics")?;
        let record = Record::new(Folder::new(&args.state_dir), metrics, names(sources));
        Ok(Reporting {
            cancel: cancel.clone(),
            inner: Mutex::new(Inner {
                results: Results::new(Form::new(args.json)),
                record,
                destinations: destinations(sources),
            }),
        })
    }

    fn set_sections(&self, sources: &[Source]) {
        let mut inner = self.lock();
        inner.record.set_sections(names(sources));
        inner.destinations = destinations(sources);
    }

    fn add(&self, outcome: &Outcome) {
        let mut inner = self.lock();
        match &outcome.line {
            Some(line) => inner.results.pass_on(&Line::read(&line.value), &line.text),
            None => {
                let line = inner.failed_line(outcome);
                inner.results.print(&line);
            }
        }
        if let Some(kind) = outcome.kind() {
            inner.results.failed(kind);
            if matches!(kind, Kind::Signal(_)) {
                return;
            }
        }
        // A signal ends the wait for another process's change of the status file.
        if let Some(kind) = inner.record.add([outcome], &self.cancel) {
            inner.results.failed(kind);
        }
        notify::status(&inner.record.line());
    }

    fn exit(&self) -> Exit {
        std::mem::take(&mut self.lock().results).exit()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The result line of a section whose reporter printed none.
    fn failed_line(&self, outcome: &Outcome) -> Line {
        let destination = self.destinations.iter().find(|(own, _)| *own == outcome.section);
        let destination = destination.map(|(_, destination)| destination);
        let failure = outcome.failure.as_ref();
        Line {
            time: stamp::utc(outcome.time),
            section: outcome.section.clone(),
            server: destination.map(|to| to.server.clone()).unwrap_or_default(),
            owner: destination.and_then(|to| to.owner.clone()),
            state: State::Failed,
            error: failure.map(|failure| text::message(&format!("{}: {}", failure.stage, failure.message))),
            hypervisors: 0,
            guests: 0,
            created: 0,
            updated: 0,
            deleted: 0,
            unchanged: 0,
            omitted: 0,
            failed: Vec::new(),
            jobs: Vec::new(),
            retry_after: None,
            seconds: (outcome.duration.as_secs_f64() * 1000.0).round() / 1000.0,
        }
    }
}

fn names(sources: &[Source]) -> impl Iterator<Item = &str> {
    let pipelines = sources.iter().flat_map(|source| &source.pipelines);
    pipelines.map(|pipeline| pipeline.name())
}

fn destinations(sources: &[Source]) -> Vec<(Option<String>, Destination)> {
    let pipelines = sources.iter().flat_map(|source| &source.pipelines);
    let pairs = pipelines.map(|pipeline| (pipeline.section.clone(), pipeline.destination.clone()));
    pairs.collect()
}
