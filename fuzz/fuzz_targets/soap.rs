//! A scan of a vCenter that answers the question for its objects with any bytes.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use vw::cancel::Cancel;
use vw::http::{Base, Endpoint, Proxy};
use vw::mapping::HypervisorId;
use vw::systems::vsphere::{self, Credentials, Session};
use vw_sim::hostile;
use vw_sim::vcenter::{Inventory, VCenter};

/// The server keeps a log of its requests, so it is replaced now and then.
const RUNS: usize = 1000;

thread_local! {
    static SERVER: RefCell<Option<(VCenter, usize)>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    SERVER.with_borrow_mut(|slot| {
        let fresh = || {
            (
                VCenter::start(Inventory::new(1, 1), None).expect("a free port"),
                RUNS,
            )
        };
        let (server, left) = slot.get_or_insert_with(fresh);
        scan(server, bytes);
        *left -= 1;
        if *left == 0 {
            *slot = None;
        }
    });
});

fn scan(server: &VCenter, bytes: &[u8]) {
    let answer = envelope(bytes);
    server.server().misbehave(move |_, request| {
        let asked = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
        asked.then(|| hostile::answer("text/xml", answer.clone()))
    });
    let mut endpoint = Endpoint::new(Base::parse(&server.url(), 443, "/sdk").expect("the server's address"));
    endpoint.proxy = Proxy::none("the fuzzer");
    let credentials = Credentials {
        username: "sim".into(),
        password: "sim-secret".to_owned().into(),
    };
    let mut session = Session::open(&endpoint, &credentials, &Cancel::default()).expect("a good log-in");
    if let Ok(inventory) = vsphere::scan(&mut session, false, || {}) {
        let identified = inventory.identify(HypervisorId::default());
        assert!(identified.hypervisors().count() <= bytes.len());
    }
    session.close();
    assert_eq!(server.open().sessions, 0);
}

/// Half of the inputs stand where a page's objects do.
fn envelope(bytes: &[u8]) -> Vec<u8> {
    match bytes.split_first() {
        Some((first, objects)) if first % 2 == 0 => [
            b"<Envelope><Body><RetrievePropertiesExResponse><returnval>",
            objects,
            b"</returnval></RetrievePropertiesExResponse></Body></Envelope>",
        ]
        .concat(),
        _ => bytes.to_vec(),
    }
}
