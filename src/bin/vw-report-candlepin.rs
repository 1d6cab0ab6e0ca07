//! `vw-report-candlepin`: checks hypervisors and their guests in with Candlepin.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vw::cancel::Cancel;
use vw::candlepin::{
    self, Accepted, Candlepin, CheckIn, Correlation, Delivered, Delivery, Done, Failed, Login, Memory,
    Outcome, Place, Reporter, Tally,
};
use vw::cli::documents::{self, Attempt};
use vw::cli::progress::Progress;
use vw::cli::result::{Line, Results, State};
use vw::cli::{self, Exit, Failure, age, args};
use vw::config::{Rhsm, Section};
use vw::error::Kind;
use vw::http::{Endpoint, Identity};
use vw::mapping::Mapping;
use vw::state::Folder;

/// Check hypervisors and their guests in with Candlepin
///
/// It reads mappings from stdin and prints what became of each as one line of JSON.
#[derive(clap::Parser)]
#[command(name = "vw-report-candlepin", version)]
#[command(after_help = "Example: vw-scan-esx -n prod | vw-report-candlepin -n prod")]
struct Args {
    #[command(flatten)]
    section: args::Section,
    /// Report to SERVER: a name, NAME:PORT or URL
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    /// The owner, or organisation, of the hypervisors
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    #[command(flatten)]
    account: args::Account,
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
    /// Wait for each of the server's jobs, and for those before it
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(1..))]
    job_timeout: u32,
    /// Do not wait for the last job
    #[arg(long)]
    no_wait: bool,
    /// Ask what became of the job ID, and read no mapping
    #[arg(long, value_name = "ID", conflicts_with_all = ["check", "dry_run", "heartbeat"])]
    job: Option<String>,
    /// Refuse a mapping of which anything would be left out
    #[arg(long)]
    strict: bool,
    /// Report a mapping without any hypervisor
    #[arg(long)]
    allow_empty: bool,
    /// Refuse a mapping that is older (see vw-scan-esx --stamp)
    #[arg(long, value_name = "SECONDS")]
    max_age: Option<u32>,
    /// Report this machine's own guests, too
    #[arg(long)]
    local: bool,
    /// Keep in DIR what was accepted, and send only what changed
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Report all of it after this time, changed or not
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 86_400,
        requires = "state_dir"
    )]
    full_every: u32,
    /// Report though nothing changed, and clear though much vanished
    #[arg(long, requires = "state_dir")]
    force: bool,
    /// Tell that hypervisors which vanished have no guests
    #[arg(long, requires = "state_dir")]
    clear_vanished: bool,
    /// Only tell the server that the mapping was scanned well
    #[arg(long, conflicts_with_all = ["check", "dry_run", "no_wait"])]
    heartbeat: bool,
    /// Prove that a report would be taken, and read no mapping
    #[arg(long)]
    check: bool,
    /// Print the bodies that would be sent, and send nothing
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    #[command(flatten)]
    connection: args::Connection,
}

fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let settings = Settings::new(args, &cancel)?;
        let args = &settings.args;
        if args.check || args.job.is_some() {
            let done = match &args.job {
                None => settings.check(&cancel),
                Some(id) => settings.job(id, &cancel),
            };
            return done.or_else(|error| {
                settings.say(&error);
                Ok(Exit::Failed(cli::kind(&error)))
            });
        }
        documents::report(
            &cancel,
            args.connection.time(),
            |mapping, progress, until| settings.report(mapping, progress, until, &cancel),
            |error| settings.say(error),
        )
    })
}

/// What options and configuration say.
struct Settings {
    args: Args,
    section: Option<String>,
    /// Where to report to; nowhere with `--dry-run`, unless what was reported there before counts.
    destination: Option<Destination>,
    /// As whom; nobody has to be let in for `--dry-run`.
    login: Option<Login>,
    delivery: Delivery,
}

struct Destination {
    endpoint: Endpoint,
    owner: String,
    reporter_id: String,
    environment: Option<String>,
    correlation: Correlation,
}

/// What is remembered from one attempt at a document to the next.
#[derive(Default)]
struct Memo {
    told: bool,
    delivered: Delivered,
}

