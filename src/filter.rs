//! Which hypervisors to keep: virt-who's `filter_hosts`, `exclude_hosts` and their like, as pure functions.

mod pattern;

use std::fmt;

pub use self::pattern::{Error, Kind};
use self::pattern::{Parent, Pattern};

/// What a user asks for; a list that is not given is `None`. [`HostFilter::new`] makes a filter of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Keep only these hosts.
    pub filter_hosts: Option<Vec<String>>,
    /// Drop these hosts, also when they are among those to keep.
    pub exclude_hosts: Option<Vec<String>>,
    /// Keep only hosts in these parents.
    pub filter_host_parents: Option<Vec<String>>,
    /// Drop hosts in these parents, also when they are among those to keep.
    pub exclude_host_parents: Option<Vec<String>>,
    /// How the patterns are meant; `None`: whichever way matches.
    pub kind: Option<Kind>,
    /// Match hosts by name, too, not only by id.
    pub match_names: bool,
}

impl Rules {
    /// The patterns of a list.
    pub fn list(&mut self, list: List) -> &mut Option<Vec<String>> {
        match list {
            List::FilterHosts => &mut self.filter_hosts,
            List::ExcludeHosts => &mut self.exclude_hosts,
            List::FilterHostParents => &mut self.filter_host_parents,
            List::ExcludeHostParents => &mut self.exclude_host_parents,
        }
    }
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host<'a> {
    /// The hypervisor's id.
    pub id: &'a str,
    /// Its name.
    pub name: Option<&'a str>,
    /// The managed object id of what it stands in.
    pub parent_id: Option<&'a str>,
    /// The name of what it stands in, as the cluster's.
    pub parent_name: Option<&'a str>,
}

/// Keeps or drops hosts.
///
/// ```
/// use vw::filter::{Host, HostFilter, Rules};
///
/// let filter = HostFilter::new(Rules {
///     exclude_hosts: Some(vec!["test*".into()]),
///     ..Rules::default()
/// })?;
/// let dropped = filter.dropped(&Host { id: "TEST1", ..Host::default() })?;
/// assert_eq!(dropped.unwrap().to_string(), "exclude_hosts has \"test*\"");
/// assert!(filter.dropped(&Host { id: "prod1", ..Host::default() })?.is_none());
/// # Ok::<(), vw::filter::Error>(())
/// ```
#[derive(Debug)]
pub struct HostFilter {
    keep: Option<Vec<Pattern>>,
    exclude: Vec<Pattern>,
    keep_parents: Option<Vec<Parent>>,
    exclude_parents: Vec<Parent>,
    match_names: bool,
}

/// The rule that dropped a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'f> {
    /// The pattern of a list of what to drop.
    Excluded(List, &'f str),
    /// No pattern of a list of what to keep matches.
    NotKept(List),
}

/// A list of patterns, shown by its key in virt-who's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// `filter_hosts`
    FilterHosts,
    /// `exclude_hosts`
    ExcludeHosts,
    /// `filter_host_parents`
    FilterHostParents,
    /// `exclude_host_parents`
    ExcludeHostParents,
}

impl List {
    /// All of them.
    pub const ALL: [List; 4] = [
        List::FilterHosts,
        List::ExcludeHosts,
        List::FilterHostParents,
        List::ExcludeHostParents,
    ];

    /// Its key in virt-who's configuration.
    pub fn key(self) -> &'static str {
        match self {
            List::FilterHosts => "filter_hosts",
            List::ExcludeHosts => "exclude_hosts",
            List::FilterHostParents => "filter_host_parents",
            List::ExcludeHostParents => "exclude_host_parents",
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Excluded(list, pattern) => write!(f, "{list} has \"{pattern}\""),
            Rule::NotKept(list) => write!(f, "nothing in {list} matches"),
        }
    }
}

impl HostFilter {
    /// Understands the rules; an empty list or pattern, and what is meant as a regular expression and is none, are errors.
    pub fn new(rules: Rules) -> Result<Self, Error> {
        let kind = rules.kind;
        let hosts = |list, patterns| compile(list, patterns, |text| Pattern::new(list, text, kind));
        let parents = |list, patterns| compile(list, patterns, |text| Parent::new(list, text, kind));
        Ok(HostFilter {
            keep: hosts(List::FilterHosts, rules.filter_hosts)?,
            exclude: hosts(List::ExcludeHosts, rules.exclude_hosts)?.unwrap_or_default(),
            keep_parents: parents(List::FilterHostParents, rules.filter_host_parents)?,
            exclude_parents: parents(List::ExcludeHostParents, rules.exclude_host_parents)?
                .unwrap_or_default(),
            match_names: rules.match_names,
        })
    }

    /// Whether parents matter: then a document whose hosts have none can't be filtered.
    pub fn needs_parents(&self) -> bool {
        self.keep_parents.is_some() || !self.exclude_parents.is_empty()
    }

    /// The patterns for parents that look like one id and are part of this one, as `domain-c7` is of `domain-c71`.
    pub fn plain_parents(&self, parent_id: &str) -> impl Iterator<Item = (List, &str)> {
        let all = self
            .exclude_parents
            .iter()
            .chain(self.keep_parents.iter().flatten());
        all.filter(move |pattern| pattern.is_plain_part_of(parent_id))
            .map(|pattern| (pattern.list(), pattern.text()))
    }

    /// The rule that drops the host; `None`: it is kept.
    ///
    /// What is to be dropped goes first, then what is to be kept. A host without a parent is in none of the parents.
    pub fn dropped(&self, host: &Host<'_>) -> Result<Option<Rule<'_>>, Error> {
        let name = host.name.filter(|_| self.match_names);
        let of_host = |pattern: &Pattern| Ok(pattern.matches(host.id)? || matches(pattern, name)?);
        let of_parent = |pattern: &Parent| pattern.matches(host.parent_id, host.parent_name);
        if let Some(found) = first(&self.exclude, of_host)? {
            return Ok(Some(Rule::Excluded(List::ExcludeHosts, found.text())));
        }
        if let Some(found) = first(&self.exclude_parents, of_parent)? {
            return Ok(Some(Rule::Excluded(List::ExcludeHostParents, found.text())));
        }
        if let Some(keep) = &self.keep
            && first(keep, of_host)?.is_none()
        {
            return Ok(Some(Rule::NotKept(List::FilterHosts)));
        }
        if let Some(keep) = &self.keep_parents
            && first(keep, of_parent)?.is_none()
        {
            return Ok(Some(Rule::NotKept(List::FilterHostParents)));
        }
        Ok(None)
    }
}

fn compile<T>(
    list: List,
    patterns: Option<Vec<String>>,
    new: impl Fn(String) -> Result<T, Error>,
) -> Result<Option<Vec<T>>, Error> {
    match patterns {
        None => Ok(None),
        Some(patterns) if patterns.is_empty() => Err(Error::EmptyList(list)),
        Some(patterns) => patterns.into_iter().map(new).collect::<Result<_, _>>().map(Some),
    }
}

/// The first pattern for which `matches` holds.
fn first<T>(patterns: &[T], matches: impl Fn(&T) -> Result<bool, Error>) -> Result<Option<&T>, Error> {
    for pattern in patterns {
        if matches(pattern)? {
            return Ok(Some(pattern));
        }
    }
    Ok(None)
}

fn matches(pattern: &Pattern, text: Option<&str>) -> Result<bool, Error> {
    text.map_or(Ok(false), |text| pattern.matches(text))
}

#[cfg(test)]
mod tests;
