//! Scans of govmomi's simulator, which this project did not write, as a vCenter and as an ESX host. It is built from tests/vcsim.
//!
//! Without Go these tests say that they did not run.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::support::{Outcome, Run, skipped};
use crate::vw_scan_esx_watch::Watch;

/// A running simulator, which ends when its stdin does.
struct Vcsim {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What it prints about itself: `url`, `cacert`, `thumbprint` and `hosts`.
    about: Value,
    password: tempfile::NamedTempFile,
}

impl Vcsim {
    /// Starts the simulator, if it has been built.
    fn start(options: &[&str]) -> Option<Self> {
        let built = PathBuf::from(env!("CARGO_BIN_EXE_vw-scan-esx")).with_file_name("../vcsim");
        let program = std::env::var_os("VW_VCSIM").map_or(built, PathBuf::from);
        if !program.exists() {
            skipped("the scan of vcsim: target/vcsim has not been built (see CONTRIBUTING.md)");
            return None;
        }
        let mut child = Command::new(program)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let about = next_line(&mut output);
        let mut password = tempfile::NamedTempFile::new().unwrap();
        password.write_all(b"pass\n").unwrap();
        Some(Vcsim {
            child,
            output,
            about,
            password,
        })
    }

    /// The options of a scan that succeeds, unless the password has been changed.
    fn options(&self) -> Vec<String> {
        let text = |name: &str| self.about[name].as_str().unwrap().to_owned();
        let (url, thumbprint) = (text("url"), text("thumbprint"));
        let password = self.password.path().to_str().unwrap();
        let options = [
            "--server",
            &url,
            "--thumbprint",
            &thumbprint,
            "-u",
            "user",
            "--password-file",
            password,
        ];
        options.map(str::to_owned).to_vec()
    }

    fn scan(&self, more: &[&str]) -> Outcome {
        let run = Run::new(env!("CARGO_BIN_EXE_vw-scan-esx"));
        run.args(self.options()).args(more).run()
    }

    /// Changes the inventory, and reads what is expected from then on.
    fn change(&mut self, command: &str) {
        writeln!(self.child.stdin.as_ref().unwrap(), "{command}").unwrap();
        self.about = next_line(&mut self.output);
    }

    /// Ends it and returns how many sessions were left open.
    fn end(mut self) -> u64 {
        drop(self.child.stdin.take());
        let sessions = next_line(&mut self.output)["sessions"].as_u64().unwrap();
        assert!(self.child.wait().unwrap().success());
        sessions
    }
}

impl Drop for Vcsim {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn next_line(output: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// A uuid as the guest sees it in its DMI table; all machines of vcsim have hardware version vmx-13.
fn swapped(uuid: &str) -> String {
    let mut groups = uuid.split('-').map(str::to_owned).collect::<Vec<_>>();
    for group in &mut groups[..3] {
        let bytes: Vec<&str> = (0..group.len()).step_by(2).map(|at| &group[at..at + 2]).collect();
        *group = bytes.into_iter().rev().collect();
    }
    groups.join("-")
}

/// Each host's id with its guests' ids, sorted, as they must be in the mapping.
fn expected(about: &Value, id: &str) -> Vec<(String, Vec<String>)> {
    let mut hosts: Vec<_> = about["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| {
            let mut guests: Vec<String> = host["vms"]
                .as_array()
                .unwrap()
                .iter()
                .map(|uuid| swapped(uuid.as_str().unwrap()))
                .collect();
            guests.sort();
            (host[id].as_str().unwrap().to_owned(), guests)
        })
        .collect();
    hosts.sort();
    hosts
}

fn hosts_and_guests(mapping: &str) -> Vec<(String, Vec<String>)> {
    let mapping: Value = serde_json::from_str(mapping).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    mapping["hypervisors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| {
            let guests = host["guests"]
                .as_array()
                .unwrap()
                .iter()
                .map(|guest| text(&guest["guestId"]))
                .collect();
            (text(&host["uuid"]), guests)
        })
        .collect()
}

