//! The vSphere Web Services API of vCenter and of ESX and ESXi hosts.
//!
//! Whatever a command does with a server, it uses the lower modules, which know nothing of inventories:
//!
//! - `soap`: calls, answers and faults; `session`: login and logout
//! - `property`: the properties of objects, page by page; `changes`: the stream of their changes
//! - `retry`: which failures are temporary; `uri`: how people write a server's address
//!
//! Some of the others read an inventory: `scan` reads it once, `watch` follows it, `inventory` makes hypervisors of it.
//!
//! The rest starts tasks: `machine` finds virtual machines, `power` changes their power state, `task` follows a task to its end,
//! `question` answers what it asks, and `pool` keeps the sessions.

mod action;
mod changes;
mod error;
mod inventory;
mod machine;
mod names;
mod pool;
mod power;
mod property;
mod question;
mod retry;
mod rounds;
mod scan;
mod session;
mod soap;
mod task;
mod updates;
mod uri;
mod watch;

use std::io::BufRead;

pub use action::Action;
pub use error::{Error, Fault, Refusal};
pub use inventory::{Identified, Inventory, TYPE};
pub use machine::{Machine, Machines, Unidentified};
pub use pool::Pool;
pub use power::{Answered, AnsweredByHand, Ended, Order, answer, perform};
pub use question::{Choice, Question, Unanswerable};
pub use retry::retry;
pub use scan::scan;
pub use session::{About, Credentials, Session};
pub use task::{Leftover, Obstacle, TaskInfo};
pub use uri::{Address, AddressError};
pub use watch::{Nudge, Watched, watch};

use crate::xml;

/// The fault of a call that names a deleted object.
const NOT_FOUND: &str = "ManagedObjectNotFound";

/// The fault of a call without a session.
const NOT_AUTHENTICATED: &str = "NotAuthenticated";

/// A managed object reference, by which the API names an object of the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ManagedObject {
    /// The type, such as `Folder`.
    pub kind: String,
    /// The managed object id, such as `group-d1`.
    pub id: String,
}

impl ManagedObject {
    /// The reference as an XML element of this name.
    fn element(&self, name: &str) -> String {
        format!(
            "<{name} type=\"{}\">{}</{name}>",
            xml::escape(&self.kind),
            xml::escape(&self.id)
        )
    }

    /// Reads the reference in the element that was entered last.
    fn read<R: BufRead>(xml: &mut xml::Reader<R>) -> Result<Self, xml::Error> {
        let kind = xml.attribute("type").unwrap_or_default().into_owned();
        let id = xml.text()?.to_owned();
        Ok(ManagedObject { kind, id })
    }
}
