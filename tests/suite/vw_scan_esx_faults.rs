//! vw-scan-esx and a vCenter in trouble: objects that vanish during a scan, sessions that end during an answer, endless answers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use vw_sim::http::{Fault, Response};
use vw_sim::vcenter::{Host, HostKey, Inventory, Open, Vm};

use crate::support::{with_longer_times, with_time};
use crate::vw_scan_esx::{Site, answer, small, soap_fault};
use crate::vw_scan_esx_watch::Watch;

fn answer_of(call: &str, inner: &str) -> Response {
    let text = format!(
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>\
         <{call}Response xmlns=\"urn:vim25\">{inner}</{call}Response></soapenv:Body></soapenv:Envelope>"
    );
    Response::new(200, "text/xml", text)
}

fn calls(site: &Site, name: &str) -> usize {
    site.vcenter.calls().iter().filter(|call| *call == name).count()
}

#[test]
fn a_scan_during_which_an_object_vanishes_starts_again() {
    let site = Site::new(Inventory::new(3, 20));
    site.vcenter.limit_pages(Some(5));
    let whole = site.scan(&[]).quiet_success();
    for call in [
        "CreateContainerView",
        "RetrievePropertiesEx",
        "ContinueRetrievePropertiesEx",
    ] {
        site.vcenter.vanish_during(call, 2);
        let outcome = site.scan(&[]);
        assert_eq!(
            (outcome.status, &outcome.stdout),
            (0, &whole),
            "{call}: {outcome:?}"
        );
        assert_eq!(outcome.stderr.lines().count(), 2, "{call}: {outcome:?}");
        assert_eq!(
            outcome.stderr.matches("trying again in").count(),
            2,
            "{call}: {outcome:?}"
        );
        assert_eq!(site.vcenter.open(), Open::default(), "{call}");
    }
}

#[test]
fn a_scan_during_which_objects_always_vanish_fails_for_now() {
    let site = Site::new(small());
    site.vcenter.vanish_during("RetrievePropertiesEx", usize::MAX);
    let before = calls(&site, "Login");
    let outcome = site.scan(&[]);
    outcome.failed_at_last(75, "ManagedObjectNotFound");
    assert_eq!(outcome.stdout, "");
    assert_eq!(calls(&site, "Login") - before, 6);
    assert_eq!(site.vcenter.open().sessions, 0);
    // Until the time limit.
    let outcome = with_time(&["ManagedObjectNotFound"], |limit| {
        site.scan(&["--timeout", limit])
    });
    outcome.failed_at_last(75, "ManagedObjectNotFound");
    assert!(outcome.stderr.lines().count() < 5, "{outcome:?}");
}

#[test]
fn a_watch_starts_and_continues_although_objects_vanish() {
    let site = Site::new(small());
    for call in ["CreateContainerView", "CreateFilter", "WaitForUpdatesEx"] {
        site.vcenter.vanish_during(call, 2);
        let watch = Watch::of(&site, &["--settle", "0"]);
        let first = watch.document();
        assert_eq!(first, site.scan(&[]).quiet_success(), "{call}");
        site.vcenter.vanish_during("WaitForUpdatesEx", 1);
        site.vcenter.change(|inventory| {
            let host = inventory.hosts().next().unwrap().0;
            inventory.add_vm(host, Vm::new(call));
        });
        assert_eq!(watch.document(), site.scan(&[]).quiet_success(), "{call}");
        watch.end();
    }
    // On a busy machine a watch is ended while it still makes a filter, which then ends with its session.
    let open = site.vcenter.open();
    assert_eq!(Open { abandoned: 0, ..open }, Open::default());
}

/// Without its view a filter sends no updates.
#[test]
fn a_watch_whose_view_is_lost_reads_the_inventory_again() {
    let site = Site::new(small());
    let watch = Watch::of(&site, &["--settle", "0"]);
    watch.document();
    site.vcenter.lose_views();
    watch.message("ManagedObjectNotFound");
    watch.message("the whole inventory was read");
    site.vcenter.change(|inventory| {
        let host = inventory.hosts().next().unwrap().0;
        inventory.add_vm(host, Vm::new("new"));
    });
    assert_eq!(watch.document(), site.scan(&[]).quiet_success());
    watch.end();
}

