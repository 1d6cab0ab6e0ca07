//! vw-report-sat5, walked through the table.

use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use vw_sim::hostile::endless;
use vw_sim::http::{Request, Server};
use vw_sim::proxy::Proxy;
use vw_sim::satellite5::{Satellite5, Settings};

use super::{Call, Row, common, ended, from, meets, walk, xml};
use crate::support::{Outcome, Run, folder_in_memory};

const NAME: &str = "vw-report-sat5";
/// The call for a systemid that was lost.
const FETCH: &str = "system.downloadSystemId";
const START: &str = "<?xml version='1.0'?>\n<methodResponse><params><param><value>";

fn mapping() -> String {
    let guest = |id: &str| json!({"guestId": id, "state": 1});
    let guests = [
        guest("564dae86-0000-1000-8000-00000000000a"),
        guest("564dae86-0000-1000-8000-00000000000b"),
    ];
    json!({"hypervisors": [{"uuid": "esx1", "name": "ESX 1", "guests": guests}, {"uuid": "esx2", "guests": []}]})
        .to_string()
}

/// A Satellite 5, a proxy before it, a folder for its registrations, and the password of an account.
struct Site {
    satellite: Arc<Satellite5>,
    _server: Server,
    proxy: Proxy,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let satellite = Arc::new(Satellite5::new(Settings::default()));
        let server = Server::start(satellite.clone(), None).unwrap();
        let folder = folder_in_memory();
        std::fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        std::fs::write(folder.path().join("virt-who.conf"), "").unwrap();
        Site {
            satellite,
            proxy: Proxy::before(server.address()).unwrap(),
            _server: server,
            folder,
        }
    }

    /// A site whose next report makes this call.
    fn before(call: &str) -> Self {
        let site = Site::new();
        if call == FETCH {
            assert_eq!(site.run().run().status, 0);
            std::fs::remove_dir_all(site.folder.path().join("state")).unwrap();
        }
        site
    }

    fn run(&self) -> Run {
        let file = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let run = Run::new(env!("CARGO_BIN_EXE_vw-report-sat5"));
        run.env("VW_CONFIG", &file("virt-who.conf"))
            .args(["--server", &self.proxy.url(), "--username", "sim"])
            .args([
                "--password-file",
                &file("password"),
                "--state-dir",
                &file("state"),
            ])
            .stdin(mapping())
    }

    /// How many registrations the folder has.
    fn kept(&self) -> usize {
        let files = std::fs::read_dir(self.folder.path().join("state"));
        let names = files.into_iter().flatten().map(|file| file.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("hypervisor-systemid-"))
            .count()
    }

    /// How many guests each system has.
    fn held(&self) -> Vec<(String, usize)> {
        let systems = self.satellite.systems();
        let held = systems
            .iter()
            .map(|system| (system.profile.clone(), system.guests().len()));
        held.collect()
    }
}

/// The methods that a report calls that finds nothing, and one that has lost its files.
fn calls() -> Vec<Call> {
    let site = Site::before(FETCH);
    assert_eq!(site.run().run().status, 0);
    let names: Vec<String> = site.satellite.calls().into_keys().collect();
    assert!(
        ["auth.login", FETCH]
            .iter()
            .all(|call| names.iter().any(|name| name == call))
    );
    let call = |name| Call { name, large: true };
    names.into_iter().map(call).collect()
}

fn asks_for(request: &Request, method: &str) -> bool {
    let body = String::from_utf8_lossy(&request.body);
    body.contains(&format!("<methodName>{method}</methodName>"))
}

/// The only result line.
fn line(outcome: &Outcome) -> Result<Value, String> {
    serde_json::from_str(outcome.stdout.trim_end()).map_err(|error| format!("{error}: {outcome:?}"))
}

fn step(row: &Row, call: &str, limit: u32) -> Result<(), String> {
    let site = Site::before(call);
    let wanted = call.to_owned();
    let meets = meets(row, START.to_owned(), move |request| asks_for(request, &wanted));
    site.proxy.server().misbehave(meets);
    let mut expected = row.statuses.to_vec();
    if call == "auth.logout" {
        // Everything is reported by then.
        expected.push(0);
    }
    let once = [
        "channel.software.create",
        "distchannel.setMapForOrg",
        "registration.new_system_user_pass",
    ];
    if once.contains(&call) || call == "registration.refresh_hw_profile" {
        // It may have been done, so that the next attempt finds channel, map or profile. A new profile has no hardware
        // anyway. It depends on the machine how many attempts there are.
        expected.push(0);
    }
    let outcome = ended(row, &expected, NAME, site.run(), limit)?;
    let line = line(&outcome)?;
    let failed = line["failed"].as_array().map_or(0, Vec::len);
    if (line["state"] == "finished") != (outcome.status == 0) || (failed > 0) != (outcome.status != 0) {
        return Err(format!("the result does not fit the status: {outcome:?}"));
    }
    // The next report finds a registration whose answer was lost. Without the answer to a log-in the session is unknown.
    let lost = call.starts_with("registration.new_system") || call == "auth.login" || call == FETCH;
    let sessions = site.satellite.open_sessions();
    if sessions > 0 && call != "auth.logout" && !lost {
        return Err(format!("{sessions} sessions are open: {outcome:?}"));
    }
    // Each system on the server has its registration in the folder, otherwise the next report would create it again.
    let (kept, made) = (site.kept(), site.held().len());
    if kept != made && !lost {
        return Err(format!("{kept} registrations are kept of {made}: {outcome:?}"));
    }
    site.proxy.server().behave();
    let again = site.run().run();
    let held = site.held();
    let whole = [("esx1", 2), ("esx2", 0)];
    let complete = whole.iter().all(|(name, guests)| {
        let found = |(profile, count): &(String, usize)| profile.contains(name) && count == guests;
        held.iter().any(found)
    });
    // This includes a system whose registration's answer was lost.
    if again.status != 0 || !complete || held.len() != whole.len() {
        return Err(format!("not reported afterwards: {held:?} {again:?}"));
    }
    Ok(())
}

#[test]
fn vw_report_sat5_survives_every_fault_at_every_call() {
    walk(&common(), &calls(), step);
    // All answers are read by the same code. These two calls go to the two programs of the server.
    let of_each_side = ["auth.login", "registration.new_system_user_pass"];
    let calls: Vec<Call> = calls()
        .into_iter()
        .filter(|call| of_each_side.contains(&call.name.as_str()))
        .collect();
    assert_eq!(calls.len(), of_each_side.len());
    let mut rows = xml();
    // Unlike the elements of the other rows, these are allowed there.
    let array = |start: &str| {
        let start = format!("{start}<array><data>");
        endless("text/xml", &start, "<value>b</value>")
    };
    rows.push(from("an endless array", array, &[76], &["longer than"]));
    walk(&rows, &calls, step);
}
