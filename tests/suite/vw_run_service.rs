//! vw-run as a service: its messages to systemd, its status file, its metrics and its log files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use vw_sim::simulation::Simulation;
use vw_sim::vcenter::Inventory;

use crate::man::root;
use crate::support::signals::send;
use crate::support::{Outcome, PATIENCE, Run, ended, skipped, until, write_program};

const RUN: &str = env!("CARGO_BIN_EXE_vw-run");

/// The simulated servers, and a folder with a configuration of these sections: `fine` is the vCenter, `broken` has a wrong
/// password, and `script` is scanned by a script, which notes its environment.
struct Site {
    servers: Simulation,
    folder: TempDir,
}

impl Site {
    fn new(global: &str, sections: &[&str]) -> Self {
        let servers = Simulation::start(Inventory::new(2, 4), true).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let site = Site { servers, folder };
        let all = fs::read_to_string(site.servers.configuration()).unwrap();
        let section = all.split("[sim]\n").nth(1).unwrap().split("\n\n").next().unwrap();
        let mut configuration = format!("[global]\n{global}\n");
        for name in sections {
            let section = match *name {
                "broken" | "broken too" => section.replacen("password=", "password=not", 1),
                "script" => section.replacen("type=esx", "type=script", 1),
                _ => section.to_owned(),
            };
            configuration += &format!("[{name}]\n{section}\n");
        }
        fs::write(site.path("virt-who.conf"), configuration).unwrap();
        fs::set_permissions(site.path("virt-who.conf"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(site.path("bin")).unwrap();
        let script = site.path("bin/vw-scan-script");
        // A scan of the next round may be killed at any moment, so the file is replaced as a whole.
        let scan = "#!/bin/sh\nenv > \"$PLACE/new\"\nmv \"$PLACE/new\" \"$PLACE/environment\"\necho '{\"hypervisors\":[{\"uuid\":\"h\",\"guests\":[]}]}'\n";
        write_program(&script, scan);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn run_of(&self, program: &str) -> Run {
        let path = std::env::var("PATH").unwrap();
        Run::new(program)
            .folder(self.folder.path())
            .env("PATH", &format!("{}:{path}", self.path("bin").display()))
            .env("PLACE", self.folder.path().to_str().unwrap())
            .env("VW_CONFIG", self.path("virt-who.conf").to_str().unwrap())
    }

    fn run(&self, args: &[&str]) -> Run {
        self.run_of(RUN).args(["--state-dir", "state"]).args(args)
    }
}

/// The socket of a service manager.
struct Manager(UnixDatagram, PathBuf);

impl Manager {
    fn new(site: &Site) -> Self {
        let path = site.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager(socket, path)
    }

    /// The assignments that come, up to the one that `wanted` accepts.
    #[track_caller]
    fn told(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let length = self
                .0
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("{error}: {all:?}"));
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            all.extend(text.lines().map(str::to_owned));
            if all.iter().any(|line| wanted(line)) {
                return all;
            }
        }
    }
}

fn service(site: &Site, manager: &Manager, watchdog: &str) -> Child {
    let run = site
        .run(&[])
        .env("NOTIFY_SOCKET", manager.1.to_str().unwrap())
        .env("WATCHDOG_USEC", watchdog);
    run.start(Stdio::null()).0
}

#[test]
fn systemd_learns_what_the_service_does() {
    let site = Site::new("", &["fine", "broken", "script"]);
    let manager = Manager::new(&site);
    let mut child = service(&site, &manager, "100000");
    let told = manager.told(|line| line == "READY=1");
    assert!(!told.iter().any(|line| line == "STOPPING=1"), "{told:?}");
    manager.told(|line| line.starts_with("STATUS=2 of 3 sections succeeded; broken: "));
    for _ in 0..3 {
        manager.told(|line| line == "WATCHDOG=1");
    }
    send(&child, "HUP");
    manager.told(|line| line == "RELOADING=1");
    manager.told(|line| line == "READY=1");
    send(&child, "TERM");
    manager.told(|line| line == "STOPPING=1");
    assert_eq!(ended(&mut child).unwrap().code(), Some(143));
    let environment = site.text("environment");
    assert!(environment.contains("PLACE="), "{environment}");
    for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        assert!(
            !environment.contains(variable),
            "a child would answer systemd: {environment}"
        );
    }
}

#[test]
fn a_service_of_one_round_tells_systemd_that_it_is_alive() {
    let site = Site::new("oneshot=true", &["script"]);
    let scan = "#!/bin/sh\nuntil [ -e \"$PLACE/go\" ]; do sleep 0.02; done\nexit 75\n";
    fs::write(site.path("bin/vw-scan-script"), scan).unwrap();
    let manager = Manager::new(&site);
    let mut child = service(&site, &manager, "100000");
    manager.told(|line| line == "READY=1");
    manager.told(|line| line == "WATCHDOG=1");
    manager.told(|line| line == "WATCHDOG=1");
    fs::write(site.path("go"), "").unwrap();
    assert_eq!(ended(&mut child).unwrap().code(), Some(75));
}

