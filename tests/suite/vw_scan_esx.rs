//! vw-scan-esx as its users meet it, against the simulated vCenter.

mod failures;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use vw_sim::http::{Authority, Certificate, Fault, Response};
use vw_sim::vcenter::{Host, Inventory, Open, VCenter, Vm};

use crate::support::{Outcome, Run};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-scan-esx");

/// A simulated server, its authority and an account's password in files.
pub(crate) struct Site {
    pub(crate) vcenter: Arc<VCenter>,
    folder: TempDir,
}

impl Site {
    pub(crate) fn new(inventory: Inventory) -> Self {
        Self::with_certificate(inventory, &Certificate::Good)
    }

    fn with_certificate(inventory: Inventory, certificate: &Certificate) -> Self {
        let authority = Authority::new().unwrap();
        let tls = authority.issue(certificate).unwrap();
        let vcenter = Arc::new(VCenter::start(inventory, Some(tls)).unwrap());
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        Site { vcenter, folder }
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The options of a scan that succeeds.
    pub(crate) fn options(&self) -> [String; 8] {
        let options = [
            "--server",
            &self.vcenter.url(),
            "--cacert",
            &self.file("ca.pem"),
            "--username",
            "sim",
            "--password-file",
            &self.file("password"),
        ];
        options.map(str::to_owned)
    }

    pub(crate) fn scan(&self, more: &[&str]) -> Outcome {
        Run::new(PROGRAM).args(self.options()).args(more).run()
    }

    /// The mapping of a scan that says nothing on stderr.
    fn mapping(&self, more: &[&str]) -> Value {
        serde_json::from_str(&self.scan(more).quiet_success()).unwrap()
    }

    /// Fails unless clients have logged in and closed all that they opened.
    #[track_caller]
    pub(crate) fn nothing_is_open(&self) {
        assert!(self.vcenter.calls().iter().any(|call| call == "Login"));
        assert_eq!(self.vcenter.open().sessions, 0);
    }
}

/// Two hosts in a cluster, one by itself, four machines.
pub(crate) fn small() -> Inventory {
    let mut inventory = Inventory::empty();
    let cluster = inventory.add_cluster("Cluster %2f A");
    let one = inventory.add_host(cluster, Host::new("esx1.example.com"));
    let two = inventory.add_host(cluster, Host::new("esx2.example.com"));
    inventory.add_standalone(Host::new("esx3.example.com"));
    let vm = |uuid: &str, version: &str, power: &str| {
        edited(Vm::new("vm"), |vm| {
            vm.uuid = Some(uuid.into());
            vm.version = Some(version.into());
            vm.power = Some(power.into());
        })
    };
    let uuid = "78563412-ab90-efcd-1234-567890abcdef";
    inventory.add_vm(one, vm(uuid, "vmx-13", "poweredOn"));
    inventory.add_vm(one, vm(uuid, "vmx-12", "suspended"));
    let uuid = "78563412-ab90-efcd-1234-567890abcdee";
    inventory.add_vm(two, vm(uuid, "vmx-21", "poweredOff"));
    inventory.add_vm(two, vm(uuid, "vmx-09", "odd"));
    inventory
}

fn edited<T>(mut item: T, edit: impl FnOnce(&mut T)) -> T {
    edit(&mut item);
    item
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

#[test]
fn a_scan_has_hosts_guests_and_cluster() {
    let site = Site::new(small());
    let mapping = site.mapping(&["--hypervisor-id", "hostname"]);
    assert_eq!(mapping["hypervisors"].as_array().unwrap().len(), 3);
    let one = &mapping["hypervisors"][0];
    assert_eq!(text(one, "/uuid"), "esx1.example.com");
    assert_eq!(text(one, "/name"), "esx1.example.com");
    assert_eq!(text(one, "/facts/cpu.cpu_socket(s)"), "2");
    assert_eq!(text(one, "/facts/hypervisor.type"), "VMware ESXi");
    assert_eq!(text(one, "/facts/hypervisor.version"), "8.0.2");
    assert_eq!(text(one, "/facts/hypervisor.cluster"), "Cluster / A");
    assert_eq!(text(one, "/parent/type"), "ClusterComputeResource");
    assert_eq!(text(one, "/parent/name"), "Cluster / A");
    let guests = |host: usize| -> Vec<(&str, u64, u64)> {
        let guests = mapping["hypervisors"][host]["guests"].as_array().unwrap();
        let number = |value: &Value| value.as_u64().unwrap();
        guests
            .iter()
            .map(|g| {
                (
                    text(g, "/guestId"),
                    number(&g["state"]),
                    number(&g["attributes"]["active"]),
                )
            })
            .collect()
    };
    assert_eq!(
        guests(0),
        [
            ("12345678-90ab-cdef-1234-567890abcdef", 1, 1),
            ("78563412-ab90-efcd-1234-567890abcdef", 3, 1)
        ]
    );
    assert_eq!(
        guests(1),
        [
            ("12345678-90ab-cdef-1234-567890abcdee", 5, 0),
            ("78563412-ab90-efcd-1234-567890abcdee", 0, 0)
        ]
    );
    assert_eq!(guests(2), []);
    let three = &mapping["hypervisors"][2];
    assert_eq!(three["facts"].get("hypervisor.cluster"), None);
    assert_eq!(text(three, "/parent/type"), "ComputeResource");
    assert_eq!(text(&mapping, "/source/type"), "esx");
    let server = site.vcenter.url().replace("https://", "");
    assert_eq!(text(&mapping, "/source/server"), server);
    assert!(!text(&mapping, "/source/instanceUuid").is_empty());
    assert_eq!(mapping.get("omitted"), None);
    site.nothing_is_open();
    assert_eq!(site.vcenter.open(), Open::default());
}

#[test]
fn the_id_is_the_one_that_hypervisor_id_names() {
    let site = Site::new(small());
    let by_default = site.mapping(&[]);
    assert_eq!(by_default, site.mapping(&["--hypervisor-id", "uuid"]));
    for hypervisor in by_default["hypervisors"].as_array().unwrap() {
        assert_eq!(hypervisor["uuid"], hypervisor["facts"]["dmi.system.uuid"]);
    }
    let inventory = site.vcenter.inventory();
    let mut morefs: Vec<&str> = inventory.hosts().map(|(_, host)| host.id.as_str()).collect();
    morefs.sort_unstable();
    let by_moref = site.mapping(&["--hypervisor-id", "hwuuid"]);
    let ids: Vec<&str> = (0..3)
        .map(|host| text(&by_moref["hypervisors"][host], "/uuid"))
        .collect();
    assert_eq!(ids, morefs);
    site.scan(&["--hypervisor-id", "name"])
        .failed(64, "hypervisor-id");
}

#[test]
fn an_esx_host_is_scanned_like_a_vcenter() {
    let site = Site::new(Inventory::new_esx(7));
    let mapping = site.mapping(&[]);
    assert_eq!(mapping["hypervisors"].as_array().unwrap().len(), 1);
    assert_eq!(mapping["hypervisors"][0]["guests"].as_array().unwrap().len(), 7);
    assert_eq!(mapping["source"].get("instanceUuid"), None);
    site.nothing_is_open();
}

#[test]
fn two_scans_are_the_same_bytes_whatever_the_pages() {
    let site = Site::new(Inventory::new(23, 240));
    let whole = site.scan(&[]).quiet_success();
    site.vcenter.limit_pages(Some(7));
    assert_eq!(site.scan(&[]).quiet_success(), whole);
    assert!(
        site.vcenter
            .calls()
            .iter()
            .any(|call| call == "ContinueRetrievePropertiesEx")
    );
    let mapping: Value = serde_json::from_str(&whole).unwrap();
    let guests: usize = mapping["hypervisors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|h| h["guests"].as_array().unwrap().len())
        .sum();
    assert_eq!(guests, 240);
    site.nothing_is_open();
}

#[test]
fn hosts_and_guests_without_an_id_are_omitted_and_the_rest_is_printed() {
    let mut inventory = small();
    let bare = inventory.add_standalone(edited(Host::new("esx4"), |host| {
        host.uuid = None;
        host.dns_host = None;
        host.dns_domain = None;
    }));
    inventory.add_vm(bare, edited(Vm::new("blank"), |vm| vm.uuid = Some(String::new())));
    inventory.add_standalone(edited(Host::new("esx5"), |host| {
        host.uuid = None;
        host.denied = vec!["hardware.systemInfo.uuid".into()];
    }));
    let site = Site::new(inventory);
    let outcome = site.scan(&[]);
    assert_eq!(outcome.status, 0);
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("left out 2 hosts and 1 guest (see \"omitted\")"),
        "{outcome:?}"
    );
    let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(mapping["hypervisors"].as_array().unwrap().len(), 3);
    let omitted: Vec<_> = mapping["omitted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| (text(o, "/kind"), text(o, "/reason")))
        .collect();
    assert_eq!(
        omitted,
        [
            ("host", "no hardware.systemInfo.uuid"),
            ("host", "no hardware.systemInfo.uuid (NoPermission)"),
            ("guest", "no config.uuid"),
        ]
    );
    assert_eq!(text(&mapping, "/omitted/0/name"), "esx4");
    assert_eq!(text(&mapping, "/omitted/0/stage"), "vw-scan-esx");
    for options in [&["--no-omitted"][..], &["--layout", "checkin"]] {
        let outcome = site.scan(options);
        let without: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(without.get("omitted"), None);
        assert_eq!(
            outcome.stderr.matches("is left out: no ").count(),
            3,
            "{outcome:?}"
        );
    }
}

#[test]
fn hosts_with_one_id_are_kept_and_named() {
    let mut inventory = Inventory::empty();
    for name in ["a.example.com", "b.example.com"] {
        inventory.add_standalone(edited(Host::new(name), |host| host.uuid = Some("one".into())));
    }
    let site = Site::new(inventory);
    let outcome = site.scan(&["--compact"]);
    assert_eq!(outcome.status, 0);
    assert!(
        outcome.stderr.contains("2 hosts have the id one: "),
        "{outcome:?}"
    );
    for name in ["a.example.com", "b.example.com"] {
        assert!(outcome.stderr.contains(name), "{outcome:?}");
    }
    assert_eq!(outcome.stdout.matches("\"uuid\":\"one\"").count(), 2);
}

#[test]
fn an_empty_inventory_is_an_empty_mapping() {
    let site = Site::new(Inventory::empty());
    let mapping = site.mapping(&[]);
    assert_eq!(mapping["hypervisors"], serde_json::json!([]));
}

#[test]
fn odd_names_are_kept() {
    let mut inventory = Inventory::empty();
    let cluster = inventory.add_cluster("<&\"'> 50%25 ü😀");
    inventory.add_host(cluster, Host::new("esx1.example.com"));
    let mapping = Site::new(inventory).mapping(&[]);
    assert_eq!(
        text(&mapping, "/hypervisors/0/facts/hypervisor.cluster"),
        "<&\"'> 50% ü😀"
    );
}

#[test]
fn settings_without_an_option_come_from_the_section() {
    let site = Site::new(small());
    let server = site.vcenter.url();
    let config = site.file("virt-who.conf");
    fs::write(
        &config,
        format!("[prod]\ntype=esx\nserver={server}/\nusername=sim\npassword=sim-secret\nhypervisor_id=hostname\n[other]\ntype=fake\nfile=x\n"),
    )
    .unwrap();
    let cacert = site.file("ca.pem");
    let scan = |more: &[&str]| {
        let run = Run::new(PROGRAM)
            .env("VW_CONFIG", &config)
            .args(["--cacert", &cacert]);
        run.args(more).run()
    };
    for options in [&["-n", "prod"][..], &[]] {
        let outcome = scan(options);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(text(&mapping, "/hypervisors/0/uuid"), "esx1.example.com");
        assert_eq!(text(&mapping, "/source/section"), "prod");
    }
    let by_option = scan(&["--hypervisor-id", "hwuuid"]);
    assert!(by_option.stdout.contains("\"uuid\":\"host-"), "{by_option:?}");
    let unknown = scan(&["-n", "none"]);
    assert_eq!(unknown.status, 78);
    assert!(
        unknown.stderr.contains("prod") && unknown.stderr.contains("other"),
        "{unknown:?}"
    );
}

/// Answers each call of this name so.
pub(crate) fn answer(
    site: &Site,
    call: &'static str,
    mut answer: impl FnMut(usize) -> Option<Response> + Send + 'static,
) {
    let mut count = 0;
    site.vcenter.server().misbehave(move |_, request| {
        if !String::from_utf8_lossy(&request.body).contains(&format!("<{call} ")) {
            return None;
        }
        count += 1;
        answer(count).map(Fault::Answer)
    });
}

/// A fault as a server sends it.
pub(crate) fn soap_fault(kind: &str, text: &str) -> Response {
    let body = format!(
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><soapenv:Fault>\
         <faultcode>ServerFaultCode</faultcode><faultstring>{text}</faultstring>\
         <detail><{kind}Fault xsi:type=\"{kind}\"/></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    );
    Response::new(500, "text/xml", body)
}
