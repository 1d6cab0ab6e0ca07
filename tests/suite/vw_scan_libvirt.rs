//! vw-scan-libvirt as its users meet it, with a script in the place of virsh; `real` has the real one.

mod real;
mod watch;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::signals::{not_ignored, send};
use crate::support::terminal::Terminal;
use crate::support::{Outcome, Run, at_once, ended, until, with_time, write_program};

pub(crate) const SCAN: &str = env!("CARGO_BIN_EXE_vw-scan-libvirt");

/// A recorded file.
pub(crate) fn recorded(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/libvirt")
        .join(name)
}

/// A machine on which `virsh` is a script.
struct Machine {
    folder: TempDir,
}

impl Machine {
    /// The script finds its arguments in `$*`. Each call adds a line to the file `calls`.
    fn new(script: &str) -> Self {
        let machine = Machine {
            folder: tempfile::tempdir().unwrap(),
        };
        let folder = machine.folder.path();
        fs::create_dir(folder.join("bin")).unwrap();
        fs::write(folder.join("virt-who.conf"), "").unwrap();
        let virsh = folder.join("bin/virsh");
        let script = format!(
            "#!/bin/sh\ncd '{}'\necho \"$*\" >> calls\n{script}\n",
            folder.display()
        );
        write_program(&virsh, &script);
        machine
    }

    /// One that answers with recorded bytes: the first call gets the host and the domains, a local one only the domains.
    fn recorded() -> Self {
        let cat = |name: &str| format!("cat '{}'", recorded(name).display());
        let facts = format!(
            "sed -n '2,5p; /^vm$/p' '{}'",
            recorded("facts-qemu.txt").display()
        );
        Machine::new(&format!(
            "case \"$*\" in *capabilities*) {}; echo; {facts};; *version*) {facts}; exit;; esac\n{}",
            cat("capabilities-qemu.xml"),
            cat("pair-one-process.txt")
        ))
    }

    fn run(&self) -> Run {
        let path = std::env::var("PATH").unwrap_or_default();
        let own = self.folder.path().join("bin");
        Run::new(SCAN)
            .folder(self.folder.path())
            .env("PATH", &format!("{}:{path}", own.display()))
            .env("VW_CONFIG", "virt-who.conf")
    }

    fn scan(&self, args: &[&str]) -> Outcome {
        self.run().args(args).run()
    }

