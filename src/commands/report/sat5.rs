//! `vw-report-sat5`: registers hypervisors with Satellite 5 or Spacewalk, and reports their guests.

mod advice;
mod check;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::builder::NonEmptyStringValueParser;

use super::documents::{self, Attempt};
use super::settings::{Memo, Settings, first_three, incomplete, warn_of};
use crate::cancel::Cancel;
use crate::cli::password::{self, Password};
use crate::cli::progress::Progress;
use crate::cli::result::{Results, State};
use crate::cli::{self, Exit, Failure, args};
use crate::commands::way;
use crate::config::Section;
use crate::error::{Classify as _, Kind};
use crate::http::{Base, Endpoint};
use crate::mapping::{LeftOut, Mapping};
use crate::state::Folder;
use crate::systems::satellite5::plan::{Plan, profile_name};
use crate::systems::satellite5::systemid::{Kept, Registrations};
use crate::systems::satellite5::{
    self, Credentials, Delivered, Manner, Registrant, Roster, Satellite5, Shortfall, Summary,
};
use crate::xmlrpc::Datum;

/// Register hypervisors with Satellite 5 or Spacewalk, and report their guests
///
/// Reads mappings from stdin, and prints a result for each: readable on a terminal, otherwise a line of JSON.
#[derive(Debug, clap::Parser)]
#[command(name = "vw-report-sat5", version)]
#[command(after_help = "Example:\n  vw-scan-esx -n prod | vw-filter -n prod | vw-report-sat5 -n prod")]
struct Args {
    #[command(flatten)]
    shared: super::Options,
    /// Keep the registrations in DIR
    #[arg(long, value_name = "DIR", default_value = "/var/lib/virt-who")]
    state_dir: PathBuf,
    /// virt-who's type of the source, for names [default: that of the guests]
    #[arg(long = "type", value_name = "TYPE", value_parser = NonEmptyStringValueParser::new())]
    kind: Option<String>,
    /// Report N hypervisors at once
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Also send what the server accepted within the last day
    #[arg(long)]
    force: bool,
    /// Refuse a mapping that can't be sent as it is
    #[arg(long)]
    strict: bool,
    /// Refuse a mapping older than this
    #[arg(long, value_name = "SECONDS", value_parser = args::duration)]
    max_age: Option<Duration>,
    /// Only check that hypervisors can be registered
    #[arg(long, conflicts_with = "dry_run")]
    check: bool,
}

/// The name by which `omitted` calls this stage.
const STAGE: &str = "vw-report-sat5";

/// So many hypervisors are reported too soon for a progress bar.
const FEW: usize = 10;

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let reporter = Satellite5Reporter::new(&args, &cancel)?;
        match args.check {
            true => reporter.check(&cancel),
            false => documents::report(&reporter, &cancel),
        }
    })
}

/// The reporter with its settings: options, then section, then defaults.
struct Satellite5Reporter {
    settings: Settings,
    /// virt-who's type of the source, if it is configured.
    kind: Option<String>,
    /// The folder of `--state-dir`, which several servers may share.
    folder: Folder,
    /// Those of this server, as far as they are there.
    registrations: Registrations,
    manner: Manner,
    /// `None` with `--dry-run`.
    destination: Option<Destination>,
}

/// Where reports go, and who logs in.
struct Destination {
    endpoint: Endpoint,
    username: String,
    /// It may have to be asked for.
    password: Password,
}

impl Args {
    /// The section to use.
    fn find_section(&self) -> cli::Result<Section> {
        let user = self.shared.account.username.is_none().then_some("--username");
        let missing: Vec<&str> = user.into_iter().collect();
        let fits = |section: &Section| Ok(section.has("sat_server"));
        self.shared.find_section(!self.shared.dry_run, &missing, fits)
    }
}

impl Args {
    /// The server that the options or the section name, if any.
    fn server(&self, section: &Section) -> cli::Result<Option<Base>> {
        let server = match &self.shared.server {
            Some(server) => Some(server.clone()),
            None => section.text("sat_server")?,
        };
        Ok(server.map(|server| satellite5::base(&server)).transpose()?)
    }
}

