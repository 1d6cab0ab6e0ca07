//! The simulators as a client sees them, over real sockets.

// Clippy's exception for tests ends at #[test], but the functions that tests share need it, too.
#![allow(clippy::unwrap_used)]

mod ahv;
mod candlepin;
mod client;
mod http;
mod program;
mod proxy;
mod satellite5;
mod vcenter;
mod vim;
mod xen;
