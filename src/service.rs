//! `vw-run`: the pipelines of all sections, once or for ever, and what a service needs beside them.
//!
//! A [`Source`] is scanned into a file without a name. Only a whole document goes on to the filters and reporters of its sections,
//! so a scan that failed sends nothing, and the cause of a failure is known. [`Rounds`] runs the sources side by side.

pub mod metrics;
pub mod notify;
pub mod outcome;
mod permits;
pub mod plan;
pub mod record;
pub mod round;
pub mod rounds;
pub mod schedule;
mod stage;
pub mod status;

pub use outcome::{Failure, Outcome, ResultLine};
pub use plan::{Destination, Pipeline, Source};
pub use record::Record;
pub use round::Work;
pub use rounds::Rounds;
