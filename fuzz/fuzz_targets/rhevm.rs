//! Any bytes in place of the lists of an oVirt engine.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vw::mapping::HypervisorId;
use vw::systems::rhevm;

fuzz_target!(|bytes: &[u8]| {
    // The first byte divides the rest into hosts and virtual machines.
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let (hosts, machines) = rest.split_at(rest.len() * usize::from(*first) / 256);
    let clusters = br#"{"cluster":[{"id":"1","name":"a","virt_service":"false"}]}"#;
    if let Ok(inventory) = rhevm::read([clusters, hosts, machines], HypervisorId::default()) {
        assert!(inventory.hypervisors.len() + inventory.left_out.len() <= bytes.len());
    }
});
