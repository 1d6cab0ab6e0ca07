//! `vw-scan-esx`: from a vCenter or an ESX host to a mapping.

use std::process::ExitCode;

use vw::cancel::Cancel;
use vw::cli::progress::Progress;
use vw::cli::{self, args, password};
use vw::config;
use vw::http::Endpoint;
use vw::mapping::{Omitted, Source, Tail};
use vw::vsphere::{self, Credentials, HypervisorId, Identified, Session};

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
    section: args::Section,
    #[command(flatten)]
    connection: args::Connection,
    #[command(flatten)]
    output: args::Output,
}

fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let settings = Settings::new(&args, &cancel)?;
        let mut session = Session::open(&settings.endpoint, &settings.credentials, &cancel)?;
        let progress = Progress::counting("vw-scan-esx", "objects read");
        let inventory = vsphere::scan(&mut session, || progress.one())?;
        drop(progress);
        let instance_uuid = session.about().instance_uuid.clone();
        // All is read: a reader that takes its time must not keep the session open.
        if let Err(error) = session.close() {
            log::warn!("logging out, the session stays open until it expires: {error}");
        }
        let identified = inventory.identify(settings.hypervisor_id);
        let mut writer = cli::mapping::writer(cli::stdout(), &args.output);
        warn_of_shared_ids(&identified);
        warn_of_omitted(identified.omitted(), writer.tells_omitted());
        for hypervisor in identified.hypervisors() {
            writer.hypervisor(&hypervisor)?;
        }
        let tail = Tail {
            source: Some(Source {
                instance_uuid,
                ..settings.source
            }),
            omitted: identified.omitted().to_vec(),
            ..Tail::default()
        };
        Ok(writer.finish(&tail)?)
    })
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
