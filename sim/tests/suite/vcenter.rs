//! The simulated vCenter, asked by hand-written SOAP.

mod faults;

use std::collections::BTreeSet;
use std::thread;

use vw_sim::vcenter::{Host, Inventory, Open, Settings, VCenter, Vm};

use crate::vim::*;

fn plain(inventory: Inventory) -> VCenter {
    VCenter::start(inventory, None).unwrap()
}

#[test]
fn sessions_last_from_log_in_to_log_out() {
    let vcenter = plain(Inventory::new(2, 2));
    let mut stranger = Vim::new(&vcenter);
    for (user, password) in [
        ("sim", "no"),
        ("nobody", "sim-secret"),
        ("locked", "sim-secret"),
        ("sim", " sim-secret"),
    ] {
        assert_eq!(fault(&stranger.login(user, password)), "InvalidLogin", "{user}");
    }
    assert_eq!(vcenter.open().sessions, 0);
    let mut vim = Vim::logged_in(&vcenter);
    assert_eq!(vcenter.users(), ["sim"]);
    let view = vim.view(&[]);
    let retrieve = collector_call(
        "RetrievePropertiesEx",
        &format!("<specSet>{}</specSet><options/>", over_view(&view)),
    );
    assert_eq!(stranger.fault(&retrieve), "NotAuthenticated");
    stranger.cookie = "vmware_soap_session=made-up".into();
    assert_eq!(stranger.fault(&retrieve), "NotAuthenticated");
    assert_eq!(vim.post(&retrieve).status, 200);
    let logout = "<Logout xmlns=\"urn:vim25\"><_this type=\"SessionManager\">SessionManager</_this></Logout>";
    assert_eq!(vim.post(logout).status, 200);
    assert_eq!(vim.fault(logout), "NotAuthenticated");
    let open = vcenter.open();
    assert_eq!((open.sessions, open.views, open.abandoned), (0, 0, 1));
    assert_eq!(vcenter.calls().iter().filter(|call| *call == "Login").count(), 5);
    let mut expired = Vim::logged_in(&vcenter);
    vcenter.expire_sessions();
    assert_eq!(expired.fault(&retrieve), "NotAuthenticated");
}

#[test]
fn a_server_accepts_its_own_version_and_older_ones() {
    let settings = Settings {
        api_version: "6.7".into(),
        ..Settings::default()
    };
    let vcenter = VCenter::start_with(Inventory::new(1, 1), None, settings).unwrap();
    let mut vim = Vim::new(&vcenter);
    let call = "<RetrieveServiceContent xmlns=\"urn:vim25\"><_this type=\"ServiceInstance\">ServiceInstance</_this></RetrieveServiceContent>";
    for (action, status) in [
        ("", 200),
        ("urn:vim25", 200),
        ("urn:vim25/6.7", 200),
        ("urn:vim25/5.5", 200),
        ("urn:vim25/7.0", 500),
        ("urn:other", 500),
    ] {
        vim.action = action;
        let answer = vim.post(call);
        assert_eq!(answer.status, status, "{action}");
    }
    let versions = vim.client.send("GET", "/sdk/vimServiceVersions.xml", "", b"");
    let listed: Vec<_> = versions
        .text()
        .split("<version>")
        .skip(1)
        .map(|v| v.split('<').next().unwrap())
        .collect();
    assert_eq!(listed, ["6.7", "6.5", "6.0", "5.5", "5.1", "5.0", "4.1"]);
    let unknown = Settings {
        api_version: "9.9".into(),
        ..Settings::default()
    };
    assert!(VCenter::start_with(Inventory::new(1, 1), None, unknown).is_err());
}

