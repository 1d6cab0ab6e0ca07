//! vw-config as its users meet it.

mod check;
mod findings;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Outcome, Run, with_time};

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

    /// The findings of `check`, without the summary.
    fn findings(&self) -> (Vec<String>, String, i32) {
        let checked = self.run(&["check"]);
        let mut lines: Vec<String> = checked.stdout.lines().map(str::to_owned).collect();
        let summary = lines.pop().unwrap();
        // It depends on the machine of the tests whether it is registered.
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
fn show_prints_each_setting_with_its_origin_and_no_secret() {
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
    place
        .run(&["show"])
        .failed(64, "there are several sections; name one of them: prod, old");
    Place::new("")
        .run(&["show"])
        .failed(78, "there is no section in a.conf");
}

/// Someone who may read the configuration but not the key sees the settings in force. An encrypted proxy password needs the key.
#[test]
fn show_needs_only_the_password_of_a_proxy() {
    let lines =
        "[prod]\ntype=esx\nserver=vc\nrhsm_hostname=sat\nrhsm_username=u\nrhsm_encrypted_password=00\n";
    let place = Place::new(lines);
    let to = |place: &Place, args: &[&str]| {
        let shown = place.json(&[&["show", "--json"], args].concat());
        shown["proxies"][1].clone()
    };
    assert_eq!(to(&place, &[])["server"], "sat:443");
    place.write(
        "a.conf",
        &format!(
            "{lines}rhsm_proxy_hostname=p\nrhsm_proxy_user=u\nrhsm_encrypted_proxy_password=e3479dced51d8f33415fa527767f7af6\n"
        ),
    );
    place.write(
        "key",
        "000102030405060708090a0b0c0d0e0f\nf0e0d0c0b0a090807060504030201000\n",
    );
    let missing = to(&place, &["--key-file", "gone"]);
    assert!(
        missing["error"]
            .as_str()
            .unwrap()
            .contains("the key file gone does not exist"),
        "{missing}"
    );
    assert_eq!(to(&place, &["--key-file", "key"])["proxy"], "http://p:3128");
}

const HIDDEN: &str = "[defaults]\nrhsm_pass=s3cret\n[prod]\ntype=esx\nserver=esx://root:s3c/s3cret@vc.example.com/?proxy=u:s3cret@p\n\
                      pasword=s3cret\npasswd=s3cret\nunknown=s3cret\nowner=o\nproxy=http://u:s3cret@p:x\n\
                      sat_server=http://sat:s3cret@sat/\nhypervisor_id=http://u:s3cret@h\nthumbprint=u:s3cret@h\n\
                      rhsm_port=u:s3cret@h\nfilter_type=u:s3cret@h\nfilter_hosts=u:s3cret@h/(\nusername=root\n  password=s3cret\n\
                      [bad]\ntype=u:s3cret@h\nfile=u:s3cret@h\nserver=https://root:s3c/s3cret@vc\nusername=u\nowner=o\n\
                      rhsm_cacert=u:s3cret@h\nrhsm_hostname=http://root:s3cret@h\n[fake]\ntype=fake\nowner=o\n\
                      file=http://u:s3cret@h\nis_hypervisor=u:s3cret@h\n[global]\nlog_dir=u:s3cret@h\ninterval=u:s3cret@h\n\
                      debug=u:s3cret@h\npaswd=s3cret\n";

#[test]
fn no_secret_is_shown_wherever_it_is_written() {
    let place = Place::new(HIDDEN);
    let mut said = Vec::new();
    for args in [
        &["list"][..],
        &["list", "--json"],
        &["show", "prod"],
        &["show", "prod", "--json"],
        &["show", "bad"],
        &["show", "fake", "-d"],
        &["check", "-d"],
        &["check", "--json"],
        &["check", "bad"],
    ] {
        let outcome = place.run(args);
        said.push(outcome.stdout + &outcome.stderr);
    }
    // The messages of the commands that use the section.
    for program in [
        env!("CARGO_BIN_EXE_vw-scan-esx"),
        env!("CARGO_BIN_EXE_vw-scan-fake"),
        env!("CARGO_BIN_EXE_vw-filter"),
        env!("CARGO_BIN_EXE_vw-report-candlepin"),
        env!("CARGO_BIN_EXE_vw-report-sat5"),
    ] {
        for name in ["prod", "bad", "fake"] {
            let run = Run::new(program).args(["-d", "-n", name]).folder(place.0.path());
            let outcome = run.env("VW_CONFIG", "a.conf").stdin("{\"hypervisors\":[]}").run();
            said.push(outcome.stdout + &outcome.stderr);
        }
    }
    for program in [env!("CARGO_BIN_EXE_vw-scan-esx"), env!("CARGO_BIN_EXE_vw-config")] {
        let outcome = Run::new(program)
            .args(["list", "esx://root:s3cret@vc", "-n=http://u:s3cret@p"])
            .run();
        outcome.failed(64, "");
        said.push(outcome.stderr);
    }
    for said in &said {
        assert!(!said.is_empty() && !said.contains("s3c"), "{said}");
    }
    let shown = &said[2];
    for line in [
        "server         esx://root:(redacted)@p  ",
        "pasword        (redacted)  ",
        "unknown        (redacted)  ",
        "username       root, password=(redacted)  ",
        "rhsm_pass      (redacted)  ",
    ] {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words(shown).contains(&words(line)), "{line}\n{shown}");
    }
    let keys = place.json(&["show", "prod", "--json"])["keys"].clone();
    let unknown = keys
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["key"] == "unknown")
        .unwrap();
    assert_eq!(
        (&unknown["value"], &unknown["secret"]),
        (&Value::Null, &json!(true))
    );
}

