//! oVirt and Red Hat Virtualization, by version 4 of the engine's REST API.
//!
//! It is the smallest of the sources, so it shows their form: `engine` speaks with the server, `object` is what the server lists,
//! `inventory` makes hypervisors of that, and [`scan`] and [`check`] are what a command calls.
//!
//! All of it comes from the REST API Guide; nothing was tried on a real engine.

mod engine;
mod error;
mod inventory;
mod object;

pub use error::Error;

use self::engine::{Account, Engine};
use self::object::{Cluster, Host, Vm};
use crate::cancel::Cancel;
use crate::http::Endpoint;
use crate::mapping::{HypervisorId, Inventory};
use crate::secret::Secret;

/// virt-who's type of this source.
pub const TYPE: &str = "rhevm";

/// How often the lists are read before it is an error that they change meanwhile.
const READINGS: usize = 3;

/// What is scanned, and as whom.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// The engine. The path of its address is that of the API, usually `/ovirt-engine/api`.
    pub endpoint: &'s Endpoint,
    /// The user with its profile, such as `admin@internal`.
    pub user: &'s str,
    /// The user's password.
    pub password: &'s Secret,
}

/// What the engine says about itself, in one line.
pub fn check(source: Source<'_>, cancel: &Cancel) -> Result<String, Error> {
    let about = source.engine(cancel)?.about()?;
    Ok(about.to_string())
}

/// Reads the hosts with their virtual machines, and calls `seen` for each object.
///
/// The API has no snapshot: if hosts or machines came or went while several pages were read, all are read again.
pub fn scan(
    source: Source<'_>,
    id: HypervisorId,
    cancel: &Cancel,
    mut seen: impl FnMut(),
) -> Result<Inventory, Error> {
    let engine = source.engine(cancel)?;
    let mut before = engine.about()?;
    for _ in 0..READINGS {
        let clusters = engine.list::<Cluster>(None, &mut seen)?;
        let [total_hosts, total_machines] = before.totals();
        let hosts = engine.list::<Host>(total_hosts, &mut seen)?;
        let machines = engine.list::<Vm>(total_machines, &mut seen)?;
        let is_one_page = [clusters.pages, hosts.pages, machines.pages]
            .iter()
            .all(|pages| *pages <= 1);
        let has_twins = clusters.has_twins || hosts.has_twins || machines.has_twins;
        let after = if is_one_page {
            before.clone()
        } else {
            engine.about()?
        };
        if !has_twins && before.summary == after.summary {
            let missing = [
                missing("host", total_hosts, hosts.objects.len()),
                missing("virtual machine", total_machines, machines.objects.len()),
            ];
            let mut inventory = inventory::of(clusters.objects, hosts.objects, machines.objects, id);
            inventory.notes.extend(missing.into_iter().flatten());
            return Ok(inventory);
        }
        log::debug!("the lists of {} changed while they were read", engine.server());
        before = after;
    }
    Err(engine.changing(READINGS))
}

/// What to say if fewer objects are listed than the engine counts.
fn missing(what: &str, total: Option<usize>, listed: usize) -> Option<String> {
    let total = total.filter(|total| *total > listed)?;
    let many = if total == 1 { "" } else { "s" };
    Some(format!(
        "the engine counts {total} {what}{many}, but lists only {listed}; may the account see all of them?"
    ))
}

/// The inventory of a site whose lists have one page each, from the bytes of the engine's answers: clusters, hosts, machines.
pub fn read(pages: [&[u8]; 3], id: HypervisorId) -> Result<Inventory, serde_json::Error> {
    let [clusters, hosts, machines] = pages;
    Ok(inventory::of(
        engine::objects(clusters)?,
        engine::objects(hosts)?,
        engine::objects(machines)?,
        id,
    ))
}

impl Source<'_> {
    fn engine(&self, cancel: &Cancel) -> Result<Engine, Error> {
        let account = Account {
            user: self.user.to_owned(),
            password: self.password.clone(),
        };
        Engine::new(self.endpoint, account, cancel)
    }
}
