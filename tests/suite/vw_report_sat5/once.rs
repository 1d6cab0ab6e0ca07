//! Nothing is registered twice, no answer is lost, and nothing is left behind: several runs at once, signals, a full disk.

use super::*;
use vw_sim::satellite5::Release;

/// A hypervisor's registration is held back by the server.
struct Held {
    child: Child,
    release: Release,
}

impl Site {
    /// A run that is about to get the answer to its first registration.
    fn held_at(&self, method: &str, options: &[&str]) -> Held {
        let before = self.satellite.count(method);
        let (trouble, release) = Trouble::held();
        self.satellite.trouble(method, 1, trouble);
        let child = self.spawn(options, "first");
        until(|| self.satellite.count(method) > before);
        Held { child, release }
    }

    /// Starts the command; its stderr goes to the file `name`.
    fn spawn(&self, options: &[&str], name: &str) -> Child {
        let (url, password) = (self.server.url(), self.file("password"));
        let mut child = Command::new(PROGRAM)
            .args([
                "--server",
                &url,
                "--username",
                "sim",
                "--password-file",
                &password,
            ])
            .args(["--state-dir", &self.file("state")])
            .args(options)
            .env("VW_CONFIG", self.file("virt-who.conf"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(self.file(name)).unwrap())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(mapping().as_bytes()).unwrap();
        child
    }

    fn said(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    /// The files in the state folder that are neither registrations nor the lock.
    fn odd_files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.file("state")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let usual = |name: &String| name.starts_with("hypervisor-systemid-") || name == "vw-report-sat5.lock";
        let mut odd: Vec<String> = names.filter(|name| !usual(name)).collect();
        odd.sort();
        odd
    }
}

/// The status and the result line of a run that ends.
fn ended(child: Child) -> (i32, Value) {
    let output = child.wait_with_output().unwrap();
    let status = output.status.code().expect("ended by a signal");
    (status, serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn of_two_runs_at_once_the_second_one_waits_and_registers_nothing() {
    let site = Site::new();
    let Held { child, release } = site.held_at(REGISTER, &[]);
    let second = site.spawn(&[], "second");
    let waiting = format!(
        "vw-report-sat5: waiting for process {}, which holds the lock {}\n",
        child.id(),
        site.file("state/vw-report-sat5.lock")
    );
    until(|| site.said("second") == waiting);
    drop(release);
    let (status, line) = ended(child);
    assert_eq!((status, &line["created"]), (0, &json!(2)), "{line}");
    let (status, line) = ended(second);
    assert_eq!((status, &line["updated"]), (0, &json!(2)), "{line}");
    assert_eq!(site.said("second"), waiting);
    assert_eq!(site.satellite.registrations(), 2);
}

#[test]
fn one_who_waits_in_vain_names_the_other_and_not_the_server() {
    let site = Site::new();
    let Held { child, release } = site.held_at(REGISTER, &[]);
    let calls = site.satellite.calls();
    let (status, line) = ended(site.spawn(&["--timeout", "1"], "second"));
    assert_eq!((status, &line["state"]), (75, &json!("failed")), "{line}");
    let said = site.said("second");
    let last = said.lines().last().unwrap();
    let words = format!("process {} still holds the lock", child.id());
    assert!(last.contains(&words) && !last.contains("127.0.0.1"), "{said}");
    assert!(
        failures(&line).iter().all(|(_, error)| error.contains(&words)),
        "{line}"
    );

    let third = site.spawn(&[], "third");
    until(|| site.said("third").contains("waiting for process"));
    send_signal(&third, "TERM");
    assert_eq!(ended(third).0, 143);
    assert_eq!(site.satellite.calls(), calls);
    drop(release);
    assert_eq!(ended(child).0, 0);
}

#[test]
fn a_signal_does_not_lose_the_answer_to_a_registration() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let site = Site::new();
        let Held { child, release } = site.held_at(REGISTER, &[]);
        // The connection for all other calls is closed at the signal.
        until(|| site.server.connections() == 2);
        send_signal(&child, signal);
        until(|| site.server.connections() == 1);
        drop(release);
        let (ended, line) = ended(child);
        assert_eq!((ended, &line["state"]), (status, &json!("failed")), "{line}");
        assert!(
            !site.said("first").contains("may now exist"),
            "{}",
            site.said("first")
        );
        assert_eq!(
            (site.satellite.registrations(), site.satellite.open_sessions()),
            (1, 0)
        );
        assert_eq!(line["failed"][1]["id"], "esx2.example.com", "{line}");

        assert_eq!(super::line(&site.run().run())["created"], 1);
        assert_eq!(site.satellite.registrations(), 2, "none twice");
        assert_eq!(site.held()["esx hypervisor esx1.example.com"].len(), 2);
    }
}

#[test]
fn a_signal_does_not_lose_a_session() {
    let site = Site::new();
    // Whenever the signal is heard of, before the answer or after it, the next call does not end by itself.
    site.server.misbehave(|_, request| {
        let body = String::from_utf8_lossy(&request.body);
        body.contains("user.getDetails").then_some(Fault::Silence)
    });
    let Held { child, release } = site.held_at(LOGIN, &[]);
    send_signal(&child, "TERM");
    drop(release);
    let (status, line) = ended(child);
    assert_eq!((status, &line["state"]), (143, &json!("failed")), "{line}");
    assert_eq!(
        (
            site.satellite.count("auth.logout"),
            site.satellite.open_sessions()
        ),
        (1, 0)
    );
    assert_eq!(site.satellite.registrations(), 0);
}

#[test]
fn the_end_of_the_time_does_not_lose_the_answer_to_a_registration() {
    let site = Site::new();
    let limit = Duration::from_secs(5);
    let started = Instant::now();
    let Held { child, release } = site.held_at(REGISTER, &["--timeout", "5"]);
    // It began after this, and so ends its time after that.
    std::thread::sleep((limit + Duration::from_millis(500)).saturating_sub(started.elapsed()));
    drop(release);
    let (status, line) = ended(child);
    assert_eq!((status, &line["state"]), (75, &json!("failed")), "{line}");
    assert!(site.said("first").contains("--timeout"), "{}", site.said("first"));
    assert_eq!(super::line(&site.run().run())["created"], 1);
    assert_eq!(site.satellite.registrations(), 2, "none twice");
}

#[test]
fn a_registration_whose_answer_is_lost_is_told_and_not_tried_again() {
    let lose = || {
        let site = Site::new();
        site.server.misbehave(|_, request| {
            let body = String::from_utf8_lossy(&request.body);
            body.contains(REGISTER).then_some(Fault::Lose)
        });
        site
    };
    let words = "a profile \"esx hypervisor esx1.example.com\" may now exist on the server";
    let site = lose();
    let outcome = site.run().run();
    assert_eq!(outcome.status, 75, "{outcome:?}");
    assert_eq!(
        outcome.stderr.lines().count(),
        2,
        "after the new channel one line: {outcome:?}"
    );
    assert!(
        outcome.stderr.lines().last().unwrap().contains(words),
        "{outcome:?}"
    );
    assert!(failures(&line(&outcome))[0].1.starts_with(words), "{outcome:?}");
    assert_eq!(site.satellite.registrations(), 1, "it is not tried again");

    // The next run finds what was made.
    site.server.behave();
    let outcome = site.run().run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let told = "vw-report-sat5: esx1.example.com: an earlier registration, whose answer was lost, had made the profile";
    assert!(outcome.stderr.starts_with(told), "{outcome:?}");
    assert_eq!(
        (line(&outcome)["created"].clone(), site.satellite.registrations()),
        (json!(2), 2)
    );
    assert_eq!(site.held()["esx hypervisor esx1.example.com"].len(), 2);
    assert_eq!(site.satellite.open_sessions(), 0);
    assert!(site.odd_files().is_empty());
    assert_eq!(line(&site.run().run())["updated"], 2);

    // A server that is silent for too long after a signal.
    let site = Site::new();
    let Held { child, release } = site.held_at(REGISTER, &[]);
    send_signal(&child, "TERM");
    let (status, line) = ended(child);
    assert_eq!(status, 143);
    assert!(failures(&line)[0].1.starts_with(words), "{line}");
    let said = site.said("first");
    assert!(said.lines().last().unwrap().contains(words), "{said}");
    drop(release);
    assert_eq!(super::line(&site.run().run())["created"], 2);
    assert_eq!(site.satellite.registrations(), 2, "none twice");
}

#[test]
fn of_several_profiles_that_may_be_the_lost_one_none_is_taken() {
    let site = Site::new();
    assert_eq!(site.run().run().status, 0);
    // Somebody lost the folder, and so registered again.
    fs::remove_file(site.registration("esx1.example.com")).unwrap();
    site.satellite.trouble(REGISTER, 1, Trouble::Lost(504));
    assert_eq!(site.run().run().status, 75);
    assert_eq!(site.satellite.registrations(), 3);
    let outcome = site.run().run();
    let words = "the systems 1000010000, 1000010002 all have the profile \"esx hypervisor esx1.example.com\"";
    failed(&outcome, 69, words);
    assert_eq!(
        (site.satellite.registrations(), line(&outcome)["updated"].clone()),
        (3, json!(1))
    );
    let first = site.satellite.systems()[0].id.clone();
    assert!(site.satellite.delete_system(&first));
    assert_eq!(line(&site.run().run())["created"], 1);
    assert_eq!(site.satellite.registrations(), 3);
    assert!(site.odd_files().is_empty());
}

#[test]
fn a_look_up_that_fails_registers_nothing() {
    let site = Site::new();
    site.satellite.trouble(REGISTER, 1, Trouble::Status(502));
    assert_eq!(site.run().run().status, 75);
    for (method, trouble, status) in [
        (
            "system.getId",
            Trouble::Fault(-1, "Could not find method".into()),
            69,
        ),
        ("system.getId", Trouble::Status(503), 75),
        (LOGIN, Trouble::Fault(2950, "incorrect.".into()), 77),
    ] {
        site.satellite.trouble(method, 1, trouble);
        let before = site.satellite.registrations();
        let one = r#"{"hypervisors":[{"uuid":"esx1.example.com","guests":[]}]}"#;
        let outcome = site.run().args(ONCE).stdin(one).run();
        assert_eq!(
            (outcome.status, site.satellite.registrations()),
            (status, before),
            "{outcome:?}"
        );
        assert_eq!(site.satellite.open_sessions(), 0);
    }
    // It had not arrived.
    let outcome = site.run().run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(
        outcome.stderr.contains("an earlier registration did not arrive"),
        "{outcome:?}"
    );
    assert_eq!(site.satellite.systems().len(), 2);
}

#[test]
fn a_refused_registration_leaves_nothing_in_doubt() {
    for status in [401, 404, 429] {
        let site = Site::new();
        site.satellite.trouble(REGISTER, 1, Trouble::Status(status));
        let outcome = site.run().run();
        assert!(!outcome.stderr.contains("may now exist"), "{outcome:?}");
        assert_eq!(site.satellite.registrations(), if status == 429 { 2 } else { 0 });
    }
}

#[test]
fn a_killed_run_leaves_neither_a_lock_nor_files_nor_a_second_profile() {
    let site = Site::new();
    let Held { mut child, release } = site.held_at(REGISTER, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    drop(release);
    assert_eq!(site.odd_files(), ["hypervisor-pending-esx1.example.com"]);
    // What a run leaves that is killed while it writes a file, and what is not ours.
    fs::write(site.file("state/.vw-a1B2c3"), "half a file").unwrap();
    fs::write(site.file("state/.vw-note"), "").unwrap();
    let outcome = site.run().run();
    assert_eq!(
        (outcome.status, &line(&outcome)["created"]),
        (0, &json!(2)),
        "{outcome:?}"
    );
    assert_eq!(site.odd_files(), [".vw-note"]);
    assert_eq!(site.satellite.registrations(), 2, "none twice");
    assert_eq!(site.held()["esx hypervisor esx1.example.com"].len(), 2);
}

/// Runs a script in which `$STATE` is a file system of 256 KiB of its own, and `$@` the command. None where the system does not
/// let us make one.
fn on_a_small_disk(site: &Site, mapping: &str, script: &str) -> Option<Outcome> {
    let tried = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "none", &site.file("")])
        .output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        // Past the harness, which hides what a test that passes prints.
        let _ =
            std::io::stderr().write_all(b"no full disk was tried: unshare -rm can't mount a tmpfs here\n");
        return None;
    }
    let state = site.file("state");
    fs::create_dir_all(&state).unwrap();
    let mount = format!("mount -t tmpfs -o size=256k none \"$STATE\" || exit 99; {script}");
    let (url, password) = (site.server.url(), site.file("password"));
    let run = Run::new("unshare")
        .args([
            "-rm",
            "sh",
            "-c",
            &mount,
            "sh",
            PROGRAM,
            "--server",
            &url,
            "--username",
            "sim",
        ])
        .args(["--password-file", &password, "--state-dir", &state])
        .env("STATE", &state)
        .env("PLACE", &site.file(""))
        .env("VW_CONFIG", &site.file("virt-who.conf"));
    Some(run.stdin(mapping).run())
}

