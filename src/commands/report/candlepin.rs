//! `vw-report-candlepin`: checks hypervisors and their guests in with Candlepin.

mod advice;
mod document;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::documents;
use super::settings::Settings;
use crate::cancel::Cancel;
use crate::cli::result::{Results, State};
use crate::cli::{self, Exit, Failure, args};
use crate::commands::kind::LIBVIRT;
use crate::commands::rhsm::{self, PendingLogin};
use crate::config::{Rhsm, Section};
use crate::error::Kind;
use crate::http::Endpoint;
use crate::mapping::Mapping;
use crate::state::Folder;
use crate::systems::candlepin::{
    self, Candlepin, Client, Correlation, Deletion, Delivery, Memory, Outcome, Series, Tally,
};

/// Check hypervisors and their guests in with Candlepin
///
/// Reads mappings from stdin, and prints a result for each: readable on a terminal, otherwise a line of JSON.
#[derive(Debug, clap::Parser)]
#[command(name = "vw-report-candlepin", version)]
#[command(after_help = "Example:\n  vw-scan-esx -n prod | vw-filter -n prod | vw-report-candlepin -n prod")]
struct Args {
    #[command(flatten)]
    shared: super::Options,
    #[command(flatten)]
    destination: rhsm::OwnerOptions,
    /// Report under this id [default: HOSTNAME-MACHINEID]
    #[arg(long, value_name = "ID")]
    reporter_id: Option<String>,
    /// Send N hypervisors per request
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// How long to wait for one of the server's jobs
    #[arg(long, value_name = "SECONDS", default_value = "1h", value_parser = args::limit)]
    job_timeout: Duration,
    /// Do not wait for the last job
    #[arg(long)]
    no_wait: bool,
    /// Only print what became of the job ID
    #[arg(long, value_name = "ID", value_parser = rhsm::nameable, conflicts_with_all = ["check", "dry_run", "heartbeat"])]
    job: Option<String>,
    /// Refuse a mapping that can't be sent as it is
    #[arg(long)]
    strict: bool,
    /// Refuse a mapping older than this
    #[arg(long, value_name = "SECONDS", value_parser = args::duration)]
    max_age: Option<Duration>,
    /// Also report this machine's own guests
    #[arg(long)]
    local: bool,
    /// Remember reports in DIR, and send only changes
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Send everything this often
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "24h",
        value_parser = args::duration,
        requires = "state_dir"
    )]
    full_every: Duration,
    /// Send everything now, and clear any number
    #[arg(long, requires = "state_dir")]
    force: bool,
    /// Clear the guests of vanished hypervisors
    #[arg(long, requires = "state_dir")]
    clear_vanished: bool,
    /// Delete vanished hypervisors from the server
    #[arg(long, requires = "state_dir", conflicts_with_all = ["clear_vanished", "no_wait", "heartbeat"])]
    delete_vanished: bool,
    /// Delete them after this time
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "24h",
        value_parser = args::duration,
        requires = "delete_vanished"
    )]
    vanished_for: Duration,
    /// Always delete up to N
    #[arg(long, value_name = "N", default_value_t = 5, requires = "delete_vanished")]
    vanished_limit: usize,
    /// Always delete up to PERCENT
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 10,
        value_parser = clap::value_parser!(u8).range(..=100),
        requires = "delete_vanished"
    )]
    vanished_share: u8,
    /// Only send a heartbeat
    #[arg(long, conflicts_with_all = ["check", "dry_run", "no_wait"])]
    heartbeat: bool,
    /// Only check that a report would be accepted
    #[arg(long, conflicts_with = "dry_run")]
    check: bool,
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let question = match &args.job {
            Some(id) => Some(Question::Job(id.clone())),
            None => args.check.then_some(Question::Check),
        };
        let reporter = CandlepinReporter::new(args, &cancel)?;
        match question {
            Some(question) => reporter.answer(&question, &cancel),
            None => documents::report(&reporter, &cancel),
        }
    })
}

/// What the server is asked instead of reporting documents.
enum Question {
    /// `--check`: would a report be accepted?
    Check,
    /// `--job`: what became of this job?
    Job(String),
}

/// The reporter with its settings: options, then section and rhsm.conf, then defaults.
#[derive(Debug)]
struct CandlepinReporter {
    settings: Settings,
    /// The certificate of this system, used or not.
    certificate: PathBuf,
    /// The rhsm.conf that was read, or looked for.
    rhsm_conf: PathBuf,
    /// `None` with `--dry-run`, unless what was reported there before counts.
    destination: Option<Destination>,
    /// `None` with `--dry-run`.
    login: Option<PendingLogin>,
    delivery: Delivery,
}

/// Where reports go, and for whom.
#[derive(Debug)]
struct Destination {
    endpoint: Endpoint,
    /// None if only this machine's own guests can be reported, whose owner the server knows.
    owner: Option<String>,
    reporter_id: String,
    environment: Option<String>,
    correlation: Correlation,
}

