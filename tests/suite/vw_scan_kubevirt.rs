//! vw-scan-kubevirt as its users meet it, with a stand-in for kubectl.

mod failures;
mod options;
mod watch;

use std::fs;

use serde_json::Value;

use crate::man::root;
use crate::support::kubectl::{Kubectl, machine, node};

/// A cluster with two nodes and a virtual machine on each.
fn small() -> Kubectl {
    let kubectl = Kubectl::new();
    kubectl.list(&[
        node("node0", "aa"),
        node("node1", "bb"),
        machine(1, "node1", "Running"),
        machine(0, "node0", "Succeeded"),
    ]);
    kubectl
}

/// The JSON that a command printed.
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A recorded file.
fn recorded(name: &str) -> String {
    fs::read_to_string(root().join("tests/data/kubernetes").join(name)).unwrap()
}

#[test]
fn the_mapping_is_compact_sorted_and_names_its_source() {
    let kubectl = small();
    let guest = |number: u32, state: u8| {
        let active = u8::from(state == 1);
        format!(
            r#"{{"guestId":"{number:08}-0000-4000-8000-000000000000","state":{state},"attributes":{{"active":{active},"virtWhoType":"kubevirt"}}}}"#
        )
    };
    let host = |name: &str, id: &str, guest: &str| {
        format!(
            r#"{{"uuid":"{id}","guests":[{guest}],"facts":{{"cpu.cpu_socket(s)":"7","hypervisor.type":"qemu","dmi.system.uuid":"{id}","hypervisor.version":"v1.34.1"}},"name":"{name}"}}"#
        )
    };
    let expected = format!(
        r#"{{"hypervisors":[{},{}],"source":{{"type":"kubevirt","server":"k8s.example.com:6443"}}}}"#,
        host("node0", "aa", &guest(0, 5)),
        host("node1", "bb", &guest(1, 1)),
    );
    // The members of attributes may come in either order.
    let printed = kubectl.scan(&[]).run().quiet_success();
    assert_eq!(json(&printed), json(&expected));
    assert!(
        printed.ends_with("}\n") && printed.lines().count() == 1,
        "{printed}"
    );
    assert!(printed.find("\"aa\"") < printed.find("\"bb\""));
}

/// Both were recorded on one real server.
#[test]
fn ids_and_facts_are_those_of_virt_who() {
    let mut objects = Vec::new();
    for number in 0..3 {
        let item = &json(&recorded("nodes.json"))["items"][0];
        let mut text = item.to_string().replace("node0", &format!("node{number}"));
        text = text.replace(&"0".repeat(32), &format!("{number:032}"));
        objects.push(text);
    }
    for number in [0, 1, 3, 4, 5, 8] {
        let mut object = json(&recorded("vmis.json"))["items"][0].clone();
        object["metadata"]["name"] = format!("vm{number:04}").into();
        object["spec"]["domain"]["firmware"]["uuid"] =
            format!("{number:08}-0000-4000-8000-000000000000").into();
        object["status"] = serde_json::json!({"phase": "Running", "nodeName": format!("node{}", number % 3)});
        objects.push(object.to_string());
    }
    let kubectl = Kubectl::new();
    kubectl.list(&objects);
    for id in ["uuid", "hostname"] {
        let args = ["--hypervisor-id", id, "--layout", "checkin"];
        let printed = kubectl.scan(&args).run().quiet_success();
        assert_eq!(
            json(&printed),
            json(&recorded(&format!("virtwho-{id}.json"))),
            "{id}"
        );
    }
}

#[test]
fn one_odd_object_never_empties_the_mapping() {
    let kubectl = small();
    kubectl.list(&[
        node("node0", "aa"),
        machine(0, "node0", "Running"),
        machine(1, "node0", "Running").replace("firmware", "other"),
        machine(2, "gone", "Running"),
        machine(3, "", "Scheduling"),
        node("bare", ""),
        "5".to_owned(),
    ]);
    let outcome = kubectl.scan(&[]).run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "vw-scan-kubevirt: warning: left out 1 host and 4 guests (see \"omitted\")\n"
    );
    let mapping = json(&outcome.stdout);
    assert_eq!(mapping["hypervisors"].as_array().unwrap().len(), 1);
    assert_eq!(mapping["hypervisors"][0]["guests"].as_array().unwrap().len(), 1);
    let omitted: Vec<String> = mapping["omitted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{} {}",
                one["id"].as_str().unwrap_or("-"),
                one["reason"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        omitted,
        [
            "bare no status.nodeInfo.machineID",
            "- invalid type: integer `5`, expected struct Object",
            "default/vm1 no spec.domain.firmware.uuid",
            "default/vm2 its node \"gone\" is not in the list of nodes",
            "default/vm3 not on a node (phase Scheduling)",
        ]
    );
    let strict = kubectl.scan(&["--strict"]).run();
    strict.failed(65, "--strict: 1 host and 4 guests would be left out: ");
    assert_eq!(strict.stdout, "");
}