#[test]
fn without_any_configuration_the_error_names_the_places_and_what_to_do() {
    let place = Place::new("");
    let empty = place.0.path().join("none");
    fs::create_dir(&empty).unwrap();
    let said = "there is no configuration file (looked for none/*.conf); ";
    let advice = "write a configuration file, or name one with -c\n";
    for (program, args) in [
        (env!("CARGO_BIN_EXE_vw-scan-esx"), &[][..]),
        (env!("CARGO_BIN_EXE_vw-scan-esx"), &["-n", "prod"]),
        (env!("CARGO_BIN_EXE_vw-scan-fake"), &[]),
        (env!("CARGO_BIN_EXE_vw-report-candlepin"), &[]),
        (env!("CARGO_BIN_EXE_vw-report-sat5"), &[]),
        (env!("CARGO_BIN_EXE_vw-config"), &["check"]),
        (env!("CARGO_BIN_EXE_vw-config"), &["show"]),
        (env!("CARGO_BIN_EXE_vw-config"), &["show", "prod"]),
    ] {
        let run = Run::new(program).args(args).folder(place.0.path());
        let outcome = run.env("VW_CONFIG", "none").run();
        outcome.failed(78, said);
        assert!(outcome.stderr.ends_with(advice), "{outcome:?}");
    }
    // The machine of the tests may have a configuration in the usual places. If not, they are named.
    if !Path::new("/etc/virt-who.conf").exists() && !Path::new("/etc/virt-who.d").exists() {
        let run = Run::new(env!("CARGO_BIN_EXE_vw-scan-esx")).run();
        run.failed(78, "looked for /etc/virt-who.conf and /etc/virt-who.d/*.conf");
    }
}

