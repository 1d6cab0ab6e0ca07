//! `vw-report-sat5`: registers hypervisors with Satellite 5 or Spacewalk, and reports their guests.

mod advice;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use crate::cancel::Cancel;
use crate::cli::password::{self, Password};
use crate::cli::result::{Form, Line, Results, State};
use crate::cli::words::{Warnings, counts};
use crate::cli::{self, Exit, Failure, args};
use crate::commands::filtering::{self, Filtering};
use crate::commands::report::documents::{self, Attempt};
use crate::commands::way;
use crate::config::Section;
use crate::error::{Classify as _, Kind};
use crate::http::Endpoint;
use crate::mapping::{LeftOut, Mapping};
use crate::state::Folder;
use crate::systems::satellite5::plan::{Plan, profile_name};
use crate::systems::satellite5::systemid::Registrations;
use crate::systems::satellite5::xmlrpc::Datum;
use crate::systems::satellite5::{self, Credentials, Roster, Satellite5, Shortfall, Summary};
use clap::builder::NonEmptyStringValueParser;

/// Register hypervisors with Satellite 5 or Spacewalk, and report their guests
///
/// It reads mappings from stdin and prints what became of each: a line on a terminal, else one line of JSON.
#[derive(clap::Parser)]
#[command(name = "vw-report-sat5", version)]
#[command(after_help = "Example:\n  vw-scan-esx -n prod | vw-filter -n prod | vw-report-sat5 -n prod")]
struct Args {
    #[command(flatten)]
    section: args::Section,
    /// Report to SERVER: a name, NAME:PORT or URL
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    #[command(flatten)]
    account: args::Account,
    /// Keep the registrations in DIR
    #[arg(long, value_name = "DIR", default_value = "/var/lib/virt-who")]
    state_dir: PathBuf,
    /// virt-who's type of the source, for names [default: that of the guests]
    #[arg(long = "type", value_name = "TYPE", value_parser = NonEmptyStringValueParser::new())]
    kind: Option<String>,
    /// Report also what the section's filters leave out
    #[arg(long)]
    no_filter: bool,
    /// Accept a mapping without any hypervisor
    #[arg(long)]
    allow_empty: bool,
    /// Print the plans that would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    results: args::Results,
    #[command(flatten)]
    connection: args::Connection,
}

/// The name by which `omitted` calls this stage.
const STAGE: &str = "vw-report-sat5";

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let reporter = Reporter::new(args, &cancel)?;
        let (timeout, form) = (
            reporter.args.connection.time(),
            Form::new(reporter.args.results.json),
        );
        documents::report(&reporter, timeout, form, &cancel)
    })
}

/// What is remembered from one attempt at a document to the next.
struct Memo {
    /// Why the document can't be reported at all.
    refused: Option<cli::Error>,
    /// Whether it has been said what of it is not sent.
    told: bool,
}

/// What to do with each document.
struct Reporter {
    args: Args,
    section: Option<String>,
    /// The section as messages name it, with its file and line.
    whence: Option<String>,
    /// virt-who's type of the source, if anybody said it.
    kind: Option<String>,
    registrations: Registrations,
    /// Which hypervisors of a document are reported; all where there is none.
    filtering: Option<Filtering>,
    /// Where to report to, and as whom; nowhere with `--dry-run`.
    destination: Option<(Endpoint, User)>,
}

/// Who logs in; the password may have to be asked for.
struct User {
    username: String,
    password: Password,
}

impl Reporter {
    fn new(args: Args, cancel: &Cancel) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        let complete = args.dry_run || args.server.is_some() && args.account.username.is_some();
        let key_file = args.account.key_file.as_deref();
        let fits = |section: &Section| Ok(section.has("sat_server"));
        let section = args.section.find(key_file, complete, fits);
        let section = section.map_err(|error| match args.server {
            Some(_) => args::beside_server(error, &["--username"]),
            None => error,
        })?;
        let kind = match &args.kind {
            Some(kind) => Some(kind.clone()),
            // Not virt-who's default, libvirt: it would only be the name of something that is not there.
            None => section.text("type")?,
        };
        let filtering = match args.no_filter {
            true => None,
            false => Filtering::of_section(&section)?,
        };
        let destination = match args.dry_run {
            true => None,
            false => Some(destination(&args, &section, cancel)?),
        };
        let reporter = Reporter {
            section: section.name().map(str::to_owned),
            whence: args::whence(&section),
            kind,
            filtering,
            registrations: Registrations::new(Folder::new(&args.state_dir)),
            destination,
            args,
        };
        reporter.tell_what_is_in_force();
        Ok(reporter)
    }

    /// Debug messages that say what options and section come to.
    fn tell_what_is_in_force(&self) {
        let state_dir = self.args.state_dir.display();
        log::debug!("registrations are kept in {state_dir}");
        match &self.kind {
            Some(kind) => log::debug!("the source is of type {kind}"),
            None => log::debug!("the source is of the type that its guests say"),
        }
        let Some((endpoint, account)) = &self.destination else {
            return log::debug!("sending nothing");
        };
        log::debug!("reporting to {} as user {:?}", endpoint.base, account.username);
        let (connect, silence) = (endpoint.connect_limit.as_secs(), endpoint.silence_limit.as_secs());
        let whole = match self.args.connection.time() {
            Some(time) => format!("{} s for an attempt (--timeout)", time.as_secs()),
            None => format!("{} s for a document", documents::LONGEST.as_secs()),
        };
        log::debug!("limits: connecting {connect} s, silence {silence} s, {whole}");
    }
}

