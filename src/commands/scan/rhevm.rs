//! `vw-scan-rhevm`: from oVirt or Red Hat Virtualization to a mapping.

use std::process::ExitCode;

use super::Scan;
use super::http::HttpScan;
use super::options::ScanOptions;
use super::settings::ScanSettings;
use crate::cancel::Cancel;
use crate::cli::{self, progress::Progress};
use crate::commands::kind::RHEVM;
use crate::commands::server::ServerOptions;
use crate::http::Endpoint;
use crate::mapping::Inventory;
use crate::systems::rhevm::{self, Error, Source};

/// Print which virtual machine runs on which host of oVirt or Red Hat Virtualization
#[derive(Debug, clap::Parser)]
#[command(
    name = RhevmScan::COMMAND,
    version,
    after_help = "Examples:\n  \
        vw-scan-rhevm -n rhv | vw-filter -n rhv | vw-report-candlepin -n rhv\n  \
        vw-scan-rhevm --server rhvm.example.com -u virtwho@internal --check"
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
    super::main(|args: &Args| &args.scan, RhevmScan::new)
}

struct RhevmScan(HttpScan);

impl Scan for RhevmScan {
    const COMMAND: &'static str = "vw-scan-rhevm";
    type Found = Inventory;

    fn settings(&self) -> &ScanSettings {
        &self.0.settings
    }

    fn advice(error: &cli::Error) -> Option<String> {
        error.downcast_ref().and_then(advice).map(str::to_owned)
    }

    fn check(&self, cancel: &Cancel) -> cli::Result<String> {
        Ok(self
            .0
            .attempt(cancel, |endpoint| rhevm::check(self.source(endpoint), cancel))?)
    }

    fn read(&self, cancel: &Cancel) -> cli::Result<Inventory> {
        let id = self.0.settings.hypervisor_id;
        let found = self.0.attempt(cancel, |endpoint| {
            let progress = Progress::counting(RhevmScan::COMMAND, "objects read");
            rhevm::scan(self.source(endpoint), id, cancel, || progress.one())
        });
        Ok(found?)
    }
}

impl RhevmScan {
    fn new(args: &Args, cancel: &Cancel) -> cli::Result<Self> {
        Ok(RhevmScan(HttpScan::new(
            &RHEVM,
            &args.server,
            &args.scan,
            cancel,
        )?))
    }

    fn source<'s>(&'s self, endpoint: &'s Endpoint) -> Source<'s> {
        Source {
            endpoint,
            user: &self.0.login.username,
            password: &self.0.login.password,
        }
    }
}

/// What the user can do about an error of an engine.
fn advice(error: &Error) -> Option<&'static str> {
    match error {
        Error::GaveUp { last, .. } => advice(last),
        Error::Login { .. } => Some(
            "the user name needs its profile, as in admin@internal; repeated failures may lock the account",
        ),
        _ if error.is_about_another_service() => Some("is this the address of an oVirt engine of version 4?"),
        _ if error.is_about_rights() => {
            Some("give the account a role for the whole system, such as ReadOnlyAdmin")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[test]
    fn advice_follows_the_cause() {
        let status = |status| http::Error::Status {
            server: "rhvm:443".to_owned(),
            status,
            message: String::new(),
            retry_after: None,
        };
        let request = |code| Error::Request {
            what: "the hosts",
            source: status(code).into(),
        };
        let login = Error::Login {
            server: "rhvm:443".to_owned(),
            user: "admin".to_owned(),
            source: status(401).into(),
        };
        assert!(advice(&login).unwrap().contains("admin@internal"));
        assert!(advice(&request(404)).unwrap().contains("version 4"));
        assert!(advice(&request(403)).unwrap().contains("ReadOnlyAdmin"));
        assert_eq!(advice(&request(500)), None);
    }
}
