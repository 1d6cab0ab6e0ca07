//! `vw-report-sat5` as its users meet it, against the simulated Satellite 5.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vw_sim::http::{Fault, Response, Server};
use vw_sim::satellite5::{Account, GuestState, Release, Satellite5, Settings, Trouble};

use crate::support::{self, Outcome, Run, is_utc, signals, until};

mod check;
mod disk;
mod documents;
mod failures;
mod login;
mod once;
mod python;
mod registration;
mod results;
mod scale;
mod settings;
mod troubles;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-report-sat5");

/// A failure that is not retried, because the server asks for a longer pause than a report may take.
fn for_long(status: u16) -> Trouble {
    Trouble::http(move || vw_sim::hostile::retry_after(status, "86400"))
}

/// Hypervisors are reported in the order of their ids.
const ONE_BY_ONE: [&str; 2] = ["-j", "1"];

const WEB: &str = "564dae86-0000-1000-8000-00000000000A";
const DB: &str = "564dae86-0000-1000-8000-00000000000b";

const LOGIN: &str = "auth.login";
const LOGOUT: &str = "auth.logout";
const REGISTER: &str = "registration.new_system_user_pass";
const HARDWARE: &str = "registration.refresh_hw_profile";
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

/// [`mapping`] as the document of a section. In a stream, a newer document of the same section replaces it.
fn mapping_of(section: &str) -> String {
    mapping().replacen('{', &format!("{{\"source\":{{\"section\":\"{section}\"}},"), 1)
}

/// A Satellite 5, and the files of those who report to it.
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
        Site::of_server(Satellite5::new(settings), tempfile::tempdir().unwrap())
    }

    /// A server, and an empty folder for the files.
    fn of_server(satellite: Satellite5, folder: tempfile::TempDir) -> Self {
        let satellite = Arc::new(satellite);
        let server = Server::start(satellite.clone(), None).unwrap();
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

    /// The file with the systemid of a hypervisor.
    fn registration(&self, id: &str) -> String {
        self.file(&format!("state/hypervisor-systemid-{id}"))
    }

    /// Writes a configuration whose section has server and account. Returns the section as messages name it.
    fn section(&self, password: &str) -> String {
        let url = self.server.url();
        let text = format!(
            "# ours\n[prod]\ntype=esx\nsat_server={url}\nsat_username=sim\nsat_password={password}\n"
        );
        fs::write(self.file("virt-who.conf"), text).unwrap();
        format!("section [prod] ({}:2)", self.file("virt-who.conf"))
    }

    /// The command without server and account, with [`mapping`] as its input.
    fn bare(&self) -> Run {
        let run = Run::new(PROGRAM).env("VW_CONFIG", &self.file("virt-who.conf"));
        run.args(["--state-dir", &self.file("state")]).stdin(mapping())
    }

    /// The options that name server and account.
    fn login_as(&self, user: &str) -> [String; 6] {
        let (url, password) = (self.server.url(), self.file("password"));
        ["--server", &url, "--username", user, "--password-file", &password].map(str::to_owned)
    }

    fn run_as(&self, user: &str) -> Run {
        self.bare().args(self.login_as(user))
    }

    fn run(&self) -> Run {
        self.run_as("sim")
    }

    /// Reports [`mapping`] successfully.
    #[track_caller]
    fn report(&self) {
        succeeded(&self.run().run());
    }

    /// Starts the command with a document, and keeps its stdin open.
    fn stream(&self, document: &str) -> (Child, ChildStdin) {
        self.run().stdin(document).start(Stdio::piped())
    }

    /// Starts the command with [`mapping`]. Its stderr goes to the file `name`.
    fn spawn(&self, options: &[&str], name: &str) -> Child {
        let stderr = fs::File::create(self.file(name)).unwrap();
        self.run().args(options).start(stderr).0
    }

    /// Starts the command, and returns when the server has got its first call of `method`, which it holds back.
    fn held_at(&self, method: &str, options: &[&str]) -> Held {
        let before = self.satellite.count(method);
        let (trouble, release) = Trouble::held();
        self.satellite.trouble(method, 1, trouble);
        let options: Vec<&str> = ONE_BY_ONE.iter().chain(options).copied().collect();
        let child = self.spawn(&options, "first");
        until(|| self.satellite.count(method) > before);
        Held { child, release }
    }

    /// Registers a system as another program does.
    fn register_elsewhere(&self, profile: &str) {
        let texts = [profile, "Hypervisor OS", "unknown", "x86_64", "sim", "sim-secret"];
        let texts = texts
            .map(|text| format!("<param><value>{text}</value></param>"))
            .concat();
        let body = format!(
            "<methodCall><methodName>{REGISTER}</methodName><params>{texts}<param><value><struct></struct></value></param>\
             </params></methodCall>"
        );
        let request = format!(
            "POST /XMLRPC HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("system_id"), "{answer}");
    }

    /// The content of the file with a command's stderr.
    fn stderr_of(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    /// The files in the state folder that are neither systemids nor the command's own.
    fn odd_files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.file("state")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let usual =
            |name: &String| name.starts_with("hypervisor-systemid-") || name.starts_with("vw-report-sat5.");
        let mut odd: Vec<String> = names.filter(|name| !usual(name)).collect();
        odd.sort();
        odd
    }

    /// The guests' states by their uuids, of each system by its profile's name.
    fn systems(&self) -> BTreeMap<String, Vec<(String, GuestState)>> {
        let systems = self.satellite.systems();
        let systems = systems.iter().map(|system| {
            let guests = system.guests().into_iter();
            let guests = guests.map(|(uuid, guest)| (uuid.to_owned(), guest.state));
            (system.profile.clone(), guests.collect())
        });
        systems.collect()
    }

    /// Fails unless one session was opened, and is closed.
    #[track_caller]
    fn one_session_is_closed(&self) {
        let (closed, open) = (self.satellite.count(LOGOUT), self.satellite.open_sessions());
        assert_eq!((closed, open), (1, 0));
    }
}

/// A command that waits for an answer, which the server holds back until its release.
struct Held {
    child: Child,
    release: Release,
}

/// The status and the result line of a command that ends.
fn ended(child: Child) -> (i32, Value) {
    let output = child.wait_with_output().unwrap();
    let status = output.status.code().expect("ended by a signal");
    (status, serde_json::from_slice(&output.stdout).unwrap())
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
    let failed = failed.map(|failed| {
        let id = failed["id"].as_str().unwrap_or("");
        (id, failed["error"].as_str().unwrap())
    });
    failed.collect()
}

/// Fails unless the last line on stderr has the words, all before it are warnings, and nothing shows the password.
#[track_caller]
fn failed(outcome: &Outcome, status: i32, words: &str) {
    outcome.failed_after_warnings(status, words);
    let all = outcome.stdout.clone() + &outcome.stderr;
    assert!(!all.contains("sim-secret"), "{outcome:?}");
}

/// Fails unless the command succeeded.
#[track_caller]
fn succeeded(outcome: &Outcome) {
    assert_eq!(outcome.status, 0, "{outcome:?}");
}
