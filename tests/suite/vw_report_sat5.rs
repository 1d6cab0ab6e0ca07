//! `vw-report-sat5` as its users meet it, against the simulated Satellite 5.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vw_sim::http::{Fault, Response, Server};
use vw_sim::satellite5::{Account, GuestState, Satellite5, Settings, Trouble};

use crate::support::{Outcome, Run, is_utc};

mod printed;

mod once;
mod told;

/// So that what failed for now is not tried again.
const ONCE: [&str; 2] = ["--timeout", "2"];

mod documents;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-report-sat5");
const WEB: &str = "564dae86-0000-1000-8000-00000000000A";
const DB: &str = "564dae86-0000-1000-8000-00000000000b";

const LOGIN: &str = "auth.login";
const REGISTER: &str = "registration.new_system_user_pass";
const NOTIFY: &str = "registration.virt_notify";
const SET_MAP: &str = "distchannel.setMapForOrg";

/// Two hypervisors, one of them with two guests.
fn mapping() -> String {
    json!({"hypervisors": [
        {"uuid": "esx1.example.com", "name": "ESX 1", "guests": [
            {"guestId": WEB, "state": 1, "attributes": {"active": 1, "virtWhoType": "esx"}},
            {"guestId": DB, "state": 5, "attributes": {"active": 0, "virtWhoType": "esx"}}]},
        {"uuid": "esx2.example.com", "guests": []},
    ]})
    .to_string()
}

/// A Satellite 5, and what it takes to report to it.
struct Site {
    satellite: Arc<Satellite5>,
    server: Server,
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Site::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let satellite = Arc::new(Satellite5::new(settings));
        let server = Server::start(satellite.clone(), None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        fs::write(folder.path().join("virt-who.conf"), "").unwrap();
        Site {
            satellite,
            server,
            folder,
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn registration(&self, id: &str) -> String {
        self.file(&format!("state/hypervisor-systemid-{id}"))
    }

    /// The command without server and account, in an environment of its own.
    fn bare(&self) -> Run {
        let state = self.file("state");
        let run = Run::new(PROGRAM).env("VW_CONFIG", &self.file("virt-who.conf"));
        run.args(["--state-dir", &state]).stdin(mapping())
    }

    fn run_as(&self, user: &str) -> Run {
        let (url, password) = (self.server.url(), self.file("password"));
        self.bare()
            .args(["--server", &url, "--username", user, "--password-file", &password])
    }

    fn run(&self) -> Run {
        self.run_as("sim")
    }

    /// The guests' states by their uuids, of each system by its profile's name.
    fn held(&self) -> BTreeMap<String, Vec<(String, GuestState)>> {
        let systems = self.satellite.systems();
        let held = systems.iter().map(|system| {
            let guests = system.guests().into_iter();
            let guests = guests.map(|(uuid, guest)| (uuid.to_owned(), guest.state));
            (system.profile.clone(), guests.collect())
        });
        held.collect()
    }
}

/// The only result line.
#[track_caller]
fn line(outcome: &Outcome) -> Value {
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), 1, "{outcome:?}");
    serde_json::from_str(lines[0]).unwrap()
}

/// The ids of the hypervisors that failed, with their errors.
fn failures(line: &Value) -> Vec<(&str, &str)> {
    let failed = line["failed"].as_array().unwrap().iter();
    failed
        .map(|failed| {
            (
                failed["id"].as_str().unwrap_or(""),
                failed["error"].as_str().unwrap(),
            )
        })
        .collect()
}

/// Fails unless the last line on stderr holds the words, and all before it are warnings.
#[track_caller]
fn failed(outcome: &Outcome, status: i32, words: &str) {
    assert_eq!(outcome.status, status, "{outcome:?}");
    let mut lines: Vec<&str> = outcome.stderr.lines().collect();
    let last = lines.pop().unwrap();
    assert!(last.contains(words), "{outcome:?}");
    let warning = |line: &&str| line.starts_with("vw-report-sat5: warning: ");
    assert!(lines.iter().all(warning), "{outcome:?}");
    assert!(
        !outcome.stderr.contains("sim-secret") && !outcome.stdout.contains("sim-secret"),
        "{outcome:?}"
    );
}