impl Settings {
    fn new(args: Args, cancel: &Cancel) -> anyhow::Result<Self> {
        let somewhere = !args.dry_run || args.state_dir.is_some();
        let someone = args.dry_run || args.account.username.is_some() || args.cert.is_some();
        let complete = !somewhere || args.server.is_some() && args.owner.is_some() && someone;
        let key_file = args.account.key_file.as_deref();
        let fits = |section: &Section| Ok(section.has("owner"));
        let section = args.section.find(key_file, complete, fits)?;
        let rhsm = Rhsm::load(args.rhsm_conf.as_deref(), &section)?;
        let mut destination = match somewhere {
            true => Some(Destination::new(&args, &section, &rhsm)?),
            false => None,
        };
        let identity = args.cert.clone().map(|cert| Identity {
            key: args.key.clone().unwrap_or_else(|| cert.clone()),
            cert,
        });
        let certificate = match &identity {
            Some(identity) => identity.cert.clone(),
            None => cli::rhsm::certificate(&rhsm),
        };
        let login = match &mut destination {
            Some(destination) if !args.dry_run => {
                let account = cli::rhsm::Account {
                    options: &args.account,
                    identity,
                    named: args.section.name.is_some(),
                };
                Some(account.login(&section, &rhsm, &mut destination.endpoint, cancel)?)
            }
            _ => None,
        };
        let local = args.local || section.flag("is_hypervisor")? == Some(false);
        let consumer = match &login {
            _ if !local => None,
            Some(Login::Consumer { uuid }) => Some(uuid.clone()),
            _ => Some(candlepin::consumer(&certificate)?),
        };
        Ok(Settings {
            section: section.name().map(str::to_owned),
            destination,
            login,
            delivery: args.delivery(consumer),
            args,
        })
    }

    /// One line for a failure, with the ids by which the server's log has it.
    fn say(&self, error: &anyhow::Error) {
        let trace = error.downcast_ref().and_then(candlepin::Error::trace);
        match (trace, &self.destination) {
            (Some(trace), _) => log::error!("{error:#} ({trace})"),
            (None, Some(Destination { correlation, .. })) if cli::kind(error) == Kind::Unavailable => {
                log::error!("{error:#} (correlation id {correlation})");
            }
            _ => log::error!("{error:#}"),
        }
    }

    fn destination(&self) -> Result<&Destination, Failure> {
        let destination = self.destination.as_ref();
        destination.ok_or_else(|| Failure::new(Kind::Software, "nowhere to report to"))
    }

