//! A scan and a watch of a vCenter that sends any bytes in place of its objects, its virtual machines with their questions, and any
//! bytes in place of what it says before and at the login.

use std::time::Duration;

use vw::cancel::Cancel;
use vw::error::Classify as _;
use vw::http::Endpoint;
use vw::mapping::HypervisorId;
use vw::pace::Pace;
use vw::retry::Patience;
use vw::systems::vsphere::{self, Credentials, Machines, Nudge, Question, Session, Unanswerable, Watched};
use vw_fuzz::replay::Recorded;
use vw_sim::vcenter::{Inventory, VCenter};

/// The label of the exchange whose answer is replaced.
const PAGE: &str = "RetrievePropertiesEx";
/// The same of a watch, and of a login.
const UPDATES: &str = "WaitForUpdatesEx";
const LOGIN: [&str; 2] = ["RetrieveServiceContent", "Login"];

thread_local! {
    static SCAN: Recorded = recorded(|session| drop(vsphere::scan(session, true, || {}).expect("an inventory")));
    static WATCH: Recorded = recorded_at(|endpoint| drop(watched(endpoint)));
    static MACHINES: Recorded = recorded(|session| drop(Machines::read(session).expect("machines")));
}

pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if text.contains(UPDATES) {
        return updated(bytes);
    }
    if let Some(label) = LOGIN
        .iter()
        .find(|label| text.contains(&format!("<{label}Response")))
    {
        return logged_in(label, bytes);
    }
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
}

/// A watch begins with the state that the bytes describe.
fn updated(bytes: &[u8]) {
    WATCH.with(|recorded| {
        recorded.replace(UPDATES, bytes);
        if let Some(inventory) = watched(&recorded.endpoint()) {
            scanned(inventory, bytes.len());
        }
    });
}

/// The first state of a watch; none if that can't be read.
fn watched(endpoint: &Endpoint) -> Option<vsphere::Inventory> {
    struct Done;

    impl From<vsphere::Error> for Done {
        fn from(error: vsphere::Error) -> Self {
            let shown = error.with_causes();
            assert!(shown.chars().count() < 2000, "{shown}");
            Done
        }
    }

    let watched = Watched {
        endpoint,
        credentials: &credentials(),
        guest_names: true,
        patience: Patience::For(Duration::ZERO),
        pace: Pace {
            settle: Duration::ZERO,
            repeat: None,
        },
    };
    let mut first = None;
    let Err(Done) = vsphere::watch(
        watched,
        &Nudge::default(),
        &Cancel::default(),
        |_, inventory, _| {
            first = Some(inventory);
            Err::<bool, _>(Done)
        },
    );
    first
}

/// What a server says about itself is short, and a refusal does not repeat the password.
fn logged_in(label: &str, bytes: &[u8]) {
    SCAN.with(|recorded| {
        recorded.restore(PAGE);
        recorded.replace(label, bytes);
        match Session::open(&recorded.endpoint(), &credentials(), &Cancel::default()) {
            Ok(session) => assert!(session.about().full_name.len() <= bytes.len()),
            Err(error) => {
                let shown = error.with_causes();
                assert!(shown.chars().count() < 2000, "{shown}");
                assert!(!shown.contains("sim-secret") || bytes.windows(10).any(|part| part == b"sim-secret"));
            }
        }
        recorded.restore(label);
    });
}

/// What a simulated vCenter answers to this work.
fn recorded(work: impl FnOnce(&mut Session)) -> Recorded {
    recorded_at(|endpoint| {
        let mut session = open(endpoint);
        work(&mut session);
        session.close();
    })
}

fn recorded_at(work: impl FnOnce(&Endpoint)) -> Recorded {
    let server = VCenter::start(Inventory::new(1, 1), None).expect("a free port");
    Recorded::new(&server.url(), work)
}

fn open(endpoint: &Endpoint) -> Session {
    Session::open(endpoint, &credentials(), &Cancel::default()).expect("a good log-in")
}

fn credentials() -> Credentials {
    Credentials {
        username: "sim".into(),
        password: "sim-secret".to_owned().into(),
    }
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
