//! The lists of a server, page by page.
//!
//! A server cuts a page to a length of its own without saying so: 20 entries if none is asked for, at most 500 in v3 (1,000 in newer
//! ones). So the length of the answer decides where the next page begins, and the total where the list ends.

use std::fmt;
use std::marker::PhantomData;

use rustc_hash::FxHashSet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Api;
use super::lenient::{Elements, Object};
use super::record::Identified;
use crate::kept::Kept;
use crate::text;

/// How many entries are asked for at once. v3 gives 500 at most; half of them keep an answer small.
const LENGTH: usize = 250;
/// The most entries of an answer. A Prism Element may send all that its cluster has.
const MOST_AT_ONCE: usize = 50_000;
/// The most entries of a list. A server that lists more does not stop.
const MOST: usize = 1_000_000;
/// The most characters of the reason why an answer is invalid.
const LONGEST_REASON: usize = 200;

/// One of the lists. It displays as what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// The clusters.
    Clusters,
    /// The hosts.
    Hosts,
    /// The virtual machines.
    Machines,
}

impl List {
    /// The last part of its path.
    pub(super) fn path(self) -> &'static str {
        match self {
            List::Clusters => "clusters",
            List::Hosts => "hosts",
            List::Machines => "vms",
        }
    }

    /// The `kind` of its entries in v3.
    fn entry(self) -> &'static str {
        match self {
            List::Clusters => "cluster",
            List::Hosts => "host",
            List::Machines => "vm",
        }
    }

    /// What is in it.
    fn noun(self) -> &'static str {
        match self {
            List::Clusters => "clusters",
            List::Hosts => "hosts",
            List::Machines => "virtual machines",
        }
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.noun())
    }
}

/// The part of a list that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// How many entries are before it.
    pub(super) offset: usize,
    /// How many entries it has.
    pub(super) length: usize,
}

impl Range {
    /// The path of the request for this part of a list, and its body if it is a POST.
    pub(super) fn request(self, api: Api, list: List) -> (String, Option<String>) {
        let Range { offset, length } = self;
        let path = list.path();
        match api {
            // Hosts and clusters have `count` and `page`. According to Nutanix's reference, virtual machines have `offset` and
            // `length`, but others page them, too. Each list ignores what it does not know.
            Api::Element => {
                let page = offset / length.max(1) + 1;
                let query = format!("count={length}&page={page}&offset={offset}&length={length}");
                (format!("/{path}?{query}"), None)
            }
            Api::Central => {
                let entry = list.entry();
                let body = format!(r#"{{"kind":"{entry}","offset":{offset},"length":{length}}}"#);
                (format!("/{path}/list"), Some(body))
            }
        }
    }
}

/// An answer: some entries of a list. `R` is how the API writes them, `T` what is kept of them.
#[derive(Debug, Deserialize)]
#[serde(bound = "R: DeserializeOwned + Default, T: From<R>")]
pub(super) struct Page<R, T> {
    #[serde(default)]
    metadata: Object<Metadata>,
    entities: Elements<Entity<R, T>, MOST_AT_ONCE>,
}

/// What is kept of an entry. The rest is dropped before the next one is read. Of one that can't be read, nothing is.
#[derive(Debug)]
struct Entity<R, T>(T, PhantomData<R>);

impl<'de, R, T> Deserialize<'de> for Entity<R, T>
where
    R: DeserializeOwned + Default,
    T: From<R>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Apart from the others: a text with half a surrogate pair makes only its own entry unreadable.
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let record = serde_json::from_str::<Object<R>>(json).unwrap_or_default();
        Ok(Entity(T::from(record.or_empty()), PhantomData))
    }
}

/// How many entries the list has, in each API's words.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    grand_total_entities: Option<usize>,
    total_matches: Option<usize>,
}

impl<R: DeserializeOwned + Default, T: From<R>> Page<R, T> {
    /// Reads a page.
    pub(super) fn read(json: &[u8]) -> Result<Self, Flaw> {
        let page = serde_json::from_slice(json);
        page.map_err(|error| Flaw::Invalid(text::first_line(&error.to_string(), LONGEST_REASON)))
    }
}

impl<R, T> Page<R, T> {
    /// How many entries the whole list has.
    pub(super) fn total(&self) -> Result<usize, Flaw> {
        let metadata = self.metadata.0.as_ref();
        let total = metadata.and_then(|metadata| metadata.total_matches.or(metadata.grand_total_entities));
        total.ok_or(Flaw::NoTotal)
    }
}

