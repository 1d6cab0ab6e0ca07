//! The real virsh: its test driver, and a libvirtd of an ordinary user with QEMU's domains, which need no KVM.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::watch::Watch;
use super::{SCAN, parse, recorded};
use crate::support::signals::send;
use crate::support::{Outcome, Run, skipped, until, with_time};

/// Whether these programs are installed; says what is skipped without them.
fn are_installed(programs: &[&str], what: &str) -> bool {
    let missing = |name: &&&str| Command::new(name).arg("--version").output().is_err();
    match programs.iter().find(missing) {
        Some(name) => {
            skipped(&format!("{what}: {name} is not installed"));
            false
        }
        None => true,
    }
}

fn scan(args: &[&str]) -> Outcome {
    Run::new(SCAN).args(args).env("VW_CONFIG", "/dev/null").run()
}

/// A node of libvirt's test driver with these domains: name and state.
struct Node(TempDir);

impl Node {
    fn new(head: &str, domains: &[(String, u32)]) -> Self {
        let node = Node(tempfile::tempdir().unwrap());
        let mut text = format!("<node xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>\n{head}\n");
        for (n, (name, state)) in domains.iter().enumerate() {
            let name = name
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('\t', "&#9;");
            writeln!(
                text,
                "<domain type='test'><name>{name}</name><uuid>{}</uuid><memory unit='MiB'>64</memory><os><type>hvm</type></os>\
                 <test:runstate>{state}</test:runstate></domain>",
                uuid(n)
            )
            .unwrap();
        }
        fs::write(node.0.path().join("node.xml"), text + "</node>\n").unwrap();
        node
    }

    fn uri(&self) -> String {
        format!("test://{}", self.0.path().join("node.xml").display())
    }
}

