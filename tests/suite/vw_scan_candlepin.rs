//! `vw-scan-candlepin` as its users meet it, against the simulated Candlepin.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use vw_sim::candlepin::{Access, Account, Candlepin, Generation, Settings};
use vw_sim::http::{Authority, Certificate, Client, Fault, Response, Server};

use crate::support::{Outcome, Run, candlepin, ended, is_utc, signals, until, with_time};

const SCAN: &str = env!("CARGO_BIN_EXE_vw-scan-candlepin");
const REPORT: &str = env!("CARGO_BIN_EXE_vw-report-candlepin");
const DIFF: &str = env!("CARGO_BIN_EXE_vw-diff");

/// Two hypervisors, one of them with two guests.
const MAPPING: &str = r#"{"hypervisors":[
  {"uuid":"H2","name":"esx2.example.com","facts":{},"guests":[]},
  {"uuid":"h1","name":"esx1.example.com","parent":{"id":"domain-c7"},
   "facts":{"hypervisor.type":"VMware ESXi","cpu.cpu_socket(s)":"2"},
   "guests":[{"guestId":"g2","state":1,"attributes":{"active":1,"virtWhoType":"esx"},"name":"web1"},
             {"guestId":"G1","state":5,"attributes":{"active":0,"virtWhoType":"esx"}}]}],
 "source":{"section":"prod"}}"#;

/// A Candlepin, and the files of its user.
struct Site {
    candlepin: Arc<Candlepin>,
    server: Server,
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Site::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (candlepin, server, folder) = candlepin(change);
        Site {
            candlepin,
            server,
            folder,
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, program: &str) -> Run {
        self.run_as(program, "/candlepin", "sim", "sim")
    }

    fn run_as(&self, program: &str, path: &str, owner: &str, user: &str) -> Run {
        let url = self.server.url() + path;
        Run::new(program)
            .env("VW_CONFIG", &self.file("virt-who.conf"))
            .args(["--server", &url, "--owner", owner, "--username", user])
            .args(["--password-file", &self.file("password")])
    }

    fn report(&self, input: &str, options: &[&str]) {
        let outcome = self.run(REPORT).args(options).stdin(input).run();
        assert_eq!(outcome.status, 0, "{outcome:?}");
    }

    fn scan(&self, options: &[&str]) -> Outcome {
        self.run(SCAN).args(options).run()
    }

    /// Compares what the server holds with a mapping.
    fn diff(&self, mapping: &str) -> Outcome {
        let held = self.scan(&[]).quiet_success();
        std::fs::write(self.file("held.json"), held).unwrap();
        Run::new(DIFF)
            .args([&self.file("held.json"), "-"])
            .stdin(mapping)
            .run()
    }

    /// How many requests came for a path with this in it.
    fn count(&self, part: &str) -> usize {
        let requests = self.server.requests();
        requests
            .iter()
            .filter(|logged| logged.request.path.contains(part))
            .count()
    }
}

/// A document of this many hypervisors with a guest each.
fn many(count: usize) -> String {
    let host = |n: usize| {
        format!(
            r#"{{"uuid":"h{n:05}","name":"n{n}","facts":{{}},"guests":[{{"guestId":"g{n}","state":1}}]}}"#
        )
    };
    let hosts: Vec<String> = (0..count).map(host).collect();
    format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(","))
}

fn hypervisors(document: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(document).unwrap();
    document["hypervisors"].as_array().unwrap().clone()
}

#[test]
fn what_the_server_holds_is_printed_as_a_mapping() {
    for generation in [Generation::Current, Generation::Old] {
        let site = Site::with(|settings| settings.generation = generation);
        site.report(MAPPING, &["--reporter-id", "us"]);
        let mut document: Value = serde_json::from_str(&site.scan(&["--stamp"]).quiet_success()).unwrap();
        for hypervisor in document["hypervisors"].as_array_mut().unwrap() {
            let members = hypervisor.as_object_mut().unwrap();
            assert!(
                members
                    .remove("lastCheckin")
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .ends_with("+0000")
            );
        }
        let time = document["source"]
            .as_object_mut()
            .unwrap()
            .remove("time")
            .unwrap();
        assert!(is_utc(time.as_str().unwrap()), "{time}");
        let expected = json!({
            "hypervisors": [
                {"uuid": "h1", "guests": [{"guestId": "G1"}, {"guestId": "g2"}], "name": "esx1.example.com",
                 "facts": {"cpu.cpu_socket(s)": "2", "hypervisor.type": "VMware ESXi"}, "reporterId": "us"},
                {"uuid": "h2", "guests": [], "name": "esx2.example.com", "reporterId": "us"}],
            "source": {"type": "candlepin", "server": site.server.address().to_string(), "owner": "sim"}});
        assert_eq!(document, expected);
    }
}

