//! Filters the hypervisors of documents: in vw-filter by options or a section, in a reporter by its section.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use crate::cli::words::{Warnings, counted, first_ten};
use crate::cli::{self, Failure, args};
use crate::config;
use crate::error::Kind;
use crate::filter::{self, Candidate, HostFilter, List, Rule, Rules, Unmatched};
use crate::mapping::{Concerns, Fault, LeftOut, Mapping, Parent, Tail};

/// A filter with the origin of its lists.
#[derive(Debug)]
pub(super) struct Filtering {
    filter: HostFilter,
    /// The section in use, and the lists that come from it.
    configured: Option<(config::Section, Vec<List>)>,
    /// The name of the section, if no option replaces any of its lists.
    section: Option<String>,
    /// The patterns that match nothing. In a stream there is one warning for each.
    warned: RefCell<HashSet<(List, String)>>,
}

/// The state of filtering one document.
#[derive(Debug)]
pub(super) struct Sieve<'f> {
    filtering: &'f Filtering,
    used: filter::Used,
    hosts: usize,
    with_parent: usize,
    ambiguities: Ambiguities<'f>,
    dropped: Vec<LeftOut>,
}

impl Filtering {
    /// The filter of the options, and of the section for the lists without an option.
    ///
    /// An invalid pattern in an option is an error of usage; in a section it is an error of configuration.
    pub(super) fn new(options: &args::Hosts, section: Option<&config::Section>) -> cli::Result<Self> {
        let mut rules = options.rules();
        let mut filtering = Filtering {
            filter: HostFilter::new(rules.clone())?,
            configured: None,
            section: None,
            warned: RefCell::default(),
        };
        let Some(section) = section else {
            log_rules(&mut rules);
            return Ok(filtering);
        };
        let syntax = args::filter_type_of(section)?;
        let mut replaced = rules.syntax.is_some() && rules.syntax != syntax;
        if rules.syntax.is_none() {
            rules.syntax = syntax;
            // The patterns of options may be invalid in the section's syntax.
            HostFilter::new(rules.clone())?;
        }
        let mut configured = Vec::new();
        for list in List::ALL {
            let own = rules.list(list);
            if own.is_some() {
                replaced |= section.has(list.key());
                continue;
            }
            *own = section.list(list.key())?;
            configured.push(list);
        }
        log_rules(&mut rules);
        filtering.configured = Some((section.clone(), configured));
        filtering.filter = HostFilter::new(rules).map_err(|error| filtering.failed(error))?;
        match (section.name(), replaced) {
            (Some(name), false) => filtering.section = Some(name.to_owned()),
            (Some(name), true) => {
                log::debug!(
                    "options replace lists of [{name}], so the output is not marked as filtered by it"
                );
            }
            (None, _) => {}
        }
        Ok(filtering)
    }

    /// The filter of a section, or `None` if the section has no name.
    pub(super) fn of_section(section: &config::Section) -> cli::Result<Option<Self>> {
        match section.name() {
            Some(_) => Filtering::new(&args::Hosts::default(), Some(section)).map(Some),
            None => Ok(None),
        }
    }

    /// The filter for hosts.
    pub(super) fn hosts(&self) -> &HostFilter {
        &self.filter
    }

