//! What can happen at the moment of a deletion.

use vw_sim::http::Service;

use super::*;

fn is_deletion(request: &Request) -> bool {
    request.method == "DELETE"
}

#[test]
fn a_hypervisor_that_is_gone_already_is_forgotten() {
    for status in [404, 410] {
        let site = Site::reported(&["a", "b"]);
        let body = format!(r#"{{"displayMessage":"Unit x: {status}","requestUuid":"r"}}"#);
        let response = move || Response::new(status, "application/json", body.clone());
        site.server
            .misbehave(move |_, request| is_deletion(request).then(|| Fault::Answer(response())));
        let outcome = site.delete(&[], &mapping(&["a"], PROD));
        assert_eq!(state(&outcome), "finished");
        assert_eq!(line(&outcome).get("deleted"), None);
        assert!(
            outcome.stderr.contains("is not on the server any more"),
            "{outcome:?}"
        );
        site.server.behave();
        assert_eq!(state(&site.delete(&[], &mapping(&["a"], PROD))), "unchanged");
        assert_eq!(site.deletions(), 1);
    }
}

#[test]
fn a_deletion_that_fails_for_now_is_tried_again() {
    // The server answers 500, or its answer is lost after it has deleted.
    let body = r#"{"displayMessage":"Runtime Error","requestUuid":"r"}"#;
    let refused = Fault::Answer(Response::new(500, "application/json", body));
    for fault in [refused, Fault::Lose] {
        let site = Site::reported(&["a", "b"]);
        let mut fault = Some(fault);
        site.server
            .misbehave(move |_, request| is_deletion(request).then(|| fault.take()).flatten());
        let outcome = site.delete(&[], &mapping(&["a"], PROD));
        assert_eq!(state(&outcome), "finished", "{outcome:?}");
        assert_eq!(site.held(), ["a"]);
        assert_eq!(site.candlepin.jobs().len(), 2, "the report is not sent again");
    }
}

#[test]
fn a_deletion_that_fails_again_and_again_is_left_for_the_next_run() {
    with_longer_times(|limit| {
        let site = Site::reported(&["a", "b"]);
        let response = || {
            Response::new(
                500,
                "application/json",
                r#"{"displayMessage":"no","requestUuid":"r"}"#,
            )
        };
        site.server
            .misbehave(move |_, request| is_deletion(request).then(|| Fault::Answer(response())));
        let outcome = site.delete(&["--timeout", limit], &mapping(&["a"], PROD));
        assert_eq!(outcome.status, 75, "{outcome:?}");
        assert!(
            outcome.stderr.contains("the document is reported, but"),
            "{outcome:?}"
        );
        let line = line(&outcome);
        assert_eq!((&line["state"], &line["failed"]), (&json!("partial"), &json!([])));
        site.server.behave();
        let outcome = site.delete(&[], &mapping(&["a"], PROD));
        assert_eq!(state(&outcome), "unchanged", "{outcome:?}");
        assert_eq!(site.held(), ["a"]);
    });
}

#[test]
fn a_crash_between_the_deletion_and_the_state_does_no_harm() {
    let site = Site::reported(&["a", "b"]);
    let document = mapping(&["a"], PROD);
    // The answer to the deletion never arrives, so the state still has b when the process is killed.
    let candlepin = site.candlepin.clone();
    site.server.misbehave(move |_, request| {
        is_deletion(request).then(|| {
            Service::answer(&*candlepin, request);
            Fault::Silence
        })
    });
    let folder = site.file("state");
    let mut child = site.spawn(&[&AT_ONCE[..], &REPORTER, &["--state-dir", &folder]].concat());
    child
        .stdin
        .take()
        .unwrap()
        .write_all(document.as_bytes())
        .unwrap();
    until(|| site.held() == ["a"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = std::fs::read_to_string(site.kept_file().unwrap()).unwrap();
    assert!(kept.contains("name-b"), "{kept}");
    site.server.behave();

    // Somebody else reports it meanwhile: that is another hypervisor to the server.
    site.report(&["--reporter-id", "other"], &mapping(&["b"], ""));
    let outcome = site.delete(&[], &document);
    assert_eq!(state(&outcome), "unchanged");
    assert_eq!((site.held().len(), site.deletions()), (2, 1));
}

#[test]
fn a_hypervisor_that_a_waiting_document_has_again_is_kept() {
    let site = Site::reported(&["a", "b"]);
    // The question about b is answered only when a newer document waits.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let mut released = Some(released);
    site.server.misbehave(move |_, request| {
        if request.path.contains("/owners/")
            && let Some(released) = released.take()
        {
            let _ = released.recv();
        }
        None
    });
    let folder = site.file("state");
    let mut child = site.spawn(&[&AT_ONCE[..], &REPORTER, &["--state-dir", &folder]].concat());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(mapping(&["a"], PROD).as_bytes()).unwrap();
    until(|| count(&site, "/owners/") == 1);
    // The last of two waiting documents replaces the other, which is announced.
    let newer = [mapping(&["a"], PROD), mapping(&["a", "B"], PROD)].concat();
    stdin.write_all(newer.as_bytes()).unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(stderr.any(|line| line.contains("skipping a document")));
    drop(release);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let stderr: Vec<String> = stderr.collect();
    assert!(output.status.success(), "{stderr:?}");
    assert_eq!((site.deletions(), site.held().len()), (0, 2), "{stderr:?}");
    assert!(
        stderr.iter().any(|line| line.contains("name-b (b) came back")),
        "{stderr:?}"
    );
}

#[test]
fn only_a_user_who_may_delete_deletes() {
    let site = Site::with(|settings| {
        settings.accounts[0].access = Access::ReadOnly(vec!["sim".to_owned()]);
    });
    assert_eq!(state(&site.delete(&[], &mapping(&["a", "b"], PROD))), "finished");
    let outcome = site.delete(&[], &mapping(&["a"], PROD));
    assert_eq!(outcome.status, 77, "{outcome:?}");
    assert_eq!(site.held().len(), 2);
}
