//! Prism as a client sees it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vw_sim::ahv::{Edition, Inventory, List, Paging, Prism, Settings};
use vw_sim::http::{Server, Service};

use crate::client::Client;

/// A Prism with these settings, 3 hosts and 45 machines.
fn start(settings: Settings) -> (Arc<Prism>, Server) {
    let prism = Arc::new(Prism::new(settings, Inventory::new(3, 45)));
    let server = Server::start(Arc::clone(&prism) as Arc<dyn Service>, None).unwrap();
    (prism, server)
}

fn ask(server: &Server, method: &str, path: &str, password: &str, body: &str) -> (u16, Value) {
    let credentials = STANDARD.encode(format!("sim:{password}"));
    let headers = format!("Authorization: Basic {credentials}\r\nContent-Type: application/json\r\n");
    let answer = Client::plain(&server.url()).send(method, path, &headers, body.as_bytes());
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn get(server: &Server, path: &str) -> (u16, Value) {
    ask(
        server,
        "GET",
        &format!("/api/nutanix/v2.0/{path}"),
        "sim-secret",
        "",
    )
}

fn post(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    ask(
        server,
        "POST",
        &format!("/api/nutanix/v3/{path}"),
        "sim-secret",
        &body.to_string(),
    )
}

fn uuids(page: &Value) -> Vec<&str> {
    let entities = page["entities"].as_array().unwrap().iter();
    let uuid = |entity: &Value| {
        entity.get("metadata").unwrap_or(entity)["uuid"]
            .as_str()
            .map(str::len)
    };
    assert!(entities.clone().all(|entity| uuid(entity) == Some(36)), "{page}");
    entities
        .map(|entity| entity.get("metadata").unwrap_or(entity)["uuid"].as_str().unwrap())
        .collect()
}

#[test]
fn twenty_come_if_no_length_is_asked_for_and_a_longer_page_is_cut() {
    let (_, server) = start(Settings {
        longest: 30,
        ..Settings::new(Edition::Element)
    });
    let (status, page) = get(&server, "vms");
    assert_eq!((status, uuids(&page).len()), (200, 20));
    assert_eq!(
        page["metadata"],
        json!({"grand_total_entities": 45, "total_entities": 45, "count": 20})
    );
    let (_, cut) = get(&server, "vms?length=500");
    assert_eq!((uuids(&cut).len(), &cut["metadata"]["count"]), (30, &json!(30)));
    let (_, rest) = get(&server, "vms/?offset=30&length=500&page=7&count=3");
    assert_eq!(uuids(&rest).len(), 15);
    let (_, hosts) = get(&server, "hosts?count=2&page=2&offset=0&length=1");
    assert_eq!(uuids(&hosts).len(), 1);
    assert_eq!(hosts["metadata"]["start_index"], 3);
    let (_, beyond) = get(&server, "hosts?count=2&page=9");
    assert_eq!(
        (uuids(&beyond).len(), &beyond["metadata"]["grand_total_entities"]),
        (0, &json!(3))
    );
}

#[test]
fn machines_may_have_pages_or_none() {
    let (_, server) = start(Settings {
        machines: Paging::Pages,
        ..Settings::new(Edition::Element)
    });
    let (_, second) = get(&server, "vms?count=40&page=2&offset=0&length=1");
    assert_eq!(uuids(&second).len(), 5);
    let (_, server) = start(Settings {
        machines: Paging::Never,
        longest: 10,
        ..Settings::new(Edition::Element)
    });
    assert_eq!(
        uuids(&get(&server, "vms?count=1&page=9&offset=40&length=1").1).len(),
        45
    );
}

#[test]
fn v3_lists_by_offset_and_length() {
    let (_, server) = start(Settings {
        longest: 40,
        ..Settings::new(Edition::Central)
    });
    let (status, page) = post(&server, "vms/list", &json!({}));
    assert_eq!((status, uuids(&page).len()), (200, 20));
    let (_, first) = post(
        &server,
        "vms/list",
        &json!({"kind": "vm", "offset": 0, "length": 500}),
    );
    assert_eq!(
        first["metadata"],
        json!({"total_matches": 45, "kind": "vm", "length": 40, "offset": 0})
    );
    let (_, second) = post(
        &server,
        "vms/list",
        &json!({"kind": "vm", "offset": 40, "length": 500}),
    );
    let mut all = uuids(&first);
    all.extend(uuids(&second));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 45);
    let (_, clusters) = post(&server, "clusters/list", &json!({"kind": "cluster"}));
    assert_eq!(uuids(&clusters).len(), 2, "Prism Central is among its clusters");
}

