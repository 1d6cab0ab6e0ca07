//! Where a host or guest is in a document, or which stage left it out and why.

use std::cmp::Ordering;

use super::{Host, Match, Needle};
use crate::mapping::{Entry, Fault, Guest, Hypervisor, Layout, Omitted, Tail};

/// The most findings that are kept.
const MOST: usize = 20;

/// A search through one document. It keeps a few findings only, however large the document is.
#[derive(Debug)]
pub struct Search {
    needle: Needle,
    /// How good the kept findings are. They are equally good.
    rank: Option<Rank>,
    findings: Vec<Finding>,
    /// The number of other findings that are as good.
    more: u64,
    /// The layout of the first entry.
    layout: Option<Layout>,
    hosts: u64,
    guests: u64,
    has_guest_names: bool,
}

/// How good a finding is; the better one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The text is in a fact, a reason or another member, but in no name or id.
    Mention,
    /// The text is a part of a name or id.
    Part,
    /// The text is a name or id.
    Whole,
}

/// A host or guest that the text describes, or what was left out.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What was found.
    pub found: Found,
    /// Whether its uuid has the other byte order.
    pub swapped: bool,
}

/// What was found.
#[derive(Debug, Clone)]
pub enum Found {
    /// A host.
    Host(Host),
    /// A guest on a host.
    Guest(Box<Guest>, Host),
    /// An entry of `omitted`.
    Omitted(Omitted),
    /// A hypervisor that no reporter can use.
    Unusable(Fault),
    /// A host whose facts or other members contain the text.
    Mention(Host),
}

impl Search {
    /// Begins a search.
    pub fn new(needle: Needle) -> Self {
        Search {
            needle,
            rank: None,
            findings: Vec::new(),
            more: 0,
            layout: None,
            hosts: 0,
            guests: 0,
            has_guest_names: false,
        }
    }

    /// Searches a hypervisor and its guests. `text` is its JSON text.
    pub fn hypervisor(&mut self, entry: &Entry<'_>, hypervisor: &Hypervisor) {
        self.layout.get_or_insert(entry.layout());
        self.hosts += u64::from(!hypervisor.is_local());
        self.guests += hypervisor.guests.len() as u64;
        let before = (self.findings.len(), self.more);
        let own = [hypervisor.id.as_deref(), hypervisor.name.as_deref()];
        let hardware = hypervisor.facts.text("dmi.system.uuid");
        if let Some((found, swapped)) = self.best(own.into_iter().chain([hardware])) {
            self.add(found.into(), swapped, || Found::Host(Host::new(hypervisor)));
        }
        for guest in &hypervisor.guests {
            self.has_guest_names |= guest.name.is_some();
            let names = [
                Some(&guest.id),
                guest.name.as_ref(),
                guest.moref.as_ref(),
                guest.uuid.as_ref(),
            ];
            if let Some((found, swapped)) = self.best(names.map(|name| name.map(String::as_str))) {
                self.add(found.into(), swapped, || {
                    Found::Guest(Box::new(guest.clone()), Host::new(hypervisor))
                });
            }
        }
        let unfound = before == (self.findings.len(), self.more);
        if unfound && self.rank <= Some(Rank::Mention) && self.needle.is_in(entry.text()) {
            self.add(Rank::Mention, false, || Found::Mention(Host::new(hypervisor)));
        }
    }

    /// Searches a hypervisor that can't be used, with the guests on it.
    pub fn unusable(&mut self, entry: &Entry<'_>, fault: &Fault) {
        let names = [fault.id.as_deref(), fault.name.as_deref()];
        self.add_best(names, entry.text(), || Found::Unusable(fault.clone()));
    }

    /// Searches what the stages left out.
    pub fn tail(&mut self, tail: &Tail) {
        for omitted in &tail.omitted {
            let left_out = &omitted.left_out;
            let own = [left_out.id.as_deref(), left_out.name.as_deref()];
            let unknown = omitted.unknown.iter().map(|(_, value)| value.text());
            let names = own.into_iter().chain(unknown);
            self.add_best(names, &left_out.reason, || Found::Omitted(omitted.clone()));
        }
    }

    /// What was found. If something has exactly this name or id, what only contains it is not listed.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The number of other findings that are as good and not listed.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// The numbers of hosts and guests that were searched.
    pub fn searched(&self) -> (u64, u64) {
        (self.hosts, self.guests)
    }

    /// Whether any guest of the document has a name.
    pub fn has_guest_names(&self) -> bool {
        self.has_guest_names
    }

    /// Whether the document's layout has no list of what was left out.
    pub fn lacks_omitted(&self) -> bool {
        self.layout == Some(Layout::Checkin)
    }

