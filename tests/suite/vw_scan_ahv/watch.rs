//! vw-scan-ahv --watch, which scans again and again because Prism reports no changes.

use std::process::Command;

use serde_json::Value;
use vw_sim::ahv::{Edition, Machine};
use vw_sim::hostile::status;

use super::{PROGRAM, Site, ids, small};
use crate::support::until;
use crate::vw_scan_esx_watch::Watch;

#[test]
fn a_signal_scans_again_and_a_failure_is_survived() {
    let site = Site::new(Edition::Central, small());
    let mut command = Command::new(PROGRAM);
    let watch = Watch::start(command.args(site.options()));
    let first: Value = serde_json::from_str(&watch.document()).unwrap();
    assert_eq!(ids(&first).1.len(), 6);
    {
        let mut inventory = site.prism.inventory();
        let machine = Machine::on(&inventory.hosts[1], "new", "new");
        inventory.machines.push(machine);
    }
    site.server
        .misbehave(|_, request| request.path.contains("/vms").then(|| status(503)));
    watch.signal("USR1");
    watch.message("503");
    site.server.behave();
    let second: Value = serde_json::from_str(&watch.document()).unwrap();
    assert_eq!(ids(&second).1.len(), 7);
    assert_eq!(second["hypervisors"][0]["guests"][0]["guestId"], "new");
    // A refused login is final.
    site.prism.expire();
    watch.signal("USR1");
    watch.message("wrong user name or password");
    until(|| site.requests("clusters") >= 4);
}
