//! vw-report-candlepin, walked through the table.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use vw_sim::candlepin::Candlepin;
use vw_sim::hostile::{answer, page};
use vw_sim::http::{Fault, Request, Server};
use vw_sim::proxy::Proxy;

use super::{Call, Row, common, ended, json, meets, row, walk};
use crate::support::{Outcome, Run, candlepin};

const NAME: &str = "vw-report-candlepin";
const MAPPING: &str = r#"{"hypervisors":[
    {"uuid":"h1","name":"esx1","facts":{},"guests":[{"guestId":"g1","state":1},{"guestId":"g2","state":5}]},
    {"uuid":"h2","name":"esx2","facts":{},"guests":[]}]}"#;

/// A Candlepin, a proxy before it, and the password of an account.
struct Site {
    candlepin: Arc<Candlepin>,
    _server: Server,
    proxy: Proxy,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let (candlepin, server, folder) = candlepin(|_| {});
        Site {
            candlepin,
            proxy: Proxy::before(server.address()).unwrap(),
            _server: server,
            folder,
        }
    }

    fn run(&self) -> Run {
        let file = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let url = self.proxy.url() + "/candlepin";
        let run = Run::new(env!("CARGO_BIN_EXE_vw-report-candlepin"));
        run.env("VW_CONFIG", &file("virt-who.conf"))
            .args(["--server", &url, "--owner", "sim", "--username", "sim"])
            .args(["--password-file", &file("password")])
            .stdin(MAPPING)
    }

    /// The hypervisors and their guests.
    fn held(&self) -> Vec<(String, Vec<String>)> {
        let held = self.candlepin.hypervisors("sim");
        let guests = |hypervisor: &vw_sim::candlepin::Hypervisor| {
            hypervisor.guest_ids().into_iter().map(str::to_owned).collect()
        };
        held.iter()
            .map(|(id, hypervisor)| (id.clone(), guests(hypervisor)))
            .collect()
    }
}

/// Each kind of request that a report makes: its method, and its path without a job's id.
fn calls() -> Vec<Call> {
    let site = Site::new();
    site.run().run().quiet_success();
    let mut names = Vec::new();
    for logged in site.proxy.server().requests() {
        let name = kind(&logged.request);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    assert!(names.iter().any(|name| name.contains("/hypervisors/sim")));
    let call = |name| Call { name, large: true };
    names.into_iter().map(call).collect()
}

fn kind(request: &Request) -> String {
    let end = request
        .path
        .find("/jobs/")
        .map_or(request.path.len(), |at| at + 6);
    format!("{} {}", request.method, &request.path[..end])
}

/// The state in the only result line.
fn state(outcome: &Outcome) -> Option<String> {
    let line: Value = serde_json::from_str(outcome.stdout.trim_end()).ok()?;
    Some(line["state"].as_str()?.to_owned())
}

fn step(row: &Row, call: &str, limit: u32) -> Result<(), String> {
    let site = Site::new();
    let wanted = call.to_owned();
    let meets = meets(row, String::new(), move |request| kind(request) == wanted);
    site.proxy.server().misbehave(meets);
    let outcome = ended(row, row.statuses, NAME, site.run(), limit)?;
    let expected = if outcome.status == 0 { "finished" } else { "failed" };
    if state(&outcome).as_deref() != Some(expected) {
        return Err(format!("the result is not {expected}: {outcome:?}"));
    }
    let all = [
        ("h1".to_owned(), vec!["g1".to_owned(), "g2".to_owned()]),
        ("h2".to_owned(), vec![]),
    ];
    let held = site.held();
    if !held.is_empty() && held != all {
        return Err(format!("half reported: {held:?} {outcome:?}"));
    }
    // The next report works, whatever was sent before.
    site.proxy.server().behave();
    let again = site.run().run();
    if (again.status, site.held()) != (0, all.to_vec()) {
        return Err(format!("not reported afterwards: {:?} {again:?}", site.held()));
    }
    Ok(())
}

#[test]
fn vw_report_candlepin_survives_every_fault_at_every_call() {
    let mut rows = common();
    rows.extend(json());
    // The server may be in deployment, so a job's state is requested again until the time is over.
    rows.push(row("404 as a page", || page(404), &[75, 76], &["Please log in"]));
    rows.push(row(
        "a job with millions of small objects",
        swarm,
        &[76],
        &["resultData", "longer than"],
    ));
    walk(&rows, &calls(), step);
}

/// Objects of seven bytes each, which would take more than a thousand as values in memory.
fn swarm() -> Fault {
    let objects = r#"{"":1},"#.repeat(2_000_000);
    let job = format!(r#"{{"id":"j","state":"FINISHED","resultData":[{objects}1]}}"#);
    answer("application/json", job)
}
