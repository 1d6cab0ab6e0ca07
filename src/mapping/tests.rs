use super::*;
use crate::error::Classify as _;
use serde::de::IgnoredAny;
use std::io::{BufReader, Read};

/// Copies a stream. On failure `out` contains what was written before.
fn pass_into(
    out: &mut Vec<u8>,
    input: impl std::io::BufRead,
    layout: Layout,
    style: Style,
) -> Result<(), Error> {
    let mut reader = Reader::new(input);
    while let Some(mut document) = reader.next_document()? {
        let mut writer = Writer::new(&mut *out, layout, style);
        while let Some(entry) = document.next_entry()? {
            writer.entry(&entry)?;
        }
        writer.finish(&document.finish()?)?;
    }
    Ok(())
}

fn pass(text: &str, layout: Layout, style: Style) -> Result<String, Error> {
    let mut out = Vec::new();
    pass_into(&mut out, text.as_bytes(), layout, style)?;
    Ok(String::from_utf8(out).unwrap())
}

fn read(text: &str) -> Result<Mapping, Error> {
    let mapping = Reader::new(text.as_bytes()).next_mapping()?;
    Ok(mapping.unwrap())
}

fn write(mapping: &Mapping, layout: Layout) -> String {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, layout, Style::Compact);
    for hypervisor in &mapping.hypervisors {
        writer.hypervisor(hypervisor).unwrap();
    }
    writer.finish(&mapping.tail).unwrap();
    String::from_utf8(out).unwrap()
}

/// All known members in the order in which they are written, and unknown members everywhere.
const FULL: &str = concat!(
    r#"{"hypervisors":[{"guests":[{"guestId":"here","state":1}]},"#,
    r#"{"uuid":"9705df9f-76d4-4343-bf10-229e8692ecee","guests":[{"guestId":"564dae86-b20b-0214-0203-dc50d3be0ec2","#,
    r#""state":5,"attributes":{"active":0,"virtWhoType":"esx","x":1.50},"name":"web","moref":"vm-1","uuid":"u","x":1e400}],"#,
    r#""facts":{"hypervisor.type":"VMware ESXi","cpu.cpu_socket(s)":"2","x":0.10},"name":"localhost","#,
    r#""parent":{"id":"domain-c7","type":"ClusterComputeResource","name":"A \"é\"","x":[]},"x":{"y":[1,-0]}}],"#,
    r#""source":{"section":"prod","type":"esx","server":"vc","instanceUuid":"i","time":"2026-08-01T12:00:00Z","x":null},"#,
    r#""omitted":[{"kind":"host","id":"host-17","name":"n","stage":"vw-scan-esx","reason":"no uuid","x":1.0}],"x":[1.0]}"#,
    "\n"
);

