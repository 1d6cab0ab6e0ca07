//! The simulators as a client sees them, over real sockets.

// The functions that tests share stand outside of #[test], where clippy's allowance ends.
#![allow(clippy::unwrap_used)]

mod client;
mod http;
