//! vw-config as its users meet it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Outcome, Run};

/// A folder with a configuration in `a.conf`, in which the command runs.
struct Place(TempDir);

impl Place {
    fn new(text: &str) -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        place.write("a.conf", text);
        place
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.0.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn command(&self, args: &[&str]) -> Run {
        Run::new(env!("CARGO_BIN_EXE_vw-config"))
            .args(args)
            .folder(self.0.path())
            .env("VW_CONFIG", "a.conf")
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.command(args).run()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.run(args).stdout).unwrap()
    }

    /// What `check` says, without the summary.
    fn findings(&self) -> (Vec<String>, String, i32) {
        let checked = self.run(&["check"]);
        let mut lines: Vec<String> = checked.stdout.lines().map(str::to_owned).collect();
        let summary = lines.pop().unwrap();
        // Whether the machine of the tests is registered is not ours to say.
        lines.retain(|line| !line.contains("not registered"));
        (lines, summary, checked.status)
    }
}

const TWO: &str = "[global]\nlog_dir=.\nreporter_id=me\n[defaults]\nowner=ACME\npassword=s3cret\n[prod]\ntype=esx\n\
                   server=vc.example.com\nusername=root\nencrypted_password=00\nfilter_host_uuids=a, b\n\
                   [old]\ntype=esx\nserver=https://sat-vc/\nusername=root\nsat_server=sat\nsat_username=u\nsat_password=p%%\n";

#[test]
fn sections_are_listed() {
    let place = Place::new(&format!("{TWO}[broken]\nno value\n"));
    assert_eq!(
        place.run(&["list"]).quiet_success(),
        "SECTION  TYPE    SERVER           REPORTED TO      FILE\n\
         prod     esx     vc.example.com   owner ACME       a.conf:7\n\
         old      esx     https://sat-vc/  Satellite 5 sat  a.conf:13\n\
         broken   broken  -                -                a.conf:20\n"
    );
    assert_eq!(
        place.run(&["list", "--names"]).quiet_success(),
        "prod\nold\nbroken\n"
    );
    assert_eq!(
        place.json(&["list", "--names", "--json"]),
        json!({"names": ["prod", "old", "broken"]})
    );
    let listed = place.json(&["--json", "list"]);
    assert_eq!(
        listed["sections"][0],
        json!({"section": "prod", "type": "esx", "server": "vc.example.com", "owner": "ACME", "sat_server": null,
               "file": "a.conf", "line": 7, "broken": null})
    );
    assert!(
        listed["sections"][2]["broken"]
            .as_str()
            .unwrap()
            .starts_with("a.conf:21: [broken]")
    );
    assert_eq!(Place::new("").run(&["list", "--names"]).quiet_success(), "");
}

