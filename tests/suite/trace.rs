//! `--trace` of the reporters: their exchanges with a server, without secrets. The scan's trace is tested with its options.

use std::fs;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use vw_sim::candlepin::{self, Candlepin, JobTime};
use vw_sim::http::{Server, Service};
use vw_sim::satellite5::{self, Satellite5};
use vw_sim::vcenter::{Inventory, VCenter};

use crate::support::Run;

const MAPPING: &str = r#"{"hypervisors":[{"uuid":"esx1","name":"ESX 1","guests":[
    {"guestId":"564dae86-0000-1000-8000-00000000000a","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}]}]}"#;

/// A server that keeps the bodies of its requests, and a folder.
struct Site {
    server: Server,
    bodies: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

impl Site {
    fn new(service: Arc<dyn Service>) -> Self {
        let server = Server::start(service, None).unwrap();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&bodies);
        server.misbehave(move |_, request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            seen.lock().unwrap().push(body);
            None
        });
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        fs::write(folder.path().join("virt-who.conf"), "").unwrap();
        Site {
            server,
            bodies,
            folder,
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, program: &str, trace: &str) -> Run {
        let (password, trace) = (self.file("password"), self.file(trace));
        let run = Run::new(program).env("VW_CONFIG", &self.file("virt-who.conf"));
        run.args(["-u", "sim", "--password-file", &password, "--trace", &trace])
            .stdin(MAPPING)
    }

    /// The contents of all files whose names end with this.
    fn traced(&self, trace: &str, end: &str) -> String {
        let entries = fs::read_dir(self.folder.path().join(trace)).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.to_str().unwrap().ends_with(end));
        paths.sort();
        paths
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }
}

/// The text between the first two of these.
fn between<'t>(text: &'t str, open: &str, close: &str) -> &'t str {
    text.split_once(open).unwrap().1.split_once(close).unwrap().0
}

#[test]
fn the_trace_of_a_satellite_has_no_password_session_or_systemid() {
    let site = Site::new(Arc::new(Satellite5::new(satellite5::Settings::default())));
    let (url, state) = (site.server.url(), site.file("state"));
    for trace in ["registered", "again"] {
        let run = site.run(env!("CARGO_BIN_EXE_vw-report-sat5"), trace);
        let outcome = run
            .args(["--server", &url, "--state-dir", &state, "--force"])
            .run();
        assert_eq!(outcome.status, 0, "{outcome:?}");
    }
    let bodies = site.bodies.lock().unwrap();
    let of = |method: &str| {
        let called = format!("<methodName>{method}</methodName>");
        bodies.iter().find(|body| body.contains(&called)).unwrap()
    };
    let session = between(of("user.getDetails"), "<string>", "</string>");
    let systemid = between(of("registration.virt_notify"), "<string>", "</string>");
    let is_hex = |word: &&str| word.len() >= 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let checksum = systemid
        .split(|c: char| !c.is_alphanumeric())
        .find(is_hex)
        .unwrap();
    assert!(session.len() > 8, "{session}");
    let traced = site.traced("registered", "") + &site.traced("again", "");
    for secret in ["sim-secret", session, checksum] {
        assert!(!traced.contains(secret), "{secret} in {traced}");
    }
    let report = site.traced("again", "registration.virt_notify-request.http");
    assert!(report.contains("<string>(redacted)</string>"), "{report}");
    assert!(report.contains("564dae86000010008000"), "{report}");
    assert!(
        site.traced("registered", "auth.logout-response.http")
            .starts_with("HTTP/1.1 200\r\n")
    );
}

#[test]
fn the_trace_of_a_candlepin_has_no_credentials() {
    let settings = candlepin::Settings {
        job_time: JobTime::Polls(0),
        ..candlepin::Settings::default()
    };
    let site = Site::new(Arc::new(Candlepin::new(settings)));
    let url = format!("{}/candlepin", site.server.url());
    let run = site.run(env!("CARGO_BIN_EXE_vw-report-candlepin"), "trace");
    let outcome = run.args(["--server", &url, "--owner", "sim"]).run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let traced = site.traced("trace", "");
    // "sim:sim-secret" in base64.
    for secret in ["sim-secret", "c2ltOnNpbS1zZWNyZXQ"] {
        assert!(!traced.contains(secret), "{traced}");
    }
    let requests = site.traced("trace", "-request.http");
    assert!(
        requests.contains("Authorization: Basic (redacted)\r\n"),
        "{requests}"
    );
    assert!(
        requests.contains("564dae86-0000-1000-8000-00000000000a"),
        "{requests}"
    );
    assert_eq!(
        requests.matches(" HTTP/1.1\r\n").count(),
        site.server.requests().len()
    );
}

#[test]
fn a_trace_does_not_hold_answers_in_memory() {
    let vcenter = VCenter::start(Inventory::new(400, 30_000), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(folder.path().join("password"), "sim-secret").unwrap();
    let (url, password, trace) = (vcenter.url(), file("password"), file("trace"));
    let scan = |more: &[&str]| {
        let run = Run::new(env!("CARGO_BIN_EXE_vw-scan-esx"));
        let run = run.args(["--server", &url, "-u", "sim", "--password-file", &password]);
        run.args(more).measured()
    };
    let (_, plain) = scan(&[]);
    let (outcome, traced) = scan(&["--trace", &trace]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let files = fs::read_dir(&trace)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len());
    assert!(files.sum::<u64>() > 12_000_000);
    assert!(traced.memory < plain.memory + 6_000_000, "{plain:?} {traced:?}");
    let (replayed, used) = {
        let run = Run::new(env!("CARGO_BIN_EXE_vw-scan-esx"));
        run.args(["--replay", &trace]).measured()
    };
    assert_eq!(replayed.stdout, outcome.stdout);
    assert!(used.memory < plain.memory + 6_000_000, "{plain:?} {used:?}");
}
