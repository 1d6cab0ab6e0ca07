//! A scan of a pool that sends any bytes in place of its records.

use std::cell::RefCell;

use vw::cancel::Cancel;
use vw::http::{Base, Endpoint, Proxy};
use vw::mapping::HypervisorId;
use vw::systems::xen::{self, Credentials};
use vw_sim::hostile;
use vw_sim::xen::{Pool, Xen};

/// The server keeps a log of its requests, so it is replaced from time to time.
const RUNS: usize = 1000;

thread_local! {
    static SERVER: RefCell<Option<(Xen, usize)>> = const { RefCell::new(None) };
}

pub fn run(bytes: &[u8]) {
    SERVER.with_borrow_mut(|slot| {
        let fresh = || (Xen::start(Pool::new(1, 1), None).expect("a free port"), RUNS);
        let (server, left) = slot.get_or_insert_with(fresh);
        scan(server, bytes);
        *left -= 1;
        if *left == 0 {
            *slot = None;
        }
    });
}

fn scan(server: &Xen, bytes: &[u8]) {
    let (answer, of_hosts) = envelope(bytes);
    let method = if of_hosts {
        "host.get_all_records"
    } else {
        "VM.get_all_records"
    };
    server.server().misbehave(move |_, request| {
        let asked = String::from_utf8_lossy(&request.body).contains(method);
        asked.then(|| hostile::answer("text/xml", answer.clone()))
    });
    let mut endpoint = Endpoint::new(Base::parse(&server.url(), 443, "").expect("the server's address"));
    endpoint.proxy = Proxy::none("the fuzzer");
    let credentials = Credentials {
        username: "sim".into(),
        password: "sim-secret".to_owned().into(),
    };
    let id = HypervisorId::default();
    if let Ok(inventory) = xen::scan(&endpoint, &credentials, id, &Cancel::default(), || {}) {
        assert!(inventory.hypervisors.len() <= bytes.len() + 1);
    }
    assert_eq!(server.open_sessions(), 0);
}

/// The bytes as an answer, or in place of the records in one; and whether the records are those of hosts.
fn envelope(bytes: &[u8]) -> (Vec<u8>, bool) {
    match bytes.split_first() {
        Some((first, records)) if first % 4 != 3 => {
            let answer = [
                b"<methodResponse><params><param><value><struct><member><name>Status</name><value>Success</value></member>\
                  <member><name>Value</name><value><struct>",
                records,
                b"</struct></value></member></struct></value></param></params></methodResponse>",
            ];
            (answer.concat(), first % 4 == 0)
        }
        _ => (bytes.to_vec(), true),
    }
}