    /// Begins with a document.
    pub(super) fn document(&self) -> Sieve<'_> {
        Sieve {
            filtering: self,
            used: self.filter.unused(),
            hosts: 0,
            with_parent: 0,
            ambiguities: Ambiguities::default(),
            dropped: Vec::new(),
        }
    }

    /// Marks a document as filtered by the section, unless options replace some of its lists.
    pub(super) fn mark(&self, tail: &mut Tail) {
        if let Some(section) = &self.section {
            tail.source.get_or_insert_default().filtered = Some(section.clone());
        }
    }

    /// The error about a pattern, with the place of the pattern.
    fn failed(&self, error: filter::Error) -> cli::Error {
        match &self.configured {
            Some((section, lists)) if lists.contains(&error.list()) => {
                let key = error.list().key();
                let reason = format!("{:#}", cli::Error::from(error));
                section
                    .wrong(key, reason.strip_prefix(key).unwrap_or(&reason).trim_start())
                    .into()
            }
            _ => error.into(),
        }
    }

    /// The section of a list.
    fn section_of(&self, list: List) -> Option<&str> {
        let (section, lists) = self.configured.as_ref()?;
        section.name().filter(|_| lists.contains(&list))
    }

    /// Whether this list has already been applied to the document, so that its patterns can't match any more.
    fn is_applied(&self, list: List, tail: &Tail) -> bool {
        let filtered = tail.source.as_ref().and_then(|source| source.filtered.as_deref());
        filtered.is_some() && filtered == self.section_of(list)
    }

    fn warn_of_unmatched(&self, used: &filter::Used, tail: &Tail) {
        let mut warnings = Warnings::default();
        let mut warned = self.warned.borrow_mut();
        // An earlier stage may have applied the same pattern.
        let reasons: HashSet<&str> = tail
            .omitted
            .iter()
            .map(|omitted| &*omitted.left_out.reason)
            .collect();
        for Unmatched {
            list,
            pattern,
            is_name,
        } in self.filter.unmatched(used)
        {
            if self.is_applied(list, tail)
                || reasons.contains(&*Rule::Excluded(list, pattern).to_string())
                || !warned.insert((list, pattern.to_owned()))
            {
                continue;
            }
            let what = match list {
                List::FilterHosts | List::ExcludeHosts => "no hypervisor",
                List::FilterHostParents | List::ExcludeHostParents => "no parent of a hypervisor",
            };
            let advice = match is_name {
                true => "; it matches a name, but only ids are compared (see vw-filter --match-names)",
                false if pattern.contains(char::is_whitespace) => "; is a comma missing?",
                false => "",
            };
            let place = self
                .section_of(list)
                .map(|name| format!("[{name}] "))
                .unwrap_or_default();
            warnings.say(format!(
                "{place}{list} has \"{pattern}\", which matches {what}{advice}"
            ));
        }
        warnings.end();
    }
}

/// Logs the lists that are used.
fn log_rules(rules: &mut Rules) {
    let lists = List::ALL.into_iter().filter_map(|list| {
        let patterns = rules.list(list).as_ref()?.join(", ");
        Some(format!("{list}: {patterns}"))
    });
    let lists: Vec<String> = lists.collect();
    let meant = match rules.syntax {
        Some(filter::Syntax::Wildcards) => "wildcards",
        Some(filter::Syntax::Regex) => "regular expressions",
        None => "wildcards or regular expressions",
    };
    match &lists[..] {
        [] => log::debug!("no filter is set"),
        lists => log::debug!("filters ({meant}): {}", lists.join("; ")),
    }
}

