//! Registrations: who is registered, and where the systemids are stored.

use super::*;

#[test]
fn the_first_report_registers_and_the_next_only_notifies() {
    let site = Site::new();
    let first = site.run().run();
    assert_eq!(
        (first.status, first.stderr.as_str()),
        (0, "vw-report-sat5: created the channel hypervisor-base-1\n")
    );
    let mut result = line(&first);
    let members = result.as_object_mut().unwrap();
    assert!(members.remove("seconds").unwrap().is_number());
    assert!(is_utc(members.remove("time").unwrap().as_str().unwrap()));
    let expected = json!({
        "section": null, "server": site.server.url(), "owner": "1", "state": "finished", "hypervisors": 2, "guests": 2,
        "created": 2, "updated": 0, "unchanged": 0, "omitted": 0, "failed": [], "jobs": [],
    });
    assert_eq!(result, expected);

    let uuid = |id: &str| id.replace('-', "").to_lowercase();
    let systems = site.systems();
    let guests = vec![(uuid(WEB), GuestState::Running), (uuid(DB), GuestState::Stopped)];
    assert_eq!(systems["esx hypervisor esx1.example.com"], guests);
    assert_eq!(systems["esx hypervisor esx2.example.com"], []);
    let calls = site.satellite.calls();
    for once in [
        LOGIN,
        LOGOUT,
        "user.getDetails",
        "channel.software.getDetails",
        SET_MAP,
    ] {
        assert_eq!(calls[once], 1, "{once}");
    }
    for system in site.satellite.systems() {
        assert_eq!(
            (system.refreshed, system.channel.as_str()),
            (1, "hypervisor-base-1")
        );
    }
    assert_eq!(site.satellite.open_sessions(), 0);
    let mode = fs::metadata(site.registration("esx1.example.com"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let second = line(&site.run().run());
    assert_eq!((&second["created"], &second["updated"]), (&json!(0), &json!(2)));
    assert_eq!(site.systems(), systems);
    assert_eq!(
        (site.satellite.registrations(), site.satellite.count(LOGIN)),
        (2, 1)
    );
}

#[test]
fn a_systemid_that_virt_who_stored_is_used() {
    let site = Site::new();
    site.report();
    for system in site.satellite.systems() {
        let id = system.profile.rsplit(' ').next().unwrap();
        // Protocol 0, as Python 2 writes it.
        let text = system
            .systemid
            .replace('\\', "\\\\")
            .replace('\'', "\\'")
            .replace('\n', "\\n");
        let pickle = format!("(dp0\nS'channels'\np1\n(lp2\nsS'system_id'\np3\nS'{text}'\np4\ns.");
        fs::write(site.registration(id), pickle).unwrap();
    }
    assert_eq!(line(&site.run().run())["updated"], 2);
    assert_eq!(site.satellite.registrations(), 2);
}

#[test]
fn a_deleted_hypervisor_is_registered_again_once() {
    let site = Site::new();
    site.report();
    let first = site.satellite.systems()[0].id.clone();
    assert!(site.satellite.delete_system(&first));
    let outcome = site.run().run();
    succeeded(&outcome);
    let warning = "vw-report-sat5: warning: esx1.example.com: the server does not know its systemid";
    assert!(outcome.stderr.starts_with(warning), "{outcome:?}");
    let line = line(&outcome);
    assert_eq!((&line["created"], &line["updated"]), (&json!(1), &json!(1)));
    assert_eq!(site.systems()["esx hypervisor esx1.example.com"].len(), 2);

    // If the server does not know the new systemid either, the hypervisor is not registered a third time.
    for call in [1, 2] {
        let unknown = Trouble::Fault(-9, "Invalid System Credentials.".into());
        site.satellite.trouble(NOTIFY, call, unknown);
    }
    let before = site.satellite.registrations();
    failed(
        &site.run().run(),
        69,
        "esx1.example.com: registration.virt_notify",
    );
    assert_eq!(site.satellite.registrations(), before + 1);
}

#[test]
fn a_systemid_is_stored_even_if_the_next_call_fails() {
    let site = Site::new();
    site.satellite.trouble(HARDWARE, 1, Trouble::Status(500));
    site.satellite
        .trouble(HARDWARE, 2, Trouble::Fault(1, "no".into()));
    let outcome = site.run().args(ONCE).run();
    assert_eq!(failures(&line(&outcome)).len(), 1);
    assert_eq!(line(&site.run().run())["updated"], 2);
    assert_eq!(site.satellite.registrations(), 2, "none twice");
}

#[test]
fn nothing_is_registered_if_its_systemid_could_not_be_stored() {
    let site = Site::new();
    fs::write(site.file("state"), "a file").unwrap();
    let outcome = site.run().run();
    assert_eq!(outcome.status, 74, "{outcome:?}");
    assert!(failures(&line(&outcome))[0].1.contains("state"));
    assert_eq!(site.satellite.calls(), BTreeMap::new());

    // Hypervisors that are registered already are reported nevertheless.
    fs::remove_file(site.file("state")).unwrap();
    site.report();
    fs::remove_file(site.file("state/vw-report-sat5.lock")).unwrap();
    fs::create_dir(site.file("state/vw-report-sat5.lock")).unwrap();
    assert_eq!(line(&site.run().run())["updated"], 2);
}

#[test]
fn a_damaged_systemid_is_named_and_not_replaced() {
    let site = Site::new();
    site.report();
    fs::write(
        site.registration("esx1.example.com"),
        "cos\nsystem\n(S'true'\ntR.",
    )
    .unwrap();
    let outcome = site.run().run();
    assert_eq!(outcome.status, 74);
    let line = line(&outcome);
    assert_eq!((&line["state"], &line["updated"]), (&json!("partial"), &json!(1)));
    for words in [
        "hypervisor-systemid-esx1.example.com can't be used",
        "restore the file, or remove it",
    ] {
        assert!(failures(&line)[0].1.contains(words), "{line}");
    }
    assert_eq!(site.satellite.registrations(), 2);
}
