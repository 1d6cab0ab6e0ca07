//! Names and words for people and for comparisons.

use super::*;

#[test]
fn each_state_has_its_word() {
    let words = GuestState::ALL.map(|state| state.to_string());
    let expected = [
        "no state",
        "running",
        "blocked",
        "paused",
        "shutting down",
        "shut off",
        "crashed",
        "suspended",
    ];
    assert_eq!(words, expected);
}

/// What is mentioned has not vanished, whether it can be used or not.
#[test]
fn usable_faulty_and_omitted_hypervisors_are_mentioned() {
    let mapping = read(
        r#"{"hypervisors":[{"guests":[]},{"uuid":"a","name":"one","guests":[]},{"uuid":"b"},{"uuid":"","guests":[]}],
            "omitted":[{"kind":"host","id":"host-7","name":"esx7"},{"kind":"host","name":"esx8"}]}"#,
    );
    let mapping = mapping.unwrap();
    let mentioned: Vec<&str> = mapping.mentioned().collect();
    assert_eq!(mentioned, ["a", "b", "host-7", "esx7", "esx8"]);
}

#[test]
fn an_entry_knows_where_it_begins() {
    let mut reader =
        Reader::new(&br#"{"hypervisors":[{"uuid":"a","guests":[]}, {"uuid":"b","guests":[]}]}"#[..]);
    let mut document = reader.next_document().unwrap().unwrap();
    for at in [16, 42] {
        assert_eq!(document.next_entry().unwrap().unwrap().at(), at);
    }
}

/// A filter asks for it before it reads the guests.
#[test]
fn an_entry_knows_its_parent() {
    let parent = |member: &str| {
        let text = format!(r#"{{"hypervisors":[{{"uuid":"a","guests":[]{member}}}]}}"#);
        let mut reader = Reader::new(text.as_bytes());
        let mut document = reader.next_document().unwrap().unwrap();
        document.next_entry().unwrap().unwrap().parent()
    };
    let found =
        parent(r#","parent":{"id":"domain-c7","type":"ClusterComputeResource","name":"Lab"}"#).unwrap();
    assert_eq!(found.id.as_deref(), Some("domain-c7"));
    assert_eq!(found.name.as_deref(), Some("Lab"));
    assert_eq!(parent(""), None);
    assert_eq!(parent(r#","parent":"Lab""#), None);
}

#[test]
fn a_value_of_another_kind_is_named_by_its_kind() {
    for (id, kind) in [
        ("{}", "an object"),
        ("[]", "a list"),
        ("true", "a boolean"),
        ("false", "a boolean"),
    ] {
        let mapping = read(&format!(r#"{{"hypervisors":[{{"uuid":{id},"guests":[]}}]}}"#)).unwrap();
        assert_eq!(mapping.faults[0].reason, format!("its id is {kind}"));
    }
}

#[test]
fn a_tail_with_any_member_is_not_empty() {
    let is_empty = |tail: &str| {
        read(&format!(r#"{{"hypervisors":[]{tail}}}"#))
            .unwrap()
            .tail
            .is_empty()
    };
    assert!(is_empty(""));
    for tail in [r#","source":{}"#, r#","omitted":[{}]"#, r#","x":1"#] {
        assert!(!is_empty(tail), "{tail}");
    }
}

#[test]
fn a_flaw_says_how_many_facts_it_concerns() {
    let facts = r#"{"\ud800":"1","\udfff":"2","f":"\ud800"}"#;
    let mapping = read(&format!(
        r#"{{"hypervisors":[{{"uuid":"a","guests":[],"facts":{facts}}}]}}"#
    ))
    .unwrap();
    let flaws: Vec<_> = mapping
        .flaws
        .iter()
        .map(|flaw| (flaw.about, flaw.count))
        .collect();
    assert_eq!(flaws, [(Concerns::Fact, 2), (Concerns::Fact, 1)]);
}
