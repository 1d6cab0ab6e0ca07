//! Registrations: who is registered, and where the systemids are stored.

use super::*;

#[test]
fn servers_that_share_a_folder_keep_their_registrations_apart() {
    let (first, second) = (Site::new(), Site::new());
    let report = |site: &Site, options: &[&str]| {
        let run = Run::new(PROGRAM).env("VW_CONFIG", &site.file("virt-who.conf"));
        let run = run
            .args(["--state-dir", &first.file("state")])
            .args(site.login_as("sim"));
        line(&run.args(options).stdin(mapping()).run())["state"].clone()
    };
    for _ in 0..2 {
        for site in [&first, &second] {
            assert_eq!(report(site, &["--force"]), "finished");
            assert_eq!(site.satellite.registrations(), 2);
        }
    }
    for site in [&first, &second] {
        assert_eq!(report(site, &[]), "unchanged");
        assert_eq!(site.satellite.registrations(), 2);
    }
    // Those of the first are where virt-who has them.
    assert!(fs::exists(first.registration("esx1.example.com")).unwrap());
    let owner = fs::read_to_string(first.file("state/vw-report-sat5.server")).unwrap();
    assert_eq!(owner.trim(), first.server.url());
}

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

    let second = line(&site.run().args(["--force"]).run());
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
    assert_eq!(line(&site.run().args(["--force"]).run())["updated"], 2);
    assert_eq!(site.satellite.registrations(), 2);
}

#[test]
fn a_deleted_hypervisor_is_registered_again_once() {
    let site = Site::new();
    site.report();
    let profile = "esx hypervisor esx1.example.com";
    let id_of = |site: &Site| {
        let systems = site.satellite.systems();
        systems
            .iter()
            .find(|system| system.profile == profile)
            .unwrap()
            .id
            .clone()
    };
    assert!(site.satellite.delete_system(&id_of(&site)));
    let outcome = site.run().args(["--force"]).run();
    succeeded(&outcome);
    let warning = "vw-report-sat5: warning: esx1.example.com: the server does not know its systemid";
    assert!(outcome.stderr.starts_with(warning), "{outcome:?}");
    let result = line(&outcome);
    assert_eq!((&result["created"], &result["updated"]), (&json!(1), &json!(1)));
    assert_eq!(site.systems()[profile].len(), 2);

    // A systemid that is refused although its profile exists is looked for.
    let unknown = || Trouble::Fault(-9, "Invalid System Credentials.".into());
    site.satellite.trouble(NOTIFY, 1, unknown());
    let before = site.satellite.registrations();
    let outcome = site.run().args(["--force"]).run();
    succeeded(&outcome);
    assert_eq!(
        (&line(&outcome)["updated"], site.satellite.registrations()),
        (&json!(2), before)
    );

    // If the server does not know that systemid either, the hypervisor fails.
    for call in [1, 2] {
        site.satellite.trouble(NOTIFY, call, unknown());
    }
    let outcome = site.run().args(["--force"]).args(ONE_BY_ONE).run();
    failed(&outcome, 69, "esx1.example.com: registration.virt_notify");
    assert_eq!(
        (&line(&outcome)["updated"], site.satellite.registrations()),
        (&json!(1), before)
    );
}

#[test]
fn a_lost_folder_makes_no_second_profiles() {
    let site = Site::new();
    site.report();
    let systems = site.systems();
    fs::remove_dir_all(site.file("state")).unwrap();
    let outcome = site.run().run();
    succeeded(&outcome);
    assert_eq!(line(&outcome)["updated"], 2);
    assert_eq!((site.satellite.registrations(), site.systems()), (2, systems));
}

#[test]
fn cut_names_are_found_and_not_mixed_up() {
    let site = Site::new();
    let long = "x".repeat(120);
    let ids = ["a", "b", "c"].map(|end| format!("{long}{end}"));
    let hosts: Vec<Value> = ids.iter().map(|id| json!({"uuid": id, "guests": []})).collect();
    let document = json!({ "hypervisors": hosts }).to_string();
    let report = || line(&site.run().args(["--force"]).stdin(&*document).run());
    assert_eq!(report()["created"], 3);
    let profiles: BTreeSet<String> = site.systems().into_keys().collect();
    assert_eq!(profiles.len(), 1, "the server cuts them to the same name");
    fs::remove_file(site.registration(&ids[1])).unwrap();
    assert_eq!(report()["updated"], 3);
    assert_eq!(site.satellite.registrations(), 3);
    for id in &ids[..2] {
        fs::remove_file(site.registration(id)).unwrap();
    }
    let result = report();
    assert!(
        failures(&result)[0].1.contains("all have the profile"),
        "{result}"
    );
    assert_eq!(site.satellite.registrations(), 3);
}

#[test]
fn a_systemid_is_stored_even_if_the_next_call_fails() {
    let site = Site::new();
    site.satellite.trouble(HARDWARE, 1, for_long(500));
    site.satellite
        .trouble(HARDWARE, 2, Trouble::Fault(1, "no".into()));
    let outcome = site.run().run();
    succeeded(&outcome);
    let warning = "its hardware list is not refreshed, but stays empty: registration.refresh_hw_profile: ";
    assert_eq!(outcome.stderr.matches(warning).count(), 2, "{outcome:?}");
    assert_eq!(line(&outcome)["created"], 2);
    assert_eq!(line(&site.run().run())["unchanged"], 2);
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
fn a_damaged_systemid_is_set_aside_and_replaced() {
    let site = Site::new();
    site.report();
    let path = site.registration("esx1.example.com");
    let hostile = "cos\nsystem\n(S'touch hacked'\ntR.";
    for (number, content) in [hostile, "", "}."].iter().enumerate() {
        fs::write(&path, content).unwrap();
        let dry = site.bare().args(["--dry-run"]).run();
        assert!(
            dry.status == 0 && dry.stderr.contains("a report replaces it"),
            "{dry:?}"
        );
        let outcome = site.run().run();
        succeeded(&outcome);
        let aside = format!("{path}.damaged-{}", number + 1);
        let warning = format!("vw-report-sat5: warning: esx1.example.com: {path} is damaged (");
        assert!(
            outcome.stderr.starts_with(&warning) && outcome.stderr.contains(&aside),
            "{outcome:?}"
        );
        assert_eq!(fs::read_to_string(aside).unwrap(), *content);
        let result = line(&outcome);
        assert_eq!((&result["updated"], &result["unchanged"]), (&json!(1), &json!(1)));
    }
    // A folder, and a pipe that nobody writes to.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    succeeded(&site.run().run());
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    succeeded(&site.run().run());
    assert_eq!(site.satellite.registrations(), 2, "the profile is found");
    assert!(!fs::exists(site.file("hacked")).unwrap() && !fs::exists("hacked").unwrap());
}
