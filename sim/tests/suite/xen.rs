//! The simulated XenServer pool as a client sees it: the methods and failures of the real one.

use std::thread;
use std::time::Duration;

use vw_sim::xen::{Pool, Xen};

use crate::client::Client;

const LOGIN: &str = "session.login_with_password";
const HOSTS: &str = "host.get_all_records";
const VMS: &str = "VM.get_all_records";

/// Calls a method; each parameter is the content of a `<value>`. Returns the answer's struct.
fn call(xen: &Xen, method: &str, parameters: &[&str]) -> String {
    let parameters: String = parameters
        .iter()
        .map(|value| format!("<param><value>{value}</value></param>"))
        .collect();
    let body = format!(
        "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{parameters}</params></methodCall>"
    );
    let answer = Client::plain(&xen.url()).send("POST", "/", "", body.as_bytes());
    assert_eq!(answer.status, 200, "{method}");
    answer.text().to_owned()
}

/// The code of the failure, and its parameters.
#[track_caller]
fn failed(answer: &str) -> Vec<String> {
    assert!(
        answer.contains("<name>Status</name><value>Failure</value>"),
        "{answer}"
    );
    let (_, words) = answer.split_once("<data>").unwrap();
    let words = words.split("<value>").skip(1);
    words
        .map(|word| word.split('<').next().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn succeeded(answer: String) -> String {
    assert!(
        answer.contains("<name>Status</name><value>Success</value>"),
        "{answer}"
    );
    answer
}

/// The text of the first member with this name.
fn member(answer: &str, name: &str) -> String {
    let (_, rest) = answer.split_once(&format!("<name>{name}</name><value>")).unwrap();
    rest.split('<').next().unwrap().to_owned()
}

fn log_in(xen: &Xen) -> String {
    let answer = succeeded(call(
        xen,
        LOGIN,
        &["sim", "<string>sim-secret</string>", "1.0", "test"],
    ));
    member(&answer, "Value")
}

#[test]
fn nothing_works_without_a_session() {
    let xen = Xen::start(Pool::new(1, 1), None).unwrap();
    assert_eq!(
        failed(&call(&xen, LOGIN, &["sim", "wrong", "1.0", "test"])),
        ["SESSION_AUTHENTICATION_FAILED", "sim", "Authentication failure"]
    );
    assert_eq!(
        failed(&call(&xen, HOSTS, &["OpaqueRef:NULL"])),
        ["SESSION_INVALID", "OpaqueRef:NULL"]
    );
    let session = log_in(&xen);
    assert_eq!(xen.originators(), ["test"]);
    assert_eq!(
        failed(&call(&xen, HOSTS, &[&session, "1"])),
        ["MESSAGE_PARAMETER_COUNT_MISMATCH", HOSTS, "1", "2"]
    );
    assert_eq!(
        failed(&call(&xen, "VM.get_odd", &[&session])),
        ["MESSAGE_METHOD_UNKNOWN", "VM.get_odd"]
    );
    succeeded(call(&xen, "session.logout", &[&session]));
    assert_eq!(xen.open_sessions(), 0);
    assert_eq!(failed(&call(&xen, VMS, &[&session]))[0], "SESSION_INVALID");
    let page = Client::plain(&xen.url()).send("POST", "/", "", b"hello");
    assert_eq!(page.status, 500);
}

#[test]
fn records_have_the_types_of_the_api() {
    let xen = Xen::start(Pool::new(2, 3), None).unwrap();
    let session = log_in(&xen);
    let hosts = succeeded(call(&xen, HOSTS, &[&session]));
    assert_eq!(hosts.matches("<name>software_version</name>").count(), 2);
    assert_eq!(member(&hosts, "socket_count"), "2");
    assert_eq!(member(&hosts, "name_label"), "Host 1 &lt;rack &amp; row&gt;");
    let vms = succeeded(call(&xen, VMS, &[&session]));
    // Three, a control domain for each host, and one that is off, a template and a snapshot.
    assert_eq!(vms.matches("<name>power_state</name>").count(), 3 + 2 + 3);
    assert!(vms.contains("<name>is_a_template</name><value><boolean>1</boolean></value>"));
    xen.set(&Pool::vm("vm1"), "power_state", Some("Paused"));
    assert!(call(&xen, VMS, &[&session]).contains("<value>Paused</value>"));
}

#[test]
fn a_member_of_a_pool_refers_to_its_coordinator() {
    let xen = Xen::start(Pool::new(1, 0), None).unwrap();
    xen.refer("sim", "192.0.2.1");
    let answer = call(&xen, LOGIN, &["sim", "sim-secret", "1.0", "test"]);
    assert_eq!(failed(&answer), ["HOST_IS_SLAVE", "192.0.2.1"]);
    xen.refer("other.example.com", "192.0.2.1");
    xen.fail(LOGIN, 1, "HOST_STILL_BOOTING", []);
    assert_eq!(
        failed(&call(&xen, LOGIN, &["sim", "sim-secret"])),
        ["HOST_STILL_BOOTING"]
    );
    log_in(&xen);
}

#[test]
fn events_are_told_once() {
    let xen = Xen::start(Pool::new(1, 1), None).unwrap();
    let session = log_in(&xen);
    let both = "<array><data><value>host</value><value>vm</value></data></array>";
    let from = |token: &str, seconds: &str| {
        call(
            &xen,
            "event.from",
            &[&session, both, token, &format!("<double>{seconds}</double>")],
        )
    };
    let all = succeeded(from("", "0"));
    // A host, its control domain, and four others.
    assert_eq!(all.matches("<name>operation</name>").count(), 6);
    let token = member(&all, "token");
    let none = succeeded(from(&token, "0"));
    assert_eq!(none.matches("<name>operation</name>").count(), 0);
    let news = thread::scope(|scope| {
        let waiting = scope.spawn(|| succeeded(from(&token, "60")));
        assert!(xen.wait_for_listener(Duration::from_secs(60)));
        xen.set(&Pool::vm("vm1"), "name_label", Some("new"));
        waiting.join().unwrap()
    });
    assert_eq!(member(&news, "name_label"), "new");
    assert_ne!(member(&news, "token"), token);
    assert_eq!(failed(&from("x", "0")), ["EVENT_FROM_TOKEN_PARSE_FAILURE", "x"]);
    xen.lose_events();
    assert_eq!(failed(&from(&token, "0")), ["EVENTS_LOST"]);
    succeeded(from("", "0"));
    let odd = call(
        &xen,
        "event.from",
        &[
            &session,
            "<array><data><value>pif</value></data></array>",
            "",
            "<double>0</double>",
        ],
    );
    assert_eq!(failed(&odd), ["EVENT_SUBSCRIPTION_PARSE_FAILURE", "pif"]);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| from("", "60"));
        waiting.join().unwrap();
        let token = member(&from("", "0"), "token");
        let waiting = scope.spawn(move || from(&token, "60"));
        assert!(xen.wait_for_listener(Duration::from_secs(60)));
        xen.expire_sessions();
        assert_eq!(failed(&waiting.join().unwrap())[0], "SESSION_INVALID");
    });
}
