//! Objects with odd values.

use super::*;

#[test]
fn odd_objects_are_sent_unchanged() {
    let mut inventory = Inventory::empty();
    let cluster = inventory.add_cluster("R&D %2f <lab>");
    let bare = inventory.add_host(
        cluster,
        Host {
            id: "host-x&y".into(),
            name: Some("esx <1> & co".into()),
            connection: Some("disconnected".into()),
            ..Host::default()
        },
    );
    let hidden = inventory.add_standalone(Host {
        denied: vec!["hardware.systemInfo.uuid".into()],
        ..Host::new("esx2.example.com")
    });
    inventory.add_vm(
        hidden,
        Vm {
            uuid: Some(String::new()),
            version: None,
            power: Some("odd".into()),
            ..Vm::new("web1")
        },
    );
    let vcenter = plain(inventory);
    let inventory = vcenter.inventory();
    let mut vim = Vim::logged_in(&vcenter);
    let view = vim.view(&[]);
    let text = vim.collector(
        "RetrievePropertiesEx",
        &format!("<specSet>{}</specSet><options/>", over_view(&view)),
    );
    let shown = object(&text, "host-x&amp;y");
    let names: Vec<_> = shown
        .split("<name>")
        .skip(1)
        .map(|p| p.split('<').next().unwrap())
        .collect();
    assert_eq!(names, ["name", "vm", "parent"]);
    assert!(
        shown.contains("<val xsi:type=\"xsd:string\">esx &lt;1&gt; &amp; co</val>"),
        "{shown}"
    );
    assert!(shown.contains("<val xsi:type=\"ArrayOfManagedObjectReference\"></val>"));
    let cluster = inventory.compute(inventory.compute_of(bare));
    assert!(object(&text, &cluster.id).contains(">R&amp;D %2f &lt;lab&gt;</val>"));
    let shown = object(&text, &inventory.host(hidden).id);
    assert!(!shown.contains("<propSet><name>hardware.systemInfo.uuid"));
    assert!(shown.contains(
        "<missingSet><path>hardware.systemInfo.uuid</path><fault><fault xsi:type=\"NoPermission\">"
    ));
    assert!(
        shown.contains("<name>hardware.cpuInfo.numCpuPackages</name><val xsi:type=\"xsd:short\">2</val>")
    );
    // The attributes come in either order, depending on the host.
    assert!(text.contains("<val type=\"ClusterComputeResource\" xsi:type=\"ManagedObjectReference\">"));
    assert!(text.contains("<val xsi:type=\"ManagedObjectReference\" type=\"ComputeResource\">"));
    let vm = inventory.vm(inventory.vms_of(hidden)[0]);
    let shown = object(&text, &vm.id);
    assert!(shown.contains("<name>config.uuid</name><val xsi:type=\"xsd:string\"></val>"));
    assert!(!shown.contains("config.version"));
    assert!(shown.contains("<val xsi:type=\"VirtualMachinePowerState\">odd</val>"));
}
