//! `vw-run`: the pipelines of all sections, once or for ever.

pub mod outcome;

pub use outcome::{Failure, Outcome, ResultLine};
