//! Sessions, connections and answers that get lost: the task is found again, and never started twice.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vw_sim::http::{Fault, Response};

use super::*;
use crate::support::{at_once as all_at_once, until, with_time};

/// What a server may do with a call instead of answering it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// The session has ended.
    Expired,
    /// 503, and the server never sees the call.
    Busy,
    /// The connection ends after the server has worked on the call.
    Lost,
    /// The answer ends in the middle.
    Cut,
    /// The answer is not XML.
    Malformed,
}

const ALL: [Trouble; 5] = [
    Trouble::Expired,
    Trouble::Busy,
    Trouble::Lost,
    Trouble::Cut,
    Trouble::Malformed,
];

/// Makes the call number `which` of a method fail.
fn fails(machine: &Machine, method: &'static str, which: usize, trouble: Trouble) {
    let vcenter = Arc::downgrade(&machine.site.vcenter);
    let calls = AtomicUsize::new(0);
    machine.site.vcenter.server().misbehave(move |_, request| {
        let body = String::from_utf8_lossy(&request.body);
        if !body.contains(&format!("<{method} ")) || calls.fetch_add(1, Ordering::SeqCst) + 1 != which {
            return None;
        }
        match trouble {
            Trouble::Expired => {
                vcenter.upgrade()?.expire_sessions();
                None
            }
            Trouble::Busy => {
                let answer = Response::new(503, "text/plain", "restarting");
                Some(Fault::Answer(answer))
            }
            Trouble::Lost => Some(Fault::Lose),
            Trouble::Cut => Some(Fault::Cut(300)),
            Trouble::Malformed => Some(Fault::Answer(Response::new(200, "text/xml", "<a><b></a>"))),
        }
    });
}

/// Runs a command whose messages may only be warnings.
#[track_caller]
fn succeeds(machine: &Machine, args: &[&str], what: &str) -> Value {
    let outcome = machine.run(args);
    let is_warned = outcome.stderr.lines().all(|line| line.contains(": warning: "));
    assert!(outcome.status == 0 && is_warned, "{what}: {outcome:?}");
    assert_eq!(machine.site.vcenter.open().sessions, 0, "{what}");
    result(&outcome)
}

#[test]
fn a_task_is_followed_to_its_end_through_every_trouble() {
    let calls = [
        ("RetrievePropertiesEx", 1),
        ("RetrievePropertiesEx", 2),
        ("CreateFilter", 1),
        ("WaitForUpdatesEx", 1),
        ("WaitForUpdatesEx", 2),
        ("AnswerVM", 1),
    ];
    let cases = calls.iter().flat_map(|call| ALL.map(|trouble| (*call, trouble)));
    let before_start = |method: &str| method == "RetrievePropertiesEx";
    // Before the task is started, an invalid answer is an error.
    let cases =
        cases.filter(|((method, _), trouble)| !(before_start(method) && *trouble == Trouble::Malformed));
    all_at_once(cases, |((method, which), trouble)| {
        let what = format!("{method} {which} {trouble:?}");
        let machine = Machine::new(Script {
            run: Duration::from_millis(50),
            ..script(vec![at_once("q", Some(1))])
        });
        fails(&machine, method, which, trouble);
        let line = succeeds(&machine, &["power-on", "web1", "--auto-answer", "1"], &what);
        assert_eq!(
            (&line["state"], &line["answer"]),
            (&json!("success"), &json!("No")),
            "{what}"
        );
        assert_eq!(
            (machine.tasks().len(), machine.power().as_str()),
            (1, "poweredOn"),
            "{what}"
        );
        assert!(machine.calls("PowerOnVM_Task") == 1, "{what}");
    });
}

