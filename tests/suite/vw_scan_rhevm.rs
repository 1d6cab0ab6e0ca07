//! `vw-scan-rhevm` as its users meet it, against the simulated engine.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};
use vw_sim::hostile;
use vw_sim::http::{Fault, Response};
use vw_sim::rhevm::Inventory;

use crate::support::signals::send;
use crate::support::{Engine, Outcome, Run, ended, with_time};

const SCAN: &str = env!("CARGO_BIN_EXE_vw-scan-rhevm");

fn document(outcome: &Outcome) -> Value {
    assert_eq!(outcome.status, 0, "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn texts<'v>(list: &'v Value, member: &str) -> Vec<&'v str> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one[member].as_str().unwrap()).collect()
}

#[test]
fn hosts_of_virtual_machines_become_hypervisors() {
    let engine = Engine::new(Inventory::new(2, 5));
    let outcome = engine.scan().run();
    let found = document(&outcome);
    let host = &found["hypervisors"][0];
    assert_eq!(
        host,
        &json!({
            "uuid": "00000002-0000-4000-8000-000000000001",
            "guests": [
                {"guestId": "00000003-0000-4000-8000-000000000002", "state": 1,
                 "attributes": {"active": 1, "virtWhoType": "rhevm"}},
                {"guestId": "00000003-0000-4000-8000-000000000004", "state": 1,
                 "attributes": {"active": 1, "virtWhoType": "rhevm"}},
            ],
            "facts": {
                "hypervisor.type": "qemu",
                "cpu.cpu_socket(s)": "2",
                "hypervisor.version": "vdsm-4.50.3.4-1.el8",
                "dmi.system.uuid": "00000004-0000-4000-8000-000000000001",
                "hypervisor.cluster": "Default",
            },
            "name": "kvm1.example.com",
            "parent": {"id": "00000001-0000-4000-8000-000000000001", "type": "cluster", "name": "Default"},
        })
    );
    assert_eq!(found["hypervisors"].as_array().unwrap().len(), 2);
    assert_eq!(found["source"]["type"], "rhevm");
    // The host of the storage cluster, and the machine that is down.
    assert_eq!(texts(&found["omitted"], "kind"), ["host", "guest"]);
    assert_eq!(texts(&found["omitted"], "stage"), ["vw-scan-rhevm"; 2]);
    assert!(
        outcome.stderr.contains("left out 1 host and 1 guest"),
        "{outcome:?}"
    );
    let strict = engine.scan().args(["--strict"]).run();
    assert_eq!((strict.status, &*strict.stdout), (65, ""), "{strict:?}");
    let named = document(&engine.scan().args(["--guest-names"]).run());
    assert_eq!(texts(&named["hypervisors"][0]["guests"], "name"), ["vm2", "vm4"]);
}

#[test]
fn each_kind_of_id_comes_from_the_option_or_the_section() {
    let engine = Engine::new(Inventory::new(1, 0));
    for (id, expected) in [
        ("uuid", "00000002-0000-4000-8000-000000000001"),
        ("hostname", "kvm1.example.com"),
        ("hwuuid", "00000004-0000-4000-8000-000000000001"),
    ] {
        let option = document(&engine.scan().args(["--hypervisor-id", id]).run());
        assert_eq!(option["hypervisors"][0]["uuid"], expected);
        let config = engine.configure(&format!("hypervisor_id={id}"));
        let section = document(&Run::new(SCAN).args(["-c", &config, "-n", "rhv"]).run());
        assert_eq!(section["hypervisors"], option["hypervisors"]);
        assert_eq!(section["source"]["section"], "rhv");
    }
    let config = engine.configure("hypervisor_id=moref");
    let outcome = Run::new(SCAN).args(["-c", &config, "-n", "rhv"]).run();
    assert_eq!(outcome.status, 78, "{outcome:?}");
    assert!(
        outcome.stderr.contains("'moref' is not uuid, hostname or hwuuid"),
        "{outcome:?}"
    );
}

#[test]
fn all_pages_are_read_in_a_fixed_order() {
    let engine = Engine::new(Inventory::new(3, 1300));
    let first = engine.scan().run();
    let found = document(&first);
    let guests = found["hypervisors"].as_array().unwrap().iter();
    let guests: usize = guests.map(|host| host["guests"].as_array().unwrap().len()).sum();
    assert_eq!(guests, 1040);
    let pages = engine.server.requests();
    let pages = pages
        .iter()
        .filter(|logged| logged.request.path.ends_with("/vms"));
    let pages: Vec<_> = pages.map(|logged| logged.request.query.clone()).collect();
    assert_eq!(
        pages,
        [1, 2, 3].map(|page| format!("search=sortby%20name%20asc%20page%20{page}&max=500"))
    );
    engine.rhevm.inventory().vms.reverse();
    engine.rhevm.inventory().hosts.reverse();
    assert_eq!(engine.scan().run().stdout, first.stdout);
}

#[test]
fn lists_that_change_meanwhile_are_read_again() {
    let engine = Engine::new(Inventory::new(1, 600));
    let rhevm = engine.rhevm.clone();
    // A machine that a page has shown is deleted, which moves one from the next page to this one.
    let mut deleted = false;
    engine.server.misbehave(move |_, request| {
        if request.query.contains("page%202") && !deleted {
            deleted = true;
            rhevm.inventory().vms.remove(0);
        }
        None
    });
    let found = document(&engine.scan().args(["--no-omitted"]).run());
    assert_eq!(found["hypervisors"][0]["guests"].as_array().unwrap().len(), 479);
    // Each reading of the machines finds another one.
    let rhevm = engine.rhevm.clone();
    engine.server.misbehave(move |_, request| {
        if request.query.contains("page%202") {
            rhevm.inventory().vms.remove(0);
        }
        None
    });
    let words = "came or went each of the 3 times";
    let outcome = with_time(&[words], |limit| engine.scan().args(["--timeout", limit]).run());
    assert_eq!((outcome.status, &*outcome.stdout), (75, ""), "{outcome:?}");
    assert!(outcome.stderr.contains(words), "{outcome:?}");
}

#[test]
fn an_engine_that_repeats_a_page_ends_the_scan() {
    let engine = Engine::new(Inventory::new(1, 0));
    let machines: Vec<Value> = (0..500).map(|id| json!({"id": id.to_string()})).collect();
    let page = json!({ "vm": machines }).to_string();
    engine.server.misbehave(move |_, request| {
        let is_page = request.path.ends_with("/vms");
        is_page.then(|| hostile::answer("application/json", page.clone()))
    });
    let outcome = engine.scan().run();
    assert_eq!((outcome.status, &*outcome.stdout), (76, ""), "{outcome:?}");
    assert!(
        outcome.stderr.contains("page 2 repeats the pages before it"),
        "{outcome:?}"
    );
}

/// The page that a query asks for, of a list of so many machines whose pages have this size.
fn pages_of(query: &str, size: usize, last: usize) -> Value {
    let number = query.split("page%20").nth(1).unwrap().split('&').next().unwrap();
    let first = (number.parse::<usize>().unwrap() - 1) * size;
    let host = json!({"id": "00000002-0000-4000-8000-000000000001"});
    let machine = |at: usize| json!({"id": at.to_string(), "status": "up", "host": host});
    let machines: Vec<Value> = (first..last.min(first + size)).map(machine).collect();
    if machines.is_empty() {
        return json!({});
    }
    json!({ "vm": machines })
}

#[test]
fn an_engine_with_smaller_pages_is_read_to_the_number_that_it_counts() {
    let engine = Engine::new(Inventory::new(1, 250));
    let listing = |last: usize| {
        engine.server.misbehave(move |_, request| {
            let is_page = request.path.ends_with("/vms");
            is_page.then(|| {
                hostile::answer(
                    "application/json",
                    pages_of(&request.query, 100, last).to_string(),
                )
            })
        });
        let outcome = engine.scan().run();
        let guests = document(&outcome)["hypervisors"][0]["guests"]
            .as_array()
            .unwrap()
            .len();
        (guests, outcome.stderr)
    };
    let (guests, messages) = listing(250);
    assert_eq!(guests, 250);
    assert!(!messages.contains("counts"), "{messages}");
    let (guests, messages) = listing(120);
    assert_eq!(guests, 120);
    assert!(
        messages.contains("the engine counts 250 virtual machines, but lists only 120; "),
        "{messages}"
    );
}

#[test]
fn an_object_that_is_twice_on_a_page_is_there_twice() {
    let mut inventory = Inventory::new(1, 2);
    inventory.vms.push(inventory.vms[1].clone());
    let outcome = Engine::new(inventory).scan().run();
    let found = document(&outcome);
    assert_eq!(found["hypervisors"][0]["guests"].as_array().unwrap().len(), 3);
    assert!(
        outcome.stderr.contains("2 virtual machines have the guest id "),
        "{outcome:?}"
    );
}

#[test]
fn what_is_kept_of_long_texts_is_limited() {
    let engine = Engine::new(Inventory::new(1, 0));
    let mut made = 0;
    let name = "x".repeat(1000);
    engine.server.misbehave(move |_, request| {
        let is_page = request.path.ends_with("/vms");
        is_page.then(|| {
            let mut machine = || {
                made += 1;
                json!({"id": format!("{made}"), "name": name, "status": name, "host": {"id": name}})
            };
            let machines: Vec<Value> = (0..500).map(|_| machine()).collect();
            hostile::answer("application/json", json!({ "vm": machines }).to_string())
        })
    });
    let (outcome, used) = engine.scan().measured();
    assert_eq!((outcome.status, &*outcome.stdout), (76, ""), "{outcome:?}");
    assert!(outcome.stderr.contains("their texts are too long"), "{outcome:?}");
    assert!(used.memory < 100 << 20, "{used:?}");
}

#[test]
fn a_login_that_the_server_quotes_is_not_shown() {
    let engine = Engine::new(Inventory::new(1, 0));
    engine.server.misbehave(|_, request| {
        let login = request.header("Authorization").unwrap_or_default();
        let body = format!("{{\"reason\":\"{login}\",\"detail\":\"sim-secret\"}}");
        Some(Fault::Answer(Response::new(400, "application/json", body)))
    });
    let outcome = engine.scan().run();
    assert_eq!(outcome.status, 76, "{outcome:?}");
    assert!(
        outcome.stderr.contains("Basic (redacted): (redacted)"),
        "{outcome:?}"
    );
}

#[test]
fn one_odd_object_does_not_cost_the_others() {
    let mut inventory = Inventory::new(2, 2);
    inventory.hosts[0]["cpu"] = json!(["odd"]);
    inventory.vms[1]["host"] = json!("odd");
    inventory.clusters.push(json!(7));
    inventory
        .vms
        .push(json!({"id": "x", "name": "line\nfeed \u{1b}", "status": "up", "host": {"id": "gone"}}));
    let engine = Engine::new(inventory);
    let outcome = engine.scan().run();
    let found = document(&outcome);
    assert_eq!(texts(&found["hypervisors"], "name"), ["kvm2.example.com"]);
    let omitted = texts(&found["omitted"], "reason");
    assert_eq!(omitted.len(), 4, "{omitted:?}");
    assert!(omitted[0].starts_with("its form is not the API's"), "{omitted:?}");
    assert!(
        omitted
            .iter()
            .any(|reason| reason.contains("host gone is left out or not listed")),
        "{omitted:?}"
    );
    let warning = "1 cluster can't be read, but the hosts are kept: one without an id (";
    assert!(outcome.stderr.contains(warning), "{outcome:?}");
    assert!(!outcome.stderr.contains('\u{1b}'), "{outcome:?}");
}

#[test]
fn hosts_and_machines_that_share_an_id_are_named() {
    let mut inventory = Inventory::new(2, 0);
    let board = inventory.hosts[0]["hardware_information"].clone();
    inventory.hosts[1]["hardware_information"] = board;
    let engine = Engine::new(inventory);
    let outcome = engine.scan().args(["--hypervisor-id", "hwuuid"]).run();
    let warning =
        "2 hosts have the id 00000004-0000-4000-8000-000000000001: kvm1.example.com, kvm2.example.com";
    assert!(outcome.stderr.contains(warning), "{outcome:?}");
}

#[test]
fn check_names_the_engine() {
    let engine = Engine::new(Inventory::new(1, 1));
    let outcome = engine.scan().args(["--check"]).run();
    assert_eq!(
        (outcome.status, &*outcome.stdout),
        (0, "oVirt Engine 4.5.4-1.el8\n"),
        "{outcome:?}"
    );
}

#[test]
fn a_refusal_says_what_to_do() {
    let engine = Engine::new(Inventory::new(1, 1));
    let url = engine.server.url();
    for (user, url, status, words) in [
        ("sim", url.clone(), 77, "needs its profile, as in admin@internal"),
        ("expired@internal", url.clone(), 77, "login to 127.0.0.1:"),
        ("user@internal", url.clone(), 77, "such as ReadOnlyAdmin"),
        (
            "sim@internal",
            format!("{url}/api"),
            76,
            "is this the address of an oVirt engine",
        ),
    ] {
        let outcome = engine.run(user, &url).run();
        assert_eq!((outcome.status, &*outcome.stdout), (status, ""), "{outcome:?}");
        assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
        assert!(!outcome.stderr.contains("sim-secret"), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    }
}

#[test]
fn a_failed_page_prints_no_mapping() {
    let engine = Engine::new(Inventory::new(1, 600));
    engine.server.misbehave(|_, request| {
        let is_last = request.path.ends_with("/vms") && request.query.contains("page%202");
        is_last.then(|| hostile::status(403))
    });
    let outcome = engine.scan().run();
    assert_eq!((outcome.status, &*outcome.stdout), (77, ""), "{outcome:?}");
    assert!(
        outcome.stderr.contains("reading the virtual machines: "),
        "{outcome:?}"
    );
}

#[test]
fn a_temporary_failure_is_retried() {
    let engine = Engine::new(Inventory::new(1, 1));
    let mut failed = false;
    engine.server.misbehave(move |_, request| {
        let fails = request.path.ends_with("/hosts") && !std::mem::replace(&mut failed, true);
        fails.then(|| hostile::status(503))
    });
    let outcome = engine.scan().run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("; trying again in "), "{outcome:?}");
}

/// SIGUSR1 stands for the interval, which is at least a minute.
#[test]
fn a_watch_prints_changes_and_survives_failures() {
    let engine = Engine::new(Inventory::new(1, 1));
    let run = engine.scan().args(["--watch", "--compact", "--no-omitted"]);
    let (mut child, _stdin) = run.start(Stdio::piped());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(texts(&next()["hypervisors"], "name").len(), 1);
    engine.rhevm.inventory().hosts = Inventory::new(2, 0).hosts;
    let mut failed = false;
    engine.server.misbehave(move |_, _| {
        let fails = !std::mem::replace(&mut failed, true);
        fails.then(|| hostile::page(200))
    });
    send(&child, "USR1");
    assert_eq!(texts(&next()["hypervisors"], "name").len(), 2);
    let warnings = BufReader::new(child.stderr.take().unwrap());
    send(&child, "TERM");
    assert_eq!(ended(&mut child).unwrap().code(), Some(143));
    let warnings: Vec<String> = warnings.lines().map(Result::unwrap).collect();
    let retried = |line: &String| line.contains("a web page") && line.contains("; trying again in ");
    assert!(warnings.iter().any(retried), "{warnings:?}");
}
