//! vw-scan-kubevirt --watch: what it prints when the cluster changes, a watch ends, and the server fails.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::process::Command;

use super::small;
use crate::support::kubectl::{Kubectl, machine, node};
use crate::support::{signals, until};
use crate::vw_scan_esx_watch::Watch;

const NODES: &str = "watch_nodes";
const MACHINES: &str = "watch_virtualmachineinstances.kubevirt.io";

/// A cluster whose events the test writes.
fn cluster() -> Kubectl {
    let kubectl = small();
    for fifo in [NODES, MACHINES] {
        let made = Command::new("mkfifo").arg(kubectl.folder().join(fifo)).status();
        assert!(made.unwrap().success());
    }
    kubectl
}

fn start(kubectl: &Kubectl, more: &[&str]) -> Watch {
    signals::not_ignored();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vw-scan-kubevirt"));
    command
        .args(["--settle", "0"])
        .args(more)
        .current_dir(kubectl.folder())
        .env("PATH", kubectl.path())
        .env("KUBECONFIG", "kubeconfig")
        .env("VW_CONFIG", "/dev/null");
    Watch::start(&mut command)
}

/// Where the events of a kind are written; it waits until a watch reads them.
fn events(kubectl: &Kubectl, kind: &str) -> File {
    OpenOptions::new()
        .write(true)
        .open(kubectl.folder().join(kind))
        .unwrap()
}

fn event(to: &mut File, kind: &str, object: &str) {
    writeln!(to, "{{\"type\":\"{kind}\",\"object\":{object}}}").unwrap();
}

fn two(kubectl: &Kubectl, phase: &str) {
    kubectl.list(&[node("node0", "aa"), machine(0, "node0", phase)]);
}

#[test]
fn a_document_follows_each_change_and_the_end_of_a_watch() {
    let kubectl = cluster();
    two(&kubectl, "Scheduled");
    let mut watch = start(&kubectl, &[]);
    assert!(watch.document().contains("\"state\":0"));
    let (mut nodes, mut machines) = (events(&kubectl, NODES), events(&kubectl, MACHINES));
    event(&mut nodes, "ADDED", &node("node0", "aa"));
    event(&mut machines, "ADDED", &machine(0, "node0", "Scheduled"));

    two(&kubectl, "Running");
    event(&mut machines, "MODIFIED", &machine(0, "node0", "Running"));
    assert!(watch.document().contains("\"state\":1"));

    // Both watches end, as they do when the server ends, and kubectl's exit status is 0.
    two(&kubectl, "Failed");
    drop((nodes, machines));
    assert!(watch.document().contains("\"state\":6"));
    watch.message("kubectl: the watch ended early; trying again in 0.");

    // The next ones have the same objects, and then a change.
    let (_nodes, mut machines) = (events(&kubectl, NODES), events(&kubectl, MACHINES));
    two(&kubectl, "Succeeded");
    event(&mut machines, "DELETED", &machine(0, "node0", "Failed"));
    assert!(watch.document().contains("\"state\":5"));

    watch.signal("TERM");
    assert_eq!(watch.status(), Some(143));
    // Neither of the kubectl processes is left: nobody reads the events.
    until(|| (&machines).write_all(b"x").is_err());
}

#[test]
fn a_failed_scan_is_repeated_and_prints_nothing() {
    let kubectl = cluster();
    let mut watch = start(&kubectl, &[]);
    assert!(watch.document().contains("\"aa\""));
    let (_nodes, mut machines) = (events(&kubectl, NODES), events(&kubectl, MACHINES));
    kubectl.fail("{\"items\":[]}", "Unable to connect to the server: EOF", 1);
    event(&mut machines, "ADDED", &machine(7, "node0", "Running"));
    watch.message("kubectl: Unable to connect to the server: EOF; trying again in ");
    two(&kubectl, "Running");
    kubectl.mend();
    assert!(watch.document().contains("\"state\":1"));
    watch.signal("INT");
    assert_eq!(watch.status(), Some(130));
}

#[test]
fn a_refused_right_ends_the_watch() {
    let kubectl = cluster();
    let mut watch = start(&kubectl, &[]);
    assert!(watch.document().contains("\"aa\""));
    let (_nodes, mut machines) = (events(&kubectl, NODES), events(&kubectl, MACHINES));
    kubectl.fail("", "error: You must be logged in to the server (Unauthorized)", 1);
    event(&mut machines, "ADDED", &machine(7, "node0", "Running"));
    watch.message("vw-scan-kubevirt: https://k8s.example.com:6443: kubectl: You must be logged in to the server (Unauthorized)");
    assert_eq!(watch.status(), Some(77));
}

#[test]
fn a_user_signal_prints_the_document_again() {
    let kubectl = cluster();
    let mut watch = start(&kubectl, &[]);
    let document = watch.document();
    let _open = (events(&kubectl, NODES), events(&kubectl, MACHINES));
    watch.signal("USR1");
    assert_eq!(watch.document(), document);
    watch.signal("HUP");
    assert_eq!(watch.status(), Some(129));
}