#[test]
fn a_start_whose_answer_was_lost_is_looked_up_and_not_repeated() {
    all_at_once(
        [Trouble::Lost, Trouble::Cut, Trouble::Expired, Trouble::Busy],
        |trouble| {
            for action in ["power-on", "reset", "suspend"] {
                let power = if action == "power-on" {
                    "poweredOff"
                } else {
                    "poweredOn"
                };
                let script = Script {
                    run: Duration::from_millis(200),
                    ..script(vec![at_once("q", Some(0))])
                };
                let machine = Machine::with_power(power, script);
                let method = match action {
                    "power-on" => "PowerOnVM_Task",
                    "reset" => "ResetVM_Task",
                    _ => "SuspendVM_Task",
                };
                fails(&machine, method, 1, trouble);
                let what = format!("{action} {trouble:?}");
                let line = succeeds(&machine, &[action, "web1", "--auto-answer", "1"], &what);
                assert_eq!(line["state"], "success", "{what}");
                assert_eq!(machine.tasks().len(), 1, "{what}: {line}");
            }
        },
    );
}

#[test]
fn a_start_that_may_have_been_lost_is_not_repeated() {
    let machine = Machine::with_power("poweredOn", Script::default());
    machine.site.vcenter.server().misbehave(|_, request| {
        let body = String::from_utf8_lossy(&request.body);
        body.contains("<ResetVM_Task ").then_some(Fault::Close)
    });
    let outcome = machine.run(&["reset", "web1"]);
    let line = result(&outcome);
    assert_eq!(
        (outcome.status, &line["state"]),
        (75, &json!("error")),
        "{outcome:?}"
    );
    has(
        &line,
        &[
            "it is unknown whether the task was started",
            "it was not started again",
        ],
    );
    assert_eq!((machine.tasks().len(), machine.calls("ResetVM_Task")), (0, 0));
    machine.is_clean();
}

#[test]
fn a_reported_question_is_still_reported_after_a_lost_cancel() {
    all_at_once(ALL, |trouble| {
        let machine = Machine::asking(vec![at_once("q", Some(1))]);
        fails(&machine, "CancelTask", 1, trouble);
        let outcome = machine.run(&["power-on", "web1"]);
        let line = result(&outcome);
        assert_eq!(
            (outcome.status, &line["state"]),
            (69, &json!("blocked")),
            "{trouble:?}: {outcome:?}"
        );
        has(&line, &["the task was cancelled"]);
        assert_eq!(
            machine.tasks(),
            [TaskState::Error("RequestCanceled")],
            "{trouble:?}"
        );
    });
}

#[test]
fn an_answer_to_an_older_question_that_was_lost_starts_nothing() {
    all_at_once(
        [Trouble::Lost, Trouble::Cut, Trouble::Expired, Trouble::Busy],
        |trouble| {
            let machine = Machine::asking(vec![at_once("q", Some(1))]);
            let key = machine.key;
            machine
                .site
                .vcenter
                .change(|inventory| inventory.add_blocked_task(key, "PowerOnVM_Task"));
            fails(&machine, "AnswerVM", 1, trouble);
            let outcome = machine.run(&["power-on", "web1", "--auto-answer", "1"]);
            let line = result(&outcome);
            assert_eq!(
                (outcome.status, &line["state"]),
                (75, &json!("answered")),
                "{trouble:?}: {outcome:?}"
            );
            assert_eq!((machine.tasks().len(), machine.calls("PowerOnVM_Task")), (1, 0));
            // The same by hand.
            let machine = Machine::asking(vec![at_once("q", Some(1))]);
            machine
                .site
                .vcenter
                .change(|inventory| inventory.add_blocked_task(key, "PowerOnVM_Task"));
            fails(&machine, "AnswerVM", 1, trouble);
            let line = succeeds(&machine, &["answer", "web1", "Yes"], &format!("{trouble:?}"));
            assert_eq!(
                (&line["state"], &line["answer"]),
                (&json!("success"), &json!("Yes"))
            );
        },
    );
}