impl Sieve<'_> {
    /// Whether a hypervisor is kept. Records it if it is dropped.
    pub(super) fn keeps(
        &mut self,
        id: &str,
        name: Option<&str>,
        parent: Option<&Parent>,
    ) -> cli::Result<bool> {
        let filter = &self.filtering.filter;
        self.hosts += 1;
        self.with_parent += usize::from(parent.is_some());
        let host = Candidate {
            id,
            name,
            parent_id: parent.and_then(|parent| parent.id.as_deref()),
            parent_name: parent.and_then(|parent| parent.name.as_deref()),
        };
        if let Some(id) = host.parent_id {
            self.ambiguities.note(filter, id);
        }
        let dropped = filter.dropped(&host, &mut self.used);
        let Some(rule) = dropped.map_err(|error| self.filtering.failed(error))? else {
            return Ok(true);
        };
        log::debug!("hypervisor {} is left out: {rule}", name.unwrap_or(id));
        self.dropped.push(LeftOut {
            kind: LeftOut::HOST.into(),
            id: Some(id.to_owned()),
            name: name.map(str::to_owned),
            reason: rule.to_string(),
        });
        Ok(false)
    }

    /// Warns of patterns that match nothing, and returns what was dropped.
    ///
    /// Fails with `advice` if there are lists of parents, but no hypervisor of the document has a parent.
    pub(super) fn finish(mut self, tail: &Tail, advice: &str) -> cli::Result<Dropped> {
        let Filtering { filter, .. } = self.filtering;
        let of_parents = [List::FilterHostParents, List::ExcludeHostParents];
        let to_apply = |list| filter.has(list) && !self.filtering.is_applied(list, tail);
        if self.hosts > 0
            && self.with_parent == 0
            && let Some(list) = of_parents.into_iter().find(|list| to_apply(*list))
        {
            let place = self.filtering.section_of(list);
            let place = place.map(|name| format!("[{name}] ")).unwrap_or_default();
            let problem = format!(
                "{place}{list} is set, but no hypervisor of the document has a \"parent\" (in check-in layout none has); {advice}"
            );
            return Err(Failure::new(Kind::Data, problem).into());
        }
        for absent in tail.omitted.iter().filter(|absent| absent.is_host()) {
            let absent = &absent.left_out;
            filter.note_absent(absent.id.as_deref(), absent.name.as_deref(), &mut self.used);
        }
        if self.hosts > 0 {
            self.filtering.warn_of_unmatched(&self.used, tail);
        }
        Ok(Dropped {
            left_out: self.dropped,
            of: self.hosts,
        })
    }
}

/// The hypervisors of a document that a filter has dropped.
#[derive(Debug)]
pub(super) struct Dropped {
    /// Those that were dropped.
    pub left_out: Vec<LeftOut>,
    /// The number of hypervisors before filtering.
    of: usize,
}

impl Dropped {
    /// Logs the number of dropped hypervisors and the first names. `who` has dropped them.
    pub(super) fn log(&self, who: &str) {
        let names = self.left_out.iter().map(|one| {
            let known = one.name.as_ref().or(one.id.as_ref());
            known.map_or("", String::as_str)
        });
        if names.len() > 0 {
            let (count, all) = (names.len(), counted(self.of, "hypervisor"));
            log::info!("{who} left out {count} of {all}: {}", first_ten(names));
        }
    }
}

/// Prepares a document for reporting by `stage`. Moves the hypervisors that the section's lists drop to `omitted`, unless that is
/// already done, and removes repeated guests, with warnings.
pub(super) fn prepare(
    mapping: &mut Mapping,
    filtering: Option<&Filtering>,
    stage: &'static str,
) -> cli::Result<()> {
    if let Some(filtering) = filtering {
        filter(mapping, filtering, stage)?;
    }
    let mut warnings = Warnings::default();
    mapping.keep_one_of_each_guest(|copies| warnings.say(copies));
    warnings.end();
    Ok(())
}

/// Moves the hypervisors that the section's lists drop to `omitted`, unless the document is marked as filtered by the section.
fn filter(mapping: &mut Mapping, filtering: &Filtering, stage: &'static str) -> cli::Result<()> {
    let source = mapping.tail.source.as_ref();
    let filtered = source.and_then(|source| source.filtered.as_ref());
    let section = filtering.section.as_ref();
    let Some(section) = section.filter(|section| filtered != Some(section)) else {
        return Ok(());
    };
    let mut sieve = filtering.document();
    let mut kept = Vec::with_capacity(mapping.hypervisors.len());
    for hypervisor in &mapping.hypervisors {
        let (name, parent) = (hypervisor.name.as_deref(), hypervisor.parent.as_ref());
        kept.push(match &hypervisor.id {
            Some(id) => sieve.keeps(id, name, parent)?,
            None => true,
        });
    }
    let advice = format!(
        "filter before parents are lost (vw-scan-... | vw-filter -n {section}, without --layout checkin), or use --no-filter to \
         report all of it"
    );
    let dropped = sieve.finish(&mapping.tail, &advice)?;
    dropped.log(&format!("the filters of [{section}]"));
    let mut kept = kept.into_iter();
    let mut gone = HashSet::new();
    mapping.hypervisors.retain(|hypervisor| {
        let kept = kept.next().unwrap_or(true);
        gone.extend(hypervisor.id.clone().filter(|_| !kept));
        kept
    });
    let unusable = drop_faults(mapping, &filtering.filter, gone);
    let left_out = dropped.left_out.into_iter().chain(unusable);
    mapping.tail.omitted.extend(left_out.map(|one| one.by(stage)));
    filtering.mark(&mut mapping.tail);
    Ok(())
}