/// A host with a machine, and both again with this fault in place of the properties.
fn beside(fault: &'static str, host_paths: &[&str], vm_paths: &[&str]) -> Inventory {
    let denied = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    let mut inventory = Inventory::empty();
    let usual: HostKey = inventory.add_standalone(Host::new("usual.example.com"));
    inventory.add_vm(usual, Vm::new("usual"));
    inventory.add_standalone(Host {
        denied: denied(host_paths),
        fault: Some(fault),
        ..Host::new("odd.example.com")
    });
    let vm = Vm {
        denied: denied(vm_paths),
        fault: Some(fault),
        ..Vm::new("odd")
    };
    inventory.add_vm(usual, vm);
    inventory
}

#[test]
fn an_object_that_vanishes_while_it_is_read_is_left_out() {
    let paths: [(&[&str], &[&str]); 2] = [
        (
            &["hardware.systemInfo.uuid", "vm", "name"],
            &["config.uuid", "config.version", "runtime.powerState"],
        ),
        (&["config.product.name"], &["runtime.powerState"]),
    ];
    for (host_paths, vm_paths) in paths {
        let site = Site::new(beside("ManagedObjectNotFound", host_paths, vm_paths));
        let outcome = site.scan(&[]);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(mapping["hypervisors"].as_array().unwrap().len(), 1, "{mapping}");
        assert_eq!(
            mapping["hypervisors"][0]["guests"].as_array().unwrap().len(),
            1,
            "{mapping}"
        );
        let omitted = mapping["omitted"].as_array().unwrap();
        let reasons: Vec<&str> = omitted
            .iter()
            .map(|one| one["reason"].as_str().unwrap())
            .collect();
        assert_eq!(reasons, ["it vanished during the scan"; 2], "{mapping}");
        assert_eq!(calls(&site, "Login"), 1);
    }
}

#[test]
fn a_session_that_ends_during_an_answer_is_replaced() {
    for watched in [false, true] {
        let site = Site::new(beside(
            "NotAuthenticated",
            &["hardware.systemInfo.uuid"],
            &["config.uuid"],
        ));
        let vcenter = Arc::downgrade(&site.vcenter);
        // The session ended during the first reading; the second one is complete.
        site.vcenter.server().misbehave(move |_, request| {
            if String::from_utf8_lossy(&request.body).contains("<Logout ") {
                vcenter.upgrade().unwrap().change(|inventory| {
                    let (host, _) = inventory.hosts().nth(1).unwrap();
                    let (vm, _) = inventory.vms().nth(1).unwrap();
                    inventory.host_mut(host).denied.clear();
                    inventory.vm_mut(vm).denied.clear();
                });
            }
            None
        });
        let document = match watched {
            false => {
                let outcome = site.scan(&[]);
                assert_eq!(outcome.status, 0, "{outcome:?}");
                assert!(outcome.stderr.contains("logging in again"), "{outcome:?}");
                outcome.stdout
            }
            true => {
                let watch = Watch::of(&site, &["--settle", "0"]);
                let document = watch.document();
                watch.end();
                document
            }
        };
        let mapping: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(mapping["hypervisors"].as_array().unwrap().len(), 2, "{mapping}");
        assert_eq!(mapping.get("omitted"), None, "{mapping}");
        assert_eq!(calls(&site, "Login"), 2);
    }
}

#[test]
fn an_update_without_changed_properties_changes_nothing() {
    let site = Site::new(small());
    let watch = Watch::of(&site, &["--settle", "0", "--guest-names"]);
    let first = watch.document();
    let inventory = site.vcenter.inventory();
    let (vm, running) = inventory.vms().next().unwrap();
    assert_eq!(running.power.as_deref(), Some("poweredOn"));
    let (host, of_cluster) = inventory.hosts().next().unwrap();
    let cluster = inventory.compute(inventory.compute_of(host));
    site.vcenter.touch("VirtualMachine", &running.id);
    site.vcenter.touch("ClusterComputeResource", &cluster.id);
    site.vcenter.touch("HostSystem", &of_cluster.id);
    // The next document has all of it.
    watch.signal("USR1");
    assert_eq!(watch.document(), first);
    site.vcenter
        .change(|inventory| inventory.vm_mut(vm).power = Some("suspended".into()));
    let second = watch.document();
    assert_eq!(second, site.scan(&["--guest-names"]).quiet_success());
    watch.end();
}

