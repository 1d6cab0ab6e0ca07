//! The simulated Candlepin answers recorded requests like the real one.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says so and ends")]

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vw_sim::candlepin::{Access, Account, Candlepin, Fate, Generation, JobTime, Settings};
use vw_sim::http::{Body, Request, Service};

mod consumer;
mod deletion;
mod odd;
mod read_back;

struct Exchange {
    title: &'static str,
    request: Request,
    status: u16,
    answer: Value,
}

/// Reads the record: title, request after `>`, body, status after `<`, answer.
fn recorded(text: &'static str) -> Vec<Exchange> {
    text.split("##### ").skip(1).map(exchange).collect()
}

fn exchange(block: &'static str) -> Exchange {
    let (asked, answered) = block.split_once("\n< ").expect("an answer");
    let (head, body) = asked.split_once("\n>\n").expect("a head");
    let mut head = head.lines();
    let title = head.next().expect("a title");
    let mut line = head.next().expect("a request line")[2..].split(' ');
    let method = line.next().expect("a method").to_owned();
    let target = line.next().expect("a target");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = head.map(|line| line[2..].split_once(": ").expect("a header field"));
    let headers = headers.map(|(name, value)| match name {
        "Authorization" => (name.to_owned(), format!("Basic {}", STANDARD.encode(value))),
        _ => (name.to_owned(), value.to_owned()),
    });
    let mut headers: Vec<(String, String)> = headers.collect();
    let peer = headers.iter().position(|(name, _)| name == "Peer");
    let peer = peer.map(|place| headers.remove(place).1);
    let request = Request {
        method,
        path: path.into(),
        query: query.into(),
        headers,
        body: body.as_bytes().to_vec(),
        peer,
    };
    let (status, answer) = answered.split_once('\n').expect("an answer's body");
    let answer = essence(serde_json::from_str(answer).expect("JSON"));
    Exchange {
        title,
        request,
        status: status.parse().expect("a status"),
        answer,
    }
}

fn account(username: &str, access: Access) -> Account {
    Account {
        username: username.into(),
        password: "secret".into(),
        access,
    }
}

fn server(generation: Generation) -> Candlepin {
    let test_owner = || Access::Owners(vec!["testowner".into()]);
    Candlepin::new(Settings {
        generation,
        owners: ["testowner", "otherowner"].map(String::from).to_vec(),
        accounts: vec![
            account("virtwho", test_owner()),
            account("reader", test_owner()),
            account("other", Access::Owners(vec!["otherowner".into()])),
            account("readonly", Access::ReadOnly(vec!["testowner".into()])),
            account("roleless", Access::Nothing),
            account("admin", Access::All),
        ],
        // A single GET shows the end, as in the record.
        job_time: JobTime::Polls(0),
        ..Settings::default()
    })
}

/// The members that the record keeps.
fn essence(mut answer: Value) -> Value {
    shorten(&mut answer);
    let result = &mut answer["resultData"];
    shorten(result);
    if let Some(error) = result.as_object_mut() {
        error.remove("requestUuid");
    }
    answer
}

/// Replaces the entries of the four lists by their sorted names.
fn shorten(lists: &mut Value) {
    for name in LISTS {
        let Some(list) = lists.get_mut(name).filter(|list| list.is_array()) else {
            continue;
        };
        let entries = list.as_array().expect("a list").iter();
        let mut names: Vec<Value> = entries
            .map(|entry| entry.get("name").unwrap_or(entry).clone())
            .collect();
        names.sort_by_key(Value::to_string);
        *list = names.into();
    }
}

const LISTS: [&str; 4] = ["created", "updated", "unchanged", "failedUpdate"];

/// A request of the user that may report.
fn ask(server: &Candlepin, method: &str, target: &str, body: &Value) -> (u16, Value) {
    ask_as(server, "virtwho", method, target, body)
}

/// A request of a user.
fn ask_as(server: &Candlepin, user: &str, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let fields = [
        (
            "Authorization",
            format!("Basic {}", STANDARD.encode(format!("{user}:secret"))),
        ),
        ("Content-Type", "text/plain; charset=utf-8".into()),
        ("X-Correlation-ID", "a-correlation".into()),
    ];
    let request = Request {
        method: method.into(),
        path: format!("/candlepin{path}"),
        query: query.into(),
        headers: fields.map(|(name, value)| (name.into(), value)).to_vec(),
        body: body.to_string().into_bytes(),
        ..Request::default()
    };
    let response = server.answer(&request);
    let Body::Bytes(body) = response.body else {
        panic!("a streamed answer")
    };
    (response.status, serde_json::from_slice(&body).expect("JSON"))
}

