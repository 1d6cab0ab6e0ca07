//! `vw-scan-candlepin`: from what Candlepin holds for an owner to a mapping.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use super::omitted;
use crate::cancel::Cancel;
use crate::cli::progress::Progress;
use crate::cli::{self, Exit, args, stamp};
use crate::commands::rhsm::{self, LoginOptions, PendingLogin, advice};
use crate::commands::{server, way};
use crate::config::{Rhsm, Section};
use crate::error::Kind;
use crate::mapping::{Hypervisor, Layout, Source, Tail};
use crate::systems::candlepin::{self, Client, Correlation, ReadBack};

/// Print the mapping that Candlepin holds for an owner
#[derive(Debug, clap::Parser)]
#[command(
    name = COMMAND,
    version,
    after_help = "Examples:\n  \
        vw-scan-esx -n prod | vw-filter -n prod > prod.json\n  \
        vw-diff <(vw-scan-candlepin -n prod) prod.json   # what a report would change\n  \
        vw-report-candlepin -n prod < prod.json"
)]
struct Args {
    #[command(flatten)]
    section: args::Section,
    /// Read from SERVER: a name, NAME:PORT or URL
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    #[command(flatten)]
    account: args::Credentials,
    #[command(flatten)]
    owner: rhsm::OwnerOptions,
    /// Send up to N requests at once
    #[arg(short = 'j', long = "jobs", value_name = "N", default_value = "4", value_parser = at_once)]
    at_once: NonZeroUsize,
    /// Also write the time of the scan
    #[arg(long)]
    stamp: bool,
    /// Only check that the hypervisors can be read
    #[arg(long, conflicts_with_all = ["stamp", "layout", "pretty", "compact", "no_omitted"])]
    check: bool,
    #[command(flatten)]
    output: args::Output,
    #[command(flatten)]
    connection: args::Connection,
}

/// The command's name.
const COMMAND: &str = "vw-scan-candlepin";

/// The type of this source.
const TYPE: &str = "candlepin";

/// The most requests at once. More would keep other users of the server waiting.
const MOST_AT_ONCE: usize = 32;

fn at_once(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().and_then(NonZeroUsize::new);
    let number = number.filter(|number| number.get() <= MOST_AT_ONCE);
    number.ok_or_else(|| format!("it is not a number from 1 to {MOST_AT_ONCE}"))
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let scan = CandlepinScan::new(&args, &cancel)?;
        let done = match args.check {
            true => scan.check(&cancel),
            false => scan.print(&args, &cancel),
        };
        match done.map_err(|error| scan.explain(error)) {
            Ok(()) => Ok(Exit::Ok),
            Err(error) if matches!(error.kind(), Kind::Signal(_) | Kind::ReaderGone) => Err(error),
            Err(error) => {
                advice::log_error(&error, Some(&scan.read_back.correlation));
                Ok(Exit::Failed(error.kind()))
            }
        }
    })
}

/// The scan with its settings: options, then section and rhsm.conf, then defaults.
struct CandlepinScan {
    read_back: ReadBack,
    login: PendingLogin,
    /// The certificate of this system, used or not.
    certificate: PathBuf,
    source: Source,
    /// The section in messages, with its file and line.
    section_in_messages: Option<String>,
}

impl Args {
    fn find_section(&self) -> cli::Result<Section> {
        let missing = self.owner.missing(self.account.username.is_some());
        let complete = self.server.is_some() && missing.is_empty();
        let key_file = self.account.key_file.as_deref();
        let section = self.section.find(key_file, complete, rhsm::is_for_candlepin);
        section.map_err(|error| match self.server {
            Some(_) => args::beside_server(error, &missing),
            None => error.into(),
        })
    }
}