/// Leaves no byte, though files can still be made.
const FILL: &str = "dd if=/dev/zero of=\"$STATE/filler\" bs=4k 2>/dev/null";

#[test]
fn on_a_full_disk_nothing_is_registered_however_often_it_is_tried() {
    let site = Site::new();
    let script = format!(
        "{FILL}; : >\"$STATE/empty\" || exit 98; \
         \"$@\" <\"$PLACE/mapping\"; \"$@\" <\"$PLACE/mapping\"; status=$?; ls -A \"$STATE\" >&2; exit $status"
    );
    fs::write(site.file("mapping"), mapping()).unwrap();
    let Some(outcome) = on_a_small_disk(&site, "", &script) else {
        return;
    };
    assert_eq!(outcome.status, 74, "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("hypervisor-systemid-esx1.example.com: No space left"),
        "{outcome:?}"
    );
    assert_eq!(site.satellite.calls(), BTreeMap::new(), "{outcome:?}");
    assert!(!outcome.stderr.contains(".vw-"), "{outcome:?}");
    assert_eq!(outcome.stdout.lines().count(), 2, "{outcome:?}");
}

#[test]
fn a_disk_that_fills_while_the_server_registers_has_room_for_the_answer() {
    let site = Site::new();
    let (trouble, release) = Trouble::held();
    site.satellite.trouble(REGISTER, 1, trouble);
    // The disk is full before the answer comes.
    let script = format!(
        "(until [ -e \"$PLACE/registering\" ]; do sleep 0.05; done; {FILL}; touch \"$PLACE/full\") & \
         \"$@\" <\"$PLACE/mapping\"; status=$?; wait; ls -A \"$STATE\" >&2; exit $status"
    );
    fs::write(site.file("mapping"), mapping()).unwrap();
    let outcome = std::thread::scope(|scope| {
        let run = scope.spawn(|| on_a_small_disk(&site, "", &script));
        until(|| site.satellite.count(REGISTER) == 1 || run.is_finished());
        fs::write(site.file("registering"), "").unwrap();
        until(|| fs::exists(site.file("full")).unwrap() || run.is_finished());
        drop(release);
        run.join().unwrap()
    });
    let Some(outcome) = outcome else { return };
    // The first one is registered, kept and reported; for the second one there is no room, so it is not registered.
    assert_eq!(outcome.status, 74, "{outcome:?}");
    let line = line(&outcome);
    assert_eq!(
        (&line["created"], &line["state"]),
        (&json!(1), &json!("partial")),
        "{outcome:?}"
    );
    assert_eq!(failures(&line)[0].0, "esx2.example.com");
    assert!(
        outcome
            .stderr
            .contains("\nhypervisor-systemid-esx1.example.com\n"),
        "{outcome:?}"
    );
    assert_eq!(site.satellite.registrations(), 1);
    assert_eq!(site.held()["esx hypervisor esx1.example.com"].len(), 2);
}
