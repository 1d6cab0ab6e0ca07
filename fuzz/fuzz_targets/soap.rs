//! A scan of a vCenter that sends any bytes in place of its objects, and its virtual machines with their questions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vw::cancel::Cancel;
use vw::http::Endpoint;
use vw::mapping::HypervisorId;
use vw::systems::vsphere::{self, Credentials, Machines, Question, Session, Unanswerable};
use vw_fuzz::replay::Recorded;
use vw_sim::vcenter::{Inventory, VCenter};

/// The label of the exchange whose answer is replaced.
const PAGE: &str = "RetrievePropertiesEx";

thread_local! {
    static SCAN: Recorded = recorded(|session| drop(vsphere::scan(session, true, || {}).expect("an inventory")));
    static MACHINES: Recorded = recorded(|session| drop(Machines::read(session).expect("machines")));
}

fuzz_target!(|bytes: &[u8]| {
    let answer = envelope(bytes);
    SCAN.with(|recorded| {
        recorded.replace(PAGE, &answer);
        let mut session = open(&recorded.endpoint());
        if let Ok(inventory) = vsphere::scan(&mut session, true, || {}) {
            scanned(inventory, bytes.len());
        }
    });
    MACHINES.with(|recorded| {
        recorded.replace(PAGE, &answer);
        if let Ok(machines) = Machines::read(&mut open(&recorded.endpoint())) {
            found(&machines);
        }
    });
});

/// What a simulated vCenter answers to this work.
fn recorded(work: impl FnOnce(&mut Session)) -> Recorded {
    let server = VCenter::start(Inventory::new(1, 1), None).expect("a free port");
    Recorded::new(&server.url(), |endpoint| {
        let mut session = open(endpoint);
        work(&mut session);
        session.close();
    })
}

fn open(endpoint: &Endpoint) -> Session {
    let credentials = Credentials {
        username: "sim".into(),
        password: "sim-secret".to_owned().into(),
    };
    Session::open(endpoint, &credentials, &Cancel::default()).expect("a good log-in")
}

/// Each object is a hypervisor, a guest or left out, and in order.
fn scanned(inventory: vsphere::Inventory, length: usize) {
    let (hosts, machines) = inventory.counts();
    assert!(hosts + machines <= length);
    let identified = inventory.identify(HypervisorId::default());
    let hypervisors: Vec<_> = identified.hypervisors().collect();
    assert!(hypervisors.is_sorted_by_key(|host| host.id.clone()));
    let is_sorted = |host: &vw::mapping::Hypervisor| host.guests.is_sorted_by_key(|guest| guest.id.clone());
    assert!(
        hypervisors
            .iter()
            .all(|host| is_sorted(host) && host.id.as_deref() != Some(""))
    );
    let guests: usize = hypervisors.iter().map(|host| host.guests.len()).sum();
    assert!(hypervisors.len() <= hosts && guests <= machines);
    let left_out = identified.left_out();
    let of_hosts = left_out.iter().filter(|left_out| left_out.kind == "host").count();
    assert_eq!(hypervisors.len() + of_hosts, hosts, "{left_out:?}");
}

/// A virtual machine is found by its id, and a question is answered by what it offers.
fn found(machines: &Machines) {
    assert!(machines.all().is_sorted_by_key(|machine| machine.path.clone()));
    for machine in machines.all() {
        let named = machines.find(&machine.object.id);
        assert!(named.is_ok_and(|named| named == machine) || machines.all().len() > 1);
        if let Some(question) = &machine.question {
            answers(question);
        }
    }
}

fn answers(question: &Question) {
    match question.default_choice() {
        Ok(choice) => assert_eq!(question.default.map(|at| &question.choices[at]), Some(choice)),
        Err(Unanswerable::NoChoices) => assert!(question.choices.is_empty()),
        Err(why) => assert_eq!((why, question.default), (Unanswerable::NoDefault, None)),
    }
    for choice in &question.choices {
        let by_key = question
            .choice(&choice.key)
            .expect("a choice is found by its key");
        assert_eq!(by_key.key, choice.key);
        match question.choice(&choice.label) {
            Ok(found) => assert!(
                found.key == choice.label || found.label.to_lowercase() == choice.label.to_lowercase()
            ),
            Err(why) => assert_eq!(why, Unanswerable::SeveralChoices),
        }
    }
}

/// Half of the inputs are put in place of a page's objects.
fn envelope(bytes: &[u8]) -> Vec<u8> {
    match bytes.first() {
        Some(b'<') if !bytes.starts_with(b"<?xml") => [
            b"<Envelope><Body><RetrievePropertiesExResponse><returnval>",
            bytes,
            b"</returnval></RetrievePropertiesExResponse></Body></Envelope>",
        ]
        .concat(),
        _ => bytes.to_vec(),
    }
}
