//! What the server keeps for a client between its log-in and its log-out.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io::{self, Write};
use std::sync::Arc;

use super::inventory::Inventory;
use super::object::Node;
use super::property::PropertyElement;
use super::select::Spec;
use super::soap::{Fault, escape};

/// The most objects in one answer of WaitForUpdatesEx, even if the client allows more.
pub(super) const PAGE: usize = 100;

pub(super) struct Session {
    pub(super) user: String,
    pub(super) views: BTreeMap<String, View>,
    pub(super) filters: BTreeMap<String, Filter>,
    pub(super) retrievals: BTreeMap<String, Retrieval>,
    /// The version of the updates that were sent last; 0 before the first.
    version: u64,
    /// Those updates, in case the client never got them.
    last: Vec<(String, Vec<Update>)>,
    /// Counts CancelWaitForUpdates.
    pub(super) cancels: u64,
}

pub(super) struct View {
    pub(super) container: Node,
    pub(super) types: Vec<String>,
    pub(super) recursive: bool,
}

/// A retrieval whose further pages wait for their token.
pub(super) struct Retrieval {
    pub(super) inventory: Arc<Inventory>,
    pub(super) specs: Arc<Vec<(Spec, Vec<Node>)>>,
    /// The next object: which spec's, and where among its objects.
    pub(super) next: (usize, usize),
    pub(super) page: usize,
}

pub(super) struct Filter {
    spec: Arc<Spec>,
    /// The inventory at the time of the newest update.
    inventory: Arc<Inventory>,
    nodes: Vec<Node>,
    queue: VecDeque<Update>,
    /// Whether the objects that it starts from are gone, which is sent once.
    lost: Lost,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    No,
    Unsent,
    Sent,
}

#[derive(Clone)]
enum Update {
    Enter(Node),
    /// With the paths of the properties that changed.
    Modify(Node, Vec<String>),
    /// With type and id, because the object may be gone.
    Leave(&'static str, String),
}

/// A page of updates, to be written.
pub(super) struct Page {
    version: u64,
    filters: Vec<FilterUpdates>,
    truncated: bool,
}

struct FilterUpdates {
    id: String,
    spec: Arc<Spec>,
    inventory: Arc<Inventory>,
    updates: Vec<Update>,
    lost: bool,
}

impl Session {
    pub(super) fn new(user: &str) -> Self {
        Session {
            user: user.to_owned(),
            views: BTreeMap::new(),
            filters: BTreeMap::new(),
            retrievals: BTreeMap::new(),
            version: 0,
            last: Vec::new(),
            cancels: 0,
        }
    }

    /// The objects of a view; `None` if there is no such view.
    fn view(&self, inventory: &Inventory, id: &str) -> Option<Vec<Node>> {
        let view = self.views.get(id)?;
        Some(inventory.contents(view.container, &view.types, view.recursive))
    }

    pub(super) fn select(&self, inventory: &Inventory, spec: &Spec) -> Result<Vec<Node>, Fault> {
        spec.select(inventory, |id| self.view(inventory, id))
    }

    pub(super) fn add_filter(
        &mut self,
        id: String,
        spec: Spec,
        inventory: &Arc<Inventory>,
    ) -> Result<(), Fault> {
        let nodes = self.select(inventory, &spec)?;
        let filter = Filter {
            spec: Arc::new(spec),
            inventory: Arc::clone(inventory),
            queue: nodes.iter().copied().map(Update::Enter).collect(),
            nodes,
            lost: Lost::No,
        };
        self.filters.insert(id, filter);
        Ok(())
    }

    /// Adds an update of an object without a changed property.
    pub(super) fn touch(&mut self, node: Node) {
        for filter in self.filters.values_mut().filter(|f| f.nodes.contains(&node)) {
            filter.queue.push_back(Update::Modify(node, Vec::new()));
        }
    }