impl CandlepinScan {
    /// Reads the configuration, and asks for the password if need be. A signal ends the process at once.
    fn new(args: &Args, cancel: &Cancel) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        let section = args.find_section()?;
        let rhsm = Rhsm::load(args.owner.rhsm_conf.as_deref(), &section)?;
        let owner = args.owner.owner(&section)?;
        let connection = &args.connection;
        let mut endpoint = rhsm::endpoint(&rhsm, &section, args.server.as_deref(), connection)?;
        connection.proxy_password(&mut endpoint, &section, &args::Keys::CANDLEPIN, cancel)?;
        let login = LoginOptions {
            options: &args.account,
            identity: args.owner.identity(),
            named: args.section.name.is_some(),
        };
        let login = login.login(&section, &rhsm, &mut endpoint, cancel)?;
        login.ask(cancel)?;
        connection.apply(&mut endpoint);
        let (deadline, patience) = server::limits(connection.time(), Instant::now());
        endpoint.deadline = deadline;
        let mut source = Source {
            section: section.name().map(str::to_owned),
            kind: Some(TYPE.into()),
            server: Some(server::name_of(&endpoint.base)),
            time: args.stamp.then(|| stamp::utc(SystemTime::now())),
            ..Source::default()
        };
        source.unknown.set("owner", owner.clone());
        log::debug!(
            "reading owner {owner:?} from {}, {} requests at once",
            endpoint.base,
            args.at_once
        );
        Ok(CandlepinScan {
            read_back: ReadBack {
                endpoint,
                client: Client {
                    agent: concat!("vw-scan-candlepin/", env!("CARGO_PKG_VERSION")),
                    owner,
                    // Only a report has these two.
                    id: String::new(),
                    environment: None,
                    login: login.login()?,
                },
                correlation: Correlation::random(),
                patience,
                at_once: args.at_once,
            },
            login,
            certificate: args
                .owner
                .cert
                .clone()
                .unwrap_or_else(|| rhsm::certificate(&rhsm)),
            source,
            section_in_messages: args::section_and_place(&section),
        })
    }

    /// `--check`: proves that the owner's hypervisors can be read.
    fn check(&self, cancel: &Cancel) -> cli::Result<()> {
        let (status, total) = self.read_back.check(cancel)?;
        let ReadBack { endpoint, client, .. } = &self.read_back;
        let hypervisors = match total {
            Some(total) => cli::words::counted(total, "hypervisor"),
            None => "the hypervisors".to_owned(),
        };
        let (base, version, owner) = (&endpoint.base, &status.version, &client.owner);
        let answer = format!("{base}: Candlepin {version}, {hypervisors} of owner {owner} can be read");
        let _at_once = cli::end_at_once(cancel);
        Ok(cli::print(&format!("{}\n", crate::text::line(&answer)))?)
    }

    /// Prints the mapping hypervisor by hypervisor, as they are read.
    fn print(&self, args: &Args, cancel: &Cancel) -> cli::Result<()> {
        let list = {
            let _progress = Progress::counting(COMMAND, "hypervisors listed");
            self.read_back.list(cancel)?
        };
        cli::cancel_without_reader(cancel)?;
        let progress = Progress::toward(list.hypervisors.len(), COMMAND, "hypervisors");
        let is_ours = args.output.layout != Some(Layout::Checkin);
        let mut writer = cli::mapping::writer(cli::json_stdout_until(cancel), &args.output);
        self.read_back.each(
            &list.hypervisors,
            cancel,
            |hypervisor: Hypervisor| -> cli::Result<()> {
                progress.one();
                let hypervisor = if is_ours { hypervisor } else { sendable(hypervisor) };
                written(writer.hypervisor(&hypervisor), cancel)
            },
        )?;
        drop(progress);
        omitted::warn(&list.left_out, writer.writes_omitted());
        let left_out = list.left_out.into_iter();
        let tail = Tail {
            source: Some(self.source.clone()),
            omitted: left_out.map(|one| one.by(COMMAND)).collect(),
            ..Tail::default()
        };
        written(writer.finish(&tail), cancel)
    }

    /// Adds to an error what the user needs to mend it: advice, the section, and the server.
    fn explain(&self, error: cli::Error) -> cli::Error {
        use candlepin::Error;
        let known: Option<&Error> = error.downcast_ref();
        let base = &self.read_back.endpoint.base;
        let refusal = match (known, &self.login) {
            // Recorded: a system may report, but read only itself.
            (Some(Error::Refused { source, .. }), PendingLogin::System { .. })
                if advice::is_status(source, 403) =>
            {
                Some(format!(
                    "{base} does not let a system read the hypervisors; log in as a user (--username)"
                ))
            }
            (Some(known), login) => advice::Attempt {
                base,
                owner: Some(&self.read_back.client.owner),
                login: Some(login),
                certificate: &self.certificate,
                purpose: "read",
            }
            .refusal(known),
            (None, _) => None,
        };
        let error = match refusal {
            Some(refusal) => error.context(refusal),
            None => error,
        };
        way::placed(error, self.section_in_messages.as_deref(), Some(base))
    }
}

/// A hypervisor with only what the check-in layout has.
fn sendable(hypervisor: Hypervisor) -> Hypervisor {
    Hypervisor {
        unknown: crate::mapping::Members::new(),
        ..hypervisor
    }
}

/// A signal while nobody reads is not a failure of stdout.
fn written(result: Result<(), crate::mapping::Error>, cancel: &Cancel) -> cli::Result<()> {
    if result.is_err() {
        cancel.check()?;
    }
    Ok(result?)
}
