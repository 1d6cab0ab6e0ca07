//! `vw-scan-esx`: from a vCenter or an ESX host to a mapping.

use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use vw::cancel::Cancel;
use vw::cli::{self, args, password};
use vw::config;
use vw::http::Endpoint;
use vw::mapping::{Omitted, Source, Tail};
use vw::vsphere::{
    self, About, Credentials, HypervisorId, Identified, Inventory, Nudge, Occasion, Pace, Session,
};

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
    /// Scan SERVER: a host name, an address or a URL
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    #[command(flatten)]
    account: args::Account,
    /// Make uuid, hostname or hwuuid the hypervisors' id [default: uuid]
    #[arg(long, value_name = "ID")]
    hypervisor_id: Option<HypervisorId>,
    #[command(flatten)]
    watching: Watching,
    #[command(flatten)]
    section: args::Section,
    #[command(flatten)]
    connection: args::Connection,
    #[command(flatten)]
    output: args::Output,
}

/// Whether to go on after the first document, and when to print another.
#[derive(Debug, clap::Args)]
struct Watching {
    /// Keep the session, and print a document after each change
    #[arg(long)]
    watch: bool,
    /// Let changes settle for so long
    #[arg(long, value_name = "SECONDS", requires = "watch", default_value_t = 10)]
    settle: u32,
    /// Print the unchanged document again after this time, 0 never
    #[arg(long, value_name = "SECONDS", requires = "watch", default_value_t = 3600)]
    repeat: u32,
}

impl Watching {
    fn pace(&self) -> Pace {
        let seconds = |number: u32| Duration::from_secs(number.into());
        Pace {
            settle: seconds(self.settle),
            repeat: Some(seconds(self.repeat)).filter(|repeat| !repeat.is_zero()),
        }
    }
}

fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let settings = Settings::new(&args, &cancel)?;
        match args.watching.watch {
            true => watch(&args, &settings, &cancel),
            false => scan(&args, &settings, &cancel),
        }
    })
}

/// Prints the inventory as it is.
fn scan(args: &Args, settings: &Settings, cancel: &Cancel) -> anyhow::Result<()> {
    let (about, inventory) = vsphere::retry(&settings.endpoint, cancel, || {
        let mut session = Session::open(&settings.endpoint, &settings.credentials, cancel)?;
        let inventory = vsphere::scan(&mut session)?;
        let about = session.about().clone();
        // All is read: a reader that takes its time must not keep the session open.
        if let Err(error) = session.close() {
            log::warn!("logging out, the session stays open until it expires: {error}");
        }
        Ok((about, inventory))
    })?;
    Printer::new(args, settings).tell(&about, inventory, Occasion::News)?;
    Ok(())
}

/// Prints the inventory whenever it has changed, until a signal comes or the reader goes away.
fn watch(args: &Args, settings: &Settings, cancel: &Cancel) -> anyhow::Result<()> {
    cli::cancel_without_reader(cancel)?;
    let nudge = Nudge::default();
    let asked = nudge.clone();
    cli::on_user_signal(move || asked.ask())?;
    let mut printer = Printer::new(args, settings);
    let Settings {
        endpoint,
        credentials,
        ..
    } = settings;
    let tell = |about: &About, inventory: Inventory, occasion| printer.tell(about, inventory, occasion);
    match vsphere::watch(endpoint, credentials, args.watching.pace(), &nudge, cancel, tell)? {}
}

/// Prints documents, and knows which was the last.
struct Printer<'a> {
    args: &'a Args,
    settings: &'a Settings,
    last: Option<u64>,
}

impl<'a> Printer<'a> {
    fn new(args: &'a Args, settings: &'a Settings) -> Self {
        Printer {
            args,
            settings,
            last: None,
        }
    }

