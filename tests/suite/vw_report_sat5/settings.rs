//! Options, sections, and the debug messages that show them.

use super::*;

#[test]
fn each_spelling_of_the_servers_address_works() {
    let site = Site::new();
    let url = site.server.url();
    for server in ["", "/", "/XMLRPC", "/XMLRPC/", "//XMLRPC", "/rpc/api"] {
        let outcome = site.run().args(["--server", &format!("{url}{server}")]).run();
        assert_eq!(
            outcome.status, 64,
            "an option given twice is refused: {outcome:?}"
        );
        let outcome = site
            .bare()
            .args(["--username", "sim", "--password-file", &site.file("password")]);
        let outcome = outcome.args(["--server", &format!("{url}{server}")]).run();
        assert_eq!(outcome.status, 0, "{server}: {outcome:?}");
    }
    assert_eq!(site.satellite.registrations(), 2);
}

#[test]
fn a_section_is_enough() {
    let site = Site::new();
    let section = format!(
        "[prod]\ntype=xen\nsat_server={}/XMLRPC\nsat_username=sim\nsat_password=sim-secret\n",
        site.server.url()
    );
    fs::write(site.file("virt-who.conf"), section).unwrap();
    for (arguments, kind) in [
        (&[][..], "xen"),
        (&["-n", "prod"], "xen"),
        (&["--type", "esx"], "esx"),
    ] {
        drop(fs::remove_dir_all(site.file("state")));
        let outcome = site.bare().args(arguments).run();
        succeeded(&outcome);
        assert_eq!(line(&outcome)["section"], "prod");
        let profile = format!("{kind} hypervisor esx1.example.com");
        let systems = site.satellite.systems();
        let found = systems.iter().filter(|system| system.profile == profile);
        assert_eq!(found.count(), 1, "{arguments:?}");
    }
    let outcome = site.bare().args(["-n", "other"]).run();
    outcome.failed(78, "other");
}

#[test]
fn missing_settings_are_named() {
    let site = Site::new();
    site.bare().run().failed(78, "--server");
    site.bare()
        .args(["--server", "sat"])
        .run()
        .failed(78, "--username");
    site.run().args(["--type", ""]).run().failed(64, "--type");
    site.bare()
        .args(["--server", "https://user:s3cret@sat", "-u", "sim"])
        .run()
        .failed(78, "user name and password");
}

#[test]
fn debug_messages_show_settings_and_durations() {
    let site = Site::new();
    let section = site.section("sim-secret");
    let outcome = site.bare().args(["-d"]).run();
    succeeded(&outcome);
    let url = site.server.url();
    for words in [
        format!("using {section}\n"),
        format!("reporting to {url} as user \"sim\"\n"),
        format!("registrations are kept in {}\n", site.file("state")),
        "the source is of type esx\n".to_owned(),
        "limits: connecting 10 s, silence 60 s, 14400 s for a document\n".to_owned(),
        "the user's organisation is 1\n".to_owned(),
        "auth.login: answered after ".to_owned(),
        "registration.virt_notify: answered after ".to_owned(),
        "esx1.example.com: registered as \"esx hypervisor esx1.example.com\"\n".to_owned(),
    ] {
        assert!(outcome.stderr.contains(&words), "{words}: {outcome:?}");
    }
    assert!(!outcome.stderr.contains("sim-secret"), "{outcome:?}");
    for system in site.satellite.systems() {
        assert!(!outcome.stderr.contains(&system.systemid), "{outcome:?}");
    }
}
