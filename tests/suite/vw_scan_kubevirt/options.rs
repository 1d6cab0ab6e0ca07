//! Options, keys, and what vw-config says about the keys.

use std::fs;

use super::small;
use crate::support::kubectl::Kubectl;
use crate::support::{Outcome, Run};

fn with_section(kubectl: &Kubectl, keys: &str, args: &[&str]) -> Outcome {
    kubectl.write("a.conf", &format!("[cluster]\ntype=kubevirt\nowner=o\n{keys}\n"));
    kubectl.scan(args).env("VW_CONFIG", "a.conf").run()
}

/// The last call that read the list.
fn last_get(kubectl: &Kubectl) -> String {
    kubectl
        .calls()
        .into_iter()
        .rfind(|call| call.contains(" get ") || call.starts_with("get "))
        .unwrap()
}

#[test]
fn keys_and_options_reach_kubectl() {
    let kubectl = small();
    let list = |kinds: &str| format!("get nodes,{kinds} -A -o json --request-timeout=60s");
    let usual = list("virtualmachineinstances.kubevirt.io");
    kubectl.scan(&[]).run().quiet_success();
    assert_eq!(last_get(&kubectl), usual);

    let printed = with_section(&kubectl, "kubeconfig=kubeconfig\nkubeversion=v1", &[]).quiet_success();
    assert!(
        printed
            .contains(r#""source":{"section":"cluster","type":"kubevirt","server":"k8s.example.com:6443"}"#),
        "{printed}"
    );
    let v1 = list("virtualmachineinstances.v1.kubevirt.io");
    assert_eq!(last_get(&kubectl), format!("--kubeconfig kubeconfig {v1}"));

    kubectl.write("other", "");
    let options = ["-n", "cluster", "--kubeconfig", "other", "--insecure"];
    with_section(&kubectl, "kubeconfig=kubeconfig", &options).quiet_success();
    assert_eq!(
        last_get(&kubectl),
        format!("--kubeconfig other --insecure-skip-tls-verify=true {usual}")
    );
    with_section(&kubectl, "insecure=yes", &[]).quiet_success();
    assert_eq!(
        last_get(&kubectl),
        format!("--insecure-skip-tls-verify=true {usual}")
    );
    with_section(&kubectl, "insecure=no", &[]).quiet_success();
    assert_eq!(last_get(&kubectl), usual);

    // With --kubeconfig, no section is needed.
    let printed = with_section(&kubectl, "", &["--kubeconfig", "other"]);
    assert!(printed.quiet_success().contains(r#""source":{"type":"kubevirt""#));

    fs::create_dir(kubectl.folder().join(".kube")).unwrap();
    kubectl.write(".kube/own", "");
    let home = kubectl.folder().to_str().unwrap().to_owned();
    let run = kubectl
        .scan(&["--kubeconfig", "~/.kube/own"])
        .env("HOME", &home)
        .run();
    run.quiet_success();
    assert_eq!(
        last_get(&kubectl),
        format!("--kubeconfig {home}/.kube/own {usual}")
    );
}

#[test]
fn a_version_that_the_server_lacks_and_a_file_that_is_missing() {
    let kubectl = small();
    with_section(&kubectl, "kubeversion=v1alpha3", &[]).failed(69, "kubeversion");
    with_section(&kubectl, "kubeconfig=gone", &[]).failed(78, "stat gone: no such file");
}

#[test]
fn values_that_are_none_are_refused() {
    let kubectl = small();
    for (keys, status, words) in [
        (
            "kubeversion=v1/../v2",
            78,
            "a.conf:4: [cluster] kubeversion: 'v1/../v2' is not a version of an API, such as v1",
        ),
        (
            "hypervisor_id=hwuuid",
            78,
            "a.conf:4: [cluster] hypervisor_id: 'hwuuid' is not uuid or hostname",
        ),
        ("insecure=perhaps", 78, "a.conf:4: [cluster] insecure: "),
    ] {
        with_section(&kubectl, keys, &[]).failed(status, words);
    }
    kubectl
        .scan(&["--hypervisor-id", "hwuuid"])
        .run()
        .failed(64, "possible values: uuid, hostname");
    kubectl.scan(&["--kubeversion", "-A"]).run().failed(64, "");
    kubectl
        .scan(&["--kubeversion=V 1"])
        .run()
        .failed(64, "is not a version of an API, such as v1");
    kubectl
        .scan(&["--settle", "1"])
        .run()
        .failed(64, "--settle needs --watch");
    assert_eq!(
        kubectl.calls(),
        [""; 0],
        "nothing is run before the options are known to be right"
    );
}

#[test]
fn a_section_of_another_type_is_refused() {
    let kubectl = small();
    kubectl.write("b.conf", "[esx]\ntype=esx\n");
    let outcome = kubectl.scan(&["-c", "b.conf", "-n", "esx"]).run();
    outcome.failed(
        78,
        "b.conf:2: [esx] type: 'esx' is not kubevirt, the type that vw-scan-kubevirt reads; use vw-scan-esx",
    );
}

fn check(kubectl: &Kubectl, keys: &str) -> Outcome {
    let section = format!(
        "[cluster]\ntype=kubevirt\nowner=o\nrhsm_username=u\nrhsm_password=p\nrhsm_hostname=h\n{keys}"
    );
    kubectl.write("a.conf", &section);
    let run = Run::new(env!("CARGO_BIN_EXE_vw-config")).args(["check", "-c", "a.conf"]);
    run.folder(kubectl.folder()).env("PATH", &kubectl.path()).run()
}

#[test]
fn vw_config_knows_the_keys_and_which_mean_nothing() {
    let kubectl = small();
    let good = check(&kubectl, "kubeconfig=kubeconfig\nkubeversion=v1\n");
    assert_eq!(good.status, 0, "{good:?}");
    assert!(
        !(good.stdout.clone() + &good.stderr).contains("[cluster]"),
        "{good:?}"
    );

    let keys = [
        "server=h",
        "username=u",
        "password=p",
        "cacert=/nonexistent",
        "thumbprint=x",
        "proxy=h:1",
    ];
    let ignored = check(&kubectl, &(keys.join("\n") + "\n"));
    assert_eq!(ignored.status, 0, "{ignored:?}");
    let said = ignored.stdout.clone() + &ignored.stderr;
    for (line, key) in (7..).zip(keys) {
        let key = key.split('=').next().unwrap();
        let words = format!(
            "a.conf:{line}: [cluster] {key}: is ignored, because the kubeconfig has all that; remove it"
        );
        assert!(said.contains(&words), "{words}: {said}");
    }

    for (keys, words) in [
        (
            "kubeconfig=gone\n",
            "a.conf:7: [cluster] kubeconfig: gone can't be read: No such file",
        ),
        (
            "kubeversion=1 2\n",
            "a.conf:7: [cluster] kubeversion: '1 2' is not a version of an API, such as v1",
        ),
        (
            "hypervisor_id=hwuuid\n",
            "a.conf:7: [cluster] hypervisor_id: 'hwuuid' is not uuid or hostname",
        ),
    ] {
        let wrong = check(&kubectl, keys);
        assert_eq!(wrong.status, 78, "{wrong:?}");
        assert!(
            (wrong.stdout.clone() + &wrong.stderr).contains(words),
            "{wrong:?}"
        );
    }
}