    /// Prints the document of this inventory; news only if they make another document.
    fn tell(&mut self, about: &About, inventory: Inventory, occasion: Occasion) -> anyhow::Result<bool> {
        let identified = inventory.identify(self.settings.hypervisor_id);
        let mut digest = Digest::default();
        if self.args.watching.watch {
            self.write(&mut digest, &identified, None)?;
        }
        let is_other = self.last.replace(digest.0.finish()) != Some(digest.0.finish());
        if occasion == Occasion::News && !is_other {
            return Ok(false);
        }
        if is_other {
            for note in identified.notes() {
                log::warn!("{note}");
            }
            warn_of_shared_ids(&identified);
            let writer = cli::mapping::writer(io::sink(), &self.args.output);
            warn_of_omitted(identified.omitted(), writer.tells_omitted());
        }
        let source = Source {
            instance_uuid: about.instance_uuid.clone(),
            ..self.settings.source.clone()
        };
        self.write(cli::stdout(), &identified, Some(source))?;
        Ok(true)
    }

    fn write(&self, out: impl Write, identified: &Identified, source: Option<Source>) -> anyhow::Result<()> {
        let mut writer = cli::mapping::writer(out, &self.args.output);
        for hypervisor in identified.hypervisors() {
            writer.hypervisor(&hypervisor)?;
        }
        let tail = Tail {
            source,
            omitted: identified.omitted().to_vec(),
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

/// What options and section say together.
struct Settings {
    endpoint: Endpoint,
    credentials: Credentials,
    hypervisor_id: HypervisorId,
    source: Source,
}

impl Settings {
    fn new(args: &Args, cancel: &Cancel) -> anyhow::Result<Self> {
        let complete = args.server.is_some() && args.account.username.is_some();
        let key_file = args.account.key_file.as_deref();
        let fits = |section: &config::Section| Ok(section.source_type()? == "esx");
        let section = args.section.find(key_file, complete, fits)?;
        let base = args::base(args.server.as_deref(), &section, "server", 443, "/sdk")?;
        let mut endpoint = Endpoint::new(base);
        args.connection.apply(&mut endpoint);
        let username = match &args.account.username {
            Some(username) => username.clone(),
            None => section.need("username", "--username")?,
        };
        let sources = password::Sources {
            file: args.account.password_file.as_deref(),
            section: &section,
            key: "password",
            variable: "VIRTWHO_ESX_PASSWORD",
            named: args.section.name.is_some(),
            whose: &format!("{username} at {}", endpoint.base.host),
        };
        let password = password::find(&sources, cancel)?;
        let hypervisor_id = match (args.hypervisor_id, section.text("hypervisor_id")?) {
            (Some(id), _) => id,
            (None, Some(text)) => text
                .parse()
                .map_err(|_| section.wrong_value("hypervisor_id", "is not uuid, hostname or hwuuid"))?,
            (None, None) => HypervisorId::default(),
        };
        let source = Source {
            section: section.name().map(str::to_owned),
            kind: Some("esx".into()),
            server: Some(endpoint.base.host.clone()),
            ..Source::default()
        };
        let credentials = Credentials { username, password };
        Ok(Settings {
            endpoint,
            credentials,
            hypervisor_id,
            source,
        })
    }
}

/// Says what will be hard to tell apart in the mapping.
fn warn_of_shared_ids(identified: &Identified) {
    for (id, hosts) in identified.shared_ids() {
        log::warn!("{} hosts have the id {id}: {}", hosts.len(), hosts.join(", "));
    }
}

/// Says how much is left out; where the mapping does not name it, each by itself.
fn warn_of_omitted(omitted: &[Omitted], named: bool) {
    if !named {
        for Omitted { kind, id, reason, .. } in omitted {
            log::info!(
                "{kind} {} is left out: {reason}",
                id.as_deref().unwrap_or_default()
            );
        }
    } else if !omitted.is_empty() {
        log::warn!(
            "{} hosts and guests are left out: see \"omitted\" in the mapping",
            omitted.len()
        );
    }
}