fn uuid(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

/// The guests of the only hypervisor of a document.
fn guests(document: &Value) -> &Vec<Value> {
    document["hypervisors"][0]["guests"].as_array().unwrap()
}

#[test]
fn the_test_driver_has_all_states() {
    if !are_installed(&["virsh"], "vw-scan-libvirt with libvirt's test driver") {
        return;
    }
    let uri = format!("test://{}", recorded("test-states.xml").display());
    let document =
        parse(&scan(&["--server", &uri, "--hypervisor-id", "hostname", "--guest-names"]).quiet_success());
    let states: Vec<_> = guests(&document)
        .iter()
        .map(|guest| {
            (
                guest["name"].as_str().unwrap(),
                guest["state"].as_u64().unwrap(),
                guest["attributes"]["active"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("vm0001", 1, 1),
        ("vm0002", 2, 0),
        ("vm0003", 3, 1),
        ("vm0004", 4, 0),
        ("vm0005", 5, 0),
        ("vm0006", 6, 0),
        ("vm0007", 7, 0),
        ("vm0008", 0, 0),
    ];
    assert_eq!(states, expected);
    let facts = &document["hypervisors"][0]["facts"];
    assert_eq!(
        (&facts["hypervisor.type"], &facts["cpu.cpu_socket(s)"]),
        (&json!("TEST"), &json!("2"))
    );
    scan(&["--server", &uri]).failed(78, "set hypervisor_id=hostname");
    let local = Run::new(SCAN)
        .env("VW_CONFIG", "/dev/null")
        .env("LIBVIRT_DEFAULT_URI", &uri);
    let local = parse(&local.run().quiet_success());
    assert_eq!(local["hypervisors"][0].as_object().unwrap().len(), 1);
    assert_eq!(guests(&local).len(), 8);
    let checked = scan(&["--server", "test:///default", "--check"]).quiet_success();
    assert!(
        checked.starts_with("libvirt on ") && checked.contains(", TEST "),
        "{checked}"
    );
}

#[test]
fn five_hundred_domains_with_odd_names_are_all_there() {
    if !are_installed(&["virsh"], "vw-scan-libvirt with many domains") {
        return;
    }
    let odd = [
        " ",
        "  lead",
        "trail ",
        "-dash",
        "a\"quote's",
        "'",
        "semi;$(id)",
        "tab\tx",
        "ünïcode-日本",
        "& <b>",
        "`x`",
        "00000000-0000-4000-8000-000000000400",
    ];
    let odd = odd.iter().map(|name| (*name).to_owned());
    let names: Vec<String> = odd.chain((0..488).map(|n| format!("vm {n}"))).collect();
    let domains: Vec<(String, u32)> = names.iter().cloned().zip((0..8).cycle()).collect();
    let node = Node::new("", &domains);
    let printed = scan(&[
        "--server",
        &node.uri(),
        "--hypervisor-id",
        "hostname",
        "--guest-names",
    ]);
    let document = parse(&printed.quiet_success());
    let found: Vec<(String, u64)> = guests(&document)
        .iter()
        .map(|guest| {
            (
                guest["name"].as_str().unwrap().to_owned(),
                guest["state"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected: Vec<(String, u64)> = domains
        .iter()
        .map(|(name, state)| (name.clone(), u64::from(*state)))
        .collect();
    assert_eq!(found.len(), 500);
    assert_eq!(found, expected);
}

#[test]
fn a_password_with_odd_characters_is_accepted_by_libvirt() {
    if !are_installed(&["virsh"], "vw-scan-libvirt with a password") {
        return;
    }
    for password in [
        "simple",
        " lead and trail ",
        "back\\slash\\n",
        "#;=[x]\"'%$(id)",
        "pässwörd",
    ] {
        let attribute = password.replace('&', "&amp;").replace('"', "&quot;");
        let node = Node::new(
            &format!("<auth><user password=\"{attribute}\">bob</user></auth>"),
            &[("x".to_owned(), 1)],
        );
        let file = node.0.path().join("password");
        fs::write(&file, format!("{password}\n")).unwrap();
        let uri = node.uri();
        let options = [
            "--server",
            &uri,
            "-u",
            "bob",
            "--hypervisor-id",
            "hostname",
            "--password-file",
            file.to_str().unwrap(),
        ];
        assert_eq!(
            guests(&parse(&scan(&options).quiet_success())).len(),
            1,
            "{password}"
        );
        fs::write(&file, "wrong\n").unwrap();
        let refused = scan(&options);
        refused.failed(77, "authentication failed");
        assert!(!refused.stderr.contains("wrong\n"), "{refused:?}");
    }
    let node = Node::new("<auth><user password=\"x\">bob</user></auth>", &[]);
    scan(&["--server", &node.uri()]).failed(77, "authentication failed");
}

/// A libvirtd of an ordinary user. Root uses the account nobody, because its own session is the system daemon.
struct Daemon {
    folder: TempDir,
    child: Child,
}

impl Daemon {
    fn start() -> Option<Self> {
        let programs = ["virsh", "libvirtd", "qemu-system-x86_64", "setpriv"];
        if !are_installed(&programs, "vw-scan-libvirt with a real libvirtd") {
            return None;
        }
        let folder = tempfile::Builder::new().prefix("vw").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let home = folder.path().join("h");
        fs::create_dir_all(home.join("run")).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(home.join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        if rustix::process::geteuid().is_root() {
            let owned = Command::new("chown").args(["-R", "nobody:"]).arg(&home).status();
            assert!(owned.unwrap().success());
        }
        let child = Daemon::run(folder.path());
        let daemon = Daemon { folder, child };
        daemon.is_ready();
        Some(daemon)
    }

    fn run(folder: &Path) -> Child {
        let mut command = match rustix::process::geteuid().is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "libvirtd"]);
                command
            }
            false => Command::new("libvirtd"),
        };
        let home = folder.join("h");
        let log = File::create(folder.join("libvirtd.log")).unwrap();
        command
            .env("HOME", &home)
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("XDG_CONFIG_HOME", home.join("c"))
            .env("XDG_CACHE_HOME", home.join("k"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command.spawn().unwrap()
    }

    fn is_ready(&self) {
        until(|| self.try_virsh(&["uri"]).status.success());
    }

    /// Ends libvirtd. Its domains go on.
    fn stop(&mut self) {
        send(&self.child, "TERM");
        self.child.wait().unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("h/run/libvirt/libvirt-sock")
    }

    fn uri(&self) -> String {
        format!("qemu+unix:///session?socket={}", self.socket().display())
    }

    fn try_virsh(&self, arguments: &[&str]) -> Output {
        let mut virsh = Command::new("virsh");
        virsh.args(["-q", "-c", &self.uri()]).args(arguments);
        virsh.stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn virsh(&self, arguments: &[&str]) {
        let output = self.try_virsh(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Defines a domain that boots nothing.
    fn define(&self, name: &str, n: usize) {
        let text = fs::read_to_string(recorded("domain-tcg.xml")).unwrap();
        let text = text
            .replace("two words", name)
            .replace("00000000-0000-4000-8000-000000000007", &uuid(n));
        self.define_text(&text);
    }

    /// Defines a domain whose guest panics at once.
    fn define_panic(&self) {
        let mut image = vec![0; 512];
        image[..9].copy_from_slice(&[0xBA, 0x05, 0x05, 0xB0, 0x01, 0xEE, 0xF4, 0xEB, 0xFD]);
        image[510..].copy_from_slice(&[0x55, 0xAA]);
        let path = self.folder.path().join("panic.img");
        fs::write(&path, image).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let text = fs::read_to_string(recorded("domain-panic.xml")).unwrap();
        self.define_text(&text.replace("/FOLDER", self.folder.path().to_str().unwrap()));
    }

    fn define_text(&self, text: &str) {
        let file = self.folder.path().join("domain.xml");
        fs::write(&file, text).unwrap();
        self.virsh(&["define", file.to_str().unwrap()]);
    }

    fn scan(&self, args: &[&str]) -> Run {
        Run::new(SCAN)
            .args(["--server", &self.uri()])
            .args(args)
            .env("VW_CONFIG", "/dev/null")
    }

    /// The last two digits of the guests' ids, and their states.
    #[track_caller]
    fn states(&self) -> Vec<(String, u64)> {
        let document = parse(&self.scan(&[]).run().quiet_success());
        let state = |guest: &Value| {
            let id = guest["guestId"].as_str().unwrap();
            (id[id.len() - 2..].to_owned(), guest["state"].as_u64().unwrap())
        };
        guests(&document).iter().map(state).collect()
    }
}

impl Drop for Daemon {
    /// Ends the domains, and libvirtd.
    fn drop(&mut self) {
        let list = self.try_virsh(&["list", "--uuid"]);
        for uuid in String::from_utf8_lossy(&list.stdout).split_whitespace() {
            self.try_virsh(&["destroy", uuid]);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn states(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected
        .iter()
        .map(|(id, state)| ((*id).to_owned(), *state))
        .collect()
}

#[test]
fn domains_of_qemu_are_followed_through_their_states() {
    let Some(mut daemon) = Daemon::start() else {
        return;
    };
    daemon.define("runs", 1);
    daemon.define("two words; $(id)", 2);
    daemon.define_panic();
    daemon.virsh(&["start", "runs"]);
    daemon.virsh(&["start", "two words; $(id)"]);
    daemon.virsh(&["suspend", "two words; $(id)"]);
    assert_eq!(daemon.states(), states(&[("01", 1), ("02", 3), ("99", 5)]));
    let document = parse(&daemon.scan(&[]).run().quiet_success());
    let host = &document["hypervisors"][0];
    assert_eq!(
        (
            &host["facts"]["hypervisor.type"],
            &host["facts"]["dmi.system.uuid"]
        ),
        (&json!("QEMU"), &host["uuid"])
    );
    assert!(
        host["facts"]["hypervisor.version"]
            .as_str()
            .unwrap()
            .contains('.'),
        "{host}"
    );
    assert!(
        host["facts"]["cpu.cpu_socket(s)"]
            .as_str()
            .unwrap()
            .parse::<u32>()
            .unwrap()
            > 0,
        "{host}"
    );

    let watch = Watch::start(daemon.scan(&["--watch", "--settle", "0"]));
    assert_eq!(watch.next_states(), states(&[("01", 1), ("02", 3), ("99", 5)]));
    // Until the state is there: a slow machine may print one in between.
    let reaches = |expected: &[(&str, u64)]| while watch.next_states() != states(expected) {};
    daemon.virsh(&["start", "panic1"]);
    reaches(&[("01", 1), ("02", 3), ("99", 6)]);
    daemon.virsh(&["destroy", "runs"]);
    reaches(&[("01", 5), ("02", 3), ("99", 6)]);
    daemon.virsh(&["undefine", "runs"]);
    reaches(&[("02", 3), ("99", 6)]);

    // libvirtd ends and starts again; its domains went on.
    daemon.stop();
    let words = "is libvirtd running there?";
    let outcome = with_time(&[words], |limit| daemon.scan(&["--timeout", limit]).run());
    outcome.failed_at_last(75, words);
    daemon.child = Daemon::run(daemon.folder.path());
    daemon.is_ready();
    daemon.define("new", 4);
    reaches(&[("02", 3), ("04", 5), ("99", 6)]);
    let (status, messages) = watch.end("TERM");
    assert_eq!(status, Some(143));
    assert!(
        messages.contains("due to end of file") && messages.contains("trying again in "),
        "{messages}"
    );
}

#[test]
fn domains_that_vanish_during_a_scan_make_no_scan_fail() {
    let Some(daemon) = Daemon::start() else {
        return;
    };
    daemon.define("stays", 1);
    let script = format!(
        "n=0; while [ -e '{folder}/go' ]; do n=$((n + 1)); sed \"s/two words/temp $n/; /<uuid>/s/<uuid>[^<]*<.uuid>//\" '{domain}' > '{folder}/t.xml'; \
         virsh -q -c '{uri}' \"create '{folder}/t.xml'; destroy 'temp $n'\" >/dev/null 2>&1; done",
        folder = daemon.folder.path().display(),
        domain = recorded("domain-tcg.xml").display(),
        uri = daemon.uri(),
    );
    fs::write(daemon.folder.path().join("go"), "").unwrap();
    let mut busy = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let mut has_seen_more = false;
    let mut scans = 0;
    while scans < 20 || !has_seen_more && scans < 500 {
        scans += 1;
        let found = daemon.states();
        assert_eq!(
            found
                .iter()
                .filter(|(id, state)| id == "01" && *state == 5)
                .count(),
            1,
            "{found:?}"
        );
        has_seen_more |= found.len() > 1;
    }
    fs::remove_file(daemon.folder.path().join("go")).unwrap();
    busy.wait().unwrap();
    assert!(has_seen_more, "no scan met a domain that vanishes");
}
