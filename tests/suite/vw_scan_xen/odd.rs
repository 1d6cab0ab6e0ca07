//! Odd records: the rest of the pool is printed.

use serde_json::{Value, json};
use vw_sim::xen::Pool;

use super::{HOSTS, Site};

fn omitted(mapping: &Value) -> Vec<(String, String)> {
    let omitted = mapping["omitted"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    omitted
        .map(|one| (text(&one["id"]), text(&one["reason"])))
        .collect()
}

#[test]
fn one_odd_object_does_not_empty_the_mapping() {
    let mut pool = Pool::new(3, 6);
    pool.set(&Pool::host(2), "uuid", None);
    pool.set(&Pool::host(3), "cpu_info", Some("none"));
    pool.set(&Pool::host(3), "hostname", Some(""));
    pool.set(&Pool::vm("vm1"), "uuid", Some(""));
    pool.set(&Pool::vm("vm3"), "resident_on", Some("OpaqueRef:gone"));
    pool.set(&Pool::vm("vm4"), "power_state", Some("Unheard of"));
    pool.set(&Pool::vm("vm4"), "name_label", Some("a\u{e9}<&>\n\u{202e}"));
    let site = Site::new(pool);
    let outcome = site.scan(&["--guest-names"]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(
        outcome.stderr.contains("left out 1 host and 5 guests"),
        "{outcome:?}"
    );
    let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let hosts = mapping["hypervisors"].as_array().unwrap();
    let ids: Vec<&Value> = hosts.iter().map(|host| &host["uuid"]).collect();
    assert_eq!(ids, [&json!(Pool::host_uuid(1)), &json!(Pool::host_uuid(3))]);
    assert_eq!(hosts[0]["guests"][0]["state"], 0);
    assert_eq!(hosts[0]["guests"][0]["name"], "a\u{e9}<&>\n\u{202e}");
    assert_eq!(hosts[1]["name"], "Host 3 <rack & row>");
    assert_eq!(hosts[1]["facts"].get("cpu.cpu_socket(s)"), None);
    let mut expected = vec![
        (Pool::vm("vm1"), "no uuid".to_owned()),
        (Pool::vm_uuid("vm2"), "its host is left out".to_owned()),
        (Pool::vm_uuid("vm3"), "its host is not listed".to_owned()),
        (Pool::vm_uuid("vm5"), "its host is left out".to_owned()),
        (Pool::vm_uuid("off"), "not resident on a host".to_owned()),
    ];
    expected.sort();
    expected.insert(0, (Pool::host(2), "no uuid".to_owned()));
    assert_eq!(omitted(&mapping), expected);
    site.nothing_is_open();
}

#[test]
fn hosts_and_guests_that_share_an_id_are_all_printed_and_named() {
    let mut pool = Pool::new(2, 2);
    pool.set(&Pool::vm("vm2"), "uuid", Some(&Pool::vm_uuid("vm1")));
    pool.set(&Pool::host(2), "hostname", Some("xen1"));
    let site = Site::new(pool);
    let outcome = site.scan(&["--hypervisor-id", "hostname"]);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("2 hosts have the id xen1"), "{outcome:?}");
    assert!(
        outcome.stderr.contains("2 virtual machines have the guest id"),
        "{outcome:?}"
    );
    let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(mapping["hypervisors"].as_array().unwrap().len(), 2);
}

#[test]
fn a_pool_without_machines_is_a_mapping_of_its_hosts() {
    let site = Site::new(Pool::new(2, 0));
    let mapping = site.mapping(&[]);
    assert_eq!(mapping["hypervisors"].as_array().unwrap().len(), 2);
    assert_eq!(site.xen.count(HOSTS), 1);
}
