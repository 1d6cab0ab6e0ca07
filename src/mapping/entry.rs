//! One hypervisor of a document: its JSON text, and its known members.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::fault::BoundedFaults;
use super::json::{JsonValue, Object, each, text};
use super::{
    Attributes, Concerns, Fault, Guest, Hypervisor, Layout, LeftOut, Members, Omitted, Parent, Source, Tail,
    flaw, usual,
};

/// One hypervisor as it is written in the document.
#[derive(Debug)]
pub struct Entry<'a> {
    at: u64,
    text: &'a str,
    members: Object<'a>,
}

/// The subject of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id<'a> {
    /// This machine itself: `guests` is the entry's only member.
    Local,
    /// The hypervisor with this id, which is not empty.
    Host(Cow<'a, str>),
}

/// A hypervisor with its faults. If there are many faults of one kind, only the first are named.
#[derive(Debug)]
pub struct ReadEntry {
    /// The hypervisor.
    pub hypervisor: Hypervisor,
    /// Unusable guests.
    pub faults: Vec<Fault>,
    /// Invalid states and facts.
    pub flaws: Vec<Fault>,
}

/// The members that may be in an entry only once.
const ONCE: [&str; 7] = [
    "uuid",
    "hypervisorId",
    "guests",
    "guestIds",
    "name",
    "facts",
    "parent",
];

impl<'a> Entry<'a> {
    pub(super) fn new(at: u64, text: &'a str, members: Object<'a>) -> Self {
        Entry { at, text, members }
    }

