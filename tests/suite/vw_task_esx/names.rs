//! How virtual machines are named.

use super::*;

/// Two machines called `twin` in different folders, one with a slash in its name, and one with the name of an id.
fn site() -> Site {
    let mut inventory = Inventory::empty();
    let cluster = inventory.add_cluster("Cluster");
    let host = inventory.add_host(cluster, Host::new("esx1.example.com"));
    let folder = inventory.add_vm_folder("Web %25");
    let mut add = |name: &str, folder| {
        let mut vm = Vm::new(name);
        vm.power = Some("poweredOff".into());
        let key = inventory.add_vm(host, vm);
        if let Some(folder) = folder {
            inventory.move_into(key, folder);
        }
        key
    };
    add("twin", None);
    let second = add("twin", Some(folder));
    let slash = add("web%2f1", Some(folder));
    inventory.vm_mut(slash).uuid = Some("78563412-ab90-efcd-1234-567890abcdef".into());
    inventory.vm_mut(slash).instance_uuid = Some("5012aaaa-0000-1111-2222-333344445555".into());
    inventory.vm_mut(second).id = "vm-second".into();
    Site::new(inventory)
}

fn line(outcome: &Outcome) -> Value {
    result(outcome)
}

#[test]
fn a_machine_is_named_by_name_path_uuid_or_id() {
    let site = site();
    for (name, id) in [
        ("web/1", None),
        ("/DC1/vm/Web %/web/1", None),
        ("DC1/vm/Web %/web/1", None),
        ("78563412-ab90-efcd-1234-567890abcdef", None),
        ("12345678-90ab-cdef-1234-567890ABCDEF", None),
        ("5012aaaa-0000-1111-2222-333344445555", None),
        ("aaaa1250-0000-1111-2222-333344445555", None),
        ("vm-second", Some("vm-second")),
        ("/DC1/vm/Web %/twin", Some("vm-second")),
    ] {
        let outcome = run(&site, &["power-on", "--dry-run", name]);
        let found = line(&outcome);
        assert_eq!(
            (outcome.status, &found["state"]),
            (0, &json!("success")),
            "{name}: {outcome:?}"
        );
        match id {
            Some(id) => assert_eq!(found["id"], id, "{name}"),
            None => assert_eq!(found["vm"], "web/1", "{name}"),
        }
    }
}

#[test]
fn an_unknown_or_ambiguous_name_lists_the_candidates() {
    let site = site();
    for (name, words) in [
        (
            "twin",
            "2 virtual machines are called so; use one of these paths or ids: /DC1/vm/Web %/twin (vm-second), /DC1/vm/twin (vm-",
        ),
        (
            "TWIN",
            "did you mean /DC1/vm/Web %/twin (vm-second), /DC1/vm/twin (vm-",
        ),
        ("web%2f1", "there is no such virtual machine"),
        (
            "nothing",
            "there is no such virtual machine, or the account may not see it",
        ),
        ("/DC1/vm/twin/", "there is no such virtual machine"),
    ] {
        let outcome = run(&site, &["power-on", name]);
        outcome.failed(65, words);
        let found = line(&outcome);
        assert_eq!(
            (&found["vm"], &found["state"], found.get("id")),
            (&json!(name), &json!("unknown"), None)
        );
    }
    assert!(site.vcenter.inventory().tasks().is_empty());
    // The others are handled all the same.
    let outcome = run(&site, &["power-on", "twin", "web/1", "nothing"]);
    assert_eq!(
        (outcome.status, outcome.stdout.lines().count()),
        (65, 3),
        "{outcome:?}"
    );
    assert_eq!(site.vcenter.inventory().tasks().len(), 1);
    let outcome = run(&site, &["questions", "nothing"]);
    assert_eq!(outcome.status, 65);
}