impl Args {
    /// Whether a server and an owner are needed: to send, or to compare with what was accepted before.
    fn needs_destination(&self) -> bool {
        !self.shared.dry_run || self.state_dir.is_some()
    }

    /// The section to use.
    fn find_section(&self) -> cli::Result<Section> {
        let has_login = self.shared.dry_run || self.shared.account.username.is_some();
        let mut missing = self.destination.missing(has_login);
        missing.retain(|option| !(self.local && *option == "--owner"));
        let fits = |section: &Section| match self.local && LIBVIRT.is_local(section) {
            true => Ok(!section.has("sat_server")),
            false => rhsm::is_for_candlepin(section),
        };
        self.shared.find_section(self.needs_destination(), &missing, fits)
    }

    /// The settings that all reporters share.
    fn settings(&self, section: &Section) -> cli::Result<Settings> {
        // A question about a job filters nothing.
        let filters = !self.shared.no_filter && self.job.is_none();
        let mut settings = Settings::new(&self.shared, filters, section, document::STAGE)?;
        settings.strict = self.strict;
        settings.max_age = self.max_age;
        Ok(settings)
    }

    /// The owner. Only this machine's own guests need none.
    fn owner(&self, section: &Section) -> cli::Result<Option<String>> {
        let is_given = self.destination.owner.is_some() || section.has("owner");
        let is_local = self.local || section.is_local()?;
        match is_local && !self.heartbeat && !is_given {
            true => Ok(None),
            false => Ok(Some(self.destination.owner(section)?)),
        }
    }

    /// Who logs in; the endpoint gets the certificate of a system.
    fn login(
        &self,
        section: &Section,
        rhsm: &Rhsm,
        endpoint: &mut Endpoint,
        cancel: &Cancel,
    ) -> cli::Result<PendingLogin> {
        let account = rhsm::LoginOptions {
            options: &self.shared.account,
            identity: self.destination.identity(),
            named: self.shared.section.name.is_some(),
        };
        account.login(section, rhsm, endpoint, cancel)
    }

    /// How documents are delivered; `consumer` is this machine if its own guests are reported.
    fn delivery(&self, consumer: Option<String>) -> Delivery {
        Delivery {
            batch: self.batch as usize,
            limit: self.job_timeout,
            wait: !self.no_wait,
            heartbeat: self.heartbeat,
            consumer,
            memory: self.state_dir.as_ref().map(|folder| Memory {
                folder: Folder::new(folder),
                full_every: self.full_every,
                force: self.force,
                clear_vanished: self.clear_vanished,
                delete_vanished: self.delete_vanished.then_some(Deletion {
                    after: self.vanished_for,
                    limit: self.vanished_limit,
                    share: self.vanished_share,
                }),
            }),
        }
    }
}

impl Destination {
    fn new(args: &Args, section: &Section, rhsm: &Rhsm, cancel: &Cancel) -> cli::Result<Self> {
        let correlation = Correlation::random();
        log::debug!("correlation id {correlation}");
        let connection = &args.shared.connection;
        let mut endpoint = rhsm::endpoint(rhsm, section, args.shared.server.as_deref(), connection)?;
        connection.proxy_password(&mut endpoint, section, &args::Keys::CANDLEPIN, cancel)?;
        Ok(Destination {
            endpoint,
            owner: args.owner(section)?,
            reporter_id: match &args.reporter_id {
                Some(id) => id.clone(),
                None => rhsm::reporter_id(section)?,
            },
            environment: section.text("env")?,
            correlation,
        })
    }
}

