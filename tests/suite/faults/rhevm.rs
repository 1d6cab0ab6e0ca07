//! vw-scan-rhevm, walked through the table.

use serde_json::Value;
use vw_sim::hostile::{answer, endless};
use vw_sim::proxy::Proxy;
use vw_sim::rhevm::Inventory;

use super::{Call, Row, common, ended, json, meets, row, walk};
use crate::support::Engine;

const NAME: &str = "vw-scan-rhevm";

/// The last part of the path of each request: the description of the API, and the lists.
const CALLS: [&str; 4] = ["api", "clusters", "hosts", "vms"];

fn step(row: &Row, call: &str, limit: u32) -> Result<(), String> {
    let mut inventory = Inventory::new(2, 4);
    // The host for storage would cause a warning.
    inventory.hosts.pop();
    let engine = Engine::new(inventory);
    let proxy = Proxy::before(engine.server.address()).unwrap();
    let end = format!("/{call}");
    let meets = meets(row, String::new(), move |request| request.path.ends_with(&end));
    proxy.server().misbehave(meets);
    let outcome = ended(
        row,
        row.statuses,
        NAME,
        engine.run("sim@internal", &proxy.url()),
        limit,
    )?;
    let whole = |text: &str| {
        let document = serde_json::from_str::<Value>(text).ok()?;
        Some(document["hypervisors"].as_array()?.len())
    };
    match (outcome.status, whole(&outcome.stdout)) {
        (0, Some(2)) => Ok(()),
        (0, _) => Err(format!("not all hypervisors: {outcome:?}")),
        (_, None) if outcome.stdout.is_empty() => Ok(()),
        _ => Err(format!("a document of a scan that failed: {outcome:?}")),
    }
}

#[test]
fn vw_scan_rhevm_survives_every_fault_at_every_call() {
    let mut rows = common();
    rows.extend(json());
    let kind = "application/json";
    rows.push(row(
        "an object of another kind",
        move || answer(kind, r#"{"fault":{"reason":"no"}}"#),
        &[76],
        &["not the oVirt API's"],
    ));
    rows.push(row(
        "endless objects",
        move || endless(kind, r#"{"vm":[{}"#, ",{}"),
        &[76],
        &["longer than"],
    ));
    let call = |name: &str| Call {
        name: name.to_owned(),
        large: true,
    };
    walk(&rows, &CALLS.map(call), step);
}
