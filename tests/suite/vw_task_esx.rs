//! vw-task-esx as its users meet it, against a simulated vCenter that asks questions: every case of the table in the manual page.

mod lost;
mod many;
mod names;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vw_sim::vcenter::{Asked, Host, Inventory, OnCancel, Open, Question, Script, TaskState, Vm, VmKey};

use crate::support::{Outcome, Run};
use crate::vw_scan_esx::Site;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-task-esx");

/// A site with one virtual machine, `web1`, whose tasks follow a script.
struct Machine {
    site: Site,
    key: VmKey,
}

impl Machine {
    /// It is powered off.
    fn new(script: Script) -> Self {
        Machine::with_power("poweredOff", script)
    }

    fn with_power(power: &str, script: Script) -> Self {
        let mut inventory = Inventory::empty();
        let cluster = inventory.add_cluster("Cluster");
        let host = inventory.add_host(cluster, Host::new("esx1.example.com"));
        let mut vm = Vm::new("web1");
        vm.power = Some(power.to_owned());
        vm.script = script;
        let key = inventory.add_vm(host, vm);
        let site = Site::new(inventory);
        Machine { site, key }
    }

    fn asking(questions: Vec<Asked>) -> Self {
        Machine::new(script(questions))
    }

    fn run(&self, args: &[&str]) -> Outcome {
        run(&self.site, args)
    }

    /// Runs a command and returns its status and its result line. Nothing may be left on the server.
    #[track_caller]
    fn result(&self, args: &[&str]) -> (i32, Value) {
        let outcome = self.run(args);
        self.is_clean();
        let line = result(&outcome);
        assert_eq!(line["vm"], "web1");
        assert_eq!(line["id"], self.id());
        assert_eq!(line["action"], args[0]);
        (outcome.status, line)
    }

    fn id(&self) -> String {
        self.site.vcenter.inventory().vm(self.key).id.clone()
    }

    fn power(&self) -> String {
        self.site.vcenter.inventory().vm(self.key).power.clone().unwrap()
    }

    /// The states of all its tasks.
    fn tasks(&self) -> Vec<TaskState> {
        let inventory = self.site.vcenter.inventory();
        inventory.tasks().iter().map(|task| task.state).collect()
    }

    fn calls(&self, method: &str) -> usize {
        let calls = self.site.vcenter.calls();
        calls.iter().filter(|call| *call == method).count()
    }

    /// No session, view or filter is left, and none was left to the end of its session.
    #[track_caller]
    fn is_clean(&self) {
        assert_eq!(self.site.vcenter.open(), Open::default());
    }
}

/// Runs the command with the options of a site.
fn run(site: &Site, args: &[&str]) -> Outcome {
    Run::new(PROGRAM).args(site.options()).args(args).run()
}

