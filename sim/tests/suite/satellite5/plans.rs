//! Plans of `virt_notify`: what they keep, stop, and undo.

use vw_sim::satellite5::{GuestState, Satellite5};

use super::{NOTIFY, bad, body, call, event, good, plan, prepared, register};

fn guest(uuid: &str, state: &str) -> String {
    named_guest(uuid, state, "VM")
}

fn named_guest(uuid: &str, state: &str, name: &str) -> String {
    let properties = [
        ("uuid", uuid),
        ("state", state),
        ("name", name),
        ("vcpus", "<int>1</int>"),
        ("memory_size", "<int>0</int>"),
        ("virt_type", "fully_virtualized"),
    ];
    event("exists", "domain", &properties)
}

fn states(server: &Satellite5, system: usize) -> Vec<(String, GuestState)> {
    let systems = server.systems();
    let guests = systems[system].guests();
    guests
        .iter()
        .map(|(uuid, row)| (uuid.trim_start_matches('0').to_owned(), row.state))
        .collect()
}

#[test]
fn plans_keep_stop_and_move_guests() {
    use GuestState::{Crashed, Paused, Running, Stopped};
    let server = prepared();
    let (one, two) = (register(&server, "one"), register(&server, "two"));
    let all = [
        "nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed",
    ];
    let guests: Vec<String> = (1..)
        .zip(all)
        .map(|(number, state)| guest(&format!("A{number}"), state))
        .collect();
    good(&server, NOTIFY, &[&one, &plan(&guests)]);
    let expected = [Running, Running, Running, Paused, Stopped, Stopped, Crashed];
    let expected: Vec<_> = (1..)
        .zip(expected)
        .map(|(number, state)| (format!("a{number}"), state))
        .collect();
    assert_eq!(states(&server, 0), expected);
    // A second plan adds nothing. The host's own row is the eighth, and ends as stopped.
    good(&server, NOTIFY, &[&one, &plan(&guests)]);
    let rows = server.systems()[0].instances.clone();
    assert_eq!(rows.len(), 8);
    assert_eq!(
        rows.iter().find(|row| row.uuid.is_none()).map(|row| row.state),
        Some(Stopped)
    );
    // A guest that moves gets a second row, and the guest that is no longer listed is stopped.
    good(&server, NOTIFY, &[&two, &plan(&[guest("a1", "running")])]);
    good(&server, NOTIFY, &[&one, &plan(&[guest("0a2", "running")])]);
    assert_eq!(states(&server, 1), [("a1".into(), Running)]);
    assert!(
        states(&server, 0)
            .iter()
            .all(|(uuid, state)| (uuid == "a2") == (*state == Running))
    );
    good(&server, NOTIFY, &[&one, &plan(&[])]);
    assert!(states(&server, 0).iter().all(|(_, state)| *state == Stopped));
    assert_eq!(server.systems()[0].plans, 4);
}

#[test]
fn a_bad_event_undoes_the_plan() {
    let server = prepared();
    let systemid = register(&server, "one");
    for (odd, exception) in [
        (guest("564dae86-b20b", "running"), "ValueError"),
        (guest("xyz", "running"), "ValueError"),
        (guest("2", "unknown"), "KeyError"),
        (guest("2", "pmsuspended"), "KeyError"),
        ("<value><int>1</int></value>".into(), "TypeError"),
    ] {
        let (code, text) = bad(
            &server,
            NOTIFY,
            &[&systemid, &plan(&[guest("1", "running"), odd])],
        );
        assert_eq!(code, 1);
        assert!(text.contains(NOTIFY) && text.contains(exception), "{text}");
    }
    assert_eq!(bad(&server, NOTIFY, &[&systemid, "<struct/>"]).0, 1);
    let long = named_guest("2", "running", &"n".repeat(129));
    let response = call(
        &server,
        NOTIFY,
        &[&systemid, &plan(&[guest("1", "running"), long])],
    );
    assert_eq!(response.status, 500);
    assert!(body(response).starts_with("<!DOCTYPE HTML"));
    assert_eq!(server.systems()[0].instances, []);
    good(
        &server,
        NOTIFY,
        &[&systemid, &plan(&[named_guest("2", "running", &"n".repeat(128))])],
    );
    // Odd events are ignored.
    let passed = [
        event("exists", "moon", &[]),
        event("exists", "domain", &[("uuid", "9")]),
        "<value>text</value>".into(),
    ];
    good(&server, NOTIFY, &[&systemid, &plan(&passed)]);
    assert_eq!(states(&server, 0), [("2".into(), GuestState::Stopped)]);
}

#[test]
fn an_unfinished_plan_is_stopped_by_the_next_of_any_host() {
    let server = prepared();
    let (one, two) = (register(&server, "one"), register(&server, "two"));
    good(&server, NOTIFY, &[&one, &plan(&[guest("1", "running")])]);
    let begun = format!(
        "<array><data>{}</data></array>",
        event("crawl_began", "system", &[])
    );
    good(&server, NOTIFY, &[&one, &begun]);
    assert_eq!(states(&server, 0), [("1".into(), GuestState::Running)]);
    good(&server, NOTIFY, &[&two, &plan(&[])]);
    assert_eq!(states(&server, 0), [("1".into(), GuestState::Stopped)]);
}

#[test]
fn an_unknown_virt_type_leaves_an_orphan_behind() {
    let server = prepared();
    let systemid = register(&server, "one");
    let odd = guest("1", "running").replace("fully_virtualized", "virtualbox");
    for rows in [2, 3] {
        good(&server, NOTIFY, &[&systemid, &plan(std::slice::from_ref(&odd))]);
        assert_eq!(server.systems()[0].instances.len(), rows);
    }
    good(&server, NOTIFY, &[&systemid, &plan(&[guest("1", "running")])]);
    assert_eq!(call(&server, NOTIFY, &[&systemid, &plan(&[odd])]).status, 500);
}
