//! Who reports to which Candlepin, what and how: what options, section and rhsm.conf say together.

mod advice;
mod document;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::cli::result::{Form, Results, State};
use crate::cli::{self, Exit, Failure, args};
use crate::commands::filtering::Filtering;
use crate::commands::report::documents;
use crate::commands::rhsm;
use crate::config::{self, Rhsm, Section};
use crate::error::Kind;
use crate::http::{Endpoint, Identity};
use crate::mapping::Mapping;
use crate::state::Folder;
use crate::systems::candlepin::{
    self, Candlepin, Correlation, Delivery, Memory, Outcome, Place, Reporter, Tally,
};

pub use document::Memo;

/// Check hypervisors and their guests in with Candlepin
///
/// It reads mappings from stdin and prints what became of each: a line on a terminal, else one line of JSON.
#[derive(Debug, clap::Parser)]
#[command(name = "vw-report-candlepin", version)]
#[command(after_help = "Example:\n  vw-scan-esx -n prod | vw-filter -n prod | vw-report-candlepin -n prod")]
pub struct Options {
    #[command(flatten)]
    section: args::Section,
    /// Report to SERVER: a name, NAME:PORT or URL
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// The owner (organisation) of the hypervisors
    #[arg(long, value_name = "OWNER", value_parser = nameable)]
    owner: Option<String>,
    #[command(flatten)]
    account: args::Credentials,
    /// Log in with this system's certificate in FILE
    #[arg(long, value_name = "FILE", conflicts_with = "username")]
    cert: Option<PathBuf>,
    /// The certificate's key [default: in the same file]
    #[arg(long, value_name = "FILE", requires = "cert", conflicts_with = "username")]
    key: Option<PathBuf>,
    /// Read FILE in place of /etc/rhsm/rhsm.conf
    #[arg(long, value_name = "FILE")]
    rhsm_conf: Option<PathBuf>,
    /// Who reports [default: HOSTNAME-MACHINEID]
    #[arg(long, value_name = "ID")]
    reporter_id: Option<String>,
    /// Report N hypervisors at a time
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// How long to wait for one of the server's jobs
    #[arg(long, value_name = "SECONDS", default_value = "1h", value_parser = args::limit)]
    job_timeout: Duration,
    /// Do not wait for the last job
    #[arg(long)]
    no_wait: bool,
    /// Only ask what became of the job ID
    #[arg(long, value_name = "ID", value_parser = nameable, conflicts_with_all = ["check", "dry_run", "heartbeat"])]
    pub job: Option<String>,
    /// Refuse a mapping that can't be sent whole
    #[arg(long)]
    strict: bool,
    /// Report a mapping without any hypervisor
    #[arg(long)]
    allow_empty: bool,
    /// Refuse a mapping stamped longer ago than this
    #[arg(long, value_name = "SECONDS", value_parser = args::duration)]
    max_age: Option<Duration>,
    /// Report also what the section's filters leave out
    #[arg(long)]
    no_filter: bool,
    /// Report this machine's own guests, too
    #[arg(long)]
    local: bool,
    /// Remember in DIR what was accepted; send only changes
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Send everything after this time
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "24h",
        value_parser = args::duration,
        requires = "state_dir"
    )]
    full_every: Duration,
    /// Send everything now; clear however many vanished
    #[arg(long, requires = "state_dir")]
    force: bool,
    /// Clear the guests of vanished hypervisors
    #[arg(long, requires = "state_dir")]
    clear_vanished: bool,
    /// Only tell the server that the scan worked
    #[arg(long, conflicts_with_all = ["check", "dry_run", "no_wait"])]
    heartbeat: bool,
    /// Only check that a report would be accepted
    #[arg(long)]
    pub check: bool,
    /// Print what would be sent, and send nothing
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    #[command(flatten)]
    results: args::ResultForm,
    #[command(flatten)]
    connection: args::Connection,
}

/// An owner or a job that can be asked for.
fn nameable(text: &str) -> Result<String, &'static str> {
    match candlepin::can_be_named(text) {
        true => Ok(text.to_owned()),
        false => Err("it would be read as a folder of the path"),
    }
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|options: Options| {
        let cancel = cli::cancel_on_signals()?;
        let (check, job) = (options.check, options.job.clone());
        let report = Report::new(options, &cancel)?;
        if check || job.is_some() {
            report.ask(&cancel)?;
        }
        let asked = match job {
            Some(id) => report.job(&id, &cancel),
            None if check => report.check(&cancel),
            None => return report.documents(&cancel),
        };
        asked.or_else(|error| {
            let error = report.explain(error);
            report.say(&error);
            Ok(Exit::Failed(error.kind()))
        })
    })
}