impl documents::Reporter for Reporter {
    type Memo = Memo;

    fn ready(&self, mapping: &Mapping, memo: &Memo, cancel: &Cancel) -> cli::Result<()> {
        let is_refused = memo.refused.is_some() || mapping.hypervisors.is_empty() && !self.args.allow_empty;
        match &self.destination {
            Some((_, user)) if !is_refused => user.password.ask(cancel),
            _ => Ok(()),
        }
    }

    fn begin(&self, mapping: &mut Mapping) -> Memo {
        Memo {
            refused: filtering::prepare(mapping, self.filtering.as_ref(), STAGE).err(),
            told: false,
        }
    }

    fn attempt(
        &self,
        mapping: &Mapping,
        memo: &mut Memo,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> Attempt {
        let roster = Roster::new(mapping, self.kind.as_deref());
        if !std::mem::replace(&mut memo.told, true) {
            tell(&roster);
        }
        let ready = match memo.refused.take() {
            Some(error) => Err(error),
            None => self.inspect(mapping, &roster),
        };
        match &self.destination {
            None => Attempt::without_line(ready.and_then(|()| self.dry_run(&roster))),
            Some((endpoint, user)) => {
                let mut endpoint = endpoint.clone();
                self.args.connection.apply(&mut endpoint);
                endpoint.deadline = until;
                let mut attempt = self.send(ready, &roster, endpoint, user, cancel);
                if let Some(line) = &mut attempt.line {
                    line.omitted = mapping.tail.omitted.len() + roster.census.omitted;
                }
                attempt
            }
        }
    }
}

impl Reporter {
    fn send(
        &self,
        ready: cli::Result<()>,
        roster: &Roster,
        endpoint: Endpoint,
        user: &User,
        cancel: &Cancel,
    ) -> Attempt {
        let server = endpoint.base.to_string();
        let mut summary = Summary::default();
        let mut organisation = None;
        let sent = ready.and_then(|()| {
            let credentials = Credentials {
                username: user.username.clone(),
                password: user.password.secret()?,
            };
            let mut satellite = Satellite5::new(&endpoint, credentials, self.registrations.clone(), cancel)?;
            summary = satellite.report(roster);
            organisation = satellite.organisation().map(|number| number.to_string());
            match summary.ended.take() {
                Some(error) => Err(advice::ended(satellite5::Error::Shared(error))),
                None => Ok(()),
            }
        });
        let failed: Vec<LeftOut> = summary.shortfalls.iter().map(advice::left_out).collect();
        let state = match sent {
            Err(_) => State::Failed,
            Ok(()) if failed.is_empty() && roster.census.left_out.is_empty() => State::Finished,
            Ok(()) if summary.arrived_nowhere() => State::Failed,
            Ok(()) => State::Partial,
        };
        let error = sent
            .and_then(|()| complete(roster, &summary.shortfalls, &failed))
            .err();
        let error = error.map(|error| {
            let is_local = error
                .downcast_ref()
                .is_some_and(satellite5::Error::is_about_this_machine);
            let base = self.destination.as_ref().map(|(endpoint, _)| &endpoint.base);
            way::placed(error, self.whence.as_deref(), base.filter(|_| !is_local))
        });
        let line = Line {
            time: String::new(),
            section: self.section.clone(),
            server,
            owner: organisation,
            state,
            error: None,
            hypervisors: roster.census.hypervisors,
            guests: roster.census.guests,
            created: summary.created,
            updated: summary.updated,
            unchanged: 0,
            omitted: 0,
            failed: roster.census.left_out.iter().cloned().chain(failed).collect(),
            jobs: Vec::new(),
            seconds: 0.0,
        };
        let is_temporary = error.as_ref().is_some_and(|error| error.kind() == Kind::TempFail);
        Attempt {
            besides: kinds(roster, &summary.shortfalls).collect(),
            line: Some(line),
            again: is_temporary && !summary.is_doubtful(),
            ends: summary.is_login_refused(),
            failed: error,
        }
    }

