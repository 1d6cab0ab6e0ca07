//! The start of each command.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::cost::{floor, run, vw};
use crate::table::Table;

/// Measures `--version`: loading, the definitions of the options, and a line.
pub(crate) fn measure(table: &Table) -> Result<()> {
    let mut names = Vec::new();
    for source in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin"))? {
        let name = source?.path().with_extension("");
        names.extend(name.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    let mut nothing = floor("nothing", [""; 0])?;
    for name in names {
        table.row(
            &format!("start of {name}"),
            (0, 0),
            || run(vw(&name).arg("--version"), None, 0),
            || run(&mut nothing, None, 0),
        )?;
    }
    Ok(())
}