impl CandlepinReporter {
    /// Reads the configuration. The password is not asked for yet. A signal ends the process immediately.
    fn new(args: Args, cancel: &Cancel) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        let section = args.find_section()?;
        let settings = args.settings(&section)?;
        let rhsm = Rhsm::load(args.destination.rhsm_conf.as_deref(), &section)?;
        let mut destination = match args.needs_destination() {
            true => Some(Destination::new(&args, &section, &rhsm, cancel)?),
            false => None,
        };
        let login = match &mut destination {
            Some(Destination { endpoint, .. }) if !settings.dry_run => {
                Some(args.login(&section, &rhsm, endpoint, cancel)?)
            }
            _ => None,
        };
        if let (true, Some(PendingLogin::System { .. })) = (args.delete_vanished, &login) {
            let problem =
                "--delete-vanished needs a user, because a system's certificate may not delete hypervisors";
            let failure = cli::Error::from(Failure::new(Kind::Config, problem));
            return Err(failure.advise("set rhsm_username, or use --username"));
        }
        let certificate = args
            .destination
            .cert
            .clone()
            .unwrap_or_else(|| rhsm::certificate(&rhsm));
        let is_local = args.local || section.is_local()?;
        let consumer = match &login {
            _ if !is_local => None,
            Some(PendingLogin::System { uuid }) => Some(uuid.clone()),
            _ => Some(candlepin::consumer(&certificate, cancel)?),
        };
        let reporter = CandlepinReporter {
            delivery: args.delivery(consumer),
            rhsm_conf: args.destination.rhsm_conf.unwrap_or_else(|| Rhsm::FILE.into()),
            settings,
            certificate,
            destination,
            login,
        };
        reporter.log_settings(&rhsm);
        Ok(reporter)
    }

    /// Asks the server a question, and prints the answer.
    fn answer(&self, question: &Question, cancel: &Cancel) -> cli::Result<Exit> {
        if let Some(login) = &self.login {
            login.ask(cancel)?;
        }
        let answer = match question {
            Question::Check => self.check(cancel),
            Question::Job(id) => self.job(id, cancel),
        };
        answer.or_else(|error| {
            let error = super::limit::advise_if_late(self.explain(error));
            self.log_error(&error);
            Ok(Exit::Failed(error.kind()))
        })
    }

    /// `--check`: proves that a report would be accepted.
    fn check(&self, cancel: &Cancel) -> cli::Result<Exit> {
        let mut candlepin = self.connect(self.end_of_question(), cancel)?;
        let status = candlepin.status()?;
        let Destination { endpoint, owner, .. } = self.destination()?;
        let whose = match (owner, &self.delivery.consumer) {
            (None, Some(uuid)) => {
                candlepin.find_consumer(uuid)?;
                format!("the guests of consumer {uuid}")
            }
            (owner, _) => {
                candlepin.try_out(&status, self.delivery.limit)?;
                format!("reports for owner {}", owner.as_deref().unwrap_or_default())
            }
        };
        let taken = format!(
            "{}: Candlepin {}, {whose} are accepted",
            endpoint.base, status.version
        );
        cli::print(&format!("{}\n", crate::text::line(&taken)))?;
        Ok(Exit::Ok)
    }

    /// `--job`: asks what became of a job.
    fn job(&self, id: &str, cancel: &Cancel) -> cli::Result<Exit> {
        let started = Instant::now();
        let mut tally = Tally::default();
        let asked = self.connect(self.end_of_question(), cancel)?.job(id, &mut tally);
        let Destination { endpoint, owner, .. } = self.destination()?;
        let mut line = self.settings.line(&endpoint.base, owner.clone());
        document::add_tally(&mut line, &tally);
        line.hypervisors = tally.created + tally.updated + tally.unchanged + tally.refused;
        line.state = match &asked {
            Err(_) => State::Failed,
            Ok(Outcome::Pending) => State::Sent,
            Ok(Outcome::Finished) if tally.failed.is_empty() => State::Finished,
            Ok(Outcome::Finished) => State::Partial,
        };
        let done = match asked {
            Err(error) => Err(error.into()),
            Ok(Outcome::Pending) => {
                let problem = format!("job {id} is not done yet; ask again later");
                Err(Failure::new(Kind::TempFail, problem).into())
            }
            Ok(Outcome::Finished) => document::complete(0, &tally),
        };
        line.end(started, done.as_ref().err());
        let mut results = Results::new(self.settings.form);
        results.print(&line);
        done.map(|()| results.exit())
    }

    /// When `--check` or `--job` must be done.
    fn end_of_question(&self) -> Option<Instant> {
        Instant::now().checked_add(self.settings.connection.time().unwrap_or(super::limit::LONGEST))
    }

    fn destination(&self) -> Result<&Destination, Failure> {
        let destination = self.destination.as_ref();
        destination.ok_or_else(|| Failure::new(Kind::Software, "nowhere to report to"))
    }

    /// A connection for work that must be done by `until`.
    fn connect(&self, until: Option<Instant>, cancel: &Cancel) -> cli::Result<Candlepin> {
        let destination = self.destination()?;
        let login = self.login.as_ref().map(PendingLogin::login).transpose()?;
        let client = Client {
            agent: concat!("vw-report-candlepin/", env!("CARGO_PKG_VERSION")),
            owner: destination.owner.clone().unwrap_or_default(),
            id: destination.reporter_id.clone(),
            environment: destination.environment.clone(),
            login: login.ok_or_else(|| Failure::new(Kind::Software, "nobody to log in as"))?,
        };
        let endpoint = self.settings.endpoint(&destination.endpoint, until);
        let correlation = destination.correlation.clone();
        Ok(Candlepin::new(&endpoint, client, correlation, cancel)?)
    }

    /// The series of reports that a document belongs to.
    fn series(&self, mapping: &Mapping) -> Result<Series, Failure> {
        let destination = self.destination()?;
        let source = mapping.tail.source.as_ref();
        let of_scan = source.and_then(|source| source.section.as_deref());
        Ok(Series {
            server: destination.endpoint.base.to_string(),
            owner: destination.owner.clone().unwrap_or_default(),
            reporter: destination.reporter_id.clone(),
            // Several sections may report one scan, each with its own filters. One section may report several scans.
            section: match (self.settings.section(), of_scan) {
                (Some(section), Some(of_scan)) if section != of_scan => Some(format!("{section}\n{of_scan}")),
                (section, of_scan) => section.or(of_scan).map(str::to_owned),
            },
        })
    }
}