/// The layout of virt-who's `-p`.
const CHECKIN: &str = concat!(
    r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"one"},"name":"n","guestIds":[{"guestId":"g","state":1,"#,
    r#""attributes":{"active":1,"virtWhoType":"esx"}}],"facts":{"cpu.cpu_socket(s)":"2"}},{"guestIds":[]}]}"#,
    "\n"
);

#[test]
fn a_document_is_copied_byte_for_byte() {
    for (text, layout) in [(FULL, Layout::Mapping), (CHECKIN, Layout::Checkin)] {
        assert_eq!(pass(text, layout, Style::Compact).unwrap(), text, "as text");
        let mapping = read(text).unwrap();
        assert_eq!(mapping.layout, layout);
        assert_eq!(mapping.faults, []);
        assert_eq!(write(&mapping, layout), text, "understood");
        let pretty = pass(text, layout, Style::Pretty).unwrap();
        assert_eq!(
            pass(&pretty, layout, Style::Compact).unwrap(),
            text,
            "indented and back"
        );
        assert_eq!(read(&pretty).unwrap(), mapping, "indented");
    }
}

#[test]
fn odd_values_in_source_and_omitted_are_kept() {
    let text = concat!(
        r#"{"hypervisors":[],"source":{"section":1,"filtered":2.50},"#,
        r#""omitted":[{},{"x":1e400},{"kind":1,"stage":null,"reason":[-0]}]}"#,
        "\n"
    );
    assert_eq!(pass(text, Layout::Mapping, Style::Compact).unwrap(), text);
}

#[test]
fn each_layout_is_converted_to_the_other() {
    let as_checkin = pass(FULL, Layout::Checkin, Style::Compact).unwrap();
    let mut expected = read(FULL).unwrap();
    expected.layout = Layout::Checkin;
    let host = &mut expected.hypervisors[1];
    host.parent = None;
    (host.guests[0].name, host.guests[0].moref, host.guests[0].uuid) = (None, None, None);
    expected.tail.source = None;
    expected.tail.omitted.clear();
    assert_eq!(read(&as_checkin).unwrap(), expected);
    assert_eq!(read(&write(&expected, Layout::Checkin)).unwrap(), expected);

    let as_mapping = pass(CHECKIN, Layout::Mapping, Style::Compact).unwrap();
    let mut expected = read(CHECKIN).unwrap();
    expected.layout = Layout::Mapping;
    assert_eq!(read(&as_mapping).unwrap(), expected);
}

#[test]
fn indented_json_looks_as_from_jq() {
    let text = r#"{"hypervisors":[{"uuid":"a\"[{","guests":[],"facts":{}}],"x":[1,{"y":"\\"}]}"#;
    let expected = r#"{
  "hypervisors": [
    {
      "uuid": "a\"[{",
      "guests": [],
      "facts": {}
    }
  ],
  "x": [
    1,
    {
      "y": "\\"
    }
  ]
}
"#;
    assert_eq!(pass(text, Layout::Mapping, Style::Pretty).unwrap(), expected);
    let empty = pass(r#"{"hypervisors":[]}"#, Layout::Mapping, Style::Pretty).unwrap();
    assert_eq!(empty, "{\n  \"hypervisors\": []\n}\n");
}

#[test]
fn members_may_precede_or_follow_the_list_and_documents_need_no_separator() {
    let text = "\u{feff} {\"a\" : 1,\"hypervisors\":[ ],\n\"b\":2}{\"hypervisors\":[]}\t\u{feff}{\"hypervisors\":[]}";
    let expected = "{\"hypervisors\":[],\"a\":1,\"b\":2}\n{\"hypervisors\":[]}\n{\"hypervisors\":[]}\n";
    assert_eq!(pass(text, Layout::Mapping, Style::Compact).unwrap(), expected);
}

#[test]
fn the_rest_of_an_unfinished_document_is_skipped() {
    let text = [FULL, CHECKIN].concat();
    let mut reader = Reader::new(text.as_bytes());
    assert!(
        reader
            .next_document()
            .unwrap()
            .unwrap()
            .next_entry()
            .unwrap()
            .is_some()
    );
    let second = reader.next_mapping().unwrap().unwrap();
    assert_eq!(second.layout, Layout::Checkin);
    assert_eq!(reader.next_mapping().unwrap(), None);
}

#[test]
fn input_that_is_cut_anywhere_is_refused_and_gives_no_document() {
    let text = FULL.trim_end().as_bytes();
    for style in [Style::Compact, Style::Pretty] {
        for length in 0..text.len() {
            let mut out = Vec::new();
            let error = pass_into(&mut out, &text[..length], Layout::Mapping, style).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::NoInput, "{length}: {error}");
            assert!(serde_json::from_slice::<IgnoredAny>(&out).is_err(), "{length}");
        }
    }
}

#[test]
fn bytes_may_arrive_in_any_pieces() {
    for size in [1, 2, 3, 7, 64] {
        let mut out = Vec::new();
        let input = BufReader::with_capacity(size, FULL.as_bytes());
        pass_into(&mut out, input, Layout::Mapping, Style::Compact).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), FULL);
    }
}