#[test]
fn a_service_manager_that_went_away_does_not_stop_the_service() {
    let site = Site::new("", &["script"]);
    let manager = Manager::new(&site);
    let mut child = service(&site, &manager, "100000");
    manager.told(|line| line == "READY=1");
    let Manager(socket, path) = manager;
    drop(socket);
    fs::remove_file(path).unwrap();
    until(|| site.text("state/vw-run.json").contains("script"));
    send(&child, "TERM");
    assert_eq!(ended(&mut child).unwrap().code(), Some(143));
}

#[test]
fn the_command_of_the_cronjob_reads_a_secret_as_kubernetes_mounts_it() {
    let job = fs::read_to_string(root().join("contrib/kubernetes/base/cronjob.yaml")).unwrap();
    let words = job
        .lines()
        .find_map(|line| line.trim().strip_prefix("command: ["));
    let words: Vec<&str> = words.unwrap().trim_end_matches(']').split(", ").collect();
    assert_eq!(words[0], "vw-run");
    assert!(
        job.contains("name: VW_CONFIG\n                  value: /config\n"),
        "{job}"
    );
    // The documents of the scans are temporary files.
    if job.contains("readOnlyRootFilesystem: true") {
        assert!(
            job.contains("- name: tmp\n                  mountPath: /tmp\n"),
            "{job}"
        );
    }

    // Kubernetes replaces a Secret by one new link.
    let site = Site::new("reporter_id=vw-vc1", &["fine"]);
    let config = site.path("config");
    fs::create_dir_all(config.join("..2026")).unwrap();
    fs::rename(site.path("virt-who.conf"), config.join("..2026/virt-who.conf")).unwrap();
    symlink("..2026", config.join("..data")).unwrap();
    symlink("..data/virt-who.conf", config.join("virt-who.conf")).unwrap();
    let state = site.path("state");
    let words = words[1..]
        .iter()
        .map(|word| word.replace("/state", state.to_str().unwrap()));
    let outcome = site
        .run_of(RUN)
        .args(words)
        .env("VW_CONFIG", config.to_str().unwrap())
        .run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(
        outcome.stdout.contains(r#""state":"finished""#) && outcome.stderr.is_empty(),
        "{outcome:?}"
    );
    assert_eq!(
        site.servers
            .candlepin()
            .reporters()
            .into_iter()
            .collect::<Vec<_>>(),
        ["vw-vc1"]
    );
}

/// The values of the metrics, by name and labels.
fn metric(text: &str, series: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

#[test]
fn one_round_writes_the_status_file_and_the_metrics() {
    let site = Site::new("", &["fine", "broken"]);
    let once = || site.run(&["-o", "--metrics", "vw.prom"]).run();
    let outcome = once();
    assert_eq!(outcome.status, 77, "{outcome:?}");
    assert_eq!(outcome.stdout.lines().count(), 2, "{outcome:?}");
    let status: serde_json::Value = serde_json::from_str(&site.text("state/vw-run.json")).unwrap();
    let (fine, broken) = (&status["sections"]["fine"], &status["sections"]["broken"]);
    assert_eq!(fine["source"]["hypervisors"], 2, "{status}");
    assert_eq!(fine["destination"]["last_successful_send_job_status"], "finished");
    assert_eq!(broken["round"]["kind"], "noperm");
    assert!(broken["source"]["last_successful_retrieve"].is_null());

    outcome_is_in_metrics(&site, 1.0);
    assert_eq!(fs::metadata(site.path("vw.prom")).unwrap().mode() & 0o777, 0o644);
    once();
    outcome_is_in_metrics(&site, 2.0);
    let left: BTreeSet<_> = fs::read_dir(site.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".vw-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let checked = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(fs::File::open(site.path("vw.prom")).unwrap())
        .output();
    match checked {
        Err(_) => skipped("promtool's check of the metrics: it is not installed"),
        Ok(checked) => assert!(
            checked.status.success() && checked.stderr.is_empty(),
            "{checked:?}"
        ),
    }
}

#[track_caller]
fn outcome_is_in_metrics(site: &Site, rounds: f64) {
    let text = site.text("vw.prom");
    for (series, value) in [
        ("vw_hypervisors{section=\"fine\"}", Some(2.0)),
        ("vw_guests{section=\"fine\"}", Some(4.0)),
        ("vw_hypervisors{section=\"broken\"}", None),
        ("vw_last_round_success{section=\"fine\"}", Some(1.0)),
        ("vw_last_round_success{section=\"broken\"}", Some(0.0)),
        ("vw_rounds_total{section=\"broken\"}", Some(rounds)),
        (
            "vw_failures_total{section=\"broken\",kind=\"noperm\"}",
            Some(rounds),
        ),
        ("vw_failures_total{section=\"fine\",kind=\"noperm\"}", Some(0.0)),
    ] {
        assert_eq!(metric(&text, series), value, "{series}: {text}");
    }
}

#[test]
fn metrics_that_can_not_be_written_are_an_error_before_the_first_round() {
    let site = Site::new("", &["script"]);
    for (file, status) in [("/dev/null", 64), ("gone/vw.prom", 78), ("bin", 64)] {
        let outcome = site.run(&["-o", "--metrics", file]).run();
        outcome.failed(status, "--metrics");
    }
    assert_eq!(site.text("environment"), "", "nothing ran");
}

/// Runs vw-run with a full file system of 64 KiB in `full`, in which files can be created but not written. None if the system
/// does not allow to mount one.
fn on_a_full_disk(site: &Site, script: &str) -> Option<Outcome> {
    let folder = site.folder.path().to_str().unwrap();
    let mounted = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "none", folder])
        .output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        skipped("a full disk: unshare -rm can't mount a tmpfs here");
        return None;
    }
    fs::create_dir(site.path("full")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=64k none full || exit 99\n\
         fill() {{ dd if=/dev/zero of=full/filler bs=4k 2>/dev/null; }}\n{script}"
    );
    Some(
        site.run_of("unshare")
            .args(["-rm", "sh", "-c", &script, "sh", RUN])
            .run(),
    )
}

