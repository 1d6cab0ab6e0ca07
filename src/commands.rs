//! The commands, a room each: the options, what they come to with section and environment, and the work, from top to bottom.
//!
//! Grouped as the pipeline is: a scan, a filter, a report; tasks are for people. A file in `src/bin` calls the `main` of one.

mod advice;
pub mod config;
pub mod diff;
pub mod escape;
pub mod filter;
mod filtering;
mod interval;
mod kind;
pub mod password;
pub mod report;
mod rhsm;
pub mod run;
pub mod scan;
mod section;
mod server;
pub mod show;
pub mod task;
mod vsphere;
mod way;
