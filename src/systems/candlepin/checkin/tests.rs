use super::*;
use crate::filter::Rules;
use crate::mapping::Reader;
use proptest::prelude::*;

fn mapping(text: &str) -> Mapping {
    Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap()
}

fn body(text: &str) -> String {
    body_of(&CheckIn::new(&mapping(text)))
}

fn body_of(check_in: &CheckIn<'_>) -> String {
    let bodies: Vec<_> = check_in
        .batches(1_000)
        .map(|batch| batch.body().unwrap())
        .collect();
    assert_eq!(bodies.len(), 1);
    String::from_utf8(bodies.concat()).unwrap()
}

#[test]
fn only_known_members_are_sent() {
    let text = r#"{"hypervisors":[{"uuid":"H1","name":"esx1","parent":{"id":"domain-c7"},"secret":1,
        "facts":{"cpu.cpu_socket(s)":"2","dmi.system.uuid":"9705df9f-0000-1000-8000-000000000001"},
        "guests":[{"guestId":"g1","state":5,"attributes":{"active":0,"virtWhoType":"esx","x":"y"},
                   "name":"vm1","moref":"vm-1","uuid":"u1","secret":2}]}],
        "source":{"section":"prod"},"omitted":[],"secret":3}"#;
    let sent = concat!(
        r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"H1"},"name":"esx1","#,
        r#""guestIds":[{"guestId":"g1","state":5,"#,
        r#""attributes":{"virtWhoType":"esx","active":0,"x":"y"}}],"#,
        r#""facts":{"cpu.cpu_socket(s)":"2","dmi.system.uuid":"9705df9f-0000-1000-8000-000000000001"}}]}"#
    );
    assert_eq!(body(text), sent);
}

#[test]
fn an_empty_list_of_guests_is_sent() {
    assert_eq!(
        body(r#"{"hypervisors":[{"uuid":"a","guests":[]}]}"#),
        r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"a"},"guestIds":[]}]}"#
    );
    assert_eq!(body(r#"{"hypervisors":[]}"#), r#"{"hypervisors":[]}"#);
}

#[test]
fn ids_that_are_equal_ignoring_case_are_left_out() {
    let mapping = mapping(
        r#"{"hypervisors":[{"uuid":"A","name":"1","guests":[]},{"uuid":"b","guests":[]},
            {"uuid":"a","name":"2","guests":[]},{"uuid":"Ä","guests":[]},{"uuid":"ä","guests":[]}]}"#,
    );
    let check_in = CheckIn::new(&mapping);
    assert_eq!((check_in.len(), check_in.census.hypervisors), (1, 5));
    let named: Vec<_> = check_in
        .census
        .left_out
        .iter()
        .map(|f| f.id.as_deref().unwrap())
        .collect();
    assert_eq!(named, ["A", "a", "Ä", "ä"]);
    assert_eq!(check_in.census.left_out[0].name.as_deref(), Some("1"));
}

#[test]
fn an_entry_without_an_id_is_named_unless_it_is_this_machine() {
    let mapping = mapping(
        r#"{"hypervisors":[{"guests":[{"guestId":"l","state":1}]},{"uuid":"","name":"n","guests":[]},
            {"uuid":null,"name":"m","guests":[]},{"name":"o","guests":[]},{"uuid":"b","guests":[]}]}"#,
    );
    let check_in = CheckIn::new(&mapping);
    assert!(check_in.has_local());
    assert_eq!(check_in.local_guests, 1);
    assert_eq!(
        (
            check_in.len(),
            check_in.census.hypervisors,
            check_in.census.guests
        ),
        (1, 4, 0)
    );
    let named: Vec<_> = check_in
        .census
        .left_out
        .iter()
        .map(|f| f.name.as_deref())
        .collect();
    assert_eq!(named, [Some("n"), Some("m"), Some("o")]);
}

