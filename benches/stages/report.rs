//! Reports to Candlepin and to Satellite 5.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::cost::{floor, run};
use crate::recorder::Recorder;
use crate::serve::Servers;
use crate::table::{Table, size};
use crate::{Result, document};

/// A check-in of everything, and one of which nothing has changed.
pub(crate) fn candlepin(table: &Table, vms: usize) -> Result<()> {
    let reports = Reports::new("vw-report-candlepin", "vc0", ("candlepin", "/candlepin"), vms)?;
    let document = &reports.documents[0];
    let servers = Servers::simulators(1, 0, false)?;
    let state = table.folder()?;
    let remember = ["--state-dir", state.to_str().ok_or("a path that is not UTF-8")?];
    run(
        &mut reports.command(&servers, None, &remember)?,
        Some(document),
        0,
    )?;
    for (name, options) in [("candlepin", &[][..]), ("candlepin, unchanged", &remember)] {
        let requests = reports.record(&servers, options, document)?;
        let mut send = reports.floor(&servers, 1, &requests, document)?;
        table.row(
            name,
            (vms, size(&[document])?),
            || run(&mut reports.command(&servers, None, options)?, Some(document), 0),
            || run(&mut send, None, 0),
        )?;
    }
    Ok(())
}

/// A first report, which registers all hypervisors, and one in which all have changed.
pub(crate) fn satellite5(table: &Table, vms: usize) -> Result<()> {
    let reports = Reports::new("vw-report-sat5", "sat5", ("satellite5", ""), vms)?;
    let [old, new] = &reports.documents;
    for jobs in [1, 4] {
        let j = jobs.to_string();
        // The floor sends what was recorded to the server that knows the recorded systemids.
        let recorded = Servers::simulators(1, 0, false)?;
        let state = table.folder()?;
        let options = |state: &Path| {
            [
                "-j".into(),
                j.clone().into(),
                "--state-dir".into(),
                OsString::from(state),
            ]
        };
        // The recorder has another address than the server that it stands for, and the folder belongs to one address.
        let record = |document| -> Result<PathBuf> {
            let requests = reports.record(&recorded, &options(&state), document)?;
            fs::remove_file(state.join("vw-report-sat5.server"))?;
            Ok(requests)
        };
        let requests = record(old)?;
        let mut send = reports.floor(&recorded, jobs, &requests, old)?;
        table.row(
            &format!("sat5 -j {jobs}, first"),
            (vms, size(&[old])?),
            || {
                let (servers, state) = (Servers::simulators(1, 0, false)?, table.folder()?);
                run(
                    &mut reports.command(&servers, None, &options(&state))?,
                    Some(old),
                    0,
                )
            },
            || run(&mut send, None, 0),
        )?;
        let requests = record(new)?;
        let mut send = reports.floor(&recorded, jobs, &requests, new)?;
        let mut documents = [old, new].into_iter().cycle();
        table.row(
            &format!("sat5 -j {jobs}, changed"),
            (vms, size(&[new])?),
            || {
                let document = documents.next().map(PathBuf::as_path);
                run(
                    &mut reports.command(&recorded, None, &options(&state))?,
                    document,
                    0,
                )
            },
            || run(&mut send, None, 0),
        )?;
    }
    Ok(())
}

/// How a reporter is run, and what it reports.
struct Reports {
    command: &'static str,
    section: &'static str,
    /// The name of its server, and the path of its URL.
    server: (&'static str, &'static str),
    documents: [PathBuf; 2],
    folder: TempDir,
}

impl Reports {
    fn new(
        command: &'static str,
        section: &'static str,
        server: (&'static str, &'static str),
        vms: usize,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let documents = ["old", "new"].map(|name| folder.path().join(name));
        document::write(&documents[0], vms, false)?;
        document::write(&documents[1], vms, true)?;
        Ok(Reports {
            command,
            section,
            server,
            documents,
            folder,
        })
    }

    /// The reporter, with this server or that of the section.
    fn command<S: AsRef<OsStr>>(
        &self,
        servers: &Servers,
        server: Option<&str>,
        options: &[S],
    ) -> Result<Command> {
        let mut command = servers.command(self.command);
        let (name, path) = self.server;
        let server = server.map_or_else(|| servers.url(name), Ok)?;
        command.args([
            "-n",
            self.section,
            "--quiet",
            "--server",
            &format!("{server}{path}"),
        ]);
        command.args(options);
        Ok(command)
    }

    /// Reports, and records the requests.
    fn record<S: AsRef<OsStr>>(&self, servers: &Servers, options: &[S], document: &Path) -> Result<PathBuf> {
        let recorder = Recorder::start(servers.url(self.server.0)?)?;
        let mut command = self.command(servers, Some(&recorder.url()), options)?;
        run(&mut command, Some(document), 0)?;
        let file = self.folder.path().join("requests");
        recorder.requests(&file)?;
        Ok(file)
    }

    /// The floor that sends recorded requests.
    fn floor(
        &self,
        servers: &Servers,
        connections: usize,
        requests: &Path,
        document: &Path,
    ) -> Result<Command> {
        let mut send = floor("send", [servers.url(self.server.0)?, &connections.to_string()])?;
        send.arg(requests).arg(document);
        Ok(send)
    }
}
