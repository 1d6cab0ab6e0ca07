//! The simulators as a client sees them, over real sockets.

// The functions that tests share stand outside of #[test], where clippy's allowance ends.
#![allow(clippy::unwrap_used)]

mod candlepin;
mod client;
mod http;
mod program;
mod proxy;
mod satellite5;
mod vcenter;
mod vim;
