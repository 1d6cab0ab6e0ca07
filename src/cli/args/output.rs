//! How mappings are written.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::mapping::Layout;

/// How mappings are written.
#[derive(Debug, Default, clap::Args)]
pub struct Output {
    /// Write mapping (ours) or checkin (virt-who's)
    #[arg(long, value_name = "LAYOUT", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(["mapping", "checkin"]).map(layout))]
    pub layout: Option<Layout>,
    /// Indent the output, as on a terminal
    #[arg(long, conflicts_with = "compact")]
    pub pretty: bool,
    /// Write each document on one line, as into a pipe
    #[arg(long)]
    pub compact: bool,
    /// Do not write what was left out, and why
    #[arg(long)]
    pub no_omitted: bool,
}

/// How a reporter's results are printed.
#[derive(Debug, Default, clap::Args)]
pub struct Results {
    /// Print results as JSON also on a terminal
    #[arg(long)]
    pub json: bool,
}

fn layout(name: String) -> Layout {
    match &*name {
        "checkin" => Layout::Checkin,
        _ => Layout::Mapping,
    }
}
