//! Selects hypervisors by virt-who's `filter_hosts`, `exclude_hosts` and similar lists.

mod pattern;

use std::fmt;

pub use self::pattern::{Error, Syntax};
use self::pattern::{ParentPattern, Pattern};

/// The lists of a user. A list that is not given is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Keep only these hosts.
    pub filter_hosts: Option<Vec<String>>,
    /// Drop these hosts, even if another list keeps them.
    pub exclude_hosts: Option<Vec<String>>,
    /// Keep only hosts in these parents.
    pub filter_host_parents: Option<Vec<String>>,
    /// Drop hosts in these parents, even if another list keeps them.
    pub exclude_host_parents: Option<Vec<String>>,
    /// The syntax of the patterns. `None` means that a pattern may match in either syntax.
    pub syntax: Option<Syntax>,
    /// Match host names as well as ids.
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

/// The properties of a host that decide whether it is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidate<'a> {
    /// The hypervisor's id.
    pub id: &'a str,
    /// Its name.
    pub name: Option<&'a str>,
    /// The managed object id of its parent.
    pub parent_id: Option<&'a str>,
    /// The name of its parent, for example of the cluster.
    pub parent_name: Option<&'a str>,
}

/// Keeps or drops hosts.
///
/// ```
/// use vw::filter::{Candidate, HostFilter, Rules};
///
/// let filter = HostFilter::new(Rules {
///     exclude_hosts: Some(vec!["test*".into(), "tset2".into()]),
///     ..Rules::default()
/// })?;
/// let mut used = filter.unused();
/// let dropped = filter.dropped(&Candidate { id: "TEST1", ..Candidate::default() }, &mut used)?;
/// assert_eq!(dropped.unwrap().to_string(), "exclude_hosts has \"test*\"");
/// assert!(filter.dropped(&Candidate { id: "prod1", ..Candidate::default() }, &mut used)?.is_none());
/// assert_eq!(filter.unmatched(&used)[0].pattern, "tset2");
/// # Ok::<(), vw::filter::Error>(())
/// ```
#[derive(Debug)]
pub struct HostFilter {
    keep: Option<Vec<Pattern>>,
    exclude: Vec<Pattern>,
    keep_parents: Option<Vec<ParentPattern>>,
    exclude_parents: Vec<ParentPattern>,
    match_names: bool,
}

/// Which patterns of a filter have matched, in the order of each list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used([Vec<Use>; List::ALL.len()]);

/// What a pattern has matched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Use {
    /// Whether it has matched a host or a parent.
    matched: bool,
    /// Whether it would have matched the name of a host, but only ids count.
    name: bool,
}

/// A pattern that has matched nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unmatched<'f> {
    /// The list of the pattern.
    pub list: List,
    /// The pattern.
    pub pattern: &'f str,
    /// Whether it matches the name of a host, but only ids count.
    pub is_name: bool,
}

/// The rule that dropped a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule<'f> {
    /// A pattern of an exclude list matches.
    Excluded(List, &'f str),
    /// No pattern of a filter list matches.
    NotKept(List),
}

