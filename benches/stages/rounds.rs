//! Rounds of vw-run over sections of 1,000 virtual machines, with all the stages that it starts.

use std::process::{Command, Stdio};

use crate::Result;
use crate::cost::{commands, run};
use crate::serve::Servers;
use crate::table::Table;

/// The virtual machines of each section.
const VMS: usize = 1_000;

/// The pipelines that vw-run starts, one after the other.
const PIPELINES: &str = "for name; do
    vw-scan-esx -n $name | vw-filter -n $name | vw-report-candlepin -n $name --quiet || exit
done";

/// Measures rounds. Nothing is known from an earlier one, so everything is sent.
pub(crate) fn measure(table: &Table, vms: usize) -> Result<()> {
    let sections = vms.div_ceil(VMS);
    let servers = Servers::simulators(sections, vms / sections, false)?;
    let path = format!("{}:/usr/bin:/bin", commands().display());
    let names: Vec<_> = (0..sections).map(|number| format!("vc{number}")).collect();
    table.row(
        &format!("run, {sections} section{}", if sections == 1 { "" } else { "s" }),
        (vms, 0),
        || {
            let state = table.folder()?;
            let mut round = servers.command("vw-run");
            round.args(["--one-shot", "--quiet", "--state-dir"]).arg(state);
            round.args(names.iter().flat_map(|name| ["-n", name]));
            run(&mut round, None, 0)
        },
        || {
            let mut shell = servers.known_to(Command::new("sh"));
            shell.args(["-c", PIPELINES, "sh"]).args(&names);
            shell.env("PATH", &path).stdout(Stdio::null());
            run(&mut shell, None, 0)
        },
    )
}
