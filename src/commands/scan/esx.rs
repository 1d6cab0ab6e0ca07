//! `vw-scan-esx`: from a vCenter or an ESX host to a mapping.

mod settings;

use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use self::settings::Scan;
use super::{omitted, shared_ids};
use crate::cancel::Cancel;
use crate::cli::progress::Progress;
use crate::cli::{self, Failure, args};
use crate::error::Kind;
use crate::mapping::{Source, Tail};
use crate::systems::vsphere::{self, About, Identified, Inventory, Nudge, Occasion, Pace, Session, Watched};

/// Print which virtual machine runs on which host of a vCenter or an ESX host
#[derive(Debug, clap::Parser)]
#[command(
    name = "vw-scan-esx",
    version,
    after_help = "Examples:\n  \
        vw-scan-esx -n prod | vw-filter -n prod | vw-report-candlepin -n prod\n  \
        vw-scan-esx --server vc.example.com -u virtwho --password-file <(pass show vc)"
)]
struct Args {
    #[command(flatten)]
    scan: settings::Options,
    #[command(flatten)]
    watching: Watching,
    /// Fail, and print nothing, if anything is left out
    #[arg(long)]
    strict: bool,
    /// Log in, print the server's name and version, and log out
    #[arg(long, conflicts_with_all = [
        "strict", "guest_names", "stamp", "layout", "pretty", "compact", "no_omitted", "watch",
    ])]
    check: bool,
    #[command(flatten)]
    output: args::Output,
}

/// The name by which `omitted` calls this stage.
const STAGE: &str = "vw-scan-esx";

/// Whether to go on after the first document, and when to print another.
#[derive(Debug, clap::Args)]
struct Watching {
    /// Keep the session, and print a document after each change
    #[arg(long, conflicts_with = "replay")]
    watch: bool,
    /// Let changes settle for so long [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = args::duration)]
    settle: Option<Duration>,
    /// Print the unchanged document again after this time, 0 never [default: 1h]
    #[arg(long, value_name = "SECONDS", value_parser = args::duration)]
    repeat: Option<Duration>,
}

impl Watching {
    const SETTLE: Duration = Duration::from_secs(10);
    const REPEAT: Duration = Duration::from_secs(3600);

    /// Fails if an option is given that is about the documents after the first.
    fn check(&self) -> Result<(), Failure> {
        let given = [("--settle", self.settle), ("--repeat", self.repeat)];
        match given.iter().find(|(_, value)| value.is_some()) {
            Some((option, _)) if !self.watch => {
                let problem = format!("{option} needs --watch: without it there is only one document");
                Err(Failure::new(Kind::Usage, problem))
            }
            _ => Ok(()),
        }
    }

    fn pace(&self) -> Pace {
        let repeat = self.repeat.unwrap_or(Watching::REPEAT);
        Pace {
            settle: self.settle.unwrap_or(Watching::SETTLE),
            repeat: Some(repeat).filter(|repeat| !repeat.is_zero()),
        }
    }
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        args.watching.check()?;
        let cancel = cli::cancel_on_signals()?;
        let scan = Scan::new(&args.scan, &cancel)?;
        if args.check {
            let (about, ()) = in_session(&scan, &cancel, |_| Ok(()))?;
            let About {
                full_name,
                api_version,
                ..
            } = about;
            let _at_once = cli::end_at_once(&cancel);
            let answer = cli::text::line(&format!("{full_name}, API {api_version}"));
            return Ok(cli::print(&format!("{answer}\n"))?);
        }
        if args.watching.watch {
            return watch(&scan, &args, &cancel);
        }
        let (about, inventory) = in_session(&scan, &cancel, |session| read(session, scan.guest_names))?;
        Printer::new(&scan, &args, &cancel).tell(&about, inventory, Occasion::News)?;
        Ok(())
    })
}

/// Reads the inventory, and tells on a terminal how far that is.
fn read(session: &mut Session, guest_names: bool) -> Result<Inventory, vsphere::Error> {
    let progress = Progress::counting("vw-scan-esx", "objects read");
    vsphere::scan(session, guest_names, || progress.one())
}

