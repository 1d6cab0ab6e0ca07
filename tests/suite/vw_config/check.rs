//! `vw-config check`: what it finds, and where.

use std::fs;

use serde_json::json;

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

/// A section that is fine, with more lines.
fn esx(lines: &str) -> String {
    format!("[prod]\ntype=esx\nserver=vc\nusername=u\npassword=p\nowner=o\n{lines}\n")
}

#[test]
fn check_finds_each_mistake_with_file_and_line() {
    // Each configuration, and the end or all of its only finding.
    let table = [
        (
            esx("foo=1"),
            "warning: a.conf:7: [prod] foo: unknown key, so it is ignored",
        ),
        (
            esx("servre=1"),
            "warning: a.conf:7: [prod] servre: unknown key, so it is ignored (did you mean server?)",
        ),
        (
            esx("[default]\ntype=esx\nserver=b\nowner=o\nusername=u\npassword=p\n[global]\nintervall=60\n"),
            "warning: a.conf:14: [global] intervall: unknown key, so it is ignored (did you mean interval?)",
        ),
        (
            esx("env=x ; y"),
            "warning: a.conf:7: [prod] env: ' ;' and the text after it are part of the value (virt-who on Python 2 cut it off); \
             put a comment on a line of its own",
        ),
        (
            esx("sat_password=abc # note"),
            "warning: a.conf:7: [prod] sat_password: ' #' and the text after it are part of the value; put a comment on a line of \
             its own, or the whole value in quotes if this is no comment",
        ),
        (esx("type=exs"), "'exs' is an unknown type"),
        (
            esx("type=xen"),
            "error: a.conf:7: [prod] type: xen is not supported: there is no command vw-scan-xen in PATH",
        ),
        (esx("server=vc:port"), "error: a.conf:7: [prod] server: "),
        (
            esx("hypervisor_id=moref"),
            "'moref' is not uuid, hostname or hwuuid",
        ),
        (
            esx("owner=.."),
            "error: a.conf:7: [prod] owner: is \"..\": it would be read as a folder",
        ),
        (esx("owner="), "error: a.conf:7: [prod] owner: is empty"),
        (
            esx("encrypted_password="),
            "warning: a.conf:7: [prod] encrypted_password: is empty, so it counts as not set; give it a value, or remove the line",
        ),
        (
            esx("exclude_host_parents="),
            "warning: a.conf:7: [prod] exclude_host_parents: is empty, so it counts as not set",
        ),
        (
            esx("rhsm_hostname="),
            "warning: a.conf:7: [prod] rhsm_hostname: is empty, so it counts as not set",
        ),
        (
            esx("is_hypervisor=maybe"),
            "warning: a.conf:7: [prod] is_hypervisor: is ignored, because the type is not fake",
        ),
        (
            "[a]\ntype=fake\nowner=o\nfile=a.conf\nis_hypervisor=maybe\n".to_owned(),
            "error: a.conf:5: [a] is_hypervisor: 'maybe' is neither yes nor no",
        ),
        (
            esx("[global]\nlog_dir=logs"),
            "warning: a.conf:8: [global] log_dir: logs does not exist; the first command that writes a log makes it",
        ),
        (
            esx("[global]\nlog_dir=a.conf"),
            "warning: a.conf:8: [global] log_dir: a.conf is not a folder",
        ),
        (
            esx("cacert=gone.pem"),
            "error: a.conf:7: [prod] cacert: gone.pem can't be read",
        ),
        (
            esx("rhsm_cacert=a.conf"),
            "error: a.conf:7: [prod] rhsm_cacert: a.conf has no certificate in PEM format",
        ),
        (
            esx("thumbprint=abcd"),
            "error: a.conf:7: [prod] thumbprint: 'abcd' is not a thumbprint",
        ),
        (
            esx("insecure=maybe"),
            "error: a.conf:7: [prod] insecure: 'maybe' is neither yes nor no",
        ),
        (
            esx("insecure=yes"),
            "warning: a.conf:7: [prod] insecure: the server's certificate is not verified",
        ),
        (
            esx("rhsm_insecure=1"),
            "warning: a.conf:7: [prod] rhsm_insecure: the server's certificate is not verified",
        ),
        (
            esx(&format!(
                "rhsm_thumbprint={0}\nthumbprint={0}\ncacert=cert.pem",
                "ab".repeat(32)
            )),
            "error: a.conf:8: [prod] thumbprint: contradicts cacert in a.conf:9; remove one of them",
        ),
        (
            esx("proxy=socks5://u:s3cret@p"),
            "error: a.conf:7: [prod] proxy: the proxy is not usable: only http:// proxies",
        ),
        (
            esx("proxy=p:1\nproxy_password_file=gone"),
            "error: a.conf:8: [prod] proxy_password_file: gone can't be read",
        ),
        (
            esx("proxy_password_file=a.conf"),
            "warning: a.conf:7: [prod] proxy_password_file: has no effect without the key proxy",
        ),
        (
            esx("rhsm_proxy_hostname="),
            "warning: a.conf:7: [prod] rhsm_proxy_hostname: is empty, so Candlepin is reached without a proxy; remove the \
             line to use the proxy of rhsm.conf or the environment",
        ),
        (
            esx("[system_environment]\nhttps_proxy=https://proxy:3128"),
            "warning: https_proxy in [system_environment] (a.conf:8) says https://, but the proxy proxy:3128 is spoken to without \
             TLS; write http:// instead",
        ),
        (
            esx("rhsm_proxy_user="),
            "warning: a.conf:7: [prod] rhsm_proxy_user: is empty, so the proxy gets no user name",
        ),
        (
            esx("rhsm_prefix="),
            "warning: a.conf:7: [prod] rhsm_prefix: is empty, so it counts as not set",
        ),
        (
            esx("type=ESX").replacen("type=esx\n", "", 1),
            "error: a.conf:6: [prod] type: 'ESX' is an unknown type (did you mean esx?), and there is no command vw-scan-ESX",
        ),
        (
            esx("sat_server=sat\nsat_username=u\nsat_password=p\nsat_thumbprint=x"),
            "error: a.conf:10: [prod] sat_thumbprint: 'x' is not a thumbprint",
        ),
        (
            esx("sat_server=sat\nsat_username=u\nsat_password=p\nsat_insecure=1"),
            "warning: a.conf:10: [prod] sat_insecure: the server's certificate is not verified",
        ),
        (
            esx("sat_server=sat\nsat_username=u\nsat_password=p\nsat_proxy=p:port"),
            "error: a.conf:10: [prod] sat_proxy: the proxy is not usable",
        ),
        (
            esx("encrypted_password=abc"),
            "error: a.conf:7: [prod] encrypted_password: has 3 hexadecimal digits, an odd number",
        ),
        (
            esx("encrypted_password=00112233445566778899aabbccddeeff"),
            "the key file gone does not exist",
        ),
        (
            esx("filter_hosts="),
            "error: a.conf:7: [prod] filter_hosts: is empty",
        ),
        (esx("filter_hosts='a"), "the ' is never closed"),
        (esx("filter_hosts=a\\"), "ends with a backslash"),
        (
            esx("filter_type=regex\nfilter_hosts=*x"),
            "error: a.conf:8: [prod] filter_hosts: has \"*x\", which is not a valid regular",
        ),
        (esx("filter_type=glob"), "is neither wildcards nor regex"),
        (
            esx("exclude_hosts=esx1.example.com"),
            "'esx1.example.com' is not a uuid, but the ids are uuids",
        ),
        (
            esx("hypervisor_id=hostname\nfilter_hosts=564dae86-b20b-0214-0203-dc50d3be0ec2"),
            "is a uuid, but the ids are by hostname: it matches nothing",
        ),
        (
            esx("rhsm_port=x"),
            "error: a.conf:7: [prod] rhsm_port: 'x' is not a port",
        ),
        (esx("rhsm_insecure=maybe"), "'maybe' is neither yes nor no"),
        (
            esx("rhsm_username=u"),
            "warning: a.conf:1: [prod] rhsm_password: is missing",
        ),
        (
            esx("sat_server=sat\nsat_password=p"),
            "error: a.conf:1: [prod] sat_username: is missing",
        ),
        (
            esx("env=%(gone)s"),
            "error: a.conf:7: [prod] env: %(gone)s names a key that the section does not have",
        ),
        (esx("env=%(env)s"), "refer to each other"),
        (
            esx("[two]\ntype=esx\nserver=https://VC/\nusername=u\npassword=p\nowner=o"),
            "warning: a.conf:9: [two] server: is also in [prod], with the same destination",
        ),
        (
            "[a]\nowner=o\n".to_owned(),
            "error: a.conf:1: [a] type: is missing, which means libvirt",
        ),
        (
            "[a]\ntype=fake\nowner=o\nfile=gone\n".to_owned(),
            "error: a.conf:4: [a] file: gone can't be read",
        ),
        (
            "[a]\ntype=fake\nowner=o\n".to_owned(),
            "error: a.conf:1: [a] file: is missing",
        ),
        (
            esx("[global]\ninterval=30"),
            "warning: a.conf:8: [global] interval: '30' is less than 60",
        ),
        (
            esx("[global]\ndebug=maybe\n"),
            "warning: a.conf:8: [global] debug: 'maybe' is neither yes nor no",
        ),
        (
            esx("[global]\nbar=1\n"),
            "warning: a.conf:8: [global] bar: unknown key",
        ),
        (
            esx("[]\nx=1\n"),
            "warning: a.conf:7: the line is not a valid section header",
        ),
        (
            esx("owner o"),
            "error: a.conf:7: [prod] the line is neither a [section] nor 'key = value'",
        ),
        (esx("env=a\0b"), "error: a.conf:7: [prod] the line has a NUL byte"),
    ];
    for (text, expected) in table {
        let place = Place::new(&text);
        place.write("cert.pem", "-----BEGIN CERTIFICATE-----\n");
        let outcome = place.command(&["check", "--key-file", "gone"]).run();
        let said: Vec<&str> = outcome
            .stdout
            .lines()
            .filter(|line| line.contains(": ") && !line.contains("not registered"))
            .filter(|line| !line.contains("is also in line") && !line.contains("sections usable"))
            .collect();
        assert!(
            said.len() == 1 && said[0].contains(expected),
            "{text}\n{said:#?}\n{expected}"
        );
        let is_error = said[0].starts_with("error: ");
        assert_eq!(outcome.status, if is_error { 78 } else { 0 }, "{text}");
        if is_error {
            outcome.failed(78, "sections usable: fix the errors above");
        }
        let json = place.json(&["check", "--json", "--key-file", "gone"]);
        let level = if is_error { "error" } else { "warning" };
        let messages = json["messages"].as_array().unwrap();
        assert!(messages.iter().any(|message| message["level"] == level), "{json}");
    }
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
    // Whoever runs the tests as root can read any file, but no folder, and none that is too large.
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
    // What is wrong with a file that both sections use is said once.
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
