//! The simulated Candlepin beside the real one: recorded requests are answered as they were.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says so and ends")]

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use vw_sim::candlepin::{Access, Account, Candlepin, JobTime, Settings};
use vw_sim::http::{Body, Request, Service};

struct Exchange {
    title: &'static str,
    request: Request,
    status: u16,
    answer: Value,
}

/// Reads the record: title, request behind `>`, body, status behind `<`, answer.
fn recorded() -> Vec<Exchange> {
    let text = include_str!("data/candlepin-4.7.5.txt");
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
    let request = Request {
        method,
        path: path.into(),
        query: query.into(),
        headers: headers.collect(),
        body: body.as_bytes().to_vec(),
    };
    let (status, answer) = answered.split_once('\n').expect("an answer's body");
    let answer = serde_json::from_str(answer).expect("JSON");
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

fn server() -> Candlepin {
    let test_owner = || Access::Owners(vec!["testowner".into()]);
    Candlepin::new(Settings {
        owners: ["testowner", "otherowner"].map(String::from).to_vec(),
        accounts: vec![
            account("virtwho", test_owner()),
            account("reader", test_owner()),
            account("other", Access::Owners(vec!["otherowner".into()])),
            account("roleless", Access::Nothing),
            account("admin", Access::All),
        ],
        // So that a single GET, as in the record, shows the end.
        job_time: JobTime::Polls(0),
        ..Settings::default()
    })
}

/// The members that matter, as the record keeps them.
fn essence(mut answer: Value) -> Value {
    if let Some(lists) = answer["resultData"].as_object_mut() {
        for list in lists.values_mut() {
            let entries = list.as_array().expect("a list").iter();
            let names = entries.map(|entry| entry.get("name").unwrap_or(entry).clone());
            let mut names: Vec<Value> = names.collect();
            names.sort_by_key(|name| name.to_string());
            *list = names.into();
        }
    }
    answer
}

#[test]
fn answers_are_those_of_a_real_one() {
    let server = server();
    let mut jobs: HashMap<String, String> = HashMap::new();
    let mut differences = Vec::new();
    let mut last_post = String::new();
    for mut exchange in recorded() {
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
        for member in ["state", "resultData", "result", "version"] {
            same &= answer[member] == exchange.answer[member];
        }
        // Theirs goes on with a place in the server's source.
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
    assert_eq!(jobs.len(), server.jobs().len());
    assert!(jobs.len() > 50, "only {} jobs were replayed", jobs.len());
}
