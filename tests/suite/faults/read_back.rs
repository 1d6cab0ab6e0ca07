//! vw-scan-candlepin, walked through the table.

use serde_json::Value;
use tempfile::TempDir;
use vw_sim::hostile::{answer, page};
use vw_sim::http::{Fault, Request, Server};
use vw_sim::proxy::Proxy;

use super::{Call, Row, common, ended, json, meets, row, walk};
use crate::support::{Run, candlepin};

const NAME: &str = "vw-scan-candlepin";
const MAPPING: &str = r#"{"hypervisors":[
    {"uuid":"h1","name":"esx1","facts":{},"guests":[{"guestId":"g1","state":1},{"guestId":"g2","state":5}]},
    {"uuid":"h2","name":"esx2","facts":{},"guests":[]}]}"#;

/// A Candlepin that holds two hypervisors, a proxy before it, and the password of an account.
struct Site {
    _server: Server,
    proxy: Proxy,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let (_, server, folder) = candlepin(|_| {});
        let site = Site {
            proxy: Proxy::before(server.address()).unwrap(),
            _server: server,
            folder,
        };
        let report = site.run(env!("CARGO_BIN_EXE_vw-report-candlepin"));
        report.stdin(MAPPING).run().quiet_success();
        site
    }

    fn run(&self, program: &str) -> Run {
        let file = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let url = self.proxy.url() + "/candlepin";
        Run::new(program)
            .env("VW_CONFIG", &file("virt-who.conf"))
            .args(["--server", &url, "--owner", "sim", "--username", "sim"])
            .args(["--password-file", &file("password")])
    }

    fn scan(&self) -> Run {
        self.run(env!("CARGO_BIN_EXE_vw-scan-candlepin"))
    }
}

/// The kind of a request: the last part of its path, and what comes before a consumer's uuid.
fn kind(request: &Request) -> &'static str {
    match &request.path {
        path if path.ends_with("/guestids") => "guests",
        path if path.contains("/consumers/") => "consumer",
        path if path.ends_with("/hypervisors") => "list",
        _ => "other",
    }
}

fn step(row: &Row, call: &str, limit: u32) -> Result<(), String> {
    let site = Site::new();
    let wanted = call.to_owned();
    let meets = meets(row, String::new(), move |request| kind(request) == wanted);
    site.proxy.server().misbehave(meets);
    let outcome = ended(row, row.statuses, NAME, site.scan(), limit)?;
    let whole = |text: &str| {
        let document = serde_json::from_str::<Value>(text).ok()?;
        Some(document["hypervisors"].as_array()?.len())
    };
    match (outcome.status, whole(&outcome.stdout)) {
        (0, Some(2)) => {}
        (0, _) => return Err(format!("not all hypervisors: {outcome:?}")),
        (_, Some(_)) => return Err(format!("a failure with a whole document: {outcome:?}")),
        (_, None) => {}
    }
    site.proxy.server().behave();
    let again = site.scan().run();
    match whole(&again.stdout) {
        Some(2) => Ok(()),
        _ => Err(format!("not read afterwards: {again:?}")),
    }
}

#[test]
fn vw_scan_candlepin_survives_every_fault_at_every_call() {
    let mut rows = common();
    rows.extend(json());
    rows.push(row("404 as a page", || page(404), &[75, 76], &["Please log in"]));
    rows.push(row(
        "millions of small objects",
        swarm,
        &[76],
        &["not one of Candlepin", "longer than"],
    ));
    let call = |name: &str| Call {
        name: name.to_owned(),
        large: true,
    };
    walk(&rows, &["list", "consumer", "guests"].map(call), step);
}

/// Objects of three bytes each.
fn swarm() -> Fault {
    answer("application/json", format!("[{}1]", "{},".repeat(4_000_000)))
}
