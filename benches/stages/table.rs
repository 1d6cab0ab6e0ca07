//! The table that is printed.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Result;
use crate::cost::{Compared, Cost, compare};

/// Prints a row for each comparison.
pub(crate) struct Table {
    /// How often each stage is run.
    pub(crate) runs: usize,
    scratch: TempDir,
}

impl Table {
    /// Prints the header.
    pub(crate) fn begin(runs: usize) -> Result<Self> {
        writeln!(
            io::stdout(),
            "| stage | VMs | MB | CPU | floor | ratio | memory | floor | wall | floor |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
        )?;
        let scratch = tempfile::tempdir()?;
        Ok(Table { runs, scratch })
    }

    /// A new folder that is removed at the very end: for some seconds after many files were removed, ext4 needs ten times as long
    /// to make new ones.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        Ok(tempfile::tempdir_in(&self.scratch)?.keep())
    }

    /// Measures a stage that reads this number of bytes about so many virtual machines, and its floor.
    pub(crate) fn row(
        &self,
        name: &str,
        (vms, bytes): (usize, u64),
        stage: impl FnMut() -> Result<Cost>,
        floor: impl FnMut() -> Result<Cost>,
    ) -> Result<()> {
        let Compared { stage, floor, ratio } = compare(self.runs, stage, floor)?;
        let cpu = |cost: Cost| cost.cpu.as_secs_f64() * 1e3;
        let memory = |cost: Cost| cost.memory as f64 / f64::from(1 << 20);
        let wall = |cost: Cost| cost.wall.as_secs_f64();
        let mut out = io::stdout();
        let size = match (vms, bytes) {
            (0, _) => " | ".to_owned(),
            (_, 0) => format!("{vms} | "),
            _ => format!("{vms} | {:.1}", bytes as f64 / 1e6),
        };
        writeln!(
            out,
            "| {name} | {size} | {:.1} ms | {:.1} ms | {ratio:.2} | {:.1} MiB | {:.1} MiB | {:.2} s | {:.2} s |",
            cpu(stage),
            cpu(floor),
            memory(stage),
            memory(floor),
            wall(stage),
            wall(floor),
        )?;
        Ok(out.flush()?)
    }
}

/// The size of files in bytes.
pub(crate) fn size(files: &[&Path]) -> Result<u64> {
    let sizes = files.iter().map(|file| Ok(fs::metadata(file)?.len()));
    sizes.sum()
}
