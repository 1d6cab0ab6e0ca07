//! The library behind the `vw-*` commands, which report to a subscription service which virtual machine runs on which host.
//!
//! # The pipeline
//!
//! ```text
//! vw-scan-esx -n prod | vw-filter -n prod | vw-report-candlepin -n prod
//! ```
//!
//! A scan reads the inventory of a source and prints it as a JSON document, the *mapping*. Filters copy mappings. A reporter sends
//! them to a destination. Sources and destinations have only [`mapping`] in common.
//!
//! # The layers
//!
//! Each module imports only from the layers below it, and never from another module of its own layer. There are two exceptions in
//! the lowest layer: its modules use [`error`], and [`text`] uses [`secret`]. `tests/suite/layers.rs` checks this.
//!
//! | layer | modules |
//! |---|---|
//! | 5 | [`commands`]: one module per command, grouped as scan, filter and report |
//! | 4 | [`cli`]: what all commands share; [`service`]: the rounds of `vw-run`, its status file, metrics, and notes to systemd |
//! | 3 | [`systems`]: one module per source or destination: `vsphere`, `libvirt`, `kubevirt`, `xen`, `ahv`, `rhevm`, `candlepin`, `satellite5` |
//! | 2 | [`filter`], [`diff`] (what changed between two mappings), [`show`] (answers to people's questions about a mapping), [`config`] (virt-who's files and rhsm.conf), [`http`], [`process`] (programs that we run) |
//! | 1 | [`mapping`], [`state`] (files that are kept between runs), [`retry`], [`xmlrpc`] (calls and answers) |
//! | 0 | [`error`], [`secret`], [`cancel`] (signals), [`backoff`], [`environment`] (proxy variables), [`text`], [`xml`], [`escape`], [`kept`] (how much of a list is kept), [`list`], [`pace`] |
//!
//! A system gets an [`http::Endpoint`] and plain values; the commands read the configuration.
//!
//! # Errors
//!
//! Each module has its own error types. Every error implements [`error::Classify`], which decides the exit status. Errors of the
//! library state facts; the commands add advice. Only [`cli`] uses stdin, stdout, stderr and the exit status.

pub mod backoff;
pub mod cancel;
pub mod cli;
pub mod commands;
pub mod config;
pub mod diff;
pub mod environment;
pub mod error;
pub mod escape;
pub mod filter;
pub mod http;
pub mod kept;
pub mod list;
pub mod mapping;
pub mod pace;
pub mod process;
pub mod retry;
pub mod secret;
pub mod service;
pub mod show;
pub mod state;
pub mod systems;
pub mod text;
pub mod xml;
pub mod xmlrpc;
