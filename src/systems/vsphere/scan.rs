//! Reading a whole inventory once.

use std::time::Instant;

use super::inventory::{self, Inventory};
use super::session::Session;
use super::{Error, names, property};
use crate::text;

/// Reads the whole inventory that the session's account may see, as it arrives, and calls `seen` for each object.
///
/// `guest_names` asks for the names of all guests.
pub fn scan(session: &mut Session, guest_names: bool, mut seen: impl FnMut()) -> Result<Inventory, Error> {
    let wanted = inventory::wanted(guest_names);
    let begun = Instant::now();
    let view = session.create_view(wanted)?;
    let Session { client, content, .. } = session;
    let mut inventory = Inventory::new(guest_names);
    let collector = &content.property_collector;
    property::retrieve(client, collector, &view, wanted, |object| {
        seen();
        inventory.add(object)
    })?;
    log_counts(inventory.counts(), begun);
    names::of_nameless(client, collector, &mut inventory)?;
    Ok(inventory)
}

/// Logs how much was read, and how long that took.
pub(super) fn log_counts((hosts, vms): (usize, usize), begun: Instant) {
    log::debug!(
        "read {} and {} in {} s",
        count(hosts, "host"),
        count(vms, "virtual machine"),
        text::seconds(begun.elapsed())
    );
}

/// A number with its noun, such as `1 host` and `2 hosts`.
fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