#[test]
fn what_is_in_force_is_shown_with_its_origin_and_no_secret() {
    let place = Place::new(TWO);
    let shown = place.run(&["show", "prod"]).quiet_success();
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key));
        let words: Vec<&str> = line
            .unwrap_or_else(|| panic!("{key}: {shown}"))
            .split("  ")
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        words[1..].join("|")
    };
    assert!(shown.starts_with("[prod]\n"));
    assert_eq!(line("server"), "vc.example.com|a.conf:9");
    assert_eq!(line("owner"), "ACME|a.conf:5 [defaults]");
    assert_eq!(line("filter_hosts"), "a, b|a.conf:12");
    assert_eq!(line("encrypted_password"), "(redacted)|a.conf:11");
    assert_eq!(line("hypervisor_id"), "uuid|built-in");
    assert_eq!(line("reporter_id"), "me|a.conf:3");
    assert!(
        !shown.contains("\npassword"),
        "the encrypted one beats it: {shown}"
    );

    let all = shown + &place.run(&["show", "old", "--json"]).quiet_success();
    assert!(!all.contains("s3cret") && !all.contains("p%"), "{all}");
    let keys = place.json(&["show", "old", "--json"])["keys"].clone();
    let key = |name: &str| {
        let found = keys.as_array().unwrap().iter().find(|key| key["key"] == name);
        found.unwrap().clone()
    };
    assert_eq!(
        key("sat_password"),
        json!({"key": "sat_password", "value": null, "error": null, "secret": true, "origin": "section",
               "file": "a.conf", "line": 19})
    );
    assert_eq!(key("password")["origin"], "defaults");
    assert_eq!(key("hypervisor_id")["line"], Value::Null);
    place
        .run(&["show", "none"])
        .failed(78, "there is no section [none]; there are prod, old");
    place.run(&["show"]).failed(78, "choose one with -n: prod, old");
    Place::new("")
        .run(&["show"])
        .failed(78, "there is no section in a.conf");
}

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
fn what_would_go_wrong_is_said_before_it_does() {
    // Each configuration, and the end or all of its only finding.
    let table = [
        (
            esx("foo=1"),
            "warning: a.conf:7: [prod] foo: is a key that no command knows, so it is ignored",
        ),
        (
            esx("env=x ; y"),
            "warning: a.conf:7: [prod] env: ' ;' and what follows it belong to the value",
        ),
        (esx("type=exs"), "'exs' is no type that is known"),
        (
            esx("type=xen"),
            "error: a.conf:7: [prod] type: xen is not supported: there is no command vw-scan-xen in PATH",
        ),
        (esx("server=vc:port"), "error: a.conf:7: [prod] server: "),
        (
            esx("hypervisor_id=moref"),
            "'moref' is not uuid, hostname or hwuuid",
        ),
        (esx("owner="), "error: a.conf:7: [prod] owner: is empty"),
        (esx("password="), "error: a.conf:7: [prod] password: is empty"),
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
            "error: a.conf:8: [prod] filter_hosts: has \"*x\", which is no regular",
        ),
        (esx("filter_type=glob"), "is neither wildcards nor regex"),
        (
            esx("exclude_hosts=esx1.example.com"),
            "'esx1.example.com' is no uuid, but the ids are uuids",
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
        (esx("env=%(env)s"), "stand for each other"),
        (
            esx("[two]\ntype=esx\nserver=https://VC/\nusername=u\npassword=p\nowner=o"),
            "warning: a.conf:9: [two] server: is that of [prod], too, with the same destination",
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
            "warning: a.conf:8: [global] bar: is a key that no command knows",
        ),
        (
            esx("[]\nx=1\n"),
            "warning: a.conf:7: the line is no section's header",
        ),
        (
            esx("owner o"),
            "error: a.conf:7: [prod] the line is neither a [section] nor 'key = value'",
        ),
        (esx("env=a\0b"), "error: a.conf:7: [prod] the line has a NUL byte"),
    ];
    for (text, expected) in table {
        let place = Place::new(&text);
        let outcome = place.command(&["check", "--key-file", "gone"]).run();
        let said: Vec<&str> = outcome
            .stdout
            .lines()
            .filter(|line| line.contains(": ") && !line.contains("not registered"))
            .filter(|line| !line.contains("stands twice") && !line.contains("sections usable"))
            .collect();
        assert!(
            said.len() == 1 && said[0].contains(expected),
            "{text}\n{said:#?}\n{expected}"
        );
        let is_error = said[0].starts_with("error: ");
        assert_eq!(outcome.status, if is_error { 78 } else { 0 }, "{text}");
        if is_error {
            outcome.failed(78, "sections usable: mend what the errors name");
        }
        let json = place.json(&["check", "--json", "--key-file", "gone"]);
        let level = if is_error { "error" } else { "warning" };
        let messages = json["messages"].as_array().unwrap();
        assert!(messages.iter().any(|message| message["level"] == level), "{json}");
    }
}