#[test]
fn errors_have_the_position() {
    let at = |bytes: &[u8]| {
        let error = Reader::new(bytes).next_mapping().unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Data);
        match error {
            Error::Malformed { at, .. } | Error::NotMapping { at, .. } => at,
            Error::TooDeep { at } | Error::TooLarge { at, .. } => at,
            other => panic!("{other:?}"),
        }
    };
    let cases: [(&[u8], u64); 18] = [
        (b"nonsense", 0),
        (b"\xef\xbb{}", 2),
        (b"\0", 0),
        (b"{\"hypervisors\":[\0]}", 16),
        // serde_json reports the position before a character that is not allowed in a string.
        (b"{\"hypervisors\":[{\"a\":\"\0\"}]}", 21),
        (b"{\"hypervisors\":[{\"a\":\"\xff\"}]}", 22),
        (b"{\"hypervisors\":[{\n\"a\":\n 01}]}", 25),
        (b"{\"hypervisors\":[{]}]}", 17),
        (b"{\"hypervisors\":[{} {}]}", 19),
        (b"{\"hypervisors\":[}", 16),
        (b"{\"hypervisors\":[],}", 18),
        (b"{\"hypervisors\":[],\"a\":nul}", 24),
        (b"{\"hypervisors\":[],\"a\":,}", 22),
        (b"{\"hypervisors\" []}", 15),
        (b"{\"hypervisors\":[],\"source\":1}", 27),
        (b"{\"hypervisors\":[],\"omitted\":[1]}", 28),
        (b"{\"source\":{},\"source\":{},\"hypervisors\":[]}", 22),
        (b"{\"omitted\":[],\"omitted\":[{}],\"hypervisors\":[]}", 24),
    ];
    for (bytes, expected) in cases {
        assert_eq!(at(bytes), expected, "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn the_depth_of_nested_brackets_is_limited() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(
            "{{\"hypervisors\":[{{\"uuid\":\"a\",\"guests\":[],\"x\":{open}{close}}}],\"y\":{open}{close}}}"
        )
    };
    assert!(read(&nested(MAX_DEPTH - 3)).is_ok());
    assert!(matches!(read(&nested(MAX_DEPTH - 2)), Err(Error::TooDeep { .. })));
}

#[test]
fn the_size_of_an_item_is_limited() {
    let endless = |start: &'static str| {
        let input = start.as_bytes().chain(std::io::repeat(b'a'));
        Reader::new(BufReader::with_capacity(1 << 16, input)).next_mapping()
    };
    for start in [
        "{\"hypervisors\":[{\"uuid\":\"",
        "{\"",
        "{\"x\":\"",
        "{\"x\":1,\"y\":[",
    ] {
        assert!(matches!(endless(start), Err(Error::TooLarge { .. })), "{start}");
    }
}

