//! What there is to do: which sections, and which commands for each.

use super::Failure;
use super::status::VARIABLES;
use crate::process::Program;

/// A source, with the sections that report it. They differ only in their filters and destinations, so one scan serves all.
#[derive(Debug, Clone)]
pub struct Source {
    /// The scan, or why there is none.
    pub scan: Result<Program, Failure>,
    /// One for each section.
    pub pipelines: Vec<Pipeline>,
    /// It differs if anything in the configuration of these sections differs.
    pub fingerprint: Vec<u8>,
}

/// What a section does with the document of its source.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The section; `None` for the one that is made of `VIRTWHO_*` variables.
    pub section: Option<String>,
    /// The scan of this section alone, or why there is none.
    pub scan: Result<Program, Failure>,
    /// The source's server, as the section names it.
    pub source: String,
    /// The filter.
    pub filter: Program,
    /// The reporter.
    pub report: Program,
    /// Where the report goes.
    pub destination: Destination,
}

/// Where a report goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The server's URL; empty if the configuration does not say.
    pub server: String,
    /// The owner, if there is one.
    pub owner: Option<String>,
}

impl Pipeline {
    /// The section's name in messages.
    pub fn name(&self) -> &str {
        self.section.as_deref().unwrap_or(VARIABLES)
    }
}

impl Source {
    /// The name of its first section, whose scan serves all, in messages.
    pub fn name(&self) -> &str {
        self.pipelines.first().map_or("", Pipeline::name)
    }
}