#[test]
fn an_esx_host_has_other_names() {
    let vcenter = plain(Inventory::new_esx(3));
    let mut vim = Vim::new(&vcenter);
    let content = vim.post(
        "<RetrieveServiceContent xmlns=\"urn:vim25\"><_this type=\"ServiceInstance\">ServiceInstance</_this></RetrieveServiceContent>",
    );
    let content = content.text();
    for part in [
        "<rootFolder type=\"Folder\">ha-folder-root<",
        "<propertyCollector type=\"PropertyCollector\">ha-property-collector<",
        "<sessionManager type=\"SessionManager\">ha-sessionmgr<",
        "<apiType>HostAgent<",
        "<name>VMware ESXi<",
    ] {
        assert!(content.contains(part), "{part} in {content}");
    }
    assert!(!content.contains("instanceUuid"));
    assert_eq!(fault(&vim.login("sim", "sim-secret")), "ManagedObjectNotFound");
    let inventory = vcenter.inventory();
    let (key, host) = inventory.hosts().next().unwrap();
    assert_eq!(
        (
            host.id.as_str(),
            inventory.compute(inventory.compute_of(key)).cluster
        ),
        ("ha-host", false)
    );
    let ids: Vec<_> = inventory.vms().map(|(_, vm)| vm.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
}

#[test]
fn a_view_is_retrieved_page_by_page() {
    let vcenter = plain(Inventory::new(5, 12));
    let mut vim = Vim::logged_in(&vcenter);
    let view = vim.view(&["HostSystem", "VirtualMachine", "ClusterComputeResource"]);
    let spec = format!("<specSet>{}</specSet>", over_view(&view));
    let whole = vim.collector("RetrievePropertiesEx", &format!("{spec}<options/>"));
    assert!(!whole.contains("<token>"));
    let kinds: Vec<_> = whole
        .split("<obj type=\"")
        .skip(1)
        .map(|o| o.split('"').next().unwrap())
        .collect();
    let expected = [
        &["VirtualMachine"; 12][..],
        &["ClusterComputeResource"],
        &["HostSystem"; 5],
    ]
    .concat();
    assert_eq!(kinds, expected);
    vcenter.limit_pages(Some(5));
    let mut pages = vec![vim.collector(
        "RetrievePropertiesEx",
        &format!("{spec}<options><maxObjects>7</maxObjects></options>"),
    )];
    while let Some(token) = between(pages.last().unwrap(), "<returnval><token>", "<") {
        assert_eq!(vcenter.open().retrievals, 1);
        let call = collector_call("ContinueRetrievePropertiesEx", &format!("<token>{token}</token>"));
        pages.push(vim.post(&call).text().to_owned());
        assert_eq!(vim.fault(&call), "InvalidProperty", "a token is good for once");
    }
    let lengths: Vec<_> = pages.iter().map(|page| ids(page).len()).collect();
    assert_eq!(lengths, [5, 5, 5, 3]);
    assert_eq!(
        pages.iter().flat_map(|page| ids(page)).collect::<Vec<_>>(),
        ids(&whole)
    );
    let first = vim.collector("RetrievePropertiesEx", &format!("{spec}<options/>"));
    let token = between(&first, "<token>", "<").unwrap();
    vim.collector("CancelRetrievePropertiesEx", &format!("<token>{token}</token>"));
    let destroy = format!(
        "<DestroyView xmlns=\"urn:vim25\"><_this type=\"ContainerView\">{view}</_this></DestroyView>"
    );
    assert_eq!(vim.post(&destroy).status, 200);
    assert_eq!(vim.fault(&destroy), "ManagedObjectNotFound");
    let open = Open {
        sessions: 1,
        ..Open::default()
    };
    assert_eq!(vcenter.open(), open);
}

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
    // Host and reference have their attributes in either order.
    assert!(text.contains("<val type=\"ClusterComputeResource\" xsi:type=\"ManagedObjectReference\">"));
    assert!(text.contains("<val xsi:type=\"ManagedObjectReference\" type=\"ComputeResource\">"));
    let vm = inventory.vm(inventory.vms_of(hidden)[0]);
    let shown = object(&text, &vm.id);
    assert!(shown.contains("<name>config.uuid</name><val xsi:type=\"xsd:string\"></val>"));
    assert!(!shown.contains("config.version"));
    assert!(shown.contains("<val xsi:type=\"VirtualMachinePowerState\">odd</val>"));
}