#[test]
fn a_machine_that_is_off_has_no_host() {
    let is_off = |machine: &&Value| machine["power_state"] == "off";
    let (_, element) = start(Settings::new(Edition::Element));
    let (_, page) = get(&element, "vms?length=500");
    let mut off = page["entities"].as_array().unwrap().iter().filter(is_off);
    assert!(off.clone().count() > 0 && off.all(|machine| machine["host_uuid"].is_null()));
    let (_, central) = start(Settings::new(Edition::Central));
    let (_, page) = post(&central, "vms/list", &json!({"length": 500}));
    let resources = page["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vm| &vm["status"]["resources"]);
    for resources in resources {
        assert_eq!(
            resources["power_state"] == "OFF",
            resources.get("host_reference").is_none()
        );
    }
}

#[test]
fn only_right_credentials_and_requests_are_answered() {
    let (prism, element) = start(Settings::new(Edition::Element));
    let (_, central) = start(Settings::new(Edition::Central));
    let v2 = |method, path, password| ask(&element, method, path, password, "").0;
    assert_eq!(v2("GET", "/api/nutanix/v2.0/hosts", "wrong"), 401);
    assert_eq!(v2("POST", "/api/nutanix/v2.0/vms", "sim-secret"), 405);
    assert_eq!(v2("GET", "/api/nutanix/v2.0/images", "sim-secret"), 404);
    assert_eq!(v2("GET", "/api/nutanix/v3/hosts", "sim-secret"), 404);
    assert_eq!(
        v2("GET", "/PrismGateway/services/rest/v2.0/hosts/", "sim-secret"),
        200
    );
    for query in [
        "hosts?page=0&count=5",
        "hosts?count=0",
        "hosts?count=x",
        "vms?length=0",
        "vms?offset=-1",
    ] {
        assert_eq!(get(&element, query).0, 422, "{query}");
    }
    let bare = Client::plain(&element.url()).send("GET", "/api/nutanix/v2.0/hosts", "", b"");
    assert_eq!(bare.status, 401);
    assert!(bare.head.contains("WWW-Authenticate: Basic "));
    let (status, refusal) = ask(&central, "POST", "/api/nutanix/v3/hosts/list", "wrong", "{}");
    assert_eq!(
        (status, &refusal["message_list"][0]["reason"]),
        (401, &json!("AUTHENTICATION_REQUIRED"))
    );
    assert_eq!(
        ask(&central, "GET", "/api/nutanix/v3/hosts/list", "sim-secret", "").0,
        405
    );
    for body in [
        json!([]),
        json!({"kind": "vm"}),
        json!({"length": 0}),
        json!({"length": "5"}),
        json!({"offset": -1}),
        json!({"page": 2}),
    ] {
        assert_eq!(post(&central, "hosts/list", &body).0, 422, "{body}");
    }
    prism.expire();
    assert_eq!(get(&element, "hosts").0, 401);
    let (_, roleless) = start(Settings {
        has_role: false,
        ..Settings::new(Edition::Central)
    });
    assert_eq!(post(&roleless, "hosts/list", &json!({})).0, 403);
}

#[test]
fn odd_records_and_changes_show_in_the_lists() {
    let (prism, server) = start(Settings::new(Edition::Element));
    prism.inventory().odd.push((List::Hosts, json!(null)));
    prism.inventory().machines.pop();
    let (_, hosts) = get(&server, "hosts");
    assert_eq!(
        (&hosts["metadata"]["grand_total_entities"], &hosts["entities"][3]),
        (&json!(4), &Value::Null)
    );
    assert_eq!(get(&server, "vms").1["metadata"]["grand_total_entities"], 44);
}
