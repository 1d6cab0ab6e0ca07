//! A watch of a vCenter: what 1,000 changes cost.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use crate::Result;
use crate::cost::{Cost, floor, run, so_far};
use crate::recorder::Recorder;
use crate::serve::Servers;
use crate::table::{Table, size};

/// How many virtual machines change at once.
const CHANGES: usize = 1_000;

/// Measures the time from a burst of changes to the document after it.
pub(crate) fn measure(table: &Table, vms: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (answers, document) = (folder.path().join("answers"), folder.path().join("document"));
    let mut servers = Servers::simulators(1, vms, false)?;
    let scan = |server: &str| {
        let mut scan = servers.command("vw-scan-esx");
        scan.args([
            "-n", "vc0", "--watch", "--settle", "1", "--repeat", "0", "--server", server,
        ]);
        scan
    };
    let recorder = Recorder::start(servers.url("vcenter")?)?;
    let (recorded, measured) = (scan(&recorder.url()), scan(servers.url("vcenter")?));
    let mut watch = Watch::start(recorded)?;
    recorder.forget()?;
    servers.change(CHANGES)?;
    watch.document(&document)?;
    drop(watch);
    recorder.bodies(&answers)?;

    let replay = Servers::replay(&answers, false)?;
    let mut events = floor("events", [replay.url("page")?])?;
    events.arg(replay.authority()).arg(&document);
    let mut watch = Watch::start(measured)?;
    table.row(
        "watch, 1,000 changes",
        (vms, size(&[&answers])?),
        || {
            let (since, before) = (Instant::now(), watch.cost(Instant::now())?);
            servers.change(CHANGES)?;
            watch.document(Path::new("/dev/null"))?;
            let after = watch.cost(since)?;
            Ok(Cost {
                cpu: after.cpu - before.cpu,
                ..after
            })
        },
        || run(&mut events, None, 0),
    )
}

/// A running watch.
struct Watch {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Watch {
    /// Starts a watch, and waits for its first document.
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut watch = Watch { child, output };
        watch.document(Path::new("/dev/null"))?;
        Ok(watch)
    }

    /// Waits for the next document, and writes it into a file.
    fn document(&mut self, into: &Path) -> Result<()> {
        let mut into = File::create(into)?;
        loop {
            let piece = self.output.fill_buf()?;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(piece.len(), |end| end + 1);
            if length == 0 {
                return Err("the watch has ended".into());
            }
            into.write_all(&piece[..length])?;
            self.output.consume(length);
            if end.is_some() {
                return Ok(());
            }
        }
    }

    fn cost(&self, since: Instant) -> Result<Cost> {
        so_far(self.child.id(), since)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