#[test]
fn a_vcenter_is_scanned() {
    let options = [
        "-hosts",
        "3",
        "-clusters",
        "2",
        "-cluster-hosts",
        "4",
        "-vms",
        "5",
    ];
    let Some(vcsim) = Vcsim::start(&options) else {
        return;
    };
    for (id, member) in [("uuid", "uuid"), ("hostname", "name")] {
        let mapping = vcsim.scan(&["--hypervisor-id", id]).quiet_success();
        assert_eq!(hosts_and_guests(&mapping), expected(&vcsim.about, member));
        assert_eq!(hosts_and_guests(&mapping).len(), 11);
        let mapping: Value = serde_json::from_str(&mapping).unwrap();
        let in_clusters = mapping["hypervisors"].as_array().unwrap().iter();
        assert_eq!(
            in_clusters
                .filter(|host| host["facts"].get("hypervisor.cluster").is_some())
                .count(),
            8
        );
    }
    assert_eq!(vcsim.end(), 0, "sessions left open");
}

#[test]
fn an_esx_host_is_scanned() {
    let Some(vcsim) = Vcsim::start(&["-model", "esx", "-vms", "6"]) else {
        return;
    };
    let mapping = vcsim.scan(&[]).quiet_success();
    assert_eq!(hosts_and_guests(&mapping), expected(&vcsim.about, "uuid"));
    assert_eq!(hosts_and_guests(&mapping)[0].1.len(), 6);
    assert_eq!(vcsim.end(), 0, "sessions left open");
}

#[test]
fn vcsim_with_many_machines_is_read_page_by_page() {
    let Some(vcsim) = Vcsim::start(&["-copies", "2500"]) else {
        return;
    };
    let mapping = vcsim.scan(&[]).quiet_success();
    assert_eq!(hosts_and_guests(&mapping), expected(&vcsim.about, "uuid"));
    assert_eq!(vcsim.end(), 0, "sessions left open");
}

