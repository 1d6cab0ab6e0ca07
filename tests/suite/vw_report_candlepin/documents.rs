//! Documents in which something is odd: all of it is named, and as much as possible is reported.

use super::*;

/// A document with one hypervisor, whose guests and facts these are.
fn document(guests: &str, facts: &str) -> String {
    format!(r#"{{"hypervisors":[{{"uuid":"h1","name":"esx1","guests":[{guests}],"facts":{{{facts}}}}}]}}"#)
}

#[test]
fn an_unknown_state_is_sent_as_0_and_named() {
    for state in ["99", "-1", "1.5", "\"1\"", "\"running\"", "null", "1,\"state\":5"] {
        let site = Site::new();
        let guests = format!(r#"{{"guestId":"g1","state":{state}}},{{"guestId":"g2","state":1}}"#);
        let outcome = site.report(&[], &document(&guests, ""));
        failed(
            &outcome,
            65,
            "not everything is reported as it is: 1 left out or changed",
        );
        let line = line(&outcome);
        assert_eq!((&line["state"], &line["created"]), (&json!("partial"), &json!(1)));
        let failed = &line["failed"][0];
        assert_eq!((&failed["id"], &failed["name"]), (&json!("h1"), &json!("esx1")));
        let error = failed["error"].as_str().unwrap();
        assert!(
            error.starts_with("guest g1: it") && error.ends_with("; reported with state 0"),
            "{error}"
        );
        let body: Value = serde_json::from_slice(&site.candlepin.requests()[1].body).unwrap();
        let states: Vec<&Value> = body["hypervisors"][0]["guestIds"]
            .as_array()
            .unwrap()
            .iter()
            .map(|guest| &guest["state"])
            .collect();
        assert_eq!(states, [0, 1], "{state}");
        assert_eq!(site.report(&["--strict"], &document(&guests, "")).status, 65);
    }
    let site = Site::new();
    let outcome = site.report(
        &[],
        &document(r#"{"guestId":"g1","state":1.0},{"guestId":"g2"}"#, ""),
    );
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
}

#[test]
fn a_fact_that_is_repeated_or_no_text_is_left_out_and_named() {
    let site = Site::new();
    let facts = r#""a":"1","b":"2","a":"3","c":"\ud800","\udfff":"4","d":"5""#;
    let outcome = site.report(&[], &document("", facts));
    failed(&outcome, 65, "3 left out");
    let line = line(&outcome);
    let errors: Vec<&str> = line["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failed| failed["error"].as_str().unwrap())
        .collect();
    assert_eq!(
        errors,
        [
            "the name of a fact is not valid text; reported without it",
            "the fact a is there twice; reported without it",
            "the fact c is not valid text; reported without it"
        ]
    );
    let body: Value = serde_json::from_slice(&site.candlepin.requests()[1].body).unwrap();
    assert_eq!(body["hypervisors"][0]["facts"], json!({"b": "2", "d": "5"}));
    assert_eq!(line["omitted"], 0, "no host and no guest");
}

#[test]
fn copies_of_a_guest_are_sent_once_and_named() {
    let site = Site::new();
    let guest = |id: &str, state: u8| format!(r#"{{"guestId":"{id}","state":{state}}}"#);
    let of = |id: &str, guests: &[String]| {
        format!(
            r#"{{"uuid":"{id}","name":"n-{id}","guests":[{}]}}"#,
            guests.join(",")
        )
    };
    let document = format!(
        r#"{{"hypervisors":[{},{}]}}"#,
        of(
            "h1",
            &[guest("g1", 5), guest("G1", 1), guest("g1", 5), guest("g2", 1)]
        ),
        of("h2", &[guest("g2", 5), guest("g3", 1)])
    );
    let outcome = site.report(&[], &document);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "vw-report-candlepin: warning: guest G1 is listed 3 times on n-h1; it is reported once\n\
         vw-report-candlepin: warning: guest g2 is on n-h2 and on n-h1; it counts for n-h1, which is reported last\n"
    );
    let body: Value = serde_json::from_slice(&site.candlepin.requests()[1].body).unwrap();
    let sent: Vec<(&str, Vec<(&str, u64)>)> = body["hypervisors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| {
            let guests = host["guestIds"].as_array().unwrap().iter();
            let guests = guests.map(|guest| {
                (
                    guest["guestId"].as_str().unwrap(),
                    guest["state"].as_u64().unwrap(),
                )
            });
            (
                host["hypervisorId"]["hypervisorId"].as_str().unwrap(),
                guests.collect(),
            )
        })
        .collect();
    // The running one before its copies, and the hypervisor last on which a shared guest runs.
    assert_eq!(
        sent,
        [
            ("h2", vec![("g2", 5), ("g3", 1)]),
            ("h1", vec![("G1", 1), ("g2", 1)])
        ]
    );
}

#[test]
fn many_guests_without_an_id_take_little_memory_and_few_lines() {
    let site = Site::new();
    let guests = "{},".repeat(1_000_000) + r#"{"guestId":"g1","state":1}"#;
    let (outcome, used) = site
        .bare()
        .args(site.options())
        .stdin(document(&guests, ""))
        .measured();
    failed(
        &outcome,
        65,
        "not everything is reported as it is: 1000000 left out",
    );
    assert!(
        outcome.stderr.lines().count() <= 12,
        "{}",
        outcome.stderr.lines().count()
    );
    assert!(used.memory < 100 << 20, "{} bytes", used.memory);
    let line = line(&outcome);
    assert!(line["failed"].as_array().unwrap().len() <= 11);
    assert_eq!(
        (&line["omitted"], &line["guests"]),
        (&json!(1_000_000), &json!(1))
    );
    assert_eq!(site.candlepin.hypervisors("sim")["h1"].guest_ids(), ["g1"]);

    let more = "{},".repeat(20 << 20) + "{}";
    let (outcome, used) = site
        .bare()
        .args(site.options())
        .stdin(document(&more, ""))
        .measured();
    outcome.failed(65, "more than 1048576 members and elements");
    assert!(used.memory < 100 << 20, "{} bytes", used.memory);
}

#[test]
fn guest_ids_that_are_too_long_are_named_ten_times_and_counted() {
    let site = Site::new();
    let guests: Vec<String> = (0..1000)
        .map(|n| format!(r#"{{"guestId":"{n:0300}","state":1}}"#))
        .collect();
    let outcome = site.report(&[], &document(&guests.join(","), ""));
    failed(&outcome, 65, "not everything is reported as it is: 1000 left out");
    let line = line(&outcome);
    assert_eq!(
        (line["failed"].as_array().unwrap().len(), &line["omitted"]),
        (11, &json!(1000))
    );
}
