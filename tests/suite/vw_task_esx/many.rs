//! Many virtual machines, their names on stdin, signals, limits and closed outputs.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use super::*;
use crate::support::{ended, signals, until, with_longer_times};

/// Machines `vm0`, `vm1`, … that are powered off, and whose tasks follow the script.
fn site(count: usize, script: &Script) -> Site {
    let mut inventory = Inventory::empty();
    let cluster = inventory.add_cluster("Cluster");
    let host = inventory.add_host(cluster, Host::new("esx1.example.com"));
    for n in 0..count {
        let mut vm = Vm::new(&format!("vm{n}"));
        vm.power = Some("poweredOff".into());
        vm.script = script.clone();
        inventory.add_vm(host, vm);
    }
    Site::new(inventory)
}

fn endless() -> Script {
    Script {
        run: Duration::from_secs(3600),
        ..Script::default()
    }
}

fn names(count: usize) -> String {
    (0..count).map(|n| format!("vm{n}\n")).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// How many tasks are pending.
fn pending(site: &Site) -> usize {
    let inventory = site.vcenter.inventory();
    let running = |task: &&vw_sim::vcenter::Task| task.state == TaskState::Running;
    inventory.tasks().iter().filter(running).count()
}

#[test]
fn names_come_from_stdin_or_arguments_and_each_has_a_line() {
    let site = site(40, &Script::default());
    let text = format!("\n{}  \r\nvm3\r\nvm39", names(39));
    let outcome = Run::new(PROGRAM)
        .args(site.options())
        .args(["power-on", "-j", "8"])
        .stdin(text)
        .run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let mut done: Vec<String> = lines(&outcome.stdout)
        .iter()
        .map(|l| l["vm"].as_str().unwrap().into())
        .collect();
    done.sort();
    let mut expected: Vec<String> = (0..40).map(|n| format!("vm{n}")).collect();
    expected.sort();
    assert_eq!(done, expected);
    let words = "warning: \"vm3\" names vm-";
    assert!(
        outcome.stderr.contains(words) && outcome.stderr.lines().count() == 1,
        "{outcome:?}"
    );
    assert_eq!(site.vcenter.inventory().tasks().len(), 40);
    assert_eq!(site.vcenter.open(), Open::default());
    let logins = site
        .vcenter
        .calls()
        .iter()
        .filter(|call| *call == "Login")
        .count();
    assert!(logins <= 8, "{logins} logins");
    let outcome = run(&site, &["power-off", "vm1", "vm2", "vm1", "--json"]);
    assert_eq!((outcome.status, lines(&outcome.stdout).len()), (0, 2));
}

#[test]
fn as_many_as_asked_for_run_at_once() {
    for jobs in [1, 3] {
        let site = site(5, &endless());
        let (mut child, stdin) = Run::new(PROGRAM)
            .args(site.options())
            .args(["power-on", "-j", &jobs.to_string(), "--timeout", "60"])
            .stdin(names(5))
            .start(Stdio::null());
        drop(stdin);
        until(|| site.vcenter.open().filters == jobs);
        assert_eq!(pending(&site), jobs);
        signals::send(&child, "INT");
        assert_eq!(ended(&mut child).unwrap().code(), Some(130));
        assert_eq!(pending(&site), jobs, "nothing was started after the signal");
    }
}

#[test]
fn a_result_is_printed_as_soon_as_it_is_known() {
    let site = site(2, &Script::default());
    let (mut child, mut stdin) = Run::new(PROGRAM)
        .args(site.options())
        .args(["power-on"])
        .stdin("vm1\n")
        .start(Stdio::null());
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.contains("\"vm\":\"vm1\""), "{line}");
    stdin.write_all(b"vm0\n").unwrap();
    line.clear();
    output.read_line(&mut line).unwrap();
    assert!(line.contains("\"vm\":\"vm0\""), "{line}");
    drop(stdin);
    assert_eq!(ended(&mut child).unwrap().code(), Some(0));
}

#[test]
fn unusable_names_are_refused() {
    let site = site(1, &Script::default());
    let power_on = |stdin: Vec<u8>| {
        Run::new(PROGRAM)
            .args(site.options())
            .args(["power-on"])
            .stdin(stdin)
            .run()
    };
    power_on(Vec::new()).failed(66, "no virtual machine: stdin is empty");
    power_on(b"\n\n".to_vec()).failed(66, "no virtual machine");
    power_on(b"\xff\n".to_vec()).failed(65, "a name is not UTF-8");
    power_on(vec![b'x'; 100_000]).failed(65, "a line is longer than any virtual machine's name");
    let outcome = power_on(b"vm0\n\xff\n".to_vec());
    outcome.failed(65, "a name is not UTF-8");
    assert_eq!(lines(&outcome.stdout).len(), 1, "{outcome:?}");
    assert_eq!(site.vcenter.open(), Open::default());
}

