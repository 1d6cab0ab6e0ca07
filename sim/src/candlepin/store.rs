//! What Candlepin holds for one owner, and how a report changes it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::report::{Entry, Guest, Report};
use super::{Generation, Hypervisor};
use crate::fresh;

/// The longest name of a consumer.
const NAME: usize = 250;
/// The longest id, key or value: the width of most columns.
const COLUMN: usize = 255;

const SOCKETS: &str = "cpu.cpu_socket(s)";
const SYSTEM_UUID: &str = "dmi.system.uuid";

/// The consumers of one owner.
#[derive(Default)]
pub(super) struct Store {
    consumers: Vec<Consumer>,
    /// By hypervisorId in lower case.
    by_id: HashMap<String, usize>,
    /// By dmi.system.uuid in lower case.
    by_system: HashMap<String, usize>,
}

struct Consumer {
    /// In lower case; `None` for a registered system that is not a hypervisor.
    id: Option<String>,
    held: Hypervisor,
}

/// How a report is applied.
pub(super) struct Manner<'a> {
    pub(super) owner: &'a str,
    pub(super) reporter: Option<&'a str>,
    pub(super) generation: Generation,
    pub(super) create_missing: bool,
    /// Hypervisor ids, in lower case, that are lost silently.
    pub(super) lost: &'a BTreeSet<String>,
    /// Hypervisor ids, in lower case, that are refused.
    pub(super) refused: &'a BTreeSet<String>,
}

/// The four lists of a job's resultData.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) created: Vec<Value>,
    pub(super) updated: Vec<Value>,
    pub(super) unchanged: Vec<Value>,
    pub(super) failed: Vec<String>,
}

/// Why a whole job fails.
pub(super) struct Spoiled {
    /// The text of the server.
    pub(super) reason: String,
    /// Whether a check of the server found it, which 2.4.16 reports like an error; otherwise it is an accident.
    pub(super) checked: bool,
}

impl Spoiled {
    fn accident(reason: String) -> Self {
        Spoiled {
            reason,
            checked: false,
        }
    }
}

impl Lists {
    pub(super) fn json(&self) -> Value {
        json!({"created": self.created, "updated": self.updated, "unchanged": self.unchanged, "failedUpdate": self.failed})
    }
}

impl Store {
    /// The hypervisors by their ids.
    pub(super) fn hypervisors(&self) -> BTreeMap<String, Hypervisor> {
        let hypervisors = self.consumers.iter();
        hypervisors
            .filter_map(|consumer| Some((consumer.id.clone()?, consumer.held.clone())))
            .collect()
    }

    /// The hypervisors with their ids, in the order in which they were created.
    pub(super) fn listed(&self) -> impl Iterator<Item = (&str, &Hypervisor)> {
        let hypervisors = self.consumers.iter();
        hypervisors.filter_map(|consumer| Some((consumer.id.as_deref()?, &consumer.held)))
    }

    /// Registers a system that is not a hypervisor yet, and returns its uuid.
    pub(super) fn register(&mut self, name: &str, facts: BTreeMap<String, String>) -> String {
        let held = Hypervisor {
            uuid: fresh::uuid(),
            name: name.into(),
            guests: Vec::new(),
            facts,
            reporter: None,
            checked_in: None,
        };
        let uuid = held.uuid.clone();
        self.add(Consumer { id: None, held });
        uuid
    }

    /// A consumer by the uuid that the server gave it.
    pub(super) fn held(&self, uuid: &str) -> Option<&Hypervisor> {
        let mut held = self.consumers.iter().map(|consumer| &consumer.held);
        held.find(|held| held.uuid == uuid)
    }

    /// A consumer with its hypervisorId, if it is a hypervisor.
    pub(super) fn shown(&self, uuid: &str) -> Option<(Option<&str>, &Hypervisor)> {
        let mut consumers = self.consumers.iter();
        let consumer = consumers.find(|consumer| consumer.held.uuid == uuid)?;
        Some((consumer.id.as_deref(), &consumer.held))
    }

    /// Sets the guests of a consumer.
    pub(super) fn set_guests(&mut self, uuid: &str, list: Vec<Guest>) {
        let held = self.consumers.iter_mut().map(|consumer| &mut consumer.held);
        for held in held.filter(|held| held.uuid == uuid) {
            held.guests.clone_from(&list);
        }
    }

    /// Deletes a consumer. Its place stays, so that the places of others do not change.
    pub(super) fn delete(&mut self, uuid: &str) {
        let mut consumers = self.consumers.iter();
        let Some(place) = consumers.position(|consumer| consumer.held.uuid == uuid) else {
            return;
        };
        self.consumers[place].id = None;
        self.by_id.retain(|_, known| *known != place);
        self.by_system.retain(|_, known| *known != place);
    }

