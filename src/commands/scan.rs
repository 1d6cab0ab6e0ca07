//! Scans: from an inventory to a mapping on stdout.
//!
//! A new scan has a file here, with its options, its settings and its `Scan`, and a room in [`crate::systems`] that reads the
//! inventory. `run` does the rest. The other files are what the scans share:
//!
//! - `options`: the options of every scan; `settings`: what its keys and the options mean together
//! - `document`: printing an inventory; `omitted` and `shared_ids`: the messages about it
//! - `record`: what the folder of a trace says about the scan

pub mod candlepin;
mod document;
pub mod esx;
pub mod fake;
mod omitted;
mod options;
mod record;
mod settings;
mod shared_ids;

use std::convert::Infallible;

use self::document::{Found, Printer};
use self::options::ScanOptions;
pub(super) use self::settings::hypervisor_id;
use crate::cancel::Cancel;
use crate::cli;
use crate::commands::vsphere;
use crate::mapping::Source;
use crate::pace::{Occasion, Pace};

/// A scan whose options have become settings.
trait Scan {
    /// The command's name, such as `vw-scan-esx`.
    const COMMAND: &'static str;
    /// What it finds.
    type Found: Found;

    /// Where the inventory comes from, as far as it is known before the scan.
    fn source(&self) -> &Source;

    /// Logs in and out, and returns what the server says about itself, in one line (`--check`).
    fn check(&self, cancel: &Cancel) -> cli::Result<String>;

    /// Reads the inventory once.
    fn read(&self, cancel: &Cancel) -> cli::Result<Self::Found>;

    /// Reads the inventory and follows its changes until a signal comes (`--watch`).
    ///
    /// `print` returns whether it printed anything: it does not print news that make the same document.
    fn watch(
        &self,
        pace: Pace,
        cancel: &Cancel,
        print: impl FnMut(Self::Found, Occasion) -> cli::Result<bool>,
    ) -> cli::Result<Infallible>;
}

/// Does what the options ask for: a check, one document, or a document after each change.
fn run<S: Scan>(scan: &S, options: &ScanOptions, cancel: &Cancel) -> cli::Result<()> {
    let section = scan.source().section.as_deref();
    let explain = |error| vsphere::explain(error, section);
    if options.check {
        let answer = scan.check(cancel).map_err(explain)?;
        let _at_once = cli::end_at_once(cancel);
        return Ok(cli::print(&format!("{}\n", crate::text::line(&answer)))?);
    }
    let mut printer = Printer::new(S::COMMAND, scan.source(), options, cancel);
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
