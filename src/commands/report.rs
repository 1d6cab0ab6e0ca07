//! Reports: from mappings on stdin to a subscription service.
//!
//! This file holds the options that all reporters share, `settings` what these and the section come to, and `documents` the loop
//! over the documents on stdin.

pub mod candlepin;
mod documents;
mod inbox;
mod limit;
mod max_age;
pub mod sat5;
mod settings;

use std::path::Path;

use crate::cli::{self, args};
use crate::config::{self, Section};

/// The options that all reporters share.
#[derive(Debug, clap::Args)]
struct Options {
    #[command(flatten)]
    section: args::Section,
    /// Report to SERVER: a name, NAME:PORT or URL
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    #[command(flatten)]
    account: args::Credentials,
    /// Ignore the section's filters
    #[arg(long)]
    no_filter: bool,
    /// Accept a mapping without any hypervisor
    #[arg(long)]
    allow_empty: bool,
    /// Print what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    results: args::ResultForm,
    #[command(flatten)]
    connection: args::Connection,
}

impl Options {
    /// The section to use.
    ///
    /// `needs_server` says whether the command sends anything. `missing` names the options without which a section is
    /// needed even if `--server` is given. `fits` picks the sections to choose from if none is named.
    fn find_section(
        &self,
        needs_server: bool,
        missing: &[&str],
        fits: impl Fn(&Section) -> Result<bool, config::Error>,
    ) -> cli::Result<Section> {
        let complete = !needs_server || self.server.is_some() && missing.is_empty();
        let key_file: Option<&Path> = self.account.key_file.as_deref();
        let section = self.section.find(key_file, complete, fits);
        section.map_err(|error| match self.server {
            Some(_) => args::beside_server(error, missing),
            None => error.into(),
        })
    }
}
