//! `vw-config check`: what it finds, and where.

use std::fs;

use serde_json::json;

use super::findings::esx;
use super::{Place, TWO};
use crate::support::Run;

#[test]
fn a_good_configuration_passes_the_check() {
    let place = Place::new(&TWO.replace("encrypted_password=00\nfilter_host_uuids=a, b\n", ""));
    let (findings, summary, status) = place.findings();
    assert_eq!(findings, [""; 0]);
    assert_eq!(
        summary,
        "2 of 2 sections usable; try next: vw-scan-esx -n prod | vw-filter -n prod"
    );
    assert_eq!(status, 0);
    let checked = place.json(&["check", "--json", "-c", "a.conf"]);
    assert_eq!(checked["usable"], 2);
    assert_eq!(
        checked["next"],
        "vw-scan-esx -c a.conf -n prod | vw-filter -c a.conf -n prod"
    );
    assert_eq!(
        checked["sections"][1],
        json!({"section": "old", "type": "esx", "usable": true})
    );
}

#[test]
fn unusable_files_are_named() {
    let place = Place::new("");
    fs::create_dir(place.0.path().join("folder")).unwrap();
    let large = fs::File::create(place.0.path().join("large")).unwrap();
    large.set_len(100 << 20).unwrap();
    let nothing = "there is no section in folder/*.conf; add a section, or name another file with -c";
    for action in ["check", "show"] {
        place.run(&[action, "-c", "folder"]).failed(78, nothing);
    }
    place
        .run(&["migrate", "folder"])
        .failed(78, "folder: is a folder, not a file");
    for (file, words) in [
        ("large", "is larger than 4 MiB"),
        ("gone", "gone: can't be read: No such file"),
        ("a.conf/b", "a.conf/b: can't be read: Not a directory"),
    ] {
        for action in ["check", "list", "show"] {
            place.run(&[action, "-c", file]).failed(78, words);
        }
        let scan = Run::new(env!("CARGO_BIN_EXE_vw-scan-esx")).folder(place.0.path());
        scan.args(["-c", file]).run().failed(78, file);
    }
    place
        .run(&["migrate", "gone"])
        .failed(78, "reading gone: No such file");
    place
        .run(&["migrate", "a.conf/b"])
        .failed(78, "reading a.conf/b: Not a directory");
    let empty = place.run(&["check"]);
    assert_eq!(empty.stdout, "0 of 0 sections usable\n");
    empty.failed(78, "there is no section in a.conf");
}

#[test]
fn readable_files_are_used_and_the_others_are_named() {
    let place = Place::new("[one]\ntype=esx\nserver=a\nusername=u\npassword=p\nowner=o\n");
    place.write(
        "c.conf",
        "[three]\ntype=esx\nserver=c\nusername=u\npassword=p\nowner=o\n",
    );
    // Tests that run as root can read any file, but neither a folder nor a file that is too large.
    let large = fs::File::create(place.0.path().join("b.conf")).unwrap();
    large.set_len(100 << 20).unwrap();
    let reason = "./b.conf: is larger than 4 MiB, the limit for a configuration file";
    for args in [
        &["-c", "."][..],
        &["-c", "a.conf", "-c", "./b.conf", "-c", "c.conf"],
    ] {
        for (action, shown) in [
            (&["list"][..], "three    esx   c"),
            (&["list", "--names"], "one\nthree\n"),
            (&["list", "--json"], "\"section\":\"three\""),
            (&["list", "--names", "--json"], "{\"names\":[\"one\",\"three\"]}"),
        ] {
            let listed = place.run(&[action, args].concat());
            assert!(listed.stdout.contains(shown), "{listed:?}");
            listed.failed(78, reason);
        }
        let checked = place.run(&[&["check"], args].concat());
        assert!(
            checked.stdout.contains(&format!("error: {reason}\n")),
            "{checked:?}"
        );
        assert!(
            checked.stdout.contains("2 of 2 sections usable; try next: "),
            "{checked:?}"
        );
        checked.failed(
            78,
            "2 of 2 sections usable, and 1 file can't be read: fix the errors above",
        );
        place.run(&[&["show", "one"], args].concat()).quiet_success();
        place.run(&[&["show", "two"], args].concat()).failed(78, reason);
    }
}

#[test]
fn one_section_can_be_checked_alone() {
    let place = Place::new(
        "[global]\nintervall=1\n[defaults]\nowner=o\nfoo=1\n[one]\ntype=esx\nserver=a\nusername=u\npassword=p\nexclude_hosts=\n\
         [two]\ntype=exs\nbar=1\nserver=a\n[three]\ntype=esx\nserver=a\nusername=u\npassword=p\n",
    );
    let one = place.run(&["check", "one", "--rhsm-conf", "a.conf"]);
    let said: Vec<&str> = one
        .stdout
        .lines()
        .filter(|line| !line.contains("not registered"))
        .collect();
    assert_eq!(
        said,
        [
            "warning: a.conf:2: [global] intervall: unknown key, so it is ignored (did you mean interval?)",
            "warning: a.conf:5: [defaults] foo: unknown key, so it is ignored",
            "warning: a.conf:8: [one] server: is also in [three], with the same destination: hosts are reported twice \
             unless filters keep them apart",
            "warning: a.conf:11: [one] exclude_hosts: is empty, so it counts as not set; give it a value, or remove the line",
            "1 of 1 sections usable; try next: vw-scan-esx -n one | vw-filter -n one",
        ]
    );
    assert_eq!((one.status, &*one.stderr), (0, ""));
    let two = place.json(&["check", "two", "--json"]);
    assert_eq!(
        two["sections"],
        json!([{"section": "two", "type": "exs", "usable": false}])
    );
    place.run(&["check", "two"]).failed(78, "0 of 1 sections usable");
    place.run(&["check", "thre"]).failed(
        78,
        "there is no section [thre] (did you mean three?); there are one, two, three",
    );
    place.run(&["show", "thre"]).failed(78, "(did you mean three?)");
    // A broken section can be checked, but not shown.
    place.write("a.conf", "[one]\nno value\n");
    let broken = place.run(&["check", "one"]);
    assert!(
        broken.stdout.starts_with("error: a.conf:2: [one] the line"),
        "{broken:?}"
    );
}