#[test]
fn a_system_uuid_that_is_not_unique_is_not_sent() {
    let host = |id: &str, uuid: &str| {
        format!(r#"{{"uuid":"{id}","guests":[],"facts":{{"dmi.system.uuid":"{uuid}"}}}}"#)
    };
    let hosts = [
        host("1", "AAAAAAAA-0000-1000-8000-000000000001"),
        host("2", "aaaaaaaa-0000-1000-8000-000000000001 "),
        host("3", "bbbbbbbb-0000-1000-8000-000000000001"),
        host("4", "00000000-0000-0000-0000-000000000000"),
    ];
    let text = format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(","));
    let mapping = mapping(&text);
    let check_in = CheckIn::new(&mapping);
    assert_eq!(
        check_in.without_system_uuid().collect::<Vec<_>>(),
        ["1", "2", "4"]
    );
    let body = body_of(&check_in);
    assert_eq!(body.matches("dmi.system.uuid").count(), 1);
    assert_eq!(body.matches(r#""facts":{}"#).count(), 3);
}

#[test]
fn batches_hold_all_hypervisors_in_order() {
    let mapping = mapping(
        r#"{"hypervisors":[{"uuid":"c","guests":[]},{"uuid":"a","guests":[]},{"uuid":"b","guests":[]}],
            "omitted":[{"kind":"host","id":"HOST-7","name":"esx7","stage":"x","reason":"y"}]}"#,
    );
    let mut check_in = CheckIn::new(&mapping);
    let (before, gone) = (check_in.digest().unwrap(), "gone".to_owned());
    assert!(check_in.knows("A") && check_in.knows("host-7") && !check_in.knows(&gone));
    check_in.clear([gone]);
    assert_ne!(check_in.digest().unwrap(), before);
    let batches: Vec<Vec<_>> = check_in
        .batches(3)
        .map(|batch| batch.sent().iter().map(|sent| sent.id.to_owned()).collect())
        .collect();
    assert_eq!(batches, [vec!["a", "b", "c"], vec!["gone"]]);
    let last = check_in.batches(3).last().unwrap();
    assert_eq!(last.synchronous_body().unwrap(), br#"{"gone":[]}"#);
    assert!(
        last.body()
            .unwrap()
            .ends_with(br#"{"hypervisorId":{"hypervisorId":"gone"},"guestIds":[]}]}"#)
    );
}

#[test]
fn the_smallest_part_that_does_not_fit_is_left_out() {
    let long = "x".repeat(300);
    let mapping = mapping(&format!(
        r#"{{"hypervisors":[{{"uuid":"{long}","guests":[]}},
            {{"uuid":"a","name":"n","facts":{{"f":"{long}","g":"1"}},"guests":[
                {{"guestId":"{long}","state":1}},{{"guestId":"g","state":1,"attributes":{{"virtWhoType":"{long}"}}}}]}}]}}"#
    ));
    let check_in = CheckIn::new(&mapping);
    assert_eq!(
        body_of(&check_in),
        concat!(
            r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"a"},"name":"n","#,
            r#""guestIds":[{"guestId":"g","state":1,"attributes":{}}],"facts":{"g":"1"}}]}"#
        )
    );
    assert_eq!(
        (check_in.census.left_out.len(), check_in.census.hypervisors),
        (4, 2),
        "{:?}",
        check_in.census.left_out
    );
}