/// Starts endless tasks and waits until the command follows them.
fn following(site: &Site, more: &[&str]) -> Child {
    let count = site.vcenter.inventory().vms().count();
    let (child, _stdin) = Run::new(PROGRAM)
        .args(site.options())
        .args(["power-on"])
        .args((0..count).map(|n| format!("vm{n}")))
        .args(more)
        .start(Stdio::piped());
    until(|| site.vcenter.open().filters == count);
    child
}

fn output(child: &mut Child) -> (Vec<Value>, String) {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (lines(&stdout), stderr)
}

#[test]
fn a_signal_ends_the_wait_names_the_tasks_and_logs_out() {
    signals::not_ignored();
    for (signal, status, words) in [("INT", 130, "interrupted"), ("TERM", 143, "terminated")] {
        let site = site(2, &endless());
        let mut child = following(&site, &[]);
        signals::send(&child, signal);
        let (lines, stderr) = output(&mut child);
        assert_eq!(ended(&mut child).unwrap().code(), Some(status), "{stderr}");
        assert_eq!(lines.len(), 2, "{lines:?}");
        for line in &lines {
            assert_eq!(line["state"], "running", "{line}");
            let task = line["task"].as_str().unwrap();
            assert!(
                stderr.contains(&format!("the task {task} is still running; the wait was {words}")),
                "{stderr}"
            );
        }
        assert_eq!(site.vcenter.open().sessions, 0);
        assert_eq!(pending(&site), 2, "the tasks go on");
    }
}

#[test]
fn the_time_limit_holds_for_each_machine_and_leaves_the_task_running() {
    with_longer_times(|limit| {
        let site = site(1, &endless());
        let outcome = run(&site, &["power-on", "vm0", "--timeout", limit]);
        let line = result(&outcome);
        assert_eq!(
            (outcome.status, &line["state"]),
            (75, &json!("running")),
            "{outcome:?}"
        );
        has(
            &line,
            &[
                "is still running; the wait ended",
                "not done within the time limit",
            ],
        );
        assert_eq!((pending(&site), site.vcenter.open().sessions), (1, 0));
        // Then it is busy.
        let outcome = run(&site, &["power-off", "vm0"]);
        assert_eq!((outcome.status, &result(&outcome)["state"]), (75, &json!("busy")));
    });
}

#[test]
fn the_work_goes_on_when_stdout_closes_or_is_full() {
    let site = site(
        6,
        &Script {
            run: Duration::from_millis(50),
            ..Script::default()
        },
    );
    let (mut child, stdin) = Run::new(PROGRAM)
        .args(site.options())
        .args(["power-on", "-j", "1"])
        .stdin(names(6))
        .start(Stdio::piped());
    drop(child.stdout.take());
    drop(stdin);
    assert_eq!(ended(&mut child).unwrap().code(), Some(0));
    let on = |site: &Site| {
        let inventory = site.vcenter.inventory();
        inventory
            .vms()
            .filter(|(_, vm)| vm.power.as_deref() == Some("poweredOn"))
            .count()
    };
    assert_eq!(on(&site), 6);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let outcome = Run::new(PROGRAM)
        .args(site.options())
        .args(["power-off", "vm0", "vm1"])
        .run_with_stdout(full);
    assert_eq!(outcome.status, 74, "{outcome:?}");
    assert_eq!((on(&site), site.vcenter.open()), (4, Open::default()));
}

#[test]
fn the_worst_result_is_the_status() {
    let site = site(2, &Script::default());
    let outcome = run(&site, &["reset", "vm0", "nothing"]);
    assert_eq!(outcome.status, 69, "refused is worse than unknown: {outcome:?}");
    let outcome = run(&site, &["power-on", "vm0", "nothing"]);
    assert_eq!(outcome.status, 65);
}

#[test]
fn a_terminal_gets_readable_lines_that_fit() {
    let site = site(1, &script(vec![Asked::at_once(Question::serial_port())]));
    let shown = |args: &[&str]| {
        let outcome = Run::new(PROGRAM)
            .args(site.options())
            .args(args)
            .run_on_terminal(60);
        outcome.stdout
    };
    let blocked = shown(&["power-on", "vm0"]);
    for words in [
        "vm0 (vm-",
        "): power-on: BLOCKED",
        "  question _vmx1: Serial port",
        "  choices: 3 \"Replace\", 7 \"Append\" (default)",
    ] {
        assert!(blocked.contains(words), "{words:?}: {blocked}");
    }
    let done = shown(&["power-on", "vm0", "--auto-answer", "1"]);
    assert!(
        done.contains("power-on: success") && done.contains("  answer: Append"),
        "{done}"
    );
    let json = shown(&["power-on", "vm0", "--json"]);
    assert!(json.contains("\"note\":\"it is powered on already\""), "{json}");
}