fn host(id: &str, name: &str, facts: &Value) -> Value {
    json!({"hypervisorId": {"hypervisorId": id}, "name": name, "guestIds": [{"guestId": format!("g-{id}")}], "facts": facts})
}

/// Sends a report, and polls its job until it ends.
fn report(server: &Candlepin, hosts: &[Value]) -> Value {
    let (status, job) = ask(
        server,
        "POST",
        "/hypervisors/testowner?reporter_id=here",
        &json!({"hypervisors": hosts}),
    );
    assert!(matches!(status, 200 | 202), "{status} {job}");
    until_end(server, job)
}

fn until_end(server: &Candlepin, mut job: Value) -> Value {
    let path = format!("{}?result_data=true", job["statusPath"].as_str().expect("a path"));
    for _ in 0..10 {
        if !matches!(job["state"].as_str(), Some("CREATED" | "WAITING" | "RUNNING")) {
            return essence(job);
        }
        job = ask(server, "GET", &path, &Value::Null).1;
    }
    panic!("no end: {job}");
}

fn polled(generation: Generation, polls: u32) -> Candlepin {
    let settings = server(generation).settings().clone();
    Candlepin::new(Settings {
        job_time: JobTime::Polls(polls),
        ..settings
    })
}

#[test]
fn a_second_report_is_blocked_while_one_runs() {
    let server = polled(Generation::Current, 2);
    let empty = json!({"hypervisors": []});
    let (_, first) = ask(&server, "POST", "/hypervisors/testowner?reporter_id=here", &empty);
    let (status, second) = ask(
        &server,
        "POST",
        "/hypervisors/testowner?reporter_id=there",
        &empty,
    );
    let id = first["id"].as_str().expect("an id");
    assert_eq!((status, second["state"].as_str()), (200, Some("FAILED")));
    assert_eq!(
        second["resultData"],
        format!("Job blocked by the following existing jobs: {id}")
    );
    let (_, beat) = ask(
        &server,
        "PUT",
        "/hypervisors/testowner/heartbeat?reporter_id=here",
        &Value::Null,
    );
    assert_eq!(until_end(&server, beat)["state"], "FINISHED");
    let states: Vec<Value> = (0..3)
        .map(|_| ask(&server, "GET", &format!("/jobs/{id}"), &Value::Null).1["state"].clone())
        .collect();
    assert_eq!(states, ["CREATED", "RUNNING", "FINISHED"]);
    assert_eq!(report(&server, &[])["state"], "FINISHED");
    assert_eq!(server.heartbeats(), [("testowner".to_owned(), "here".to_owned())]);
    assert!(server.reporters().contains("there"));
    assert!(
        server
            .jobs()
            .iter()
            .all(|job| job.correlation.as_deref() == Some("a-correlation"))
    );
    let foreign = server.occupy("testowner", JobTime::Polls(1));
    let blocked = report(&server, &[])["resultData"].to_string();
    assert!(blocked.contains(&foreign), "{blocked}");
}

#[test]
fn in_the_old_generation_the_second_report_waits() {
    let server = polled(Generation::Old, 1);
    let body = |id: &str| json!({"hypervisors": [host(id, id, &json!({}))]});
    let (status, first) = ask(&server, "POST", "/hypervisors/testowner", &body("a"));
    let (_, second) = ask(&server, "POST", "/hypervisors/testowner", &body("b"));
    assert_eq!(
        (status, &first["state"], &second["state"]),
        (202, &json!("CREATED"), &json!("WAITING"))
    );
    let path = second["statusPath"].as_str().expect("a path");
    assert_eq!(ask(&server, "GET", path, &Value::Null).1["state"], "WAITING");
    assert_eq!(until_end(&server, first)["resultData"]["created"], json!(["a"]));
    assert_eq!(until_end(&server, second)["resultData"]["created"], json!(["b"]));
    let odd = until_end(
        &server,
        ask(
            &server,
            "POST",
            "/hypervisors/testowner",
            &json!({"hypervisors": [], "x": 1}),
        )
        .1,
    );
    assert_eq!(odd["state"], "FAILED");
    assert_eq!(
        ask(
            &server,
            "PUT",
            "/hypervisors/testowner/heartbeat?reporter_id=x",
            &Value::Null
        )
        .0,
        404
    );
}

