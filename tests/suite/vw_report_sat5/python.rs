//! Python itself as the other side: its XML-RPC as the server, and its pickle for the files that virt-who reads and writes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::ChildStdout;

use super::*;

/// An id with what XML, a pickle and a file name have to escape.
const ODD: &str = "é<&>'\"\\ ]]> 😀";

/// `tests/satellite5.py`, and the files of those who report to it.
struct Python {
    child: Child,
    answers: BufReader<ChildStdout>,
    url: String,
    folder: tempfile::TempDir,
}

impl Python {
    /// None, with a message, if this Python is not installed.
    fn start(program: &str) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/satellite5.py");
        let version = Command::new(program).arg("--version").output();
        if !version.is_ok_and(|version| version.status.success()) {
            support::skipped(&format!(
                "vw-report-sat5 against Python's XML-RPC: {program} is not installed"
            ));
            return None;
        }
        let mut child = Command::new(program)
            .args(["-B", script])
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        answers.read_line(&mut port).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        fs::write(folder.path().join("virt-who.conf"), "").unwrap();
        Some(Python {
            child,
            answers,
            url: format!("http://127.0.0.1:{}", port.trim()),
            folder,
        })
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Gives the server a command, and returns its answer.
    fn ask(&mut self, words: &[&str]) -> Value {
        let line = words.join("\t") + "\n";
        self.child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn run(&self) -> Run {
        let run = Run::new(PROGRAM).env("VW_CONFIG", &self.file("virt-who.conf"));
        run.args([
            "--server",
            &self.url,
            "--username",
            "sim",
            "--state-dir",
            &self.file("state"),
        ])
        .args(["--password-file", &self.file("password")])
    }

    /// Reports successfully, and returns the result.
    #[track_caller]
    fn report(&self, state: i32) -> Value {
        let outcome = self.run().stdin(document(state)).run();
        succeeded(&outcome);
        line(&outcome)
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends with its stdin.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Two hypervisors, of which the second has a guest with this state.
fn document(state: i32) -> String {
    json!({"hypervisors": [
        {"uuid": "esx1.example.com", "guests": []},
        {"uuid": ODD, "guests": [
            {"guestId": WEB, "state": state, "attributes": {"virtWhoType": "esx"}},
            {"guestId": DB, "state": 0, "attributes": {"virtWhoType": "esx"}}]},
    ]})
    .to_string()
}

/// Fails unless the server holds both hypervisors once, and the guest is in this state.
#[track_caller]
fn holds(state: &Value, of_guest: &str) {
    let systems = state["systems"].as_array().unwrap();
    assert_eq!(systems.len(), 2, "{state}");
    let odd = format!("esx hypervisor {ODD}");
    let odd = systems.iter().find(|system| system["profile"] == *odd).unwrap();
    let web = &odd["guests"][WEB.replace('-', "").to_lowercase()];
    assert_eq!(web["state"], of_guest, "{state}");
    assert_eq!(
        web["name"],
        format!("VM {WEB} from esx hypervisor {ODD}"),
        "{state}"
    );
    assert_eq!(odd["guests"][DB.replace('-', "")]["state"], "running", "{state}");
    assert_eq!(
        (odd["refreshed"].as_u64() > Some(0), &state["sessions"]),
        (true, &json!(0)),
        "{state}"
    );
}

fn works_with(program: &str, protocols: &[&str]) {
    let Some(mut python) = Python::start(program) else {
        return;
    };
    let checked = python.run().args(["--check"]).run().quiet_success();
    assert!(checked.contains("does not exist yet"), "{checked}");
    assert_eq!(python.report(1)["created"], 2);
    let state = python.ask(&["state"]);
    holds(&state, "running");
    // Exactly virt-who's, so that both can share a server.
    let channel = json!({
        "label": "hypervisor-base-1",
        "name": "Hypervisor Base - 1",
        "summary": "Channel used by virt-who for hypervisor registration",
        "arch_label": "channel-x86_64",
    });
    assert_eq!(state["channels"], json!([channel]));
    assert_eq!(
        state["maps"],
        json!([["unknown", "x86_64", "Hypervisor OS", "hypervisor-base-1"]])
    );
    let checked = python.run().args(["--check"]).run().quiet_success();
    assert!(checked.contains("its map exists"), "{checked}");

    // Our files are those that Python would have written.
    let folder = python.file("state");
    let loaded = python.ask(&["load", &folder]);
    let loaded = loaded.as_object().unwrap();
    assert_eq!(loaded.len(), 2, "{loaded:?}");
    assert!(loaded.values().all(|same| *same == true), "{loaded:?}");

    // We use the files that Python writes.
    for (number, protocol) in protocols.iter().enumerate() {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        assert_eq!(python.ask(&["store", &folder, protocol]), 2);
        let (state, shown) = if number % 2 == 0 {
            (3, "paused")
        } else {
            (5, "stopped")
        };
        let result = python.report(state);
        assert_eq!(
            (&result["created"], &result["updated"]),
            (&json!(0), &json!(2)),
            "{protocol}"
        );
        holds(&python.ask(&["state"]), shown);
    }

    // A deleted hypervisor is registered again, once.
    assert_eq!(python.ask(&["delete", "esx hypervisor esx1.example.com"]), 1);
    let changed = r#"{"hypervisors":[{"uuid":"esx1.example.com","guests":[{"guestId":"1","state":1}]}]}"#;
    let outcome = python.run().stdin(changed).run();
    succeeded(&outcome);
    assert_eq!(line(&outcome)["created"], 1, "{outcome:?}");
    python.report(1);
    holds(&python.ask(&["state"]), "running");

    // Lost files are fetched from the server.
    fs::remove_dir_all(&folder).unwrap();
    python.report(6);
    holds(&python.ask(&["state"]), "crashed");
    let loaded = python.ask(&["load", &folder]);
    assert_eq!(loaded.as_object().unwrap().len(), 2, "{loaded}");
    assert!(
        loaded.as_object().unwrap().values().all(|same| *same == true),
        "{loaded}"
    );
}

#[test]
fn python_3_is_the_other_side() {
    works_with("python3", &["0", "2", "3", "4"]);
}

/// The real server is written in Python 2, and so was virt-who.
#[test]
fn python_2_is_the_other_side() {
    works_with("python2.7", &["0", "2"]);
}
