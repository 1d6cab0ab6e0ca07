//! `vw-scan-ahv`: from a Nutanix Prism to a mapping.

use std::process::ExitCode;

use super::Scan;
use super::http::HttpScan;
use super::options::{ScanOptions, ids_of};
use super::settings::ScanSettings;
use crate::cancel::Cancel;
use crate::cli::words::counted;
use crate::cli::{self, progress::Progress};
use crate::commands::kind::AHV;
use crate::commands::server::ServerOptions;
use crate::http::Endpoint;
use crate::mapping::Inventory;
use crate::systems::ahv::{self, About, Api, Error, Prism};

/// Print which virtual machine runs on which Nutanix AHV host
#[derive(Debug, clap::Parser)]
#[command(
    name = Settings::COMMAND,
    version,
    after_help = "Examples:\n  \
        vw-scan-ahv -n lab | vw-filter -n lab | vw-report-candlepin -n lab\n  \
        vw-scan-ahv --server prism.example.com --prism-central -u virtwho",
    mut_arg("hypervisor_id", |arg| ids_of(&AHV, arg)),
    mut_arg("guest_names", |arg| arg.help("Also write each guest's name")),
    mut_arg("check", |arg| arg.help("Print what the server is, and how much the account may read"))
)]
struct Args {
    #[command(flatten)]
    scan: ScanOptions,
    #[command(flatten)]
    server: ServerOptions,
    /// The server is a Prism Central, not a Prism Element
    #[arg(long)]
    prism_central: bool,
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    super::main(|args: &Args| &args.scan, Settings::new)
}

/// A scan of one Prism.
struct Settings {
    http: HttpScan,
    api: Api,
}

impl Settings {
    /// The scan that the options and the section ask for.
    fn new(args: &Args, cancel: &Cancel) -> cli::Result<Self> {
        let mut http = HttpScan::new(&AHV, &args.server, &args.scan, cancel)?;
        let is_central =
            args.prism_central || http.settings.section.flag("prism_central")?.unwrap_or_default();
        let api = if is_central { Api::Central } else { Api::Element };
        let path = &mut http.endpoint.base.path;
        if path.is_empty() {
            api.path().clone_into(path);
        }
        Ok(Settings { http, api })
    }

    fn prism<'e>(&'e self, endpoint: &'e Endpoint) -> Prism<'e> {
        Prism {
            endpoint,
            api: self.api,
            username: &self.http.login.username,
            password: &self.http.login.password,
            agent: concat!("vw-scan-ahv/", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl Scan for Settings {
    const COMMAND: &'static str = "vw-scan-ahv";
    type Found = Inventory;

    fn settings(&self) -> &ScanSettings {
        &self.http.settings
    }

    fn advice(error: &cli::Error) -> Option<String> {
        advice(error.downcast_ref()?).map(str::to_owned)
    }

    fn check(&self, cancel: &Cancel) -> cli::Result<String> {
        let about = self
            .http
            .attempt(cancel, |endpoint| ahv::check(&self.prism(endpoint), cancel))?;
        Ok(summary(self.api, &about))
    }

    fn read(&self, cancel: &Cancel) -> cli::Result<Inventory> {
        let id = self.http.settings.hypervisor_id;
        Ok(self.http.attempt(cancel, |endpoint| {
            let progress = Progress::counting(Settings::COMMAND, "entries read");
            ahv::scan(&self.prism(endpoint), id, cancel, || progress.one())
        })?)
    }
}

/// Such as `Prism Element, AOS 6.5.2, cluster lab: 3 hosts, 25 virtual machines`.
fn summary(api: Api, about: &About) -> String {
    let About {
        version,
        clusters,
        hosts,
        machines,
    } = about;
    let version = version.as_deref().unwrap_or("of unknown version");
    let product = match api {
        Api::Element => format!("Prism Element, AOS {version}"),
        Api::Central => format!("Prism Central {version}"),
    };
    let clusters = match clusters.as_slice() {
        [only] => format!("cluster {only}"),
        several => counted(several.len(), "cluster"),
    };
    let (hosts, machines) = (counted(*hosts, "host"), counted(*machines, "virtual machine"));
    format!("{product}, {clusters}: {hosts}, {machines}")
}

/// What the user can do about a failed scan.
fn advice(error: &Error) -> Option<&'static str> {
    match error {
        Error::Login { .. } => Some("repeated failures may lock the account"),
        Error::Forbidden { .. } => Some("give the account the role Viewer"),
        Error::NotFound {
            api: Api::Central, ..
        } => Some("is this a Prism Element? Then leave out prism_central and --prism-central"),
        Error::NotFound {
            api: Api::Element, ..
        } => Some("is this a Prism Central? Then set prism_central=true, or use --prism-central"),
        Error::GaveUp { last, .. } => advice(last),
        _ => None,
    }
}