    /// The byte of the stream where the entry begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The JSON text, without white space between the tokens.
    pub fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn members(&self) -> &Object<'a> {
        &self.members
    }

    /// The layout of the entry.
    pub fn layout(&self) -> Layout {
        match self.members.has("hypervisorId") || self.members.has("guestIds") {
            true => Layout::Checkin,
            false => Layout::Mapping,
        }
    }

    /// The subject of the entry. Fails if the entry has no id or no list of guests.
    pub fn id(&self) -> Result<Id<'a>, Fault> {
        let id = self.own_id().map_err(|reason| self.fault(None, reason))?;
        match (self.guests(), &id) {
            (Ok(_), _) => Ok(id),
            (Err(reason), Id::Host(id)) => Err(self.fault(Some(id.clone().into_owned()), reason.into())),
            (Err(reason), Id::Local) => Err(self.fault(None, reason.into())),
        }
    }

    /// The list of guests, or why there is none.
    fn guests(&self) -> Result<&'a RawValue, &'static str> {
        let guests = match (self.members.get("guests"), self.members.get("guestIds")) {
            (Some(guests), None) | (None, Some(guests)) => guests,
            (None, None) => return Err("it has no list of guests"),
            _ => return Err("it has both \"guests\" and \"guestIds\""),
        };
        match guests.get().starts_with('[') {
            true => Ok(guests),
            false => Err("its guests are not a list"),
        }
    }

    /// The subject, whether or not there is a list of guests.
    fn own_id(&self) -> Result<Id<'a>, String> {
        let members = &self.members;
        if members.0.len() == 1 && (members.has("guests") || members.has("guestIds")) {
            return Ok(Id::Local);
        }
        if let Some(name) = members.repeated(&ONCE) {
            return Err(format!("it has two members \"{name}\""));
        }
        let value = match (members.get("uuid"), members.get("hypervisorId")) {
            (None, None) => return Err("it has no id (\"uuid\" or \"hypervisorId\")".into()),
            (Some(_), Some(_)) => return Err("it has both \"uuid\" and \"hypervisorId\"".into()),
            (Some(id), None) => Some(id),
            (None, Some(outer)) => match Object::of(outer) {
                Some(object) => object.get("hypervisorId"),
                None => return Err(format!("its \"hypervisorId\" is {}, not an object", shown(outer))),
            },
        };
        let raw = value.ok_or("it has no id")?;
        match text(raw) {
            Some(id) if !id.is_empty() => Ok(Id::Host(id)),
            _ => Err(format!("its id is {}", shown(raw))),
        }
    }

    /// The hypervisor's name.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        self.members.get("name").and_then(text)
    }

    /// The hypervisor's parent.
    pub fn parent(&self) -> Option<Parent> {
        Object::of(self.members.get("parent")?).map(parent)
    }

    /// Reads the whole entry. Fails if it has no id or no list of guests.
    pub fn read(&self) -> Result<ReadEntry, Fault> {
        let id = match self.id()? {
            Id::Local => None,
            Id::Host(id) => Some(id.into_owned()),
        };
        let (mut hypervisor, mut flaws) = self.read_without_guests(id);
        if let Some(guests) = self.guests().ok().and_then(usual_guests) {
            return Ok(ReadEntry {
                hypervisor: Hypervisor { guests, ..hypervisor },
                faults: Vec::new(),
                flaws: flaws.into_vec(),
            });
        }
        let mut faults = BoundedFaults::of_hypervisor();
        let mut number = 0;
        let mut guests = Vec::new();
        let add = |raw| {
            number += 1;
            match guest(raw) {
                Ok((guest, wrong)) => {
                    if let Some(wrong) = wrong {
                        flaws.push_with(Concerns::State, 1, || {
                            self.state_flaw(&guest, &wrong, &hypervisor)
                        });
                    }
                    guests.push(guest);
                }
                Err(wrong) => {
                    faults.push_with(Concerns::Guest, 1, || {
                        self.guest_fault(number, &wrong, &hypervisor)
                    });
                }
            }
        };
        let list = self.guests().map(|list| each(list, add));
        if !matches!(list, Ok(Ok(()))) {
            return Err(self.fault(hypervisor.id, "its guests are not a list".into()));
        }
        // A reporter has all guests of a document in memory.
        guests.shrink_to_fit();
        hypervisor.guests = guests;
        Ok(ReadEntry {
            hypervisor,
            faults: faults.into_vec(),
            flaws: flaws.into_vec(),
        })
    }

    /// The hypervisor without its guests, and the invalid facts.
    fn read_without_guests(&self, id: Option<String>) -> (Hypervisor, BoundedFaults) {
        let mut members = self.members.clone();
        for known in ["uuid", "hypervisorId", "guests", "guestIds"] {
            members.take(known);
        }
        let facts = members.get("facts").and_then(flaw::facts);
        if facts.is_some() {
            members.take("facts");
        }
        let (facts, wrong_facts) = facts.unwrap_or_default();
        let mut flaws = BoundedFaults::of_hypervisor();
        for (reason, count) in wrong_facts {
            flaws.push_with(Concerns::Fact, count, || Fault {
                about: Concerns::Fact,
                count,
                ..self.fault(id.clone(), reason)
            });
        }
        let hypervisor = Hypervisor {
            id,
            name: members.take_text("name"),
            guests: Vec::new(),
            facts,
            parent: members.take_object("parent").map(parent),
            unknown: members.into_members(),
        };
        (hypervisor, flaws)
    }

    /// The faults of the guests and facts of an entry that has an id. If there are none, this is fast.
    pub fn inspect(&self) -> Vec<Fault> {
        let facts = self.members.get("facts");
        if self.guests().is_ok_and(flaw::are_guests_valid) && facts.is_none_or(flaw::are_facts_valid) {
            return Vec::new();
        }
        match self.read() {
            Ok(ReadEntry {
                mut faults, flaws, ..
            }) => {
                faults.extend(flaws);
                faults
            }
            Err(fault) => vec![fault],
        }
    }

    fn fault(&self, id: Option<String>, reason: String) -> Fault {
        Fault {
            at: self.at,
            about: Concerns::Host,
            host: id.clone(),
            id,
            name: self.name().map(Cow::into_owned),
            reason,
            count: 1,
        }
    }

    /// The fault of an unusable guest. It has no id, so its number in the list identifies it.
    fn guest_fault(&self, number: usize, wrong: &str, host: &Hypervisor) -> Fault {
        Fault {
            at: self.at,
            about: Concerns::Guest,
            id: None,
            name: None,
            host: host.id.clone(),
            reason: format!("number {number} of {}: {wrong}", host.label()),
            count: 1,
        }
    }

    fn state_flaw(&self, guest: &Guest, wrong: &str, host: &Hypervisor) -> Fault {
        Fault {
            at: self.at,
            about: Concerns::State,
            id: host.id.clone(),
            name: host.name.clone(),
            host: host.id.clone(),
            reason: format!("guest {}: {wrong}", flaw::excerpt(&guest.id)),
            count: 1,
        }
    }
}

/// A description of an invalid value for a message.
fn shown(raw: &RawValue) -> &str {
    match raw.get() {
        "\"\"" => "empty",
        "null" => "null",
        other => match other.as_bytes().first() {
            Some(b'"') if text(raw).is_some() => "a string",
            Some(b'"') => "not valid text",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b't' | b'f') => "a boolean",
            _ => "a number",
        },
    }
}

