//! Scans: from an inventory to a mapping on stdout.
//!
//! A new scan has a file here, with its options, its settings and its `Scan`, and a room in [`crate::systems`] that reads the
//! inventory. `run` does the rest. The other files are what the scans share:
//!
//! - `options`: the options of every scan; `settings`: what its keys and the options mean together
//! - `http`: a scan of one server over HTTP
//! - `document`: printing an inventory; `omitted` and `shared_ids`: the messages about it; `fingerprint`: whether it has changed
//! - `watch`: scanning again and again
//! - `record`: what the folder of a trace says about the scan

pub mod ahv;
pub mod candlepin;
mod document;
pub mod esx;
pub mod fake;
mod fingerprint;
mod http;
pub mod kubevirt;
pub mod libvirt;
mod omitted;
mod options;
mod record;
pub mod rhevm;
mod settings;
mod shared_ids;
mod watch;
pub mod xen;

use std::convert::Infallible;
use std::process::ExitCode;

use self::document::{Found, Printer};
pub(super) use self::options::ALL_IDS;
use self::options::ScanOptions;
use self::settings::ScanSettings;
pub(super) use self::settings::hypervisor_id;
use self::watch::Bell;
use crate::cancel::Cancel;
use crate::cli;
use crate::commands::advice::explained;
use crate::pace::{Occasion, Pace};

/// A scan whose options have become settings.
trait Scan: Sync + Sized {
    /// The command's name, such as `vw-scan-esx`.
    const COMMAND: &'static str;
    /// What it finds.
    type Found: Found;

    /// What is in force: among other things, where the inventory comes from.
    fn settings(&self) -> &ScanSettings;

    /// What the user can do about an error, besides what is the same for all sources.
    fn advice(_: &cli::Error) -> Option<String> {
        None
    }

    /// Logs in and out, and returns what the server says about itself, in one line (`--check`).
    fn check(&self, cancel: &Cancel) -> cli::Result<String>;

    /// Reads the inventory once.
    fn read(&self, cancel: &Cancel) -> cli::Result<Self::Found>;

    /// Listens to the source's events, until it fails or `cancel` is set: it rings the bell once it listens, because a change before
    /// that may have been missed, and then at each event.
    ///
    /// A source without events returns at once, so that only the interval decides when it is scanned.
    fn listen(&self, _: &Bell, _: &Cancel) -> cli::Result<()> {
        Ok(())
    }

    /// Reads the inventory and follows its changes until a signal comes (`--watch`).
    ///
    /// `print` returns whether it printed anything: it does not print news that make the same document.
    fn watch(
        &self,
        pace: Pace,
        cancel: &Cancel,
        print: impl FnMut(Self::Found, Occasion) -> cli::Result<bool>,
    ) -> cli::Result<Infallible> {
        watch::by_scans(self, pace, cancel, print)
    }
}

/// The command of a scan: finds its settings, and does what its options ask for.
fn main<A: clap::Parser, S: Scan>(
    options: impl FnOnce(&A) -> &ScanOptions,
    settings: impl FnOnce(&A, &Cancel) -> cli::Result<S>,
) -> ExitCode {
    cli::main(|args: A| {
        let options = options(&args);
        options.watching.validate()?;
        let cancel = cli::cancel_on_signals()?;
        run(&settings(&args, &cancel)?, options, &cancel)
    })
}

/// Does what the options ask for: a check, one document, or a document after each change.
fn run<S: Scan>(scan: &S, options: &ScanOptions, cancel: &Cancel) -> cli::Result<()> {
    let explain = |error| explain(scan, error);
    if options.check {
        let answer = scan.check(cancel).map_err(explain)?;
        let _at_once = cli::end_at_once(cancel);
        return Ok(cli::print(&format!("{}\n", crate::text::line(&answer)))?);
    }
    let mut printer = Printer::new(S::COMMAND, scan.settings(), options, cancel);
    if options.watching.watch {
        cli::cancel_without_reader(cancel)?;
        let print = |found, occasion| printer.print(&found, occasion);
        match scan
            .watch(options.watching.pace(), cancel, print)
            .map_err(explain)? {}
    }
    let found = scan.read(cancel).map_err(explain)?;
    printer.print(&found, Occasion::News)?;
    Ok(())
}

/// Adds advice to an error, and the section.
fn explain<S: Scan>(scan: &S, error: cli::Error) -> cli::Error {
    let advice = S::advice(&error);
    explained(error, advice, scan.settings().source.section.as_deref())
}
