//! Answers to people's questions about a mapping: which hosts there are, how many sockets they have, and where something is.
//!
//! [`Host`] has what a person wants to know of a hypervisor, [`Summary`] counts them per cluster, and [`Search`] finds a host or
//! guest, or what was left out, by any of its names.

mod host;
mod needle;
mod search;
mod sockets;
pub mod states;
mod summary;

pub use self::host::{Cluster, Host};
pub use self::needle::{Match, Needle};
pub use self::search::{Finding, Found, Search};
pub use self::sockets::Sockets;
pub use self::states::States;
pub use self::summary::{Counts, LeftOutGroup, Summary};