#[test]
fn a_first_report_registers_and_the_next_one_only_notifies() {
    let site = Site::new();
    let first = site.run().run();
    assert_eq!(
        (first.status, first.stderr.as_str()),
        (0, "vw-report-sat5: created the channel hypervisor-base-1\n")
    );
    let mut result = line(&first);
    assert!(
        result
            .as_object_mut()
            .unwrap()
            .remove("seconds")
            .unwrap()
            .is_number()
    );
    assert!(is_utc(
        result
            .as_object_mut()
            .unwrap()
            .remove("time")
            .unwrap()
            .as_str()
            .unwrap()
    ));
    let expected = json!({
        "section": null, "server": site.server.url(), "owner": "1", "state": "finished", "hypervisors": 2, "guests": 2,
        "created": 2, "updated": 0, "unchanged": 0, "omitted": 0, "failed": [], "jobs": [],
    });
    assert_eq!(result, expected);

    let uuid = |id: &str| id.replace('-', "").to_lowercase();
    let held = site.held();
    let guests = vec![(uuid(WEB), GuestState::Running), (uuid(DB), GuestState::Stopped)];
    assert_eq!(held["esx hypervisor esx1.example.com"], guests);
    assert_eq!(held["esx hypervisor esx2.example.com"], []);
    let calls = site.satellite.calls();
    for once in [
        LOGIN,
        "auth.logout",
        "user.getDetails",
        "channel.software.getDetails",
        SET_MAP,
    ] {
        assert_eq!(calls[once], 1, "{once}");
    }
    let systems = site.satellite.systems();
    assert!(
        systems
            .iter()
            .all(|system| system.refreshed == 1 && system.channel == "hypervisor-base-1")
    );
    assert_eq!(site.satellite.open_sessions(), 0);
    let mode = fs::metadata(site.registration("esx1.example.com"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let second = line(&site.run().run());
    assert_eq!((&second["created"], &second["updated"]), (&json!(0), &json!(2)));
    assert_eq!(site.held(), held);
    assert_eq!(
        (site.satellite.registrations(), site.satellite.count(LOGIN)),
        (2, 1)
    );
}

#[test]
fn guests_that_are_gone_count_as_stopped() {
    let site = Site::new();
    assert_eq!(site.run().run().status, 0);
    let without = r#"{"hypervisors":[{"uuid":"esx1.example.com","guests":[]}]}"#;
    assert_eq!(site.run().stdin(without).run().status, 0);
    let held = site.held();
    let guests = &held["esx hypervisor esx1.example.com"];
    assert_eq!(guests.len(), 2);
    assert!(
        guests.iter().all(|(_, state)| *state == GuestState::Stopped),
        "{guests:?}"
    );
}

#[test]
fn a_registration_that_virt_who_kept_is_used() {
    let site = Site::new();
    assert_eq!(site.run().run().status, 0);
    for system in site.satellite.systems() {
        let id = system.profile.rsplit(' ').next().unwrap();
        // As Python 2 wrote it, protocol 0.
        let text = system
            .systemid
            .replace('\\', "\\\\")
            .replace('\'', "\\'")
            .replace('\n', "\\n");
        let pickle = format!("(dp0\nS'channels'\np1\n(lp2\nsS'system_id'\np3\nS'{text}'\np4\ns.");
        fs::write(site.registration(id), pickle).unwrap();
    }
    assert_eq!(line(&site.run().run())["updated"], 2);
    assert_eq!(site.satellite.registrations(), 2);
}

#[test]
fn the_server_is_found_however_it_is_written() {
    let site = Site::new();
    let url = site.server.url();
    for server in ["", "/", "/XMLRPC", "/XMLRPC/", "//XMLRPC", "/rpc/api"] {
        let outcome = site.run().args(["--server", &format!("{url}{server}")]).run();
        assert_eq!(
            outcome.status, 64,
            "an option given twice is refused: {outcome:?}"
        );
        let outcome = site
            .bare()
            .args(["--username", "sim", "--password-file", &site.file("password")]);
        let outcome = outcome.args(["--server", &format!("{url}{server}")]).run();
        assert_eq!(outcome.status, 0, "{server}: {outcome:?}");
    }
    assert_eq!(site.satellite.registrations(), 2);
}

#[test]
fn a_section_says_everything() {
    let site = Site::new();
    let section = format!(
        "[prod]\ntype=xen\nsat_server={}/XMLRPC\nsat_username=sim\nsat_password=sim-secret\n",
        site.server.url()
    );
    fs::write(site.file("virt-who.conf"), section).unwrap();
    for (arguments, kind) in [
        (&[][..], "xen"),
        (&["-n", "prod"], "xen"),
        (&["--type", "esx"], "esx"),
    ] {
        drop(fs::remove_dir_all(site.file("state")));
        let outcome = site.bare().args(arguments).run();
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(line(&outcome)["section"], "prod");
        let profile = format!("{kind} hypervisor esx1.example.com");
        assert_eq!(
            site.satellite.systems().iter().rev().nth(1).unwrap().profile,
            profile
        );
    }
    let outcome = site.bare().args(["-n", "other"]).run();
    outcome.failed(78, "other");
}

#[test]
fn wrong_credentials_are_tried_once_and_keep_no_registered_host_back() {
    let site = Site::new();
    assert_eq!(site.run().run().status, 0);
    fs::remove_file(site.registration("esx2.example.com")).unwrap();
    fs::write(site.file("password"), "wrong-one").unwrap();
    let new = r#"{"hypervisors":[{"uuid":"a","guests":[]},{"uuid":"b","guests":[]},{"uuid":"esx1.example.com","guests":[]}]}"#;
    let outcome = site.run().stdin(new).run();
    failed(&outcome, 77, "vw-report-sat5: a, b: login to http://127.0.0.1:");
    let line = line(&outcome);
    assert_eq!((&line["state"], &line["updated"]), (&json!("partial"), &json!(1)));
    let errors = failures(&line);
    for words in [
        " as \"sim\" failed: ",
        "fault 2950",
        "check user name and password",
    ] {
        assert!(errors[0].1.contains(words), "{errors:?}");
    }
    assert_eq!(errors[0].1, errors[1].1);
    assert_eq!(site.satellite.count(LOGIN), 2);
}

#[test]
fn a_user_without_org_admin_can_report_once_the_map_is_there() {
    let plain = Account {
        org_admin: false,
        ..Account::admin("plain", "sim-secret")
    };
    let site = Site::with(Settings {
        accounts: vec![Account::admin("sim", "sim-secret"), plain],
    });
    let outcome = site.run_as("plain").run();
    outcome.failed(77, "esx1.example.com, esx2.example.com: channel.software.create");
    let told = line(&outcome);
    assert_eq!(told["state"], "failed");
    assert!(failures(&told)[0].1.contains("role channel_admin"), "{told}");
    assert_eq!(site.satellite.open_sessions(), 0);

    assert_eq!(site.run().run().status, 0);
    fs::remove_dir_all(site.file("state")).unwrap();
    site.run_as("plain").run().quiet_success();
}

#[test]
fn a_channel_without_map_gets_one_and_who_may_not_is_told() {
    let channels = Account {
        org_admin: false,
        channel_admin: true,
        ..Account::admin("channels", "sim-secret")
    };
    let site = Site::with(Settings {
        accounts: vec![Account::admin("sim", "sim-secret"), channels],
    });
    // It may make the channel, but not map it.
    let outcome = site.run_as("channels").run();
    assert_eq!(outcome.status, 77, "{outcome:?}");
    let told = line(&outcome);
    let error = failures(&told)[0].1;
    assert!(
        error.contains("no base channel") && error.contains("org_admin"),
        "{error}"
    );
    assert_eq!(
        (site.satellite.channels().len(), site.satellite.maps().len()),
        (1, 0)
    );
    assert_eq!(site.satellite.count(REGISTER), 1, "one is enough to know");

    site.run().run().quiet_success();
    assert_eq!(
        (site.satellite.channels().len(), site.satellite.maps().len()),
        (1, 1)
    );
}

#[test]
fn a_hypervisor_that_was_deleted_is_registered_anew_once() {
    let site = Site::new();
    assert_eq!(site.run().run().status, 0);
    let first = site.satellite.systems()[0].id.clone();
    assert!(site.satellite.delete_system(&first));
    let outcome = site.run().run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let warning = "vw-report-sat5: warning: esx1.example.com: the server does not know its systemid";
    assert!(outcome.stderr.starts_with(warning), "{outcome:?}");
    let line = line(&outcome);
    assert_eq!((&line["created"], &line["updated"]), (&json!(1), &json!(1)));
    assert_eq!(site.held()["esx hypervisor esx1.example.com"].len(), 2);

    // A server that knows none of its own gets no third try.
    site.satellite.trouble(
        NOTIFY,
        1,
        Trouble::Fault(-9, "Invalid System Credentials.".into()),
    );
    site.satellite.trouble(
        NOTIFY,
        2,
        Trouble::Fault(-9, "Invalid System Credentials.".into()),
    );
    let before = site.satellite.registrations();
    failed(
        &site.run().run(),
        69,
        "esx1.example.com: registration.virt_notify",
    );
    assert_eq!(site.satellite.registrations(), before + 1);
}

#[test]
fn what_the_server_has_against_one_hypervisor_does_not_keep_the_others_back() {
    for trouble in [
        (
            NOTIFY,
            Trouble::Fault(1, "caught\nValueError".into()),
            69,
            "fault 1: caught ValueError",
        ),
        (NOTIFY, Trouble::Status(500), 75, "500"),
        (REGISTER, Trouble::Fault(-90, "no slots".into()), 69, "fault -90"),
        (REGISTER, Trouble::Lost(500), 75, "500"),
    ] {
        let site = Site::new();
        let (method, trouble, status, words) = trouble;
        site.satellite.trouble(method, 1, trouble);
        let outcome = site.run().args(ONCE).run();
        assert_eq!(outcome.status, status, "{outcome:?}");
        let line = line(&outcome);
        assert_eq!((&line["state"], &line["created"]), (&json!("partial"), &json!(1)));
        assert_eq!(failures(&line)[0].0, "esx1.example.com");
        assert!(failures(&line)[0].1.contains(words), "{line}");
        assert!(site.held().contains_key("esx hypervisor esx2.example.com"));
    }
}

#[test]
fn a_report_is_tried_again_unless_that_could_register_twice() {
    let site = Site::new();
    site.satellite.trouble(NOTIFY, 1, Trouble::Status(503));
    let outcome = site.run().run();
    assert_eq!(
        (outcome.status, site.satellite.registrations()),
        (0, 2),
        "{outcome:?}"
    );

    let site = Site::new();
    site.satellite.trouble(REGISTER, 1, Trouble::Lost(500));
    assert_eq!(site.run().run().status, 75);
    assert_eq!(
        site.satellite.registrations(),
        2,
        "one is lost, and none made twice"
    );
}

#[test]
fn a_systemid_is_kept_whatever_follows_the_registration() {
    let site = Site::new();
    site.satellite
        .trouble("registration.refresh_hw_profile", 1, Trouble::Status(500));
    site.satellite.trouble(
        "registration.refresh_hw_profile",
        2,
        Trouble::Fault(1, "no".into()),
    );
    let outcome = site.run().args(ONCE).run();
    assert_eq!(failures(&line(&outcome)).len(), 1);
    assert_eq!(line(&site.run().run())["updated"], 2);
    assert_eq!(site.satellite.registrations(), 2, "none twice");
}

#[test]
fn nothing_is_registered_that_could_not_be_kept() {
    let site = Site::new();
    fs::write(site.file("state"), "a file").unwrap();
    let outcome = site.run().run();
    assert_eq!(outcome.status, 74, "{outcome:?}");
    assert!(failures(&line(&outcome))[0].1.contains("state"));
    assert_eq!(site.satellite.calls(), BTreeMap::new());

    // What is registered is reported all the same.
    fs::remove_file(site.file("state")).unwrap();
    assert_eq!(site.run().run().status, 0);
    fs::remove_file(site.file("state/vw-report-sat5.lock")).unwrap();
    fs::create_dir(site.file("state/vw-report-sat5.lock")).unwrap();
    assert_eq!(line(&site.run().run())["updated"], 2);
}

#[test]
fn a_damaged_registration_is_named_and_not_replaced() {
    let site = Site::new();
    assert_eq!(site.run().run().status, 0);
    fs::write(
        site.registration("esx1.example.com"),
        "cos\nsystem\n(S'true'\ntR.",
    )
    .unwrap();
    let outcome = site.run().run();
    assert_eq!(outcome.status, 74);
    let line = line(&outcome);
    assert_eq!((&line["state"], &line["updated"]), (&json!("partial"), &json!(1)));
    assert!(
        failures(&line)[0]
            .1
            .contains("hypervisor-systemid-esx1.example.com can't be used"),
        "{line}"
    );
    assert_eq!(site.satellite.registrations(), 2);
}

#[test]
fn odd_ids_are_reported_where_they_can_be_and_named_where_not() {
    let site = Site::new();
    let long = "long".repeat(50);
    let guest = |id: &str| json!({"guestId": id, "state": 7});
    let mapping = json!({"hypervisors": [
        {"uuid": "rack/7", "guests": [guest(WEB), guest("vm-42"), guest("00000000-0000-0000-0000-000000000000")]},
        {"uuid": long, "guests": [guest(DB)]},
        {"uuid": "a\u{1}b", "guests": []},
        {"uuid": "Twice", "name": "one", "guests": []},
        {"uuid": "tWICE", "name": "two", "guests": []},
        {"uuid": "<&>'\"é", "guests": []},
    ]});
    let outcome = site.run().stdin(mapping.to_string()).run();
    assert_eq!(outcome.status, 65, "{outcome:?}");
    let line = line(&outcome);
    assert_eq!(
        (&line["state"], &line["created"], &line["hypervisors"]),
        (&json!("partial"), &json!(3), &json!(6))
    );
    let errors: BTreeMap<_, _> = failures(&line).into_iter().collect();
    assert_eq!(
        errors.keys().copied().collect::<Vec<_>>(),
        ["Twice", "a\u{1}b", "rack/7", "tWICE"]
    );
    assert!(
        errors["rack/7"].contains("\"vm-42\"") && errors["rack/7"].contains("is zero"),
        "{errors:?}"
    );
    assert!(errors["a\u{1}b"].contains("U+0001"), "{errors:?}");
    let held = site.held();
    assert_eq!(held["esx hypervisor rack/7"].len(), 1);
    assert_eq!(held.values().map(Vec::len).sum::<usize>(), 2);
    assert!(held.contains_key("esx hypervisor <&>'\"é"));

    site.run().stdin(mapping.to_string()).run();
    assert_eq!(site.satellite.registrations(), 3, "each is found again");
}

#[test]
fn an_empty_mapping_is_refused_unless_it_is_allowed() {
    let site = Site::new();
    for empty in [
        r#"{"hypervisors":[]}"#,
        r#"{"hypervisors":[{"guests":[{"guestId":"1","state":1}]}]}"#,
    ] {
        let outcome = site.run().stdin(empty).run();
        failed(&outcome, 65, "--allow-empty");
        assert_eq!(line(&outcome)["state"], "failed");
        let outcome = site.run().args(["--allow-empty"]).stdin(empty).run();
        assert_eq!(
            (outcome.status, &line(&outcome)["state"]),
            (0, &json!("finished"))
        );
        assert_eq!(
            outcome.stderr.contains("rhn-virtualization-host"),
            empty.contains("guests"),
            "{outcome:?}"
        );
    }
    assert_eq!(site.satellite.calls(), BTreeMap::new());
}

#[test]
fn each_document_of_a_stream_has_its_line_and_what_is_none_has_none() {
    let site = Site::new();
    // Of one source the newest would replace the others.
    let of = |section: &str, document: String| {
        document.replacen('{', &format!("{{\"source\":{{\"section\":\"{section}\"}},"), 1)
    };
    let stream = of("a", mapping()) + "{\"hypervisors\":[]}" + &of("b", mapping());
    let outcome = site.run().stdin(stream).run();
    assert_eq!(outcome.status, 65, "{outcome:?}");
    let states: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["state"].clone())
        .collect();
    assert_eq!(states, ["finished", "failed", "finished"]);

    for (input, status) in [("", 66), (&mapping()[..40], 66), ("no json", 65)] {
        let outcome = site.run().stdin(input).run();
        assert_eq!(
            (outcome.status, outcome.stdout.as_str()),
            (status, ""),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_dry_run_prints_the_plans_and_needs_no_server() {
    let site = Site::new();
    let printed = site.bare().args(["--dry-run"]).run().quiet_success();
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["profile"], "esx hypervisor esx1.example.com");
    assert_eq!(lines[0]["registered"], false);
    assert_eq!(lines[0]["plan"].as_array().unwrap().len(), 5);
    assert_eq!(
        lines[0]["plan"][2][3]["name"],
        format!("VM {WEB} from esx hypervisor esx1.example.com")
    );
    assert_eq!(lines[1]["plan"][2], json!([0, "crawl_ended", "system", {}]));
    assert!(!fs::exists(site.file("state")).unwrap());

    assert_eq!(site.run().run().status, 0);
    let calls = site.satellite.calls();
    let printed = site.run().args(["--dry-run"]).run().quiet_success();
    assert_eq!(printed.matches("\"registered\":true").count(), 2);
    assert_eq!(site.satellite.calls(), calls);
}

#[test]
fn a_server_that_fails_ends_the_report_and_the_rest_is_named() {
    let html = || {
        Response::new(
            200,
            "text/html",
            "<!DOCTYPE html><html><title>Proxy</title></html>",
        )
    };
    type Misdeed = Box<dyn Fn() -> Fault + Send>;
    let misdeeds: [(Misdeed, i32, &str); 6] = [
        (Box::new(|| Fault::Close), 75, "ended before"),
        (Box::new(|| Fault::Cut(20)), 75, "ended before"),
        (Box::new(move || Fault::Answer(html())), 76, "HTML page"),
        (
            Box::new(|| Fault::Answer(Response::new(200, "text/xml", "<methodResponse/>"))),
            76,
            "not XML-RPC",
        ),
        (
            Box::new(|| Fault::Answer(Response::new(404, "text/plain", "no"))),
            76,
            "no Satellite 5 or Spacewalk answers there; check the server's address",
        ),
        (
            Box::new(|| Fault::Answer(Response::new(401, "text/plain", "no"))),
            77,
            "401",
        ),
    ];
    for (misdeed, status, words) in misdeeds {
        let site = Site::new();
        assert_eq!(site.run().run().status, 0);
        // The first hypervisor's is let through.
        let mut seen = 0;
        site.server.misbehave(move |_, _| {
            seen += 1;
            (seen > 1).then(&misdeed)
        });
        let three = json!({"hypervisors": [
            {"uuid": "esx1.example.com", "guests": []},
            {"uuid": "esx2.example.com", "guests": []},
            {"uuid": "esx3", "guests": []},
        ]});
        let outcome = site.run().args(ONCE).stdin(three.to_string()).run();
        failed(&outcome, status, words);
        let line = line(&outcome);
        assert_eq!((&line["state"], &line["updated"]), (&json!("failed"), &json!(1)));
        let ids: Vec<&str> = failures(&line).iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, ["esx2.example.com", "esx3"]);
    }
    let site = Site::new();
    let closed = site.bare().args(["--server", "127.0.0.1:1", "--username", "sim"]);
    let outcome = closed
        .args(["--password-file", &site.file("password")])
        .args(ONCE)
        .run();
    failed(&outcome, 75, "connection refused");
}

#[test]
fn a_session_is_closed_on_each_way_out() {
    for method in ["user.getDetails", "channel.software.getDetails", SET_MAP] {
        let site = Site::new();
        site.satellite.trouble(method, 1, Trouble::Status(503));
        let outcome = site.run().args(ONCE).run();
        assert_eq!(outcome.status, 75, "{outcome:?}");
        assert_eq!(
            (
                site.satellite.count("auth.logout"),
                site.satellite.open_sessions()
            ),
            (1, 0),
            "{method}"
        );
    }
}

#[test]
fn a_signal_ends_it_after_the_log_out() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let site = Site::new();
        // The second request is the first within the session.
        site.server
            .misbehave(|number, _| (number == 2).then_some(Fault::Silence));
        let (url, password) = (site.server.url(), site.file("password"));
        let mut child = Command::new(PROGRAM)
            .args([
                "--server",
                &url,
                "--username",
                "sim",
                "--password-file",
                &password,
            ])
            .args(["--state-dir", &site.file("state")])
            .env("VW_CONFIG", site.file("virt-who.conf"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(mapping().as_bytes())
            .unwrap();
        until(|| site.server.requests().len() == 2);
        send_signal(&child, signal);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        assert_eq!(
            (
                site.satellite.count("auth.logout"),
                site.satellite.open_sessions()
            ),
            (1, 0)
        );
        let line: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(line["state"], "failed");
    }
}

fn send_signal(child: &Child, signal: &str) {
    let kill = format!("kill -{signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

/// Waits for something that another process brings about.
fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !what() {
        assert!(Instant::now() < end, "nothing happened");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_is_missing_is_named() {
    let site = Site::new();
    site.bare().run().failed(78, "--server");
    site.bare()
        .args(["--server", "sat"])
        .run()
        .failed(78, "--username");
    site.run().args(["--type", ""]).run().failed(64, "--type");
    site.bare()
        .args(["--server", "https://user:s3cret@sat", "-u", "sim"])
        .run()
        .failed(78, "user name and password");
}
