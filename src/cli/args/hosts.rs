//! Which hypervisors to keep and which to drop.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};

use crate::filter::{self, HostFilter, Rules};
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

impl Hosts {
    /// The filter that the options ask for, and the section for what no option does.
    ///
    /// A pattern that makes no sense is a wrong option here and wrong configuration there.
    pub fn filter(&self, section: Option<&config::Section>) -> anyhow::Result<HostFilter> {
        let mut rules = self.rules();
        let Some(section) = section else {
            return Ok(HostFilter::new(rules)?);
        };
        if rules.kind.is_none() {
            rules.kind = section
                .text("filter_type")?
                .map(|name| match &*name.to_lowercase() {
                    "wildcards" => Ok(filter::Kind::Wildcards),
                    "regex" => Ok(filter::Kind::Regex),
                    _ => Err(section.wrong_value("filter_type", "is neither wildcards nor regex")),
                })
                .transpose()?;
        }
        HostFilter::new(rules.clone())?;
        for list in filter::List::ALL {
            let own = rules.list(list);
            if own.is_none() {
                *own = section.list(list.key())?;
            }
        }
        Ok(HostFilter::new(rules).map_err(|error| {
            let key = error.list().key();
            let reason = format!("{:#}", anyhow::Error::from(error));
            section.wrong(key, reason.strip_prefix(key).unwrap_or(&reason).trim_start())
        })?)
    }

    /// The rules that the options state; a list that no option gives is `None`.
    fn rules(&self) -> Rules {
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
