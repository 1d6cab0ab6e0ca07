//! Any bytes in place of the lists of an oVirt engine, and of its refusals.

use vw::cancel::Cancel;
use vw::error::Classify as _;
use vw::mapping::HypervisorId;
use vw::systems::rhevm::{self, Source};
use vw_fuzz::replay::Exchanges;

thread_local! {
    static EXCHANGES: Exchanges = exchanges();
}

pub fn run(bytes: &[u8]) {
    refused(bytes);
    // The first byte divides the rest into hosts and virtual machines.
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let (hosts, machines) = rest.split_at(rest.len() * usize::from(*first) / 256);
    let clusters = br#"{"cluster":[{"id":"1","name":"a","virt_service":"false"}]}"#;
    if let Ok(inventory) = rhevm::read([clusters, hosts, machines], HypervisorId::default()) {
        assert!(inventory.hypervisors.len() + inventory.left_out.len() <= bytes.len());
    }
}

fn exchanges() -> Exchanges {
    let exchanges = Exchanges::new("/ovirt-engine/api");
    exchanges.add("1-about", "GET /ovirt-engine/api", b"");
    exchanges
}

/// The bytes as what the engine says about itself, and as a refusal.
fn refused(bytes: &[u8]) {
    EXCHANGES.with(|exchanges| {
        for status in [200, 400] {
            exchanges.answer("1-about", status, "Content-Type: application/json\r\n", bytes);
            let endpoint = exchanges.endpoint();
            let source = Source {
                endpoint: &endpoint,
                user: "me",
                password: &"s3cret".to_owned().into(),
            };
            match rhevm::check(source, &Cancel::default()) {
                Ok(about) => assert!(status == 200 && about.len() <= bytes.len() * 3 + 10, "{about}"),
                Err(error) => {
                    let shown = error.with_causes();
                    assert!(shown.chars().count() < 1000 && !shown.contains('\n'), "{shown}");
                }
            }
        }
    });
}
