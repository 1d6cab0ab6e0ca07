//! The stages that only read documents and print something: filter, show and diff.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use crate::cost::{floor, run, vw};
use crate::table::{Table, size};
use crate::{Result, document};

/// A filter by names that keeps all hypervisors.
pub(crate) fn filter(table: &Table, vms: usize) -> Result<()> {
    let files = Files::new(vms)?;
    let mut ids = floor("ids", [""; 0])?;
    table.row(
        "filter",
        (vms, size(&[&files.old])?),
        || {
            run(
                vw("vw-filter").args(["--filter-hosts", "esx*", "--match-names"]),
                Some(&files.old),
                0,
            )
        },
        || run(&mut ids, Some(&files.old), 0),
    )
}

/// The answers of vw-show that list hosts or guests.
pub(crate) fn show(table: &Table, vms: usize) -> Result<()> {
    let files = Files::new(vms)?;
    for (name, arguments) in [
        ("show", &[][..]),
        ("show --summary", &["--summary"]),
        ("show --csv", &["--csv"]),
        ("show --html", &["--html"]),
    ] {
        let show = || {
            let mut show = vw("vw-show");
            show.args(arguments);
            show
        };
        run(show().stdout(File::create(&files.output)?), Some(&files.old), 0)?;
        let mut typed = files.typed(&[&files.old])?;
        table.row(
            name,
            (vms, size(&[&files.old])?),
            || run(&mut show(), Some(&files.old), 0),
            || run(&mut typed, None, 0),
        )?;
    }
    Ok(())
}

/// A comparison: one guest of each host has moved, and every hundredth has another state.
pub(crate) fn diff(table: &Table, vms: usize) -> Result<()> {
    let files = Files::new(vms)?;
    for (name, option) in [("diff --summary", "--summary"), ("diff --json", "--json")] {
        let diff = || {
            let mut diff = vw("vw-diff");
            diff.arg(&files.old).arg(&files.new).arg(option);
            diff
        };
        run(diff().stdout(File::create(&files.output)?), None, 1)?;
        let mut typed = files.typed(&[&files.old, &files.new])?;
        table.row(
            name,
            (vms, size(&[&files.old, &files.new])?),
            || run(&mut diff(), None, 1),
            || run(&mut typed, None, 0),
        )?;
    }
    Ok(())
}

/// A mapping before and after changes, and what a stage printed.
struct Files {
    old: PathBuf,
    new: PathBuf,
    output: PathBuf,
    _folder: tempfile::TempDir,
}

impl Files {
    fn new(vms: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = |name: &str| folder.path().join(name);
        let (old, new, output) = (file("old.json"), file("new.json"), file("output"));
        document::write(&old, vms, false)?;
        document::write(&new, vms, true)?;
        Ok(Files {
            old,
            new,
            output,
            _folder: folder,
        })
    }

    /// The floor that reads these documents and prints the output.
    fn typed(&self, documents: &[&PathBuf]) -> Result<Command> {
        floor("typed", std::iter::once(&&self.output).chain(documents))
    }
}