#[test]
fn a_filter_first_shows_everything_in_pages_of_a_hundred() {
    let vcenter = plain(Inventory::new(20, 300));
    let mut vim = Vim::logged_in(&vcenter);
    let view = vim.view(&["HostSystem", "VirtualMachine", "ClusterComputeResource"]);
    let viewed = vim.collector(
        "RetrievePropertiesEx",
        &format!("<specSet>{}</specSet><options/>", over_view(&view)),
    );
    for spec in [from_root(), over_view(&view)] {
        let made = vim.collector("CreateFilter", &filter(&spec));
        let id = between(&made, "<returnval type=\"PropertyFilter\">", "<").unwrap();
        let mut pages: Vec<String> = Vec::new();
        let mut version = String::new();
        loop {
            let page = vim.collector("WaitForUpdatesEx", &wait(&version, 0));
            if pages.len() == 1 {
                // A client that lost an answer asks with the version before, and gets the same page.
                let again = vim.collector("WaitForUpdatesEx", &wait(&version, 0));
                assert_eq!(ids(&again), ids(&page));
            }
            version = between(&page, "<version>", "<").unwrap().to_owned();
            let more = page.contains("</filterSet><truncated>true</truncated></returnval>");
            pages.push(page);
            if !more {
                break;
            }
        }
        assert_eq!(
            pages.iter().map(|p| ids(p).len()).collect::<Vec<_>>(),
            [100, 100, 100, 24]
        );
        assert!(!pages[3].contains("truncated"));
        let told: Vec<String> = pages.iter().flat_map(|page| ids(page)).collect();
        let unique: BTreeSet<_> = told.iter().cloned().collect();
        assert_eq!(
            (unique.len(), unique),
            (told.len(), ids(&viewed).into_iter().collect())
        );
        assert!(pages[0].contains("<objectSet><kind>enter</kind><obj "));
        let nothing = vim.collector("WaitForUpdatesEx", &wait(&version, 0));
        assert!(!nothing.contains("returnval"));
        let unknown = collector_call("WaitForUpdatesEx", &wait("77-", 0));
        assert_eq!(vim.fault(&unknown), "InvalidCollectorVersion");
        let fewer =
            "<options><maxWaitSeconds>0</maxWaitSeconds><maxObjectUpdates>9</maxObjectUpdates></options>";
        let short = vim.collector("WaitForUpdatesEx", &format!("<version></version>{fewer}"));
        assert_eq!(ids(&short).len(), 9);
        let destroy = format!(
            "<DestroyPropertyFilter xmlns=\"urn:vim25\"><_this type=\"PropertyFilter\">{id}</_this></DestroyPropertyFilter>"
        );
        assert_eq!(vim.post(&destroy).status, 200);
        assert_eq!(vim.fault(&destroy), "ManagedObjectNotFound");
    }
    assert_eq!(vcenter.open().filters, 0);
}