/// What is wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It is not JSON, or not of Prism's form.
    #[error("is not one of Prism: {0}")]
    Invalid(String),
    /// It is a web page.
    #[error("is not one of Prism: a web page came instead")]
    Page,
    /// It does not say how many entries there are.
    #[error("is not one of Prism: it has no total")]
    NoTotal,
    /// Entries came or went while its pages were read.
    #[error("changed while it was read")]
    Changed,
    /// It is larger than any list can be.
    #[error("does not end: it has more than {0} entries")]
    Endless(usize),
    /// More of it would be kept than of any site.
    #[error("is larger than that of any site: more than {} MiB would be kept", Kept::MOST >> 20)]
    TooLarge,
}

/// A list whose pages are joined.
#[derive(Debug)]
pub(super) struct Joined<T> {
    records: Vec<T>,
    /// The uuids on the pages before the last.
    seen: FxHashSet<String>,
    kept: Kept,
    /// The length of the next page.
    length: usize,
    /// How many entries the list has, as the first page says.
    total: Option<usize>,
}

impl<T: Identified> Joined<T> {
    pub(super) fn new() -> Self {
        Joined {
            records: Vec::new(),
            seen: FxHashSet::default(),
            kept: Kept::default(),
            length: LENGTH,
            total: None,
        }
    }

    /// How many records have come.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// What is to be read next. `None` if the list is complete.
    pub(super) fn next(&self) -> Option<Range> {
        let range = Range {
            offset: self.records.len(),
            length: self.length,
        };
        (self.total != Some(range.offset)).then_some(range)
    }

    /// Adds a page, after which the list may be complete.
    ///
    /// Fails with [`Flaw::Changed`] if the page does not fit those before it: an entry that came or went moved the others from page
    /// to page, so that one may be missing.
    pub(super) fn add<R>(&mut self, page: Page<R, T>) -> Result<(), Flaw> {
        let total = page.total()?;
        if total > MOST {
            return Err(Flaw::Endless(MOST));
        }
        let before = self.records.len();
        self.records
            .extend(page.entities.0.into_iter().map(|entity| entity.0));
        let new = self.records.get(before..).unwrap_or_default();
        let is_repeated = |record: &T| record.uuid().is_some_and(|uuid| self.seen.contains(uuid));
        let is_same_list = *self.total.get_or_insert(total) == total && !new.iter().any(is_repeated);
        let is_stuck = new.is_empty() && before < total;
        if !is_same_list || is_stuck || self.records.len() > total {
            return Err(Flaw::Changed);
        }
        if !new.iter().all(|record| self.kept.add(record.texts())) {
            return Err(Flaw::TooLarge);
        }
        if self.records.len() < total {
            self.seen
                .extend(new.iter().filter_map(Identified::uuid).map(str::to_owned));
            self.shorten(new.len(), before)?;
        }
        Ok(())
    }

    /// Takes the length of the server's first page for all, because pages are counted in this length.
    fn shorten(&mut self, length: usize, before: usize) -> Result<(), Flaw> {
        match before {
            0 => self.length = length,
            _ if length == self.length => {}
            // A page in the middle is not full, or fuller.
            _ => return Err(Flaw::Changed),
        }
        Ok(())
    }