#[test]
fn sessions_may_end_again_and_again_during_a_long_task() {
    let machine = Machine::new(Script {
        run: Duration::from_secs(3600),
        ..Script::default()
    });
    let vcenter = Arc::clone(&machine.site.vcenter);
    let key = machine.key;
    let ending = std::thread::spawn(move || {
        for round in 1..=3 {
            let waits = || {
                vcenter
                    .calls()
                    .iter()
                    .filter(|call| *call == "CreateFilter")
                    .count()
            };
            until(|| waits() >= round);
            let open = || vcenter.open().filters > 0;
            until(open);
            vcenter.expire_sessions();
        }
        until(|| vcenter.open().filters > 0);
        vcenter.change(|inventory| inventory.end_tasks(key));
    });
    let line = succeeds(&machine, &["power-on", "web1"], "three times");
    ending.join().unwrap();
    assert_eq!((&line["state"], machine.tasks().len()), (&json!("success"), 1));
    assert_eq!(machine.calls("PowerOnVM_Task"), 1);
}

#[test]
fn a_task_that_the_server_has_forgotten_is_judged_by_the_power_state() {
    for (action, power, done, status) in [
        ("power-on", "poweredOff", true, 0),
        ("power-on", "poweredOff", false, 75),
        ("reset", "poweredOn", true, 75),
    ] {
        let machine = Machine::with_power(
            power,
            Script {
                run: Duration::from_secs(3600),
                ..Script::default()
            },
        );
        let vcenter = Arc::clone(&machine.site.vcenter);
        let key = machine.key;
        let restarting = std::thread::spawn(move || {
            until(|| vcenter.open().filters > 0);
            vcenter.change(|inventory| {
                inventory.forget_tasks(key);
                if done {
                    inventory.vm_mut(key).power = Some("poweredOn".into());
                }
            });
        });
        let outcome = machine.run(&[action, "web1"]);
        restarting.join().unwrap();
        assert_eq!(outcome.status, status, "{outcome:?}");
        if status != 0 {
            has(&result(&outcome), &["the server no longer knows the task"]);
        }
        assert_eq!(machine.tasks().len(), 1);
    }
}

#[test]
fn a_power_state_that_somebody_else_reached_during_the_task_is_a_success() {
    for done in [true, false] {
        let machine = Machine::new(Script {
            run: Duration::from_secs(1),
            fails: Some("InvalidPowerState"),
            ..Script::default()
        });
        let vcenter = Arc::clone(&machine.site.vcenter);
        let key = machine.key;
        let somebody = std::thread::spawn(move || {
            until(|| vcenter.open().filters > 0);
            if done {
                vcenter.change(|inventory| inventory.vm_mut(key).power = Some("poweredOn".into()));
            }
        });
        let (status, line) = machine.result(&["power-on", "web1"]);
        somebody.join().unwrap();
        match done {
            true => assert_eq!((status, &line["note"]), (0, &json!("it is powered on already"))),
            false => {
                assert_eq!(status, 69);
                has(&line, &["the task failed: InvalidPowerState"]);
            }
        }
        assert_eq!(machine.calls("PowerOnVM_Task"), 1);
        machine.is_clean();
    }
}

#[test]
fn a_refused_login_and_an_unreachable_server_are_one_error() {
    let machine = Machine::new(Script::default());
    let options = machine.site.options();
    let mut wrong: Vec<String> = options.to_vec();
    let mut password = tempfile::NamedTempFile::new().unwrap();
    password.write_all(b"wrong").unwrap();
    wrong[7] = password.path().to_str().unwrap().to_owned();
    let outcome = Run::new(PROGRAM)
        .args(wrong)
        .args(["power-on", "web1", "web2"])
        .run();
    outcome.failed(77, "wrong user name or password");
    assert_eq!(outcome.stdout, "");
    // A port on which nothing listens any more.
    let mut gone = options.to_vec();
    gone[1] = Machine::new(Script::default()).site.vcenter.url();
    let outcome = with_time(&["connection refused"], |limit| {
        let run = Run::new(PROGRAM).args(&gone);
        run.args(["power-on", "web1", "--timeout", limit]).run()
    });
    outcome.failed_at_last(75, "connection refused");
}
