//! The library behind the `vw-*` commands, which tell a subscription service which virtual machine runs on which host.
//!
//! # The pipeline
//!
//! ```text
//! vw-scan-esx -n prod | vw-filter -n prod | vw-report-candlepin -n prod
//! ```
//!
//! A source reads an inventory and prints one JSON document, the *mapping*; filters pass it on; a reporter checks it in
//! with a subscription service. Sources and destinations meet only in [`mapping`].
//!
//! # The layers
//!
//! Each room imports only what stands below it, and neighbours within layers 2 and 3 do not know each other
//! (`tests/suite/layers.rs` holds this):
//!
//! ```text
//! 5  commands
//! 4  cli
//! 3  systems: vsphere   candlepin   satellite5
//! 2  filter    config      http
//! 1  mapping   state       retry
//! 0  error     secret      cancel       backoff     xml      escape    list      text      environment   pace
//! ```
//!
//! Libraries have one typed error per room, each with a `kind()`; only [`cli`] touches stdin, stdout, stderr and the exit
//! status.

pub mod backoff;
pub mod cancel;
pub mod cli;
pub mod commands;
pub mod config;
pub mod environment;
pub mod error;
pub mod escape;
pub mod filter;
pub mod http;
pub mod list;
pub mod mapping;
pub mod pace;
pub mod retry;
pub mod secret;
pub mod state;
pub mod systems;
pub mod text;
pub mod xml;
