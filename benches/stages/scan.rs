//! Scans of a vCenter, over HTTP and HTTPS.

use std::fs::File;

use crate::Result;
use crate::cost::{floor, run};
use crate::recorder::Recorder;
use crate::serve::Servers;
use crate::table::{Table, size};

/// Measures whole scans: login, reading, logout, and the document.
pub(crate) fn measure(table: &Table, vms: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (answers, document) = (folder.path().join("answers"), folder.path().join("document"));
    for tls in [false, true] {
        let servers = Servers::simulators(1, vms, tls)?;
        let scan = || {
            let mut scan = servers.command("vw-scan-esx");
            scan.args(["-n", "vc0"]);
            scan
        };
        if !tls {
            // The answers over TLS are the same, and nobody can record them.
            let recorder = Recorder::start(servers.url("vcenter")?)?;
            let mut recorded = scan();
            recorded.args(["--server", &recorder.url()]);
            run(recorded.stdout(File::create(&document)?), None, 0)?;
            recorder.bodies(&answers)?;
        }
        let replay = Servers::replay(&answers, tls)?;
        let mut events = floor("events", [replay.url("page")?])?;
        events.arg(replay.authority()).arg(&document);
        table.row(
            if tls { "scan, TLS" } else { "scan, plain" },
            (vms, size(&[&answers])?),
            || run(&mut scan(), None, 0),
            || run(&mut events, None, 0),
        )?;
    }
    Ok(())
}
