//! Simulated servers on loopback: a vCenter, a XenServer pool, a Nutanix Prism of either kind, an oVirt engine, a Candlepin and a
//! Satellite 5.
//!
//! They are strict: they refuse what the real servers refuse, and lose what the real servers lose. They share no code with
//! `vw`, so that they do not share its mistakes.

pub mod ahv;
pub mod candlepin;
mod clock;
mod fresh;
pub mod hostile;
pub mod http;
pub mod proxy;
pub mod rhevm;
pub mod satellite5;
pub mod simulation;
pub mod vcenter;
pub mod xen;
mod xmlrpc;
