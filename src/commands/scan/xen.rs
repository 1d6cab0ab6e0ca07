//! `vw-scan-xen`: from a pool of XenServer or XCP-ng hosts to a mapping.

use std::process::ExitCode;

use super::Scan;
use super::http::HttpScan;
use super::options::{ScanOptions, ids_of};
use super::settings::ScanSettings;
use super::watch::Bell;
use crate::cancel::Cancel;
use crate::cli::{self, progress::Progress};
use crate::commands::kind::XEN;
use crate::commands::server::ServerOptions;
use crate::mapping::Inventory;
use crate::systems::xen::{self, Credentials, Refusal};

/// Print which virtual machine runs on which host of XenServer or XCP-ng
#[derive(Debug, clap::Parser)]
#[command(
    name = XenScan::COMMAND,
    version,
    after_help = "Examples:\n  \
        vw-scan-xen -n lab | vw-filter -n lab | vw-report-candlepin -n lab\n  \
        vw-scan-xen --server xen1.example.com -u root --password-file <(pass show xen)",
    mut_arg("hypervisor_id", |arg| ids_of(&XEN, arg))
)]
struct Args {
    #[command(flatten)]
    scan: ScanOptions,
    #[command(flatten)]
    server: ServerOptions,
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    super::main(|args: &Args| &args.scan, XenScan::new)
}

/// A scan of the pool that a host belongs to.
struct XenScan {
    http: HttpScan,
    credentials: Credentials,
}

impl XenScan {
    fn new(args: &Args, cancel: &Cancel) -> cli::Result<Self> {
        let http = HttpScan::new(&XEN, &args.server, &args.scan, cancel)?;
        let credentials = Credentials {
            username: http.login.username.clone(),
            password: http.login.password.clone(),
        };
        Ok(XenScan { http, credentials })
    }
}

impl Scan for XenScan {
    const COMMAND: &'static str = "vw-scan-xen";
    type Found = Inventory;

    fn settings(&self) -> &ScanSettings {
        &self.http.settings
    }

    fn advice(error: &cli::Error) -> Option<String> {
        let error = error.downcast_ref::<xen::Error>()?;
        let advice = match error.refusal().map(|refusal| refusal.code.as_str()) {
            Some(Refusal::AUTHENTICATION_FAILED) => "repeated failures may lock the account",
            Some(Refusal::PERMISSION_DENIED) => "the account needs a role in the pool, such as Read Only",
            Some(_) => return None,
            None if error.is_about_another_service() => "is this the address of a XenServer or XCP-ng host?",
            None => return None,
        };
        Some(advice.to_owned())
    }

    fn check(&self, cancel: &Cancel) -> cli::Result<String> {
        let check = |endpoint: &_| xen::check(endpoint, &self.credentials, cancel);
        Ok(self.http.attempt(cancel, check)?)
    }

    fn read(&self, cancel: &Cancel) -> cli::Result<Inventory> {
        let id = self.http.settings.hypervisor_id;
        let inventory = self.http.attempt(cancel, |endpoint| {
            let progress = Progress::counting(XenScan::COMMAND, "records read");
            xen::scan(endpoint, &self.credentials, id, cancel, || progress.one())
        });
        Ok(inventory?)
    }

    fn listen(&self, bell: &Bell, cancel: &Cancel) -> cli::Result<()> {
        match xen::listen(&self.http.endpoint, &self.credentials, cancel, || bell.ring())? {}
    }
}