/// Each part that is left out counts once, and at most ten parts of a hypervisor are named.
#[test]
fn what_is_left_out_is_counted() {
    let long = "x".repeat(300);
    let guest = |id: &str| format!(r#"{{"guestId":"{id}","state":1}}"#);
    let hosts = [
        format!(r#"{{"guests":[{},{}]}}"#, guest("l"), guest(&long)),
        format!(
            r#"{{"uuid":"a","guests":[{},{}]}}"#,
            guest("g"),
            vec![guest(&long); 13].join(",")
        ),
        format!(
            r#"{{"uuid":"b","guests":[{}]}}"#,
            vec![guest(&long); 12].join(",")
        ),
        format!(r#"{{"uuid":"1{long}","guests":[]}}"#),
        format!(r#"{{"uuid":"2{long}","guests":[]}}"#),
    ];
    let mapping = mapping(&format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(",")));
    let census = CheckIn::new(&mapping).census;
    assert_eq!(census.omitted, 1 + 13 + 12 + 2);
    let of = |id: &str| {
        let all = census.left_out.iter();
        let reasons = all.filter(|left_out| left_out.id.as_deref() == Some(id));
        reasons.map(|left_out| &*left_out.reason).collect::<Vec<_>>()
    };
    // The last item stands for itself and the unnamed ones.
    assert_eq!(
        (of("a").len(), of("a")[10]),
        (11, "3 more of its parts do not fit")
    );
    assert_eq!(
        (of("b").len(), of("b")[10]),
        (11, "2 more of its parts do not fit")
    );
    assert_eq!(census.unnamed, 2 + 1);
}

#[test]
fn ids_and_names_are_listed_in_the_same_order() {
    let mapping = mapping(
        r#"{"hypervisors":[{"uuid":"b","name":"one","guests":[]},{"uuid":"a","guests":[]},{"guests":[]}]}"#,
    );
    let check_in = CheckIn::new(&mapping);
    let pairs: Vec<_> = check_in.ids().zip(check_in.names()).collect();
    assert_eq!(pairs, [("a", None), ("b", Some("one"))]);
    assert_eq!((check_in.ids().count(), check_in.names().count()), (2, 2));
    assert_eq!((check_in.len(), check_in.is_empty()), (2, false));
    assert!(check_in.has_local());
}

#[test]
fn a_check_in_without_hypervisors_is_one_empty_batch() {
    let mapping = mapping(r#"{"hypervisors":[]}"#);
    let check_in = CheckIn::new(&mapping);
    assert!(check_in.is_empty() && !check_in.has_local());
    assert_eq!(check_in.local_body().unwrap(), None);
    let lengths: Vec<usize> = check_in.batches(5).map(|batch| batch.len()).collect();
    assert_eq!(lengths, [0]);
}

/// What the filter drops, a stage left out or is invalid is known: it has not vanished.
#[test]
fn a_hypervisor_that_the_document_lacks_for_a_reason_is_known() {
    let mapping = mapping(
        r#"{"hypervisors":[{"uuid":"a","guests":[]},{"uuid":"Broken"}],
            "omitted":[{"kind":"host","id":"host-7","name":"ESX7","stage":"vw-scan-esx","reason":"no uuid"}]}"#,
    );
    let rules = Rules {
        exclude_hosts: Some(vec!["test*".into()]),
        ..Rules::default()
    };
    let filter = HostFilter::new(rules).unwrap();
    let check_in = CheckIn::new(&mapping);
    let knows = |check_in: &CheckIn<'_>| {
        ["A", "broken", "HOST-7", "esx7", "test1", "gone"].map(|id| check_in.knows(id))
    };
    assert_eq!(knows(&check_in), [true, true, true, true, false, false]);
    let check_in = check_in.filtered_by(Some(&filter));
    assert_eq!(knows(&check_in), [true, true, true, true, true, false]);
    // Only names count here, also those that the server writes in other letters.
    let omits = ["esx7", "Esx7", "host-7", "a", ""].map(|name| check_in.omits(name));
    assert_eq!(omits, [true, true, false, false, false]);
}

#[test]
fn a_document_that_may_lack_a_hypervisor_is_doubted() {
    let doubt = |hypervisors: &str, more: &str| {
        let mapping = mapping(&format!(r#"{{"hypervisors":[{hypervisors}]{more}}}"#));
        CheckIn::new(&mapping).doubt().map(str::to_owned)
    };
    let omitted = |stage: &str, kind: &str, name: &str| {
        format!(r#","omitted":[{{"kind":"{kind}","id":"x"{name},"stage":"{stage}","reason":"y"}}]"#)
    };
    let host = r#"{"uuid":"a","guests":[]}"#;
    let whole = [
        String::new(),
        r#","source":{"section":"prod"}"#.to_owned(),
        omitted("vw-scan-esx", "host", r#","name":"esx1""#),
        omitted("vw-scan-esx", "guest", ""),
        omitted("vw-filter", "host", ""),
        omitted("vw-report-candlepin", "host", ""),
    ];
    for more in whole {
        assert_eq!(doubt(host, &more), None, "{more}");
    }
    assert_eq!(doubt(&format!(r#"{{"guests":[]}},{host}"#), ""), None);
    let local = r#"{"guests":[]}"#;
    let checkin = r#"{"hypervisorId":{"hypervisorId":"a"},"guestIds":[]}"#;
    let nameless = omitted("vw-scan-esx", "host", "");
    let many = [r#"{"guestId":"g","state":9}"#; 2].join(",");
    let flawed = format!(r#"{{"uuid":"a","guests":[{many}]}}"#);
    let doubted = [
        ("", "", "has no hypervisor"),
        (local, "", "has no hypervisor"),
        (checkin, "", "check-in layout"),
        (
            host,
            r#","source":{"unlisted":"vw-filter"}"#,
            "without listing it",
        ),
        (host, &nameless, "left out a host without a name"),
        (&flawed, "", "not all of the mapping"),
    ];
    for (hypervisors, more, reason) in doubted {
        let doubt = doubt(hypervisors, more).unwrap_or_default();
        assert!(doubt.contains(reason), "{hypervisors} {more}: {doubt:?}");
    }
}

/// The digest decides whether a report is the same as the last one.
#[test]
fn the_digest_is_that_of_everything_that_is_sent() {
    let of = |hypervisors: &str| {
        let mapping = mapping(&format!(r#"{{"hypervisors":[{hypervisors}]}}"#));
        let check_in = CheckIn::new(&mapping);
        let local = check_in.local_body().unwrap();
        let local = local.map(|body| String::from_utf8(body).unwrap());
        (check_in.digest().unwrap(), local)
    };
    let local = |state: u8| format!(r#"{{"guests":[{{"guestId":"l","state":{state}}}]}}"#);
    let (here, body) = of(&local(1));
    let sent = r#"{"guestIds":[{"guestId":"l","state":1,"attributes":{}}]}"#;
    assert_eq!(body.as_deref(), Some(sent));
    assert_eq!(
        here,
        crate::text::hex(ring::digest::digest(&ring::digest::SHA256, sent.as_bytes()).as_ref())
    );
    assert_ne!(of(&local(5)).0, here);
    let two = [
        r#"{"uuid":"a","guests":[]}"#,
        r#"{"uuid":"b","guests":[],"parent":{"id":"1"}}"#,
    ];
    assert_eq!(of(&two.join(",")), of(&[two[1], two[0]].join(",")));
    assert_ne!(of(two[0]).0, of(two[1]).0);
    assert_eq!(of(two[0]).1, None);
}

#[test]
fn placeholder_uuids_are_recognised() {
    for uuid in [
        "",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "03000200-0400-0500-0006-000700080009",
        "12345678-1234-5678-90ab-cddeefaabbcc",
        "00020003-0004-0005-0006-000700080009",
        "not settable",
        "not specified",
        "to be filled by o.e.m.",
    ] {
        assert!(is_placeholder(uuid), "{uuid}");
    }
    for uuid in [
        "9705df9f-0000-1000-8000-000000000001",
        "420000000000-1",
        "notebook",
    ] {
        assert!(!is_placeholder(uuid), "{uuid}");
    }
}

proptest! {
    /// Each hypervisor is either sent or named, and no two that are sent have the same id for the server.
    #[test]
    fn each_hypervisor_is_sent_or_named(ids in proptest::collection::vec("[aAbBäÄ]{1,2}", 0..12)) {
        let mapping = Mapping {
            hypervisors: ids.iter().map(|id| Hypervisor::new(id.as_str())).collect(),
            ..Mapping::default()
        };
        let check_in = CheckIn::new(&mapping);
        let mut sent: Vec<String> = check_in.hosts.iter().map(|host| host.id.to_lowercase()).collect();
        let count = sent.len();
        sent.sort_unstable();
        sent.dedup();
        prop_assert_eq!(sent.len(), count);
        let mut all: Vec<&str> = check_in.ids().collect();
        all.extend(check_in.census.left_out.iter().filter_map(|failed| failed.id.as_deref()));
        all.sort_unstable();
        let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        ids.sort_unstable();
        prop_assert_eq!(all, ids);
    }
}