#[test]
fn colliding_uuids_and_machine_ids_are_kept_and_named() {
    let kubectl = Kubectl::new();
    let other = machine(0, "node1", "Running").replace("\"default\"", "\"other\"");
    kubectl.list(&[
        node("node0", "aa"),
        node("node1", "aa"),
        machine(0, "node0", "Running"),
        other,
    ]);
    let outcome = kubectl.scan(&["--guest-names"]).run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    for words in [
        "2 hosts have the id aa: node0, node1\n",
        "2 virtual machines have the guest id 00000000-0000-4000-8000-000000000000: \"vm0\" (default/vm0) on node0, \"vm0\" (other/vm0) \
         on node1\n",
    ] {
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    let mapping = json(&outcome.stdout);
    let morefs: Vec<&Value> = mapping["hypervisors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| &host["guests"][0]["moref"])
        .collect();
    assert_eq!(morefs, ["default/vm0", "other/vm0"]);
}

#[test]
fn a_large_cluster_needs_little_memory() {
    let kubectl = Kubectl::new();
    // 40 MB, of which a scan keeps half a megabyte. Real objects are of this size.
    let padding = "x".repeat(20_000);
    kubectl.write(
        "list.sh",
        &format!(
            "printf '{{\"items\":[%s' '{}'\nn=0; while [ $n -lt 2000 ]; do\n\
             printf ',{{\"kind\":\"VirtualMachineInstance\",\"metadata\":{{\"name\":\"vm%d\",\"namespace\":\"default\",\"annotations\":\
             {{\"x\":\"{padding}\"}}}},\"spec\":{{\"domain\":{{\"firmware\":{{\"uuid\":\"%08d-0000-4000-8000-000000000000\"}}}}}},\
             \"status\":{{\"nodeName\":\"n\",\"phase\":\"Running\"}}}}' $n $n; n=$((n + 1))\ndone\nprintf ']}}'; exit 0\n",
            node("n", "aa")
        ),
    );
    let (outcome, used) = kubectl.scan(&[]).measured();
    let printed = outcome.quiet_success();
    assert_eq!(
        json(&printed)["hypervisors"][0]["guests"]
            .as_array()
            .unwrap()
            .len(),
        2000
    );
    assert!(used.memory < 24 << 20, "{used:?}");
}

#[test]
fn a_check_names_the_server_its_versions_and_what_can_be_read() {
    let kubectl = Kubectl::new();
    kubectl.write(
        "raw_version",
        r#"{"major":"1","minor":"34","gitVersion":"v1.34.1"}"#,
    );
    let group = r#"{"kind":"APIGroup","name":"kubevirt.io","preferredVersion":{"groupVersion":"kubevirt.io/v1","version":"v1"}}"#;
    kubectl.write("raw_apis_kubevirt.io", group);
    kubectl.write(
        "raw_api_v1_nodes?limit=1",
        r#"{"kind":"NodeList","metadata":{"continue":"abc","remainingItemCount":2},"items":[{}]}"#,
    );
    kubectl.write(
        "raw_apis_kubevirt.io_v1_virtualmachineinstances?limit=1",
        r#"{"metadata":{},"items":[{}]}"#,
    );
    let line = "https://k8s.example.com:6443: Kubernetes v1.34.1, KubeVirt API v1, 3 nodes and 1 virtual machine instance can be read\n";
    assert_eq!(kubectl.scan(&["--check"]).run().quiet_success(), line);
    assert_eq!(
        kubectl
            .scan(&["--check", "--kubeversion", "v1"])
            .run()
            .quiet_success(),
        line
    );

    fs::remove_file(kubectl.folder().join("raw_apis_kubevirt.io")).unwrap();
    let outcome = kubectl.scan(&["--check"]).run();
    outcome.failed(69, "KubeVirt is not installed");
    assert_eq!(outcome.stdout, "");
}
