//! A report and what the server makes of it.

use super::*;

#[test]
fn a_report_arrives_and_a_second_one_changes_nothing() {
    let site = Site::new();
    let first = site.run().run();
    assert_eq!((first.status, first.stderr.as_str()), (0, ""));
    let job = site.candlepin.jobs()[0].id.clone();
    let expected = json!({
        "section": null, "server": format!("{}/candlepin", site.server.url()), "owner": "sim",
        "state": "finished", "hypervisors": 2, "guests": 2, "created": 2, "updated": 0, "unchanged": 0,
        "omitted": 1, "failed": [], "jobs": [job],
    });
    assert_eq!(line(&first), expected);

    let held = site.candlepin.hypervisors("sim");
    assert_eq!(held["h1"].name, "esx1.example.com");
    assert_eq!(held["h1"].guest_ids(), ["g1", "g2"]);
    assert_eq!(held["h1"].facts["hypervisor.type"], "VMware ESXi");
    assert!(held["h2"].guests.is_empty());

    let second = line(&site.run().run());
    assert_eq!((&second["created"], &second["unchanged"]), (&json!(0), &json!(2)));
}

#[test]
fn a_check_in_has_the_documented_headers_and_body() {
    let site = Site::new();
    site.run().args(["--reporter-id", "me & you"]).run();
    let requests = site.candlepin.requests();
    let asked: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    let job = format!("/candlepin/jobs/{}", site.candlepin.jobs()[0].id);
    assert_eq!(
        asked[..3],
        ["/candlepin/status", "/candlepin/hypervisors/sim", job.as_str()]
    );
    assert_eq!(requests[1].query, "reporter_id=me%20%26%20you");
    assert_eq!(requests[2].query, "result_data=true");
    assert!(site.candlepin.reporters().contains("me & you"));
    let body: Value = serde_json::from_slice(&requests[1].body).unwrap();
    let expected = json!({"hypervisors": [
        {"hypervisorId": {"hypervisorId": "H1"}, "name": "esx1.example.com",
         "guestIds": [{"guestId": "g1", "state": 1, "attributes": {"active": 1, "virtWhoType": "esx"}},
                      {"guestId": "g2", "state": 5, "attributes": {"active": 0, "virtWhoType": "esx"}}],
         "facts": {"hypervisor.type": "VMware ESXi", "dmi.system.uuid": "9705df9f-0000-1000-8000-000000000001"}},
        {"hypervisorId": {"hypervisorId": "h2"}, "name": "esx2.example.com", "guestIds": []},
    ]});
    assert_eq!(body, expected);

    let logged = site.server.requests();
    let header = |n: usize, name| logged[n].request.header(name).unwrap_or_default().to_owned();
    assert_eq!(header(1, "Content-Type"), "text/plain");
    let correlation = header(1, "X-Correlation-ID");
    assert_eq!(correlation.len(), 32);
    assert!((0..logged.len()).all(|n| header(n, "X-Correlation-ID") == correlation));
    assert_eq!(site.candlepin.jobs()[0].correlation, Some(correlation));
}

#[test]
fn the_reporter_id_is_the_machine_id_by_default() {
    let site = Site::new();
    site.run().run();
    let reporters = site.candlepin.reporters();
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    assert_eq!(reporters.len(), 1);
    let reporter = reporters.first().unwrap();
    assert!(
        !reporter.is_empty() && reporter.ends_with(machine.trim()),
        "{reporter}"
    );
}

#[test]
fn candlepin_2_4_16_accepts_a_report_while_another_job_runs() {
    let site = Site::with(|settings| settings.generation = Generation::Old);
    site.candlepin
        .occupy("sim", JobTime::After(Duration::from_millis(600)));
    let outcome = site.run().run();
    assert_eq!(
        (outcome.status, line(&outcome)["created"].as_u64()),
        (0, Some(2)),
        "{outcome:?}"
    );
}

#[test]
fn a_blocked_report_waits_and_is_sent_again() {
    let site = Site::new();
    let other = site.candlepin.occupy("sim", JobTime::Polls(2));
    let outcome = site.run().run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stderr.contains(&other), "{outcome:?}");
    let jobs = site.candlepin.jobs();
    let states: Vec<JobState> = jobs.iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Finished, JobState::Failed, JobState::Finished]);
    // The one that was dropped did nothing.
    assert_eq!(line(&outcome)["jobs"], json!([jobs[2].id]));
    assert_eq!(site.held(), ["h1", "h2"]);
}

