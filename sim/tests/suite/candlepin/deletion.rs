//! The deletion of a hypervisor, and when the server says it was checked in.

use std::time::SystemTime;

use super::*;

/// Reports two hypervisors, and returns the uuid of the first.
fn reported(server: &Candlepin) -> String {
    let body = json!({"hypervisors": [
        {"hypervisorId": {"hypervisorId": "Read-H1"}, "name": "esx1", "guestIds": [], "facts": {}},
        {"hypervisorId": {"hypervisorId": "read-h2"}, "name": "esx2", "guestIds": [], "facts": {}},
    ]});
    let (status, _) = ask(server, "POST", "/hypervisors/testowner?reporter_id=reader", &body);
    assert!(status < 300, "{status}");
    server.hypervisors("testowner")["read-h1"].uuid.clone()
}

#[test]
fn a_hypervisor_is_deleted_as_in_the_records_of_4_7_5_and_2_4_16() {
    for (generation, with_id) in [(Generation::Current, "ID(s)"), (Generation::Old, "id")] {
        let server = server(generation);
        let uuid = reported(&server);
        let path = format!("/consumers/{uuid}");
        for (user, status, message) in [
            ("readonly", 403, "Insufficient permissions".to_owned()),
            ("roleless", 403, "Insufficient permissions".to_owned()),
            (
                "other",
                404,
                format!("Consumer with {with_id} {uuid} could not be found."),
            ),
        ] {
            let (answered, answer) = ask_as(&server, user, "DELETE", &path, &Value::Null);
            assert_eq!((answered, &answer["displayMessage"]), (status, &json!(message)));
        }
        assert_eq!(ask(&server, "DELETE", &path, &Value::Null).0, 204);
        for method in ["DELETE", "GET"] {
            let (status, answer) = ask(&server, method, &path, &Value::Null);
            assert_eq!((status, &answer["deletedId"]), (410, &json!(uuid)));
            assert_eq!(answer["displayMessage"], format!("Unit {uuid} has been deleted"));
        }
        let ids: Vec<String> = server.hypervisors("testowner").into_keys().collect();
        assert_eq!(ids, ["read-h2"]);
        // Reported again, it is another consumer.
        assert_ne!(reported(&server), uuid);
    }
}

#[test]
fn a_report_and_a_heartbeat_renew_the_check_in() {
    let server = server(Generation::Current);
    let uuid = reported(&server);
    let old = SystemTime::UNIX_EPOCH;
    let read = |id: &str| {
        let target = format!("/owners/testowner/hypervisors?hypervisor_id={id}&hypervisor_id=none");
        let (_, listed) = ask(&server, "GET", &target, &Value::Null);
        assert_eq!(listed.as_array().map(Vec::len), Some(1));
        listed[0].clone()
    };
    for id in ["read-h1", "read-h2"] {
        server.checked_in_by("testowner", id, "reader", old);
        assert_eq!(read(id)["lastCheckin"], "1970-01-01T00:00:00+0000");
    }
    server.checked_in_by("testowner", "read-h2", "somebody", old);
    ask(
        &server,
        "PUT",
        "/hypervisors/testowner/heartbeat?reporter_id=reader",
        &Value::Null,
    );
    assert_ne!(read("READ-H1")["lastCheckin"], "1970-01-01T00:00:00+0000");
    assert_eq!(read("read-h2")["lastCheckin"], "1970-01-01T00:00:00+0000");
    assert_eq!(read("read-h2")["hypervisorId"]["reporterId"], "somebody");
    server.checked_in_by("testowner", "read-h1", "somebody", old);
    reported(&server);
    let (_, consumer) = ask(&server, "GET", &format!("/consumers/{uuid}"), &Value::Null);
    assert_eq!(
        consumer["hypervisorId"],
        json!({"hypervisorId": "read-h1", "reporterId": "reader"})
    );
    assert_eq!(consumer["lastCheckin"], read("read-h1")["lastCheckin"]);
    assert_ne!(consumer["lastCheckin"], "1970-01-01T00:00:00+0000");
}
