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