/// Removes the faults of the hypervisors that are `gone`, and returns the unusable hypervisors that the filter drops by their id.
fn drop_faults(mapping: &mut Mapping, filter: &HostFilter, mut gone: HashSet<String>) -> Vec<LeftOut> {
    // Another hypervisor with the same id may have been kept.
    for hypervisor in &mapping.hypervisors {
        if let Some(id) = &hypervisor.id {
            gone.remove(id);
        }
    }
    let is_dropped = |id: &String| filter.drops_id(id);
    let unusable = mapping.faults.extract_if(.., |fault| {
        fault.about == Concerns::Host && fault.host.as_ref().is_some_and(is_dropped)
    });
    let unusable = unusable.map(LeftOut::from).collect();
    let matters = |fault: &Fault| fault.host.as_ref().is_none_or(|id| !gone.contains(id));
    mapping.faults.retain(matters);
    mapping.flaws.retain(matters);
    unusable
}

/// Fails if a document lists no hypervisor, and says why there may be none.
///
/// This machine itself does not count. A hypervisor that can't be reported does, because it has an error of its own.
pub(super) fn require_hypervisors(mapping: &Mapping, stage: &str) -> Result<(), Failure> {
    if mapping.has_hypervisors() {
        return Ok(());
    }
    let hosts = mapping.tail.omitted.iter().filter(|omitted| omitted.is_host());
    let Some(last) = hosts.clone().next_back() else {
        let problem = match mapping.has_local() {
            true => "the document has no hypervisors, only this machine's own guests",
            false => {
                "the document has no hypervisors; check that the scan's account may see hosts and that no filter drops all \
                 of them; if it is meant to be empty, use --allow-empty"
            }
        };
        return Err(Failure::new(Kind::Data, problem));
    };
    // The last stage that left out hosts left out all that remained.
    let count = counted(
        hosts.filter(|omitted| omitted.stage == last.stage).count(),
        "hypervisor",
    );
    let section = mapping
        .tail
        .source
        .as_ref()
        .and_then(|source| source.filtered.as_ref());
    let who = match section.filter(|_| last.stage == stage) {
        Some(section) => format!("the filters of [{section}]"),
        None => last.stage.to_string(),
    };
    let problem = format!(
        "no hypervisor is left: {who} left out {count} ({}); if that is right, use --allow-empty",
        last.left_out.reason
    );
    Err(Failure::new(Kind::Data, problem))
}

/// Patterns that look like the id of one parent, but match several.
#[derive(Debug, Default)]
struct Ambiguities<'f> {
    /// The first parent that each pattern matches, or `None` after the warning.
    parents: HashMap<&'f str, Option<String>>,
}

impl<'f> Ambiguities<'f> {
    /// Warns once if a pattern matches several parents: as in virt-who, it is searched anywhere in an id.
    fn note(&mut self, filter: &'f HostFilter, id: &str) {
        for (list, pattern) in filter.plain_parents(id) {
            let first = self.parents.entry(pattern).or_insert_with(|| Some(id.to_owned()));
            if let Some(other) = first.take_if(|first| first != id) {
                log::warn!(
                    "{list} has \"{pattern}\", which matches both {other} and {id}; write {pattern}$ to match the end of the id"
                );
            }
        }
    }
}
