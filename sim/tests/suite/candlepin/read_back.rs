//! What was reported is read back as from a real server. The expected answers are recorded.

use super::*;

/// An answer: its status, its body, and its header fields.
struct Answered {
    status: u16,
    body: Value,
    headers: Vec<(String, String)>,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

fn get(server: &Candlepin, user: &str, target: &str) -> Answered {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let login = format!("Basic {}", STANDARD.encode(format!("{user}:secret")));
    let response = server.answer(&Request {
        method: "GET".into(),
        path: format!("/candlepin{path}"),
        query: query.into(),
        headers: vec![("Authorization".into(), login)],
        ..Request::default()
    });
    let Body::Bytes(body) = response.body else {
        panic!("a streamed answer")
    };
    Answered {
        status: response.status,
        body: serde_json::from_slice(&body).expect("JSON"),
        headers: response.headers,
    }
}

/// The report of the record.
fn reported(generation: Generation) -> Candlepin {
    let server = server(generation);
    let hosts = json!([
        {"hypervisorId": {"hypervisorId": "read-h1"}, "name": "esx1.example.com",
         "facts": {"cpu.cpu_socket(s)": "2", "hypervisor.type": "VMware ESXi", "dmi.system.uuid": "read-h1"},
         "guestIds": [{"guestId": "read-g1", "state": 1, "attributes": {"virtWhoType": "esx", "active": 1}},
                      {"guestId": "read-g2", "state": 5, "attributes": {"virtWhoType": "esx", "active": 0}}]},
        {"hypervisorId": {"hypervisorId": "Read-H2"}, "name": "esx2.example.com",
         "facts": {"cpu.cpu_socket(s)": "2"}, "guestIds": []}]);
    report(&server, hosts.as_array().expect("a list"));
    server
}

const LIST: &str = "/owners/testowner/hypervisors";

#[test]
fn the_list_has_neither_facts_nor_guests_and_a_consumer_has_no_guests() {
    for generation in [Generation::Current, Generation::Old] {
        let server = reported(generation);
        let found = get(
            &server,
            "virtwho",
            &format!("{LIST}?hypervisor_id=read-h1&hypervisor_id=READ-H2&hypervisor_id=x"),
        );
        assert_eq!(found.status, 200);
        assert_eq!(found.body.as_array().map(Vec::len), Some(2));
        for entry in found.body.as_array().expect("a list") {
            assert_eq!((entry.get("facts"), &entry["guestIds"]), (None, &json!([])));
            assert!(
                entry["lastCheckin"]
                    .as_str()
                    .is_some_and(|time| time.ends_with("+0000"))
            );
        }
        let one = get(&server, "virtwho", &format!("{LIST}?hypervisor_id=read-h1")).body;
        let href = one[0]["href"].as_str().expect("a path");
        let consumer = get(&server, "virtwho", href).body;
        assert_eq!(
            consumer["facts"],
            json!({"hypervisor.type": "VMware ESXi", "dmi.system.uuid": "read-h1", "cpu.cpu_socket(s)": "2"})
        );
        assert_eq!(
            consumer["hypervisorId"],
            json!({"hypervisorId": "read-h1", "reporterId": "here"})
        );
        assert_eq!(
            (&consumer["name"], &consumer["guestIds"]),
            (&json!("esx1.example.com"), &json!([]))
        );
        assert_eq!(
            get(&server, "virtwho", &format!("{href}/guestids")).body,
            json!([{"guestId": "read-g1"}, {"guestId": "read-g2"}])
        );
        assert_eq!(
            get(&server, "virtwho", &format!("{href}/guestids/read-g1")).body,
            json!({"guestId": "read-g1", "attributes": {"virtWhoType": "esx", "active": "1"}})
        );
        for (user, status) in [("reader", 200), ("roleless", 403), ("other", 404)] {
            for path in [LIST, href, &format!("{href}/guestids")] {
                assert_eq!(get(&server, user, path).status, status, "{user} {path}");
            }
        }
        assert_eq!(
            get(&server, "virtwho", "/owners/TestOwner/hypervisors").status,
            404
        );
    }
}

#[test]
fn a_page_says_how_many_there_are_and_where_the_next_is() {
    let server = reported(Generation::Current);
    let query = "page=1&per_page=1&sort_by=uuid&order=asc&include=uuid&include=name&include=hypervisorId";
    let page = get(&server, "virtwho", &format!("{LIST}?{query}"));
    let members: Vec<&String> = page.body[0].as_object().expect("an entry").keys().collect();
    assert_eq!(members, ["hypervisorId", "name", "uuid"]);
    assert_eq!(page.header("X-total-count"), "2");
    let next = "<https://localhost:8443/candlepin/owners/testowner/hypervisors?per_page=1&sort_by=uuid&order=asc&\
                include=uuid&include=name&include=hypervisorId&page=2>; rel=\"next\"; title=\"next\"; \
                type=\"application/json\", <";
    assert!(page.header("Link").starts_with(next), "{}", page.header("Link"));
    let second = get(
        &server,
        "virtwho",
        &format!("{LIST}?{}", query.replacen("page=1", "page=2", 1)),
    );
    assert!(!second.header("Link").contains("\"next\""));
    let uuid = |page: &Answered| page.body[0]["uuid"].as_str().expect("a uuid").to_owned();
    assert!(uuid(&page) < uuid(&second));
    let beyond = get(&server, "virtwho", &format!("{LIST}?page=99999&per_page=100"));
    assert_eq!((beyond.status, &beyond.body), (200, &json!([])));
    assert_eq!(
        beyond.header("Link"),
        "<https://localhost:8443/candlepin/owners/testowner/hypervisors?per_page=100&page=1>; rel=\"first\"; \
         title=\"first\"; type=\"application/json\", \
         <https://localhost:8443/candlepin/owners/testowner/hypervisors?per_page=100&page=1>; rel=\"last\"; \
         title=\"last\"; type=\"application/json\""
    );
    let refused = get(&server, "virtwho", &format!("{LIST}?page=0&per_page=100"));
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.body["displayMessage"],
        "param \"page\" must be a positive integer"
    );
    assert_eq!(
        get(&server, "virtwho", LIST).header("Link"),
        "",
        "without a page all come at once"
    );
}

#[test]
fn an_old_server_repeats_the_parameters_and_counts_nothing_after_the_last_page() {
    let server = reported(Generation::Old);
    let page = get(&server, "virtwho", &format!("{LIST}?page=1&per_page=1"));
    assert!(
        page.header("Link").starts_with(
            "<https://localhost:8443/candlepin/owners/testowner/hypervisors?page=1&per_page=1&per_page=1&page=2>; \
             rel=\"next\", <"
        ),
        "{}",
        page.header("Link")
    );
    let beyond = get(&server, "virtwho", &format!("{LIST}?page=99999&per_page=100"));
    assert_eq!(beyond.header("X-total-count"), "0");
    assert!(beyond.header("Link").ends_with("&page=0>; rel=\"last\""));
    let refused = get(&server, "virtwho", &format!("{LIST}?page=0&per_page=100"));
    assert_eq!(
        refused.body["displayMessage"],
        "offset and limit parameters must be positive integers"
    );
}
