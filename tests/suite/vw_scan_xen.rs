//! vw-scan-xen as its users meet it, against a simulated pool.

pub(crate) mod failures;
mod odd;
mod watch;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use vw_sim::http::{Authority, Certificate};
use vw_sim::xen::{Pool, Xen};

use crate::support::{Outcome, Run};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-scan-xen");

const LOGIN: &str = "session.login_with_password";
const LOGOUT: &str = "session.logout";
const HOSTS: &str = "host.get_all_records";
const VMS: &str = "VM.get_all_records";
const EVENTS: &str = "event.from";

/// A simulated pool, its authority and an account's password in files.
pub(crate) struct Site {
    pub(crate) xen: Xen,
    folder: TempDir,
}

impl Site {
    pub(crate) fn new(pool: Pool) -> Self {
        Site::with_certificate(pool, &Certificate::Good)
    }

    fn with_certificate(pool: Pool, certificate: &Certificate) -> Self {
        let authority = Authority::new().unwrap();
        let tls = authority.issue(certificate).unwrap();
        let xen = Xen::start(pool, Some(tls)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        Site { xen, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The options of a scan that succeeds.
    fn options(&self) -> [String; 8] {
        self.options_for(&self.xen.url())
    }

    fn options_for(&self, server: &str) -> [String; 8] {
        let (authority, password) = (self.file("ca.pem"), self.file("password"));
        let options = [
            "--server",
            server,
            "--cacert",
            &authority,
            "-u",
            "sim",
            "--password-file",
            &password,
        ];
        options.map(str::to_owned)
    }

    fn scan(&self, more: &[&str]) -> Outcome {
        Run::new(PROGRAM).args(self.options()).args(more).run()
    }

    /// The document of a scan that says only that one virtual machine is off.
    #[track_caller]
    fn mapping(&self, more: &[&str]) -> Value {
        let outcome = self.scan(more);
        assert_eq!(
            (outcome.status, outcome.stderr.as_str()),
            (0, "vw-scan-xen: warning: left out 1 guest (see \"omitted\")\n")
        );
        serde_json::from_str(&outcome.stdout).unwrap()
    }

    /// A configuration with this section.
    fn configuration(&self, section: &str) -> String {
        fs::write(self.path("virt-who.conf"), section).unwrap();
        self.file("virt-who.conf")
    }

    /// Fails unless clients have logged in and all sessions are closed.
    #[track_caller]
    fn nothing_is_open(&self) {
        assert!(self.xen.count(LOGIN) > 0);
        assert_eq!(self.xen.open_sessions(), 0);
    }
}

fn guest(name: &str, state: u8) -> Value {
    let active = u8::from(state == 1 || state == 3);
    json!({"guestId": Pool::vm_uuid(name), "state": state, "attributes": {"active": active, "virtWhoType": "xen"}})
}

/// The guests of a list by their ids, as a mapping has them.
fn guests<const N: usize>(guests: [Value; N]) -> Value {
    let mut guests = guests.to_vec();
    guests.sort_by_key(|guest| guest["guestId"].as_str().unwrap().to_owned());
    Value::Array(guests)
}

#[test]
fn a_pool_becomes_a_mapping() {
    let site = Site::new(Pool::new(2, 3));
    site.xen.set(&Pool::vm("vm3"), "power_state", Some("Paused"));
    let facts = |number| {
        json!({
            "cpu.cpu_socket(s)": "2", "hypervisor.type": "XCP-ng", "hypervisor.version": "8.2.1",
            "dmi.system.uuid": Pool::host_uuid(number),
        })
    };
    let server = site.xen.url().replace("https://", "");
    let expected = json!({
        "hypervisors": [
            {"uuid": Pool::host_uuid(1), "guests": guests([guest("vm1", 1), guest("vm3", 3)]), "facts": facts(1), "name": "xen1"},
            {"uuid": Pool::host_uuid(2), "guests": [guest("vm2", 1)], "facts": facts(2), "name": "xen2"},
        ],
        "source": {"type": "xen", "server": server},
        "omitted": [{
            "kind": "guest", "id": Pool::vm_uuid("off"), "name": "off", "stage": "vw-scan-xen",
            "reason": "not resident on a host",
        }],
    });
    assert_eq!(site.mapping(&[]), expected);
    assert_eq!(site.scan(&[]).stdout, site.scan(&[]).stdout);
    assert_eq!(
        [LOGIN, VMS, HOSTS, LOGOUT].map(|method| site.xen.count(method)),
        [3; 4]
    );
    site.nothing_is_open();
}

#[test]
fn options_change_the_document() {
    let site = Site::new(Pool::new(1, 1));
    let by_name = site.mapping(&["--hypervisor-id", "hostname"]);
    assert_eq!(by_name["hypervisors"][0]["uuid"], "xen1");
    let named = site.mapping(&["--guest-names"]);
    let guest = &named["hypervisors"][0]["guests"][0];
    assert_eq!(
        (&guest["name"], &guest["moref"]),
        (&json!("vm1"), &json!(Pool::vm("vm1")))
    );
    let stamped = site.mapping(&["--stamp"]);
    assert!(crate::support::is_utc(
        stamped["source"]["time"].as_str().unwrap()
    ));
    let checkin = site.scan(&["--layout", "checkin", "-q"]).quiet_success();
    let checkin: Value = serde_json::from_str(&checkin).unwrap();
    assert_eq!(
        checkin["hypervisors"][0]["hypervisorId"]["hypervisorId"],
        json!(Pool::host_uuid(1))
    );
    site.scan(&["--strict"]).failed(65, "off");
    assert_eq!(site.scan(&["--check"]).quiet_success(), "XCP-ng 8.2.1, 1 host\n");
    site.nothing_is_open();
}

#[test]
fn a_pool_has_no_other_ids() {
    let site = Site::new(Pool::new(1, 1));
    site.scan(&["--hypervisor-id", "hwuuid"])
        .failed(64, "uuid, hostname");
    let section = format!(
        "[lab]\ntype=xen\nserver={}\nusername=sim\npassword=sim-secret\nhypervisor_id=hwuuid\n",
        site.xen.url()
    );
    let file = site.configuration(&section);
    let run = Run::new(PROGRAM).args(["-q", "-c", &file, "--cacert", &site.file("ca.pem")]);
    run.run().failed(78, "virt-who.conf:6");
    assert_eq!(site.xen.count(LOGIN), 0);
}

#[test]
fn a_section_says_everything() {
    let site = Site::new(Pool::new(1, 1));
    let section = format!(
        "[lab]\ntype=xen\nserver={}\nusername=sim\npassword=sim-secret\nhypervisor_id=hostname\ncacert={}\nowner=o\n",
        site.xen.url(),
        site.file("ca.pem")
    );
    let file = site.configuration(&section);
    let outcome = Run::new(PROGRAM).args(["-q", "-c", &file]).run();
    let mapping: Value = serde_json::from_str(&outcome.quiet_success()).unwrap();
    assert_eq!(mapping["hypervisors"][0]["uuid"], "xen1");
    assert_eq!(mapping["source"]["section"], "lab");
    site.nothing_is_open();
    site.configuration(&section.replace("type=xen", "type=esx"));
    let other = Run::new(PROGRAM).args(["-q", "-c", &file, "-n", "lab"]).run();
    other.failed(78, "vw-scan-esx");
}

#[test]
fn a_member_of_the_pool_refers_to_its_coordinator_once() {
    let site = Site::new(Pool::new(2, 2));
    let member = site.xen.url().replace("127.0.0.1", "localhost");
    site.xen.refer("localhost", "127.0.0.1");
    let scan = || {
        Run::new(PROGRAM)
            .args(site.options_for(&member))
            .args(["-q"])
            .run()
    };
    let mapping: Value = serde_json::from_str(&scan().quiet_success()).unwrap();
    assert_eq!(mapping["hypervisors"].as_array().unwrap().len(), 2);
    assert_eq!(site.xen.count(LOGIN), 2);
    site.nothing_is_open();
    // It refers to itself.
    site.xen.refer("localhost", "localhost");
    scan().failed(69, "HOST_IS_SLAVE");
    assert_eq!(site.xen.count(LOGIN), 4);
    for odd in ["", "http://user@evil.example.com/x", "a b"] {
        site.xen.refer("localhost", odd);
        scan().failed(76, "is a member of a pool and names");
    }
    site.nothing_is_open();
}

#[test]
fn the_coordinator_must_be_trusted_before_it_gets_the_password() {
    let site = Site::with_certificate(Pool::new(1, 1), &Certificate::For(vec!["localhost".into()]));
    let member = site.xen.url().replace("127.0.0.1", "localhost");
    site.xen.refer("localhost", "127.0.0.1");
    let outcome = Run::new(PROGRAM).args(site.options_for(&member)).run();
    outcome.failed(77, "not trusted");
    assert!(
        outcome.stderr.contains("names \"127.0.0.1\" as its coordinator"),
        "{outcome:?}"
    );
    assert_eq!(site.xen.count(LOGIN), 1);
    assert_eq!(site.xen.server().requests().len(), 1);
}

#[test]
fn a_trace_shows_no_secret() {
    let site = Site::new(Pool::new(1, 1));
    site.scan(&["-q", "--trace", &site.file("trace")]).quiet_success();
    let (mut files, mut redacted) = (0, 0);
    for file in fs::read_dir(site.path("trace")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("sim-secret"), "{text}");
        files += 1;
        redacted += text.matches("(redacted)").count();
    }
    // The password; the session in its answer and in three calls.
    assert!(files >= 8 && redacted >= 5, "{files} {redacted}");
}

/// Members that nobody needs take no memory, however large they are.
#[test]
fn memory_does_not_grow_with_members_that_are_skipped() {
    let mut pool = Pool::new(4, 600);
    let large = "0123456789".repeat(10_000);
    for number in 1..=600 {
        pool.set(&Pool::vm(&format!("vm{number}")), "recommendations", Some(&large));
    }
    let site = Site::new(pool);
    let (outcome, used) = Run::new(PROGRAM).args(site.options()).args(["-q"]).measured();
    let mapping: Value = serde_json::from_str(&outcome.quiet_success()).unwrap();
    let hosts = mapping["hypervisors"].as_array().unwrap();
    let guests: usize = hosts
        .iter()
        .map(|host| host["guests"].as_array().unwrap().len())
        .sum();
    assert_eq!(guests, 600);
    assert!(used.memory < 40 << 20, "{used:?}");
}