/// Reports that are about to be made.
#[derive(Debug)]
pub struct Report {
    section: Option<String>,
    /// The section as messages name it, with its file and line: `section [prod] (/etc/virt-who.conf:3)`.
    whence: Option<String>,
    /// The certificate of this system, whether it is used or not.
    certificate: PathBuf,
    /// The rhsm.conf that was read, or looked for.
    rhsm_conf: PathBuf,
    /// Where to report to; nowhere with `--dry-run`, unless what was reported there before counts.
    destination: Option<Destination>,
    /// As whom; nobody has to be let in for `--dry-run`.
    login: Option<rhsm::Who>,
    delivery: Delivery,
    connection: args::Connection,
    /// Which hypervisors of a document are reported; all where there is none.
    filtering: Option<Filtering>,
    strict: bool,
    allow_empty: bool,
    max_age: Option<Duration>,
    dry_run: bool,
    form: Form,
}

/// Where reports go, and whose they are.
#[derive(Debug)]
struct Destination {
    endpoint: Endpoint,
    owner: String,
    reporter_id: String,
    environment: Option<String>,
    correlation: Correlation,
}

impl Report {
    /// What the options ask for; only for the password nobody is asked yet. A signal ends the process at once.
    pub fn new(options: Options, cancel: &Cancel) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        let somewhere = !options.dry_run || options.state_dir.is_some();
        let someone = options.dry_run || options.account.username.is_some() || options.cert.is_some();
        let complete = !somewhere || options.server.is_some() && options.owner.is_some() && someone;
        let key_file = options.account.key_file.as_deref();
        let fits = |section: &Section| Ok(section.has("owner") && !section.has("sat_server"));
        let section = options.section.find(key_file, complete, fits);
        let section = section.map_err(|error| {
            let owner = options.owner.is_none().then_some("--owner");
            let user = (!someone).then_some("--username");
            match options.server {
                Some(_) => args::beside_server(error, &owner.into_iter().chain(user).collect::<Vec<_>>()),
                None => error,
            }
        })?;
        // Asking for a job filters nothing.
        let filtering = match options.no_filter || options.job.is_some() {
            true => None,
            false => Filtering::of_section(&section)?,
        };
        let rhsm = Rhsm::load(options.rhsm_conf.as_deref(), &section)?;
        let mut destination = match somewhere {
            true => Some(Destination::new(&options, &section, &rhsm, cancel)?),
            false => None,
        };
        let identity = options.cert.clone().map(|cert| Identity {
            key: options.key.clone().unwrap_or_else(|| cert.clone()),
            cert,
        });
        let certificate = match &identity {
            Some(identity) => identity.cert.clone(),
            None => rhsm::certificate(&rhsm),
        };
        let login = match &mut destination {
            Some(destination) if !options.dry_run => {
                let account = rhsm::Account {
                    options: &options.account,
                    identity,
                    named: options.section.name.is_some(),
                };
                Some(account.login(&section, &rhsm, &mut destination.endpoint, cancel)?)
            }
            _ => None,
        };
        let whence = args::section_and_place(&section);
        let local = options.local || section.is_local()?;
        let consumer = match &login {
            _ if !local => None,
            Some(rhsm::Who::System { uuid }) => Some(uuid.clone()),
            _ => Some(candlepin::consumer(&certificate, cancel)?),
        };
        let report = Report {
            section: section.name().map(str::to_owned),
            whence,
            certificate,
            rhsm_conf: options.rhsm_conf.clone().unwrap_or_else(|| Rhsm::FILE.into()),
            destination,
            login,
            delivery: options.delivery(consumer),
            connection: options.connection,
            filtering,
            strict: options.strict,
            allow_empty: options.allow_empty,
            max_age: options.max_age,
            dry_run: options.dry_run,
            form: Form::new(options.results.json),
        };
        report.tell_what_is_in_force(&rhsm);
        Ok(report)
    }

    /// Asks for the password, if there is one and it is not known.
    pub fn ask(&self, cancel: &Cancel) -> cli::Result<()> {
        self.login.as_ref().map_or(Ok(()), |login| login.ask(cancel))
    }

    /// Reports the documents on stdin.
    pub fn documents(&self, cancel: &Cancel) -> cli::Result<Exit> {
        documents::report(self, self.connection.time(), self.form, cancel)
    }

    /// One line for a failure, with the ids by which the server's log has it.
    pub fn say(&self, error: &cli::Error) {
        let trace = error.downcast_ref().and_then(candlepin::Error::trace);
        match (trace, &self.destination) {
            (Some(trace), _) => log::error!("{error:#} ({trace})"),
            (None, Some(Destination { correlation, .. })) if error.kind() == Kind::Unavailable => {
                log::error!("{error:#} (correlation id {correlation})");
            }
            _ => log::error!("{error:#}"),
        }
    }

    /// `--check`: proves that a report would be taken.
    pub fn check(&self, cancel: &Cancel) -> cli::Result<Exit> {
        let mut candlepin = self.connect(self.end_of_question(), cancel)?;
        let status = candlepin.status()?;
        candlepin.try_out(&status, self.delivery.limit)?;
        let Destination { endpoint, owner, .. } = self.destination()?;
        let (base, version) = (&endpoint.base, &status.version);
        let taken = format!("{base}: Candlepin {version}, reports for owner {owner} are taken");
        cli::print(&format!("{}\n", crate::text::line(&taken)))?;
        Ok(Exit::Ok)
    }

    /// `--job`: asks what became of a job.
    pub fn job(&self, id: &str, cancel: &Cancel) -> cli::Result<Exit> {
        let started = Instant::now();
        let mut tally = Tally::default();
        let asked = self.connect(self.end_of_question(), cancel)?.job(id, &mut tally);
        let hypervisors = tally.created + tally.updated + tally.unchanged + tally.refused;
        let mut line = self.line(&tally, hypervisors, 0)?;
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
        let mut results = Results::new(self.form);
        results.print(&line);
        done.map(|()| results.exit())
    }

    /// When `--check` or `--job` has to be done.
    fn end_of_question(&self) -> Option<Instant> {
        Instant::now().checked_add(self.connection.time().unwrap_or(documents::LONGEST))
    }

    fn destination(&self) -> Result<&Destination, Failure> {
        let destination = self.destination.as_ref();
        destination.ok_or_else(|| Failure::new(Kind::Software, "nowhere to report to"))
    }

    /// A connection, for work that has to be done by then.
    fn connect(&self, until: Option<Instant>, cancel: &Cancel) -> cli::Result<Candlepin> {
        let destination = self.destination()?;
        let mut endpoint = destination.endpoint.clone();
        self.connection.apply(&mut endpoint);
        endpoint.deadline = until.or(endpoint.deadline);
        let login = self.login.as_ref().map(rhsm::Who::login).transpose()?;
        let reporter = Reporter {
            owner: destination.owner.clone(),
            id: destination.reporter_id.clone(),
            environment: destination.environment.clone(),
            login: login.ok_or_else(|| Failure::new(Kind::Software, "nobody to log in as"))?,
        };
        let correlation = destination.correlation.clone();
        Ok(Candlepin::new(&endpoint, reporter, correlation, cancel)?)
    }

    /// What tells the reports of this document from others.
    fn place(&self, mapping: &Mapping) -> Result<Place, Failure> {
        let destination = self.destination()?;
        let source = mapping.tail.source.as_ref();
        Ok(Place {
            server: destination.endpoint.base.to_string(),
            owner: destination.owner.clone(),
            reporter: destination.reporter_id.clone(),
            section: source.and_then(|source| source.section.clone()),
        })
    }
}

