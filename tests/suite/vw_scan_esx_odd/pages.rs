//! Inventories that change while they are read page by page.

use super::*;

/// How the inventory changes between two pages.
type Change = fn(&mut Inventory, &Usual, HostKey, VmKey);

#[test]
fn machines_that_vanish_appear_or_move_between_pages_affect_no_others() {
    let table: [(&str, Change); 5] = [
        ("vanishes", |inventory, _, _, moving| inventory.remove_vm(moving)),
        ("vanishes before its page", |inventory, usual, _, _| {
            inventory.remove_vm(usual.vms[1])
        }),
        ("comes", |inventory, usual, _, _| {
            inventory.add_vm(usual.host, Vm::new("comes"));
        }),
        ("moves", |inventory, usual, _, moving| {
            inventory.move_vm(moving, usual.host)
        }),
        ("moves away", |inventory, usual, other, _| {
            inventory.move_vm(usual.vms[1], other)
        }),
    ];
    for (what, change) in table {
        // Before each page after the first.
        for page in 1..=7 {
            change_before_page(&format!("{what} {page}"), page, change);
        }
    }
}

/// Scans an inventory that changes before the page with this number.
fn change_before_page(what: &str, page: usize, change: Change) {
    let mut inventory = Inventory::empty();
    let usual = usual(&mut inventory);
    let other = inventory.add_standalone(Host::new("other.example.com"));
    let moving = inventory.add_vm(other, vm(|_| {}));
    inventory.add_vm(other, Vm::new("stays"));
    let stays = inventory.vm(usual.vms[0]).name.clone().unwrap();
    let site = Site::new(inventory);
    let first = site.mapping(&["--guest-names"]);
    site.vcenter.limit_pages(Some(1));
    let vcenter = Arc::downgrade(&site.vcenter);
    let mut asked = 0;
    site.vcenter.server().misbehave(move |_, request| {
        if String::from_utf8_lossy(&request.body).contains("<ContinueRetrievePropertiesEx") {
            asked += 1;
            if asked == page {
                let vcenter = vcenter.upgrade().unwrap();
                vcenter.change(|inventory| change(inventory, &usual, other, moving));
            }
        }
        None
    });
    let outcome = site.scan(&[]);
    assert_eq!(outcome.status, 0, "{what}: {outcome:?}");
    let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
    // All other machines are where they were.
    assert!(
        guests(&mapping, "usual").contains(&id_of(&first, &stays)),
        "{what}: {mapping}"
    );
    let (before, after) = (guests(&first, "other"), guests(&mapping, "other"));
    assert!(before.iter().any(|id| after.contains(id)), "{what}: {mapping}");
    let lost = mapping
        .get("omitted")
        .map_or(0, |list| list.as_array().unwrap().len());
    assert!(lost <= 1, "{what}: {mapping}");
    assert_eq!(site.vcenter.open().sessions, 0);
    site.vcenter.server().behave();
    // A scan without changes shows the inventory as it is now.
    let settled = site.mapping(&[]);
    assert_eq!(settled.get("omitted"), None);
}

/// The ids of the guests of a host.
fn guests(mapping: &Value, host: &str) -> Vec<String> {
    let guests = named(mapping, host).unwrap()["guests"].as_array().unwrap();
    let ids = guests.iter().map(|guest| guest["guestId"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

/// The id of the guest with this name.
fn id_of(mapping: &Value, name: &str) -> String {
    let hosts = mapping["hypervisors"].as_array().unwrap();
    let mut all = hosts.iter().flat_map(|host| host["guests"].as_array().unwrap());
    let guest = all.find(|guest| guest["name"] == name).unwrap();
    guest["guestId"].as_str().unwrap().to_owned()
}
