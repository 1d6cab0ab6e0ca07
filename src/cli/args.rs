//! Options that commands share.

use std::path::PathBuf;

use clap::{ArgMatches, FromArgMatches as _};

/// What is said on stderr.
#[derive(Debug, Default, clap::Args)]
pub struct Messages {
    /// Print debug messages on stderr (also VIRTWHO_DEBUG=1)
    #[arg(short, long, conflicts_with = "quiet")]
    pub debug: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Also append messages to FILE
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

impl Messages {
    pub(super) fn from_matches(matches: &ArgMatches) -> Self {
        let mut messages = Messages::from_arg_matches(matches).unwrap_or_default();
        messages.debug |=
            std::env::var_os("VIRTWHO_DEBUG").is_some_and(|value| value == "1") && !messages.quiet;
        messages
    }
}