    fn best<'a>(&self, names: impl IntoIterator<Item = Option<&'a str>>) -> Option<(Match, bool)> {
        let found = names
            .into_iter()
            .flatten()
            .filter_map(|name| self.needle.matches(name));
        // Of equal matches, one in the value's own byte order is better.
        found.max_by_key(|(found, swapped)| (*found, !swapped))
    }

    fn add_best<'a>(
        &mut self,
        names: impl IntoIterator<Item = Option<&'a str>>,
        about: &str,
        found: impl FnOnce() -> Found,
    ) {
        match self.best(names) {
            Some((rank, swapped)) => self.add(rank.into(), swapped, found),
            None if self.needle.is_in(about) => self.add(Rank::Mention, false, found),
            None => {}
        }
    }

    fn add(&mut self, rank: Rank, swapped: bool, found: impl FnOnce() -> Found) {
        match Some(rank).cmp(&self.rank) {
            Ordering::Less => return,
            Ordering::Equal => {}
            Ordering::Greater => {
                self.rank = Some(rank);
                self.findings.clear();
                self.more = 0;
            }
        }
        match self.findings.len() < MOST {
            true => self.findings.push(Finding {
                found: found(),
                swapped,
            }),
            false => self.more += 1,
        }
    }
}

impl From<Match> for Rank {
    fn from(found: Match) -> Self {
        match found {
            Match::Part => Rank::Part,
            Match::Whole => Rank::Whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Reader;

    fn search(text: &str, document: &str) -> Search {
        let mut search = Search::new(Needle::new(text).unwrap());
        let mut reader = Reader::new(document.as_bytes());
        let mut document = reader.next_document().unwrap().unwrap();
        while let Some(entry) = document.next_entry().unwrap() {
            match entry.read() {
                Ok(read) => search.hypervisor(&entry, &read.hypervisor),
                Err(fault) => search.unusable(&entry, &fault),
            }
        }
        search.tail(&document.finish().unwrap());
        search
    }

    /// What was found, in a few letters.
    fn found(text: &str, document: &str) -> Vec<String> {
        let shown = |finding: &Finding| match &finding.found {
            Found::Host(host) => format!("host {}", host.label()),
            Found::Guest(guest, host) => format!("guest {} on {}", guest.id, host.label()),
            Found::Omitted(omitted) => format!("omitted {}", omitted.left_out.reason),
            Found::Unusable(fault) => format!("unusable {}", fault.reason),
            Found::Mention(host) => format!("mention {}", host.label()),
        };
        search(text, document).findings().iter().map(shown).collect()
    }

    const DOCUMENT: &str = concat!(
        r#"{"hypervisors":[{"uuid":"host-1","name":"esx1.example.com","guests":[{"guestId":"g1","name":"web1","state":1},"#,
        r#"{"guestId":"g2","name":"web10","moref":"vm-2","state":5}],"#,
        r#""facts":{"dmi.system.uuid":"564dae86-5aee-e348-8b8e-56d029eae0d7","x":"rack 7"}},"#,
        r#"{"uuid":"","name":"esx3","guests":[{"guestId":"g3","name":"mail"}]},{"uuid":"host-10","name":"esx10.example.com","guests":[{"name":"db"}]}],"#,
        r#""omitted":[{"kind":"host","id":"host-17","name":"esx17.example.com","stage":"vw-scan-esx","reason":"no uuid"}]}"#
    );

    #[test]
    fn a_whole_name_is_better_than_a_part_and_a_part_than_a_mention() {
        assert_eq!(found("esx1", DOCUMENT), ["host esx1.example.com"]);
        assert_eq!(found("host-1", DOCUMENT), ["host esx1.example.com"]);
        assert_eq!(found("web1", DOCUMENT), ["guest g1 on esx1.example.com"]);
        assert_eq!(
            found("web", DOCUMENT),
            ["guest g1 on esx1.example.com", "guest g2 on esx1.example.com"]
        );
        assert_eq!(found("vm-2", DOCUMENT), ["guest g2 on esx1.example.com"]);
        assert_eq!(found("rack 7", DOCUMENT), ["mention esx1.example.com"]);
        assert_eq!(found("ESX17", DOCUMENT), ["omitted no uuid"]);
        assert_eq!(found("esx3", DOCUMENT), ["unusable its id is empty"]);
        assert_eq!(found("mail", DOCUMENT), ["unusable its id is empty"]);
        assert_eq!(found("esx99", DOCUMENT), [""; 0]);
    }

    #[test]
    fn a_hardware_uuid_in_the_other_byte_order_is_found() {
        let search = search("86ae4d56-ee5a-48e3-8b8e-56d029eae0d7", DOCUMENT);
        let [finding] = search.findings() else {
            panic!("{:?}", search.findings());
        };
        assert!(
            finding.swapped
                && matches!(&finding.found, Found::Host(host) if host.label() == "esx1.example.com")
        );
    }

    #[test]
    fn a_guest_without_an_id_is_found_by_its_host() {
        assert_eq!(found("db", DOCUMENT), ["mention esx10.example.com"]);
    }

    #[test]
    fn few_findings_are_kept_and_all_are_counted() {
        let guests: Vec<String> = (0..100)
            .map(|n| format!(r#"{{"guestId":"guest-{n}"}}"#))
            .collect();
        let document = format!(
            r#"{{"hypervisors":[{{"uuid":"a","guests":[{}]}}]}}"#,
            guests.join(",")
        );
        let search = search("guest-", &document);
        assert_eq!((search.findings().len(), search.more()), (20, 80));
        assert_eq!(search.searched(), (1, 100));
    }
}
