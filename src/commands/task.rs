//! `vw-task-esx`: power tasks on virtual machines of a vCenter or an ESX host, and the questions that block them.

mod line;
mod names;
mod outcome;
mod settings;
mod show;

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use clap::ValueEnum;

use self::line::Line;
use self::names::Names;
use self::outcome::Reported;
use self::settings::{Settings, Work};
use self::show::Show;
use super::server::{self, ServerOptions};
use super::vsphere::explain;
use crate::cancel::Cancel;
use crate::cli::result::Form;
use crate::cli::{self, Exit, Failure, args};
use crate::error::Kind;
use crate::systems::vsphere::{self, Action, Ended, Machine, Machines, Pool};

/// The command's name.
const COMMAND: &str = "vw-task-esx";

/// Run power tasks on virtual machines, and handle the questions that block them
#[derive(Debug, clap::Parser)]
#[command(
    name = COMMAND,
    version,
    after_help = "Without VM, the names come from stdin, one on each line.\n\n\
        Examples:\n  \
        vw-task-esx -n prod power-on web1 web2 --auto-answer 1\n  \
        vw-task-esx -n prod questions\n  \
        vw-task-esx -n prod answer web1 Append\n  \
        vw-scan-esx -n prod --guest-names | jq -r '.hypervisors[].guests[].moref' |\n    \
        vw-task-esx -n prod -j 8 shutdown-guest",
    mut_arg("server", |arg| arg.help(server::WITH_URIS))
)]
struct Args {
    /// What to do
    #[arg(value_name = "ACTION", value_enum)]
    action: Wanted,
    /// Name, inventory path, uuid or id; for `answer` a VM and the answer's key or label
    #[arg(value_name = "VM")]
    machines: Vec<String>,
    /// Answer questions with their default (1), or report them and cancel (0) [default: 0]
    #[arg(long, value_name = "0|1", value_parser = ["0", "1"], hide_possible_values = true)]
    auto_answer: Option<String>,
    /// Work on this many virtual machines at once
    #[arg(short, long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    form: args::ResultForm,
    #[command(flatten)]
    section: args::Section,
    #[command(flatten)]
    server: ServerOptions,
}

/// What the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    PowerOn,
    PowerOff,
    Suspend,
    Reset,
    ShutdownGuest,
    RebootGuest,
    /// Lists the pending questions.
    Questions,
    /// Answers one.
    Answer,
}

impl Wanted {
    fn work(self) -> Work {
        match self {
            Wanted::PowerOn => Work::Power(Action::PowerOn),
            Wanted::PowerOff => Work::Power(Action::PowerOff),
            Wanted::Suspend => Work::Power(Action::Suspend),
            Wanted::Reset => Work::Power(Action::Reset),
            Wanted::ShutdownGuest => Work::Power(Action::ShutdownGuest),
            Wanted::RebootGuest => Work::Power(Action::RebootGuest),
            Wanted::Questions => Work::Questions,
            Wanted::Answer => Work::Answer,
        }
    }

    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let names = Names::new(&args, &cancel)?;
        let settings = Settings::new(&args, &cancel)?;
        let section = settings.section.clone();
        run(&args, &settings, names, &cancel).map_err(|error| explain(error, section.as_deref()))
    })
}

fn run(args: &Args, settings: &Settings, mut names: Names, cancel: &Cancel) -> cli::Result<Exit> {
    let first = names.first()?;
    let pool = Pool::new(&settings.endpoint, &settings.credentials, cancel);
    let machines = settings.read_machines(&pool)?;
    let tasks = Tasks {
        args,
        settings,
        pool: &pool,
        machines: &machines,
        show: Show::new(Form::new(args.form.json)),
        names: Mutex::new(names),
        seen: Mutex::default(),
        fatal: Mutex::default(),
    };
    match settings.work {
        Work::Questions => tasks.questions(first)?,
        _ => tasks.each(first),
    }
    let Tasks { show, fatal, .. } = tasks;
    pool.close();
    if let Some(error) = fatal.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    cancel.check()?;
    Ok(show.exit())
}

/// The work on all virtual machines.
struct Tasks<'t> {
    args: &'t Args,
    settings: &'t Settings,
    pool: &'t Pool<'t>,
    machines: &'t Machines,
    show: Show,
    names: Mutex<Names>,
    /// The ids of the virtual machines that have been begun.
    seen: Mutex<HashSet<String>>,
    /// What ends the work on all of them.
    fatal: Mutex<Option<cli::Error>>,
}

impl Tasks<'_> {
    /// Lists the pending questions of all virtual machines, or of those that are named.
    fn questions(&self, first: Option<String>) -> cli::Result<()> {
        let of = |machine: &Machine| {
            let line = Line::of_question(machine, &self.args.action.name());
            if let Some(line) = line {
                self.show.print(&line, None);
            }
        };
        if self.args.machines.is_empty() {
            self.machines.all().iter().for_each(of);
            return Ok(());
        }
        let mut next = first;
        while let Some(name) = next {
            if let Some(machine) = self.find(&name) {
                of(machine);
            }
            next = lock(&self.names).next()?;
        }
        Ok(())
    }

    /// Works on every named virtual machine, several at once.
    fn each(&self, first: Option<String>) {
        let first = Mutex::new(first);
        let next = || match lock(&first).take() {
            Some(name) => Ok(Some(name)),
            None => lock(&self.names).next(),
        };
        let work = || {
            while lock(&self.fatal).is_none() {
                match next() {
                    Ok(Some(name)) => self.one(&name),
                    Ok(None) => return,
                    Err(error) => return self.stop(error),
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..self.args.jobs {
                let started = thread::Builder::new()
                    .name("task".into())
                    .spawn_scoped(scope, work);
                if let Err(error) = started {
                    log::debug!("fewer virtual machines at once: {error}");
                }
            }
            work();
        });
    }

    fn stop(&self, error: cli::Error) {
        lock(&self.fatal).get_or_insert(error);
    }

    /// The virtual machine of this name. If there is none, or several, prints its result.
    fn find(&self, name: &str) -> Option<&Machine> {
        match self.machines.find(name) {
            Ok(machine) => {
                if lock(&self.seen).insert(machine.object.id.clone()) {
                    return Some(machine);
                }
                log::warn!("{name:?} names {} again; it is handled once", machine.object.id);
            }
            Err(unidentified) => {
                let line = Line::unidentified(name, &self.args.action.name(), &unidentified);
                self.show.print(&line, Some(Kind::Data));
            }
        }
        None
    }

    fn one(&self, name: &str) {
        let Some(machine) = self.find(name) else { return };
        let action = self.args.action.name();
        let order = self.settings.order(&machine.object);
        let begun = self.show.begin(&machine.name);
        let Reported { line, kind, fatal } = match self.settings.work {
            Work::Power(_) => {
                let answered = vsphere::perform(self.pool, &order, &|info| begun.progress(info));
                let is_refused = match &answered.ended {
                    Ended::NotStarted(error) | Ended::Running(error) => error.is_login_refused(),
                    _ => false,
                };
                let reported = outcome::of_power(machine, &action, answered, self.settings);
                Reported {
                    fatal: is_refused,
                    ..reported
                }
            }
            Work::Answer | Work::Questions => {
                let answered = vsphere::answer(self.pool, &order, self.settings.choice.as_deref());
                outcome::of_answer(machine, &action, answered, self.settings)
            }
        };
        drop(begun);
        self.show.print(&line, kind);
        if fatal {
            let problem = "the login was refused, so no other virtual machine is handled";
            self.stop(Failure::new(Kind::NoPerm, problem).into());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
