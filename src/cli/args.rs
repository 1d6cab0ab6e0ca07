//! Options that commands share.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{ArgMatches, FromArgMatches as _};

use crate::mapping::Layout;
use crate::{config, filter, list};

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

/// Which section of which files.
#[derive(Debug, Default, clap::Args)]
pub struct Section {
    /// Read this configuration file (repeatable)
    ///
    /// The default is /etc/virt-who.conf and /etc/virt-who.d/*.conf, or the files in VW_CONFIG, between colons.
    #[arg(short, long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Use this section of the configuration
    ///
    /// It may be left out when only one section fits the command, or when options say everything.
    #[arg(short, long, value_name = "SECTION")]
    pub name: Option<String>,
}

impl Section {
    /// The section to use: the one that was named, else the only one that fits, else one without a name that has no more
    /// than `[defaults]`.
    ///
    /// `complete` says that options give all that the command must have; then a section is used only if one was asked
    /// for, by name or by its file.
    pub fn find(
        &self,
        complete: bool,
        fits: impl Fn(&config::Section) -> bool,
    ) -> Result<config::Section, config::Error> {
        let files = config::Files::new(self.config.clone(), std::env::var_os("VW_CONFIG"));
        let config = config::Config::load(&files)?;
        let section = match &self.name {
            Some(name) => config.named(name)?,
            None if complete && self.config.is_empty() => config.nameless(),
            None => config.only(fits)?,
        };
        for note in config.notes() {
            // The stages of a pipeline read the same files: what is not about the section at hand is left to vw-config.
            if section.is_subject_of(note) {
                log::warn!("{note}");
            } else {
                log::debug!("{note}");
            }
        }
        Ok(section)
    }
}

/// The account at the server that the command talks to.
#[derive(Debug, Default, clap::Args)]
pub struct Account {
    /// Log in as USER
    #[arg(short, long, value_name = "USER")]
    pub username: Option<String>,
    /// Read the password from FILE, which may be a pipe
    ///
    /// One trailing newline is dropped. Without it the password comes from the section, the environment or a prompt.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

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

fn layout(name: String) -> Layout {
    match &*name {
        "checkin" => Layout::Checkin,
        _ => Layout::Mapping,
    }
}

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
    /// The rules that the options state; a list that no option gives is `None`.
    pub fn rules(&self) -> filter::Rules {
        filter::Rules {
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
