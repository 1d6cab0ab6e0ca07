//! The systems at either end of the pipeline, a room each: what they speak, and nothing of the commands that use them.
//!
//! They don't know each other. A source makes a [`crate::mapping`], a destination takes one.

pub mod ahv;
pub mod candlepin;
pub mod kubevirt;
pub mod libvirt;
pub mod rhevm;
pub mod satellite5;
pub mod vsphere;
pub mod xen;