#[test]
fn endless_answers_are_given_up() {
    let site = Site::new(small());
    let object = "<objects><obj type=\"HostSystem\">host-1</obj></objects>";
    let large = object.repeat(9000);
    for objects in ["", &large] {
        let page = format!("<returnval><token>more</token>{objects}</returnval>");
        site.vcenter.server().misbehave(move |_, request| {
            let body = String::from_utf8_lossy(&request.body);
            let methods = ["RetrievePropertiesEx", "ContinueRetrievePropertiesEx"];
            let call = methods
                .into_iter()
                .find(|method| body.contains(&format!("<{method} ")))?;
            Some(Fault::Answer(answer_of(call, &page)))
        });
        let outcome = site.scan(&[]);
        outcome.failed(76, "never ends");
        assert_eq!(site.vcenter.open().sessions, 0);
    }
}

#[test]
fn endless_updates_are_given_up() {
    let site = Site::new(small());
    let truncated = "<returnval><version>1</version><truncated>true</truncated></returnval>";
    answer(&site, "WaitForUpdatesEx", move |_| {
        Some(answer_of("WaitForUpdatesEx", truncated))
    });
    site.scan(&["--watch"]).failed(76, "never ends");
    answer(&site, "WaitForUpdatesEx", |_| {
        Some(soap_fault("RequestCanceled", ""))
    });
    site.scan(&["--watch"]).failed(76, "RequestCanceled");
    assert_eq!(site.vcenter.open().sessions, 0);
    // After the first document, when nothing else would end it.
    answer(&site, "WaitForUpdatesEx", |count| {
        (count > 1).then(|| soap_fault("RequestCanceled", ""))
    });
    let watch = Watch::of(&site, &["--settle", "0"]);
    watch.document();
    assert!(watch.message("warning").contains("RequestCanceled"));
    watch.end();
}

#[test]
fn the_timeout_names_the_last_failure() {
    let site = Site::new(small());
    // The server refuses at first, and then it is silent.
    answer(&site, "RetrievePropertiesEx", |_| {
        Some(Response::new(503, "text/plain", "not now"))
    });
    let words = ["gave up after ", "last error: 127.0.0.1:", "503"];
    let outcome = with_time(&words, |limit| site.scan(&["--timeout", limit]));
    for words in words {
        outcome.failed_at_last(75, words);
    }
    let words = ["gave up after ", "503"];
    let outcome = with_time(&words, |limit| {
        let mut count = 0;
        site.vcenter.server().misbehave(move |_, request| {
            let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx ");
            count += usize::from(wanted);
            match (wanted, count) {
                (true, 1) => Some(Fault::Answer(Response::new(503, "text/plain", "not now"))),
                (true, _) => Some(Fault::Silence),
                _ => None,
            }
        });
        site.scan(&["--timeout", limit])
    });
    for words in words {
        outcome.failed_at_last(75, words);
    }
}

#[test]
fn a_server_that_answers_too_slowly_is_given_up() {
    with_longer_times(|limit| {
        let site = Site::new(Inventory::new(3, 20));
        for call in ["<RetrievePropertiesEx ", "<WaitForUpdatesEx "] {
            site.vcenter.server().misbehave(move |_, request| {
                let wanted = String::from_utf8_lossy(&request.body).contains(call);
                wanted.then_some(Fault::Trickle(Duration::from_millis(100)))
            });
            let watch: &[&str] = if call.contains("Wait") { &["--watch"] } else { &[] };
            let outcome = site.scan(&[&["--timeout", limit], watch].concat());
            outcome.failed_at_last(75, "--timeout");
            assert_eq!(outcome.stdout, "");
            assert_eq!(site.vcenter.open().sessions, 0);
        }
    });
}

/// The first document needs the names of omitted machines, and the time limit covers this.
#[test]
fn the_time_limit_covers_all_of_the_first_document_of_a_watch() {
    let mut inventory = small();
    let host = inventory.hosts().next().unwrap().0;
    inventory.add_vm(
        host,
        Vm {
            uuid: None,
            ..Vm::new("blank")
        },
    );
    let site = Site::new(inventory);
    answer(&site, "RetrievePropertiesEx", |_| None);
    site.vcenter.server().misbehave(|_, request| {
        let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx ");
        wanted.then_some(Fault::Silence)
    });
    let outcome = site.scan(&["--watch", "--timeout", "2"]);
    outcome.failed_at_last(75, "--timeout");
}