#[test]
fn the_checkin_layout_has_nothing_of_ours() {
    let site = Site::new();
    site.report(MAPPING, &[]);
    assert_eq!(
        site.scan(&["--layout", "checkin"]).quiet_success(),
        concat!(
            r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"h1"},"name":"esx1.example.com","#,
            r#""guestIds":[{"guestId":"G1"},{"guestId":"g2"}],"#,
            r#""facts":{"cpu.cpu_socket(s)":"2","hypervisor.type":"VMware ESXi"}},"#,
            r#"{"hypervisorId":{"hypervisorId":"h2"},"name":"esx2.example.com","guestIds":[]}]}"#,
            "\n"
        )
    );
}

#[test]
fn an_owner_without_hypervisors_is_an_empty_mapping() {
    let site = Site::new();
    assert_eq!(hypervisors(&site.scan(&[]).quiet_success()), [Value::Null; 0]);
    let checked = site.scan(&["--check"]).quiet_success();
    assert!(
        checked.ends_with("Candlepin 4.7.5, 0 hypervisors of owner sim can be read\n"),
        "{checked}"
    );
}

#[test]
fn a_large_owner_is_read_in_pages_by_several_connections_in_a_fixed_order() {
    let site = Site::new();
    site.report(&many(1_203), &["--batch", "2000"]);
    let read = site.scan(&[]).quiet_success();
    let ids: Vec<String> = hypervisors(&read)
        .iter()
        .map(|one| one["uuid"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (0..1_203).map(|n| format!("h{n:05}")).collect();
    assert_eq!(ids, expected);
    assert_eq!(
        (site.count("/owners/"), site.count("/consumers/")),
        (3, 2 * 1_203)
    );
    for at_once in ["1", "7", "32"] {
        assert_eq!(site.scan(&["-j", at_once]).quiet_success(), read, "-j {at_once}");
    }
    site.scan(&["-j", "0"]).failed(64, "not a number from 1 to 32");
}

#[test]
fn as_many_requests_run_at_once_as_allowed() {
    let site = Site::new();
    site.report(&many(12), &[]);
    let before = site.server.requests().len();
    // Each connection waits until the third has come, and a fourth never comes: the test would not end without three at once.
    let waiting = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = waiting.clone();
    site.server.misbehave(move |_, request| {
        if request.path.contains("/consumers/") {
            seen.lock().unwrap().insert(request.path.clone());
        }
        (request.path.contains("/consumers/") && seen.lock().unwrap().len() < 3).then_some(Fault::Silence)
    });
    let (mut child, stdin) = site
        .run(SCAN)
        .args(["-j", "3"])
        .start(std::process::Stdio::null());
    until(|| waiting.lock().unwrap().len() >= 3);
    assert!(site.server.requests().len() > before);
    assert!(
        site.server.connections() <= 4,
        "three readers, and the one that read the list"
    );
    signals::send(&child, "TERM");
    assert_eq!(ended(&mut child).unwrap().code(), Some(143));
    drop(stdin);
}

#[test]
fn what_is_reported_is_read_back_as_the_same() {
    let site = Site::new();
    let before = site.diff(MAPPING);
    assert_eq!(before.status, 1);
    assert!(
        before
            .stdout
            .starts_with("host came: esx1.example.com (h1) with 2 guests\n"),
        "{before:?}"
    );
    site.report(MAPPING, &[]);
    assert_eq!(site.diff(MAPPING).quiet_success(), "");
    let changed = MAPPING.replace(r#""2"}"#, r#""4"}"#);
    let told = site.diff(&changed);
    assert_eq!(
        told.stdout,
        "host changed: esx1.example.com (h1): cpu.cpu_socket(s) 2 -> 4\n"
    );
    assert_eq!(told.status, 1);
}

/// A mapping with ids that are different ignoring case, with facts that the server takes.
fn mapping() -> impl Strategy<Value = String> {
    let word = "[a-zA-Z0-9äöß ._%/+-]{1,12}";
    let guest = (0..8_u8, proptest::option::of(word));
    let guests = proptest::collection::btree_map("[a-z0-9/%+?# é-]{1,10}", guest, 0..6);
    let facts = proptest::collection::btree_map("[a-z. ]{1,10}", word, 0..4);
    let host = (word, guests, facts, any::<bool>());
    let hosts = proptest::collection::btree_map("[a-z0-9/%+?# é-]{1,10}", host, 1..6);
    hosts.prop_map(|hosts| {
        let hosts: Vec<Value> = hosts
            .into_iter()
            .map(|(id, (name, guests, facts, is_upper))| {
                let guests: Vec<Value> = guests
                    .into_iter()
                    .map(|(id, (state, name))| {
                        let active = u8::from(matches!(state, 1 | 3));
                        let id = if is_upper { id.to_uppercase() } else { id };
                        json!({"guestId": id, "state": state, "name": name,
                               "attributes": {"active": active, "virtWhoType": "esx"}})
                    })
                    .collect();
                let id = if is_upper { id.to_uppercase() } else { id };
                let facts: BTreeMap<String, String> = facts;
                json!({"uuid": id, "name": name, "guests": guests, "facts": facts})
            })
            .collect();
        json!({"hypervisors": hosts}).to_string()
    })
}

proptest! {
    // Each case starts a server and three commands.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_mapping_that_is_reported_is_read_back_as_the_same(mapping in mapping()) {
        let site = Site::new();
        site.report(&mapping, &[]);
        let outcome = site.diff(&mapping);
        prop_assert_eq!((outcome.status, &*outcome.stdout), (0, ""), "{} {:?}", mapping, outcome);
    }
}

#[test]
fn a_wrong_password_is_tried_once() {
    let site = Site::new();
    site.report(MAPPING, &[]);
    std::fs::write(site.file("password"), "wrong").unwrap();
    let before = site.count("/owners/");
    let outcome = site.scan(&["-j", "8"]);
    outcome.failed(77, "as \"sim\" failed: wrong user name or password");
    assert!(outcome.stderr.contains("correlation id "), "{outcome:?}");
    assert_eq!(
        (outcome.stdout.as_str(), site.count("/owners/") - before),
        ("", 1)
    );
}

#[test]
fn an_unknown_owner_a_missing_role_and_a_wrong_path_are_told() {
    let site = Site::with(|settings| {
        settings.accounts.push(Account {
            username: "roleless".into(),
            password: "sim-secret".into(),
            access: Access::Nothing,
        });
    });
    let scan = |path, owner, user| site.run_as(SCAN, path, owner, user).run();
    let words = "owner \"Sim\" is unknown (upper and lower case differ)";
    scan("/candlepin", "Sim", "sim").failed(69, words);
    scan("/candlepin", ".", "sim").failed(64, "it would change the path of the request");
    let words = "does not let user \"roleless\" read; check the user's role for owner \"sim\"";
    scan("/candlepin", "sim", "roleless").failed(77, words);
    scan("/other", "sim", "sim").failed(76, "no Candlepin answers at");
    let check = site
        .run_as(SCAN, "/candlepin", "x", "sim")
        .args(["--check"])
        .run();
    check.failed(69, "owner \"x\" is unknown");
}

#[test]
fn a_system_may_not_read() {
    let authority = Authority::new().unwrap();
    let tls = authority.issue(&Certificate::Good).unwrap();
    let mut site = Site::new();
    let uuid = site.candlepin.register("sim", "here", BTreeMap::new()).unwrap();
    site.server = Server::start(site.candlepin.clone(), Some(tls)).unwrap();
    let Client { certificate, key } = authority.issue_client(&uuid).unwrap();
    std::fs::write(site.file("both.pem"), certificate + &key).unwrap();
    std::fs::write(site.file("ca.pem"), authority.pem()).unwrap();
    let url = format!("{}/candlepin", site.server.url());
    let outcome = Run::new(SCAN)
        .env("VW_CONFIG", &site.file("virt-who.conf"))
        .args([
            "--server",
            &url,
            "--owner",
            "sim",
            "--cert",
            &site.file("both.pem"),
        ])
        .args(["--cacert", &site.file("ca.pem")])
        .run();
    outcome.failed(
        77,
        "does not let a system read the hypervisors; log in as a user (--username)",
    );
}

#[test]
fn temporary_failures_are_tried_again_request_by_request() {
    let site = Site::new();
    site.report(&many(20), &[]);
    let failures = Arc::new(AtomicUsize::new(0));
    let count = failures.clone();
    site.server.misbehave(move |number, request| {
        let is_third = request.method == "GET" && number.is_multiple_of(3);
        is_third.then(|| {
            count.fetch_add(1, Ordering::Relaxed);
            Fault::Answer(Response::new(503, "text/plain", "busy"))
        })
    });
    let outcome = site.scan(&[]);
    assert_eq!(
        (outcome.status, hypervisors(&outcome.stdout).len()),
        (0, 20),
        "{outcome:?}"
    );
    let warnings = outcome.stderr.lines().count();
    assert_eq!(warnings, failures.load(Ordering::Relaxed));
    assert!(outcome.stderr.contains("trying again in"), "{outcome:?}");
}

#[test]
fn a_list_that_changes_between_its_pages_is_read_again() {
    let site = Site::new();
    site.report(&many(700), &["--batch", "1000"]);
    let late = Arc::new(Mutex::new(Some(site.candlepin.clone())));
    site.server.misbehave(move |_, request| {
        if request.query.contains("page=2")
            && let Some(candlepin) = late.lock().unwrap().take()
        {
            // Somebody reports while the pages are read.
            let login = "Basic c2ltOnNpbS1zZWNyZXQ=";
            let report = vw_sim::http::Request {
                method: "POST".into(),
                path: "/candlepin/hypervisors/sim".into(),
                query: "reporter_id=other".into(),
                headers: [("Authorization", login), ("Content-Type", "text/plain")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .to_vec(),
                body:
                    br#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"late"},"name":"l","guestIds":[]}]}"#
                        .to_vec(),
                ..Default::default()
            };
            let answer = vw_sim::http::Service::answer(&*candlepin, &report);
            assert_eq!(answer.status, 200);
            assert!(candlepin.hypervisors("sim").contains_key("late"));
        }
        None
    });
    let outcome = site.scan(&[]);
    assert_eq!(
        (outcome.status, hypervisors(&outcome.stdout).len()),
        (0, 701),
        "{}",
        outcome.stderr
    );
    let warning = "warning: the list of hypervisors changed while it was read; trying again in";
    assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
}

#[test]
fn a_hypervisor_that_is_deleted_meanwhile_is_left_out() {
    let site = Site::new();
    site.report(&many(5), &[]);
    let gone = site.candlepin.hypervisors("sim")["h00003"].uuid.clone();
    let candlepin = site.candlepin.clone();
    site.server.misbehave(move |_, request| {
        if request.path.contains("/owners/") {
            candlepin.unregister(&gone);
        }
        None
    });
    let read = hypervisors(&site.scan(&[]).quiet_success());
    let ids: Vec<&str> = read.iter().map(|one| one["uuid"].as_str().unwrap()).collect();
    assert_eq!(ids, ["h00000", "h00001", "h00002", "h00004"]);
}

/// A server whose list has this body and, if `link` says so, another page.
fn listing(site: &Site, body: impl Fn() -> String + Send + 'static, link: &'static str) {
    site.server.misbehave(move |_, request| {
        request.path.contains("/owners/").then(|| {
            let mut response = Response::new(200, "application/json", body());
            response.headers.push(("Link".into(), link.into()));
            Fault::Answer(response)
        })
    });
}

#[test]
fn odd_lists_are_told_and_do_not_run_for_ever() {
    let site = Site::new();
    const NEXT: &str = "<https://evil.example.com/?page=2>; rel=\"next\"";
    let entry = |n: usize| format!(r#"{{"uuid":"u{n}","hypervisorId":{{"hypervisorId":"h{n}"}}}}"#);
    listing(&site, move || format!("[{}]", entry(1)), NEXT);
    site.scan(&[])
        .failed(76, "a page that is not full before the last");
    // The same full page again and again.
    let page: Vec<String> = (0..500).map(entry).collect();
    let page = format!("[{}]", page.join(","));
    listing(&site, move || page.clone(), NEXT);
    let outcome = with_time(&["changed while it was read"], |limit| {
        site.scan(&["--timeout", limit])
    });
    outcome.failed_at_last(75, "the list of hypervisors changed while it was read");
    listing(&site, || r#"{"hypervisors":[]}"#.to_owned(), "");
    site.scan(&[]).failed(76, "the answer is not one of Candlepin");
    // A consumer that is no hypervisor can't be in a mapping.
    listing(&site, || r#"[{"uuid":"u1","hypervisorId":null}]"#.to_owned(), "");
    let outcome = site.scan(&[]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let expected = json!([{"kind": "host", "id": "u1", "stage": "vw-scan-candlepin",
                           "reason": "the consumer has no hypervisorId"}]);
    assert_eq!(
        (&document["hypervisors"], &document["omitted"]),
        (&json!([]), &expected)
    );
    assert!(
        site.scan(&["--no-omitted"])
            .stdout
            .ends_with("\"owner\":\"sim\"}}\n")
    );
}

#[test]
fn a_failure_in_the_middle_leaves_no_whole_document() {
    let site = Site::new();
    site.report(&many(40), &[]);
    site.server.misbehave(|_, request| {
        let is_late = request.path.ends_with("/guestids");
        is_late.then(|| Fault::Answer(Response::new(200, "application/json", "[{}]")))
    });
    let outcome = site.scan(&[]);
    outcome.failed(76, "asking for the guests of hypervisor h0000");
    assert!(
        serde_json::from_str::<Value>(&outcome.stdout).is_err(),
        "{outcome:?}"
    );
}

#[test]
fn a_deadline_and_a_signal_end_all_connections() {
    let site = Site::new();
    site.report(&many(40), &[]);
    site.server
        .misbehave(|_, request| request.path.contains("/consumers/").then_some(Fault::Silence));
    let outcome = with_time(&["see --timeout"], |limit| site.scan(&["--timeout", limit]));
    outcome.failed_at_last(75, "see --timeout");
    let before = site.count("/consumers/");
    signals::not_ignored();
    let (mut child, stdin) = site.run(SCAN).start(std::process::Stdio::piped());
    until(|| site.count("/consumers/") >= before + 4);
    signals::send(&child, "INT");
    assert_eq!(ended(&mut child).unwrap().code(), Some(130));
    drop(stdin);
}

#[test]
fn a_full_disk_is_an_error_and_a_missing_reader_is_not() {
    let site = Site::new();
    site.report(&many(3), &[]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let outcome = site.run(SCAN).run_with_stdout(full);
    outcome.failed(74, "No space left on device");
    // Nobody reads, and nothing has been written yet.
    site.server
        .misbehave(|_, request| request.path.ends_with("/guestids").then_some(Fault::Silence));
    let (mut child, stdin) = site.run(SCAN).start(std::process::Stdio::piped());
    drop(child.stdout.take());
    assert_eq!(ended(&mut child).unwrap().code(), Some(0));
    drop(stdin);
}

#[test]
fn progress_is_shown_on_a_terminal_and_fits_it() {
    let site = Site::new();
    site.report(&many(9), &[]);
    site.server.misbehave(|_, request| {
        request
            .path
            .ends_with("/guestids")
            .then_some(Fault::Delay(Duration::from_millis(300)))
    });
    let shown = site.run(SCAN).args(["-j", "1"]).run_on_terminal(80).stdout;
    assert!(shown.contains("of 9 hypervisors, "), "{shown}");
}

#[test]
fn the_section_says_where_to_read_and_a_section_without_an_owner_is_refused() {
    let site = Site::new();
    site.report(MAPPING, &[]);
    let section = format!(
        "[prod]\ntype=esx\nserver=vc\nowner=sim\nrhsm_hostname={}\nrhsm_prefix=/candlepin\nrhsm_username=sim\n\
         rhsm_password=sim-secret\n[bare]\ntype=esx\nserver=vc\n[sat]\nowner=x\nsat_server=sat\n",
        site.server.url()
    );
    std::fs::write(site.file("a.conf"), section).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(site.file("a.conf"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let scan = |args: &[&str]| {
        Run::new(SCAN)
            .env("VW_CONFIG", &site.file("a.conf"))
            .args(args)
            .run()
    };
    for args in [&[][..], &["-n", "prod"]] {
        let document: Value = serde_json::from_str(&scan(args).quiet_success()).unwrap();
        assert_eq!(document["source"]["section"], "prod");
        assert_eq!(document["hypervisors"].as_array().map(Vec::len), Some(2));
    }
    scan(&["-n", "bare"]).failed(78, "[bare] owner");
}