#[test]
fn a_filter_shows_later_what_has_changed() {
    let vcenter = plain(Inventory::new(2, 4));
    let mut vim = Vim::logged_in(&vcenter);
    vim.collector("CreateFilter", &filter(&from_root()));
    let first = vim.collector("WaitForUpdatesEx", &wait("", 0));
    let mut version = between(&first, "<version>", "<").unwrap().to_owned();
    let keys: Vec<_> = vcenter
        .inventory()
        .vms()
        .map(|(key, vm)| (key, vm.id.clone()))
        .collect();
    let host = vcenter.inventory().hosts().next().unwrap().0;
    let mut next = |vim: &mut Vim| {
        let page = vim.collector("WaitForUpdatesEx", &wait(&version, 20));
        version = between(&page, "<version>", "<").unwrap().to_owned();
        page
    };
    // The change comes while the client waits.
    let changed = thread::scope(|scope| {
        scope.spawn(|| vcenter.change(|i| i.vm_mut(keys[0].0).power = Some("poweredOff".into())));
        next(&mut vim)
    });
    assert_eq!(ids(&changed), [keys[0].1.as_str()]);
    assert!(changed.contains("<kind>modify</kind>") && changed.contains(">poweredOff</val>"));
    assert!(!changed.contains("config.uuid"));
    vcenter.change(|i| i.vm_mut(keys[0].0).uuid = None);
    let unset = next(&mut vim);
    assert!(
        unset.contains("<changeSet><name>config.uuid</name><op>assign</op></changeSet>"),
        "{unset}"
    );
    vcenter.change(|i| i.remove_vm(keys[1].0));
    let gone = next(&mut vim);
    assert!(gone.contains(&format!(
        "<kind>leave</kind><obj type=\"VirtualMachine\">{}</obj>",
        keys[1].1
    )));
    let new = vcenter.change(|i| {
        let key = i.add_vm(host, Vm::new("new"));
        i.vm(key).id.clone()
    });
    let came = next(&mut vim);
    assert!(object(&came, &new).contains("config.uuid"));
    let id = vcenter.inventory().host(host).id.clone();
    assert!(object(&came, &id).contains(&format!(">{new}</ManagedObjectReference>")));
}

#[test]
fn waiting_ends_by_cancel_log_out_and_server_stop() {
    let vcenter = plain(Inventory::new(1, 1));
    for ending in ["cancel", "expire"] {
        let mut vim = Vim::logged_in(&vcenter);
        let mut other = Vim::new(&vcenter);
        other.cookie.clone_from(&vim.cookie);
        let before = vcenter.calls().len();
        let call = collector_call("WaitForUpdatesEx", "<version></version>");
        let fault = thread::scope(|scope| {
            let waiting = scope.spawn(|| vim.fault(&call));
            while vcenter.calls().len() == before {
                thread::yield_now();
            }
            match ending {
                "expire" => vcenter.expire_sessions(),
                // The waiting call may not have begun to wait yet: cancel until it ends.
                _ => {
                    while !waiting.is_finished() {
                        other.collector("CancelWaitForUpdates", "");
                    }
                }
            }
            waiting.join().unwrap()
        });
        let expected = if ending == "expire" {
            "NotAuthenticated"
        } else {
            "RequestCanceled"
        };
        assert_eq!(fault, expected);
    }
    let mut vim = Vim::logged_in(&vcenter);
    let body = envelope(&collector_call("WaitForUpdatesEx", "<version></version>"));
    let (cookie, length) = (&vim.cookie, body.len());
    let head = format!("POST /sdk HTTP/1.1\r\nCookie: {cookie}\r\nContent-Length: {length}\r\n\r\n");
    vim.client.write((head + &body).as_bytes());
    while vcenter
        .calls()
        .last()
        .is_none_or(|call| call != "WaitForUpdatesEx")
    {
        thread::yield_now();
    }
    // Would never return if the call went on waiting.
    drop(vcenter);
    while !vim.client.closed() {}
}