/// The guests, if all are written as a scan writes them.
fn usual_guests(list: &RawValue) -> Option<Vec<Guest>> {
    let mut guests = Vec::new();
    let are_usual = usual::guests(list.get().as_bytes(), |usual| {
        guests.push(Guest {
            id: String::from_utf8_lossy(usual.id).into_owned(),
            state: Some(usual.state),
            attributes: Attributes {
                active: Some(usual.active),
                virt_who_type: Some(interned(&String::from_utf8_lossy(usual.virt_who_type))),
                unknown: Members::new(),
            },
            ..Guest::default()
        });
    });
    guests.shrink_to_fit();
    are_usual.then_some(guests)
}

/// The guest, and the error in its state. Fails if the guest is unusable.
fn guest(raw: &RawValue) -> Result<(Guest, Option<String>), String> {
    let Some(mut members) = Object::of(raw) else {
        return Err(match raw.get().starts_with('{') {
            true => "the name of a member is not valid text".into(),
            false => format!("it is {}, not an object", shown(raw)),
        });
    };
    if members.repeated(&["guestId"]).is_some() {
        return Err("it has two members \"guestId\"".into());
    }
    let id = match members.take("guestId").map(|raw| (raw, text(raw))) {
        Some((_, Some(id))) if !id.is_empty() => id.into_owned(),
        Some((raw, _)) => return Err(format!("its id is {}", shown(raw))),
        None => return Err("it has no guestId".into()),
    };
    let (state, wrong) = match flaw::state(&members) {
        Ok(state) => (state, None),
        Err(wrong) => (None, Some(wrong)),
    };
    // Another notation of the number is kept among the unknown members.
    let plain = members.get("state").is_some_and(|raw| raw.get().len() == 1);
    if wrong.is_none() && plain {
        members.take("state");
    }
    let guest = Guest {
        id,
        state,
        attributes: members
            .take_object("attributes")
            .map(attributes)
            .unwrap_or_default(),
        name: members.take_text("name"),
        moref: members.take_text("moref"),
        uuid: members.take_text("uuid"),
        unknown: members.into_members(),
    };
    Ok((guest, wrong))
}

fn attributes(mut members: Object<'_>) -> Attributes {
    let active = match members.get("active").map(RawValue::get) {
        Some("0") => Some(false),
        Some("1") => Some(true),
        _ => None,
    };
    if active.is_some() {
        members.take("active");
    }
    Attributes {
        active,
        virt_who_type: members.take_text("virtWhoType").map(|kind| interned(&kind)),
        unknown: members.into_members(),
    }
}

/// Avoids an allocation for the type of nearly all guests.
fn interned(kind: &str) -> Cow<'static, str> {
    match kind {
        "esx" => "esx".into(),
        _ => kind.to_owned().into(),
    }
}

fn parent(mut members: Object<'_>) -> Parent {
    Parent {
        id: members.take_text("id"),
        kind: members.take_text("type"),
        name: members.take_text("name"),
        unknown: members.into_members(),
    }
}

fn source(mut members: Object<'_>) -> Source {
    Source {
        section: members.take_text("section"),
        kind: members.take_text("type"),
        server: members.take_text("server"),
        instance_uuid: members.take_text("instanceUuid"),
        time: members.take_text("time"),
        filtered: members.take_text("filtered"),
        unlisted: members.take_text("unlisted"),
        unknown: members.into_members(),
    }
}

fn omitted(mut members: Object<'_>) -> Omitted {
    Omitted {
        left_out: LeftOut {
            kind: members.take_text("kind").unwrap_or_default().into(),
            id: members.take_text("id"),
            name: members.take_text("name"),
            reason: members.take_text("reason").unwrap_or_default(),
        },
        stage: members.take_text("stage").unwrap_or_default().into(),
        unknown: members.into_members(),
    }
}

impl Tail {
    /// Stores a member of the document, or returns why it is invalid.
    pub(super) fn member(&mut self, name: String, raw: &RawValue) -> Result<(), &'static str> {
        match &*name {
            "source" => {
                let members = Object::of(raw).ok_or("\"source\" is not an object")?;
                self.source = Some(source(members));
            }
            "omitted" => {
                let mut all_objects = true;
                let list = each(raw, |raw| match Object::of(raw) {
                    Some(members) => self.omitted.push(omitted(members)),
                    None => all_objects = false,
                });
                if list.is_err() || !all_objects {
                    return Err("\"omitted\" is not a list of objects");
                }
            }
            _ => self.unknown.push(name, JsonValue::of(raw)),
        }
        Ok(())
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.source.is_none() && self.omitted.is_empty() && self.unknown.is_empty()
    }
}