#[test]
fn vcsim_is_watched_and_scanned_while_it_changes() {
    let options = [
        "-clusters",
        "2",
        "-datacenters",
        "2",
        "-folders",
        "1",
        "-pools",
        "2",
        "-vms",
        "3",
    ];
    let Some(mut vcsim) = Vcsim::start(&options) else {
        return;
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_vw-scan-esx"));
    let watch = Watch::start(command.args(vcsim.options()).args(["--settle", "0"]));
    assert_eq!(
        hosts_and_guests(&watch.document()),
        expected(&vcsim.about, "uuid")
    );
    let commands = [
        "create new1 DC0_C0_H0",
        "create new2 DC0_H0",
        "power-on new1",
        "power-off DC0_H0_VM0",
        "move DC0_H0_VM1 DC0_C1_H2",
        "remove DC0_H0_VM0",
        "power-off new1",
        "remove new1",
    ];
    for command in commands {
        vcsim.change(command);
        let scan = vcsim.scan(&[]).quiet_success();
        assert_eq!(
            hosts_and_guests(&scan),
            expected(&vcsim.about, "uuid"),
            "{command}"
        );
        while watch.document() != scan {}
    }
    // Scans while machines come and go.
    let run = || Run::new(env!("CARGO_BIN_EXE_vw-scan-esx")).args(vcsim.options());
    let scans: Vec<Run> = (0..5).map(|_| run()).collect();
    let hosts = expected(&vcsim.about, "uuid").len();
    let scanning = std::thread::spawn(move || {
        for scan in scans {
            let outcome = scan.run();
            assert_eq!(outcome.status, 0, "{outcome:?}");
            assert_eq!(hosts_and_guests(&outcome.stdout).len(), hosts);
        }
    });
    let mut number = 0;
    while !scanning.is_finished() {
        vcsim.change(&format!("create passing{number} DC0_C0_H1"));
        vcsim.change(&format!("move passing{number} DC0_C0_H2"));
        vcsim.change(&format!("remove passing{number}"));
        number += 1;
    }
    scanning.join().unwrap();
    vcsim.change("power-on new2");
    // If one machine vanishes at the moment when another appears, vcsim sends no `leave`, so the machine stays in `omitted`.
    while hosts_and_guests(&watch.document()) != expected(&vcsim.about, "uuid") {}
    // On a busy machine the watch is still behind: another document may differ in `omitted`.
    watch.end_anyhow();
    assert_eq!(vcsim.end(), 0, "sessions left open");
}

#[test]
fn a_wrong_password_is_refused() {
    let Some(mut vcsim) = Vcsim::start(&[]) else {
        return;
    };
    vcsim.password = tempfile::NamedTempFile::new().unwrap();
    vcsim.password.write_all(b"wrong").unwrap();
    vcsim.scan(&[]).failed(77, "InvalidLogin");
    assert_eq!(vcsim.end(), 0, "sessions left open");
}

#[test]
fn a_trace_of_vcsim_is_replayed_to_the_same_bytes() {
    let Some(vcsim) = Vcsim::start(&["-hosts", "2", "-clusters", "2", "-vms", "4"]) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let trace = trace.to_str().unwrap();
    let scanned = vcsim
        .scan(&["--guest-names", "--strict", "--trace", trace])
        .quiet_success();
    let checked = vcsim.scan(&["--check"]).quiet_success();
    assert!(checked.starts_with("VMware vCenter Server "), "{checked}");
    assert_eq!(vcsim.end(), 0);
    let replay = Run::new(env!("CARGO_BIN_EXE_vw-scan-esx")).args(["--replay", trace]);
    assert_eq!(replay.run().quiet_success(), scanned);
    // The session's key is also part of the ids of its views and filters.
    let exchanges = std::fs::read_dir(trace).unwrap();
    let text: String = exchanges
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    assert!(text.contains(">session[(redacted)]"), "{text}");
}

#[test]
fn power_tasks_run_on_vcsim() {
    let Some(vcsim) = Vcsim::start(&["-clusters", "1", "-hosts", "1", "-vms", "3"]) else {
        return;
    };
    let run = |args: &[&str]| {
        let run = Run::new(env!("CARGO_BIN_EXE_vw-task-esx"));
        run.args(vcsim.options()).args(args).run()
    };
    let states = |outcome: &Outcome| -> Vec<String> {
        let lines = outcome.stdout.lines();
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let mut states: Vec<String> = lines.map(|text| line(text)["state"].to_string()).collect();
        states.sort();
        states
    };
    let all = [
        "DC0_H0_VM0",
        "/DC0/vm/DC0_H0_VM1",
        "DC0_C0_RP0_VM0",
        "DC0_C0_RP0_VM1",
    ];
    // Each action in an order in which it changes something, and whether the machines are on afterwards.
    for (action, is_on) in [
        ("power-off", false),
        ("power-on", true),
        ("reset", true),
        ("suspend", false),
        ("power-on", true),
    ] {
        let outcome = run(&[&[action], &all[..]].concat());
        assert_eq!(outcome.status, 0, "{action}: {outcome:?}");
        assert_eq!(states(&outcome), ["\"success\""; 4], "{action}: {outcome:?}");
        let mapping = vcsim.scan(&["--guest-names"]).quiet_success();
        let mapping: Value = serde_json::from_str(&mapping).unwrap();
        let guests = mapping["hypervisors"].as_array().unwrap().iter();
        let on = guests
            .flat_map(|host| host["guests"].as_array().unwrap())
            .filter(|guest| {
                all.iter()
                    .any(|name| name.ends_with(guest["name"].as_str().unwrap()))
            })
            .filter(|guest| guest["state"] == 1)
            .count();
        assert_eq!(on, if is_on { 4 } else { 0 }, "{action}");
    }
    // Its machines have no tools, but shut down all the same.
    run(&["reboot-guest", all[0]]).failed(69, "ToolsUnavailable");
    let outcome = run(&["shutdown-guest", all[1]]);
    assert_eq!(states(&outcome), ["\"success\""], "{outcome:?}");
    let hosts = vcsim.about["hosts"].as_array().unwrap();
    let uuid = hosts.iter().find_map(|host| host["vms"][0].as_str()).unwrap();
    for name in [uuid, &swapped(uuid)] {
        let outcome = run(&["power-off", name]);
        assert_eq!(states(&outcome), ["\"success\""], "{outcome:?}");
    }
    let outcome = run(&["power-off", "DC0_H0_VM0", "no such machine"]);
    assert_eq!((outcome.status, states(&outcome).len()), (65, 2), "{outcome:?}");
    assert_eq!(run(&["questions"]).quiet_success(), "");
    assert_eq!(vcsim.end(), 0, "sessions left open");
}