    /// Prints each hypervisor's plan as a line of JSON.
    fn dry_run(&self, roster: &Roster) -> cli::Result<()> {
        let mut shortfalls = Vec::new();
        let mut text = String::new();
        for registrant in &roster.registrants {
            let plan = Plan::of(registrant);
            let error = match self.registrations.systemid(registrant.id) {
                Ok(systemid) => {
                    let planned = Planned {
                        id: registrant.id,
                        profile: profile_name(registrant.kind, registrant.id),
                        registered: systemid.is_some(),
                        plan: &plan.events,
                    };
                    text += &serde_json::to_string(&planned).map_err(Failure::defect)?;
                    text.push('\n');
                    plan.incomplete()
                }
                Err(error) => Some(error.into()),
            };
            let registrant = *registrant;
            shortfalls.extend(error.map(|error| Shortfall { registrant, error }));
        }
        cli::print_json(&text)?;
        let failed: Vec<LeftOut> = shortfalls.iter().map(advice::left_out).collect();
        complete(roster, &shortfalls, &failed)
    }

    /// Refuses an empty document.
    fn inspect(&self, mapping: &Mapping, roster: &Roster) -> cli::Result<()> {
        if roster.census.hypervisors == 0 && !self.args.allow_empty {
            return Err(filtering::nothing_to_report(mapping, STAGE).into());
        }
        Ok(())
    }
}

/// Says what of a document is not sent.
fn tell(roster: &Roster) {
    let mut warnings = Warnings::default();
    for failed in &roster.census.left_out {
        warnings.say(format_args!("not reported as it is: {failed}"));
    }
    warnings.end();
    let mut warnings = Warnings::default();
    for shared in &roster.census.shared {
        warnings.say(shared);
    }
    warnings.end();
    if roster.local {
        log::warn!(
            "this machine's own guests are left out: Satellite 5 takes them only from rhn-virtualization-host"
        );
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

/// Where to report to, and as whom, by the options and the section.
fn destination(args: &Args, section: &Section, cancel: &Cancel) -> cli::Result<(Endpoint, User)> {
    let given = |option: &Option<String>, key, name| match option {
        Some(given) => Ok(given.clone()),
        None => section.need(key, name),
    };
    let server = given(&args.server, "sat_server", "--server")?;
    let username = given(&args.account.username, "sat_username", "--username")?;
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
    Ok((endpoint, User { username, password }))
}

/// Fails if anything of a document is not on the server as it should be. `failed` are the entries of `shortfalls`.
fn complete(roster: &Roster, shortfalls: &[Shortfall], failed: &[LeftOut]) -> cli::Result<()> {
    let mut worst = Results::default();
    kinds(roster, shortfalls).for_each(|kind| worst.failed(kind));
    let Exit::Failed(kind) = worst.exit() else {
        return Ok(());
    };
    let causes = causes(failed);
    let census = &roster.census;
    if let ([cause], []) = (&causes[..], &census.left_out[..]) {
        return Err(Failure::new(kind, cause).into());
    }
    for cause in causes {
        log::warn!("{cause}");
    }
    let left_out = census.left_out.len() + census.unnamed;
    let counts = counts(&[
        (left_out, "left out or changed"),
        (failed.len(), "missing or incomplete on the server"),
    ]);
    Err(Failure::new(kind, format!("not everything is reported as it is: {counts}")).into())
}

/// The kinds of failures of what is not on the server as it should be.
fn kinds(roster: &Roster, shortfalls: &[Shortfall]) -> impl Iterator<Item = Kind> {
    let left_out = (!roster.census.left_out.is_empty()).then_some(Kind::Data);
    let shortfalls = shortfalls.iter().map(|shortfall| shortfall.error.kind());
    left_out.into_iter().chain(shortfalls)
}

/// What went wrong, each cause once with those that it met: a missing role meets all of them.
fn causes(failed: &[LeftOut]) -> Vec<String> {
    let mut places = HashMap::new();
    let mut met: Vec<(&str, Vec<&str>)> = Vec::new();
    for LeftOut { id, reason, .. } in failed {
        let place = *places.entry(reason.as_str()).or_insert_with(|| {
            met.push((reason, Vec::new()));
            met.len() - 1
        });
        met[place].1.extend(id.as_deref());
    }
    let told = |(error, ids): (&str, Vec<&str>)| match ids.as_slice() {
        [first, second, third, _, ..] => {
            format!("{first}, {second}, {third} and {} more: {error}", ids.len() - 3)
        }
        ids => format!("{}: {error}", ids.join(", ")),
    };
    met.into_iter().map(told).collect()
}
