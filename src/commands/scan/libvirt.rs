//! `vw-scan-libvirt`: from libvirt to a mapping.

mod advice;
mod settings;

use std::process::ExitCode;
use std::time::Instant;

use self::settings::Settings;
pub(crate) use self::settings::server_of;
use super::Scan;
use super::options::{ScanOptions, ids_of};
use super::settings::ScanSettings;
use super::watch::Bell;
use crate::cancel::Cancel;
use crate::cli::{self, args};
use crate::commands::kind::LIBVIRT;
use crate::commands::server;
use crate::mapping::Inventory;
use crate::retry::retry;
use crate::systems::libvirt::{self, Limits};

/// Print the virtual machines of a host with libvirt, or of this machine
#[derive(Debug, clap::Parser)]
#[command(
    name = Settings::COMMAND,
    version,
    after_help = "Examples:\n  \
        vw-scan-libvirt -n kvm1 | vw-filter -n kvm1 | vw-report-candlepin -n kvm1\n  \
        vw-scan-libvirt --server qemu+ssh://root@kvm1/system\n  \
        vw-scan-libvirt | vw-filter | vw-report-candlepin --local   # this machine's guests",
    mut_arg("hypervisor_id", |arg| ids_of(&LIBVIRT, arg)),
    mut_arg("guest_names", |arg| arg.help("Also write each guest's name")),
    mut_arg("check", |arg| arg.help("Connect, and print the host's name and the hypervisor's version")),
    mut_arg("username", |arg| arg.help("Connect as USER")),
    mut_arg("password_file", |arg| arg.help("Read the password for SASL from FILE, which may be a pipe"))
)]
struct Args {
    #[command(flatten)]
    scan: ScanOptions,
    #[command(flatten)]
    server: ServerOptions,
}

/// Which libvirt is asked, as whom, and for how long.
#[derive(Debug, Default, clap::Args)]
struct ServerOptions {
    /// Use SERVER: a host with ssh, or a libvirt URI [default: this machine's guests only]
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    #[command(flatten)]
    account: args::Credentials,
    #[command(flatten)]
    limit: args::TimeLimit,
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    super::main(
        |args: &Args| &args.scan,
        |args, cancel| Settings::new(&args.server, &args.scan, cancel),
    )
}

impl Scan for Settings {
    const COMMAND: &'static str = "vw-scan-libvirt";
    type Found = Inventory;

    fn settings(&self) -> &ScanSettings {
        &self.scan
    }

    fn advice(error: &cli::Error) -> Option<String> {
        advice::of(error).map(str::to_owned)
    }

    fn check(&self, cancel: &Cancel) -> cli::Result<String> {
        self.attempt(cancel, |limits| libvirt::check(&self.connection, limits))
    }

    fn read(&self, cancel: &Cancel) -> cli::Result<Inventory> {
        let id = self.scan.hypervisor_id;
        self.attempt(cancel, |limits| libvirt::scan(&self.connection, id, limits))
    }

    fn listen(&self, bell: &Bell, cancel: &Cancel) -> cli::Result<()> {
        let bell = bell.clone();
        Err(libvirt::follow(&self.connection, cancel, move |_| bell.ring()).into())
    }
}

impl Settings {
    /// Does the work, and repeats it after temporary failures, within the time limit.
    fn attempt<T>(
        &self,
        cancel: &Cancel,
        mut work: impl FnMut(Limits<'_>) -> Result<T, libvirt::Error>,
    ) -> cli::Result<T> {
        let (deadline, patience) = server::limits(self.time, Instant::now());
        let limits = Limits { deadline, cancel };
        Ok(retry(deadline, patience, cancel, || work(limits))?)
    }
}
