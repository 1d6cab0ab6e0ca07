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

use crate::support::{Outcome, Run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-report-candlepin");

/// Two hypervisors, one of them with two guests, and things that never leave for a server.
const MAPPING: &str = r#"{"hypervisors":[
  {"uuid":"H1","name":"esx1.example.com","parent":{"id":"domain-c7"},
   "facts":{"hypervisor.type":"VMware ESXi","dmi.system.uuid":"9705df9f-0000-1000-8000-000000000001"},
   "guests":[{"guestId":"g1","state":1,"attributes":{"active":1,"virtWhoType":"esx"},"name":"web1"},
             {"guestId":"g2","state":5,"attributes":{"active":0,"virtWhoType":"esx"}}]},
  {"uuid":"h2","name":"esx2.example.com","facts":{},"guests":[]}],
 "source":{"section":"prod"},"omitted":[{"kind":"host","id":"host-17","stage":"vw-scan-esx","reason":"none"}]}"#;

/// A Candlepin, and what it takes to report to it.
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
        // Independent of time: shown unfinished once, then finished.
        let mut settings = Settings {
            job_time: JobTime::Polls(1),
            ..Settings::default()
        };
        change(&mut settings);
        let candlepin = Arc::new(Candlepin::new(settings));
        let server = Server::start(candlepin.clone(), None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        std::fs::write(folder.path().join("virt-who.conf"), "").unwrap();
        Site {
            candlepin,
            server,
            folder,
        }
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

    /// The command without any option, in an environment of its own.
    fn bare(&self) -> Run {
        Run::new(PROGRAM).env("VW_CONFIG", &self.file("virt-who.conf"))
    }

    fn run(&self) -> Run {
        self.bare().args(self.options()).stdin(MAPPING)
    }

    fn spawn(&self) -> Child {
        Command::new(PROGRAM)
            .args(self.options())
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

/// The only result line, its time taken out.
#[track_caller]
fn line(outcome: &Outcome) -> Value {
    let mut lines = lines(&outcome.stdout);
    assert_eq!(lines.len(), 1, "{outcome:?}");
    let seconds = lines[0].as_object_mut().unwrap().remove("seconds").unwrap();
    assert!(seconds.as_f64().unwrap() >= 0.0);
    lines.remove(0)
}

/// Fails unless the last line on stderr holds the words, and all before it are warnings.
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

fn send_signal(child: &Child, signal: &str) {
    let kill = Command::new("sh")
        .args(["-c", &format!("kill -{signal} {}", child.id())])
        .status();
    assert!(kill.unwrap().success());
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
fn a_report_arrives_and_a_second_one_changes_nothing() {
    let site = Site::new();
    let first = site.run().run();
    assert_eq!((first.status, first.stderr.as_str()), (0, ""));
    let job = site.candlepin.jobs()[0].id.clone();
    let expected = json!({
        "section": null, "server": format!("{}/candlepin", site.server.url()), "owner": "sim",
        "state": "finished", "hypervisors": 2, "guests": 2, "created": 2, "updated": 0, "unchanged": 0,
        "failed": [], "jobs": [job],
    });
    assert_eq!(line(&first), expected);

    let held = site.candlepin.hypervisors("sim");
    assert_eq!(held["h1"].name, "esx1.example.com");
    assert_eq!(held["h1"].guest_ids(), ["g1", "g2"]);
    assert_eq!(held["h1"].facts["hypervisor.type"], "VMware ESXi");
    assert!(held["h2"].guests.is_empty());

    let second = line(&site.run().run());
    assert_eq!((&second["created"], &second["unchanged"]), (&json!(0), &json!(2)));
}

#[test]
fn what_goes_over_the_wire() {
    let site = Site::new();
    site.run().args(["--reporter-id", "me & you"]).run();
    let requests = site.candlepin.requests();
    let asked: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    let job = format!("/candlepin/jobs/{}", site.candlepin.jobs()[0].id);
    assert_eq!(
        asked[..3],
        ["/candlepin/status", "/candlepin/hypervisors/sim", job.as_str()]
    );
    assert_eq!(requests[1].query, "reporter_id=me%20%26%20you");
    assert_eq!(requests[2].query, "result_data=true");
    assert!(site.candlepin.reporters().contains("me & you"));
    let body: Value = serde_json::from_slice(&requests[1].body).unwrap();
    let expected = json!({"hypervisors": [
        {"hypervisorId": {"hypervisorId": "H1"}, "name": "esx1.example.com",
         "guestIds": [{"guestId": "g1", "state": 1, "attributes": {"active": 1, "virtWhoType": "esx"}},
                      {"guestId": "g2", "state": 5, "attributes": {"active": 0, "virtWhoType": "esx"}}],
         "facts": {"hypervisor.type": "VMware ESXi", "dmi.system.uuid": "9705df9f-0000-1000-8000-000000000001"}},
        {"hypervisorId": {"hypervisorId": "h2"}, "name": "esx2.example.com", "guestIds": []},
    ]});
    assert_eq!(body, expected);

    let logged = site.server.requests();
    let header = |n: usize, name| logged[n].request.header(name).unwrap_or_default().to_owned();
    assert_eq!(header(1, "Content-Type"), "text/plain");
    let correlation = header(1, "X-Correlation-ID");
    assert_eq!(correlation.len(), 32);
    assert!((0..logged.len()).all(|n| header(n, "X-Correlation-ID") == correlation));
    assert_eq!(site.candlepin.jobs()[0].correlation, Some(correlation));
}

#[test]
fn the_reporter_is_this_machine_unless_said_otherwise() {
    let site = Site::new();
    site.run().run();
    let reporters = site.candlepin.reporters();
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    assert_eq!(reporters.len(), 1);
    let reporter = reporters.first().unwrap();
    assert!(
        !reporter.is_empty() && reporter.ends_with(machine.trim()),
        "{reporter}"
    );
}

#[test]
fn the_old_generation_is_served_as_well() {
    let site = Site::with(|settings| settings.generation = Generation::Old);
    site.candlepin
        .occupy("sim", JobTime::After(Duration::from_millis(600)));
    let outcome = site.run().run();
    assert_eq!(
        (outcome.status, line(&outcome)["created"].as_u64()),
        (0, Some(2)),
        "{outcome:?}"
    );
}

#[test]
fn a_blocked_report_waits_and_is_sent_again() {
    let site = Site::new();
    let other = site.candlepin.occupy("sim", JobTime::Polls(2));
    let outcome = site.run().run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stderr.contains(&other), "{outcome:?}");
    let jobs = site.candlepin.jobs();
    let states: Vec<JobState> = jobs.iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Finished, JobState::Failed, JobState::Finished]);
    // The one that was dropped did nothing.
    assert_eq!(line(&outcome)["jobs"], json!([jobs[2].id]));
    assert_eq!(site.held(), ["h1", "h2"]);
}