#[test]
fn files_that_can_not_be_used_are_named() {
    let place = Place::new("");
    fs::create_dir(place.0.path().join("folder")).unwrap();
    let large = fs::File::create(place.0.path().join("large")).unwrap();
    large.set_len(100 << 20).unwrap();
    for (file, words) in [
        ("folder", "folder: is a directory"),
        ("large", "is larger than 4 MiB"),
        ("gone", "reading gone: No such file"),
        ("a.conf/b", "reading a.conf/b: Not a directory"),
    ] {
        for action in ["check", "list", "show"] {
            place.run(&[action, "-c", file]).failed(78, words);
        }
        if file != "large" {
            place.run(&["migrate", file]).failed(78, words);
        }
    }
    let empty = place.run(&["check"]);
    assert_eq!(empty.stdout, "0 of 0 sections usable\n");
    empty.failed(78, "there is no section in a.conf");
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

const SYSCONFIG: &str = "# General options\nVIRTWHO_DEBUG=1\nVIRTWHO_INTERVAL=60\nVIRTWHO_SATELLITE6=1\nVIRTWHO_SATELLITE5=0\n\
                         VIRTWHO_ESX=1\nVIRTWHO_ESX_SERVER=esx.example.com\nVIRTWHO_ESX_USERNAME='DOM\\admin'\n\
                         VIRTWHO_ESX_PASSWORD='\"50%\"'\nVIRTWHO_ESX_OWNER=owner\nVIRTWHO_ESX_ENV=env\n";

#[test]
fn the_first_configuration_is_migrated() {
    let place = Place::new("");
    place.write("virt-who", SYSCONFIG);
    let migrated = place.run(&["migrate", "virt-who", "-q"]).quiet_success();
    assert_eq!(
        migrated,
        "[global]\ndebug=1\ninterval=60\n\n[esx]\nenv=env\nowner=owner\npassword='\"50%%\"'\nserver=esx.example.com\n\
         sm_type=sam\ntype=esx\nusername=DOM\\admin\n"
    );
    place.write("a.conf", &migrated);
    let (findings, _, status) = place.findings();
    assert_eq!((findings, status), (vec![], 0));
    let json = place.json(&["migrate", "virt-who", "--json"]);
    assert_eq!(json["esx"]["password"], "\"50%\"");
    assert_eq!(json["global"]["interval"], "60");

    place.write("virt-who", "VIRTWHO_LIBVIRT=1\nVIRTWHO_ESX_SERVER=$HOST\n");
    let nothing = place.run(&["migrate", "virt-who"]);
    assert_eq!((nothing.status, &*nothing.stdout), (0, ""));
    for words in [
        "virt-who:1: VIRTWHO_LIBVIRT: is not supported",
        "virt-who:2: VIRTWHO_ESX_SERVER: has a $",
        "has nothing to migrate",
    ] {
        assert!(nothing.stderr.contains(words), "{}", nothing.stderr);
    }
}

#[test]
fn variables_of_a_sourced_file_are_a_section() {
    let place = Place::new("");
    place.write("virt-who", SYSCONFIG);
    let shell = |command: &str| {
        let path = Path::new(env!("CARGO_BIN_EXE_vw-config")).parent().unwrap();
        let script = format!("set -a; . ./virt-who; PATH={}:$PATH; {command}", path.display());
        Run::new("sh")
            .args(["-c", &script])
            .folder(place.0.path())
            .env("VW_CONFIG", "a.conf")
            .run()
    };
    let shown = shell("vw-config show -q").quiet_success();
    assert!(shown.starts_with("[(environment)]\n"), "{shown}");
    assert!(shown.contains("server           esx.example.com"), "{shown}");
    let checked = shell("vw-config check -q").quiet_success();
    assert!(
        checked.ends_with("1 of 1 sections usable; try next: vw-scan-esx\n"),
        "{checked}"
    );
    // The scan takes its server from there, and a named section instead of it.
    let scanned = shell("VIRTWHO_ESX_SERVER=:1 vw-scan-esx -q");
    scanned.failed(78, "VIRTWHO_ESX_SERVER: ");
    place.write("a.conf", "[prod]\ntype=esx\nserver=:2\n[two]\ntype=esx\n");
    shell("vw-scan-esx -q -n prod").failed(78, "a.conf:3: [prod] server: ");
    shell("VIRTWHO_ESX_SERVER=:1 vw-scan-esx -q").failed(78, "VIRTWHO_ESX_SERVER: ");
    shell("VIRTWHO_ESX=0 vw-scan-esx -q").failed(78, "several sections fit: choose one with -n: prod, two");
    shell("vw-scan-esx -q -c a.conf").failed(78, "several sections fit");
    shell("vw-scan-esx -q -n three").failed(78, "there is no section [three]; there are prod, two");
}

#[test]
fn global_directs_the_messages_of_each_command() {
    let place = Place::new("[global]\nlog_dir=.\nlog_file=all.log\n[prod]\ntype=esx\nserver=:2\n");
    let scan = |options: &[&str]| {
        Run::new(env!("CARGO_BIN_EXE_vw-scan-esx"))
            .args(["-n", "prod"])
            .args(options)
            .folder(place.0.path())
            .env("VW_CONFIG", "a.conf")
    };
    // Behind the time, the process and the section there is what stderr says.
    let read = |name: &str| {
        let text = fs::read_to_string(place.0.path().join(name)).unwrap();
        let lines = text.lines().map(|line| {
            let (about, message) = line.split_once(":prod - ").unwrap();
            assert!(about.contains(" [ERROR] vw-scan-esx:"), "{line}");
            format!("vw-scan-esx: {message}\n")
        });
        lines.collect::<String>()
    };
    let said = scan(&[]).run().stderr;
    assert!(
        said.starts_with("vw-scan-esx: a.conf:6: [prod] server: "),
        "{said}"
    );
    assert_eq!(read("all.log"), said);
    scan(&["--log-file", "own.log"]).run();
    assert_eq!(read("own.log"), said);
    assert_eq!(read("all.log"), said);
    // A variable is above the file.
    scan(&[]).env("VIRTWHO_LOG_FILE", "variable.log").run();
    assert_eq!(read("variable.log"), said);
    scan(&[]).env("VIRTWHO_LOG_PER_CONFIG", "1").run();
    assert_eq!(read("prod.log"), said);
    let said = scan(&[]).env("VIRTWHO_LOG_DIR", "gone").run().stderr;
    assert!(
        said.contains("warning: the log file gone/all.log: No such file"),
        "{said}"
    );

    place.write(
        "a.conf",
        "[global]\ndebug=yes\n[prod]\ntype=esx\nserver=:2\n[b]\nx=\n[b]\n[b]\nx=1\nx=2\n",
    );
    assert!(scan(&[]).run().stderr.contains("debug: "));
    assert!(!scan(&["-q"]).run().stderr.contains("debug: "));
}

#[test]
fn the_proxies_of_system_environment_count() {
    let place = Place::new(
        "[system_environment]\nHTTPS_PROXY=socks5://proxy\n[prod]\ntype=esx\nserver=vc\nusername=u\npassword=p\n",
    );
    let scan = |server: &str| {
        Run::new(env!("CARGO_BIN_EXE_vw-scan-esx"))
            .args(["-n", "prod", "--timeout", "1", "--server", server])
            .folder(place.0.path())
            .env("VW_CONFIG", "a.conf")
            .run()
    };
    scan("vc").failed(
        78,
        "HTTPS_PROXY in [system_environment] is not usable: only http:// proxies",
    );
    // Nobody listens there; http goes without that proxy.
    scan("http://127.0.0.1:1/").failed_at_last(75, "127.0.0.1");
}

#[test]
fn wrong_options_are_told() {
    let place = Place::new("");
    place.run(&[]).failed(64, "<ACTION>");
    place.run(&["lst"]).failed(64, "'lst'");
    place.run(&["list", "x"]).failed(64, "list takes no argument");
    place.run(&["check", "--names"]).failed(64, "--names is for list");
}

#[test]
fn each_key_and_variable_is_explained_in_the_manual() {
    use vw::config::{keys, sysconfig};
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/vw-virt-who.7")).unwrap();
    let items: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It "))
        .flat_map(|line| line.split(", "))
        .collect();
    let known = keys::SECTION.iter().chain(&keys::GLOBAL).copied();
    for name in known.chain(sysconfig::names()) {
        assert!(items.contains(&name), "{name}");
    }
}
