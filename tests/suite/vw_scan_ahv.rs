//! vw-scan-ahv as its users meet it, against a simulated Prism Element and a simulated Prism Central.

mod failures;
mod sections;
mod watch;

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use vw_sim::ahv::{Cluster, Edition, Host, Inventory, List, Machine, Paging, Prism, Settings};
use vw_sim::http::{Authority, Certificate, Server, Service};

use crate::support::{Outcome, Run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-scan-ahv");
const EDITIONS: [Edition; 2] = [Edition::Element, Edition::Central];

/// A simulated server, its authority and an account's password in files.
struct Site {
    prism: Arc<Prism>,
    server: Server,
    edition: Edition,
    folder: TempDir,
}

impl Site {
    fn new(edition: Edition, inventory: Inventory) -> Self {
        Site::with(Settings::new(edition), inventory)
    }

    fn with(settings: Settings, inventory: Inventory) -> Self {
        let authority = Authority::new().unwrap();
        let tls = authority.issue(&Certificate::Good).unwrap();
        let edition = settings.edition;
        let prism = Arc::new(Prism::new(settings, inventory));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        Site {
            server: Server::start(Arc::clone(&prism) as Arc<dyn Service>, Some(tls)).unwrap(),
            prism,
            edition,
            folder,
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The options of a scan that succeeds.
    fn options(&self) -> Vec<String> {
        let (url, authority, password) = (self.server.url(), self.file("ca.pem"), self.file("password"));
        let options = [
            "--server",
            &url,
            "--cacert",
            &authority,
            "-u",
            "sim",
            "--password-file",
            &password,
        ];
        let central = (self.edition == Edition::Central).then_some("--prism-central");
        options.into_iter().chain(central).map(str::to_owned).collect()
    }

    fn scan(&self, more: &[&str]) -> Outcome {
        Run::new(PROGRAM).args(self.options()).args(more).run()
    }

    /// The mapping of a scan, which may say what it left out.
    #[track_caller]
    fn mapping(&self, more: &[&str]) -> Value {
        let outcome = self.scan(more);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        serde_json::from_str(&outcome.stdout).unwrap()
    }

    /// How many requests for a list have come.
    fn requests(&self, list: &str) -> usize {
        let requests = self.server.requests();
        requests
            .iter()
            .filter(|logged| logged.request.path.contains(&format!("/{list}")))
            .count()
    }
}

/// Two hosts of a cluster, one of them without machines, and a host outside clusters.
fn small() -> Inventory {
    let host = |uuid: &str, name: &str, sockets: u64, cluster: Option<&str>| Host {
        uuid: uuid.into(),
        name: Some(name.into()),
        sockets: Some(sockets),
        hypervisor: "kKvm".into(),
        cluster: cluster.map(str::to_owned),
    };
    let hosts = vec![
        host("h2", "node2.example.com", 2, Some("c1")),
        host("h1", "node1.example.com", 4, Some("c1")),
        host("h3", "node3.example.com", 1, Some("c9")),
    ];
    let in_state = |uuid: &str, power: &str| Machine {
        power: Some(power.into()),
        ..Machine::on(&hosts[0], uuid, &format!("name of {uuid}"))
    };
    let machines = vec![
        in_state("v2", "on"),
        in_state("v1", "off"),
        in_state("v3", "suspended"),
        in_state("v4", "paused"),
        in_state("v5", "odd"),
        Machine::on(&hosts[2], "v6", "web"),
    ];
    Inventory {
        clusters: vec![Cluster {
            uuid: "c1".into(),
            name: "lab".into(),
            hypervisor: "AHV".into(),
        }],
        hosts,
        machines,
        odd: Vec::new(),
    }
}

/// The ids of all hypervisors and guests.
fn ids(mapping: &Value) -> (Vec<&str>, Vec<&str>) {
    let hypervisors = mapping["hypervisors"].as_array().unwrap();
    let guests = hypervisors
        .iter()
        .flat_map(|one| one["guests"].as_array().unwrap());
    let mut guests: Vec<&str> = guests.map(|guest| guest["guestId"].as_str().unwrap()).collect();
    guests.sort_unstable();
    (
        hypervisors
            .iter()
            .map(|one| one["uuid"].as_str().unwrap())
            .collect(),
        guests,
    )
}

#[test]
fn both_apis_give_the_same_hosts_and_guests() {
    for edition in EDITIONS {
        let site = Site::new(edition, small());
        let outcome = site.scan(&[]);
        let mapping: Value = serde_json::from_str(&outcome.quiet_success()).unwrap();
        let (hosts, guests) = ids(&mapping);
        assert_eq!(hosts, ["h1", "h2", "h3"], "also hosts without machines");
        assert_eq!(guests, ["v1", "v2", "v3", "v4", "v5", "v6"]);
        let states: Vec<(&str, u64, u64)> = mapping["hypervisors"][1]["guests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|guest| {
                assert_eq!(guest["attributes"]["virtWhoType"], "ahv");
                let number = |pointer: &str| guest.pointer(pointer).unwrap().as_u64().unwrap();
                (
                    guest["guestId"].as_str().unwrap(),
                    number("/state"),
                    number("/attributes/active"),
                )
            })
            .collect();
        assert_eq!(
            states,
            [
                ("v1", 5, 0),
                ("v2", 1, 1),
                ("v3", 3, 1),
                ("v4", 3, 1),
                ("v5", 0, 0)
            ]
        );
        let kind = if edition == Edition::Element {
            "kKvm"
        } else {
            "AHV"
        };
        assert_eq!(
            mapping["hypervisors"][0],
            json!({
                "uuid": "h1", "name": "node1.example.com", "guests": [],
                "facts": {
                    "hypervisor.type": kind, "cpu.cpu_socket(s)": "4", "hypervisor.version": "Nutanix 20220304.480",
                    "dmi.system.uuid": "h1", "hypervisor.cluster": "lab",
                },
                "parent": {"id": "c1", "type": "cluster", "name": "lab"},
            })
        );
        // A cluster that is not in the list of clusters.
        assert_eq!(mapping["hypervisors"][2]["facts"]["hypervisor.cluster"], "c9");
        let source = &mapping["source"];
        assert_eq!(
            (&source["type"], &source["section"]),
            (&json!("ahv"), &Value::Null)
        );
        assert!(mapping.get("omitted").is_none(), "{mapping}");
    }
}

#[test]
fn hostname_makes_the_hosts_names_their_ids_in_both_apis() {
    for edition in EDITIONS {
        let site = Site::new(edition, small());
        let mapping = site.mapping(&["--hypervisor-id", "hostname", "--guest-names", "--stamp"]);
        let (hosts, _) = ids(&mapping);
        assert_eq!(
            hosts,
            ["node1.example.com", "node2.example.com", "node3.example.com"]
        );
        assert_eq!(mapping["hypervisors"][2]["guests"][0]["name"], "web");
        assert!(crate::support::is_utc(
            mapping["source"]["time"].as_str().unwrap()
        ));
    }
}

#[test]
fn every_page_is_read_however_long_the_server_makes_it() {
    let whole = ids(&Site::new(Edition::Element, Inventory::new(9, 61)).mapping(&[]))
        .0
        .len();
    assert_eq!(whole, 9);
    let settings = |edition, machines, longest| Settings {
        machines,
        longest,
        ..Settings::new(edition)
    };
    for settings in [
        settings(Edition::Element, Paging::Offsets, 7),
        settings(Edition::Element, Paging::Pages, 4),
        settings(Edition::Element, Paging::Never, 2),
        settings(Edition::Element, Paging::Offsets, 1),
        settings(Edition::Central, Paging::Offsets, 3),
        settings(Edition::Central, Paging::Offsets, 61),
    ] {
        let site = Site::with(settings.clone(), Inventory::new(9, 61));
        let mapping = site.mapping(&[]);
        let (hosts, guests) = ids(&mapping);
        let off = mapping["omitted"].as_array().unwrap().len();
        assert_eq!((hosts.len(), guests.len() + off), (9, 61), "{settings:?}");
        let mut once = guests.clone();
        once.dedup();
        assert_eq!(once, guests, "{settings:?}");
    }
}

#[test]
fn two_scans_of_an_unchanged_server_are_the_same_bytes() {
    for edition in EDITIONS {
        let site = Site::new(edition, Inventory::new(9, 61));
        let one = site.scan(&[]).stdout;
        site.prism.inventory().hosts.reverse();
        site.prism.inventory().machines.reverse();
        assert_eq!(site.scan(&[]).stdout, one);
    }
}

/// Records of every odd kind. All others stay in the mapping.
fn odd() -> Inventory {
    let mut inventory = small();
    let good = inventory.hosts[0].clone();
    let host = |uuid: &str| Host {
        uuid: uuid.into(),
        ..good.clone()
    };
    inventory.hosts.push(Host {
        name: None,
        ..host("h4")
    });
    inventory.hosts.push(Host {
        sockets: None,
        ..host("h5")
    });
    let machine = |uuid: &str| Machine::on(&good, uuid, &format!("name of {uuid}"));
    inventory.machines.push(Machine {
        power: None,
        ..machine("v7")
    });
    inventory.machines.push(Machine {
        host: None,
        ..machine("v8")
    });
    inventory.machines.push(Machine {
        host: Some("h9".into()),
        ..machine("v9")
    });
    inventory.machines.push(Machine {
        host: Some("h5".into()),
        ..machine("w1")
    });
    for list in [List::Clusters, List::Hosts, List::Machines] {
        inventory.odd.push((list, json!(null)));
        inventory.odd.push((
            list,
            json!({"status": [], "uuid": {}, "metadata": "x", "name": 7}),
        ));
    }
    inventory
}

#[test]
fn odd_records_are_left_out_and_the_others_stay() {
    for edition in EDITIONS {
        let site = Site::new(edition, odd());
        let outcome = site.scan(&[]);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let (hosts, guests) = ids(&mapping);
        assert_eq!((hosts.len(), guests.len()), (3, 6));
        let omitted: Vec<String> = mapping["omitted"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                assert_eq!(one["stage"], "vw-scan-ahv");
                let text = |member: &str| one[member].as_str().unwrap_or("-");
                format!("{} {}: {}", text("kind"), text("id"), text("reason"))
            })
            .collect();
        let expected = [
            "host -: no uuid",
            "host -: no uuid",
            "host h4: no name",
            "host h5: no num_cpu_sockets",
            "guest -: no uuid",
            "guest -: no uuid",
            "guest v7: no power_state",
            "guest v8: not on a host (running)",
            "guest v9: its host h9 is not in the list of hosts",
            "guest w1: its host node2.example.com is left out",
        ];
        assert_eq!(omitted, expected);
        assert!(
            outcome.stderr.contains("left out 4 hosts and 6 guests"),
            "{outcome:?}"
        );
        let strict = site.scan(&["--strict"]);
        strict.failed(65, "would be left out");
        assert_eq!(strict.stdout, "");
    }
}

#[test]
fn hosts_of_other_hypervisors_are_left_out() {
    for edition in EDITIONS {
        let mut inventory = small();
        inventory.clusters[0].hypervisor = "VMWARE".into();
        for host in &mut inventory.hosts[..2] {
            host.hypervisor = "kVMware".into();
        }
        let mapping = Site::new(edition, inventory).mapping(&[]);
        assert_eq!(ids(&mapping), (vec!["h3"], vec!["v6"]));
        let reason = mapping["omitted"][0]["reason"].as_str().unwrap();
        let kind = if edition == Edition::Element {
            "kVMware"
        } else {
            "VMWARE"
        };
        assert_eq!(reason, format!("its hypervisor is {kind}, not AHV"));
    }
}

#[test]
fn shared_ids_are_named_and_kept() {
    let mut inventory = small();
    inventory.hosts[1].name = inventory.hosts[0].name.clone();
    let copy = Machine::on(&inventory.hosts[2], "v2", "copy");
    inventory.machines.push(copy);
    for edition in EDITIONS {
        let site = Site::new(edition, inventory.clone());
        let outcome = site.scan(&["--hypervisor-id", "hostname"]);
        assert_eq!(outcome.status, 0);
        for words in [
            "2 hosts have the id node2.example.com",
            "2 virtual machines have the guest id v2",
        ] {
            assert!(outcome.stderr.contains(words), "{words}: {outcome:?}");
        }
        let mapping: Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(ids(&mapping).1, ["v1", "v2", "v2", "v3", "v4", "v5", "v6"]);
    }
}

#[test]
fn check_names_the_server_and_proves_that_the_lists_can_be_read() {
    let site = Site::new(Edition::Element, small());
    let said = site.scan(&["--check"]).quiet_success();
    assert_eq!(
        said,
        "Prism Element, AOS 6.5.2, cluster lab: 3 hosts, 6 virtual machines\n"
    );
    let site = Site::new(Edition::Central, Inventory::new(9, 61));
    let said = site.scan(&["--check"]).quiet_success();
    assert_eq!(
        said,
        "Prism Central pc.2022.6.0.3, 3 clusters: 9 hosts, 61 virtual machines\n"
    );
    assert_eq!((site.requests("hosts"), site.requests("vms")), (1, 1));
}

#[test]
fn the_checkin_layout_is_that_of_virt_who() {
    let site = Site::new(Edition::Element, small());
    let mapping = site.mapping(&["--layout", "checkin"]);
    let one = &mapping["hypervisors"][2];
    assert_eq!(one["hypervisorId"]["hypervisorId"], "h3");
    assert_eq!(one["guestIds"][0]["guestId"], "v6");
    assert!(mapping.get("source").is_none() && one.get("parent").is_none());
}
