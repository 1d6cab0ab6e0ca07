//! Options that select hypervisors.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::filter::{self, Rules};
use crate::{config, list};

/// Options that select hypervisors.
#[derive(Debug, Default, clap::Args)]
pub struct Hosts {
    /// Keep only hosts whose id matches LIST
    #[arg(long, value_name = "LIST")]
    pub filter_hosts: Vec<Patterns>,
    /// Drop hosts whose id matches LIST
    #[arg(long, value_name = "LIST")]
    pub exclude_hosts: Vec<Patterns>,
    /// Read patterns only as wildcards, or only as regex [default: both]
    #[arg(long, value_name = "TYPE", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(["wildcards", "regex"]).map(filter_type))]
    pub filter_type: Option<filter::Syntax>,
    /// Keep only hosts whose parent's id or name matches LIST
    #[arg(long, value_name = "LIST")]
    pub filter_host_parents: Vec<Patterns>,
    /// Drop hosts whose parent's id or name matches LIST
    #[arg(long, value_name = "LIST")]
    pub exclude_host_parents: Vec<Patterns>,
    /// Match host names as well as ids
    #[arg(long)]
    pub match_names: bool,
}

fn filter_type(name: String) -> filter::Syntax {
    match &*name {
        "regex" => filter::Syntax::Regex,
        _ => filter::Syntax::Wildcards,
    }
}

/// The section's `filter_type`.
pub fn filter_type_of(section: &config::Section) -> Result<Option<filter::Syntax>, config::Error> {
    section
        .text("filter_type")?
        .map(|name| match &*name.to_lowercase() {
            "wildcards" => Ok(filter::Syntax::Wildcards),
            "regex" => Ok(filter::Syntax::Regex),
            _ => Err(section.wrong_value("filter_type", "is neither wildcards nor regex")),
        })
        .transpose()
}

impl Hosts {
    /// The rules of the options. A list without an option is `None`.
    pub fn rules(&self) -> Rules {
        Rules {
            filter_hosts: joined(&self.filter_hosts),
            exclude_hosts: joined(&self.exclude_hosts),
            filter_host_parents: joined(&self.filter_host_parents),
            exclude_host_parents: joined(&self.exclude_host_parents),
            syntax: self.filter_type,
            match_names: self.match_names,
        }
    }
}

/// The patterns in the value of one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(pub Vec<String>);

impl std::str::FromStr for Patterns {
    type Err = list::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        list::parse(text).map(Patterns)
    }
}

/// The patterns of a repeated option, or `None` if it is not given.
fn joined(lists: &[Patterns]) -> Option<Vec<String>> {
    let patterns = lists
        .iter()
        .flat_map(|Patterns(patterns)| patterns.iter().cloned());
    (!lists.is_empty()).then(|| patterns.collect())
}
