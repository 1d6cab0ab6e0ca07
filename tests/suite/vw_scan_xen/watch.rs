//! vw-scan-xen --watch, against a pool that changes, loses events and ends sessions.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;
use vw_sim::http::Fault;
use vw_sim::xen::Pool;

use super::failures::calls;
use super::{EVENTS, HOSTS, LOGIN, PROGRAM, Site, VMS};
use crate::support::{PATIENCE, ended, until};
use crate::vw_scan_esx_watch::Watch;

fn watch(site: &Site, more: &[&str]) -> Watch {
    let mut command = Command::new(PROGRAM);
    Watch::start(command.args(site.options()).args(["--settle", "0"]).args(more))
}

/// How many guests each host has.
fn guests(document: &str) -> Vec<usize> {
    let mapping: Value = serde_json::from_str(document).unwrap();
    let hosts = mapping["hypervisors"].as_array().unwrap().iter();
    hosts
        .map(|host| host["guests"].as_array().unwrap().len())
        .collect()
}

#[test]
fn each_change_makes_a_document_that_equals_a_fresh_scan() {
    let site = Site::new(Pool::new(2, 2));
    let watch = watch(&site, &[]);
    assert_eq!(guests(&watch.document()), [1, 1]);
    assert!(site.xen.wait_for_listener(PATIENCE));
    site.xen
        .set(&Pool::vm("vm2"), "resident_on", Some(&Pool::host(1)));
    let moved = watch.document();
    assert_eq!(guests(&moved), [2, 0]);
    assert_eq!(moved, site.scan(&[]).stdout);
    site.xen.set(&Pool::vm("vm2"), "power_state", Some("Paused"));
    assert_eq!(watch.document(), site.scan(&[]).stdout);
    // Nothing that is printed has changed.
    let scans = site.xen.count(VMS);
    site.xen.set(&Pool::vm("vm2"), "name_description", Some("other"));
    until(|| site.xen.count(VMS) > scans);
    site.xen.set(&Pool::host(2), "hostname", Some("renamed"));
    assert!(watch.document().contains("renamed"));
    watch.end();
    site.nothing_is_open();
}

#[test]
fn a_watch_survives_lost_events_and_ended_sessions() {
    let site = Site::new(Pool::new(2, 2));
    let watch = watch(&site, &[]);
    watch.document();
    assert!(site.xen.wait_for_listener(PATIENCE));
    let (scans, asked) = (site.xen.count(HOSTS), site.xen.count(EVENTS));
    site.xen.lose_events();
    until(|| site.xen.count(HOSTS) > scans && site.xen.count(EVENTS) > asked + 1);
    assert!(site.xen.wait_for_listener(PATIENCE));
    let logins = site.xen.count(LOGIN);
    site.xen.expire_sessions();
    watch.message("the session ended");
    until(|| site.xen.count(LOGIN) > logins);
    assert!(site.xen.wait_for_listener(PATIENCE));
    site.xen.set(&Pool::vm("vm1"), "power_state", Some("Paused"));
    assert_eq!(watch.document(), site.scan(&[]).stdout);
    watch.end();
    site.nothing_is_open();
}

#[test]
fn a_watch_survives_a_server_that_is_away() {
    let site = Site::new(Pool::new(1, 1));
    let watch = watch(&site, &[]);
    watch.document();
    assert!(site.xen.wait_for_listener(PATIENCE));
    site.xen
        .server()
        .misbehave(|_, request| (!calls(request, "session.logout")).then_some(Fault::Close));
    site.xen.set(&Pool::vm("vm1"), "power_state", Some("Paused"));
    watch.message("trying again in");
    site.xen.server().behave();
    assert_eq!(watch.document(), site.scan(&[]).stdout);
    watch.end();
    site.nothing_is_open();
}

#[test]
fn the_user_gets_a_document_on_request() {
    let site = Site::new(Pool::new(1, 1));
    let watch = watch(&site, &[]);
    let first = watch.document();
    assert!(site.xen.wait_for_listener(PATIENCE));
    watch.signal("USR1");
    assert_eq!(watch.document(), first);
    watch.end();
    site.nothing_is_open();
}

#[test]
fn a_watch_without_a_reader_ends_and_logs_out() {
    let site = Site::new(Pool::new(1, 1));
    let mut child = Command::new(PROGRAM)
        .args(site.options())
        .args(["--watch", "-q"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut document = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut document).unwrap();
    assert_eq!(guests(&document), [1]);
    assert!(site.xen.wait_for_listener(PATIENCE));
    drop(reader);
    assert_eq!(ended(&mut child).unwrap().code(), Some(0));
    site.nothing_is_open();
}

#[test]
fn a_wrong_password_ends_the_watch() {
    let site = Site::new(Pool::new(1, 1));
    std::fs::write(site.path("password"), "wrong").unwrap();
    site.scan(&["--watch"]).failed(77, "wrong user name or password");
    assert_eq!(site.xen.count(LOGIN), 1);
}
