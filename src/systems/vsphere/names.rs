//! The names of virtual machines that are left out or share a uuid, for messages.

use super::inventory::{Inventory, NAMES};
use super::soap::Client;
use super::{Error, ManagedObject, NOT_FOUND, property};

/// How many names one call reads.
const BATCH: usize = 500;

/// Reads the names of the virtual machines that messages will name. The scan reads no names, because other names are not used.
pub(super) fn of_nameless(
    client: &mut Client,
    collector: &ManagedObject,
    inventory: &mut Inventory,
) -> Result<(), Error> {
    let nameless = inventory.nameless();
    nameless
        .chunks(BATCH)
        .try_for_each(|machines| read(client, collector, machines, inventory))
}

/// Reads these names. If a machine was deleted meanwhile, the call fails for all of them; halving finds that machine.
fn read(
    client: &mut Client,
    collector: &ManagedObject,
    machines: &[ManagedObject],
    inventory: &mut Inventory,
) -> Result<(), Error> {
    let done = property::retrieve_these(client, collector, machines, &NAMES, |machine| {
        inventory.add_name(machine);
    });
    match done {
        Err(error) if error.is_fault(NOT_FOUND) => {
            let (one, other) = machines.split_at(machines.len() / 2);
            if one.is_empty() {
                return Ok(());
            }
            read(client, collector, one, inventory)?;
            read(client, collector, other, inventory)
        }
        done => done,
    }
}
