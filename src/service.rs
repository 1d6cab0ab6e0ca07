//! The work of `vw-run`: rounds over all sections, and what a service needs beside them.

pub mod metrics;
pub mod notify;
pub mod status;
