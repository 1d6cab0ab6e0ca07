//! vw-run as its users meet it: sections whose scans are scripts, and servers that are simulated.

mod once;
mod service;
mod status;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;
use vw_sim::simulation::Simulation;
use vw_sim::vcenter::Inventory;

use crate::support::{Outcome, PATIENCE, Run, write_program};

/// A mapping with one hypervisor and its guest.
fn mapping(id: &str) -> String {
    let guest: String = id.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!(r#"{{"hypervisors":[{{"uuid":"{id}","guests":[{{"guestId":"{guest:0>32}","state":1}}]}}]}}"#)
}

/// A machine with vw-run, its configuration, and scans of its own.
struct Machine {
    folder: TempDir,
    simulation: Simulation,
    /// The lines by which a section names the simulated Candlepin.
    candlepin: String,
}

impl Machine {
    fn new() -> Self {
        let simulation = Simulation::start(Inventory::new(2, 4), true).unwrap();
        let written = fs::read_to_string(simulation.configuration()).unwrap();
        let mut sections = written.split("\n\n");
        let section = sections.find(|section| section.starts_with("[sim]")).unwrap();
        let candlepin = section.lines().filter(|line| line.starts_with("rhsm_"));
        let machine = Machine {
            candlepin: candlepin.map(|line| format!("{line}\n")).collect(),
            folder: tempfile::tempdir().unwrap(),
            simulation,
        };
        fs::create_dir(machine.path("bin")).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A script in PATH. Its current folder is the machine's.
    fn script(&self, name: &str, body: &str) {
        let path = self.path("bin").join(name);
        let folder = self.folder.path().display();
        // It is complete before it has its name, because vw-run may start it at any time.
        let new = self.path("script.new");
        write_program(&new, &format!("#!/bin/sh\ncd '{folder}' || exit\n{body}\n"));
        fs::rename(new, path).unwrap();
    }

    /// A script that prints a mapping.
    fn scan(&self, kind: &str, before: &str) {
        let mapping = mapping(kind);
        self.script(&format!("vw-scan-{kind}"), &format!("{before}\necho '{mapping}'"));
    }

    /// Writes the configuration. `@` in a line of its own stands for the keys of the simulated Candlepin.
    fn configure(&self, text: &str) {
        let text = text.replace("\n@\n", &format!("\n{}", self.candlepin));
        let new = self.path("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.path("virt-who.conf")).unwrap();
    }

    /// A section for each of these types, reported to the simulated Candlepin.
    fn sections(&self, kinds: &[&str]) {
        let section = |kind: &&str| format!("[{kind}]\ntype={kind}\nowner=sim\n@\n");
        self.configure(&kinds.iter().map(section).collect::<String>());
    }

    fn vw_run(&self, args: &[&str]) -> Run {
        self.vw_run_at(env!("CARGO_BIN_EXE_vw-run").as_ref(), args)
    }

    fn vw_run_at(&self, program: &Path, args: &[&str]) -> Run {
        let bin = self.path("bin");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let run = Run::new(program.to_str().unwrap());
        run.args(["--state-dir", self.path("state").to_str().unwrap()])
            .args(args)
            .env("PATH", &path)
            .env("VW_CONFIG", self.path("virt-who.conf").to_str().unwrap())
            .folder(self.folder.path())
    }

    /// A copy of vw-run whose own folder has another reporter.
    fn with_reporter(&self, body: &str) -> PathBuf {
        let program = self.path("bin/vw-run");
        // By another process, for the reason of `write_program`.
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_vw-run"))
            .arg(&program)
            .status();
        assert!(copied.unwrap().success());
        self.script("vw-filter", "exec cat");
        self.script("vw-report-candlepin", body);
        program
    }

    fn once(&self) -> Outcome {
        self.vw_run(&["-o"]).run()
    }

    fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Starts vw-run as a service. Its stderr is the machine's file `stderr`.
    fn service(&self, args: &[&str]) -> Service {
        self.service_at(env!("CARGO_BIN_EXE_vw-run").as_ref(), args)
    }

    fn service_at(&self, program: &Path, args: &[&str]) -> Service {
        crate::support::signals::not_ignored();
        let stderr = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("stderr"));
        let (mut child, _) = self.vw_run_at(program, args).start(Stdio::from(stderr.unwrap()));
        Service {
            results: lines(child.stdout.take().unwrap()),
            child,
        }
    }
}

/// A vw-run that goes on. It is killed if a test fails.
struct Service {
    child: Child,
    results: Receiver<String>,
}

impl Service {
    /// The next result line.
    #[track_caller]
    fn result(&self) -> Value {
        let line = self.results.recv_timeout(PATIENCE).expect("no result line");
        serde_json::from_str(&line).unwrap()
    }

    fn send(&self, signal: &str) {
        crate::support::signals::send(&self.child, signal);
    }

    /// Ends it by SIGTERM, and returns its exit status.
    fn end(&mut self) -> Option<i32> {
        self.send("TERM");
        crate::support::ended(&mut self.child)?.code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        use std::io::BufRead as _;
        for line in std::io::BufReader::new(stdout).lines().map_while(Result::ok) {
            _ = sender.send(line);
        }
    });
    receiver
}

/// The result lines, sorted by their sections.
fn results(stdout: &str) -> Vec<Value> {
    let mut all: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    all.sort_by_key(|line| line["section"].to_string());
    all
}

/// The section and state of each result line.
fn states(stdout: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let pairs = results(stdout).into_iter();
    pairs
        .map(|line| (text(&line["section"]), text(&line["state"])))
        .collect()
}

#[track_caller]
fn assert_states(stdout: &str, expected: &[(&str, &str)]) {
    let found = states(stdout);
    let found: Vec<(&str, &str)> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(found, expected);
}
