//! `vw-scan-esx`: from a vCenter or an ESX host to a mapping.

mod settings;

use std::borrow::Borrow;
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;

use self::settings::Settings;
use super::Scan;
use super::document::Found;
use super::options::ScanOptions;
use super::settings::ScanSettings;
use crate::cancel::Cancel;
use crate::cli::{self, progress::Progress};
use crate::commands::server::{self, ServerOptions};
use crate::commands::vsphere::advice;
use crate::mapping::{Hypervisor, LeftOut, SharedId};
use crate::pace::{Occasion, Pace};
use crate::systems::vsphere::{self, About, Identified, Inventory, Nudge, Session, Watched};

/// Print which virtual machine runs on which host of a vCenter or an ESX host
#[derive(Debug, clap::Parser)]
#[command(
    name = Settings::COMMAND,
    version,
    after_help = "Examples:\n  \
        vw-scan-esx -n prod | vw-filter -n prod | vw-report-candlepin -n prod\n  \
        vw-scan-esx --server vc.example.com -u virtwho --password-file <(pass show vc)",
    mut_arg("server", |arg| arg.help(server::WITH_URIS))
)]
struct Args {
    #[command(flatten)]
    scan: ScanOptions,
    #[command(flatten)]
    server: ServerOptions,
    /// Scan what --trace saved in DIR, without a server
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "server", "username", "password_file", "key_file", "config", "name", "watch",
        "cacert", "thumbprint", "insecure", "proxy", "proxy_password_file", "timeout", "trace",
    ])]
    replay: Option<PathBuf>,
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    super::main(
        |args: &Args| &args.scan,
        |args, cancel| Settings::new(&args.server, args.replay.as_deref(), &args.scan, cancel),
    )
}

impl Scan for Settings {
    const COMMAND: &'static str = "vw-scan-esx";
    type Found = Scanned;

    fn settings(&self) -> &ScanSettings {
        &self.scan
    }

    fn advice(error: &cli::Error) -> Option<String> {
        advice(error)
    }

    fn check(&self, cancel: &Cancel) -> cli::Result<String> {
        let (about, ()) = self.in_session(cancel, |_| Ok(()))?;
        Ok(format!("{}, API {}", about.full_name, about.api_version))
    }

    fn read(&self, cancel: &Cancel) -> cli::Result<Scanned> {
        let (about, inventory) = self.in_session(cancel, |session| {
            let progress = Progress::counting(Settings::COMMAND, "objects read");
            vsphere::scan(session, self.scan.guest_names, || progress.one())
        })?;
        Ok(self.identify(&about, inventory))
    }

    fn watch(
        &self,
        pace: Pace,
        cancel: &Cancel,
        mut print: impl FnMut(Scanned, Occasion) -> cli::Result<bool>,
    ) -> cli::Result<Infallible> {
        let nudge = Nudge::default();
        let asked = nudge.clone();
        cli::on_user_signal(move || asked.ask())?;
        let watched = Watched {
            endpoint: &self.endpoint,
            credentials: &self.credentials,
            guest_names: self.scan.guest_names,
            patience: self.patience,
            pace,
        };
        vsphere::watch(watched, &nudge, cancel, |about, inventory, occasion| {
            print(self.identify(about, inventory), occasion)
        })
    }
}

impl Settings {
    /// Logs in, works and logs out; retries temporary failures.
    fn in_session<T>(
        &self,
        cancel: &Cancel,
        mut work: impl FnMut(&mut Session) -> Result<T, vsphere::Error>,
    ) -> cli::Result<(About, T)> {
        let done = vsphere::retry(&self.endpoint, self.patience, cancel, || {
            let mut session = Session::open(&self.endpoint, &self.credentials, cancel)?;
            let result = work(&mut session)?;
            let about = session.about().clone();
            // A slow reader of stdout must not keep the session open.
            session.close();
            Ok((about, result))
        });
        Ok(done?)
    }

    fn identify(&self, about: &About, inventory: Inventory) -> Scanned {
        Scanned {
            instance_uuid: about.instance_uuid.clone(),
            identified: inventory.identify(self.scan.hypervisor_id),
        }
    }
}

/// An inventory with the id of its server.
struct Scanned {
    instance_uuid: Option<String>,
    identified: Identified,
}

impl Found for Scanned {
    fn hypervisors(&self) -> impl Iterator<Item: Borrow<Hypervisor>> {
        self.identified.hypervisors()
    }

    fn left_out(&self) -> &[LeftOut] {
        self.identified.left_out()
    }

    fn notes(&self) -> &[String] {
        self.identified.notes()
    }

    fn shared_ids(&self) -> Vec<SharedId> {
        self.identified.shared_ids()
    }

    fn clones(&self) -> Vec<SharedId> {
        self.identified.clones()
    }

    fn instance_uuid(&self) -> Option<&str> {
        self.instance_uuid.as_deref()
    }
}
