//! libvirt, asked through virsh, which brings every transport and login that sites have set up.
//!
//! - `virsh`: one run of virsh, with the password in a file that only memory holds (`auth`)
//! - `uri`: how people write which libvirt is asked
//! - `host`: what virsh says about the host; `domains`: its domains and their states
//! - `scan` makes an inventory of these, `watch` follows the events of domains
//!
//! virsh's output was recorded with virsh 9.0 and read in the source of 4.5. Two calls are no snapshot: a domain may start or
//! vanish between them.

mod auth;
mod domains;
mod error;
mod host;
mod scan;
mod uri;
mod virsh;
mod watch;

pub use error::{Error, Reason};
pub use scan::{check, read, scan};
pub use uri::{Uri, UriError};
pub use virsh::{Connection, Limits};
pub use watch::{Heard, follow};

/// virt-who's type of this source.
pub const TYPE: &str = "libvirt";
