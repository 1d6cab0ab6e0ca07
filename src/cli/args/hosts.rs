//! Which hypervisors to keep and which to drop.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::filter::{self, Rules};
use crate::{config, list};

/// Which hosts to keep and which to drop.
#[derive(Debug, Default, clap::Args)]
pub struct Hosts {
    /// Keep only hosts whose id is in LIST
    #[arg(long, value_name = "LIST")]
    pub filter_hosts: Vec<List>,
    /// Drop hosts whose id is in LIST
    #[arg(long, value_name = "LIST")]
    pub exclude_hosts: Vec<List>,
    /// Read patterns as wildcards or as regex only
    #[arg(long, value_name = "TYPE", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(["wildcards", "regex"]).map(filter_type))]
    pub filter_type: Option<filter::Kind>,
    /// Keep only hosts whose parent's id or name is in LIST
    #[arg(long, value_name = "LIST")]
    pub filter_host_parents: Vec<List>,
    /// Drop hosts whose parent's id or name is in LIST
    #[arg(long, value_name = "LIST")]
    pub exclude_host_parents: Vec<List>,
    /// Match the names of hosts, too
    #[arg(long)]
    pub match_names: bool,
}

fn filter_type(name: String) -> filter::Kind {
    match &*name {
        "regex" => filter::Kind::Regex,
        _ => filter::Kind::Wildcards,
    }
}

/// How a section says that patterns are meant.
pub fn filter_type_of(section: &config::Section) -> Result<Option<filter::Kind>, config::Error> {
    section
        .text("filter_type")?
        .map(|name| match &*name.to_lowercase() {
            "wildcards" => Ok(filter::Kind::Wildcards),
            "regex" => Ok(filter::Kind::Regex),
            _ => Err(section.wrong_value("filter_type", "is neither wildcards nor regex")),
        })
        .transpose()
}

impl Hosts {
    /// The rules that the options state; a list that no option gives is `None`.
    pub fn rules(&self) -> Rules {
        Rules {
            filter_hosts: joined(&self.filter_hosts),
            exclude_hosts: joined(&self.exclude_hosts),
            filter_host_parents: joined(&self.filter_host_parents),
            exclude_host_parents: joined(&self.exclude_host_parents),
            kind: self.filter_type,
            match_names: self.match_names,
        }
    }
}

/// The value of an option that is a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List(pub Vec<String>);

impl std::str::FromStr for List {
    type Err = list::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        list::parse(text).map(List)
    }
}

/// What a repeated option lists; `None` when it was not given.
fn joined(lists: &[List]) -> Option<Vec<String>> {
    let items = lists.iter().flat_map(|List(items)| items.iter().cloned());
    (!lists.is_empty()).then(|| items.collect())
}