#[test]
fn values_that_are_too_long_fail_or_are_lost() {
    let server = server(Generation::Current);
    let (name, value) = ("n".repeat(251), "v".repeat(300));
    let ended = report(
        &server,
        &[
            host("long-name", &name, &json!({})),
            host(&"i".repeat(256), "long-id", &json!({})),
            host("long-fact", "x", &json!({"fact": value})),
            json!({"hypervisorId": {"hypervisorId": "long-guest"}, "guestIds": [{"guestId": value}]}),
            host("good", "good", &json!({})),
            json!({"uuid": "seed", "guests": [{"guestId": "a"}]}),
        ],
    );
    assert_eq!(ended["resultData"]["created"], json!(["good"]));
    let failed = ended["resultData"]["failedUpdate"].as_array().expect("a list");
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert!(failed.contains(&json!(
        "long-name: Unable to create hypervisor with id long-name in org testowner"
    )));
    assert_eq!(
        server.hypervisors("testowner").keys().collect::<Vec<_>>(),
        ["good"]
    );
}

#[test]
fn a_system_uuid_binds_entries_together() {
    let server = server(Generation::Current);
    let same = json!({"dmi.system.uuid": "4242"});
    let pair = [host("One", "one", &same), host("two", "two", &same)];
    for _ in 0..2 {
        let ended = report(&server, &pair);
        assert_eq!(ended["state"], "FINISHED");
        assert!(
            ended["resultData"]["updated"]
                .as_array()
                .is_some_and(|updated| !updated.is_empty())
        );
        assert_eq!(
            server.hypervisors("testowner").keys().collect::<Vec<_>>(),
            ["two"]
        );
    }
    let facts = BTreeMap::from([("dmi.system.uuid".to_owned(), "77".to_owned())]);
    let uuid = server
        .register("testowner", "a guest of the world", facts)
        .expect("an owner");
    let ended = report(
        &server,
        &[host("three", "three", &json!({"dmi.system.uuid": "77"}))],
    );
    assert_eq!(ended["resultData"]["updated"], json!(["three"]));
    let held = &server.hypervisors("testowner")["three"];
    assert_eq!((&held.uuid, held.guest_ids()), (&uuid, vec!["g-three"]));
}

#[test]
fn a_test_can_plan_failures() {
    let server = server(Generation::Current);
    server.doom_next_job(Fate::Fail("the disk is full".into()));
    server.doom_next_job(Fate::Cancel);
    let all = ["a", "B"].map(|id| host(id, id, &json!({})));
    let ended = report(&server, &all);
    assert_eq!(
        (&ended["state"], &ended["resultData"]),
        (&json!("FAILED"), &json!("the disk is full"))
    );
    assert_eq!(report(&server, &all)["state"], "CANCELED");
    server.lose(["b"]);
    assert_eq!(report(&server, &all)["resultData"]["created"], json!(["a"]));
    server.lose::<_, &str>([]);
    assert_eq!(report(&server, &all)["resultData"]["created"], json!(["B"]));
    server.refuse_next([503, 429]);
    assert_eq!(ask(&server, "GET", "/status", &Value::Null).0, 200);
    let target = "/hypervisors/testowner";
    let statuses = [(); 3].map(|()| ask(&server, "POST", target, &json!({"hypervisors": []})).0);
    assert_eq!(statuses, [503, 429, 200]);
    server.set_database_down(true);
    assert_eq!(ask(&server, "POST", target, &json!({"hypervisors": []})).0, 500);
    assert_eq!(ask(&server, "GET", "/jobs/x", &Value::Null).0, 503);
    assert_eq!(ask(&server, "GET", "/status", &Value::Null).1["result"], false);
    server.set_database_down(false);
    let (_, listed) = ask(
        &server,
        "GET",
        "/owners/testowner/hypervisors?hypervisor_id=B",
        &Value::Null,
    );
    assert_eq!(listed[0]["hypervisorId"]["hypervisorId"], "b");
    assert_eq!(server.requests().len(), server.request_count());
}