#[test]
fn findings_come_in_the_order_of_files_and_lines() {
    let place = Place::new(
        "[defaults]\nowner=o\n[globl]\nx=1\n[one]\nforbidden=1\ntype=esx\nserver=:1\nfoo=1\nusername=\n",
    );
    place.write(
        "b.conf",
        "[two]\nfoo=1\ntype=exs\nenv=a # b\n[global]\ndebug=maybe\n",
    );
    place.write("rhsm.conf", "[server]\nhostname=c\ninsecure=1\n");
    let checked = place.run(&[
        "check",
        "-c",
        "b.conf",
        "-c",
        "a.conf",
        "--rhsm-conf",
        "rhsm.conf",
    ]);
    let places: Vec<&str> = checked
        .stdout
        .lines()
        .filter_map(|line| line.split_once(": ")?.1.split_once(": ").map(|(place, _)| place))
        .filter(|place| place.contains(".conf:"))
        .collect();
    let mut in_order = places.clone();
    in_order.sort_by_key(|place| {
        let (file, line) = place.split_once(':').unwrap();
        let file = ["b.conf", "a.conf", "rhsm.conf"]
            .iter()
            .position(|name| *name == file)
            .unwrap();
        (file, line.parse::<usize>().unwrap())
    });
    assert_eq!(places, in_order);
    assert!(
        places.len() >= 9 && places.last() == Some(&"rhsm.conf:3"),
        "{places:?}"
    );
    // A mistake in a file that both sections use is reported once.
    assert_eq!(checked.stdout.matches("rhsm.conf:3: ").count(), 1);
    assert!(
        checked.stdout.contains(
            "warning: rhsm.conf:3: [server] insecure: Candlepin's certificate is not verified; use rhsm_cacert or \
             rhsm_thumbprint instead"
        ),
        "{checked:?}"
    );
    assert!(
        checked
            .stdout
            .contains("a.conf:3: [globl] is the section of a source; did you mean [global]?"),
        "{checked:?}"
    );
    let shown = place
        .run(&["show", "one", "--rhsm-conf", "rhsm.conf"])
        .quiet_success();
    assert!(
        shown.contains("rhsm_hostname    c                            rhsm.conf:2"),
        "{shown}"
    );
    place.write("rhsm.conf", "[server]\nport=x\n");
    let checked = place.run(&["check", "--rhsm-conf", "rhsm.conf"]).stdout;
    assert_eq!(
        checked
            .matches("error: rhsm.conf:2: [server] port: 'x' is not a port")
            .count(),
        1,
        "{checked}"
    );
}

#[test]
fn an_empty_optional_key_does_not_keep_a_section_from_being_used() {
    let empty: String = [
        "encrypted_password",
        "exclude_hosts",
        "exclude_host_parents",
        "rhsm_hostname",
        "rhsm_port",
        "rhsm_password",
        "rhsm_encrypted_password",
        "hypervisor_id",
        "sat_server",
        "filter_type",
        "cacert",
        "thumbprint",
        "insecure",
        "proxy",
    ]
    .map(|key| format!("{key}=\n"))
    .concat();
    let place = Place::new(&esx(&empty));
    let (findings, summary, status) = place.findings();
    assert_eq!((findings.len(), status), (14, 0), "{findings:#?}");
    assert!(
        findings
            .iter()
            .all(|line| line.contains(": is empty, so it counts as not set"))
    );
    assert!(summary.starts_with("1 of 1 sections usable"), "{summary}");
    let filtered = Run::new(env!("CARGO_BIN_EXE_vw-filter"))
        .args(["-n", "prod", "--no-omitted"])
        .folder(place.0.path())
        .env("VW_CONFIG", "a.conf")
        .stdin("{\"hypervisors\":[{\"uuid\":\"a\",\"guests\":[]}]}")
        .run();
    assert_eq!(filtered.status, 0, "{filtered:?}");
    assert!(filtered.stdout.contains("\"uuid\":\"a\""), "{filtered:?}");
    assert!(
        filtered
            .stderr
            .contains("warning: a.conf:8: [prod] exclude_hosts: is empty, so it counts as not set"),
        "{filtered:?}"
    );
}

#[test]
fn a_thousand_sections_are_no_trouble() {
    let sections: String = (0..1000)
        .map(|n| {
            esx("")
                .replace("prod", &format!("s{n}"))
                .replace("=vc", &format!("=vc{n}"))
        })
        .collect();
    let place = Place::new(&sections);
    let (findings, summary, status) = place.findings();
    assert_eq!(findings, [""; 0]);
    assert!(summary.starts_with("1000 of 1000 sections usable"), "{summary}");
    assert_eq!(status, 0);
    assert_eq!(
        place.run(&["list", "--names"]).quiet_success().lines().count(),
        1000
    );
}
