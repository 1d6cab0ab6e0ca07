//! What virsh prints: the host and its domains are read, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vw::mapping::HypervisorId;
use vw::systems::libvirt;

fuzz_target!(|bytes: &[u8]| {
    for id in [HypervisorId::Uuid, HypervisorId::Hostname] {
        if let Ok(inventory) = libvirt::read(bytes, id) {
            assert_eq!(inventory.hypervisors.len(), 1);
            assert!(
                inventory.hypervisors[0]
                    .guests
                    .iter()
                    .all(|guest| guest.id.len() == 36)
            );
        }
    }
});
