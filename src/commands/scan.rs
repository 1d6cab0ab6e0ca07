//! Scans: from an inventory to a mapping on stdout.
//!
//! Here is also what they share: which section a scan reads, and what it says of that which it leaves out.

pub mod esx;
pub mod fake;
mod omitted;
pub(super) mod section;
mod shared_ids;