    /// Destroys the views, on which filters depend.
    pub(super) fn lose_views(&mut self) {
        self.views.clear();
        for filter in self.filters.values_mut() {
            filter.lost = Lost::Unsent;
        }
    }

    /// Takes the version that the client has seen: forgets the updates that arrived, or queues them again.
    pub(super) fn acknowledge(&mut self, version: &str, inventory: &Arc<Inventory>) -> Result<(), Fault> {
        if version.is_empty() {
            let specs: Vec<_> = self
                .filters
                .iter()
                .map(|(id, f)| (id.clone(), Arc::clone(&f.spec)))
                .collect();
            for (id, spec) in specs {
                // A filter whose objects are gone has no updates.
                let nodes = self.select(inventory, &spec).unwrap_or_default();
                if let Some(filter) = self.filters.get_mut(&id) {
                    filter.inventory = Arc::clone(inventory);
                    filter.queue = nodes.iter().copied().map(Update::Enter).collect();
                    filter.nodes = nodes;
                }
            }
            self.last.clear();
            return Ok(());
        }
        let known = |number: u64| number > 0 && version == version_text(number);
        if known(self.version) {
            self.last.clear();
            return Ok(());
        }
        if self.version > 1 && known(self.version - 1) && !self.last.is_empty() {
            self.version -= 1;
            for (id, updates) in self.last.drain(..) {
                if let Some(filter) = self.filters.get_mut(&id) {
                    for update in updates.into_iter().rev() {
                        filter.queue.push_front(update);
                    }
                }
            }
            return Ok(());
        }
        let message = "The version is not known";
        Err(Fault::new("InvalidCollectorVersion", message, String::new()))
    }

    /// Compares what the filters have sent with the present inventory, and queues the changes.
    pub(super) fn look(&mut self, inventory: &Arc<Inventory>) {
        let outdated = |filter: &Filter| {
            filter.lost == Lost::No && filter.queue.is_empty() && !Arc::ptr_eq(&filter.inventory, inventory)
        };
        let ids: Vec<String> = self
            .filters
            .iter()
            .filter(|(_, f)| outdated(f))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            let Some(mut filter) = self.filters.remove(&id) else {
                continue;
            };
            let now = self.select(inventory, &filter.spec).unwrap_or_default();
            filter.compare(now, inventory);
            self.filters.insert(id, filter);
        }
    }

    /// The next updates, of at most `most` objects; `None` if there are none.
    pub(super) fn next_page(&mut self, most: usize) -> Option<Page> {
        let mut left = most.clamp(1, PAGE);
        let mut filters = Vec::new();
        for (id, filter) in &mut self.filters {
            let take = left.min(filter.queue.len());
            let lost = filter.lost == Lost::Unsent;
            if take > 0 || lost {
                left -= take;
                if lost {
                    filter.lost = Lost::Sent;
                }
                filters.push(FilterUpdates {
                    id: id.clone(),
                    spec: Arc::clone(&filter.spec),
                    inventory: Arc::clone(&filter.inventory),
                    updates: filter.queue.drain(..take).collect(),
                    lost,
                });
            }
        }
        if filters.is_empty() {
            return None;
        }
        self.version += 1;
        let sent = filters.iter().map(|of| (of.id.clone(), of.updates.clone()));
        self.last = sent.collect();
        Some(Page {
            version: self.version,
            filters,
            truncated: self.filters.values().any(|filter| !filter.queue.is_empty()),
        })
    }
}

/// Versions are opaque to clients, so they do not look like numbers.
fn version_text(number: u64) -> String {
    format!("{number}-")
}

