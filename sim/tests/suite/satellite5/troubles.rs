//! Troubles that are planned for a call.

use std::sync::Arc;

use vw_sim::http::Server;

use super::*;
use crate::client::{Answer, Client};

/// Sends a call over a connection of its own; an error says where the answer was cut.
fn over_http(server: &Server, method: &str, parameters: &[&str]) -> Result<Answer, String> {
    let body = document(method, parameters);
    let path = if method.starts_with("registration.") {
        "/XMLRPC"
    } else {
        "/rpc/api"
    };
    let mut client = Client::plain(&server.url());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: sim\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write(head.as_bytes());
    client.write(body.as_bytes());
    client.answer()
}

fn planned(satellite: &Satellite5, plan: &str) {
    satellite.plan(plan.parse().expect("a plan"));
}

const USER: [&str; 6] = [
    "Hypervisor OS",
    "unknown",
    "x86_64",
    "sim",
    "sim-secret",
    "<struct/>",
];

fn registration(profile: &str) -> Vec<&str> {
    [profile].into_iter().chain(USER).collect()
}

#[test]
fn an_answer_is_lost_after_the_work_or_before_it() {
    let satellite = Arc::new(prepared());
    let server = Server::start(satellite.clone(), None).expect("a server");
    planned(&satellite, &format!("{NEW}:1=lose"));
    planned(&satellite, &format!("{NEW}:2=close"));
    planned(&satellite, &format!("{NEW}:3=cut"));
    for made in [1, 1, 2] {
        assert!(over_http(&server, NEW, &registration("h")).is_err());
        assert_eq!(satellite.registrations(), made);
    }
    assert_eq!(satellite.count(NEW), 3);
    assert!(over_http(&server, NEW, &registration("h")).is_ok());
    assert_eq!((satellite.registrations(), satellite.count(NEW)), (3, 4));
}

#[test]
fn an_answer_is_another_one() {
    let satellite = Arc::new(prepared());
    let server = Server::start(satellite.clone(), None).expect("a server");
    for (trouble, status, body) in [
        ("html", 200, "<!DOCTYPE html>"),
        ("xml", 200, "<int>0</value>"),
        ("empty", 200, ""),
        ("503", 503, "planned"),
        ("429", 429, "not now"),
        ("fault-90", 200, "-90"),
    ] {
        planned(&satellite, &format!("{NEW}:1={trouble}"));
        let answer = over_http(&server, NEW, &registration("h")).expect("an answer");
        assert_eq!(answer.status, status, "{trouble}");
        assert!(answer.text().contains(body), "{trouble}: {}", answer.text());
        assert_eq!(answer.body.is_empty(), trouble == "empty");
    }
    assert_eq!(satellite.registrations(), 0);
}

#[test]
fn a_lasting_trouble_ends_with_calm() {
    let satellite = Arc::new(prepared());
    let server = Server::start(satellite.clone(), None).expect("a server");
    planned(&satellite, &format!("{NEW}:2-=503"));
    planned(&satellite, &format!("{NEW}:4-=close"));
    let outcome = || over_http(&server, NEW, &registration("h")).map(|answer| answer.status);
    assert_eq!(outcome(), Ok(200));
    assert_eq!(outcome(), Ok(503));
    assert_eq!(outcome(), Ok(503));
    assert!(outcome().is_err() && outcome().is_err());
    satellite.calm();
    assert_eq!(outcome(), Ok(200));
    assert_eq!((satellite.registrations(), satellite.count(NEW)), (2, 6));
}

#[test]
fn an_administrator_deletes_the_system_before_its_call() {
    let satellite = prepared();
    let (first, second) = (register(&satellite, "one"), register(&satellite, "two"));
    planned(&satellite, &format!("{NOTIFY}:2=delete"));
    let plan = plan(&[]);
    good(&satellite, NOTIFY, &[&first, &plan]);
    assert_eq!(bad(&satellite, NOTIFY, &[&second, &plan]).0, -9);
    let profiles: Vec<String> = satellite
        .systems()
        .into_iter()
        .map(|system| system.profile)
        .collect();
    assert_eq!(profiles, ["one"]);

    let key = login(&satellite, "sim");
    planned(&satellite, "system.downloadSystemId:1=delete");
    bad(
        &satellite,
        "system.downloadSystemId",
        &[&key, "<int>1000010000</int>"],
    );
    assert!(satellite.systems().is_empty());
}

#[test]
fn sessions_expire_before_a_call() {
    let satellite = prepared();
    let key = login(&satellite, "sim");
    planned(&satellite, "user.getDetails:2=expire");
    good(&satellite, "user.getDetails", &[&key, "sim"]);
    assert_eq!(bad(&satellite, "user.getDetails", &[&key, "sim"]).0, -1);
    let key = login(&satellite, "sim");
    good(&satellite, "user.getDetails", &[&key, "sim"]);
}
