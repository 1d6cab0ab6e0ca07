//! `vw-report-candlepin`: checks hypervisors and their guests in with Candlepin.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use vw::cancel::Cancel;
use vw::candlepin::{self, Candlepin, CheckIn, Correlation, Failed, Reporter, Tally};
use vw::cli::documents::Documents;
use vw::cli::result::{Line, Results, State};
use vw::cli::{self, Failure, args, password};
use vw::config::Rhsm;
use vw::error::Kind;
use vw::http::Endpoint;
use vw::mapping::Mapping;

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
    /// Who reports [default: HOSTNAME-MACHINEID]
    #[arg(long, value_name = "ID")]
    reporter_id: Option<String>,
    /// Wait for the server's job, and for those before it
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(1..))]
    job_timeout: u32,
    /// Report a mapping without any hypervisor
    #[arg(long)]
    allow_empty: bool,
    /// Print the body that would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: args::Connection,
}

fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let destination = match args.dry_run {
            // Nothing of it is used, but a section that does not exist is better told now.
            true => args.section.find(None, true, |_| Ok(true)).map(|_| None)?,
            false => Some(Destination::new(&args, &cancel)?),
        };
        let mut documents = Documents::from_stdin(&cancel)?;
        let mut results = Results::default();
        loop {
            let (done, failed) = match documents.next_mapping() {
                Ok(None) => return Ok(results.exit()),
                Err(error) => (true, Some(error)),
                Ok(Some(mapping)) => {
                    let reported = match &destination {
                        Some(destination) => destination.report(&mapping, &args, &cancel, &mut results),
                        None => dry_run(&mapping, &args),
                    };
                    (cancel.check().is_err(), reported.err())
                }
            };
            if let Some(error) = failed {
                say(&error);
                results.failed(cli::kind(&error));
            }
            if done {
                return Ok(results.exit());
            }
        }
    })
}

/// One line for a failure, with the ids by which the server's log has it.
fn say(error: &anyhow::Error) {
    match error.downcast_ref().and_then(candlepin::Error::trace) {
        Some(trace) => log::error!("{error:#} ({trace})"),
        None => log::error!("{error:#}"),
    }
}

/// Where to report to, and as whom.
struct Destination {
    section: Option<String>,
    endpoint: Endpoint,
    reporter: Reporter,
    correlation: Correlation,
}

impl Destination {
    fn new(args: &Args, cancel: &Cancel) -> anyhow::Result<Self> {
        let complete = args.server.is_some() && args.owner.is_some() && args.account.username.is_some();
        let key_file = args.account.key_file.as_deref();
        let section = args
            .section
            .find(key_file, complete, |section| Ok(section.has("owner")))?;
        let rhsm = Rhsm::load(None, &section)?;
        let given = |option: &Option<String>, key, name| match option {
            Some(given) => Ok(given.clone()),
            None => section.need(key, name),
        };
        let owner = given(&args.owner, "owner", "--owner")?;
        let username = given(&args.account.username, "rhsm_username", "--username")?;
        let endpoint = cli::rhsm::endpoint(&rhsm, args.server.as_deref())?;
        let sources = password::Sources {
            file: args.account.password_file.as_deref(),
            section: &section,
            key: "rhsm_password",
            variable: "VIRTWHO_RHSM_PASSWORD",
            named: args.section.name.is_some(),
            whose: &format!("{username} at {}", endpoint.base.authority()),
        };
        let password = password::find(&sources, cancel)?;
        let correlation = Correlation::random();
        log::debug!("correlation id {correlation}");
        Ok(Destination {
            section: section.name().map(str::to_owned),
            endpoint,
            reporter: Reporter {
                owner,
                id: match &args.reporter_id {
                    Some(id) => id.clone(),
                    None => cli::rhsm::reporter_id(&section)?,
                },
                username,
                password,
            },
            correlation,
        })
    }

    /// Reports a document, and prints its result line whatever happens.
    fn report(
        &self,
        mapping: &Mapping,
        args: &Args,
        cancel: &Cancel,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let check_in = CheckIn::new(mapping);
        let mut tally = Tally::default();
        let sent = self.send(&check_in, args, cancel, &mut tally);
        let failed: Vec<&Failed> = check_in.left_out.iter().chain(&tally.failed).collect();
        results.print(&Line {
            section: self.section.as_deref(),
            server: &self.endpoint.base.to_string(),
            owner: Some(&self.reporter.owner),
            state: match sent {
                Err(_) => State::Failed,
                Ok(()) if failed.is_empty() => State::Finished,
                Ok(()) => State::Partial,
            },
            hypervisors: check_in.hypervisors,
            guests: check_in.guests,
            created: tally.created,
            updated: tally.updated,
            unchanged: tally.unchanged,
            failed: &failed,
            jobs: &tally.jobs,
            seconds: (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        });
        sent.and_then(|()| complete(&check_in, &tally))
    }

    fn send(
        &self,
        check_in: &CheckIn,
        args: &Args,
        cancel: &Cancel,
        tally: &mut Tally,
    ) -> anyhow::Result<()> {
        inspect(check_in, args)?;
        if check_in.is_empty() && check_in.hypervisors > 0 {
            return Ok(());
        }
        let mut endpoint = self.endpoint.clone();
        args.connection.apply(&mut endpoint);
        let mut candlepin =
            Candlepin::new(&endpoint, self.reporter.clone(), self.correlation.clone(), cancel)?;
        candlepin.require_async()?;
        let limit = Duration::from_secs(args.job_timeout.into());
        Ok(candlepin.check_in(check_in, limit, tally)?)
    }
}

fn dry_run(mapping: &Mapping, args: &Args) -> anyhow::Result<()> {
    let check_in = CheckIn::new(mapping);
    inspect(&check_in, args)?;
    let body = String::from_utf8(check_in.body()?)?;
    cli::print(&format!("{body}\n"))?;
    complete(&check_in, &Tally::default())
}

/// Says what of a document is not sent, and refuses an empty one.
fn inspect(check_in: &CheckIn, args: &Args) -> Result<(), Failure> {
    for failed in &check_in.left_out {
        log::warn!("left out: {failed}");
    }
    for id in check_in.without_system_uuid() {
        log::warn!("{id}: sent without dmi.system.uuid, which is not its own alone");
    }
    if check_in.local {
        log::warn!("this machine's own guests are not reported by this version");
    }
    if check_in.hypervisors == 0 && !args.allow_empty {
        let problem = "the mapping has no hypervisor, as from a scan account without rights; \
                       if that is right, use --allow-empty";
        return Err(Failure::new(Kind::Data, problem));
    }
    Ok(())
}

/// Fails if anything of a document that was sent is not on the server.
fn complete(check_in: &CheckIn, tally: &Tally) -> anyhow::Result<()> {
    for failed in &tally.failed {
        log::warn!("not on the server: {failed}");
    }
    let (left_out, refused, lost) = (check_in.left_out.len(), tally.refused, tally.lost);
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