/// A list of patterns, displayed as its key in virt-who's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// All lists.
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
    /// Creates a filter. Fails if a list or pattern is empty, or if a pattern must be a regular expression and is invalid.
    pub fn new(rules: Rules) -> Result<Self, Error> {
        let syntax = rules.syntax;
        let hosts = |list, patterns| compile(list, patterns, |text| Pattern::new(list, text, syntax));
        let parents = |list, patterns| compile(list, patterns, |text| ParentPattern::new(list, text, syntax));
        Ok(HostFilter {
            keep: hosts(List::FilterHosts, rules.filter_hosts)?,
            exclude: hosts(List::ExcludeHosts, rules.exclude_hosts)?.unwrap_or_default(),
            keep_parents: parents(List::FilterHostParents, rules.filter_host_parents)?,
            exclude_parents: parents(List::ExcludeHostParents, rules.exclude_host_parents)?
                .unwrap_or_default(),
            match_names: rules.match_names,
        })
    }

    /// Whether this list has patterns.
    pub fn has(&self, list: List) -> bool {
        !self.patterns(list).is_empty()
    }

    /// The patterns for parents that look like an id and are part of this id, such as `domain-c7` of `domain-c71`.
    pub fn plain_parents(&self, parent_id: &str) -> impl Iterator<Item = (List, &str)> {
        let all = self
            .exclude_parents
            .iter()
            .chain(self.keep_parents.iter().flatten());
        all.filter(move |pattern| pattern.is_plain_part_of(parent_id))
            .map(|pattern| (pattern.list(), pattern.text()))
    }

    /// The state in which no pattern has matched yet.
    pub fn unused(&self) -> Used {
        Used(List::ALL.map(|list| vec![Use::default(); self.patterns(list).len()]))
    }

    fn patterns(&self, list: List) -> Vec<&str> {
        match list {
            List::FilterHosts => self.keep.iter().flatten().map(Pattern::text).collect(),
            List::ExcludeHosts => self.exclude.iter().map(Pattern::text).collect(),
            List::FilterHostParents => self
                .keep_parents
                .iter()
                .flatten()
                .map(ParentPattern::text)
                .collect(),
            List::ExcludeHostParents => self.exclude_parents.iter().map(ParentPattern::text).collect(),
        }
    }

    /// Returns the rule that drops the host, or `None` if it is kept. Records in `used` which patterns match it.
    ///
    /// Exclude lists come before filter lists. A host without a parent matches no pattern for parents.
    pub fn dropped(&self, host: &Candidate<'_>, used: &mut Used) -> Result<Option<Rule<'_>>, Error> {
        let of_host = |pattern: &Pattern, used: &mut Use| {
            let mut matched = pattern.matches(host.id)?;
            if !matched && self.match_names {
                matched = matches(pattern, host.name)?;
            } else if !matched && !used.matched && !used.name {
                used.name = matches(pattern, host.name).unwrap_or(false);
            }
            Ok(matched)
        };
        let of_parent =
            |pattern: &ParentPattern, _: &mut Use| pattern.matches(host.parent_id, host.parent_name);
        let Used([keep_used, exclude_used, keep_parents_used, exclude_parents_used]) = used;
        let mut rule = None;
        if let Some(found) = first(&self.exclude, exclude_used, false, of_host)? {
            rule = Some(Rule::Excluded(List::ExcludeHosts, found.text()));
        }
        if let Some(found) = first(
            &self.exclude_parents,
            exclude_parents_used,
            rule.is_some(),
            of_parent,
        )? {
            rule = rule.or(Some(Rule::Excluded(List::ExcludeHostParents, found.text())));
        }
        if let Some(keep) = &self.keep
            && first(keep, keep_used, rule.is_some(), of_host)?.is_none()
        {
            rule = rule.or(Some(Rule::NotKept(List::FilterHosts)));
        }
        if let Some(keep) = &self.keep_parents
            && first(keep, keep_parents_used, rule.is_some(), of_parent)?.is_none()
        {
            rule = rule.or(Some(Rule::NotKept(List::FilterHostParents)));
        }
        Ok(rule)
    }

    /// Whether the lists of hosts drop a host of which only the id is known. A pattern that is too slow counts as dropping it.
    pub fn drops_id(&self, id: &str) -> bool {
        let matches_id = |pattern: &Pattern| pattern.matches(id).unwrap_or(true);
        self.exclude.iter().any(matches_id)
            || self.keep.as_ref().is_some_and(|keep| {
                let kept = |pattern: &Pattern| pattern.matches(id).unwrap_or(false);
                !self.match_names && !keep.iter().any(kept)
            })
    }

    /// Records which patterns match the id or name of a host that an earlier stage left out.
    pub fn note_absent(&self, id: Option<&str>, name: Option<&str>, used: &mut Used) {
        let Used([keep_used, exclude_used, ..]) = used;
        let keep = self.keep.iter().flatten().zip(keep_used);
        for (pattern, used) in keep.chain(self.exclude.iter().zip(exclude_used)) {
            let is_it = |text| matches(pattern, text).unwrap_or(false);
            used.matched = used.matched || is_it(id) || is_it(name);
        }
    }

    /// The patterns that have matched nothing.
    pub fn unmatched(&self, used: &Used) -> Vec<Unmatched<'_>> {
        let mut unmatched = Vec::new();
        for (list, used) in List::ALL.into_iter().zip(&used.0) {
            let patterns = self.patterns(list).into_iter().zip(used);
            unmatched.extend(
                patterns
                    .filter(|(_, used)| !used.matched)
                    .map(|(pattern, used)| Unmatched {
                        list,
                        pattern,
                        is_name: used.name,
                    }),
            );
        }
        unmatched
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

/// Returns the first pattern for which `matches` is true.
///
/// Once a pattern is found, or if the host is `decided` already, only patterns that have never matched are tried, and errors
/// are ignored.
fn first<'p, T>(
    patterns: &'p [T],
    used: &mut [Use],
    decided: bool,
    matches: impl Fn(&T, &mut Use) -> Result<bool, Error>,
) -> Result<Option<&'p T>, Error> {
    let mut found = None;
    for (pattern, used) in patterns.iter().zip(used) {
        if used.matched && (decided || found.is_some()) {
            continue;
        }
        match matches(pattern, used) {
            Ok(true) => {
                used.matched = true;
                found = found.or(Some(pattern));
            }
            Err(error) if !decided && found.is_none() => return Err(error),
            Ok(false) | Err(_) => {}
        }
    }
    Ok(found)
}

fn matches(pattern: &Pattern, text: Option<&str>) -> Result<bool, Error> {
    text.map_or(Ok(false), |text| pattern.matches(text))
}

#[cfg(test)]
mod tests;