#[test]
fn paths_and_encodings_are_read_as_in_candlepin() {
    let owners = vec!["with blank".to_owned()];
    let accounts = vec![account("virtwho", Access::All)];
    let server = Candlepin::new(Settings {
        owners,
        accounts,
        ..Settings::default()
    });
    let empty = json!({"hypervisors": []});
    let status = |target: &str| ask(&server, "POST", target, &empty).0;
    assert_eq!(status("/hypervisors/with%20blank"), 200);
    assert_eq!(status("/hypervisors/with+blank"), 404);
    assert_eq!(status("/hypervisors/With%20blank"), 404);
    assert_eq!(status("/hypervisors?owner=with+blank&env=Library"), 404);
    let with = |name: &str, value: &str, body: &[u8]| {
        let mut headers = vec![
            (
                "Authorization".to_owned(),
                format!("Basic {}", STANDARD.encode("virtwho:secret")),
            ),
            ("Content-Type".to_owned(), "text/plain".to_owned()),
        ];
        headers.push((name.into(), value.into()));
        let path = "/candlepin/hypervisors/with%20blank".into();
        server
            .answer(&Request {
                method: "POST".into(),
                path,
                query: String::new(),
                headers,
                body: body.to_vec(),
                ..Request::default()
            })
            .status
    };
    let body = empty.to_string();
    assert_eq!(with("Accept", "text/plain", body.as_bytes()), 406);
    assert_eq!(with("Content-Encoding", "gzip", b"\x1f\x8b"), 400);
    assert_eq!(with("Accept", "*/*", format!("\u{feff}{body}").as_bytes()), 400);
}

#[test]
fn answers_are_those_of_a_real_4_7_5() {
    replay(Generation::Current, include_str!("../data/candlepin-4.7.5.txt"));
}

#[test]
fn answers_are_those_of_a_real_2_4_16() {
    replay(Generation::Old, include_str!("../data/candlepin-2.4.16.txt"));
}

fn replay(generation: Generation, text: &'static str) {
    let server = server(generation);
    if generation == Generation::Old {
        // The recorded server knew the first host already.
        let first = recorded(text)
            .into_iter()
            .find(|exchange| exchange.status == 202)
            .expect("a report");
        assert_eq!(server.answer(&first.request).status, 202);
    }
    let before = server.jobs().len();
    let mut jobs: HashMap<String, String> = HashMap::new();
    let mut differences = Vec::new();
    let mut last_post = String::new();
    for mut exchange in recorded(text) {
        let (title, request) = (exchange.title, &mut exchange.request);
        if let Some(id) = request.path.strip_prefix("/candlepin/jobs/")
            && let Some(ours) = jobs.get(id)
        {
            request.path = format!("/candlepin/jobs/{ours}");
        } else {
            last_post = String::from_utf8_lossy(&request.body).chars().take(300).collect();
        }
        let response = server.answer(request);
        let Body::Bytes(body) = response.body else {
            panic!("a streamed answer")
        };
        let answer = essence(serde_json::from_slice(&body).expect("JSON"));
        if let (Some(theirs), Some(ours)) = (exchange.answer["id"].as_str(), answer["id"].as_str()) {
            jobs.insert(theirs.into(), ours.into());
        }
        let mut same = response.status == exchange.status;
        let synchronous = exchange.answer.get("failedUpdate").is_some();
        for member in if synchronous {
            &LISTS
        } else {
            &["state", "resultData", "result", "version"]
        } {
            same &= answer[*member] == exchange.answer[*member];
        }
        // The recorded text continues with a place in the server's source.
        let message = |answer: &Value| answer["displayMessage"].as_str().unwrap_or("").to_owned();
        same &= message(&answer) == message(&exchange.answer);
        if !same {
            let theirs = &exchange.answer;
            differences.push(format!(
                "{title}: {last_post}\n  theirs {} {theirs}\n  ours   {} {answer}",
                exchange.status, response.status
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert_eq!(jobs.len(), server.jobs().len() - before);
    assert!(jobs.len() > 20, "only {} jobs were replayed", jobs.len());
}