    /// A connection, for work that has to be done by then.
    fn connect(&self, until: Option<Instant>, cancel: &Cancel) -> anyhow::Result<Candlepin> {
        let destination = self.destination()?;
        let mut endpoint = destination.endpoint.clone();
        self.args.connection.apply(&mut endpoint);
        endpoint.deadline = until.or(endpoint.deadline);
        let login = self.login.clone();
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

    /// `--check`.
    fn check(&self, cancel: &Cancel) -> anyhow::Result<Exit> {
        let mut candlepin = self.connect(None, cancel)?;
        let status = candlepin.status()?;
        candlepin.try_out(&status, self.delivery.limit)?;
        let Destination { endpoint, owner, .. } = self.destination()?;
        let (base, version) = (&endpoint.base, &status.version);
        cli::print(&format!(
            "{base}: Candlepin {version}, reports for owner {owner} are taken\n"
        ))?;
        Ok(Exit::Ok)
    }

    /// `--job`.
    fn job(&self, id: &str, cancel: &Cancel) -> anyhow::Result<Exit> {
        let started = Instant::now();
        let mut tally = Tally::default();
        let asked = self.connect(None, cancel)?.job(id, &mut tally);
        let hypervisors = tally.created + tally.updated + tally.unchanged + tally.refused;
        let mut line = self.line(&tally, hypervisors, 0)?;
        line.state = match &asked {
            Err(_) => State::Failed,
            Ok(Outcome::Pending) => State::Sent,
            Ok(Outcome::Finished) if tally.failed.is_empty() => State::Finished,
            Ok(Outcome::Finished) => State::Partial,
        };
        line.set_seconds(started);
        let mut results = Results::default();
        results.print(&line);
        if asked? == Outcome::Pending {
            let problem = format!("job {id} is not done yet; ask again later");
            return Err(Failure::new(Kind::TempFail, problem).into());
        }
        complete(0, &tally)?;
        Ok(results.exit())
    }

    /// Tries to report a document, or what is left of it after the attempts before.
    fn report(
        &self,
        mapping: &Mapping,
        memo: &mut Memo,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> Attempt<Failed> {
        let mut check_in = CheckIn::new(mapping);
        if !std::mem::replace(&mut memo.told, true) {
            self.tell(&check_in);
        }
        if self.args.dry_run {
            return Attempt::without_line(self.dry_run(mapping, check_in));
        }
        let delivered = &mut memo.delivered;
        let done = self.deliver(mapping, &mut check_in, delivered, until, cancel);
        self.told(&check_in, delivered, done)
            .unwrap_or_else(|error| Attempt::without_line(Err(error)))
    }

    fn deliver(
        &self,
        mapping: &Mapping,
        check_in: &mut CheckIn<'_>,
        delivered: &mut Delivered,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> anyhow::Result<Done> {
        self.inspect(mapping, check_in)?;
        let mut candlepin = self.connect(until, cancel)?;
        let several = check_in.len() > self.delivery.batch;
        let bar = several.then(|| Progress::toward(check_in.len(), "vw-report-candlepin", "hypervisors"));
        let progress = |done| bar.iter().for_each(|bar| bar.reach(done));
        let place = self.place(mapping)?;
        Ok(candlepin.deliver(check_in, &place, &self.delivery, delivered, progress)?)
    }

    /// The result line and the failure of an attempt.
    fn told(
        &self,
        check_in: &CheckIn<'_>,
        delivered: &mut Delivered,
        done: anyhow::Result<Done>,
    ) -> anyhow::Result<Attempt<Failed>> {
        let local = self
            .delivery
            .consumer
            .as_ref()
            .map_or(0, |_| check_in.local_guests);
        let mut line = self.line(&delivered.tally, check_in.hypervisors, check_in.guests + local)?;
        line.failed.splice(0..0, check_in.left_out.iter().cloned());
        let all_well = line.failed.is_empty();
        let begun = delivered.batches > 0;
        line.state = match &done {
            Ok(Done::Heartbeat) => State::Heartbeat,
            Ok(Done::Sent) => State::Sent,
            Ok(Done::Reported) if all_well => State::Finished,
            Ok(Done::Unchanged) if all_well => State::Unchanged,
            Ok(_) => State::Partial,
            Err(_) if begun => State::Partial,
            Err(_) => State::Failed,
        };
        if done.is_err() && begun {
            let unsent = check_in.batches(self.delivery.batch).skip(delivered.batches);
            let errors =
                std::iter::once("it is not known whether it arrived").chain(std::iter::repeat("not sent"));
            let failed = unsent.zip(errors).flat_map(|(batch, error)| batch.failed(error));
            line.failed.extend(failed);
        }
        let failed = match done {
            Ok(Done::Heartbeat) => None,
            Ok(_) => complete(check_in.left_out.len(), &delivered.tally).err(),
            Err(error) if begun => {
                let arrived = check_in.len().min(delivered.batches * self.delivery.batch);
                let all = check_in.len();
                Some(error.context(format!(
                    "{arrived} of {all} hypervisors are reported, and the others not"
                )))
            }
            Err(error) => Some(error),
        };
        let mut besides = Vec::new();
        if let Some(error) = delivered.unkept.take() {
            besides.push(error.kind());
            log::error!("{:#}", anyhow::Error::from(error));
        }
        Ok(Attempt {
            line: Some(line),
            again: failed
                .as_ref()
                .and_then(|error| error.downcast_ref())
                .is_some_and(candlepin::Error::may_pass),
            failed,
            besides,
        })
    }

    /// A result line with what the server said.
    fn line(&self, tally: &Tally, hypervisors: usize, guests: usize) -> Result<Line<Failed>, Failure> {
        let destination = self.destination()?;
        Ok(Line {
            section: self.section.clone(),
            server: destination.endpoint.base.to_string(),
            owner: Some(destination.owner.clone()),
            state: State::Finished,
            hypervisors,
            guests,
            created: tally.created,
            updated: tally.updated,
            unchanged: tally.unchanged,
            failed: tally.failed.clone(),
            jobs: tally.jobs.clone(),
            seconds: 0.0,
        })
    }

    /// Prints each body that would be sent, on a line of its own.
    fn dry_run(&self, mapping: &Mapping, mut check_in: CheckIn<'_>) -> anyhow::Result<()> {
        self.inspect(mapping, &check_in)?;
        if let Some(memory) = &self.delivery.memory {
            let place = self.place(mapping)?;
            let last = Accepted::read(&memory.folder, &place);
            if check_in.news(&place, memory, last.as_ref())?.is_none() {
                log::info!("unchanged: a heartbeat would be sent, if anything");
                return complete(check_in.left_out.len(), &Tally::default());
            }
        }
        for body in check_in.bodies(&self.delivery) {
            cli::print(&format!("{}\n", String::from_utf8(body?)?))?;
        }
        complete(check_in.left_out.len(), &Tally::default())
    }

    /// Says what of a document is not sent.
    fn tell(&self, check_in: &CheckIn<'_>) {
        for failed in &check_in.left_out {
            log::warn!("left out: {failed}");
        }
        for id in check_in.without_system_uuid() {
            log::warn!("{id}: sent without dmi.system.uuid, which is not its own alone");
        }
        if check_in.has_local() && self.delivery.consumer.is_none() {
            log::warn!("this machine's own guests are left out; use --local to report them");
        }
    }

    /// Refuses a document that is empty, too old, or not what `--strict` wants.
    fn inspect(&self, mapping: &Mapping, check_in: &CheckIn<'_>) -> Result<(), Failure> {
        age::check(mapping, self.args.max_age)?;
        let local = check_in.has_local() && self.delivery.consumer.is_some();
        if check_in.hypervisors == 0 && !local && !self.args.allow_empty {
            let problem = "the mapping has no hypervisor, as from a scan account without rights; \
                           if that is right, use --allow-empty";
            return Err(Failure::new(Kind::Data, problem));
        }
        let incomplete = !check_in.left_out.is_empty() || check_in.without_system_uuid().next().is_some();
        match self.args.strict && incomplete {
            true => Err(Failure::new(
                Kind::Data,
                "not all of it can be sent, and so nothing is (--strict)",
            )),
            false => Ok(()),
        }
    }
}

impl Args {
    fn delivery(&self, consumer: Option<String>) -> Delivery {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Delivery {
            batch: self.batch as usize,
            limit: seconds(self.job_timeout),
            wait: !self.no_wait,
            heartbeat: self.heartbeat,
            consumer,
            memory: self.state_dir.as_ref().map(|folder| Memory {
                folder: Folder::new(folder),
                full_every: seconds(self.full_every),
                force: self.force,
                clear_vanished: self.clear_vanished,
            }),
        }
    }
}

impl Destination {
    fn new(args: &Args, section: &Section, rhsm: &Rhsm) -> anyhow::Result<Self> {
        let correlation = Correlation::random();
        log::debug!("correlation id {correlation}");
        Ok(Destination {
            endpoint: cli::rhsm::endpoint(rhsm, args.server.as_deref())?,
            owner: match &args.owner {
                Some(owner) => owner.clone(),
                None => section.need("owner", "--owner")?,
            },
            reporter_id: match &args.reporter_id {
                Some(id) => id.clone(),
                None => cli::rhsm::reporter_id(section)?,
            },
            environment: section.text("env")?,
            correlation,
        })
    }
}

/// Fails if anything of a document is not on the server as it should be.
fn complete(left_out: usize, tally: &Tally) -> anyhow::Result<()> {
    for failed in &tally.failed {
        log::warn!("not on the server: {failed}");
    }
    let (refused, lost) = (tally.refused, tally.lost);
    let kind = match (left_out, refused + lost) {
        (0, 0) => return Ok(()),
        (_, 0) => Kind::Data,
        _ => Kind::Unavailable,
    };
    let problem = format!(
        "not all of it is reported: {left_out} left out, {refused} refused and {lost} lost by the server"
    );
    Err(Failure::new(kind, problem).into())
}