/// The owner that a section names.
pub(in crate::commands) fn owner(section: &Section) -> Result<String, config::Error> {
    let owner = section.need("owner", "--owner")?;
    match nameable(&owner) {
        Ok(owner) => Ok(owner),
        Err(reason) => Err(section.wrong("owner", &format!("is {owner:?}: {reason}"))),
    }
}

impl Options {
    /// How documents are delivered; `consumer` is this machine, where its own guests are reported.
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
            }),
        }
    }
}

impl Destination {
    fn new(options: &Options, section: &Section, rhsm: &Rhsm, cancel: &Cancel) -> cli::Result<Self> {
        let correlation = Correlation::random();
        log::debug!("correlation id {correlation}");
        let connection = &options.connection;
        let mut endpoint = rhsm::endpoint(rhsm, section, options.server.as_deref(), connection)?;
        connection.proxy_password(&mut endpoint, section, &args::Keys::CANDLEPIN, cancel)?;
        Ok(Destination {
            endpoint,
            owner: match &options.owner {
                Some(owner) => owner.clone(),
                None => owner(section)?,
            },
            reporter_id: match &options.reporter_id {
                Some(id) => id.clone(),
                None => rhsm::reporter_id(section)?,
            },
            environment: section.text("env")?,
            correlation,
        })
    }
}