#[test]
fn an_error_in_one_hypervisor_or_guest_is_a_fault() {
    let good = r#"{"uuid":"good","guests":[]}"#;
    let cases = [
        (
            r#"{}"#,
            "host at byte 16: it has no id (\"uuid\" or \"hypervisorId\")",
        ),
        (r#"{"uuid":"","guests":[]}"#, "host at byte 16: its id is empty"),
        (
            r#"{"uuid":null,"guests":[],"name":"n"}"#,
            "host n at byte 16: its id is null",
        ),
        (r#"{"uuid":5,"guests":[]}"#, "host at byte 16: its id is a number"),
        (
            r#"{"uuid":"\ud800","guests":[]}"#,
            "host at byte 16: its id is not valid text",
        ),
        (
            r#"{"guests":[],"name":"n"}"#,
            "host n at byte 16: it has no id (\"uuid\" or \"hypervisorId\")",
        ),
        (
            r#"{"hypervisorId":"a","guestIds":[]}"#,
            "host at byte 16: its \"hypervisorId\" is a string, not an object",
        ),
        (
            r#"{"hypervisorId":{},"guestIds":[]}"#,
            "host at byte 16: it has no id",
        ),
        (
            r#"{"hypervisorId":{"hypervisorId":"a"},"uuid":"a","guests":[]}"#,
            "host at byte 16: it has both \"uuid\" and \"hypervisorId\"",
        ),
        (
            r#"{"uuid":"a","uuid":"b","guests":[]}"#,
            "host at byte 16: it has two members \"uuid\"",
        ),
        (r#"{"uuid":"a"}"#, "host a at byte 16: it has no list of guests"),
        (
            r#"{"uuid":"a","guests":null}"#,
            "host a at byte 16: its guests are not a list",
        ),
        (
            r#"{"uuid":"a","guests":[],"guestIds":[]}"#,
            "host a at byte 16: it has both \"guests\" and \"guestIds\"",
        ),
    ];
    for (entry, expected) in cases {
        let mapping = read(&format!("{{\"hypervisors\":[{entry},{good}]}}")).unwrap();
        let faults: Vec<String> = mapping.faults.iter().map(Fault::to_string).collect();
        assert_eq!(faults, [expected]);
        assert_eq!(mapping.hypervisors, [Hypervisor::new("good")]);
    }

    // A guest in the place of a hypervisor.
    let guest = r#"{"guestId":"g","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}"#;
    let mapping = read(&format!("{{\"hypervisors\":[{guest},{good}]}}")).unwrap();
    assert_eq!((mapping.faults.len(), mapping.hypervisors.len()), (1, 1));

    let guests =
        r#"[{"guestId":"g"},null,"g",{},{"guestId":""},{"guestId":1},{"guestId":"a","guestId":"b"}]"#;
    let mapping = read(&format!(
        "{{\"hypervisors\":[{{\"uuid\":\"a\",\"guests\":{guests}}}]}}"
    ))
    .unwrap();
    assert_eq!(mapping.hypervisors[0].guests.len(), 1);
    let reasons: Vec<&str> = mapping.faults.iter().map(|fault| &*fault.reason).collect();
    let expected = [
        "number 2 of a: it is null, not an object",
        "number 3 of a: it is a string, not an object",
        "number 4 of a: it has no guestId",
        "number 5 of a: its id is empty",
        "number 6 of a: its id is a number",
        "number 7 of a: it has two members \"guestId\"",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn a_missing_state_stays_missing() {
    let text = "{\"hypervisors\":[{\"uuid\":\"a\",\"guests\":[{\"guestId\":\"g\"},{\"guestId\":\"h\",\"state\":0}]}]}\n";
    let mapping = read(text).unwrap();
    let states: Vec<_> = mapping.hypervisors[0]
        .guests
        .iter()
        .map(|guest| guest.state)
        .collect();
    assert_eq!(states, [None, Some(GuestState::None)]);
    assert_eq!(write(&mapping, Layout::Mapping), text);
}

#[test]
fn a_value_of_an_unexpected_type_is_kept() {
    let text = concat!(
        r#"{"hypervisors":[{"uuid":"a","guests":[{"guestId":"g","state":9,"attributes":{"active":"yes"}},"#,
        r#"{"guestId":"h","state":1.0}],"name":null,"parent":"p"}]}"#,
        "\n"
    );
    let mapping = read(text).unwrap();
    let guests = &mapping.hypervisors[0].guests;
    assert_eq!(
        (guests[0].state, guests[1].state),
        (None, Some(GuestState::Running))
    );
    let flaws: Vec<&str> = mapping.flaws.iter().map(|flaw| &*flaw.reason).collect();
    assert_eq!(flaws, ["guest g: its state is 9, not a number from 0 to 7"]);
    let expected = concat!(
        r#"{"hypervisors":[{"uuid":"a","guests":[{"guestId":"g","attributes":{"active":"yes"},"state":9},"#,
        r#"{"guestId":"h","state":1.0}],"name":null,"parent":"p"}]}"#,
        "\n"
    );
    assert_eq!(write(&mapping, Layout::Mapping), expected);
}

#[test]
fn the_fixed_order_is_bytewise() {
    let host = |id: &str| Hypervisor::new(id);
    let mut first = host("b");
    first.guests = ["z", "A", "a"]
        .map(|id| Guest::new(id, GuestState::Running, "esx"))
        .into();
    let mut mapping = Mapping {
        hypervisors: vec![
            first,
            host("a"),
            host("B"),
            Hypervisor::local(Vec::new()),
            host("é"),
        ],
        ..Mapping::default()
    };
    mapping.sort();
    let ids: Vec<&str> = mapping
        .hypervisors
        .iter()
        .map(|host| host.id.as_deref().unwrap_or("-"))
        .collect();
    assert_eq!(ids, ["-", "B", "a", "b", "é"]);
    let guests: Vec<&str> = mapping.hypervisors[3]
        .guests
        .iter()
        .map(|guest| &*guest.id)
        .collect();
    assert_eq!(guests, ["A", "a", "z"]);
}

#[test]
fn states_have_the_numbers_of_virt_who() {
    for (number, state) in (0..).zip(GuestState::ALL) {
        assert_eq!(state.number(), number);
        assert_eq!(GuestState::from_number(number), Some(state));
        assert_eq!(state.is_active(), number == 1 || number == 3);
    }
    assert_eq!(GuestState::from_number(8), None);
}

#[test]
fn too_many_members_are_refused_and_too_many_faults_are_counted() {
    let too_large = |text: &str| matches!(read(text), Err(Error::TooLarge { .. }));
    let many = |part: &str, count: usize| part.repeat(count);
    // Each of these is small, but would take hundreds of bytes of memory per byte.
    let members = many("\"\":1,", MAX_PARTS + 1);
    assert!(too_large(&format!("{{{members}\"hypervisors\":[]}}")));
    assert!(too_large(&format!(
        "{{\"hypervisors\":[{{{members}\"uuid\":\"a\",\"guests\":[]}}]}}"
    )));
    let list = many("{},", MAX_PARTS + 1);
    assert!(too_large(&format!(
        "{{\"hypervisors\":[],\"omitted\":[{list}{{}}]}}"
    )));
    assert!(too_large(&format!(
        "{{\"hypervisors\":[],\"x\":[{}1],\"y\":[{0}1]}}",
        many("1,", MAX_PARTS / 2)
    )));

    let guests = many("{},", 100_000);
    let text = format!("{{\"hypervisors\":[{{\"uuid\":\"a\",\"guests\":[{guests}{{\"guestId\":\"g\"}}]}}]}}");
    let mapping = read(&text).unwrap();
    assert_eq!(mapping.hypervisors[0].guests.len(), 1);
    assert!(mapping.faults.len() <= 20, "{}", mapping.faults.len());
    assert_eq!(
        mapping.faults.iter().map(|fault| fault.count).sum::<usize>(),
        100_000
    );

    let text = format!("{{\"hypervisors\":[{guests}{{}}]}}");
    let mapping = read(&text).unwrap();
    assert!(mapping.faults.len() <= 1001, "{}", mapping.faults.len());
    assert_eq!(mapping.reportable().census.hypervisors, 100_001);
}

#[test]
fn an_unusable_hypervisor_counts_as_one_and_this_machine_does_not() {
    let has = |hypervisors: &str| {
        read(&format!("{{\"hypervisors\":[{hypervisors}]}}"))
            .unwrap()
            .has_hypervisors()
    };
    assert!(!has(""));
    assert!(!has(r#"{"guests":[]}"#));
    assert!(has(r#"{"guests":[]},{"uuid":"a","guests":[]}"#));
    assert!(has(r#"{"uuid":"","guests":[]}"#));
    assert!(read(r#"{"hypervisors":[{"guests":[]}]}"#).unwrap().has_local());
    assert!(
        !read(r#"{"hypervisors":[{"uuid":"a","guests":[]}]}"#)
            .unwrap()
            .has_local()
    );
}

mod members;
mod naming;
mod properties;
mod writing;
