//! Sections of type=ahv: the keys, the server's address, what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use vw_sim::ahv::Edition;

use super::{EDITIONS, PROGRAM, Site, ids, small};
use crate::support::{Outcome, Run, with_time};

/// Runs a program with a section, in which SERVER is the site's.
fn run(site: &Site, program: &str, section: &str, args: &[&str]) -> Outcome {
    let file = site.file("prod.conf");
    fs::write(&file, section.replace("SERVER", &site.server.url())).unwrap();
    // Nobody else may read the password, otherwise there is a warning.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let run = Run::new(program)
        .env("VW_CONFIG", &file)
        .env("SSL_CERT_FILE", &site.file("ca.pem"));
    run.args(args).run()
}

const SECTION: &str = "[prod]\ntype=ahv\nserver=SERVER\nusername=sim\npassword=sim-secret\nowner=o\n";
const CONFIG: &str = env!("CARGO_BIN_EXE_vw-config");

#[test]
fn prism_central_selects_the_api() {
    for edition in EDITIONS {
        let site = Site::new(edition, small());
        let values: &[&str] = match edition {
            Edition::Element => &["", "prism_central=false\n", "prism_central=0\n"],
            Edition::Central => &[
                "prism_central=true\n",
                "prism_central=1\nhypervisor_id=hostname\n",
            ],
        };
        for keys in values {
            let outcome = run(&site, PROGRAM, &format!("{SECTION}{keys}"), &[]);
            let mapping: Value = serde_json::from_str(&outcome.quiet_success()).unwrap();
            assert_eq!(ids(&mapping).0.len(), 3, "{keys}");
            assert_eq!(mapping["source"]["section"], "prod");
        }
    }
    let site = Site::new(Edition::Element, small());
    let outcome = run(&site, PROGRAM, &format!("{SECTION}prism_central=maybe\n"), &[]);
    outcome.failed(78, "prod.conf:7: [prod] prism_central: ");
    assert!(site.server.requests().is_empty());
}

#[test]
fn hwuuid_is_refused_and_the_allowed_ids_are_named() {
    let site = Site::new(Edition::Element, small());
    let outcome = run(&site, PROGRAM, &format!("{SECTION}hypervisor_id=hwuuid\n"), &[]);
    outcome.failed(78, "uuid");
    assert!(
        outcome.stderr.contains("prod.conf:7: [prod] hypervisor_id: ") && outcome.stderr.contains("hostname")
    );
    let outcome = site.scan(&["--hypervisor-id", "hwuuid"]);
    outcome.failed(64, "hwuuid");
    assert!(outcome.stderr.contains("hostname"), "{outcome:?}");
    assert!(site.server.requests().is_empty());
}

#[test]
fn the_server_is_a_name_an_address_or_a_url_and_the_port_is_9440() {
    let site = Site::new(Edition::Element, small());
    // Nothing may listen at these, so only the message says what was tried.
    for (server, tried) in [
        ("127.0.0.1:1", "127.0.0.1:1: "),
        ("[::1]:1", "[::1]:1: "),
        ("https://127.0.0.1:1", "127.0.0.1:1: "),
        ("no-such-host.invalid", "no-such-host.invalid:9440"),
    ] {
        let section = SECTION.replace("SERVER", server);
        let outcome = with_time(&[tried], |limit| {
            run(&site, PROGRAM, &section, &["--timeout", limit])
        });
        assert_eq!(outcome.status, 75, "{server}: {outcome:?}");
        assert!(outcome.stderr.contains(tried), "{server}: {outcome:?}");
    }
    let port = site.server.address().port();
    let section = SECTION.replace("SERVER", &format!("127.0.0.1:{port}"));
    let mapping: Value = serde_json::from_str(&run(&site, PROGRAM, &section, &[]).quiet_success()).unwrap();
    assert_eq!(mapping["source"]["server"], format!("127.0.0.1:{port}"));
    // The path of Nutanix's reference.
    let section = SECTION.replace("SERVER", "SERVER/PrismGateway/services/rest/v2.0");
    run(&site, PROGRAM, &section, &[]).quiet_success();
    assert!(
        site.server
            .requests()
            .last()
            .unwrap()
            .request
            .path
            .starts_with("/PrismGateway/")
    );
}

#[test]
fn vw_config_knows_the_keys() {
    let site = Site::new(Edition::Element, small());
    let check = |keys: &str| run(&site, CONFIG, &format!("{SECTION}{keys}"), &["check"]);
    let outcome = check("prism_central=true\n");
    assert!(
        outcome.status == 0 && outcome.stdout.contains("1 of 1 section"),
        "{outcome:?}"
    );
    assert!(!outcome.stdout.contains("prism_central"), "{outcome:?}");
    for (keys, words) in [
        ("prism_central=maybe\n", "prism_central"),
        ("hypervisor_id=hwuuid\n", "hypervisor_id"),
    ] {
        let outcome = check(keys);
        assert!(
            outcome.status == 78 && outcome.stdout.contains(words),
            "{outcome:?}"
        );
    }
    let outcome = check("ahv_internal_debug=true\nis_hypervisor=true\n");
    assert_eq!(outcome.status, 0, "{outcome:?}");
    for words in ["ahv_internal_debug: ", "is_hypervisor: is ignored"] {
        assert!(outcome.stdout.contains(words), "{outcome:?}");
    }
    for (key, line) in [("server", "server=SERVER\n"), ("username", "username=sim\n")] {
        let outcome = run(&site, CONFIG, &SECTION.replace(line, ""), &["check"]);
        assert!(
            outcome.status == 78 && outcome.stdout.contains(key),
            "{key}: {outcome:?}"
        );
    }
}
