//! vw-scan-esx as its users meet it, against the simulated vCenter.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use vw_sim::http::{Authority, Certificate, Fault, Response};
use vw_sim::vcenter::{Host, Inventory, Open, VCenter, Vm};

use crate::support::{Outcome, Run, at_once};

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
fn a_scan_tells_hosts_guests_and_cluster() {
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
fn the_id_is_what_was_asked_for() {
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
fn what_cannot_be_told_is_omitted_and_the_rest_goes_on() {
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
fn an_empty_inventory_is_a_mapping_of_none() {
    let site = Site::new(Inventory::empty());
    let mapping = site.mapping(&[]);
    assert_eq!(mapping["hypervisors"], serde_json::json!([]));
}

#[test]
fn odd_names_cross_the_api() {
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
fn a_section_says_what_options_do_not() {
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

#[test]
fn failures_are_told_in_one_line_and_leave_no_session() {
    let site = Site::new(small());
    fs::write(site.path("wrong"), "s3cret").unwrap();
    let wrong = site.scan(&["--password-file", &site.file("wrong")]);
    // An option that is given twice is the second one's in curl; here it is an error.
    wrong.failed(64, "--password-file");
    let url = site.vcenter.url();
    let cacert = site.file("ca.pem");
    let password = site.file("password");
    let run = |server: &str, user: &str, password: &str, more: &[&str]| {
        let run = Run::new(PROGRAM).args(["--server", server, "-u", user, "--password-file", password]);
        run.args(more).run()
    };
    let trusted: &[&str] = &["--cacert", &cacert];
    let refused = run(&url, "sim", &site.file("wrong"), trusted);
    refused.failed(77, "InvalidLogin");
    assert!(!refused.stderr.contains("s3cret"));
    run(&url, "locked", &password, trusted).failed(77, "InvalidLogin");
    run(&url, "sim", &site.file("none"), trusted).failed(78, "none");
    run(&url, "sim", &password, &["--cacert", &site.file("none")]).failed(78, "none");
    run(&url, "sim", &password, &["--cacert", &password]).failed(78, "password");
    run(&url, "sim", &password, &[]).failed(77, "--thumbprint");
    let soon = &["--timeout", "1"];
    run("none.invalid", "sim", &password, soon).failed_at_last(75, "none.invalid");
    run("127.0.0.1:9", "sim", &password, soon).failed_at_last(75, "127.0.0.1:9");
    run("127.0.0.1:70000", "sim", &password, &[]).failed(64, "70000");
    run(&url, "sim", &password, &["--cacert", &cacert, "--timeout", "0"]).failed(64, "--timeout");
    site.nothing_is_open();
}

#[test]
fn no_arguments_say_what_is_missing() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let outcome = Run::new(PROGRAM)
        .env("VW_CONFIG", empty.path().to_str().unwrap())
        .run();
    outcome.failed(78, "--server");
}

#[test]
fn certificates_are_verified_unless_told_otherwise() {
    let table = [
        (Certificate::For(vec!["vc.example.com".into()]), 77, "name"),
        (Certificate::Expired, 77, "expired"),
        (Certificate::SelfSigned, 77, "--cacert"),
    ];
    for (certificate, status, words) in table {
        let site = Site::with_certificate(small(), &certificate);
        let refused = site.scan(&[]);
        refused.failed(status, words);
        assert!(
            site.vcenter.calls().is_empty(),
            "nothing is sent to a server that is not trusted"
        );
        let url = site.vcenter.url();
        let password = site.file("password");
        let options = ["--server", &url, "-u", "sim", "--password-file", &password];
        let seen = refused
            .stderr
            .split("--thumbprint ")
            .nth(1)
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap();
        for trust in [&["--insecure"][..], &["--thumbprint", seen]] {
            Run::new(PROGRAM).args(options).args(trust).run().quiet_success();
        }
        site.nothing_is_open();
    }
}

#[test]
fn bad_answers_are_told_in_one_line_and_leave_no_session() {
    let html = || {
        Fault::Answer(Response::new(
            200,
            "text/html",
            "<!DOCTYPE html><html><title>Proxy</title></html>",
        ))
    };
    let status = |status| move || Fault::Answer(Response::new(status, "text/plain", "not now"));
    type Plan = Box<dyn Fn() -> Fault + Send + Sync>;
    let table: Vec<(Plan, i32, &str)> = vec![
        (Box::new(|| Fault::Close), 75, "connection"),
        (Box::new(|| Fault::Cut(300)), 75, "before the answer was complete"),
        (Box::new(html), 76, "web page"),
        (Box::new(status(503)), 75, "503"),
        (Box::new(status(429)), 75, "429"),
        (Box::new(status(404)), 76, "404"),
        (Box::new(status(500)), 75, "500"),
        (
            Box::new(|| Fault::Answer(Response::new(200, "text/xml", "<a><b></a>"))),
            76,
            "not the vSphere API",
        ),
        (
            Box::new(|| {
                Fault::Answer(Response::new(
                    200,
                    "text/xml",
                    "<!DOCTYPE x [<!ENTITY e 'e'>]><x/>",
                ))
            }),
            76,
            "document type",
        ),
        (
            Box::new(|| Fault::Answer(Response::new(200, "text/xml", "<Envelope><Body>"))),
            75,
            "cut",
        ),
        (
            Box::new(|| Fault::Answer(Response::new(200, "text/xml", ""))),
            76,
            "not the vSphere API",
        ),
    ];
    let calls = [
        "RetrieveServiceContent",
        "Login",
        "CreateContainerView",
        "<RetrievePropertiesEx",
    ];
    at_once(calls, |call| {
        let site = Site::new(small());
        let whole = site.scan(&[]).quiet_success();
        for (number, (fault, status, words)) in table.iter().enumerate() {
            let fault = fault();
            let mut fault = Some(fault);
            site.vcenter.server().misbehave(move |_, request| {
                let wanted = String::from_utf8_lossy(&request.body).contains(call);
                if wanted { fault.take() } else { None }
            });
            let outcome = site.scan(&["--timeout", "20"]);
            let passes = *status == 75;
            assert_eq!(
                outcome.status,
                if passes { 0 } else { *status },
                "{call} {number}: {outcome:?}"
            );
            assert_eq!(
                outcome.stdout,
                if passes { &*whole } else { "" },
                "{call} {number}"
            );
            // A call that only reads, over a connection that the server has closed, is sent again without a word.
            let silent = outcome.stderr.is_empty() && words == &"connection" && call.contains("Retrieve");
            if !silent {
                assert_eq!(outcome.stderr.lines().count(), 1, "{call} {number}: {outcome:?}");
                assert!(outcome.stderr.contains(words), "{call} {number}: {outcome:?}");
                assert_eq!(
                    outcome.stderr.contains("; trying again in 0."),
                    passes,
                    "{call} {number}"
                );
            }
            assert_eq!(site.vcenter.open().sessions, 0, "{call} {number}");
        }
    });
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

fn not_now(retry_after: &str) -> Response {
    let mut response = Response::new(503, "text/plain", "not now");
    response.headers.push(("Retry-After".into(), retry_after.into()));
    response
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

#[test]
fn what_does_not_pass_is_given_up_in_time() {
    let site = Site::new(small());
    answer(&site, "RetrievePropertiesEx", |_| Some(not_now("0")));
    let outcome = site.scan(&["--timeout", "2"]);
    outcome.failed_at_last(75, "503");
    assert!(outcome.stderr.lines().count() > 2, "{outcome:?}");
    site.nothing_is_open();
    // A server that wants more time than there is need not be asked again.
    answer(&site, "RetrievePropertiesEx", |_| Some(not_now("3600")));
    site.scan(&[]).failed(75, "503");
    answer(&site, "RetrievePropertiesEx", |count| {
        (count == 1).then(|| not_now("1"))
    });
    let outcome = site.scan(&[]);
    assert!(outcome.stderr.ends_with("; trying again in 1 s\n"), "{outcome:?}");
    assert_eq!(outcome.status, 0);
    site.nothing_is_open();
}

#[test]
fn a_session_that_expires_in_mid_scan_is_replaced_once() {
    let site = Site::new(Inventory::new(3, 20));
    let whole = site.scan(&[]).quiet_success();
    site.vcenter.limit_pages(Some(5));
    for expires in [1, 2] {
        let vcenter = Arc::downgrade(&site.vcenter);
        let mut left = expires;
        answer(&site, "ContinueRetrievePropertiesEx", move |_| {
            if left > 0 {
                left -= 1;
                vcenter.upgrade().unwrap().expire_sessions();
            }
            None
        });
        let outcome = site.scan(&[]);
        let again =
            "NotAuthenticated: The session is not authenticated.; the session ended; logging in again";
        assert!(outcome.stderr.contains(again), "{outcome:?}");
        if expires == 1 {
            assert_eq!((outcome.status, outcome.stdout), (0, whole.clone()));
            assert_eq!(outcome.stderr.lines().count(), 1);
        } else {
            assert_eq!((outcome.status, &*outcome.stdout), (75, ""));
            assert_eq!(outcome.stderr.lines().count(), 2);
        }
        site.nothing_is_open();
    }
}

#[test]
fn a_refused_log_in_is_not_tried_again_and_says_why() {
    let table = [
        (
            "InvalidLogin",
            "Cannot complete login.",
            "wrong user name or password",
            "repeated failures may lock the account",
        ),
        (
            "InvalidLogin",
            "User account is locked.",
            "the account is locked",
            "have it unlocked, or wait, before the next try",
        ),
        (
            "InvalidLogin",
            "User password has expired",
            "the account or its password has expired",
            "renew it",
        ),
        (
            "PasswordExpired",
            "",
            "the account or its password has expired",
            "renew it",
        ),
        (
            "InvalidLogin",
            "The account is disabled",
            "the account is disabled",
            "have it enabled",
        ),
        (
            "NoPermission",
            "",
            "the account may not log in",
            "give the account a role on the server, such as the read-only one",
        ),
    ];
    let site = Site::new(small());
    let server = site.vcenter.url().replace("https://", "");
    for (kind, text, words, advice) in table {
        let before = site.vcenter.requests().len();
        answer(&site, "Login", move |_| Some(soap_fault(kind, text)));
        let outcome = site.scan(&[]);
        outcome.failed(77, &format!("login to {server} as \"sim\" failed: {words}"));
        assert!(
            outcome.stderr.contains(kind) && outcome.stderr.contains(text),
            "{outcome:?}"
        );
        assert!(outcome.stderr.ends_with(&format!("; {advice}\n")), "{outcome:?}");
        // The versions, RetrieveServiceContent, Login.
        assert_eq!(site.vcenter.requests().len() - before, 3);
    }
}

#[test]
fn what_the_server_keeps_for_a_scan_is_given_back_also_after_an_error() {
    let site = Site::new(small());
    answer(&site, "RetrievePropertiesEx", |_| {
        Some(Response::new(404, "text/plain", ""))
    });
    site.scan(&[])
        .failed(76, "404 Not Found, not the vSphere API's; is this the address");
    assert_eq!(site.vcenter.open(), Open::default());
    // The end of the session takes along what can't be given back.
    answer(&site, "DestroyView", |_| Some(not_now("0")));
    site.scan(&[]).quiet_success();
    site.nothing_is_open();
}

#[test]
fn a_failed_log_out_is_a_warning() {
    let site = Site::new(small());
    site.vcenter.server().misbehave(|_, request| {
        let wanted = String::from_utf8_lossy(&request.body).contains("<Logout");
        wanted.then(|| Fault::Answer(Response::new(503, "text/plain", "not now")))
    });
    let outcome = site.scan(&[]);
    assert_eq!(outcome.status, 0);
    assert!(
        outcome.stderr.contains("warning") && outcome.stderr.contains("session"),
        "{outcome:?}"
    );
    assert!(outcome.stdout.ends_with("}\n"));
}

#[test]
fn a_300_mb_text_is_refused() {
    let site = Site::new(small());
    site.vcenter.server().misbehave(|_, request| {
        let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
        wanted.then(|| {
            let write = |out: &mut dyn std::io::Write| {
                out.write_all(b"<Envelope><Body><RetrievePropertiesExResponse><returnval><objects><obj>")?;
                let piece = [b'x'; 1 << 16];
                (0..300 << 4).try_for_each(|_| out.write_all(&piece))
            };
            Fault::Answer(Response::stream(200, "text/xml", write))
        })
    });
    site.scan(&[]).failed(76, "longer than 1 MiB");
    site.nothing_is_open();
}

#[test]
fn a_reader_that_goes_away_ends_the_scan_quietly() {
    let site = Site::new(Inventory::new(400, 8000));
    let mut child = Command::new(PROGRAM)
        .args(site.options())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
    site.nothing_is_open();
}

#[test]
fn a_full_disk_is_told() {
    let site = Site::new(small());
    let full = File::options().write(true).open("/dev/full").unwrap();
    let outcome = Run::new(PROGRAM).args(site.options()).run_with_stdout(full);
    outcome.failed(74, "space");
    site.nothing_is_open();
}

#[test]
fn a_signal_ends_the_scan_after_log_out() {
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        let site = Site::new(small());
        site.vcenter.server().misbehave(|_, request| {
            let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
            wanted.then_some(Fault::Silence)
        });
        let mut child = Command::new(PROGRAM)
            .args(site.options())
            .arg("-d")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut messages = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map(Result::unwrap);
        messages
            .find(|line| line.contains("RetrievePropertiesEx"))
            .unwrap();
        // The message comes before the request: whichever the signal meets, the session must be closed.
        let since = Instant::now();
        let killed = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let rest: Vec<String> = messages.collect();
        assert_eq!(child.wait().unwrap().code(), Some(status), "{rest:?}");
        assert!(since.elapsed() < Duration::from_secs(30));
        assert_eq!(
            rest.iter().filter(|line| !line.contains("debug:")).count(),
            1,
            "{rest:?}"
        );
        site.nothing_is_open();
    }
}
