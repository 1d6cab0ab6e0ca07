//! What a real vCenter does on its bad days, and this one when it is told to.

use vw_sim::vcenter::{Host, Inventory, VCenter, Vm};

use crate::vim::*;

#[test]
fn an_object_vanishes_while_the_server_works() {
    let vcenter = VCenter::start(Inventory::new(1, 2), None).unwrap();
    vcenter.vanish_during("RetrievePropertiesEx", 2);
    let mut vim = Vim::logged_in(&vcenter);
    let view = vim.view(&["VirtualMachine"]);
    let call = collector_call(
        "RetrievePropertiesEx",
        &format!("<specSet>{}</specSet><options/>", over_view(&view)),
    );
    assert_eq!(vim.fault(&call), "ManagedObjectNotFound");
    assert_eq!(vim.fault(&call), "ManagedObjectNotFound");
    assert_eq!(vim.post(&call).status, 200);
}

#[test]
fn a_property_has_the_fault_that_it_is_given() {
    let mut inventory = Inventory::empty();
    let host = inventory.add_standalone(Host::new("esx1.example.com"));
    inventory.add_vm(
        host,
        Vm {
            denied: vec!["config.uuid".into()],
            fault: Some("ManagedObjectNotFound"),
            ..Vm::new("gone")
        },
    );
    let vcenter = VCenter::start(inventory, None).unwrap();
    let mut vim = Vim::logged_in(&vcenter);
    let view = vim.view(&["VirtualMachine"]);
    let inner = format!("<specSet>{}</specSet><options/>", over_view(&view));
    let text = vim.collector("RetrievePropertiesEx", &inner);
    let missing = between(&text, "<missingSet><path>config.uuid</path>", "</missingSet>").unwrap();
    assert!(missing.contains("<fault xsi:type=\"ManagedObjectNotFound\"><obj type=\"VirtualMachine\">"));
}

#[test]
fn touched_objects_and_lost_views_reach_the_waiting_client() {
    let vcenter = VCenter::start(Inventory::new(1, 1), None).unwrap();
    let mut vim = Vim::logged_in(&vcenter);
    let view = vim.view(&["VirtualMachine", "HostSystem"]);
    vim.collector("CreateFilter", &filter(&over_view(&view)));
    let first = vim.collector("WaitForUpdatesEx", &wait("", 0));
    let version = |page: &str| between(page, "<version>", "<").unwrap().to_owned();
    let id = vcenter.inventory().vms().next().unwrap().1.id.clone();
    vcenter.touch("VirtualMachine", &id);
    let touched = vim.collector("WaitForUpdatesEx", &wait(&version(&first), 0));
    assert!(touched.contains(&format!(
        "<kind>modify</kind><obj type=\"VirtualMachine\">{id}</obj></objectSet>"
    )));
    vcenter.lose_views();
    let vm = vcenter.inventory().vms().next().unwrap().0;
    vcenter.change(|inventory| inventory.remove_vm(vm));
    let lost = vim.collector("WaitForUpdatesEx", &wait(&version(&touched), 0));
    let missing = between(&lost, "<missingSet>", "</missingSet>").unwrap();
    assert!(missing.contains(&view) && missing.contains("ManagedObjectNotFound"));
    assert!(!lost.contains("<kind>"), "{lost}");
    let nothing = vim.collector("WaitForUpdatesEx", &wait(&version(&lost), 0));
    assert!(!nothing.contains("<returnval>"), "{nothing}");
}