#[test]
fn a_server_without_a_user_says_that_the_user_is_missing() {
    let place =
        Place::new("[a]\ntype=esx\nowner=o\n[b]\ntype=esx\nowner=o\n[c]\nsat_server=c\n[d]\nsat_server=d\n");
    let run = |program: &str, args: &[&str]| {
        let run = Run::new(program).args(args).folder(place.0.path());
        run.env("VW_CONFIG", "a.conf").run()
    };
    run(env!("CARGO_BIN_EXE_vw-scan-esx"), &["--server", "vc"]).failed(
        78,
        "--server without --username: add that, or choose a section with -n: a, b",
    );
    run(env!("CARGO_BIN_EXE_vw-report-sat5"), &["--server", "sat"]).failed(
        78,
        "--server without --username: add that, or choose a section with -n: c, d",
    );
    let candlepin = |args: &[&str]| run(env!("CARGO_BIN_EXE_vw-report-candlepin"), args);
    candlepin(&["--server", "c"]).failed(
        78,
        "--server without --owner and --username: add that, or choose a section with -n: a, b",
    );
    candlepin(&["--server", "c", "-u", "me"]).failed(78, "--server without --owner: add that");
    candlepin(&["-u", "me"]).failed(78, "several sections fit: a, b; choose one with -n");
    // Without a section, the error names the option.
    place.write("a.conf", "[x]\ntype=fake\n");
    run(env!("CARGO_BIN_EXE_vw-scan-esx"), &["--server", "vc"]).failed(
        78,
        "username: is missing, and none of x fits; give --username, or choose a section that has it with -n",
    );
    // The only matching section provides the account.
    place.write("a.conf", "[x]\ntype=esx\nserver=vc\nusername=u\n");
    run(env!("CARGO_BIN_EXE_vw-scan-esx"), &["--server", ":1"]).failed(64, "--server: ");
}

const SYSCONFIG: &str = "# General options\nVIRTWHO_DEBUG=1\nVIRTWHO_INTERVAL=60\nVIRTWHO_SATELLITE6=1\nVIRTWHO_SATELLITE5=0\n\
                         VIRTWHO_ESX=1\nVIRTWHO_ESX_SERVER=esx.example.com\nVIRTWHO_ESX_USERNAME='DOM\\admin'\n\
                         VIRTWHO_ESX_PASSWORD='\"50%\"'\nVIRTWHO_ESX_OWNER=owner\nVIRTWHO_ESX_ENV=env\n";

#[test]
fn a_sysconfig_file_is_migrated() {
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

    place.write(
        "virt-who",
        "VIRTWHO_BACKGROUND=1\nhttp_proxy=http://u:50%@proxy:3128\nhttps_proxy=proxy\nNO_PROXY=.example.com\nLANG=C\n",
    );
    let migrated = place.run(&["migrate", "virt-who"]);
    assert_eq!(
        (migrated.status, &*migrated.stdout),
        (
            0,
            "[system_environment]\nhttp_proxy=http://u:50%%@proxy:3128\nhttps_proxy=proxy\nno_proxy=.example.com\n"
        )
    );
    for words in [
        "warning: virt-who:1: VIRTWHO_BACKGROUND: is ignored: systemd or cron runs the commands",
        "warning: virt-who:5: LANG: is ignored: no command uses it",
        "vw-config: the output contains a password: chmod 600 the file that you redirect it to",
    ] {
        assert!(migrated.stderr.contains(words), "{}", migrated.stderr);
    }
    let json = place.json(&["migrate", "virt-who", "--json"]);
    assert_eq!(
        json["system_environment"]["http_proxy"],
        "http://u:50%@proxy:3128"
    );

    place.write("virt-who", "VIRTWHO_LIBVIRT=1\nVIRTWHO_ESX_SERVER=$HOST\n");
    let nothing = place.run(&["migrate", "virt-who"]);
    assert_eq!((nothing.status, &*nothing.stdout), (0, ""));
    for words in [
        "virt-who:1: VIRTWHO_LIBVIRT: is not supported",
        "virt-who:2: VIRTWHO_ESX_SERVER: has a $",
        "nothing to migrate",
    ] {
        assert!(nothing.stderr.contains(words), "{}", nothing.stderr);
    }
}

