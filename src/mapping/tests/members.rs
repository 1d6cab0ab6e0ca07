//! Facts and unknown members, which commands read and change.

use super::*;

fn members(list: &[(&str, &str)]) -> Members {
    let owned = list
        .iter()
        .map(|(name, value)| ((*name).to_owned(), JsonValue::from(*value)));
    owned.collect()
}

#[test]
fn the_first_of_repeated_members_is_read_and_changed() {
    let mut facts = members(&[("a", "1"), ("b", "2"), ("a", "3")]);
    assert_eq!(facts.len(), 3);
    assert_eq!(facts.text("a"), Some("1"));
    assert_eq!(facts.text("c"), None);
    facts.set("a", "4");
    facts.set("c", "5");
    assert_eq!(facts, members(&[("a", "4"), ("b", "2"), ("a", "3"), ("c", "5")]));
    assert_ne!(facts, members(&[("a", "4"), ("b", "2"), ("a", "3"), ("c", "6")]));
}

#[test]
fn all_members_of_a_name_are_removed() {
    let mut facts = members(&[("a", "1"), ("b", "2"), ("a", "3")]);
    assert_eq!(facts.remove("a"), Some(JsonValue::from("1")));
    assert_eq!(facts, members(&[("b", "2")]));
    assert_eq!(facts.remove("a"), None);
}

#[test]
fn numbers_differ_if_they_are_written_differently() {
    let x = |value: &str| {
        let mapping = read(&format!(r#"{{"hypervisors":[],"x":{value}}}"#)).unwrap();
        mapping.tail.unknown.get("x").unwrap().clone()
    };
    assert_eq!(x("1.0"), x("1.0"));
    assert_ne!(x("1.0"), x("1"));
    assert_ne!(x("1"), x("\"1\""));
    assert_eq!((x("1").text(), x("\"1\"").text()), (None, Some("1")));
}

#[test]
fn a_hypervisor_id_is_one_of_three_words() {
    for word in ["uuid", "hostname", "hwuuid"] {
        assert_eq!(word.parse::<HypervisorId>().unwrap().to_string(), word);
    }
    assert_eq!(
        "UUID".parse::<HypervisorId>().unwrap_err().to_string(),
        "\"UUID\" is not one of uuid, hostname, hwuuid"
    );
}

#[test]
fn an_omitted_host_has_its_reason_and_the_command() {
    let left_out = LeftOut {
        kind: LeftOut::HOST.into(),
        reason: "no uuid".to_owned(),
        ..LeftOut::default()
    };
    let omitted = left_out.clone().by("vw-filter");
    assert_eq!((omitted.left_out, &*omitted.stage), (left_out, "vw-filter"));
}
