//! Questions that were there before, or that somebody else answers, and answers by hand.

use super::*;

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