#[test]
fn the_variables_of_a_sourced_sysconfig_file_are_a_section() {
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
    // The scan takes its server from the variables, unless a section is named.
    let scanned = shell("VIRTWHO_ESX_SERVER=:1 vw-scan-esx -q");
    scanned.failed(78, "VIRTWHO_ESX_SERVER: ");
    place.write("a.conf", "[prod]\ntype=esx\nserver=:2\n[two]\ntype=esx\n");
    shell("vw-scan-esx -q -n prod").failed(78, "a.conf:3: [prod] server: ");
    shell("VIRTWHO_ESX_SERVER=:1 vw-scan-esx -q").failed(78, "VIRTWHO_ESX_SERVER: ");
    shell("VIRTWHO_ESX=0 vw-scan-esx -q").failed(78, "several sections fit: prod, two; choose one with -n");
    shell("vw-scan-esx -q -c a.conf").failed(78, "several sections fit");
    shell("vw-scan-esx -q -n three").failed(78, "there is no section [three]; there are prod, two");
}

#[test]
fn the_global_section_sets_log_file_and_debug_for_each_command() {
    let place = Place::new("[global]\nlog_dir=.\nlog_file=all.log\n[prod]\ntype=esx\nserver=:2\n");
    let scan = |options: &[&str]| {
        Run::new(env!("CARGO_BIN_EXE_vw-scan-esx"))
            .args(["-n", "prod"])
            .args(options)
            .folder(place.0.path())
            .env("VW_CONFIG", "a.conf")
    };
    // After time, process and section, the line is the same as on stderr.
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
    // A variable overrides the file.
    scan(&[]).env("VIRTWHO_LOG_FILE", "variable.log").run();
    assert_eq!(read("variable.log"), said);
    scan(&[]).env("VIRTWHO_LOG_PER_CONFIG", "1").run();
    assert_eq!(read("prod.log"), said);
    // A missing folder is created, as in virt-who.
    scan(&[]).env("VIRTWHO_LOG_DIR", "made/deep").run();
    assert_eq!(read("made/deep/all.log"), said);
    let said = scan(&[]).env("VIRTWHO_LOG_DIR", "all.log/x").run().stderr;
    assert!(said.contains("warning: log file all.log/x/all.log: "), "{said}");

    place.write(
        "a.conf",
        "[global]\ndebug=yes\n[prod]\ntype=esx\nserver=:2\n[b]\nx=\n[b]\n[b]\nx=1\nx=2\n",
    );
    assert!(scan(&[]).run().stderr.contains("debug: "));
    assert!(!scan(&["-q"]).run().stderr.contains("debug: "));
}

#[test]
fn the_proxies_of_system_environment_are_used() {
    let place = Place::new(
        "[system_environment]\nHTTPS_PROXY=socks5://proxy\n[prod]\ntype=esx\nserver=vc\nusername=u\npassword=p\n",
    );
    let scan = |server: &str, limit: &str| {
        Run::new(env!("CARGO_BIN_EXE_vw-scan-esx"))
            .args(["-n", "prod", "--timeout", limit, "--server", server])
            .folder(place.0.path())
            .env("VW_CONFIG", "a.conf")
            .run()
    };
    scan("vc", "60").failed(
        78,
        "HTTPS_PROXY in [system_environment] (a.conf:2) is not usable: only http:// proxies",
    );
    // Nobody listens there, so the scan would fail if it used that proxy.
    let outcome = with_time(&["127.0.0.1"], |limit| scan("http://127.0.0.1:1/", limit));
    outcome.failed_at_last(75, "127.0.0.1");
}

#[test]
fn wrong_options_are_named_in_one_line() {
    let place = Place::new("");
    place.run(&[]).failed(64, "<ACTION>");
    place.run(&["lst"]).failed(64, "'lst'");
    place.run(&["list", "x"]).failed(64, "list takes no argument");
    place.run(&["check", "--rhsm-conf"]).failed(64, "--rhsm-conf");
    place
        .run(&["check", "--names"])
        .failed(64, "--names is only for list");
}

#[test]
fn each_key_and_variable_is_documented() {
    use vw::config::{keys, variables};
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/vw-virt-who.7")).unwrap();
    let items: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It "))
        .flat_map(|line| line.split(", "))
        .collect();
    let known = keys::SECTION.iter().chain(&keys::GLOBAL).copied();
    for name in known.chain(variables::names()) {
        assert!(items.contains(&name), "{name}");
    }
}
