//! What changed between two mappings.
//!
//! A [`Snapshot`] is what a comparison needs of a document, in little memory: about 80 bytes per guest. [`Differences::between`]
//! compares the snapshots of two sides.
//!
//! Ids of hypervisors and guests are compared ignoring case, because servers store them in lower case. The order and the layout
//! of the documents, and numbers written as text, make no difference. What one side does not say is unknown, and no difference: a
//! guest's state, its attributes or its name, a hypervisor's name, parent, or all of its facts.
//!
//! ```
//! use vw::diff::{Differences, Snapshot};
//! use vw::mapping::{Guest, GuestState, Hypervisor};
//!
//! let snapshot = |host: &str| {
//!     let mut hypervisor = Hypervisor::new(host);
//!     hypervisor.guests.push(Guest::new("web", GuestState::Running, "esx"));
//!     [hypervisor].into_iter().collect::<Snapshot>()
//! };
//! let (old, new) = ([snapshot("a")], [snapshot("b")]);
//! let differences = Differences::between(&old, &new);
//! let moved = &differences.guests.moved[0];
//! assert_eq!((moved.from.id(), moved.guest.host().id()), (Some("a"), Some("b")));
//! ```

mod change;
mod compare;
mod snapshot;

pub use self::change::{Change, Value};
pub use self::compare::{Changed, Differences, GuestDifferences, HostDifferences, Moved};
pub use self::snapshot::{GuestRef, HostRef, Snapshot};

#[cfg(test)]
mod tests;