#[test]
fn a_report_that_stays_blocked_ends_with_the_job_timeout() {
    let site = Site::new();
    let other = site.candlepin.occupy("sim", JobTime::Polls(100_000));
    let outcome = site.run().args(["--job-timeout", "1"]).run();
    assert_eq!(outcome.status, 75);
    let last = outcome.stderr.lines().last().unwrap();
    assert!(
        last.contains(&other) && last.contains("--job-timeout"),
        "{outcome:?}"
    );
    assert_eq!(line(&outcome)["state"], "failed");
}

#[test]
fn a_job_that_takes_too_long() {
    let site = Site::with(|settings| settings.job_time = JobTime::Polls(100_000));
    let outcome = site.run().args(["--job-timeout", "1"]).run();
    outcome.failed(75, "after 1 s (--job-timeout)");
    let line = line(&outcome);
    assert_eq!(
        (&line["state"], &line["jobs"]),
        (&json!("failed"), &json!([site.candlepin.jobs()[0].id]))
    );
}

#[test]
fn a_job_that_fails_or_is_canceled() {
    for (fate, words) in [
        (Fate::Fail("it broke".to_owned()), "FAILED: it broke"),
        (Fate::Cancel, "CANCELED"),
    ] {
        let site = Site::new();
        site.candlepin.doom_next_job(fate);
        let outcome = site.run().run();
        outcome.failed(69, words);
        outcome.failed(69, "correlation id");
        assert_eq!(line(&outcome)["state"], "failed");
        assert_eq!(line(&outcome)["jobs"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_hypervisor_that_the_server_loses_is_named() {
    let site = Site::new();
    site.candlepin.lose(["H2"]);
    let outcome = site.run().run();
    failed(&outcome, 69, "0 left out, 0 refused and 1 lost");
    let line = line(&outcome);
    assert_eq!(line["state"], "partial");
    assert_eq!(line["failed"][0]["id"], "h2");
    assert_eq!(line["failed"][0]["name"], "esx2.example.com");
    assert_eq!(line["failed"].as_array().unwrap().len(), 1);
}

#[test]
fn a_hypervisor_that_the_server_refuses_is_named_with_its_reason() {
    let site = Site::new();
    let long = "x".repeat(300);
    let mapping = format!(
        r#"{{"hypervisors":[{{"uuid":"a","name":"{long}","guests":[]}},{{"uuid":"b","name":"b","guests":[]}}]}}"#
    );
    let outcome = site.run().stdin(mapping).run();
    failed(&outcome, 69, "1 refused and 0 lost");
    let line = line(&outcome);
    assert_eq!((&line["state"], &line["created"]), (&json!("partial"), &json!(1)));
    assert_eq!(line["failed"][0]["id"], "a");
    assert!(
        line["failed"][0]["error"].as_str().unwrap().contains("Unable to"),
        "{line}"
    );
}

#[test]
fn what_is_wrong_with_the_account() {
    let account = |name: &str, access| Account {
        username: name.to_owned(),
        password: "sim-secret".to_owned(),
        access,
    };
    let site = Site::with(|settings| {
        settings.accounts.push(account("nothing", Access::Nothing));
        settings.accounts.push(account("other", Access::Owners(vec![])));
    });
    std::fs::write(site.folder.path().join("password"), "wrong").unwrap();
    let outcome = site.run().run();
    outcome.failed(77, "Invalid Credentials");
    outcome.failed(77, "request uuid");
    assert!(!outcome.stderr.contains("wrong"), "{outcome:?}");
    assert_eq!(line(&outcome)["state"], "failed");

    std::fs::write(site.folder.path().join("password"), "sim-secret\r\n").unwrap();
    for (options, status, words) in [
        (["--username", "nothing"], 77, "Insufficient permissions"),
        (
            ["--username", "other"],
            69,
            "owner \"sim\" is unknown, or user \"other\" has no right to it",
        ),
        (["--owner", "Sim"], 69, "owner \"Sim\" is unknown"),
    ] {
        let mut all = site.options();
        let place = all.iter().position(|option| option == options[0]).unwrap();
        all[place + 1] = options[1].to_owned();
        site.bare().args(all).stdin(MAPPING).run().failed(status, words);
    }
    assert!(site.held().is_empty());
}

#[test]
fn a_port_where_nobody_listens() {
    let site = Site::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = site.options();
    options[1] = format!("http://{free}/candlepin");
    let outcome = site.bare().args(options).stdin(MAPPING).run();
    outcome.failed(75, &free.to_string());
    assert_eq!(line(&outcome)["state"], "failed");
}

#[test]
fn a_server_in_trouble_is_asked_again_later() {
    for status in [429, 500, 502, 503] {
        let site = Site::new();
        site.candlepin.refuse_next([status]);
        site.run().run().failed(75, &status.to_string());
    }
    let site = Site::new();
    site.candlepin.set_database_down(true);
    site.run().run().failed(75, "answered 500");
}

#[test]
fn answers_that_are_cut_or_not_those_of_a_candlepin() {
    fn page() -> Fault {
        Fault::Answer(Response::new(
            200,
            "text/html",
            "<html><title>Welcome</title></html>",
        ))
    }
    fn json(text: &str) -> Fault {
        Fault::Answer(Response::new(200, "application/json", text))
    }
    type Trouble = fn() -> Fault;
    let troubles: [(Trouble, i32, &str); 8] = [
        (|| Fault::Close, 75, "ended before the answer was complete"),
        (|| Fault::Cut(20), 75, "ended before the answer was complete"),
        (page, 76, "a web page came instead"),
        (|| json("{"), 76, "is the path right?"),
        (|| json("[]"), 76, "is the path right?"),
        (
            || json(r#"{"id":7,"state":[],"managerCapabilities":{}}"#),
            76,
            "is the path right?",
        ),
        (
            || Fault::Answer(Response::new(415, "text/plain", "no")),
            76,
            "415",
        ),
        (
            || {
                Fault::Answer(Response::new(
                    410,
                    "application/json",
                    r#"{"displayMessage":"gone"}"#,
                ))
            },
            77,
            "gone",
        ),
    ];
    for (trouble, status, words) in troubles {
        for path in [
            "/candlepin/status",
            "/candlepin/hypervisors/sim",
            "/candlepin/jobs/",
        ] {
            let site = Site::new();
            site.server
                .misbehave(move |_, request: &Request| request.path.starts_with(path).then(trouble));
            let outcome = site.run().run();
            outcome.failed(status, words);
            assert_eq!(line(&outcome)["state"], "failed");
        }
    }
}

#[test]
fn a_server_without_the_asynchronous_check_in() {
    let site = Site::new();
    site.server.misbehave(|_, _| {
        let status = r#"{"version":"0.9.54","managerCapabilities":["cores","ram"]}"#;
        Some(Fault::Answer(Response::new(200, "application/json", status)))
    });
    let outcome = site.run().run();
    outcome.failed(69, "Candlepin 0.9.54 has no asynchronous check-in");
    assert_eq!(site.server.requests().len(), 1);
}

#[test]
fn a_path_where_no_candlepin_is() {
    let site = Site::new();
    let mut options = site.options();
    options[1] = format!("{}/nothing", site.server.url());
    site.bare().args(options).stdin(MAPPING).run().failed(69, "404");
}

#[test]
fn input_that_is_no_document_is_no_report() {
    for (input, status) in [
        ("", 66),
        (" \n", 66),
        (&MAPPING[..MAPPING.len() / 2], 66),
        (&MAPPING[..MAPPING.len() - 1], 66),
        ("not json", 65),
        ("[]", 65),
        (r#"{"hypervisors":1}"#, 65),
    ] {
        let site = Site::new();
        let outcome = site.run().stdin(input).run();
        outcome.failed(status, "vw-report-candlepin: ");
        assert_eq!(outcome.stdout, "", "{input}");
        assert_eq!(site.candlepin.request_count(), 0, "{input}");
    }
}

#[test]
fn an_empty_mapping_is_refused_unless_it_is_meant() {
    let site = Site::new();
    let outcome = site.run().stdin(r#"{"hypervisors":[]}"#).run();
    outcome.failed(65, "--allow-empty");
    assert_eq!(line(&outcome)["state"], "failed");
    assert_eq!(site.candlepin.request_count(), 0);

    let outcome = site
        .run()
        .args(["--allow-empty"])
        .stdin(r#"{"hypervisors":[]}"#)
        .run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(line(&outcome)["state"], "finished");
}

#[test]
fn what_the_server_would_mix_up_is_left_out_and_named() {
    let site = Site::new();
    let mapping = r#"{"hypervisors":[{"uuid":"A","name":"1","guests":[]},{"uuid":"a","name":"2","guests":[]},
        {"uuid":"","name":"3","guests":[]},{"uuid":"b","name":"4","guests":[]}]}"#;
    let outcome = site.run().stdin(mapping).run();
    failed(&outcome, 65, "3 left out, 0 refused and 0 lost");
    assert_eq!(outcome.stderr.matches("left out: ").count(), 3, "{outcome:?}");
    let line = line(&outcome);
    assert_eq!(line["state"], "partial");
    let names: Vec<&Value> = line["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["name"])
        .collect();
    assert_eq!(names, ["3", "1", "2"]);
    assert_eq!((&line["hypervisors"], &line["created"]), (&json!(4), &json!(1)));
    assert_eq!(site.held(), ["b"]);

    // What is wrong with the data does not hide what the server did.
    site.candlepin.lose(["c"]);
    let mapping =
        r#"{"hypervisors":[{"uuid":"","name":"3","guests":[]},{"uuid":"c","name":"4","guests":[]}]}"#;
    failed(
        &site.run().stdin(mapping).run(),
        69,
        "1 left out, 0 refused and 1 lost",
    );
}

#[test]
fn a_shared_system_uuid_does_not_leave() {
    let site = Site::new();
    let mapping = r#"{"hypervisors":[{"uuid":"a","name":"a","guests":[],"facts":{"dmi.system.uuid":"X1","n":"1"}},
        {"uuid":"b","name":"b","guests":[],"facts":{"dmi.system.uuid":"x1"}}]}"#;
    let outcome = site.run().stdin(mapping).run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(
        outcome.stderr.matches("sent without dmi.system.uuid").count(),
        2,
        "{outcome:?}"
    );
    let held = site.candlepin.hypervisors("sim");
    assert_eq!(held.len(), 2);
    assert!(
        held.values()
            .all(|held| !held.facts.contains_key("dmi.system.uuid"))
    );
    assert_eq!(held["a"].facts["n"], "1");
}

#[test]
fn each_document_of_a_stream_has_its_line_and_the_worst_counts() {
    let site = Site::new();
    let stream = format!("{MAPPING}\n{{\"hypervisors\":[]}}{MAPPING}");
    let outcome = site.run().stdin(stream).run();
    outcome.failed(65, "--allow-empty");
    let states: Vec<Value> = lines(&outcome.stdout)
        .into_iter()
        .map(|line| line["state"].clone())
        .collect();
    assert_eq!(states, ["finished", "failed", "finished"]);

    let outcome = site.run().stdin(format!("{MAPPING}{{\"hyp")).run();
    outcome.failed(66, "before a document was complete");
    assert_eq!(lines(&outcome.stdout).len(), 1);
}

#[test]
fn a_document_is_reported_before_the_next_one_comes() {
    let site = Site::new();
    let mut child = site.spawn();
    let mut input = child.stdin.take().unwrap();
    input.write_all(MAPPING.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(lines(&line)[0]["state"], "finished");
    // Nothing more comes; a signal ends the wait all the same.
    send_signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(143));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "vw-report-candlepin: terminated\n");
}

#[test]
fn a_signal_ends_the_wait_for_a_job_with_one_line() {
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let site = Site::with(|settings| settings.job_time = JobTime::Polls(100_000));
        let mut child = site.spawn();
        let mut input = child.stdin.take().unwrap();
        input.write_all(MAPPING.as_bytes()).unwrap();
        drop(input);
        until(|| site.candlepin.request_count() > 3);
        let since = Instant::now();
        send_signal(&child, signal);
        let output = child.wait_with_output().unwrap();
        assert!(since.elapsed() < Duration::from_secs(5));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        let lines = lines(std::str::from_utf8(&output.stdout).unwrap());
        assert_eq!(lines[0]["state"], "failed");
    }
}

#[test]
fn the_work_is_done_though_nobody_reads_the_results() {
    let site = Site::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = site
        .run()
        .stdin(format!("{MAPPING}{MAPPING}"))
        .run_with_stdout(writer);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(site.candlepin.jobs().len(), 2);
}

#[test]
fn results_that_can_not_be_written_are_an_error_but_the_work_is_done() {
    let site = Site::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let outcome = site
        .run()
        .stdin(format!("{MAPPING}{MAPPING}"))
        .run_with_stdout(full);
    outcome.failed(74, "writing to stdout");
    assert_eq!(site.candlepin.jobs().len(), 2);
}

#[test]
fn a_dry_run_prints_the_body_and_needs_no_server() {
    let site = Site::new();
    let dry = site
        .bare()
        .args(["--dry-run"])
        .stdin(MAPPING)
        .run()
        .quiet_success();
    assert_eq!(site.candlepin.request_count(), 0);
    site.run().run();
    let sent = site.candlepin.requests()[1].body.clone();
    assert_eq!(dry, String::from_utf8(sent).unwrap() + "\n");

    let twice = r#"{"hypervisors":[{"uuid":"a","guests":[]},{"uuid":"A","guests":[]}]}"#;
    let outcome = site.bare().args(["--dry-run"]).stdin(twice).run();
    failed(&outcome, 65, "2 left out");
    assert_eq!(outcome.stdout, "{\"hypervisors\":[]}\n");
    site.bare()
        .args(["--dry-run", "-n", "nosuch"])
        .stdin(MAPPING)
        .run()
        .failed(78, "[nosuch]");
    site.bare()
        .args(["--dry-run"])
        .stdin("")
        .run()
        .failed(66, "empty");
}

#[test]
fn a_section_says_everything() {
    let site = Site::new();
    let address = site.server.address();
    let section = |name: &str, more: &str| {
        format!(
            "[{name}]\ntype=esx\nowner=sim\nrhsm_hostname=http://{address}\nrhsm_prefix=/candlepin\n\
             rhsm_username=sim\nrhsm_insecure=1\n{more}\n"
        )
    };
    let write = |text: String| std::fs::write(site.folder.path().join("virt-who.conf"), text).unwrap();
    write(section("prod", "rhsm_password=sim-secret"));
    for options in [&["-n", "prod"][..], &[]] {
        let outcome = site.bare().args(options).stdin(MAPPING).run();
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(line(&outcome)["section"], "prod");
    }
    site.bare()
        .args(["-n", "test"])
        .stdin(MAPPING)
        .run()
        .failed(78, "there is no section [test]");

    write(section("prod", ""));
    let outcome = site
        .bare()
        .env("VIRTWHO_RHSM_PASSWORD", "sim-secret")
        .stdin(MAPPING)
        .run();
    assert_eq!(outcome.status, 0, "{outcome:?}");

    write("[prod]\ntype=esx\nowner=sim\nrhsm_hostname=x\n".to_owned());
    site.bare()
        .args(["-n", "prod"])
        .stdin(MAPPING)
        .run()
        .failed(78, "rhsm_username");
    write("[prod]\ntype=esx\nrhsm_hostname=x\n".to_owned());
    site.bare()
        .args(["-n", "prod"])
        .stdin(MAPPING)
        .run()
        .failed(78, "owner");
    assert_eq!(site.candlepin.jobs().len(), 3);
}

#[test]
fn debug_messages_show_the_ids_and_no_secret() {
    let site = Site::new();
    let outcome = site.run().args(["--debug"]).run();
    assert_eq!(outcome.status, 0);
    for words in ["correlation id", "request uuid", "FINISHED"] {
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    }
    for secret in ["sim-secret", "c2ltOnNpbS1zZWNyZXQ="] {
        assert!(!outcome.stderr.contains(secret), "{outcome:?}");
    }
}

#[test]
fn a_time_limit_for_the_whole() {
    let site = Site::new();
    site.server.misbehave(|_, _| Some(Fault::Silence));
    site.run().args(["--timeout", "1"]).run().failed(75, "--timeout");
}

#[test]
fn wrong_options_are_told_in_one_line() {
    let site = Site::new();
    for options in [
        &["--job-timeout", "0"][..],
        &["--job-timeout", "soon"],
        &["--heartbeat"],
        &["more"],
    ] {
        site.run().args(options).run().failed(64, "--help");
    }
    assert_eq!(site.candlepin.request_count(), 0);
}