    /// Renews the check-in of every hypervisor of this reporter, as a heartbeat does.
    pub(super) fn renew(&mut self, reporter: &str, time: SystemTime) {
        let held = self.consumers.iter_mut().map(|consumer| &mut consumer.held);
        for held in held.filter(|held| held.reporter.as_deref() == Some(reporter)) {
            held.checked_in = Some(time);
        }
    }

    /// Sets the last check-in of a hypervisor.
    pub(super) fn touch(&mut self, id: &str, reporter: &str, time: SystemTime) {
        if let Some(place) = self.by_id.get(&id.to_lowercase()) {
            let held = &mut self.consumers[*place].held;
            held.reporter = Some(reporter.to_owned());
            held.checked_in = Some(time);
        }
    }

    /// Applies a report. On an error nothing of the report is kept.
    pub(super) fn apply(&mut self, report: &Report, manner: &Manner) -> Result<Lists, Spoiled> {
        let current = manner.generation == Generation::Current;
        // 2.4.16 already treats ids that differ only in case as one here.
        let one = |id: &str| if current { id.to_owned() } else { id.to_lowercase() };
        // First everything that fails the job, because then nothing is kept.
        let mut last: HashMap<String, usize> = HashMap::new();
        for (place, entry) in report.entries.iter().enumerate() {
            let entry = entry
                .as_ref()
                .ok_or_else(|| Spoiled::accident(null_entry(current)))?;
            if entry.guests.iter().flatten().any(Option::is_none) {
                return Err(Spoiled::accident(null_guest(current)));
            }
            // 2.4.16 names the fact and fails; newer servers only log it.
            if !current && odd_sockets(entry) {
                let reason = format!("The fact \"{SOCKETS}\" must be a positive, integer value");
                return Err(Spoiled {
                    reason,
                    checked: true,
                });
            }
            if let Some(id) = entry.id.as_deref().filter(|id| !id.is_empty()) {
                last.insert(one(id), place);
            }
        }
        let mut lists = Lists::default();
        for (place, entry) in report.entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            let Some(id) = entry.id.as_deref().filter(|id| !id.is_empty()) else {
                continue;
            };
            if last.get(&one(id)) == Some(&place) {
                self.check_in(id, entry, manner, &mut lists);
            }
        }
        Ok(lists)
    }

    /// Applies one entry. The server says nothing about an entry that it loses.
    fn check_in(&mut self, id: &str, entry: &Entry, manner: &Manner, lists: &mut Lists) {
        let key = id.to_lowercase();
        if manner.lost.contains(&key) || odd_sockets(entry) || has_long(entry.facts.as_ref()) {
            return;
        }
        let owner = manner.owner;
        let known = self.known(&key, entry);
        let verb = if known.is_some() { "update" } else { "create" };
        let unable = || format!("{id}: Unable to {verb} hypervisor with id {id} in org {owner}");
        if manner.refused.contains(&key)
            || too_long(&key, COLUMN)
            || entry.name.as_ref().is_some_and(|name| too_long(name, NAME))
            || has_long_guest(entry)
        {
            lists.failed.push(unable());
            return;
        }
        if entry.name.as_deref() == Some("") {
            if let Some(known) = known {
                let uuid = &self.consumers[known].held.uuid;
                lists.updated.push(listed("", uuid, manner));
            }
            lists.failed.push(unable());
            return;
        }
        match known {
            Some(known) => {
                let changed = self.update(known, key, entry, manner);
                let held = &self.consumers[known].held;
                let list = if changed {
                    &mut lists.updated
                } else {
                    &mut lists.unchanged
                };
                list.push(listed(&held.name, &held.uuid, manner));
            }
            None if manner.create_missing => {
                let held = self.create(id, key, entry, manner);
                lists.created.push(listed(&held.name, &held.uuid, manner));
            }
            None => {
                let failure = format!("{id}: Unable to find hypervisor in org \"{owner}\"");
                lists.failed.push(failure);
            }
        }
    }

    /// The place of the consumer that an entry is about: by its hypervisorId, otherwise by its dmi.system.uuid.
    fn known(&self, key: &str, entry: &Entry) -> Option<usize> {
        let by_system = || {
            let system = entry.facts.as_ref()?.get(SYSTEM_UUID)?;
            self.by_system.get(&system.to_lowercase())
        };
        self.by_id.get(key).or_else(by_system).copied()
    }

    fn create(&mut self, id: &str, key: String, entry: &Entry, manner: &Manner) -> &Hypervisor {
        let held = Hypervisor {
            uuid: fresh::uuid(),
            name: entry.name.clone().unwrap_or_else(|| id.to_owned()),
            guests: guests(entry).unwrap_or_default(),
            facts: entry.facts.clone().unwrap_or_default(),
            reporter: manner.reporter.map(str::to_owned),
            checked_in: Some(SystemTime::now()),
        };
        let place = self.consumers.len();
        self.add(Consumer { id: Some(key), held });
        &self.consumers[place].held
    }

    /// Updates a known consumer; returns whether that changed it.
    fn update(&mut self, place: usize, key: String, entry: &Entry, manner: &Manner) -> bool {
        let consumer = &mut self.consumers[place];
        let mut changed = false;
        if consumer.id.as_ref() != Some(&key) {
            if let Some(old) = consumer.id.replace(key.clone()) {
                self.by_id.remove(&old);
            }
            self.by_id.insert(key, place);
            changed = true;
        }
        let held = &mut consumer.held;
        held.checked_in = Some(SystemTime::now());
        // Recorded: 2.4.16 leaves a name as it is.
        if let Some(name) = entry.name.as_ref()
            && *name != held.name
            && manner.generation == Generation::Current
        {
            held.name = name.clone();
            changed = true;
        }
        if let Some(guests) = guests(entry)
            && comparable(&guests) != comparable(&held.guests)
        {
            held.guests = guests;
            changed = true;
        }
        if let Some(facts) = entry.facts.as_ref().filter(|facts| **facts != held.facts) {
            let old = held.facts.get(SYSTEM_UUID).map(|old| old.to_lowercase());
            // Another consumer may have taken the same uuid since.
            if let Some(old) = old.filter(|old| self.by_system.get(old) == Some(&place)) {
                self.by_system.remove(&old);
            }
            if let Some(system) = facts.get(SYSTEM_UUID) {
                self.by_system.insert(system.to_lowercase(), place);
            }
            held.facts = facts.clone();
            changed = true;
        }
        if let Some(reporter) = manner.reporter {
            held.reporter = Some(reporter.into());
        }
        changed
    }

    fn add(&mut self, consumer: Consumer) {
        let place = self.consumers.len();
        if let Some(id) = &consumer.id {
            self.by_id.insert(id.clone(), place);
        }
        if let Some(system) = consumer.held.facts.get(SYSTEM_UUID) {
            self.by_system.insert(system.to_lowercase(), place);
        }
        self.consumers.push(consumer);
    }
}

