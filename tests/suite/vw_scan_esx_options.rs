//! What vw-scan-esx can be asked for beside the scan: names, a stamp, strictness, a check, every form of an address.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use vw_sim::http::{Fault, Response};
use vw_sim::vcenter::{Host, Inventory, Open, Settings, VCenter, Vm};

use crate::support::{Outcome, Run};
use crate::vw_scan_esx::soap_fault;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-scan-esx");

/// A simulated server that speaks plain HTTP, and a folder with its account's password.
pub(crate) struct Site {
    pub(crate) vcenter: Arc<VCenter>,
    folder: TempDir,
}

impl Site {
    pub(crate) fn new(inventory: Inventory) -> Self {
        Site::with(inventory, Settings::default())
    }

    fn with(inventory: Inventory, settings: Settings) -> Self {
        let vcenter = Arc::new(VCenter::start_with(inventory, None, settings).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let (_, password) = vcenter.account();
        fs::write(folder.path().join("password"), password).unwrap();
        fs::write(folder.path().join("virt-who.conf"), "").unwrap();
        Site { vcenter, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The command with a password, and neither server nor user.
    fn bare(&self) -> Run {
        let password = self.file("password");
        let run = Run::new(PROGRAM).env("VW_CONFIG", &self.file("virt-who.conf"));
        run.args(["--password-file", &password])
    }

    pub(crate) fn run(&self, more: &[&str]) -> Run {
        let url = self.vcenter.url();
        let run = self.bare().args(["--server", &url, "-u", "sim"]);
        run.args(more)
    }

    pub(crate) fn scan(&self, more: &[&str]) -> Outcome {
        self.run(more).run()
    }

    pub(crate) fn mapping(&self, more: &[&str]) -> Value {
        serde_json::from_str(&self.scan(more).quiet_success()).unwrap()
    }

    /// Host and port.
    fn authority(&self) -> String {
        self.vcenter.url().strip_prefix("http://").unwrap().to_owned()
    }
}

/// One host with a machine that is told, and one that is not.
fn with_a_blank_guest() -> Inventory {
    let mut inventory = Inventory::empty();
    let host = inventory.add_standalone(Host::new("esx1.example.com"));
    let mut web = Vm::new("web%2f1");
    web.uuid = Some("78563412-ab90-efcd-1234-567890abcdef".into());
    inventory.add_vm(host, web);
    let mut blank = Vm::new("blank%2f2");
    blank.uuid = None;
    inventory.add_vm(host, blank);
    inventory
}

/// The files of a folder with their contents.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut files: Vec<_> = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn guests_have_names_only_with_guest_names() {
    let site = Site::new(with_a_blank_guest());
    let guest = |options: &[&str]| {
        let outcome = site.scan(options);
        let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
        mapping["hypervisors"][0]["guests"][0].clone()
    };
    let named = guest(&["--guest-names"]);
    let inventory = site.vcenter.inventory();
    let (_, vm) = inventory.vms().next().unwrap();
    assert_eq!(named["guestId"], "12345678-90ab-cdef-1234-567890abcdef");
    assert_eq!(named["uuid"], "78563412-ab90-efcd-1234-567890abcdef");
    assert_eq!(named["name"], "web/1");
    assert_eq!(named["moref"], vm.id);
    let plain = guest(&[]);
    for member in ["uuid", "name", "moref"] {
        assert_eq!(plain.get(member), None, "{member}");
    }
}

#[test]
fn only_the_names_of_omitted_guests_are_requested() {
    let site = Site::new(with_a_blank_guest());
    let trace = site.file("trace");
    let outcome = site.scan(&["--trace", &trace]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(mapping["omitted"][0]["name"], "blank/2");
    assert_eq!(mapping["omitted"][0]["reason"], "no config.uuid");
    let asked: Vec<_> = files(Path::new(&trace))
        .into_iter()
        .filter(|(name, _)| name.ends_with("RetrievePropertiesEx-response.http"))
        .map(|(_, text)| text.matches("<name>name</name>").count())
        .collect();
    // The host's name, then the one machine's.
    assert_eq!(asked, [1, 1]);
    assert_eq!(site.vcenter.open(), Open::default());
}

#[test]
fn a_machine_that_vanishes_before_its_name_is_read_does_no_harm() {
    let mut inventory = Inventory::empty();
    let host = inventory.add_standalone(Host::new("esx1.example.com"));
    let machines: Vec<_> = (0..7)
        .map(|n| {
            let mut vm = Vm::new(&format!("blank{n}"));
            vm.uuid = None;
            inventory.add_vm(host, vm)
        })
        .collect();
    let site = Site::new(inventory);
    let vcenter = Arc::downgrade(&site.vcenter);
    site.vcenter.server().misbehave(move |_, request| {
        let body = String::from_utf8_lossy(&request.body);
        // The scan's own goes over the view.
        if body.contains("<RetrievePropertiesEx") && !body.contains("ContainerView") {
            let vcenter = vcenter.upgrade().unwrap();
            vcenter.change(|inventory| inventory.remove_vm(machines[3]));
        }
        None
    });
    let outcome = site.scan(&[]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let names: Vec<_> = mapping["omitted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|omitted| omitted["name"].as_str())
        .collect();
    assert_eq!(names.len(), 7);
    assert_eq!(names.iter().filter(|name| name.is_none()).count(), 1, "{names:?}");
    assert!(names.contains(&Some("blank6")), "{names:?}");
}

#[test]
fn strict_fails_if_anything_is_left_out() {
    let site = Site::new(with_a_blank_guest());
    let outcome = site.scan(&["--strict"]);
    outcome.failed(65, "--strict: 1 guest would be left out: guest vm-");
    assert!(
        outcome.stderr.contains("\"blank/2\" (no config.uuid)"),
        "{outcome:?}"
    );
    assert_eq!(outcome.stdout, "");
    let site = Site::new(Inventory::new(2, 5));
    assert_eq!(site.mapping(&["--strict"]), site.mapping(&[]));
}

#[test]
fn stamp_adds_the_moment_of_the_scan() {
    let site = Site::new(Inventory::new(1, 1));
    let date = || {
        let output = std::process::Command::new("date")
            .args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let before = date();
    let mapping = site.mapping(&["--stamp"]);
    let after = date();
    let time = mapping["source"]["time"].as_str().unwrap();
    assert!(*before <= *time && *time <= *after, "{before} {time} {after}");
    assert_eq!(site.mapping(&[])["source"].get("time"), None);
}

#[test]
fn a_check_logs_in_and_names_the_server() {
    let settings = Settings {
        api_version: "7.0.3.0".into(),
        ..Settings::default()
    };
    let site = Site::with(Inventory::new(1, 1), settings);
    let said = site.scan(&["--check"]).quiet_success();
    assert_eq!(
        said,
        "VMware vCenter Server 7.0.3 build-1 (vw-sim), API 7.0.3.0\n"
    );
    let calls = site.vcenter.calls();
    assert_eq!(calls, ["RetrieveServiceContent", "Login", "Logout"]);
    fs::write(site.path("wrong"), "wrong").unwrap();
    let (url, wrong) = (site.vcenter.url(), site.file("wrong"));
    let options = [
        "--server",
        &url,
        "-u",
        "sim",
        "--password-file",
        &wrong,
        "--check",
    ];
    Run::new(PROGRAM).args(options).run().failed(77, "InvalidLogin");
    site.scan(&["--check", "--strict"]).failed(64, "--strict");
    assert_eq!(site.vcenter.open().sessions, 0);
}

#[test]
fn every_version_of_the_api_works() {
    for api_version in [
        "5.5", "6.0", "6.5", "6.7", "6.7.3", "7.0", "7.0.3.0", "8.0.0.1", "8.0.3.0", "9.0.0.0",
    ] {
        for inventory in [Inventory::new(2, 6), Inventory::new_esx(3)] {
            let settings = Settings {
                api_version: api_version.into(),
                ..Settings::default()
            };
            let site = Site::with(inventory, settings);
            let mapping = site.mapping(&["--strict", "--guest-names"]);
            assert!(
                mapping["hypervisors"][0]["guests"][0]["name"].is_string(),
                "{api_version}"
            );
            let requests = site.vcenter.requests();
            let action = requests.last().unwrap().request.header("SOAPAction").unwrap();
            assert_eq!(action, format!("\"urn:vim25/{api_version}\""));
            assert_eq!(site.vcenter.open(), Open::default(), "{api_version}");
        }
    }
}

#[test]
fn every_form_of_a_server_address_works() {
    let site = Site::new(Inventory::new(1, 1));
    let at = site.authority();
    let whole = site.scan(&[]).quiet_success();
    for server in [
        format!("http://{at}/"),
        format!("http://{at}/sdk"),
        format!("HTTP://{at}/sdk/"),
        format!("esx://{at}?transport=http"),
        format!("esx://nobody@{at}/?transport=http&no_verify=1&auto_answer=1"),
        format!("vpx://{at}/dc1/cluster/esx1?no_verify=0;transport=http&proxy="),
    ] {
        let outcome = site.bare().args(["-u", "sim", "--server", &server]).run();
        assert_eq!(outcome.quiet_success(), whole, "{server}");
    }
    let of_uri = site
        .bare()
        .args(["--server", &format!("esx://sim@{at}?transport=http")])
        .run();
    assert_eq!(of_uri.quiet_success(), whole);
    let unknown = format!("esx://sim@{at}?transport=http&no_verfy=1");
    let warned = site.bare().args(["--server", &unknown]).run();
    assert_eq!((warned.status, &*warned.stdout), (0, &*whole));
    assert!(warned.stderr.contains("no_verfy"), "{warned:?}");
    let proxied = format!("esx://sim@{at}?transport=http&proxy=127.0.0.1:9");
    site.bare()
        .args(["--server", &proxied, "--timeout", "1"])
        .run()
        .failed_at_last(75, "the proxy 127.0.0.1:9");
    let otherwise = site.bare().args(["--server", &proxied, "--proxy", ""]).run();
    assert_eq!(otherwise.quiet_success(), whole);
    for (server, words) in [
        ("esx://sim:s3cret@h", "--password-file"),
        ("esx://sim@h?no_verify=2", "no_verify= is 0 or 1"),
        ("esx://sim@h?auto_answer=2", "auto_answer= is 0 or 1"),
        ("gsx://h", "only http:// and https://"),
    ] {
        let refused = site.bare().args(["-u", "sim", "--server", server]).run();
        refused.failed(64, words);
        assert!(!refused.stderr.contains("s3cret"));
    }
    let section = format!("[prod]\ntype=esx\nserver=esx://sim@{at}?transport=http\n");
    fs::write(site.path("virt-who.conf"), section).unwrap();
    let of_section = site.bare().args(["-n", "prod"]).run().quiet_success();
    let mapping: Value = serde_json::from_str(&of_section).unwrap();
    assert_eq!(mapping["source"]["section"], "prod");
}

#[test]
fn a_trace_has_every_exchange_and_no_secret() {
    let mut inventory = Inventory::new(2, 10);
    // A name that holds the password, as somebody may have thought clever.
    inventory.add_standalone(Host::new("esx-sim-secret.example.com"));
    let site = Site::new(inventory);
    site.vcenter.limit_pages(Some(4));
    let trace = site.path("new/trace");
    let plain = site.scan(&[]).quiet_success();
    let before = site.vcenter.requests().len();
    let traced = site.scan(&["--trace", trace.to_str().unwrap()]).quiet_success();
    assert_eq!(traced, plain);
    let files = files(&trace);
    let exchanges = site.vcenter.requests().len() - before;
    assert_eq!(files.len(), 2 * exchanges + 1);
    let cookie = |request: &vw_sim::http::Logged| {
        let cookie = request.request.header("Cookie")?;
        Some(cookie.split_once('=')?.1.trim_matches('"').to_owned())
    };
    let key = site.vcenter.requests().iter().rev().find_map(cookie).unwrap();
    assert!(key.len() > 8, "{key}");
    for (name, text) in &files {
        for secret in ["sim-secret", &key] {
            assert!(!text.contains(secret), "{name} holds {secret}: {text}");
        }
    }
    let login = files
        .iter()
        .find(|(name, _)| name == "000003-Login-request.http")
        .unwrap();
    assert!(
        login.1.starts_with("POST /sdk HTTP/1.1\r\nHost: 127.0.0.1:"),
        "{login:?}"
    );
    assert!(login.1.contains("<password>(redacted)</password>"), "{login:?}");
    let answers = files.iter().filter(|(name, _)| name.ends_with("-response.http"));
    assert!(
        answers
            .into_iter()
            .all(|(_, text)| text.starts_with("HTTP/1.1 200\r\n"))
    );
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(&trace), 0o700);
    assert!(files.iter().all(|(name, _)| mode(&trace.join(name)) == 0o600));
    site.scan(&["--trace", trace.to_str().unwrap()])
        .failed(74, "new or empty");
    site.scan(&["--trace", &site.file("password")])
        .failed(74, "password");
}

#[test]
fn a_full_disk_under_a_trace_is_an_error_and_the_session_is_closed() {
    let site = Site::new(Inventory::new(40, 800));
    let script = "trap '' XFSZ; ulimit -f 32; exec \"$@\"";
    let (url, password, trace) = (site.vcenter.url(), site.file("password"), site.file("trace"));
    let options = [
        "--server",
        &url,
        "-u",
        "sim",
        "--password-file",
        &password,
        "--trace",
        &trace,
    ];
    let outcome = Run::new("sh")
        .args(["-c", script, "sh", PROGRAM])
        .args(options)
        .run();
    outcome.failed(74, "RetrievePropertiesEx-response.http: File too large");
    assert_eq!(outcome.stdout, "");
    assert_eq!(site.vcenter.open().sessions, 0);
    assert!(site.vcenter.calls().iter().any(|call| call == "Logout"));
}

#[test]
fn a_replay_prints_the_same_without_a_server() {
    let site = Site::new(with_a_blank_guest());
    site.vcenter.limit_pages(Some(2));
    let section = format!(
        "[prod]\ntype=esx\nserver={}\nusername=sim\nhypervisor_id=hostname\n",
        site.vcenter.url()
    );
    fs::write(site.path("virt-who.conf"), section).unwrap();
    let trace = site.file("trace");
    let options = ["-n", "prod", "--stamp", "--guest-names", "--trace", &trace];
    let scanned = site.bare().args(options).run();
    assert_eq!(scanned.status, 0, "{scanned:?}");
    assert!(scanned.stdout.contains("esx1.example.com"));
    let replay = |options: &[&str]| {
        let run = Run::new(PROGRAM).env("VW_CONFIG", "/nowhere");
        run.args(["--replay", &trace]).args(options).run()
    };
    let served = site.vcenter.requests().len();
    let replayed = replay(&[]);
    assert_eq!(
        (replayed.status, &replayed.stdout, &replayed.stderr),
        (0, &scanned.stdout, &scanned.stderr)
    );
    let other = replay(&["--hypervisor-id", "hwuuid", "--layout", "checkin"]);
    assert!(other.stdout.contains("host-"), "{other:?}");
    let checked = replay(&["--check"]).quiet_success();
    assert!(checked.starts_with("VMware vCenter Server 8.0.2"), "{checked}");
    replay(&["--strict"]).failed(65, "--strict");
    replay(&["--server", "vc"]).failed(64, "--server");
    replay(&["--trace", "x"]).failed(64, "--trace");
    assert_eq!(site.vcenter.requests().len(), served);

    // An exchange is missing, its answer is, the folder is none of a scan, or is none at all.
    let answer = site.path("trace/000005-RetrievePropertiesEx-response.http");
    fs::rename(&answer, site.path("kept")).unwrap();
    replay(&[]).failed(65, "000005-RetrievePropertiesEx-response.http");
    fs::remove_file(site.path("trace/000005-RetrievePropertiesEx-request.http")).unwrap();
    replay(&[]).failed(65, "it holds no answer to RetrievePropertiesEx");
    fs::remove_file(site.path("trace/scan.json")).unwrap();
    replay(&[]).failed(65, "scan.json");
    fs::write(site.path("trace/scan.json"), "{}").unwrap();
    replay(&[]).failed(65, "scan.json");
    Run::new(PROGRAM)
        .args(["--replay", &site.file("none")])
        .run()
        .failed(78, "--replay");
}

#[test]
fn a_replay_of_a_scan_without_names_has_no_names() {
    let site = Site::new(Inventory::new(1, 1));
    let trace = site.file("trace");
    site.scan(&["--trace", &trace]).quiet_success();
    let replay = |options: &[&str]| Run::new(PROGRAM).args(["--replay", &trace]).args(options).run();
    replay(&["--guest-names"]).failed(65, "--guest-names");
    let stamped: Value = serde_json::from_str(&replay(&["--stamp"]).quiet_success()).unwrap();
    assert!(stamped["source"]["time"].is_string());
}

#[test]
fn a_scan_with_retries_is_replayed_to_its_end() {
    let site = Site::new(Inventory::new(3, 30));
    for fault in [
        Fault::Cut(2000),
        Fault::Answer(Response::new(503, "text/plain", "later")),
        Fault::Answer(soap_fault("ManagedObjectNotFound", "")),
    ] {
        let mut fault = Some(fault);
        site.vcenter.server().misbehave(move |_, request| {
            let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
            if wanted { fault.take() } else { None }
        });
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().to_str().unwrap();
        let traced = site.scan(&["--trace", trace]);
        assert_eq!(traced.status, 0, "{traced:?}");
        assert!(traced.stderr.contains("trying again"), "{traced:?}");
        let replayed = Run::new(PROGRAM).args(["--replay", trace]).run();
        assert_eq!(
            (replayed.status, &replayed.stdout),
            (0, &traced.stdout),
            "{replayed:?}"
        );
    }
}

#[test]
fn a_failed_scan_is_replayed_to_the_same_failure() {
    let site = Site::new(Inventory::new(3, 30));
    for (fault, status, words) in [
        (0, 75, "before the answer was complete"),
        (1, 75, "connection"),
        (2, 76, "web page"),
    ] {
        site.vcenter.server().misbehave(move |_, request| {
            let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
            wanted.then(|| match fault {
                0 => Fault::Cut(2000),
                1 => Fault::Close,
                _ => Fault::Answer(Response::new(200, "text/html", "<html>")),
            })
        });
        let trace = site.file(&format!("trace{fault}"));
        site.scan(&["--trace", &trace, "--timeout", "1"])
            .failed_at_last(status, words);
        let replayed = Run::new(PROGRAM).args(["--replay", &trace]).run();
        assert_ne!(replayed.status, 0, "{replayed:?}");
        assert!(replayed.stderr.contains(words), "{replayed:?}");
    }
}
