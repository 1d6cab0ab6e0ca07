//! XenServer and XCP-ng: the hosts of a pool and the virtual machines on them, by XenAPI.
//!
//! XenAPI is XML-RPC over POST. Every answer is a struct with a `Status`: `Success` with a `Value`, or `Failure` with an
//! `ErrorDescription`, which is a code and its parameters. Integers are strings of digits, and objects have opaque references.
//!
//! - `client`: calls and answers; `session`: login at the pool's coordinator, and logout
//! - `record`: what is kept of the records of hosts and virtual machines; `inventory`: hypervisors made of them
//! - `events`: waiting for changes
//!
//! The facts come from XenAPI's documentation ("Wire Protocol for Remote API Calls" and the reference of its classes).

mod client;
mod error;
mod events;
mod inventory;
mod record;
mod session;

use std::collections::BTreeSet;

pub use error::{Error, Refusal};
pub use events::listen;
use inventory::inventory;
use record::{Host, HostRecords, VmRecords};
use session::Session;

use crate::cancel::Cancel;
use crate::http::Endpoint;
use crate::mapping::{HypervisorId, Inventory};
use crate::secret::Secret;

/// virt-who's type of this source.
pub const TYPE: &str = "xen";

/// Who logs in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user name, such as `root`.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Reads the inventory of the pool that the endpoint's host belongs to, and calls `seen` for each object.
///
/// The virtual machines are read before the hosts. A host that joins the pool meanwhile is then listed, and one that leaves it
/// has no virtual machines.
pub fn scan(
    endpoint: &Endpoint,
    credentials: &Credentials,
    id: HypervisorId,
    cancel: &Cancel,
    mut seen: impl FnMut(),
) -> Result<Inventory, Error> {
    let session = Session::open(endpoint, credentials, cancel)?;
    let vms = session.read_all::<VmRecords>(&mut seen)?;
    let hosts = session.read_all::<HostRecords>(&mut seen)?;
    session.close();
    Ok(inventory(hosts, vms, id))
}

/// Logs in, reads the hosts, and logs out. Returns the pool's product, its version, and how many hosts there are, such as
/// `XCP-ng 8.2.1, 3 hosts`.
pub fn check(endpoint: &Endpoint, credentials: &Credentials, cancel: &Cancel) -> Result<String, Error> {
    let session = Session::open(endpoint, credentials, cancel)?;
    let hosts = session.read_all::<HostRecords>(|| ())?;
    session.close();
    // While a pool is upgraded, its hosts have several versions.
    let products: BTreeSet<String> = hosts.iter().filter_map(Host::product).collect();
    let products = match products.is_empty() {
        true => "an unknown product".to_owned(),
        false => products.into_iter().collect::<Vec<_>>().join(", "),
    };
    Ok(match hosts.len() {
        1 => format!("{products}, 1 host"),
        number => format!("{products}, {number} hosts"),
    })
}
