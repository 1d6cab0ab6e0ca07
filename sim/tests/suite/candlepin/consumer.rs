//! Recorded answers to a registered system.

use super::*;

/// The consumers of the record: one that lives, and one that was deleted.
const CONSUMERS: [&str; 2] = [
    "56e21143-bda1-47a2-b27c-55ffc74975dc",
    "507b8a98-9c96-4fd8-9924-9862879eda33",
];

#[test]
fn a_registered_system_is_answered_as_by_a_real_4_7_5() {
    let server = server(Generation::Current);
    let ours = ["vw-client", "todelete"].map(|name| {
        server
            .register("testowner", name, BTreeMap::new())
            .expect("an owner")
    });
    server.unregister(&ours[1]);
    let mut text = include_str!("../../data/candlepin-4.7.5-consumer.txt").to_owned();
    for (theirs, ours) in CONSUMERS.iter().zip(&ours) {
        text = text.replace(theirs, ours);
    }
    let mut jobs: HashMap<String, String> = HashMap::new();
    let exchanges = recorded(text.leak());
    assert!(exchanges.len() > 14, "only {}", exchanges.len());
    for mut exchange in exchanges {
        let (title, request) = (exchange.title, &mut exchange.request);
        if let Some(ours) = request
            .path
            .strip_prefix("/candlepin/jobs/")
            .and_then(|id| jobs.get(id))
        {
            request.path = format!("/candlepin/jobs/{ours}");
        }
        let response = server.answer(request);
        assert_eq!(response.status, exchange.status, "{title}");
        let Body::Bytes(body) = response.body else {
            panic!("a streamed answer")
        };
        let answer = essence(serde_json::from_slice(&body).expect("JSON"));
        if let (Some(theirs), Some(ours)) = (exchange.answer["id"].as_str(), answer["id"].as_str()) {
            jobs.insert(theirs.into(), ours.into());
        }
        for member in ["displayMessage", "deletedId", "uuid", "name", "version"] {
            let theirs = &exchange.answer[member];
            // The record leaves out the job's name.
            if exchange.answer.get("state").is_none() {
                assert_eq!(answer[member], *theirs, "{title}: {member}");
            }
        }
    }
    assert!(server.guests_of(&ours[0]).is_some_and(|guests| guests.is_empty()));
    assert_eq!(
        server.heartbeats(),
        [("testowner".to_owned(), "test-host".to_owned())]
    );
    assert!(server.hypervisors("testowner").contains_key("cc-1"));
}
