//! `vw-run`: the pipelines of all sections, once or for ever, and what a service needs beside them.

pub mod metrics;
pub mod notify;
pub mod outcome;
pub mod record;
pub mod status;

pub use outcome::{Failure, Outcome, ResultLine};
pub use record::Record;
