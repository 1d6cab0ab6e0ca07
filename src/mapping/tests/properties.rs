//! Properties of any input.

use std::io::BufReader;

use proptest::prelude::*;

use super::*;

/// Any JSON, with numbers and strings that a parser easily changes.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        ".*".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#""\/\u00e9\ud83d\ude00\ud800""#.to_owned()),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = "[a-z]{0,3}";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((name, inner), 0..4).prop_map(|members| {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| format!("\"{name}\":{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// A guest or another value, made of valid and invalid members.
fn guest_or_not() -> impl Strategy<Value = String> {
    let member = proptest::sample::select(vec![
        r#""guestId":"g1""#,
        r#""guestId":"""#,
        r#""guestId":"\ud800""#,
        r#""state":1"#,
        r#""state":5"#,
        r#""state":8"#,
        r#""state":"1""#,
        r#""state":1.0"#,
        r#""attributes":{"active":1,"virtWhoType":"esx"}"#,
        r#""attributes":{"active":1,"virtWhoType":"esx"},"x":{"state":9,"guestId":""}"#,
    ]);
    prop_oneof![
        4 => Just(r#"{"guestId":"g","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}"#.to_owned()),
        4 => proptest::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
        1 => proptest::sample::select(vec!["null", "[\"a\",1]", "\"a\"", "{\"guestId\":[]}"]).prop_map(str::to_owned),
    ]
}

proptest! {
    /// The fast check of guests finds the same faults as reading them.
    #[test]
    fn inspecting_finds_the_same_faults_as_reading(guests in proptest::collection::vec(guest_or_not(), 0..4)) {
        let text = format!("{{\"hypervisors\":[{{\"uuid\":\"a\",\"guests\":[{}]}}]}}", guests.join(","));
        let mut reader = Reader::new(text.as_bytes());
        let mut document = reader.next_document().unwrap().unwrap();
        let entry = document.next_entry().unwrap().unwrap();
        let read = entry.read().unwrap();
        let mut expected = read.faults;
        expected.extend(read.flaws);
        prop_assert_eq!(entry.inspect(), expected);
    }

    /// Guests as a scan writes them are skipped at once, but only if they arrive at once.
    #[test]
    fn it_does_not_matter_how_much_arrives_at_once(
        guests in proptest::collection::vec(guest_or_not(), 0..4),
        around in prop_oneof![Just(0), 120..130_usize],
        cut in 0..400_usize,
        window in 1..100_usize,
    ) {
        let value = format!("{}{}{}", "[".repeat(around), guests.join(","), "]".repeat(around));
        let mut text = format!("{{\"hypervisors\":[{{\"uuid\":\"a\",\"guests\":[{}],\"x\":[{value}]}}]}}", guests.join(","));
        text.truncate(text.len().saturating_sub(cut.saturating_sub(200)));
        let outcome = |window| {
            let mut reader = Reader::new(BufReader::with_capacity(window, text.as_bytes()));
            let mapping = reader.next_mapping();
            (format!("{mapping:?}"), reader.parts())
        };
        prop_assert_eq!(outcome(window), outcome(1 << 16));
    }

    #[test]
    fn any_unknown_member_is_kept(value in json()) {
        let text = format!("{{\"hypervisors\":[{{\"uuid\":\"a\",\"guests\":[],\"xx\":{value}}}],\"xy\":{value}}}\n");
        let compact = pass(&text, Layout::Mapping, Style::Compact).unwrap();
        let pretty = pass(&text, Layout::Mapping, Style::Pretty).unwrap();
        prop_assert_eq!(&pass(&pretty, Layout::Mapping, Style::Compact).unwrap(), &compact);
        let entry = format!("[{{\"uuid\":\"a\",\"guests\":[],\"xx\":{value}}}]");
        prop_assert!(compact.contains(&entry), "{}", compact);
    }

    /// Reading any bytes ends without a panic, and JSON that serde_json accepts is never called malformed.
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(prop_oneof![
        3 => proptest::sample::select(b"{}[]\",:\\ 0-eatrufnls".to_vec()), 1 => any::<u8>(),
    ], 0..60)) {
        let valid = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
        let outcome = Reader::new(&*bytes).next_mapping();
        if valid {
            let malformed = matches!(outcome, Err(Error::Malformed { .. } | Error::Cut { .. }));
            prop_assert!(!malformed, "{:?}", outcome);
        }
    }
}
