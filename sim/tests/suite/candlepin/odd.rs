//! What a real server does seldom: it is deployed, gives a job up, or is very old.

use super::*;

fn ask(candlepin: &Candlepin, method: &str, target: &str, body: &str) -> (u16, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let login = format!("Basic {}", STANDARD.encode("sim:sim-secret"));
    let headers = [("Authorization", login.as_str()), ("Content-Type", "text/plain")];
    let response = candlepin.answer(&Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        body: body.as_bytes().to_vec(),
        peer: None,
    });
    let Body::Bytes(body) = response.body else {
        panic!("no whole body");
    };
    (response.status, String::from_utf8(body).expect("text"))
}

const REPORT: &str = r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"h"},"name":"n","guestIds":[]}]}"#;

#[test]
fn tomcat_answers_while_candlepin_is_deployed() {
    let candlepin = Candlepin::default();
    candlepin.set_deploying(true);
    for path in ["/candlepin/status", "/candlepin/jobs/1"] {
        let (status, body) = ask(&candlepin, "GET", path, "");
        assert_eq!(status, 404);
        assert!(body.starts_with("<!doctype html>"), "{body}");
    }
    candlepin.set_deploying(false);
    assert_eq!(ask(&candlepin, "GET", "/candlepin/status", "").0, 200);
}

#[test]
fn a_job_that_is_aborted_does_nothing() {
    let candlepin = Candlepin::default();
    candlepin.doom_next_job(Fate::Abort("the server stops".to_owned()));
    let (status, body) = ask(
        &candlepin,
        "POST",
        "/candlepin/hypervisors/sim?reporter_id=r",
        REPORT,
    );
    let job: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &job["state"]), (200, &json!("ABORTED")));
    assert!(candlepin.hypervisors("sim").is_empty());
}

#[test]
fn a_very_old_server_lists_no_capabilities() {
    let candlepin = Candlepin::new(Settings {
        generation: Generation::Old,
        asynchronous: false,
        tells_capabilities: false,
        ..Settings::default()
    });
    let (_, body) = ask(&candlepin, "GET", "/candlepin/status", "");
    let status: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status["version"], "2.4.16");
    assert_eq!(status.get("managerCapabilities"), None);
}

#[test]
fn each_failed_update_has_its_remark() {
    let candlepin = Candlepin::new(Settings {
        job_time: JobTime::Polls(0),
        ..Settings::default()
    });
    candlepin.remark(["odd".to_owned()]);
    let (_, body) = ask(
        &candlepin,
        "POST",
        "/candlepin/hypervisors/sim?reporter_id=r",
        REPORT,
    );
    let job: Value = serde_json::from_str(&body).expect("JSON");
    let path = format!("/candlepin/jobs/{}", job["id"].as_str().expect("an id"));
    let (_, body) = ask(&candlepin, "GET", &path, "");
    let job: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(job["resultData"]["failedUpdate"], json!(["odd"]));
    assert_eq!(candlepin.hypervisors("sim").len(), 1);
}