/// The only result line.
#[track_caller]
fn result(outcome: &Outcome) -> Value {
    assert_eq!(outcome.stdout.lines().count(), 1, "{outcome:?}");
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn script(questions: Vec<Asked>) -> Script {
    Script {
        questions,
        ..Script::default()
    }
}

/// A question with the choices a and b, whose keys are 5 and 2.
fn question(id: &str, default: Option<i32>) -> Question {
    Question::new(id, "Really?", &[("5", "Yes"), ("2", "No")], default)
}

fn at_once(id: &str, default: Option<i32>) -> Asked {
    Asked::at_once(question(id, default))
}

#[track_caller]
fn has(line: &Value, words: &[&str]) {
    let error = line["error"].as_str().unwrap_or_default();
    for words in words {
        assert!(error.contains(words), "{words:?} is not in {line}");
    }
}

#[test]
fn a_task_without_questions_succeeds() {
    for (power, action, goal) in [
        ("poweredOff", "power-on", "poweredOn"),
        ("poweredOn", "power-off", "poweredOff"),
        ("poweredOn", "suspend", "suspended"),
        ("suspended", "power-on", "poweredOn"),
        ("suspended", "power-off", "poweredOff"),
        ("poweredOn", "reset", "poweredOn"),
        ("poweredOn", "shutdown-guest", "poweredOff"),
        ("poweredOn", "reboot-guest", "poweredOn"),
    ] {
        let run = Duration::from_millis(20);
        let machine = Machine::with_power(
            power,
            Script {
                run,
                ..Script::default()
            },
        );
        let outcome = machine.run(&[action, "web1"]);
        let line: Value = serde_json::from_str(&outcome.clone().quiet_success()).unwrap();
        assert_eq!(
            (&line["state"], line.get("error")),
            (&json!("success"), None),
            "{line}"
        );
        assert_eq!(line["task"].is_string(), !action.ends_with("guest"), "{line}");
        assert_eq!(machine.power(), goal, "{action}");
        machine.is_clean();
    }
}

#[test]
fn a_machine_in_the_wanted_state_is_a_success_that_says_so() {
    for (power, action, words) in [
        ("poweredOn", "power-on", "it is powered on already"),
        ("poweredOff", "power-off", "it is powered off already"),
        ("poweredOff", "shutdown-guest", "it is powered off already"),
        ("suspended", "suspend", "it is suspended already"),
    ] {
        let machine = Machine::with_power(power, Script::default());
        let (status, line) = machine.result(&[action, "web1"]);
        assert_eq!((status, &line["note"]), (0, &json!(words)), "{line}");
        assert!(machine.tasks().is_empty());
    }
}

#[test]
fn a_refused_action_says_why() {
    let machine = Machine::new(Script::default());
    let (status, line) = machine.result(&["reset", "web1"]);
    assert_eq!((status, &line["state"]), (69, &json!("error")));
    has(&line, &["ResetVM_Task was refused: InvalidPowerState"]);
    let without_tools = true;
    let machine = Machine::with_power(
        "poweredOn",
        Script {
            without_tools,
            ..Script::default()
        },
    );
    let (status, line) = machine.result(&["shutdown-guest", "web1"]);
    assert_eq!(status, 69);
    has(&line, &["ToolsUnavailable", "VMware Tools is not running"]);
    let fails = Some("InsufficientMemoryResourcesFault");
    let machine = Machine::new(Script {
        fails,
        ..Script::default()
    });
    let (status, line) = machine.result(&["power-on", "web1"]);
    assert_eq!((status, &line["state"]), (69, &json!("error")));
    has(
        &line,
        &["the task failed: InsufficientMemoryResourcesFault: The task ended"],
    );
}

#[test]
fn a_question_is_reported_with_its_choices_and_the_task_cancelled() {
    let machine = Machine::asking(vec![Asked::at_once(Question::serial_port())]);
    let (status, line) = machine.result(&["power-on", "web1"]);
    assert_eq!((status, &line["state"]), (69, &json!("blocked")));
    assert_eq!(
        line["question"],
        json!({"id": "_vmx1", "text": Question::serial_port().text, "default": "7", "choices": [
            {"key": "3", "label": "Replace"}, {"key": "7", "label": "Append"}, {"key": "0", "label": "Cancel"}]})
    );
    has(
        &line,
        &[
            "the task was cancelled",
            "7 \"Append\" (default)",
            "--auto-answer 1",
        ],
    );
    assert_eq!(machine.tasks(), [TaskState::Error("RequestCanceled")]);
    assert_eq!(machine.power(), "poweredOff");
    assert_eq!(machine.calls("AnswerVM"), 0);
    let outcome = machine.run(&["power-on", "web1"]);
    outcome.failed(
        69,
        "vw-task-esx: web1: power-on: the task is blocked by a question: ",
    );
}

#[test]
fn a_question_is_answered_with_its_default() {
    let machine = Machine::asking(vec![Asked::at_once(Question::serial_port())]);
    let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", "1"]);
    assert_eq!(
        (status, &line["state"], &line["answer"]),
        (0, &json!("success"), &json!("Append"))
    );
    assert_eq!(line["question"]["id"], "_vmx1");
    assert_eq!(
        (machine.power().as_str(), machine.calls("CancelTask")),
        ("poweredOn", 0)
    );
    // Each question has been answered once, and nothing was asked for in a loop.
    assert!(
        machine.calls("WaitForUpdatesEx") < 10,
        "{:?}",
        machine.site.vcenter.calls()
    );
}

#[test]
fn the_uri_says_whether_questions_are_answered_unless_the_option_does() {
    let url = |machine: &Machine, parameter: &str| {
        let host = machine.site.vcenter.url().replace("https://", "");
        format!("vpx://sim:sim-secret@{host}/?no_verify=1&{parameter}")
    };
    for (parameter, option, status) in [
        ("auto_answer=1", None, 0),
        ("auto_answer=0", None, 69),
        ("auto_answer=1", Some("0"), 69),
        ("auto_answer=0", Some("1"), 0),
        ("", None, 69),
    ] {
        let machine = Machine::asking(vec![at_once("q", Some(0))]);
        let mut run = Run::new(PROGRAM).args(["power-on", "web1", "--server", &url(&machine, parameter)]);
        if let Some(option) = option {
            run = run.args(["--auto-answer", option]);
        }
        let outcome = run.run();
        assert_eq!(outcome.status, status, "{parameter} {option:?}: {outcome:?}");
        assert!(!format!("{outcome:?}").contains("sim-secret"), "{outcome:?}");
        assert!(
            outcome
                .stderr
                .contains("all users can read the password in --server")
        );
        machine.is_clean();
    }
    let machine = Machine::new(Script::default());
    for value in ["2", "yes", "-1", ""] {
        let server = url(&machine, &format!("auto_answer={value}"));
        let outcome = Run::new(PROGRAM)
            .args(["power-on", "web1", "--server", &server])
            .run();
        outcome.failed(64, "auto_answer= is 0 or 1");
        assert!(!outcome.stderr.contains("sim-secret"), "{outcome:?}");
        let option = format!("--auto-answer={value}");
        machine
            .run(&["power-on", "web1", &option])
            .failed(64, "--auto-answer");
    }
    let server = url(&machine, "vcenter=vc.example.com");
    let outcome = Run::new(PROGRAM)
        .args(["power-on", "web1", "--server", &server])
        .run();
    outcome.failed(
        64,
        "vcenter= is not supported; to use that vCenter, make it the server",
    );
    assert!(machine.tasks().is_empty());
}

#[test]
fn a_task_that_cannot_be_cancelled_is_left_behind() {
    let of = || Script {
        on_cancel: OnCancel::NotCancelable,
        ..script(vec![at_once("q", Some(1))])
    };
    let machine = Machine::new(of());
    let (status, line) = machine.result(&["power-on", "web1"]);
    assert_eq!((status, &line["state"]), (69, &json!("blocked")));
    let answer = format!("vw-task-esx answer {} KEY", machine.id());
    has(
        &line,
        &["can't be cancelled", "left behind and is still blocked", &answer],
    );
    assert_eq!(
        (machine.tasks(), machine.calls("CancelTask")),
        (vec![TaskState::Running], 0)
    );
    // It is listed, and answered by hand.
    let outcome = machine.run(&["questions"]);
    let listed: Value = serde_json::from_str(&outcome.quiet_success()).unwrap();
    assert_eq!(
        (&listed["vm"], &listed["question"]["id"]),
        (&json!("web1"), &json!("q"))
    );
    let (status, line) = machine.result(&["answer", "web1", "yes"]);
    assert_eq!(
        (status, &line["state"], &line["answer"]),
        (0, &json!("success"), &json!("Yes"))
    );
    assert_eq!(
        (machine.tasks(), machine.power().as_str()),
        (vec![TaskState::Success], "poweredOn")
    );
    assert_eq!(machine.run(&["questions"]).quiet_success(), "");
    let machine = Machine::new(of());
    let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", "1"]);
    assert_eq!((status, &line["answer"]), (0, &json!("No")));
}

#[test]
fn a_cancel_that_fails_does_not_replace_the_question() {
    let on_cancel = OnCancel::Fails;
    let machine = Machine::new(Script {
        on_cancel,
        ..script(vec![at_once("q", Some(1))])
    });
    let (status, line) = machine.result(&["power-on", "web1"]);
    assert_eq!((status, &line["question"]["text"]), (69, &json!("Really?")));
    has(
        &line,
        &[
            "Really?",
            "cancelling the task failed",
            "HostCommunication",
            "answer vm-",
        ],
    );
    assert_eq!(machine.tasks(), [TaskState::Running]);
}

#[test]
fn a_cancel_without_effect_is_reported() {
    let on_cancel = OnCancel::Ignored;
    let machine = Machine::new(Script {
        on_cancel,
        ..script(vec![at_once("q", Some(1))])
    });
    let (status, line) = machine.result(&["power-on", "web1"]);
    assert_eq!((status, &line["state"]), (69, &json!("blocked")));
    has(&line, &["agreed to cancel the task, but it has not ended"]);
}

#[test]
fn a_question_without_a_default_is_never_guessed() {
    for answers in ["0", "1"] {
        let machine = Machine::asking(vec![at_once("q", None)]);
        let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", answers]);
        assert_eq!(
            (status, &line["state"], &line["question"]["default"]),
            (69, &json!("blocked"), &Value::Null)
        );
        assert_eq!(machine.calls("AnswerVM"), 0);
        assert_eq!(machine.tasks(), [TaskState::Error("RequestCanceled")]);
        if answers == "1" {
            let by_hand = format!("vw-task-esx answer {} KEY", machine.id());
            has(&line, &["no default answer", "the task was cancelled", &by_hand]);
        }
    }
    for default in [7, -1] {
        let machine = Machine::asking(vec![at_once("q", Some(default))]);
        let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", "1"]);
        assert_eq!(status, 69);
        has(&line, &["no default answer"]);
    }
}

#[test]
fn the_default_is_an_index_into_the_choices() {
    let machine = Machine::asking(vec![at_once("q", Some(0))]);
    let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", "1"]);
    assert_eq!(
        (status, &line["answer"], &line["question"]["default"]),
        (0, &json!("Yes"), &json!("5"))
    );
    let machine = Machine::asking(vec![at_once("q", Some(0))]);
    assert_eq!(machine.result(&["power-on", "web1"]).0, 69);
}

#[test]
fn a_question_without_choices_says_so() {
    for answers in ["0", "1"] {
        let none = Question::new("q", "Now what?", &[], Some(0));
        let machine = Machine::asking(vec![Asked::at_once(none)]);
        let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", answers]);
        assert_eq!((status, &line["state"]), (69, &json!("blocked")));
        has(&line, &["Now what?", "choices: none", "the task was cancelled"]);
        assert_eq!(machine.tasks(), [TaskState::Error("RequestCanceled")]);
        if answers == "1" {
            has(&line, &["it has no choices, so it can't be answered"]);
        }
    }
}

#[test]
fn a_task_that_fails_because_of_the_answer_tells_both() {
    let fatal = Asked {
        fatal: vec!["2".into()],
        ..at_once("q", Some(1))
    };
    let machine = Machine::asking(vec![fatal]);
    let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", "1"]);
    assert_eq!(
        (status, &line["state"], &line["answer"]),
        (69, &json!("error"), &json!("No"))
    );
    has(&line, &["GenericVmConfigFault", "after the answer \"No\""]);
}

#[test]
fn questions_are_answered_whenever_they_come_and_however_many() {
    let ms = Duration::from_millis;
    let late = |after, id: &str| Asked::after(after, question(id, Some(1)));
    let many = (0..30).map(|n| late(ms(n % 4), &format!("q{n}"))).collect();
    for (questions, count) in [
        (vec![at_once("a", Some(0)), at_once("b", Some(1))], 2),
        (vec![at_once("a", Some(0)), late(ms(1), "b")], 2),
        (vec![at_once("a", Some(0)), late(ms(10), "b")], 2),
        (vec![at_once("a", Some(0)), late(ms(50), "b")], 2),
        (vec![late(ms(300), "a")], 1),
        // The same question once more.
        (vec![at_once("a", Some(0)), late(ms(30), "a")], 2),
        (many, 30),
    ] {
        let machine = Machine::asking(questions.clone());
        let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", "1"]);
        assert_eq!(
            (status, &line["state"]),
            (0, &json!("success")),
            "{questions:?}: {line}"
        );
        let answers = line["answer"].as_str().unwrap().split(", ").count();
        assert_eq!(answers, count, "{line}");
        assert_eq!(machine.power(), "poweredOn");
        let machine = Machine::asking(questions);
        assert_eq!(machine.result(&["power-on", "web1"]).0, 69);
        assert_eq!(machine.tasks(), [TaskState::Error("RequestCanceled")]);
    }
}

#[test]
fn a_blocked_task_from_before_is_reported_or_answered_and_nothing_started() {
    for (answers, status, state) in [("0", 69, "blocked"), ("1", 75, "answered")] {
        let machine = Machine::asking(vec![Asked::at_once(Question::serial_port())]);
        let key = machine.key;
        machine
            .site
            .vcenter
            .change(|inventory| inventory.add_blocked_task(key, "PowerOnVM_Task"));
        let (code, line) = machine.result(&["power-on", "web1", "--auto-answer", answers]);
        assert_eq!((code, &line["state"]), (status, &json!(state)), "{line}");
        assert_eq!(line["question"]["id"], "_vmx1");
        assert_eq!((machine.tasks().len(), machine.calls("CancelTask")), (1, 0));
        match answers {
            "0" => {
                has(
                    &line,
                    &[
                        "an older task is blocked",
                        "nothing was started or cancelled",
                        "vw-task-esx answer",
                    ],
                );
                assert_eq!(machine.tasks(), [TaskState::Running]);
            }
            _ => {
                has(
                    &line,
                    &[
                        "an older question was answered with \"Append\"",
                        "power-on was not started",
                    ],
                );
                assert_eq!(machine.tasks(), [TaskState::Success]);
            }
        }
    }
    let machine = Machine::asking(vec![at_once("q", None)]);
    let key = machine.key;
    machine
        .site
        .vcenter
        .change(|inventory| inventory.add_blocked_task(key, "PowerOnVM_Task"));
    let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", "1"]);
    assert_eq!((status, &line["state"]), (69, &json!("blocked")));
    has(&line, &["no default answer", "nothing was started"]);
}

#[test]
fn another_pending_task_makes_the_machine_busy() {
    for answers in ["0", "1"] {
        let machine = Machine::new(Script::default());
        let key = machine.key;
        let add = |inventory: &mut Inventory| inventory.add_pending_task(key, "CloneVM_Task");
        machine.site.vcenter.change(add);
        let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", answers]);
        assert_eq!((status, &line["state"]), (75, &json!("busy")));
        has(
            &line,
            &[
                "VirtualMachine.clone",
                "is pending at 40 %",
                "power-on was not started",
            ],
        );
        assert_eq!((machine.tasks().len(), machine.calls("PowerOnVM_Task")), (1, 0));
    }
}

#[test]
fn every_action_may_ask() {
    for action in ["power-off", "suspend", "reset", "shutdown-guest"] {
        let of = || Machine::with_power("poweredOn", script(vec![at_once("q", Some(0))]));
        let machine = of();
        let (status, line) = machine.result(&[action, "web1", "--auto-answer", "1"]);
        assert_eq!((status, &line["answer"]), (0, &json!("Yes")), "{line}");
        let machine = of();
        let (status, line) = machine.result(&[action, "web1"]);
        assert_eq!((status, &line["state"]), (69, &json!("blocked")), "{line}");
        let words = match action {
            "shutdown-guest" => "the guest was asked already",
            _ => "the task was cancelled",
        };
        has(&line, &[words]);
    }
}

#[test]
fn a_question_that_somebody_else_answers_is_no_error() {
    let taken = Asked {
        is_taken: true,
        ..at_once("q", Some(0))
    };
    let machine = Machine::asking(vec![taken.clone(), at_once("r", Some(1))]);
    let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", "1"]);
    assert_eq!(
        (status, &line["state"], &line["answer"]),
        (0, &json!("success"), &json!("No"))
    );
    assert_eq!(machine.calls("AnswerVM"), 2);
    // The same for a question from before: then the task that had asked is only pending, or done.
    let machine = Machine::new(Script {
        run: Duration::from_secs(3600),
        ..script(vec![taken])
    });
    let key = machine.key;
    machine
        .site
        .vcenter
        .change(|inventory| inventory.add_blocked_task(key, "PowerOnVM_Task"));
    let (status, line) = machine.result(&["power-on", "web1", "--auto-answer", "1"]);
    assert_eq!((status, &line["state"]), (75, &json!("busy")), "{line}");
}

#[test]
fn an_answer_by_hand_names_a_key_or_a_label() {
    let cases: [(&[&str], i32, &str); 6] = [
        (&["5"], 0, "\"answer\":\"Yes\""),
        (&["no"], 0, "\"answer\":\"No\""),
        (&[], 0, "\"answer\":\"No\""),
        (
            &["maybe"],
            64,
            "no choice has this key or label; the question is \\\"Really?\\\", its choices: 5",
        ),
        (&["1"], 64, "no choice has this key or label"),
        (&["5", "--dry-run"], 0, "would answer with 5"),
    ];
    for (choice, status, words) in cases {
        let machine = Machine::asking(vec![at_once("q", Some(1))]);
        let key = machine.key;
        machine
            .site
            .vcenter
            .change(|inventory| inventory.add_blocked_task(key, "PowerOnVM_Task"));
        let outcome = machine.run(&[&["answer", "web1"], choice].concat());
        assert_eq!(outcome.status, status, "{outcome:?}");
        assert!(outcome.stdout.contains(words), "{outcome:?}");
        let is_answered = status == 0 && !choice.contains(&"--dry-run");
        assert_eq!(machine.calls("AnswerVM"), usize::from(is_answered), "{choice:?}");
        machine.is_clean();
    }
    let machine = Machine::asking(vec![at_once("q", None)]);
    let (status, line) = machine.result(&["answer", "web1"]);
    assert_eq!(status, 69);
    has(&line, &["no question is pending"]);
    let key = machine.key;
    machine
        .site
        .vcenter
        .change(|inventory| inventory.add_blocked_task(key, "PowerOnVM_Task"));
    let (status, line) = machine.result(&["answer", "web1"]);
    assert_eq!(status, 69);
    has(&line, &["no default answer", "5 \"Yes\", 2 \"No\""]);
    machine
        .run(&["answer"])
        .failed(64, "answer: name the virtual machine");
    machine
        .run(&["answer", "web1", "a", "b"])
        .failed(64, "quote a label");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let machine = Machine::asking(vec![at_once("q", Some(1))]);
    let (status, line) = machine.result(&["power-on", "web1", "--dry-run"]);
    assert_eq!((status, &line["note"]), (0, &json!("would call PowerOnVM_Task")));
    let (_, line) = machine.result(&["power-off", "web1", "--dry-run"]);
    assert_eq!(line["note"], "it is powered off already");
    assert!(machine.tasks().is_empty());
    let key = machine.key;
    machine
        .site
        .vcenter
        .change(|inventory| inventory.add_blocked_task(key, "PowerOnVM_Task"));
    let (status, line) = machine.result(&["power-on", "web1", "--dry-run", "--auto-answer", "1"]);
    assert_eq!((status, &line["state"]), (75, &json!("blocked")));
    assert_eq!(
        line["note"],
        "would answer the older question with \"No\" and start nothing"
    );
    let (status, line) = machine.result(&["power-on", "web1", "--dry-run"]);
    assert_eq!((status, &line["state"]), (69, &json!("blocked")));
    for method in ["AnswerVM", "CancelTask", "PowerOnVM_Task", "PowerOffVM_Task"] {
        assert_eq!(machine.calls(method), 0, "{method}");
    }
}

#[test]
fn a_machine_that_is_deleted_meanwhile_is_an_error() {
    let machine = Machine::new(Script {
        run: Duration::from_secs(3600),
        ..Script::default()
    });
    let vcenter = Arc::clone(&machine.site.vcenter);
    let key = machine.key;
    let deleting = std::thread::spawn(move || {
        crate::support::until(|| vcenter.calls().iter().any(|call| call == "WaitForUpdatesEx"));
        vcenter.change(|inventory| inventory.forget_tasks(key));
        vcenter.change(|inventory| inventory.remove_vm(key));
    });
    let outcome = machine.run(&["power-on", "web1"]);
    deleting.join().unwrap();
    let line = result(&outcome);
    assert_eq!(
        (outcome.status, &line["state"]),
        (69, &json!("error")),
        "{outcome:?}"
    );
    has(&line, &["was deleted"]);
    machine.is_clean();
}
