//! Sections of other types, refused accounts, debug messages, machines that share a uuid.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use vw_sim::vcenter::{Host, Inventory, Vm};

use crate::support::{Outcome, Run};
use crate::vw_scan_esx_options::{PROGRAM, Site};

const FAKE: &str = env!("CARGO_BIN_EXE_vw-scan-fake");

/// Runs a scan on a site whose configuration is this text, in which SERVER is the site's.
fn scan(site: &Site, program: &str, configuration: &str, args: &[&str]) -> Outcome {
    let text = configuration.replace("SERVER", &site.vcenter.url());
    fs::write(site.path("prod.conf"), text).unwrap();
    // Nobody else may read the password, otherwise there is a warning.
    fs::set_permissions(site.path("prod.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    let run = Run::new(program).env("VW_CONFIG", &site.file("prod.conf"));
    run.args(args).run()
}

const ACCOUNT: &str = "server=SERVER\nusername=sim\npassword=sim-secret\n";

#[test]
fn a_section_of_another_type_is_refused_before_anything_is_sent() {
    let site = Site::new(Inventory::new(1, 1));
    for (program, own) in [(PROGRAM, "esx"), (FAKE, "fake")] {
        for (line, words) in [
            (
                "type=hyperv",
                "'hyperv' is not OWN, the type that vw-scan-OWN reads; use vw-scan-hyperv (not available: a scan of Hyper-V comes later",
            ),
            ("type=libvirt", "use vw-scan-libvirt\n"),
            (
                "type=OTHER",
                "'OTHER' is not OWN, the type that vw-scan-OWN reads; use vw-scan-OTHER\n",
            ),
            (
                "owner=x",
                "is missing, which means libvirt; add the line type=OWN, or use vw-scan-libvirt\n",
            ),
        ] {
            let other = if own == "esx" { "fake" } else { "esx" };
            let fill = |text: &str| text.replace("OWN", own).replace("OTHER", other);
            let section = format!("[hv]\n{ACCOUNT}file=m.json\n{}\n", fill(line));
            // The same without `-n`, because it is the only section.
            for args in [&["-n", "hv"][..], &[]] {
                let outcome = scan(&site, program, &section, args);
                outcome.failed(78, &fill(words));
                let place = if line == "owner=x" {
                    "prod.conf:1: [hv] type: "
                } else {
                    "prod.conf:6: [hv] type: "
                };
                assert!(outcome.stderr.contains(place), "{outcome:?}");
                assert_eq!(outcome.stdout, "");
            }
        }
    }
    let url = site.vcenter.url();
    let password = site.file("password");
    let options = [
        "-n",
        "hv",
        "--server",
        &url,
        "-u",
        "sim",
        "--password-file",
        &password,
    ];
    scan(&site, PROGRAM, "[hv]\ntype=hyperv\n", &options).failed(78, "vw-scan-hyperv");
    assert!(site.vcenter.requests().is_empty());
}

#[test]
fn a_section_of_type_esx_is_used_however_it_is_found() {
    let site = Site::new(Inventory::new(1, 1));
    let other = "[hv]\ntype=hyperv\nserver=hv\n[unset]\nserver=x\n";
    let prod = format!("{other}[prod]\ntype=esx\n{ACCOUNT}");
    for args in [&["-n", "prod"][..], &[]] {
        let document = scan(&site, PROGRAM, &prod, args).quiet_success();
        assert!(document.contains("\"section\":\"prod\""), "{document}");
    }
    // The type may be in [defaults], and VIRTWHO_* variables are a section.
    let defaults = format!("[defaults]\ntype=esx\n[prod]\n{ACCOUNT}");
    scan(&site, PROGRAM, &defaults, &["-n", "prod"]).quiet_success();
    fs::write(site.path("prod.conf"), other).unwrap();
    let variables = Run::new(PROGRAM)
        .env("VW_CONFIG", &site.file("prod.conf"))
        .env("VIRTWHO_ESX", "1")
        .env("VIRTWHO_ESX_OWNER", "sim")
        .env("VIRTWHO_ESX_SERVER", &site.vcenter.url())
        .env("VIRTWHO_ESX_USERNAME", "sim")
        .env("VIRTWHO_ESX_PASSWORD", "sim-secret");
    let outcome = variables.run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    // The options are enough, and no section is named.
    let url = site.vcenter.url();
    let password = site.file("password");
    let options = ["--server", &url, "-u", "sim", "--password-file", &password];
    scan(&site, PROGRAM, "[hv]\ntype=hyperv\n", &options).quiet_success();
}

#[test]
fn a_refused_log_in_names_server_user_and_section() {
    let site = Site::new(Inventory::new(1, 1));
    let at = site.vcenter.url().replace("http://", "");
    let section = "[prod]\ntype=esx\nserver=SERVER\nusername=sim\npassword=wr0ng\n";
    for args in [&[][..], &["--watch"], &["--check"]] {
        let outcome = scan(&site, PROGRAM, section, args);
        let words = format!(
            "vw-scan-esx: section [prod]: login to {at} as \"sim\" failed: wrong user name or password"
        );
        outcome.failed(77, &words);
        assert!(!outcome.stderr.contains("wr0ng"), "{outcome:?}");
    }
}

#[test]
fn debug_messages_say_what_is_in_force_and_how_long_each_part_took() {
    let site = Site::new(Inventory::new(2, 3));
    let section = format!("[prod]\ntype=esx\nhypervisor_id=hostname\n{ACCOUNT}");
    for args in [&["-d"][..], &["-d", "--timeout", "90"]] {
        let outcome = scan(&site, PROGRAM, &section, args);
        assert_eq!(outcome.status, 0);
        let limit = if args.len() > 1 { "90 s" } else { "3600 s" };
        let section = format!("debug: using section [prod] ({}:1)", site.file("prod.conf"));
        let server = site.vcenter.url();
        let scan =
            format!("debug: server {server}/sdk, user \"sim\", hypervisor id hostname, time limit {limit}");
        for words in [section, scan] {
            assert!(outcome.stderr.contains(&words), "{}", outcome.stderr);
        }
        for words in [
            "debug: connected to VMware vCenter Server 8.0.2 build-1 (vw-sim) (VirtualCenter) in ",
            "debug: logged in as \"sim\" in ",
            "debug: read 2 hosts and 3 virtual machines in ",
            "debug: logged out in ",
        ] {
            let mut found = outcome.stderr.lines().filter(|line| line.contains(words));
            let line = found
                .next()
                .unwrap_or_else(|| panic!("{words}: {}", outcome.stderr));
            assert!(
                line.ends_with(" s") && found.next().is_none(),
                "{}",
                outcome.stderr
            );
        }
        assert!(!outcome.stderr.contains("sim-secret"), "{}", outcome.stderr);
    }
}

#[test]
fn options_for_several_documents_need_watch() {
    let site = Site::new(Inventory::new(1, 1));
    for option in ["--settle", "--repeat"] {
        site.scan(&[option, "3"])
            .failed(64, &format!("{option} needs --watch"));
    }
    assert!(site.vcenter.requests().is_empty());
}

#[test]
fn machines_that_share_a_uuid_are_kept_and_named() {
    let uuid = "78563412-ab90-efcd-1234-567890abcdef";
    let mut inventory = Inventory::empty();
    let one = inventory.add_standalone(Host::new("esx1.example.com"));
    let two = inventory.add_standalone(Host::new("esx2.example.com"));
    let copy = |name: &str| Vm {
        uuid: Some(uuid.into()),
        ..Vm::new(name)
    };
    for (host, name) in [(one, "web%2f1"), (one, "web copy"), (two, "other copy")] {
        inventory.add_vm(host, copy(name));
    }
    // The older hardware version has another byte order, so the guest sees another uuid.
    inventory.add_vm(
        two,
        Vm {
            version: Some("vmx-09".into()),
            ..copy("old")
        },
    );
    inventory.add_vm(two, Vm::new("single"));
    let site = Site::new(inventory);
    let trace = site.file("trace");
    let outcome = site.scan(&["--trace", &trace]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let ids: Vec<String> = {
        let inventory = site.vcenter.inventory();
        inventory.vms().map(|(_, vm)| vm.id.clone()).collect()
    };
    let expected = format!(
        "vw-scan-esx: warning: 3 virtual machines have the guest id 12345678-90ab-cdef-1234-567890abcdef: \
         \"web/1\" ({}) on esx1.example.com, \"web copy\" ({}) on esx1.example.com, \"other copy\" ({}) on esx2.example.com\n",
        ids[0], ids[1], ids[2]
    );
    assert_eq!(outcome.stderr, expected);
    let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(
        outcome
            .stdout
            .matches("12345678-90ab-cdef-1234-567890abcdef")
            .count(),
        3
    );
    assert_eq!(mapping.get("omitted"), None);
    assert!(!outcome.stdout.contains("web"), "{outcome:?}");
    // Only the names of these three are requested.
    let asked: Vec<String> = fs::read_dir(&trace)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .filter(|text| text.contains("<pathSet>name</pathSet>") && !text.contains("ContainerView"))
        .collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].matches("<objectSet>").count(), 3);
    assert!(!asked[0].contains(&format!(">{}<", ids[3])), "{asked:?}");
    // With known names it is said once, and nothing more is requested.
    assert_eq!(site.scan(&["--guest-names"]).stderr, expected);
    assert_eq!(site.scan(&["--strict"]).status, 0);
}

#[test]
fn a_server_is_named_with_its_port_unless_it_is_the_default() {
    let site = Site::new(Inventory::new(1, 1));
    let at = site.vcenter.url().replace("http://", "");
    assert_eq!(site.mapping(&[])["source"]["server"], at.as_str());
}
