//! The names of virtual machines that are left out or share a uuid, so that people know which they are.

use super::inventory::{Inventory, NAMES};
use super::soap::Client;
use super::{Error, ManagedObject, property};

/// How many machines are asked for at once.
const BATCH: usize = 500;

/// Asks for the names of the machines that a message names. The scan has not asked for any: other names are not used.
pub(super) fn of_nameless(
    client: &mut Client,
    collector: &ManagedObject,
    inventory: &mut Inventory,
) -> Result<(), Error> {
    let nameless = inventory.nameless();
    nameless
        .chunks(BATCH)
        .try_for_each(|machines| ask(client, collector, machines, inventory))
}

/// One machine that was deleted meanwhile fails the call for all of them: halving finds it.
fn ask(
    client: &mut Client,
    collector: &ManagedObject,
    machines: &[ManagedObject],
    inventory: &mut Inventory,
) -> Result<(), Error> {
    let asked = property::retrieve_these(client, collector, machines, &NAMES, |machine| {
        inventory.add_name(machine);
    });
    match asked {
        Err(error) if error.is_vanished() => {
            let (one, other) = machines.split_at(machines.len() / 2);
            if one.is_empty() {
                return Ok(());
            }
            ask(client, collector, one, inventory)?;
            ask(client, collector, other, inventory)
        }
        asked => asked,
    }
}
