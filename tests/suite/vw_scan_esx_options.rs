//! Options of vw-scan-esx: names, stamp, strict, check, trace and replay, and every form of a server's address.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use vw_sim::http::{Fault, Response};
use vw_sim::vcenter::{Host, Inventory, Open, Settings, VCenter, Vm};

use crate::support::{Outcome, Run, with_time};
use crate::vw_scan_esx::soap_fault;

mod replay;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-scan-esx");

/// A simulated server over plain HTTP, and a folder with its account's password.
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

    /// The command with a password, but without server and user.
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

/// One host with a machine that is in the mapping, and one that is omitted.
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
        // The scan itself reads through the view.
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
    let proxy = "the proxy 127.0.0.1:9";
    let outcome = with_time(&[proxy], |limit| {
        let run = site.bare().args(["--server", &proxied, "--timeout", limit]);
        run.run()
    });
    outcome.failed_at_last(75, proxy);
    let otherwise = site.bare().args(["--server", &proxied, "--proxy", ""]).run();
    assert_eq!(otherwise.quiet_success(), whole);
    for (server, words) in [
        (
            "esx://sim:s3cret@h?vcenter=vc",
            "vcenter= is not supported; to use that vCenter",
        ),
        ("esx://sim@h?no_verify=2", "no_verify= is 0 or 1"),
        ("esx://sim@h?auto_answer=2", "auto_answer= is 0 or 1"),
        ("gsx://h", "only http:// and https://"),
    ] {
        let refused = site.bare().args(["-u", "sim", "--server", server]).run();
        refused.failed(64, words);
        assert!(!refused.stderr.contains("s3cret"));
    }
    let with_password = format!("esx://sim:sim-secret@{at}?transport=http");
    let mut bare = Run::new(PROGRAM).args(["--server", &with_password, "-d"]);
    bare = bare.env("VIRTWHO_ESX_PASSWORD", "another");
    let outcome = bare.run();
    assert_eq!((outcome.status, &*outcome.stdout), (0, &*whole));
    assert!(
        outcome
            .stderr
            .contains("all users can read the password in --server")
    );
    assert!(!outcome.stderr.contains("sim-secret"), "{outcome:?}");
    let section = format!("[prod]\ntype=esx\nserver=esx://sim@{at}?transport=http\n");
    fs::write(site.path("virt-who.conf"), section).unwrap();
    let of_section = site.bare().args(["-n", "prod"]).run().quiet_success();
    let mapping: Value = serde_json::from_str(&of_section).unwrap();
    assert_eq!(mapping["source"]["section"], "prod");
}