impl Destination {
    /// What options and section say.
    fn new(args: &Args, section: &Section, cancel: &Cancel) -> cli::Result<Self> {
        let args = &args.shared;
        let option_or_key = |option: &Option<String>, key| match option {
            Some(text) => Ok(text.clone()),
            None => section.need(key),
        };
        let server = option_or_key(&args.server, "sat_server")?;
        let username = option_or_key(&args.account.username, "sat_username")?;
        let connection = &args.connection;
        let mut endpoint = way::satellite5(connection, section, satellite5::base(&server)?)?;
        connection.proxy_password(&mut endpoint, section, &args::Keys::SATELLITE5, cancel)?;
        let sources = password::Sources {
            file: args.account.password_file.as_deref(),
            section,
            key: "sat_password",
            variable: "VIRTWHO_SATELLITE_PASSWORD",
            named: args.section.name.is_some(),
            whose: &format!("{username} at {}", endpoint.base.authority()),
        };
        let password = Password::look_up(&sources, cancel)?;
        Ok(Destination {
            endpoint,
            username,
            password,
        })
    }
}

impl Satellite5Reporter {
    /// Reads the configuration. The password is not asked for yet. A signal ends the process immediately.
    fn new(args: &Args, cancel: &Cancel) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        let section = args.find_section()?;
        let kind = match &args.kind {
            Some(kind) => Some(kind.clone()),
            // Without virt-who's default, libvirt: names would say what is not true.
            None => section.text("type")?,
        };
        let mut settings = Settings::new(&args.shared, !args.shared.no_filter, &section, STAGE)?;
        settings.strict = args.strict;
        settings.max_age = args.max_age;
        let destination = match settings.dry_run {
            true => None,
            false => Some(Destination::new(args, &section, cancel)?),
        };
        let folder = Folder::new(&args.state_dir);
        let registrations = match args.server(&section)? {
            Some(server) => Registrations::of(&server.to_string(), folder.clone())?,
            None => Registrations::new(folder.clone()),
        };
        let reporter = Satellite5Reporter {
            settings,
            kind,
            folder,
            registrations,
            manner: Manner {
                jobs: args.jobs.into(),
                force: args.force,
            },
            destination,
        };
        reporter.log_settings();
        Ok(reporter)
    }

    /// Debug messages that say what options and section come to.
    fn log_settings(&self) {
        let folder = self.registrations.folder().location();
        log::debug!("registrations are kept in {}", folder.display());
        match &self.kind {
            Some(kind) => log::debug!("the source is of type {kind}"),
            None => log::debug!("the source is of the type that its guests say"),
        }
        let Some(Destination {
            endpoint, username, ..
        }) = &self.destination
        else {
            return log::debug!("sending nothing");
        };
        log::debug!("reporting to {} as user {username:?}", endpoint.base);
        log::debug!(
            "limits: connecting {} s, silence {} s, {}",
            endpoint.connect_limit.as_secs(),
            endpoint.silence_limit.as_secs(),
            self.settings.whole_limit()
        );
    }
}

impl documents::Reporter for Satellite5Reporter {
    type Delivered = Delivered;

    fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks for the password unless there is nothing to send.
    fn ask_password(&self, mapping: &Mapping, cancel: &Cancel) -> cli::Result<()> {
        let Some(Destination { password, .. }) = &self.destination else {
            return Ok(());
        };
        let is_needed = || {
            let roster = Roster::new(mapping, self.kind.as_deref());
            self.unchanged(&roster).is_none()
        };
        match password.is_known() || !is_needed() {
            true => Ok(()),
            false => password.ask(cancel),
        }
    }