#[test]
fn a_report_that_stays_blocked_ends_with_the_job_timeout() {
    let site = Site::new();
    let other = site.candlepin.occupy("sim", JobTime::Polls(100_000));
    let outcome = site.run().args(["--job-timeout", "1"]).run();
    assert_eq!(outcome.status, 75);
    let last = outcome.stderr.lines().last().unwrap();
    assert!(
        last.contains(&other) && last.contains("--job-timeout"),
        "{outcome:?}"
    );
    assert_eq!(line(&outcome)["state"], "failed");
}

#[test]
fn a_job_beyond_the_job_timeout_is_an_error() {
    let site = Site::with(|settings| settings.job_time = JobTime::Polls(100_000));
    let outcome = site.run().args(["--job-timeout", "1"]).run();
    outcome.failed(75, "gave up after 1 s: job ");
    outcome.failed(75, "; see --job-timeout");
    let line = line(&outcome);
    assert_eq!(
        (&line["state"], &line["jobs"]),
        (&json!("failed"), &json!([site.candlepin.jobs()[0].id]))
    );
}

#[test]
fn a_failed_or_canceled_job_is_an_error() {
    for (fate, words) in [
        (Fate::Fail("it broke".to_owned()), "FAILED: it broke"),
        (Fate::Cancel, "CANCELED"),
    ] {
        let site = Site::new();
        site.candlepin.doom_next_job(fate);
        let outcome = site.run().run();
        outcome.failed(69, words);
        outcome.failed(69, "correlation id");
        assert_eq!(line(&outcome)["state"], "failed");
        assert_eq!(line(&outcome)["jobs"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_hypervisor_that_the_server_loses_is_named() {
    let site = Site::new();
    site.candlepin.lose(["H2"]);
    let outcome = site.run().run();
    failed(&outcome, 69, ": 1 lost by the server");
    let line = line(&outcome);
    assert_eq!(line["state"], "partial");
    assert_eq!(line["failed"][0]["id"], "h2");
    assert_eq!(line["failed"][0]["name"], "esx2.example.com");
    assert_eq!(line["failed"].as_array().unwrap().len(), 1);
}

#[test]
fn a_hypervisor_that_the_server_refuses_is_named_with_its_reason() {
    let site = Site::new();
    site.candlepin.refuse(["A"]);
    let outcome = site.report(&[], &mapping(&["a", "b"], ""));
    failed(&outcome, 69, ": 1 refused by the server");
    let line = line(&outcome);
    assert_eq!((&line["state"], &line["created"]), (&json!("partial"), &json!(1)));
    assert_eq!(line["failed"][0]["id"], "a");
    assert!(
        line["failed"][0]["error"].as_str().unwrap().contains("Unable to"),
        "{line}"
    );
}

#[test]
fn entries_that_the_server_would_lose_or_refuse_are_left_out_and_named() {
    let long = "x".repeat(300);
    let input = format!(
        r#"{{"hypervisors":[{{"uuid":"{long}","name":"1","guests":[]}},
            {{"uuid":"a","name":"{long}","facts":{{"cpu.cpu_socket(s)":"two","f":"{long}","g":"1","l":[1]}},
              "guests":[{{"guestId":"{long}","state":1}},{{"guestId":"","state":1}},{{"guestId":"g","state":1}}]}}]}}"#
    );
    let site = Site::new();
    let outcome = site.report(&["--strict"], &input);
    failed(&outcome, 65, "--strict");
    assert_eq!(line(&outcome)["state"], "failed");
    assert_eq!(line(&outcome)["failed"].as_array().unwrap().len(), 7);
    assert_eq!(site.candlepin.request_count(), 0);

    let outcome = site.report(&[], &input);
    failed(&outcome, 65, ": 7 left out or changed");
    assert_eq!(line(&outcome)["state"], "partial");
    let held = site.candlepin.hypervisors("sim");
    assert_eq!(held.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(held["a"].guest_ids(), ["g"]);
    assert_eq!(held["a"].facts.keys().collect::<Vec<_>>(), ["g"]);
    assert_eq!(site.report(&["--strict"], MAPPING).status, 0);
}

#[test]
fn an_old_server_gets_the_synchronous_check_in() {
    let site = Site::with(|settings| {
        settings.generation = Generation::Old;
        settings.asynchronous = false;
    });
    let first = site.run().run();
    assert_eq!(
        (first.status, line(&first)["created"].as_u64()),
        (0, Some(2)),
        "{first:?}"
    );
    let held = site.candlepin.hypervisors("sim");
    assert_eq!(held["h1"].guest_ids(), ["g1", "g2"]);
    assert!(
        site.candlepin.requests()[1]
            .query
            .starts_with("owner=sim&reporter_id=")
    );
    site.candlepin.lose(["h2"]);
    failed(&site.run().run(), 69, "1 lost");

    // Its environment is the section's.
    let section = format!(
        "[prod]\nowner=sim\nenv=a library\nrhsm_hostname={}\nrhsm_prefix=/candlepin\nrhsm_username=sim\n\
         rhsm_password=sim-secret\n",
        site.server.url()
    );
    std::fs::write(site.folder.path().join("virt-who.conf"), section).unwrap();
    site.bare().args(["-n", "prod"]).stdin(MAPPING).run();
    let last = site.candlepin.requests().pop().unwrap();
    assert!(last.query.contains("env=a%20library"), "{last:?}");
    assert_eq!(site.bare().args(["-n", "prod", "--check"]).run().status, 0);
}

#[test]
fn with_no_wait_the_job_can_be_looked_up_later() {
    let site = Site::with(|settings| settings.job_time = JobTime::Polls(2));
    let outcome = site.report(&["--no-wait"], MAPPING);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    let sent = line(&outcome);
    assert_eq!((&sent["state"], &sent["created"]), (&json!("sent"), &json!(0)));
    let job = sent["jobs"][0].as_str().unwrap();
    let asked = site.report(&["--job", job], "");
    asked.failed(75, "not done yet");
    assert_eq!(line(&asked)["state"], "sent");
    let mut asked = site.report(&["--job", job], "");
    if asked.status == 75 {
        asked = site.report(&["--job", job], "");
    }
    assert_eq!(asked.status, 0, "{asked:?}");
    let told = line(&asked);
    assert_eq!(
        (&told["state"], &told["created"], &told["jobs"]),
        (&json!("finished"), &json!(2), &json!([job]))
    );
    site.report(&["--job", "no such"], "").failed(69, "no such");
}

#[test]
fn an_empty_mapping_is_refused_unless_allowed() {
    let site = Site::new();
    let outcome = site.run().stdin(r#"{"hypervisors":[]}"#).run();
    outcome.failed(65, "--allow-empty");
    assert_eq!(line(&outcome)["state"], "failed");
    assert_eq!(site.candlepin.request_count(), 0);

    let outcome = site
        .run()
        .args(["--allow-empty"])
        .stdin(r#"{"hypervisors":[]}"#)
        .run();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert_eq!(line(&outcome)["state"], "finished");
}

#[test]
fn hypervisors_that_the_server_would_mix_up_are_left_out_and_named() {
    let site = Site::new();
    let mapping = r#"{"hypervisors":[{"uuid":"A","name":"1","guests":[]},{"uuid":"a","name":"2","guests":[]},
        {"uuid":"","name":"3","guests":[]},{"uuid":"b","name":"4","guests":[]}]}"#;
    let outcome = site.run().stdin(mapping).run();
    failed(&outcome, 65, ": 3 left out or changed");
    assert_eq!(
        outcome.stderr.matches("not reported as it is: ").count(),
        3,
        "{outcome:?}"
    );
    let line = line(&outcome);
    assert_eq!(line["state"], "partial");
    let names: Vec<&Value> = line["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["name"])
        .collect();
    assert_eq!(names, ["3", "1", "2"]);
    assert_eq!((&line["hypervisors"], &line["created"]), (&json!(4), &json!(1)));
    assert_eq!(site.held(), ["b"]);

    // What is wrong with the data does not hide what the server did.
    site.candlepin.lose(["c"]);
    let mapping =
        r#"{"hypervisors":[{"uuid":"","name":"3","guests":[]},{"uuid":"c","name":"4","guests":[]}]}"#;
    failed(
        &site.run().stdin(mapping).run(),
        69,
        ": 1 left out or changed, 1 lost by the server",
    );
}

#[test]
fn a_shared_system_uuid_is_not_sent() {
    let site = Site::new();
    let mapping = r#"{"hypervisors":[{"uuid":"a","name":"a","guests":[],"facts":{"dmi.system.uuid":"X1","n":"1"}},
        {"uuid":"b","name":"b","guests":[],"facts":{"dmi.system.uuid":"x1"}}]}"#;
    let outcome = site.run().stdin(mapping).run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(
        outcome.stderr.matches("sent without dmi.system.uuid").count(),
        2,
        "{outcome:?}"
    );
    let held = site.candlepin.hypervisors("sim");
    assert_eq!(held.len(), 2);
    assert!(
        held.values()
            .all(|held| !held.facts.contains_key("dmi.system.uuid"))
    );
    assert_eq!(held["a"].facts["n"], "1");
}
