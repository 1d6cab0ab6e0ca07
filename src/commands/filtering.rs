//! Which hypervisors of a document go on: by the lists of vw-filter(1), and by those of the section that a reporter is given.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use crate::cli::words::{Warnings, counted, first_ten};
use crate::cli::{self, Failure, args};
use crate::config;
use crate::error::Kind;
use crate::filter::{self, Host, HostFilter, List, Rule, Rules, Unmatched};
use crate::mapping::{Concerns, Fault, LeftOut, Mapping, Parent, Tail};

/// A filter, and what has been said of it.
#[derive(Debug)]
pub(super) struct Filtering {
    filter: HostFilter,
    /// The section that is used, and those of the lists that are its own.
    configured: Option<(config::Section, Vec<List>)>,
    /// The section, if the filter has all its lists.
    section: Option<String>,
    /// The patterns that are known to match nothing: in a stream each is told once.
    told: RefCell<HashSet<(List, String)>>,
}

/// A document on its way through a filter.
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
    /// What options say, and a section for what no option does.
    ///
    /// A pattern that makes no sense is a wrong option here and wrong configuration there.
    pub(super) fn new(options: &args::Hosts, section: Option<&config::Section>) -> cli::Result<Self> {
        let mut rules = options.rules();
        let mut filtering = Filtering {
            filter: HostFilter::new(rules.clone())?,
            configured: None,
            section: None,
            told: RefCell::default(),
        };
        let Some(section) = section else {
            tell(&mut rules);
            return Ok(filtering);
        };
        let kind = args::filter_type_of(section)?;
        let mut replaced = rules.kind.is_some() && rules.kind != kind;
        if rules.kind.is_none() {
            rules.kind = kind;
            // The options' patterns may make no sense as what the section says that patterns are.
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
        tell(&mut rules);
        filtering.configured = Some((section.clone(), configured));
        filtering.filter = HostFilter::new(rules).map_err(|error| filtering.failed(error))?;
        match (section.name(), replaced) {
            (Some(name), false) => filtering.section = Some(name.to_owned()),
            (Some(name), true) => {
                log::debug!("options replace what [{name}] says: the output is not marked as filtered by it");
            }
            (None, _) => {}
        }
        Ok(filtering)
    }

    /// What a section says; one without a name says nothing.
    pub(super) fn of_section(section: &config::Section) -> cli::Result<Option<Self>> {
        match section.name() {
            Some(_) => Filtering::new(&args::Hosts::default(), Some(section)).map(Some),
            None => Ok(None),
        }
    }

    /// The filter itself.
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

    /// Marks a document as filtered by the section, unless some of its lists were replaced.
    pub(super) fn mark(&self, tail: &mut Tail) {
        if let Some(section) = &self.section {
            tail.source.get_or_insert_default().filtered = Some(section.clone());
        }
    }

    /// An error about a pattern, with the place where the pattern was written.
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

    /// The section that a list is taken from.
    fn section_of(&self, list: List) -> Option<&str> {
        let (section, lists) = self.configured.as_ref()?;
        section.name().filter(|_| lists.contains(&list))
    }

    /// Whether this list has been applied to the document before: then what it is about is not there any more.
    fn is_applied(&self, list: List, tail: &Tail) -> bool {
        let filtered = tail.source.as_ref().and_then(|source| source.filtered.as_deref());
        filtered.is_some() && filtered == self.section_of(list)
    }

    fn warn_of_unmatched(&self, used: &filter::Used, tail: &Tail) {
        let mut warnings = Warnings::default();
        let mut told = self.told.borrow_mut();
        // A stage before may have had the same pattern.
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
                || !told.insert((list, pattern.to_owned()))
            {
                continue;
            }
            let what = match list {
                List::FilterHosts | List::ExcludeHosts => "no hypervisor",
                List::FilterHostParents | List::ExcludeHostParents => "no parent of a hypervisor",
            };
            let advice = match is_name {
                true => "; it is the name of one, and ids are compared (see vw-filter --match-names)",
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

/// Says what is in force.
fn tell(rules: &mut Rules) {
    let lists = List::ALL.into_iter().filter_map(|list| {
        let patterns = rules.list(list).as_ref()?.join(", ");
        Some(format!("{list}: {patterns}"))
    });
    let lists: Vec<String> = lists.collect();
    let meant = match rules.kind {
        Some(filter::Kind::Wildcards) => "wildcards",
        Some(filter::Kind::Regex) => "regular expressions",
        None => "wildcards or regular expressions",
    };
    match &lists[..] {
        [] => log::debug!("no filter is set"),
        lists => log::debug!("filters ({meant}): {}", lists.join("; ")),
    }
}

impl Sieve<'_> {
    /// Whether a hypervisor is kept. One that is not is put down as omitted.
    pub(super) fn keeps(
        &mut self,
        id: &str,
        name: Option<&str>,
        parent: Option<&Parent>,
    ) -> cli::Result<bool> {
        let filter = &self.filtering.filter;
        self.hosts += 1;
        self.with_parent += usize::from(parent.is_some());
        let host = Host {
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

    /// Says what is odd about the lists once all of a document is known, and returns what was dropped.
    ///
    /// `advice` is what to do about a document without any parent, where lists of parents are to be applied.
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
                "{place}{list} is set, but no hypervisor of the document has a \"parent\", as in check-in layout; {advice}"
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

/// What a filter has dropped of a document.
#[derive(Debug)]
pub(super) struct Dropped {
    /// Those that were dropped.
    pub left_out: Vec<LeftOut>,
    /// How many there were before.
    of: usize,
}

impl Dropped {
    /// Says how many there are and names the first; `who` leaves them out.
    pub(super) fn tell(&self, who: &str) {
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

/// Makes a document ready to be reported by `stage`: moves the hypervisors that the section's lists drop to `omitted`, unless that
/// has been done, and keeps one of each guest; says so.
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

fn filter(mapping: &mut Mapping, filtering: &Filtering, stage: &'static str) -> cli::Result<()> {
    let filtered = mapping
        .tail
        .source
        .as_ref()
        .and_then(|source| source.filtered.as_ref());
    let Some(section) = filtering
        .section
        .as_ref()
        .filter(|section| filtered != Some(section))
    else {
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
    dropped.tell(&format!("the filters of [{section}]"));
    let mut kept = kept.into_iter();
    let mut gone = HashSet::new();
    mapping.hypervisors.retain(|hypervisor| {
        let kept = kept.next().unwrap_or(true);
        gone.extend(hypervisor.id.clone().filter(|_| !kept));
        kept
    });
    // What is wrong with a hypervisor that is not reported, or with its guests, concerns nobody.
    for hypervisor in &mapping.hypervisors {
        hypervisor.id.as_ref().map(|id| gone.remove(id));
    }
    let unusable = mapping.faults.extract_if(.., |fault| {
        fault.about == Concerns::Host
            && fault
                .host
                .as_ref()
                .is_some_and(|id| filtering.filter.drops_id(id))
    });
    let left_out = dropped.left_out.into_iter().chain(unusable.map(LeftOut::from));
    mapping.tail.omitted.extend(left_out.map(|one| one.by(stage)));
    let concerns = |fault: &Fault| fault.host.as_ref().is_none_or(|id| !gone.contains(id));
    mapping.faults.retain(concerns);
    mapping.flaws.retain(concerns);
    filtering.mark(&mut mapping.tail);
    Ok(())
}

/// Why a document has nothing to report.
pub(super) fn nothing_to_report(mapping: &Mapping, stage: &str) -> Failure {
    let hosts = mapping.tail.omitted.iter().filter(|omitted| omitted.is_host());
    let problem = match hosts.clone().next_back() {
        // The stage that left out the last of them.
        Some(last) => {
            let count = counted(hosts.filter(|omitted| omitted.stage == last.stage).count(), "hypervisor");
            let section = mapping.tail.source.as_ref().and_then(|source| source.filtered.as_ref());
            let who = match section.filter(|_| last.stage == stage) {
                Some(section) => format!("the filters of [{section}]"),
                None => last.stage.to_string(),
            };
            format!(
                "no hypervisor is left: {who} left out {count} ({}); if that is right, use --allow-empty",
                last.left_out.reason
            )
        }
        None => "the document has no hypervisor; check that the scan's account may see hosts and that no filter drops all \
                 of them; if it is meant to be empty, use --allow-empty"
            .to_owned(),
    };
    Failure::new(Kind::Data, problem)
}

/// Parents that one pattern has, though it looks like the id of one.
#[derive(Debug, Default)]
struct Ambiguities<'f> {
    /// The first parent of each pattern; none once a second was told.
    parents: HashMap<&'f str, Option<String>>,
}

impl<'f> Ambiguities<'f> {
    /// Points out, once, that a pattern is in the ids of several parents: virt-who searches them so.
    fn note(&mut self, filter: &'f HostFilter, id: &str) {
        for (list, pattern) in filter.plain_parents(id) {
            let first = self.parents.entry(pattern).or_insert_with(|| Some(id.to_owned()));
            if let Some(other) = first.take_if(|first| first != id) {
                log::warn!(
                    "{list} has \"{pattern}\", which is in {other} and in {id}; write {pattern}$ for what ends so"
                );
            }
        }
    }
}
