//! What kubectl prints, a list or events: whatever is in it becomes an inventory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vw::mapping::HypervisorId;
use vw::systems::kubevirt::{Objects, answer};

fuzz_target!(|bytes: &[u8]| {
    for id in [HypervisorId::Uuid, HypervisorId::Hostname] {
        let mut objects = Objects::default();
        if answer::list(bytes, |object| objects.add(object)).is_ok() {
            let inventory = objects.inventory(id);
            assert!(inventory.hypervisors.iter().all(|host| !host.is_local()));
        }
    }
    let _ = answer::events(bytes, |event| _ = Objects::default().add(event.object.get()));
});