impl Filter {
    fn compare(&mut self, now: Vec<Node>, inventory: &Arc<Inventory>) {
        let then: HashSet<Node> = self.nodes.iter().copied().collect();
        let remain: HashSet<Node> = now.iter().copied().collect();
        let old = &self.inventory;
        for node in self.nodes.iter().filter(|node| !remain.contains(node)) {
            let (kind, id) = (old.type_of(*node), old.id_of(*node).to_owned());
            self.queue.push_back(Update::Leave(kind, id));
        }
        for node in &now {
            if !then.contains(node) {
                self.queue.push_back(Update::Enter(*node));
                continue;
            }
            let paths = self.spec.paths(inventory.type_of(*node)).unwrap_or_default();
            let differs = |path: &&str| old.rendered(*node, path) != inventory.rendered(*node, path);
            let changed: Vec<String> = paths.into_iter().filter(differs).map(String::from).collect();
            if !changed.is_empty() {
                self.queue.push_back(Update::Modify(*node, changed));
            }
        }
        self.nodes = now;
        self.inventory = Arc::clone(inventory);
    }
}

impl Page {
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(
            out,
            "<returnval><version>{}</version>",
            version_text(self.version)
        )?;
        for filter in &self.filters {
            let FilterUpdates {
                id,
                spec,
                inventory,
                updates,
                lost,
            } = filter;
            write!(
                out,
                "<filterSet><filter type=\"PropertyFilter\">{}</filter>",
                escape(id)
            )?;
            for update in updates {
                out.write_all(b"<objectSet>")?;
                match update {
                    Update::Enter(node) => {
                        out.write_all(b"<kind>enter</kind>")?;
                        let paths = spec.paths(inventory.type_of(*node)).unwrap_or_default();
                        inventory.write_object(out, *node, &paths, PropertyElement::ChangeSet)?;
                    }
                    Update::Modify(node, paths) => {
                        out.write_all(b"<kind>modify</kind>")?;
                        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                        inventory.write_object(out, *node, &paths, PropertyElement::ChangeSetWithUnset)?;
                    }
                    Update::Leave(kind, id) => {
                        write!(out, "<kind>leave</kind><obj type=\"{kind}\">{}</obj>", escape(id))?;
                    }
                }
                out.write_all(b"</objectSet>")?;
            }
            if *lost {
                spec.write_missing(out)?;
            }
            out.write_all(b"</filterSet>")?;
        }
        if self.truncated {
            out.write_all(b"<truncated>true</truncated>")?;
        }
        out.write_all(b"</returnval>")
    }
}

impl Retrieval {
    fn objects_left(&self) -> usize {
        let (spec, at) = self.next;
        let later = self.specs.iter().skip(spec).map(|(_, nodes)| nodes.len());
        later.sum::<usize>() - at
    }

    /// Splits off the next page; the rest, if any, is for the next token.
    pub(super) fn take_page(self) -> (RetrievedPage, Option<Retrieval>) {
        let mut next = self.next;
        let length = self.page.min(self.objects_left());
        let page = RetrievedPage {
            inventory: Arc::clone(&self.inventory),
            specs: Arc::clone(&self.specs),
            next,
            length,
        };
        let mut skip = length;
        while let Some((_, nodes)) = self.specs.get(next.0) {
            let rest = nodes.len() - next.1;
            if skip < rest {
                next.1 += skip;
                break;
            }
            skip -= rest;
            next = (next.0 + 1, 0);
        }
        let rest = Retrieval { next, ..self };
        (page, Some(rest).filter(|rest| rest.objects_left() > 0))
    }
}

/// Some objects of a retrieval, to be written.
pub(super) struct RetrievedPage {
    inventory: Arc<Inventory>,
    specs: Arc<Vec<(Spec, Vec<Node>)>>,
    next: (usize, usize),
    length: usize,
}

impl RetrievedPage {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let (spec, at) = self.next;
        let all = self.specs.iter().skip(spec);
        let all = all.flat_map(|(spec, nodes)| nodes.iter().map(move |node| (spec, *node)));
        for (spec, node) in all.skip(at).take(self.length) {
            let paths = spec.paths(self.inventory.type_of(node)).unwrap_or_default();
            out.write_all(b"<objects>")?;
            self.inventory
                .write_object(out, node, &paths, PropertyElement::PropSet)?;
            out.write_all(b"</objects>")?;
        }
        Ok(())
    }
}