    /// The whole list.
    pub(super) fn into_records(self) -> Vec<T> {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::ahv::record::{Central, Element, Host};

    fn page<R: DeserializeOwned + Default>(json: &str) -> Result<Page<R, Host>, Flaw>
    where
        Host: From<R>,
    {
        Page::read(json.as_bytes())
    }

    /// A page of hosts with these uuids.
    fn hosts(total: usize, uuids: &[&str]) -> Page<Element, Host> {
        let entities: Vec<String> = uuids
            .iter()
            .map(|uuid| format!(r#"{{"uuid":"{uuid}"}}"#))
            .collect();
        let entities = entities.join(",");
        page(&format!(
            r#"{{"metadata":{{"grand_total_entities":{total}}},"entities":[{entities}]}}"#
        ))
        .unwrap()
    }

    fn join(pages: impl IntoIterator<Item = Page<Element, Host>>) -> (Joined<Host>, Result<(), Flaw>) {
        let mut joined = Joined::new();
        let added = pages.into_iter().try_for_each(|page| joined.add(page));
        (joined, added)
    }

    #[test]
    fn each_api_is_asked_in_its_own_way() {
        let range = Range {
            offset: 500,
            length: 250,
        };
        assert_eq!(
            range.request(Api::Element, List::Machines),
            ("/vms?count=250&page=3&offset=500&length=250".to_owned(), None)
        );
        let body = r#"{"kind":"vm","offset":500,"length":250}"#.to_owned();
        assert_eq!(
            range.request(Api::Central, List::Machines),
            ("/vms/list".to_owned(), Some(body))
        );
    }

    #[test]
    fn the_next_page_begins_after_what_came() {
        let (joined, added) = join([hosts(5, &["a", "b"]), hosts(5, &["c", "d"])]);
        assert_eq!(added, Ok(()));
        let next = Range { offset: 4, length: 2 };
        assert_eq!(joined.next(), Some(next));
        let (joined, added) = join([hosts(3, &["a", "b"]), hosts(3, &["c"])]);
        assert_eq!((joined.next(), added), (None, Ok(())));
        assert_eq!(joined.into_records().len(), 3);
    }

    #[test]
    fn a_server_may_send_everything_at_once_or_nothing() {
        assert_eq!(join([hosts(0, &[])]).0.next(), None);
        let many: Vec<String> = (0..LENGTH * 2).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (joined, added) = join([hosts(many.len(), &many)]);
        assert_eq!((joined.next(), added), (None, Ok(())));
    }

    #[test]
    fn a_list_that_changes_or_repeats_is_noticed() {
        for pages in [
            vec![hosts(4, &["a", "b"]), hosts(5, &["c", "d"])],
            vec![hosts(4, &["a", "b"]), hosts(4, &["b", "c"])],
            vec![hosts(4, &["a", "b"]), hosts(4, &["a", "b"])],
            vec![hosts(4, &["a", "b"]), hosts(4, &[])],
            vec![hosts(4, &[])],
            vec![hosts(1, &["a", "b"])],
            vec![hosts(6, &["a", "b", "c"]), hosts(6, &["d"])],
        ] {
            assert_eq!(join(pages).1, Err(Flaw::Changed));
        }
        assert_eq!(join([hosts(MOST + 1, &["a"])]).1, Err(Flaw::Endless(MOST)));
    }

    #[test]
    fn what_is_kept_is_limited() {
        let name = "x".repeat(1000);
        let record = |at: usize| format!(r#"{{"uuid":"{at}","name":"{name}"}}"#);
        let of = |first: usize| {
            let records: Vec<String> = (first..first + 10_000).map(record).collect();
            let records = records.join(",");
            page(&format!(
                r#"{{"metadata":{{"grand_total_entities":100000}},"entities":[{records}]}}"#
            ))
            .unwrap()
        };
        assert_eq!(join((0..10).map(|n| of(n * 10_000))).1, Err(Flaw::TooLarge));
    }

    #[test]
    fn the_same_uuid_twice_on_one_page_is_no_change() {
        assert_eq!(join([hosts(3, &["a", "a"]), hosts(3, &["b"])]).1, Ok(()));
    }

    #[test]
    fn a_page_may_have_odd_entries_but_needs_a_total() {
        let odd = page::<Central>(r#"{"metadata":{"total_matches":3},"entities":[null,7,{"metadata":[]}]}"#);
        let mut joined = Joined::<Host>::new();
        assert_eq!(joined.add(odd.unwrap()), Ok(()));
        assert_eq!(
            joined.into_records(),
            [Host::default(), Host::default(), Host::default()]
        );
        let half = page::<Element>(
            r#"{"metadata":{"grand_total_entities":2},"entities":[{"name":"\ud800"},{"uuid":"a"}]}"#,
        );
        let (joined, added) = join([half.unwrap()]);
        assert_eq!(added, Ok(()));
        let found = joined.into_records();
        assert_eq!(found.first(), Some(&Host::default()));
        assert_eq!(found[1].uuid.as_deref(), Some("a"));
        for text in [
            r#"{"entities":[]}"#,
            r#"{"metadata":{"length":1},"entities":[]}"#,
            r#"{"metadata":7,"entities":[]}"#,
        ] {
            assert_eq!(
                page::<Element>(text).unwrap().total(),
                Err(Flaw::NoTotal),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_a_page_is_refused() {
        let deep = format!(r#"{{"entities":[{}"#, r#"{"status":"#.repeat(100_000));
        let many = format!(r#"{{"entities":[{}7]}}"#, "{},".repeat(MOST_AT_ONCE));
        for text in [
            "7",
            "{}",
            "[]",
            "",
            "<html>",
            r#"{"entities":[],}"#,
            r#"{"entities":[]}x"#,
            r#"{"entities":[{"uuid":"a"#,
            "\u{feff}",
            &deep,
            &many,
        ] {
            let flaw = page::<Element>(text).unwrap_err();
            let start = text::cut(text, 20);
            assert!(matches!(flaw, Flaw::Invalid(_)), "{start}: {flaw:?}");
        }
    }
}
