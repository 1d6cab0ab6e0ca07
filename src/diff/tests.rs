use proptest::prelude::*;

use super::*;
use crate::mapping::Reader;

/// The snapshot of a document.
fn snapshot(json: &str) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let mut reader = Reader::new(json.as_bytes());
    reader
        .next_rest(|hypervisor| snapshot.add(hypervisor))
        .unwrap()
        .unwrap();
    snapshot
}

/// The differences, one a line, in short words.
fn lines(old: &[&str], new: &[&str]) -> Vec<String> {
    let side =
        |documents: &[&str]| -> Vec<Snapshot> { documents.iter().map(|text| snapshot(text)).collect() };
    let (old, new) = (side(old), side(new));
    let differences = Differences::between(&old, &new);
    let Differences { hosts, guests } = &differences;
    let id = |host: &HostRef<'_>| host.id().unwrap_or("this machine").to_owned();
    let what = |changes: &[Change<'_>]| {
        let shown = changes
            .iter()
            .map(|change| format!(" {}:{}>{}", change.member, change.old, change.new));
        shown.collect::<String>()
    };
    let mut lines = Vec::new();
    lines.extend(hosts.came.iter().map(|host| format!("+ {}", id(host))));
    lines.extend(hosts.went.iter().map(|host| format!("- {}", id(host))));
    let changed = hosts.changed.iter();
    lines.extend(changed.map(|host| format!("* {}{}", id(&host.new), what(&host.what))));
    let place = |guest: &GuestRef<'_>| format!("{}@{}", guest.id(), id(&guest.host()));
    lines.extend(guests.came.iter().map(|guest| format!("+ {}", place(guest))));
    lines.extend(guests.went.iter().map(|guest| format!("- {}", place(guest))));
    let moved = guests.moved.iter();
    lines.extend(moved.map(|moved| format!("> {} from {}", place(&moved.guest), id(&moved.from))));
    let changed = guests.changed.iter();
    lines.extend(changed.map(|guest| format!("* {}{}", place(&guest.new), what(&guest.what))));
    assert_eq!(differences.is_empty(), lines.is_empty());
    lines
}

fn of(old: &str, new: &str) -> Vec<String> {
    lines(&[old], &[new])
}

const OLD: &str = r#"{"hypervisors":[
  {"uuid":"A","name":"esx1","facts":{"cpu.cpu_socket(s)":"2","x":"1"},"guests":[
     {"guestId":"g1","state":1,"attributes":{"active":1,"virtWhoType":"esx"}},{"guestId":"G2","state":5},{"guestId":"g3","state":1}]},
  {"uuid":"b","name":"esx2","guests":[{"guestId":"g4","state":1}]}]}"#;

#[test]
fn hosts_and_guests_come_go_move_and_change() {
    let new = r#"{"hypervisors":[
      {"uuid":"c","guests":[{"guestId":"g3","state":5},{"guestId":"g5"}]},
      {"uuid":"a","name":"esx1","facts":{"cpu.cpu_socket(s)":"4","y":"1"},"guests":[
         {"guestId":"g1","state":5,"attributes":{"active":0,"virtWhoType":"esx"}},{"guestId":"g2","state":5}]}]}"#;
    assert_eq!(
        of(OLD, new),
        [
            "+ c",
            "- b",
            "* a cpu.cpu_socket(s):2>4 x:1>(missing) y:(missing)>1",
            "+ g5@c",
            "- g4@b",
            "> g3@c from A",
            "* g1@a state:running>shut off",
            "* g3@c state:running>shut off",
        ]
    );
}

#[test]
fn order_layout_and_notation_make_no_difference() {
    let other = r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"B"},"name":"esx2","guestIds":[{"state":1,"guestId":"G4"}]},
      {"guestIds":[{"guestId":"g3","state":1.0},{"guestId":"g2","state":5},
                   {"attributes":{"virtWhoType":"esx","active":1},"guestId":"g1","state":1}],
       "facts":{"x":1,"cpu.cpu_socket(s)":2},"hypervisorId":{"hypervisorId":"a"},"name":"esx1"}],
      "source":{"section":"other"},"omitted":[{"kind":"host","id":"h"}]}"#;
    assert_eq!(of(OLD, other), [""; 0]);
    assert_eq!(of(other, OLD), [""; 0]);
}

#[test]
fn what_one_side_does_not_say_is_no_difference() {
    let bare = r#"{"hypervisors":[{"uuid":"a","guests":[{"guestId":"g1"},{"guestId":"g2"},{"guestId":"g3","state":9}]},
      {"uuid":"b","facts":{},"guests":[{"guestId":"g4"}]}]}"#;
    assert_eq!(of(OLD, bare), [""; 0]);
    let named = r#"{"hypervisors":[{"uuid":"b","name":"esx2","parent":{"id":"domain-c7","name":"C"},"facts":{"f":"1"},
      "guests":[{"guestId":"g4","name":"web"}]}]}"#;
    let old = r#"{"hypervisors":[{"uuid":"b","guests":[{"guestId":"g4","state":1}]}]}"#;
    assert_eq!(of(old, named), [""; 0]);
}