/// Logs in, works, logs out; again where it failed for now.
fn in_session<T>(
    scan: &Scan,
    cancel: &Cancel,
    mut work: impl FnMut(&mut Session) -> Result<T, vsphere::Error>,
) -> cli::Result<(About, T)> {
    let done = vsphere::retry(&scan.endpoint, scan.patience, cancel, || {
        let mut session = Session::open(&scan.endpoint, &scan.credentials, cancel)?;
        let result = work(&mut session)?;
        let about = session.about().clone();
        // All is read: a reader that takes its time must not keep the session open.
        session.close();
        Ok((about, result))
    });
    done.map_err(|error| scan.of_section(error))
}

/// Prints the inventory whenever it has changed, until a signal comes or the reader goes away.
fn watch(scan: &Scan, args: &Args, cancel: &Cancel) -> cli::Result<()> {
    cli::cancel_without_reader(cancel)?;
    let nudge = Nudge::default();
    let asked = nudge.clone();
    cli::on_user_signal(move || asked.ask())?;
    let mut printer = Printer::new(scan, args, cancel);
    let tell = |about: &About, inventory: Inventory, occasion| printer.tell(about, inventory, occasion);
    let watched = Watched {
        endpoint: &scan.endpoint,
        credentials: &scan.credentials,
        guest_names: scan.guest_names,
        patience: scan.patience,
        pace: args.watching.pace(),
    };
    match vsphere::watch(watched, &nudge, cancel, tell).map_err(|error| scan.of_section(error))? {}
}

/// Prints documents, and knows which was the last.
struct Printer<'a> {
    scan: &'a Scan,
    args: &'a Args,
    cancel: &'a Cancel,
    last: Option<u64>,
    /// The ids that several hosts share, and several machines, as they were told last.
    shared: (Shared, Shared),
}

/// An id and the names of those that share it.
type Shared = Vec<(String, Vec<String>)>;

impl<'a> Printer<'a> {
    fn new(scan: &'a Scan, args: &'a Args, cancel: &'a Cancel) -> Self {
        Printer {
            scan,
            args,
            cancel,
            last: None,
            shared: Default::default(),
        }
    }

    /// Prints the document of this inventory; news only if they make another document.
    fn tell(&mut self, about: &About, inventory: Inventory, occasion: Occasion) -> cli::Result<bool> {
        let identified = inventory.identify(self.scan.hypervisor_id);
        let watching = self.args.watching.watch;
        let mut digest = Digest::default();
        if watching {
            self.write(&mut digest, &identified, None)?;
        }
        let is_other = self.last.replace(digest.0.finish()) != Some(digest.0.finish());
        if occasion == Occasion::News && !is_other {
            return Ok(false);
        }
        if is_other {
            self.warn(&identified)?;
        }
        let mut source = Source {
            instance_uuid: about.instance_uuid.clone(),
            ..self.scan.source.clone()
        };
        if watching && source.time.is_some() {
            source.time = Some(cli::stamp::utc(SystemTime::now()));
        }
        let written = self.write(cli::json_stdout_until(self.cancel), &identified, Some(source));
        // A signal while nobody reads is no failure of stdout.
        written.or_else(|error| self.cancel.check().map_err(cli::Error::from).and(Err(error)))?;
        Ok(true)
    }

    fn warn(&mut self, identified: &Identified) -> cli::Result<()> {
        for note in identified.notes() {
            log::warn!("{note}");
        }
        if self.args.strict {
            omitted::refuse(identified.left_out())?;
        }
        // In a watch, what stays as it is need not be told with each change.
        let shared = (identified.shared_ids(), identified.clones());
        if shared.0 != self.shared.0 {
            shared_ids::warn("hosts have the id", &shared.0);
        }
        if shared.1 != self.shared.1 {
            shared_ids::warn("virtual machines have the guest id", &shared.1);
        }
        self.shared = shared;
        let writer = cli::mapping::writer(io::sink(), &self.args.output);
        omitted::warn(identified.left_out(), writer.tells_omitted());
        Ok(())
    }

    fn write(&self, out: impl Write, identified: &Identified, source: Option<Source>) -> cli::Result<()> {
        let mut writer = cli::mapping::writer(out, &self.args.output);
        for hypervisor in identified.hypervisors() {
            writer.hypervisor(&hypervisor)?;
        }
        let tail = Tail {
            source,
            omitted: identified
                .left_out()
                .iter()
                .map(|one| one.clone().by(STAGE))
                .collect(),
            ..Tail::default()
        };
        Ok(writer.finish(&tail)?)
    }
}

/// What is left of a document to know it again by.
#[derive(Default)]
struct Digest(DefaultHasher);

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