#[test]
fn a_full_disk_loses_neither_the_report_nor_the_old_files() {
    let site = Site::new("", &["script"]);
    let script = "\"$1\" -o --state-dir full --metrics full/vw.prom || exit 98\n\
                  cp full/vw-run.json full/vw.prom . || exit 97\n\
                  fill\n\
                  \"$1\" -o --state-dir full --metrics full/vw.prom\n\
                  status=$?\n\
                  cmp full/vw-run.json vw-run.json && cmp full/vw.prom vw.prom || exit 96\n\
                  ls -A full >&2\n\
                  exit $status";
    let Some(outcome) = on_a_full_disk(&site, script) else {
        return;
    };
    assert_eq!(outcome.status, 74, "{outcome:?}");
    for words in [
        "the status of this round can't be kept: writing full/vw-run.json: No space left",
        "the metrics of this round can't be kept: writing ",
        "full/vw.prom: No space left",
    ] {
        assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
    }
    assert!(!outcome.stderr.contains("\n.vw-"), "{outcome:?}");
    let results: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(results.len(), 2, "{outcome:?}");
    assert!(
        !results[1].contains(r#""state":"failed""#),
        "the report was sent: {outcome:?}"
    );
}

#[test]
fn each_section_has_its_own_log_file_if_the_configuration_says_so() {
    let site = Site::new(
        "log_dir=log\nlog_per_config=yes",
        &["fine", "broken", "broken too"],
    );
    let outcome = site.run(&["-o"]).run();
    assert_eq!(outcome.status, 77, "{outcome:?}");
    let broken = site.text("log/broken.log");
    // Once, although vw-run also passes it on.
    assert_eq!(
        broken.matches("wrong user name or password").count(),
        1,
        "{broken}"
    );
    assert!(broken.lines().all(|line| line.contains(":broken - ")), "{broken}");
    // It shares the scan, and so has to be told.
    let too = site.text("log/broken too.log");
    assert!(
        too.contains("the scan of [broken], which it shares, failed: "),
        "{too}"
    );
    assert_eq!(too.lines().count(), 1, "{too}");
    assert!(!site.text("log/fine.log").contains("broken"), "{outcome:?}");
    assert!(
        !site.text("log/rhsm.log").contains("wrong user name"),
        "{outcome:?}"
    );
}

#[test]
fn messages_of_the_stages_have_their_priority_in_the_journal() {
    let site = Site::new("", &["broken"]);
    let file = fs::File::create(site.path("journal")).unwrap();
    let about = file.metadata().unwrap();
    let stream = format!("{}:{}", about.dev(), about.ino());
    let (mut child, _) = site.run(&["-o"]).env("JOURNAL_STREAM", &stream).start(file);
    assert_eq!(ended(&mut child).unwrap().code(), Some(77));
    let journal = site.text("journal");
    let refused = journal
        .lines()
        .find(|line| line.contains("wrong user name or password"));
    assert!(refused.unwrap().starts_with("<3>vw-run: "), "{journal}");
    assert!(journal.lines().all(|line| line.starts_with('<')), "{journal}");
}
