//! Options for the format of the output.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::mapping::Layout;

/// Options for the format of mappings.
#[derive(Debug, Default, clap::Args)]
pub struct Output {
    /// Write layout mapping (ours) or checkin (virt-who's)
    #[arg(long, value_name = "LAYOUT", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(["mapping", "checkin"]).map(layout))]
    pub layout: Option<Layout>,
    /// Indent the output [default: on a terminal]
    #[arg(long, conflicts_with = "compact")]
    pub pretty: bool,
    /// Write each document on one line [default: in a pipe]
    #[arg(long)]
    pub compact: bool,
    /// Do not write the list of what was left out
    #[arg(long)]
    pub no_omitted: bool,
}

/// The option for the format of a reporter's results.
#[derive(Debug, Default, clap::Args)]
pub struct ResultForm {
    /// Print results as JSON even on a terminal
    #[arg(long)]
    pub json: bool,
}

fn layout(name: String) -> Layout {
    match &*name {
        "checkin" => Layout::Checkin,
        _ => Layout::Mapping,
    }
}
