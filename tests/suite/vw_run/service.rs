//! Every section for ever: rounds, signals, and one instance at a time.

use std::collections::BTreeSet;
use std::fs;

use super::{Machine, Service, mapping};
use crate::support::{ended, until};

/// The commands that this process has started.
fn children(service: &Service) -> BTreeSet<u32> {
    let parent = service.child.id();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let mut after_name = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        after_name.nth(1).and_then(|parent| parent.parse().ok()) == Some(parent)
    })
    .collect()
}

fn lives(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// A section that follows the simulated vCenter.
fn esx(machine: &Machine) {
    let (user, password) = machine.simulation.account();
    let server = machine.simulation.vcenter().url();
    machine.configure(&format!(
        "[esx]\ntype=esx\nserver={server}\nusername={user}\npassword={password}\nowner=sim\n@\n"
    ));
}

#[test]
fn a_source_that_is_down_for_ten_rounds_comes_back() {
    let machine = Machine::new();
    let body = "echo round >>rounds; [ $(wc -l <rounds) -gt 10 ] || { echo vw-scan-lab: down >&2; exit 75; }";
    machine.scan("lab", body);
    machine.sections(&["lab"]);
    let mut service = machine.service(&[]);
    for _ in 0..10 {
        let line = service.result();
        assert_eq!(
            (&line["state"], &line["error"]),
            (&"failed".into(), &"vw-scan-lab: down".into())
        );
        // The next attempt is due later; a reload makes it due now.
        service.send("HUP");
    }
    assert_eq!(service.result()["state"], "finished");
    assert_eq!(service.end(), Some(143));
    let stderr = machine.read("stderr");
    assert!(
        stderr.contains("vw-run: [lab] the next attempt is in "),
        "{stderr}"
    );
}

#[test]
fn sighup_reads_the_configuration_again() {
    let machine = Machine::new();
    ["a", "b", "c"]
        .iter()
        .for_each(|kind| machine.scan(kind, &format!("echo {kind} >>scans")));
    machine.sections(&["a", "b"]);
    let mut service = machine.service(&[]);
    let sections =
        || [service.result(), service.result()].map(|line| line["section"].as_str().unwrap().to_owned());
    let sorted = |mut two: [String; 2]| {
        two.sort();
        two
    };
    assert_eq!(sorted(sections()), ["a", "b"]);
    machine.sections(&["b", "c"]);
    service.send("HUP");
    let sections =
        || [service.result(), service.result()].map(|line| line["section"].as_str().unwrap().to_owned());
    assert_eq!(sorted(sections()), ["b", "c"]);
    // An unreadable configuration changes nothing.
    fs::remove_file(machine.path("virt-who.conf")).unwrap();
    service.send("HUP");
    until(|| {
        machine
            .read("stderr")
            .contains("; the sections stay as they were")
    });
    machine.sections(&["c"]);
    service.send("HUP");
    assert_eq!(service.result()["section"], "c");
    assert_eq!(service.end(), Some(143));
}

#[test]
fn an_endless_interval_of_the_configuration_is_no_defect() {
    let machine = Machine::new();
    machine.scan("a", "");
    machine.configure(&format!(
        "[global]\ninterval={}\n[a]\ntype=a\nowner=sim\n@\n",
        u64::MAX
    ));
    let mut service = machine.service(&[]);
    assert_eq!(service.result()["section"], "a");
    assert_eq!(service.end(), Some(143));
    assert_eq!(machine.read("stderr"), "vw-run: terminated\n");
}

#[test]
fn the_interval_says_how_often_a_watching_scan_repeats_itself() {
    let machine = Machine::new();
    let dry = |args: &[&str]| {
        let outcome = machine.vw_run(&[&["--dry-run"], args].concat()).run();
        outcome.stdout.split(" | ").next().unwrap().to_owned()
    };
    machine.scan("a", "");
    machine.sections(&["a"]);
    assert_eq!(dry(&["-i", "600"]), "vw-scan-a -n a");
    assert_eq!(dry(&["--watch"]), "vw-scan-a -n a --watch");
    assert_eq!(
        dry(&["--watch", "-i", "600"]),
        "vw-scan-a -n a --watch --repeat 600"
    );
    let one = mapping("a");
    machine.script(
        "vw-scan-a",
        &format!("[ \"$*\" = '-n a --watch --repeat 600' ] || exit 64\necho '{one}'; exec sleep 1000"),
    );
    let mut service = machine.service(&["--watch", "-i", "600"]);
    assert_eq!(service.result()["state"], "finished");
    assert_eq!(service.end(), Some(143));
}

#[test]
fn a_section_that_leaves_in_the_middle_of_its_round_is_not_reported() {
    let machine = Machine::new();
    machine.scan("a", "");
    machine.scan("slow", "touch begun; until [ -e go ]; do sleep 0.02; done");
    machine.sections(&["a", "slow"]);
    let mut service = machine.service(&["--metrics", "m.prom"]);
    assert_eq!(service.result()["section"], "a");
    until(|| machine.has("begun"));
    machine.sections(&["a"]);
    service.send("HUP");
    assert_eq!(service.result()["section"], "a");
    fs::write(machine.path("go"), "").unwrap();
    until(|| machine.read("stderr").contains("[slow] not reported"));
    service.send("HUP");
    assert_eq!(service.result()["section"], "a");
    assert_eq!(service.end(), Some(143));
    let stderr = machine.read("stderr");
    assert!(!stderr.contains("there is no section"), "{stderr}");
    assert!(!machine.read("m.prom").contains("slow"));
}

#[test]
fn a_signal_ends_the_service_while_it_reads_a_configuration_that_never_comes() {
    let machine = Machine::new();
    machine.scan("a", "");
    machine.sections(&["a"]);
    let mut service = machine.service(&[]);
    assert_eq!(service.result()["section"], "a");
    fs::remove_file(machine.path("virt-who.conf")).unwrap();
    let pipe = machine.path("virt-who.conf");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    service.send("HUP");
    assert_eq!(service.end(), Some(143));
}

#[test]
fn a_refused_login_is_not_repeated_before_the_configuration_changes() {
    let machine = Machine::new();
    machine.script(
        "vw-scan-locked",
        "echo try >>tries; echo vw-scan-locked: wrong password >&2; exit 77",
    );
    machine.scan("fine", "");
    machine.sections(&["locked"]);
    let mut service = machine.service(&[]);
    assert_eq!(service.result()["section"], "locked");
    until(|| {
        machine.read("stderr").contains(
            "[locked] not tried again for 4 h, because repeated failures may lock the account; when",
        )
    });
    // A new section is reported, and the old one is not tried.
    machine.sections(&["locked", "fine"]);
    service.send("HUP");
    assert_eq!(service.result()["section"], "fine");
    service.send("HUP");
    assert_eq!(service.result()["section"], "fine");
    assert_eq!(machine.read("tries"), "try\n");
    let section = |password: &str| format!("[locked]\ntype=locked\nowner=sim\npassword={password}\n@\n");
    machine.configure(&section("new"));
    service.send("HUP");
    assert_eq!(service.result()["section"], "locked");
    assert_eq!(machine.read("tries"), "try\ntry\n");
    assert_eq!(service.end(), Some(143));
}

#[test]
fn the_pause_that_a_server_asks_for_is_kept() {
    let machine = Machine::new();
    machine.scan("lab", "");
    let body = "cat >/dev/null; echo '{\"state\":\"failed\",\"retry_after\":7200}'; exit 75";
    let program = machine.with_reporter(body);
    machine.sections(&["lab"]);
    let mut service = machine.service_at(&program, &[]);
    assert_eq!(service.result()["retry_after"], 7200);
    until(|| {
        machine
            .read("stderr")
            .contains("[lab] the next attempt is in 7200 s\n")
    });
    assert_eq!(service.end(), Some(143));
}

#[test]
fn each_change_is_reported_as_the_scan_prints_it() {
    let machine = Machine::new();
    let [one, two] = [mapping("one"), mapping("two")];
    let body = format!(
        "echo scan >>scans; [ \"$3\" = --watch ] || exit 64\ntrap 'exit 143' TERM\necho '{one}'; until [ -e more ]; do sleep 0.02; done\n\
         printf '%s' '{two}'; until [ -e end ]; do sleep 0.02; done; echo vw-scan-live: gone >&2; exit 75"
    );
    machine.script("vw-scan-live", &body);
    // One scan serves both.
    machine.configure("[all]\ntype=live\nowner=sim\n@\n[two]\ntype=live\nowner=sim\nfilter_hosts=two\n@\n");
    let mut service = machine.service(&["--watch"]);
    let results = || {
        let mut both = [service.result(), service.result()];
        both.sort_by_key(|line| line["section"].to_string());
        both
    };
    let both = results();
    assert_eq!(
        (&both[0]["state"], &both[0]["created"]),
        (&"finished".into(), &1.into())
    );
    assert!(
        both[1]["error"].as_str().unwrap().contains("hypervisor"),
        "{}",
        both[1]
    );
    fs::write(machine.path("more"), "").unwrap();
    for line in results() {
        assert_eq!(
            (&line["state"], &line["hypervisors"]),
            (&"finished".into(), &1.into())
        );
    }
    let stored = machine.simulation.candlepin().hypervisors("sim");
    assert!(stored.contains_key("one") && stored.contains_key("two"));
    fs::write(machine.path("end"), "").unwrap();
    for line in results() {
        assert_eq!(line["error"], "vw-scan-live: gone");
    }
    assert_eq!(service.end(), Some(143));
}

#[test]
fn a_refused_report_of_a_change_is_tried_again() {
    let machine = Machine::new();
    let one = mapping("one");
    machine.script(
        "vw-scan-live",
        &format!("trap 'exit 143' TERM; echo '{one}'; sleep 1000 & wait"),
    );
    machine.configure("[live]\ntype=live\nowner=nobody\n@\n");
    let mut service = machine.service(&["--watch"]);
    assert_eq!(service.result()["state"], "failed");
    machine.sections(&["live"]);
    service.send("HUP");
    assert_eq!(service.result()["state"], "finished");
    assert_eq!(service.end(), Some(143));
}

#[test]
fn sigterm_logs_the_sessions_out() {
    let machine = Machine::new();
    esx(&machine);
    let mut service = machine.service(&["--watch"]);
    assert_eq!(service.result()["state"], "finished");
    assert_eq!(machine.simulation.vcenter().open().sessions, 1);
    assert_eq!(service.end(), Some(143));
    let open = machine.simulation.vcenter().open();
    assert_eq!((open.sessions, open.abandoned), (0, 0));
}

#[test]
fn a_killed_vw_run_leaves_neither_a_lock_nor_a_stage() {
    let machine = Machine::new();
    esx(&machine);
    let mut service = machine.service(&["--watch"]);
    assert_eq!(service.result()["state"], "finished");
    let stages = children(&service);
    assert_eq!(stages.len(), 1);
    service.child.kill().unwrap();
    service.child.wait().unwrap();
    until(|| !stages.iter().any(|id| lives(*id)));
    assert_eq!(
        machine.simulation.vcenter().open().sessions,
        0,
        "it has logged out"
    );
    let mut service = machine.service(&["--watch"]);
    assert_eq!(service.result()["state"], "unchanged");
    assert_eq!(service.end(), Some(143));
}

#[test]
fn a_scan_that_somebody_ends_is_a_failure_like_any_other() {
    let machine = Machine::new();
    machine.script("vw-scan-ended", "echo scan >>scans; exit 143");
    machine.sections(&["ended"]);
    let mut service = machine.service(&[]);
    let line = service.result();
    assert_eq!(
        (&line["state"], &line["error"]),
        (&"failed".into(), &"vw-scan-ended: exit status 143".into())
    );
    until(|| machine.read("stderr").contains("[ended] the next attempt is in "));
    assert_eq!(machine.read("scans"), "scan\n");
    assert_eq!(service.end(), Some(143));
}

#[test]
fn one_instance_runs_at_a_time_but_different_sections_may_run_beside_each_other() {
    let machine = Machine::new();
    machine.scan("a", "");
    machine.scan("b", "");
    machine.sections(&["a", "b"]);
    let mut service = machine.service(&["-n", "a"]);
    service.result();
    let refused = |args: &[&str]| {
        let outcome = machine.vw_run(args).run();
        outcome.failed(75, "another vw-run is running: ");
        assert!(
            outcome
                .stderr
                .contains(&format!("process {} holds", service.child.id())),
            "{outcome:?}"
        );
    };
    refused(&["-o"]);
    refused(&["-o", "-n", "a"]);
    assert_eq!(machine.vw_run(&["-o", "-n", "b"]).run().status, 0);
    assert_eq!(machine.vw_run(&["-p"]).run().status, 0);
    assert_eq!(service.end(), Some(143));
    assert_eq!(machine.once().status, 0);
}

#[test]
fn a_stage_that_does_not_end_in_time_is_killed() {
    let machine = Machine::new();
    machine.script(
        "vw-scan-deaf",
        "trap '' TERM; echo $$ >pid; while :; do sleep 1000; done",
    );
    machine.sections(&["deaf"]);
    let mut service = machine.service(&[]);
    until(|| !machine.read("pid").is_empty());
    let asked = std::time::Instant::now();
    service.send("TERM");
    assert_eq!(ended(&mut service.child).unwrap().code(), Some(143));
    assert!(asked.elapsed() >= vw::process::GRACE, "it had time to end");
    assert!(!lives(machine.read("pid").trim().parse().unwrap()));
}