#[test]
fn a_cluster_is_told_once_and_the_case_of_a_system_uuid_means_nothing() {
    let host = |cluster: &str, facts: &str| {
        format!(
            r#"{{"hypervisors":[{{"uuid":"a","parent":{{"name":"{cluster}"}},"facts":{{{facts}"dmi.system.uuid":"{}"}},"guests":[]}}]}}"#,
            if cluster == "one" { "ABC" } else { "abc" }
        )
    };
    assert_eq!(of(&host("one", ""), &host("two", "")), ["* a parent:one>two"]);
    let fact = |cluster: &str| format!(r#""hypervisor.cluster":"{cluster}","#);
    assert_eq!(
        of(&host("one", &fact("one")), &host("two", &fact("two"))),
        ["* a hypervisor.cluster:one>two"]
    );
    assert_eq!(
        of(&host("one", &fact("one")), &host("two", "")),
        ["* a hypervisor.cluster:one>(missing) parent:one>two"]
    );
    assert_eq!(
        of(&host("one", r#""x":"A","#), &host("one", r#""x":"a","#)),
        ["* a x:A>a"]
    );
}

#[test]
fn attributes_differ_only_if_the_state_does_not_say_it_already() {
    let guest =
        |json: &str| format!(r#"{{"hypervisors":[{{"uuid":"a","guests":[{{"guestId":"g",{json}}}]}}]}}"#);
    let one = guest(r#""attributes":{"active":1,"virtWhoType":"esx","z":"1"}"#);
    let two = guest(r#""state":1,"attributes":{"active":0,"virtWhoType":"libvirt"}"#);
    assert_eq!(
        of(&one, &two),
        ["* g@a active:1>0 virtWhoType:esx>libvirt z:1>(missing)"]
    );
    let bare = guest(r#""state":1"#);
    assert_eq!(of(&bare, &guest(r#""state":1,"attributes":{"z":"1"}"#)), [""; 0]);
}

#[test]
fn a_guest_may_be_on_several_hosts_and_several_times_on_one() {
    let hosts = |places: &[(&str, &[&str])]| {
        let hosts: Vec<String> = places
            .iter()
            .map(|(host, guests)| {
                let guests: Vec<String> = guests
                    .iter()
                    .map(|guest| format!(r#"{{"guestId":"{guest}"}}"#))
                    .collect();
                format!(r#"{{"uuid":"{host}","guests":[{}]}}"#, guests.join(","))
            })
            .collect();
        format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(","))
    };
    let both = hosts(&[("a", &["g"]), ("b", &["g"])]);
    let twice = hosts(&[("a", &["g", "G"]), ("b", &["g"])]);
    assert_eq!(of(&both, &twice), [""; 0]);
    assert_eq!(of(&both, &hosts(&[("a", &["g"]), ("b", &[])])), ["- g@b"]);
    assert_eq!(
        of(&both, &hosts(&[("a", &["g"]), ("b", &[]), ("c", &["g"])])),
        ["+ c", "> g@c from b"]
    );
    // Hosts that share an id are told apart by nothing, so each counts.
    assert_eq!(
        of(&hosts(&[("a", &[])]), &hosts(&[("a", &[]), ("A", &[])])),
        ["+ A"]
    );
}

#[test]
fn of_a_guest_that_a_host_lists_twice_the_running_one_counts() {
    let of_states = |states: [u8; 2]| {
        let guests = states.map(|state| format!(r#"{{"guestId":"g","state":{state}}}"#));
        format!(
            r#"{{"hypervisors":[{{"uuid":"a","guests":[{}]}}]}}"#,
            guests.join(",")
        )
    };
    for states in [[1, 5], [5, 1]] {
        assert_eq!(of(&of_states(states), &of_states([1, 1])), [""; 0]);
        assert_eq!(
            of(&of_states(states), &of_states([5, 5])),
            ["* g@a state:running>shut off"]
        );
    }
}

#[test]
fn a_side_may_have_several_documents_and_this_machine() {
    let a = r#"{"hypervisors":[{"uuid":"a","guests":[{"guestId":"g"}]}]}"#;
    let b = r#"{"hypervisors":[{"uuid":"b","guests":[]},{"guests":[{"guestId":"l"}]}]}"#;
    let moved = r#"{"hypervisors":[{"uuid":"b","guests":[{"guestId":"g"}]},{"uuid":"a","guests":[]}]}"#;
    assert_eq!(lines(&[a, b], &[b, a]), [""; 0]);
    assert_eq!(
        lines(&[a, b], &[moved]),
        ["- this machine", "- l@this machine", "> g@b from a"]
    );
}

/// A few hosts and guests, so that the same ones come up on both sides.
fn document() -> impl Strategy<Value = String> {
    let guest =
        ("[g-kG-K]", 0..3_u8).prop_map(|(id, state)| format!(r#"{{"guestId":"{id}","state":{state}}}"#));
    let host =
        ("[a-dA-D]", proptest::collection::vec(guest, 0..4), 0..3_u8).prop_map(|(id, guests, fact)| {
            format!(
                r#"{{"uuid":"{id}","facts":{{"f":"{fact}"}},"guests":[{}]}}"#,
                guests.join(",")
            )
        });
    proptest::collection::vec(host, 0..5)
        .prop_map(|hosts| format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(",")))
}

proptest! {
    #[test]
    fn a_document_is_the_same_as_itself(document in document()) {
        prop_assert_eq!(of(&document, &document), [""; 0]);
    }

    #[test]
    fn what_came_in_one_direction_went_in_the_other(one in document(), other in document()) {
        let swapped = |line: &String| match line.as_bytes()[0] {
            b'+' => line.replacen('+', "-", 1),
            b'-' => line.replacen('-', "+", 1),
            _ => String::new(),
        };
        let sorted = |lines: Vec<String>| {
            let mut lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
            lines.sort();
            lines
        };
        let there: Vec<String> = of(&one, &other).iter().map(swapped).collect();
        let back: Vec<String> = of(&other, &one).into_iter().filter(|line| line.starts_with(['+', '-'])).collect();
        let fold = |lines: Vec<String>| lines.iter().map(|line| line.to_lowercase()).collect();
        prop_assert_eq!(sorted(fold(there)), sorted(fold(back)));
    }
}