    /// Writes the section `[kvm]` of the configuration.
    fn section(&self, keys: &str) {
        let file = self.folder.path().join("virt-who.conf");
        fs::write(&file, format!("[kvm]\n{keys}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A document of virt-who, as we print it: its order of guests is random, and its version is a number.
fn of_virt_who(name: &str) -> Value {
    let mut document = parse(&fs::read_to_string(recorded(name)).unwrap());
    let guests = document["hypervisors"][0]["guestIds"].as_array_mut().unwrap();
    guests.sort_by_key(|guest| guest["guestId"].as_str().unwrap().to_owned());
    document
}

#[test]
fn a_host_is_printed_as_virt_who_does() {
    let machine = Machine::recorded();
    let printed = machine.scan(&["--server", "qemu:///system", "--layout", "checkin"]);
    let printed = parse(&printed.quiet_success());
    let mut expected = of_virt_who("virtwho-remote.json");
    let host = &mut expected["hypervisors"][0];
    // Another run of the same daemon: where the firmware has no uuid, libvirtd invents one at each start.
    let uuid = "3d1219c7-c4c5-404a-aa1f-6d2a48adfda4";
    host["hypervisorId"]["hypervisorId"] = uuid.into();
    host["facts"]["dmi.system.uuid"] = uuid.into();
    host["facts"]["hypervisor.version"] = "7.2.22".into();
    assert_eq!(printed, expected);
    let commands = "capabilities; version; hostname; list --all --uuid --name; domstats --state";
    assert_eq!(machine.calls(), [format!("-q -r -c qemu:///system {commands}")]);

    let by_name = machine.scan(&[
        "--server",
        "kvm1",
        "--hypervisor-id",
        "hostname",
        "--guest-names",
        "-d",
    ]);
    let document = parse(&by_name.stdout);
    let host = &document["hypervisors"][0];
    assert_eq!((&host["uuid"], &host["name"]), (&"vm".into(), &"vm".into()));
    let names = host["guests"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|guest| guest["name"].as_str().unwrap()).collect();
    for odd in [
        " ",
        "  lead",
        "trail ",
        "-dash",
        "a\"quote's",
        "tab\tx",
        "semi;$(id)",
        "ünïcode-日本",
    ] {
        assert!(names.contains(&odd), "{odd:?} in {names:?}");
    }
    let source = json!({"type": "libvirt", "server": "qemu+ssh://kvm1/system"});
    assert_eq!(document["source"], source);
}

#[test]
fn this_machine_has_guests_only() {
    let machine = Machine::recorded();
    let printed = parse(&machine.scan(&["--layout", "checkin"]).quiet_success());
    assert_eq!(printed, of_virt_who("virtwho-local.json"));
    assert_eq!(
        machine.calls(),
        ["-q -r list --all --uuid --name; domstats --state"]
    );
    machine.section("owner=o");
    let document = parse(&machine.scan(&["-n", "kvm"]).quiet_success());
    assert_eq!(document["source"], json!({"section": "kvm", "type": "libvirt"}));
    assert_eq!(
        machine.scan(&["--check"]).quiet_success(),
        "libvirt on vm, QEMU 7.2.22\n"
    );
}

#[test]
fn the_uri_is_made_of_the_sections_keys() {
    let machine = Machine::recorded();
    for (keys, uri) in [
        ("server=kvm1", "qemu+ssh://kvm1/system?no_tty=1"),
        (
            "type=libvirt\nserver=kvm1:2222\nusername=me",
            "qemu+ssh://me@kvm1:2222/system?no_tty=1",
        ),
        (
            "server=qemu+tls://[2001:db8::1]:16515/system?pkipath=/x",
            "qemu+tls://[2001:db8::1]:16515/system?pkipath=/x",
        ),
        ("server=xen:///", "xen:///system"),
    ] {
        machine.section(keys);
        machine.scan(&[]).quiet_success();
        let call = machine.calls().pop().unwrap();
        assert!(
            call.starts_with(&format!("-q -r -c {uri} capabilities")),
            "{call}"
        );
    }
    for (keys, words) in [
        (
            "server=esx://root@esx1/?no_verify=1",
            "virt-who.conf:2: [kvm] server: esx:// is a vCenter or an ESX host; use vw-scan-esx",
        ),
        (
            "server=vpx://vc/dc",
            "[kvm] server: vpx:// is a vCenter or an ESX host; use vw-scan-esx",
        ),
        (
            "server=qemu+tcp://a:hunter2@kvm1/system",
            "contains a password; use the key password",
        ),
        (
            "server=kvm1\nhypervisor_id=hwuuid",
            "[kvm] hypervisor_id: 'hwuuid' is not uuid or hostname",
        ),
        (
            "type=esx\nserver=vc",
            "[kvm] type: 'esx' is not libvirt, the type that vw-scan-libvirt reads; use vw-scan-esx",
        ),
    ] {
        machine.section(keys);
        let outcome = machine.scan(&["-n", "kvm"]);
        outcome.failed(78, words);
        assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
    }
    machine
        .scan(&["--server", "esx://h"])
        .failed(78, "--server: esx:// is a vCenter");
    machine
        .scan(&["--hypervisor-id", "hwuuid"])
        .failed(64, "uuid or hostname");
}

/// What virsh says when it fails (recorded), and what we make of it.
const FAILURES: [(&str, i32, &str); 12] = [
    (
        "Failed to connect socket to '/var/run/libvirt/libvirt-sock-ro': No such file or directory",
        75,
        "is libvirtd running there?",
    ),
    (
        "Failed to connect socket to '/var/run/libvirt/libvirt-sock-ro': Connection refused",
        75,
        "is libvirtd running there?",
    ),
    (
        "unable to connect to server at 'kvm1:16509': Connection refused",
        75,
        "is libvirtd running there?",
    ),
    (
        "Cannot recv data: ssh: Could not resolve hostname kvm1: Name or service not known: Connection reset by peer",
        75,
        "",
    ),
    (
        "Cannot recv data: Permission denied (publickey,password).: Connection reset by peer",
        77,
        "install a key for this user (ssh-copy-id)",
    ),
    (
        "Cannot recv data: Host key verification failed.: Connection reset by peer",
        77,
        "compare the host's key",
    ),
    (
        "authentication failed: authentication failed",
        77,
        "check username, password",
    ),
    (
        "Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file or directory",
        78,
        "",
    ),
    ("no connection driver available for foo:///x", 78, ""),
    (
        "internal error: unexpected qemu URI path '/nosuch', try qemu:///system",
        78,
        "",
    ),
    (
        "internal error: Unable to parse URI qemu+ssh://ho%st/system",
        78,
        "",
    ),
    ("Disconnected from qemu:///system due to end of file", 75, ""),
];

#[test]
fn what_virsh_says_is_passed_on_with_the_right_status() {
    at_once(FAILURES, |(words, status, advice)| {
        let machine = Machine::new(&format!(
            "echo '<capabilities/>'\ncat >&2 <<'END'\nerror: failed to connect to the hypervisor\nerror: {words}\nEND\nexit 1"
        ));
        let known = format!("qemu+ssh://kvm1/system: failed to connect to the hypervisor: {words}");
        let outcome = with_time(&[&known], |limit| {
            machine.scan(&["--server", "kvm1", "--timeout", limit])
        });
        assert_eq!(outcome.stdout, "", "{words}");
        outcome.failed_at_last(status, &known);
        assert!(outcome.stderr.contains(advice), "{outcome:?}");
    });
}

#[test]
fn an_error_of_any_command_fails_the_scan_whatever_the_exit_status() {
    let machine = Machine::new("echo 'error: internal error: no' >&2; echo vm");
    let words = "libvirt of this machine: internal error: no";
    let outcome = with_time(&[words], |limit| machine.scan(&["--timeout", limit]));
    outcome.failed_at_last(75, words);
    for (script, status, words) in [
        ("exit 3", 75, "libvirt of this machine: virsh: exit status 3"),
        ("kill -9 $$", 75, "virsh: killed by signal 9"),
        (
            "echo something else",
            76,
            "virsh printed a list of domains with other lines",
        ),
        (
            "echo \"error: command 'list' doesn't support option --uuid\" >&2; exit 1",
            78,
            "virsh 2.1.0 or newer is needed",
        ),
    ] {
        let machine = Machine::new(script);
        let outcome = with_time(&[words], |limit| machine.scan(&["--timeout", limit]));
        outcome.failed_at_last(status, words);
        assert_eq!(outcome.stdout, "");
    }
    for (answer, words) in [
        ("no xml", "virsh printed no capabilities"),
        (
            "<capabilities><host></capabilities>",
            "the capabilities that virsh printed: malformed XML",
        ),
        (
            "<!DOCTYPE x [<!ENTITY y \"z\">]><capabilities></capabilities>",
            "a document type",
        ),
    ] {
        let machine = Machine::new(&format!("cat <<'END'\n{answer}\nEND"));
        machine.scan(&["--server", "kvm1"]).failed(76, words);
    }
    Machine::new("yes '<capabilities>'")
        .scan(&["--server", "kvm1"])
        .failed(76, "printed more than");
}

#[test]
fn a_missing_virsh_names_its_package() {
    let machine = Machine::recorded();
    let outcome = machine.run().env("PATH", "/nonexistent").run();
    outcome.failed(
        78,
        "virsh not found in PATH; install libvirt-client (RHEL, Fedora) or libvirt-clients (Debian, Ubuntu)",
    );
}

#[test]
fn a_host_without_a_uuid_is_named_with_what_to_do() {
    let answer = "echo '<capabilities><host/></capabilities>'; echo 'Using API: TEST 9.0.0'; echo vm";
    let machine = Machine::new(&format!(
        "case \"$*\" in *nodeinfo) echo 'error: no' >&2; exit 1;; esac; {answer}"
    ));
    let outcome = machine.scan(&["--server", "test:///default"]);
    outcome.failed(
        78,
        "libvirt does not know the host's uuid; set hypervisor_id=hostname, or give --hypervisor-id hostname",
    );
    let printed = machine.scan(&["--server", "test:///default", "--hypervisor-id", "hostname"]);
    let host = &parse(&printed.quiet_success())["hypervisors"][0];
    // Neither the topology nor nodeinfo says how many sockets there are.
    assert_eq!(host["facts"], json!({"hypervisor.type": "TEST"}));
}

#[test]
fn domains_that_come_and_go_are_neither_doubled_nor_lost() {
    let (one, two, three) = (
        "00000000-0000-4000-8000-000000000001",
        "00000000-0000-4000-8000-000000000002",
        "00000000-0000-4000-8000-000000000003",
    );
    let stats = |name: &str| format!("printf \"Domain: '{name}'\\n  state.state=1\\n\\n\"");
    // The first pair lacks `two` in the list, the second has it; `one` has no state, and `three` has gone by then.
    let machine = Machine::new(&format!(
        "case \"$*\" in
        *domstate*) echo '{one}paused'; echo '{three}'; echo \"error: failed to get domain '{three}'\" >&2; exit 1;;
        esac
        echo '{one} one'; echo '{three} three'
        [ $(wc -l < calls) -eq 1 ] || echo '{two} two'
        {}",
        stats("two")
    ));
    let document = parse(&machine.scan(&[]).quiet_success());
    let guests = document["hypervisors"][0]["guests"].as_array().unwrap();
    let states: Vec<_> = guests
        .iter()
        .map(|guest| (guest["guestId"].as_str().unwrap(), &guest["state"]))
        .collect();
    assert_eq!(states, [(one, &json!(3)), (two, &json!(1))]);
    assert_eq!(machine.calls().len(), 3);

    // One that never gets a uuid is left out, and so is Xen's Domain-0.
    let zero = "00000000-0000-0000-0000-000000000000";
    let machine = Machine::new(&format!(
        "echo '{zero} Domain-0'; {}; {}",
        stats("Domain-0"),
        stats("ghost")
    ));
    let outcome = machine.scan(&[]);
    assert_eq!(outcome.status, 0);
    let omitted = &parse(&outcome.stdout)["omitted"];
    let names: Vec<_> = omitted
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ghost", "Domain-0"], "{omitted}");
    assert_eq!(machine.calls().len(), 3);
    machine.scan(&["--strict"]).failed(65, "2 guests");
}

#[test]
fn a_driver_without_statistics_is_asked_for_each_state() {
    let uuid = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
    let words = [
        "no state",
        "running",
        "idle",
        "paused",
        "in shutdown",
        "shut off",
        "crashed",
        "pmsuspended",
    ];
    let list: String = (0..8).map(|n| format!("{} vm{n}\n", uuid(n + 1))).collect();
    let states: String = (0..8)
        .map(|n| format!("{}{}\n", uuid(n + 1), words[n as usize]))
        .collect();
    let machine = Machine::new(&format!(
        "case \"$*\" in *domstate*) cat <<'END'\n{states}END\nexit;; esac\ncat <<'END'\n{list}END\n\
         echo 'error: this function is not supported by the connection driver: virConnectGetAllDomainStats' >&2; exit 1"
    ));
    let document = parse(&machine.scan(&[]).quiet_success());
    let guests = document["hypervisors"][0]["guests"].as_array().unwrap();
    let states: Vec<_> = guests
        .iter()
        .map(|guest| guest["state"].as_u64().unwrap())
        .collect();
    assert_eq!(states, [0, 1, 2, 3, 4, 5, 6, 7]);
}

/// A virsh that shows what the file with the password is and has, and answers nothing else.
const SHOW_AUTH: &str = "id -un > user; stat -Lc '%a %U' \"$LIBVIRT_AUTH_FILE\" > auth; cat \"$LIBVIRT_AUTH_FILE\" >> auth; \
    echo \"$LIBVIRT_AUTH_FILE $LC_ALL\" > path; env > environment";

#[test]
fn a_password_reaches_virsh_by_a_file_that_is_on_no_disk() {
    let machine = Machine::new(SHOW_AUTH);
    machine.section("server=qemu+tcp://kvm1/system\nusername=me\npassword=s3 \"cr\\et#");
    machine
        .scan(&["-n", "kvm"])
        .failed(76, "virsh printed no capabilities");
    let read = |name: &str| fs::read_to_string(machine.folder.path().join(name)).unwrap();
    let auth = read("auth");
    let user = read("user");
    let user = user.trim();
    assert!(
        auth.starts_with(&format!(
            "600 {user}\n[credentials-vw]\nusername=me\nauthname=me\n"
        )),
        "{auth}"
    );
    assert!(
        auth.contains("\npassword=s3 \"cr\\\\et#\n[auth-libvirt-default]\ncredentials=vw\n"),
        "{auth}"
    );
    assert!(read("path").starts_with("/proc/self/fd/") && read("path").ends_with(" C\n"));
    for public in [read("calls"), read("environment")] {
        assert!(!public.contains("s3 "), "{public}");
    }
    // Without a password there is no file.
    machine.section("server=qemu+tcp://kvm1/system");
    machine.scan(&["-n", "kvm"]);
    assert!(!read("environment").contains("LIBVIRT_AUTH_FILE"));
    // ssh has no use for it.
    machine.section("server=kvm1\npassword=x");
    let outcome = machine.scan(&["-n", "kvm"]);
    assert!(
        outcome
            .stderr
            .contains("warning: the password is not used: ssh needs a key"),
        "{outcome:?}"
    );
    // From a pipe, and not as a broken line.
    fs::write(machine.folder.path().join("pw"), "from file\n").unwrap();
    machine.scan(&["--server", "qemu+tcp://kvm1/system", "--password-file", "pw"]);
    assert!(read("auth").contains("\npassword=from file\n"));
    fs::write(machine.folder.path().join("pw"), "two\nlines\n").unwrap();
    machine.scan(&["--server", "qemu+tcp://kvm1/system", "--password-file", "pw"]);
    assert!(read("auth").contains("\npassword=two\\nlines\n"));
}

#[test]
fn a_signal_ends_virsh_and_all_that_it_started() {
    not_ignored();
    let machine = Machine::new("sleep 1000 & echo $! > child; wait");
    let (mut scan, _stdin) = machine.run().start(std::process::Stdio::piped());
    let child = machine.folder.path().join("child");
    until(|| fs::read_to_string(&child).is_ok_and(|id| id.ends_with('\n')));
    send(&scan, "TERM");
    let status = ended(&mut scan).expect("it goes on");
    assert_eq!(status.code(), Some(143));
    let id = fs::read_to_string(&child).unwrap();
    let stat = format!("/proc/{}/stat", id.trim());
    until(|| fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")));
}

#[test]
fn a_virsh_that_hangs_is_ended_at_the_deadline() {
    let outcome = Machine::new("sleep 1000").scan(&["--timeout", "1"]);
    outcome.failed(75, "virsh did not end within");
}

#[test]
fn a_virsh_that_asks_on_the_terminal_is_ended() {
    let machine = Machine::new("exec 3<> /dev/tty; printf 'Password: ' >&3; read answer <&3; sleep 1000");
    let path = format!(
        "{}/bin:{}",
        machine.folder.path().display(),
        std::env::var("PATH").unwrap()
    );
    let script = format!(
        "cd '{}'; {SCAN} --server qemu+tcp://kvm1/system; echo status $?",
        machine.folder.path().display()
    );
    let Some(terminal) = Terminal::run(&script, &[("PATH", &path), ("VW_CONFIG", "/dev/null")]) else {
        return;
    };
    let (_, shown) = terminal.ended();
    assert!(
        shown.contains("virsh wants to ask something on the terminal"),
        "{shown}"
    );
    assert!(shown.contains("status 78"), "{shown}");
}