    /// Sends a document, or what earlier attempts left of it.
    fn attempt(
        &self,
        mapping: &Mapping,
        memo: &mut Memo<Delivered>,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> Attempt {
        let roster = Roster::new(mapping, self.kind.as_deref());
        if memo.is_new() {
            warn_of(&roster.census);
        }
        let ready = memo.check().and_then(|()| {
            let is_whole = roster.is_whole();
            Ok(self.settings.inspect(mapping, false, is_whole)?)
        });
        let Some(destination) = &self.destination else {
            return Attempt::without_line(ready.and_then(|()| self.dry_run(&roster)));
        };
        let mut summary = Summary::default();
        let mut organisation = None;
        let sent = ready.and_then(|()| {
            // Without news nobody was asked for the password.
            let unchanged = (!destination.password.is_known()).then(|| self.unchanged(&roster));
            if let Some(unchanged) = unchanged.flatten() {
                summary = unchanged;
                return Ok(());
            }
            destination.password.ask(cancel)?;
            let satellite = self.connect(destination, self.claimed(destination), until, cancel)?;
            summary = self.report(&satellite, &roster, &mut memo.delivered);
            organisation = satellite.organisation().map(|number| number.to_string());
            match summary.ended.take() {
                Some(error) => Err(advice::advised(satellite5::Error::Shared(error))),
                None => Ok(()),
            }
        });
        self.conclude(mapping, &roster, summary, organisation, sent, destination)
    }
}

impl Satellite5Reporter {
    /// The summary of a document of which nothing must be sent.
    fn unchanged<'m>(&self, roster: &Roster<'m>) -> Option<Summary<'m>> {
        let destination = self.destination.as_ref().filter(|_| !self.manner.force)?;
        roster.unchanged(&self.registrations, &destination.endpoint.base.to_string())
    }

    /// Reports what is to be reported, and shows the progress if it may take long.
    fn report<'m>(
        &self,
        satellite: &Satellite5,
        roster: &Roster<'m>,
        delivered: &mut Delivered,
    ) -> Summary<'m> {
        let total = roster.registrants.len();
        let bar = (total > FEW).then(|| Progress::toward(total, STAGE, "hypervisors"));
        satellite.report(roster, self.manner, delivered, &|| {
            bar.iter().for_each(Progress::one)
        })
    }

    /// The registrations of a server that is about to be reported to.
    fn claimed(&self, destination: &Destination) -> Registrations {
        let server = destination.endpoint.base.to_string();
        Registrations::claim(&server, self.folder.clone()).unwrap_or_else(|error| {
            // The report says which hypervisors it concerns.
            log::debug!("{}", error.with_causes());
            self.registrations.clone()
        })
    }

    /// A connection for work that must be done by `until`.
    fn connect(
        &self,
        destination: &Destination,
        registrations: Registrations,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> cli::Result<Satellite5> {
        let endpoint = self.settings.endpoint(&destination.endpoint, until);
        let credentials = Credentials {
            username: destination.username.clone(),
            password: destination.password.secret()?,
        };
        Ok(Satellite5::new(&endpoint, credentials, registrations, cancel)?)
    }

    /// `--dry-run`: prints each hypervisor's plan as a line of JSON.
    fn dry_run(&self, roster: &Roster) -> cli::Result<()> {
        let mut missing = Missing::default();
        let mut text = String::new();
        for registrant in &roster.registrants {
            let plan = Plan::of(registrant);
            let error = match self.registrations.kept(registrant.id) {
                Ok(kept) => {
                    if let Kept::Damaged { path, reason } = &kept {
                        log::warn!("{} is damaged ({reason}); a report replaces it", path.display());
                    }
                    let planned = Planned {
                        id: registrant.id,
                        profile: profile_name(registrant.kind, registrant.id),
                        registered: matches!(kept, Kept::Systemid(_)),
                        plan: &plan.events,
                    };
                    text += &serde_json::to_string(&planned).map_err(Failure::defect)?;
                    text.push('\n');
                    plan.incomplete()
                }
                Err(error) => Some(error.into()),
            };
            if let Some(error) = error {
                missing.add(registrant, error);
            }
        }
        cli::print_json(&text)?;
        complete(roster, &missing)
    }

    /// What came of an attempt: its result line and its failure.
    fn conclude(
        &self,
        mapping: &Mapping,
        roster: &Roster,
        summary: Summary,
        organisation: Option<String>,
        sent: cli::Result<()>,
        destination: &Destination,
    ) -> Attempt {
        let base = &destination.endpoint.base;
        let mut line = self.settings.line_of(base, organisation, mapping, &roster.census);
        line.created = summary.created;
        line.updated = summary.updated;
        line.unchanged = summary.unchanged;
        let arrived_nowhere = summary.arrived_nowhere();
        let is_unchanged = summary.is_unchanged();
        let (may_pass, is_login_refused) = (summary.may_pass(), summary.is_login_refused());
        let asked_pause = summary.retry_after();
        let missing = Missing::from(summary.shortfalls);
        line.failed.extend(missing.hypervisors.iter().cloned());
        line.state = match sent {
            Err(_) if line.created + line.updated + line.unchanged == 0 => State::Failed,
            Ok(()) if line.failed.is_empty() && is_unchanged => State::Unchanged,
            Ok(()) if line.failed.is_empty() => State::Finished,
            Ok(()) if arrived_nowhere => State::Failed,
            _ => State::Partial,
        };
        let may_pass = may_pass || sent.as_ref().is_err_and(|error| error.kind() == Kind::TempFail);
        let failed = sent.and_then(|()| complete(roster, &missing)).err();
        Attempt {
            line: Some(line),
            failed: failed.map(|error| self.explain(error, destination)),
            again: may_pass && !is_login_refused,
            ends: is_login_refused,
            asked_pause,
            besides: kinds(roster, &missing).collect(),
        }
    }

    /// Adds to an error the section and the server that it concerns.
    fn explain(&self, error: cli::Error, destination: &Destination) -> cli::Error {
        let known: Option<&satellite5::Error> = error.downcast_ref();
        let is_local = known.is_some_and(satellite5::Error::is_about_this_machine);
        let server = (!is_local).then_some(&destination.endpoint.base);
        self.settings.placed(error, server)
    }
}