/// An entry of one of the lists, with the name and Candlepin's uuid, but without the hypervisor's id.
fn listed(name: &str, uuid: &str, manner: &Manner) -> Value {
    match manner.generation {
        Generation::Current => json!({"name": name, "owner": {"anonymous": null, "contentAccessMode": null,
            "displayName": null, "href": null, "id": null, "key": manner.owner}, "uuid": uuid}),
        Generation::Old => json!({"uuid": uuid, "name": name, "owner": {"key": manner.owner}}),
    }
}

/// The guests that are kept: each id once, and none with an empty id.
fn guests(entry: &Entry) -> Option<Vec<Guest>> {
    let mut seen = BTreeSet::new();
    let guests = entry.guests.as_ref()?.iter().flatten();
    Some(
        guests
            .filter(|guest| !guest.id.is_empty() && seen.insert(&guest.id))
            .cloned()
            .collect(),
    )
}

/// Guests in a form that does not depend on their order or the case of their ids.
fn comparable(guests: &[Guest]) -> BTreeMap<String, &BTreeMap<String, String>> {
    guests
        .iter()
        .map(|guest| (guest.id.to_lowercase(), &guest.attributes))
        .collect()
}

fn odd_sockets(entry: &Entry) -> bool {
    let sockets = entry.facts.as_ref().and_then(|facts| facts.get(SOCKETS));
    sockets.is_some_and(|sockets| !sockets.is_empty() && !sockets.parse().is_ok_and(|count: i32| count >= 0))
}

fn too_long(text: &str, limit: usize) -> bool {
    text.chars().count() > limit
}

fn has_long(pairs: Option<&BTreeMap<String, String>>) -> bool {
    pairs
        .into_iter()
        .flatten()
        .any(|(key, value)| too_long(key, COLUMN) || too_long(value, COLUMN))
}

fn has_long_guest(entry: &Entry) -> bool {
    let mut guests = entry.guests.iter().flatten().flatten();
    guests.any(|guest| too_long(&guest.id, COLUMN) || has_long(Some(&guest.attributes)))
}

fn null_entry(current: bool) -> String {
    if current {
        "org.candlepin.async.JobExecutionException: Cannot invoke \
         \"org.candlepin.dto.api.server.v1.ConsumerDTO.getHypervisorId()\" because \"<local8>\" is null"
            .into()
    } else {
        "Cannot invoke \"org.candlepin.model.Consumer.getHypervisorId()\" because \"<local9>\" is null".into()
    }
}

fn null_guest(current: bool) -> String {
    if current {
        "org.candlepin.async.JobExecutionException: Cannot invoke \
         \"org.candlepin.dto.api.server.v1.GuestIdDTO.getGuestId()\" because \"<local13>\" is null"
            .into()
    } else {
        "Cannot invoke \"org.candlepin.model.GuestId.getGuestId()\" because \"<local14>\" is null".into()
    }
}