#[test]
fn calls_that_a_vcenter_refuses_are_refused() {
    let vcenter = plain(Inventory::new(1, 1));
    let mut vim = Vim::logged_in(&vcenter);
    let retrieve = |spec: &str| {
        collector_call(
            "RetrievePropertiesEx",
            &format!("<specSet>{spec}</specSet><options/>"),
        )
    };
    let root = "<objectSet><obj type=\"Folder\">group-d1</obj></objectSet>";
    let select = |inner: &str| {
        let names = properties("Folder", &["name"]);
        retrieve(&format!(
            "{names}<objectSet><obj type=\"Folder\">group-d1</obj>{inner}</objectSet>"
        ))
    };
    let cases = [
        (
            retrieve(&(properties("Folder", &["nosuch"]) + root)),
            "InvalidProperty",
        ),
        (
            retrieve(&(properties("HostSystem", &["config.uuid"]) + root)),
            "InvalidProperty",
        ),
        (
            retrieve(&(properties("HostSystem", &["config.product"]) + root)),
            "NotSupported",
        ),
        (
            retrieve(&(properties("Hostsystem", &["name"]) + root)),
            "InvalidArgument",
        ),
        (retrieve(root), "InvalidArgument"),
        (retrieve(&properties("Folder", &["name"])), "InvalidArgument"),
        (
            retrieve(&(properties("Folder", &["name"]) + &root.replace("d1", "d9"))),
            "ManagedObjectNotFound",
        ),
        (
            retrieve(&(properties("Folder", &["name"]) + &root.replace("\"Folder\"", "\"HostSystem\""))),
            "ManagedObjectNotFound",
        ),
        (
            select("<selectSet><name>nowhere</name></selectSet>"),
            "InvalidArgument",
        ),
        (
            select(
                "<selectSet xsi:type=\"TraversalSpec\"><type>Folder</type><path>children</path></selectSet>",
            ),
            "InvalidProperty",
        ),
        (retrieve(&over_view("session[x]y")), "ManagedObjectNotFound"),
        (collector_call("RetrievePropertiesEx", ""), "InvalidRequest"),
        (
            collector_call(
                "RetrievePropertiesEx",
                "<options><maxObjects>many</maxObjects></options>",
            ),
            "InvalidRequest",
        ),
        (collector_call("DestroyEverything", ""), "InvalidRequest"),
        (
            collector_call("WaitForUpdatesEx", "<version></version>")
                .replace(">propertyCollector<", ">other<"),
            "ManagedObjectNotFound",
        ),
        ("<Logout xmlns=\"urn:vim25\"/>".to_owned(), "InvalidRequest"),
        ("<Logout xmlns=\"urn:other\"/>".to_owned(), "InvalidRequest"),
        (
            "<Logout xmlns=\"urn:vim25\"><oops></Logout>".to_owned(),
            "InvalidRequest",
        ),
    ];
    for (call, expected) in cases {
        assert_eq!(vim.fault(&call), expected, "{call}");
    }
    assert_eq!(fault(&vim.post_raw("not XML")), "InvalidRequest");
    for (method, path, status) in [("GET", "/sdk", 405), ("POST", "/other", 404), ("GET", "/", 200)] {
        assert_eq!(vim.client.send(method, path, "", b"").status, status, "{path}");
    }
}

#[test]
fn inventories_are_the_same_each_time_and_of_many_kinds() {
    let (one, two) = (Inventory::new(50, 500), Inventory::new(50, 500));
    assert!(one.hosts().eq(two.hosts()) && one.vms().eq(two.vms()));
    let set = |of: fn(&Vm) -> Option<&str>| one.vms().filter_map(|(_, vm)| of(vm)).collect::<BTreeSet<_>>();
    assert_eq!(set(|vm| vm.uuid.as_deref()).len(), 500);
    assert!(set(|vm| vm.version.as_deref()).is_superset(&BTreeSet::from(["vmx-08", "vmx-13", "vmx-21"])));
    assert_eq!(
        set(|vm| vm.power.as_deref()),
        BTreeSet::from(["poweredOff", "poweredOn", "suspended"])
    );
    let alone = one
        .hosts()
        .filter(|(key, _)| !one.compute(one.compute_of(*key)).cluster)
        .count();
    assert_eq!(alone, 10);
    let carried: usize = one.hosts().map(|(key, _)| one.vms_of(key).len()).sum();
    assert_eq!(carried, 500);
    assert!(one.hosts().any(|(key, _)| {
        one.compute(one.compute_of(key))
            .name
            .as_deref()
            .unwrap()
            .contains("%2f")
    }));
    assert_eq!(Inventory::new(0, 10).vms().count(), 0);
}
