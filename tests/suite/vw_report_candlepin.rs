//! `vw-report-candlepin` as its users meet it, against the simulated Candlepin.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vw_sim::candlepin::{Access, Account, Candlepin, Fate, Generation, JobState, JobTime, Settings};
use vw_sim::http::{Fault, Request, Response, Server};

use crate::support::{
    Outcome, Run, at_once, candlepin, is_utc, signals, until, with_longer_times, with_time,
};

mod consumer;
mod documents;
mod ends;
mod failures;
mod filters;
mod parts;
mod printed;
mod report;
mod settings;
mod state;
mod stream;
mod vanished;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-report-candlepin");

/// Two hypervisors, one of them with two guests, and members that are never sent.
const MAPPING: &str = r#"{"hypervisors":[
  {"uuid":"H1","name":"esx1.example.com","parent":{"id":"domain-c7"},
   "facts":{"hypervisor.type":"VMware ESXi","dmi.system.uuid":"9705df9f-0000-1000-8000-000000000001"},
   "guests":[{"guestId":"g1","state":1,"attributes":{"active":1,"virtWhoType":"esx"},"name":"web1"},
             {"guestId":"g2","state":5,"attributes":{"active":0,"virtWhoType":"esx"}}]},
  {"uuid":"h2","name":"esx2.example.com","facts":{},"guests":[]}],
 "source":{"section":"prod"},"omitted":[{"kind":"host","id":"host-17","stage":"vw-scan-esx","reason":"none"}]}"#;

/// A Candlepin, and the files for a report to it.
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

    /// A report with these options besides server, owner and account.
    fn report(&self, options: &[&str], input: &str) -> Outcome {
        self.bare().args(self.options()).args(options).stdin(input).run()
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn options(&self) -> Vec<String> {
        let url = format!("{}/candlepin", self.server.url());
        let password = self.file("password");
        let pairs = [
            ("--server", url.as_str()),
            ("--owner", "sim"),
            ("--username", "sim"),
            ("--password-file", &password),
        ];
        pairs
            .iter()
            .flat_map(|(option, value)| [(*option).to_owned(), (*value).to_owned()])
            .collect()
    }

    /// The command without options.
    fn bare(&self) -> Run {
        Run::new(PROGRAM).env("VW_CONFIG", &self.file("virt-who.conf"))
    }

    fn run(&self) -> Run {
        self.bare().args(self.options()).stdin(MAPPING)
    }

    fn spawn(&self, options: &[&str]) -> Child {
        Command::new(PROGRAM)
            .args(self.options())
            .args(options)
            .env("VW_CONFIG", self.file("virt-who.conf"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn held(&self) -> Vec<String> {
        self.candlepin.hypervisors("sim").into_keys().collect()
    }
}

fn lines(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The only result line, without its time.
#[track_caller]
fn line(outcome: &Outcome) -> Value {
    let mut lines = lines(&outcome.stdout);
    assert_eq!(lines.len(), 1, "{outcome:?}");
    let seconds = lines[0].as_object_mut().unwrap().remove("seconds").unwrap();
    assert!(seconds.as_f64().unwrap() >= 0.0);
    let time = lines[0].as_object_mut().unwrap().remove("time").unwrap();
    assert!(is_utc(time.as_str().unwrap()), "{time}");
    lines.remove(0)
}

/// Fails unless the last line on stderr contains `words` and all lines before it are warnings.
#[track_caller]
fn failed(outcome: &Outcome, status: i32, words: &str) {
    assert_eq!(outcome.status, status, "{outcome:?}");
    let (last, before) = outcome
        .stderr
        .lines()
        .collect::<Vec<_>>()
        .split_last()
        .map(|(last, before)| (last.to_string(), before.join("\n")))
        .unwrap();
    assert!(last.contains(words), "{outcome:?}");
    assert!(
        before
            .lines()
            .all(|line| line.starts_with("vw-report-candlepin: warning: ")),
        "{outcome:?}"
    );
}

/// How many requests came for a path that begins with this, below the prefix.
fn count(site: &Site, path: &str) -> usize {
    let path = format!("/candlepin{path}");
    let requests = site.server.requests();
    requests
        .iter()
        .filter(|logged| logged.request.path.starts_with(&path))
        .count()
}

/// A document of hypervisors with these ids, each with one guest, followed by the members `rest`.
fn mapping(ids: &[&str], rest: &str) -> String {
    let host = |id: &&str| {
        format!(
            r#"{{"uuid":"{id}","name":"name-{id}","facts":{{}},
                "guests":[{{"guestId":"g-{id}","state":1,"attributes":{{"active":1,"virtWhoType":"esx"}}}}]}}"#
        )
    };
    let hosts: Vec<String> = ids.iter().map(host).collect();
    format!(r#"{{"hypervisors":[{}]{rest}}}"#, hosts.join(","))
}

/// The next result line of a running command.
fn next_line(output: &mut impl BufRead) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}
