//! A scan of a Nutanix Prism that sends any bytes in place of its lists.

use std::cell::RefCell;
use std::sync::Arc;

use vw::cancel::Cancel;
use vw::http::{Base, Endpoint, Proxy};
use vw::mapping::HypervisorId;
use vw::systems::ahv::{self, Api, Prism};
use vw_sim::ahv::{Edition, Inventory, Settings};
use vw_sim::hostile;
use vw_sim::http::Server;

/// The server keeps a log of its requests, so it is replaced from time to time.
const RUNS: usize = 1000;

thread_local! {
    static SERVER: RefCell<Option<(Server, usize)>> = const { RefCell::new(None) };
}

pub fn run(bytes: &[u8]) {
    SERVER.with_borrow_mut(|slot| {
        let (server, left) = slot.get_or_insert_with(|| (start(), RUNS));
        scan(server, bytes, Api::Element);
        scan(server, bytes, Api::Central);
        *left -= 1;
        if *left == 0 {
            *slot = None;
        }
    });
}

fn start() -> Server {
    let prism = vw_sim::ahv::Prism::new(Settings::new(Edition::Element), Inventory::new(0, 0));
    Server::start(Arc::new(prism), None).expect("a free port")
}

fn scan(server: &Server, bytes: &[u8], api: Api) {
    let answer = page(bytes);
    server.misbehave(move |_, _| Some(hostile::answer("application/json", answer.clone())));
    let base = Base::parse(&server.url(), 9440, api.path()).expect("the server's address");
    let mut endpoint = Endpoint::new(base);
    endpoint.proxy = Proxy::none("the fuzzer");
    let prism = Prism {
        endpoint: &endpoint,
        api,
        username: "sim",
        password: &"sim-secret".to_owned().into(),
        agent: "fuzzer",
    };
    if let Ok(inventory) = ahv::scan(&prism, HypervisorId::default(), &Cancel::default(), || {}) {
        // The same page comes until there are as many entries as its total says.
        let pages = usize::from(u8::MAX / 2) + 1;
        assert!(inventory.hypervisors.len() + inventory.left_out.len() <= pages * bytes.len());
    }
}

/// Half of the inputs are put in place of a list's entries, with a total that fits.
fn page(bytes: &[u8]) -> Vec<u8> {
    match bytes.split_first() {
        Some((first, entities)) if first % 2 == 0 => {
            let total = first / 2;
            let start = format!(
                r#"{{"metadata":{{"grand_total_entities":{total},"total_matches":{total}}},"entities":["#
            );
            [start.as_bytes(), entities, b"]}"].concat()
        }
        _ => bytes.to_vec(),
    }
}
