//! vw-scan-ahv, walked through the table.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use vw_sim::ahv::{Edition, Inventory, Prism, Settings};
use vw_sim::hostile::{answer, endless, page};
use vw_sim::http::{Request, Server};

use super::{Call, Row, common, ended, from, json, meets, row, walk};
use crate::support::Run;

const NAME: &str = "vw-scan-ahv";
const KIND: &str = "application/json";
/// A list of each API, by its path.
const CALLS: [&str; 3] = [
    "/api/nutanix/v2.0/hosts",
    "/api/nutanix/v2.0/vms",
    "/api/nutanix/v3/vms/list",
];

/// A Prism with three hosts, and the password of an account.
struct Site {
    server: Server,
    central: bool,
    folder: TempDir,
}

impl Site {
    fn new(call: &str) -> Self {
        let central = call.contains("/v3/");
        let edition = if central {
            Edition::Central
        } else {
            Edition::Element
        };
        let prism = Prism::new(Settings::new(edition), Inventory::new(3, 2));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        Site {
            server: Server::start(Arc::new(prism), None).unwrap(),
            central,
            folder,
        }
    }

    fn scan(&self) -> Run {
        let password = self.folder.path().join("password");
        let run = Run::new(env!("CARGO_BIN_EXE_vw-scan-ahv"))
            .args(["--server", &self.server.url(), "-u", "sim", "--password-file"])
            .args([password]);
        run.args(self.central.then_some("--prism-central"))
    }
}

fn step(row: &Row, call: &str, limit: u32) -> Result<(), String> {
    let site = Site::new(call);
    let wanted = call.to_owned();
    let start = r#"{"metadata":{"grand_total_entities":3,"total_matches":3},"entities":["#;
    let of_the_kind = move |request: &Request| request.path == wanted;
    site.server.misbehave(meets(row, start.to_owned(), of_the_kind));
    let outcome = ended(row, row.statuses, NAME, site.scan(), limit)?;
    let hosts = |text: &str| {
        let document = serde_json::from_str::<Value>(text).ok()?;
        Some(document["hypervisors"].as_array()?.len())
    };
    match (outcome.status, hosts(&outcome.stdout)) {
        (0, Some(3)) => {}
        (0, _) => return Err(format!("not all hosts: {outcome:?}")),
        (_, None) if outcome.stdout.is_empty() => {}
        _ => return Err(format!("a failure with output: {outcome:?}")),
    }
    site.server.behave();
    let again = site.scan().run();
    match hosts(&again.stdout) {
        Some(3) => Ok(()),
        _ => Err(format!("not read afterwards: {again:?}")),
    }
}

/// What only a list of Prism can have.
fn lists() -> Vec<Row> {
    let forever = |text: &'static str, piece: &'static str| {
        move |start: &str| endless(KIND, &format!("{start}{text}"), piece)
    };
    vec![
        row("404 as a page", || page(404), &[76], &["Please log in"]),
        from("endless entries", forever("", "{},"), &[76], &["longer than"]),
        from(
            "millions of small entries",
            |start| answer(KIND, format!("{start}{}7]}}", "{},".repeat(4_000_000))),
            &[76],
            &["more than 50000 elements"],
        ),
        from(
            "an endless uuid",
            forever("{\"uuid\":\"", "x"),
            &[76],
            &["longer than"],
        ),
        from(
            "an endless list in an entry",
            forever("{\"hypervisor_types\":[", "7,"),
            &[76],
            &["more than 10000 elements", "longer than"],
        ),
        from(
            "a page that repeats",
            |start| {
                answer(
                    KIND,
                    format!("{start}{{\"uuid\":\"x\",\"metadata\":{{\"uuid\":\"x\"}}}}]}}"),
                )
            },
            &[75],
            &["changed while it was read"],
        ),
    ]
}

#[test]
fn vw_scan_ahv_survives_every_fault_at_every_call() {
    let mut rows = common();
    rows.extend(json());
    rows.extend(lists());
    let call = |name: &str| Call {
        name: name.to_owned(),
        large: true,
    };
    walk(&rows, &CALLS.map(call), step);
}