/// What `--dry-run` prints of a hypervisor.
#[derive(serde::Serialize)]
struct Planned<'a> {
    id: &'a str,
    profile: String,
    registered: bool,
    plan: &'a Datum<'a>,
}

/// The hypervisors that are not on the server as they should be, or not with all guests.
#[derive(Default)]
struct Missing {
    hypervisors: Vec<LeftOut>,
    /// The kinds of their errors.
    kinds: Vec<Kind>,
}

impl Missing {
    fn add(&mut self, registrant: &Registrant, error: satellite5::Error) {
        self.kinds.push(error.kind());
        let reason = format!("{:#}", advice::advised(error));
        self.hypervisors.push(registrant.left_out(reason));
    }
}

impl From<Vec<Shortfall<'_>>> for Missing {
    fn from(shortfalls: Vec<Shortfall<'_>>) -> Self {
        let mut missing = Missing::default();
        for Shortfall { registrant, error } in shortfalls {
            missing.add(&registrant, error);
        }
        missing
    }
}

/// Fails if anything of a document that was reported is not on the server.
fn complete(roster: &Roster, missing: &Missing) -> cli::Result<()> {
    let mut worst = Results::default();
    kinds(roster, missing).for_each(|kind| worst.failed(kind));
    let Exit::Failed(kind) = worst.exit() else {
        return Ok(());
    };
    let causes = causes(&missing.hypervisors);
    let left_out = roster.census.left_out.len() + roster.census.unnamed;
    if let ([cause], 0) = (&causes[..], left_out) {
        return Err(Failure::new(kind, cause).into());
    }
    for cause in causes {
        log::warn!("{cause}");
    }
    let counts = [
        (left_out, "left out or changed"),
        (missing.hypervisors.len(), "missing or incomplete on the server"),
    ];
    Err(incomplete(kind, &counts).into())
}

/// The kinds of failures of all that is not on the server as it should be.
fn kinds(roster: &Roster, missing: &Missing) -> impl Iterator<Item = Kind> {
    let left_out = (!roster.census.left_out.is_empty()).then_some(Kind::Data);
    left_out.into_iter().chain(missing.kinds.iter().copied())
}

/// Why hypervisors failed: each reason once, with the hypervisors that it concerns. A missing role, for example, concerns all.
fn causes(failed: &[LeftOut]) -> Vec<String> {
    let mut indices = HashMap::new();
    let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
    for LeftOut { id, reason, .. } in failed {
        let index = *indices.entry(reason.as_str()).or_insert_with(|| {
            by_reason.push((reason, Vec::new()));
            by_reason.len() - 1
        });
        by_reason[index].1.extend(id.as_deref());
    }
    let causes = by_reason.into_iter();
    causes
        .map(|(reason, ids)| format!("{}: {reason}", first_three(&ids)))
        .collect()
}
