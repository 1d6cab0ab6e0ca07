//! One hypervisor of a document: its JSON text, and what is understood of it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::fault::Bounded;
use super::json::{Object, Value, each, text};
use super::{
    Attributes, Concerns, Fault, Guest, GuestState, Hypervisor, Layout, LeftOut, Omitted, Parent, Source,
    Tail, flaw,
};

/// One hypervisor as the document has it.
#[derive(Debug)]
pub struct Entry<'a> {
    at: u64,
    text: &'a str,
    members: Object<'a>,
}

/// Whom an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id<'a> {
    /// This machine itself: `guests` is the entry's only member.
    Local,
    /// The hypervisor of this id, which is not empty.
    Host(Cow<'a, str>),
}

/// A hypervisor, and what is wrong with it. Of many faults of one kind only the first are named.
#[derive(Debug)]
pub struct Read {
    /// The hypervisor.
    pub hypervisor: Hypervisor,
    /// The guests that can't be used.
    pub faults: Vec<Fault>,
    /// States and facts that are not what they should be.
    pub flaws: Vec<Fault>,
}

/// The members that may stand in an entry only once.
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

    /// The byte of the stream where it begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Its JSON text, without blanks between the tokens.
    pub fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn members(&self) -> &Object<'a> {
        &self.members
    }

    /// The layout in which it is written.
    pub fn layout(&self) -> Layout {
        match self.members.has("hypervisorId") || self.members.has("guestIds") {
            true => Layout::Checkin,
            false => Layout::Mapping,
        }
    }

    /// Whom it is about, or why the entry is of no use: it has no id, or no list of guests.
    pub fn id(&self) -> Result<Id<'a>, Fault> {
        let whom = self.whom().map_err(|reason| self.fault(None, reason))?;
        match (self.guests(), &whom) {
            (Ok(_), _) => Ok(whom),
            (Err(reason), Id::Host(id)) => Err(self.fault(Some(id.clone().into_owned()), reason.into())),
            (Err(reason), Id::Local) => Err(self.fault(None, reason.into())),
        }
    }

    /// The text of its list of guests, or why it has none.
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

    fn whom(&self) -> Result<Id<'a>, String> {
        let members = &self.members;
        if members.0.len() == 1 && (members.has("guests") || members.has("guestIds")) {
            return Ok(Id::Local);
        }
        if let Some(name) = members.doubled(&ONCE) {
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

    /// Its name, when it has one.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        self.members.get("name").and_then(text)
    }

    /// What it stands in, when it says so.
    pub fn parent(&self) -> Option<Parent> {
        Object::of(self.members.get("parent")?).map(parent)
    }

    /// All of it, and what is wrong with it.
    pub fn read(&self) -> Result<Read, Fault> {
        let id = match self.id()? {
            Id::Local => None,
            Id::Host(id) => Some(id.into_owned()),
        };
        let mut members = self.members.clone();
        for known in ["uuid", "hypervisorId", "guests", "guestIds"] {
            members.take(known);
        }
        let facts = members.get("facts").and_then(flaw::facts);
        if facts.is_some() {
            members.take("facts");
        }
        let (facts, wrong_facts) = facts.unwrap_or_default();
        let mut hypervisor = Hypervisor {
            guests: Vec::new(),
            name: members.take_text("name"),
            facts,
            parent: members.take_object("parent").map(parent),
            unknown: members.into_members(),
            id,
        };
        let (mut faults, mut flaws) = (Bounded::of_hypervisor(), Bounded::of_hypervisor());
        for (reason, count) in wrong_facts {
            flaws.push_with(Concerns::Fact, count, || Fault {
                about: Concerns::Fact,
                count,
                ..self.fault(hypervisor.id.clone(), reason)
            });
        }
        let mut number = 0;
        let mut guests = Vec::new();
        let add = |raw| {
            number += 1;
            match guest(raw) {
                Ok((guest, None)) => guests.push(guest),
                Ok((guest, Some(wrong))) => {
                    flaws.push_with(Concerns::State, 1, || {
                        self.state_flaw(&guest, &wrong, &hypervisor)
                    });
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
        // In a reporter all of them are in memory at once.
        guests.shrink_to_fit();
        hypervisor.guests = guests;
        Ok(Read {
            hypervisor,
            faults: faults.into_vec(),
            flaws: flaws.into_vec(),
        })
    }

    /// What is wrong with the guests and facts of an entry that has an id; a look that finds nothing is cheap.
    pub fn inspect(&self) -> Vec<Fault> {
        let facts = self.members.get("facts");
        if self.guests().is_ok_and(flaw::are_guests_well) && facts.is_none_or(flaw::are_facts_well) {
            return Vec::new();
        }
        match self.read() {
            Ok(Read {
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

    /// A guest that can't be used has no id by which to call it, so its place tells which one it is.
    fn guest_fault(&self, number: usize, wrong: &str, host: &Hypervisor) -> Fault {
        let known = host.name.as_ref().or(host.id.as_ref());
        let (known, host) = (known.map_or("this machine", String::as_str), host.id.clone());
        Fault {
            at: self.at,
            about: Concerns::Guest,
            id: None,
            name: None,
            host,
            reason: format!("number {number} of {known}: {wrong}"),
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

/// A value as a message shows it.
fn shown(raw: &RawValue) -> &str {
    match raw.get() {
        "\"\"" => "empty",
        "null" => "null",
        other => match other.as_bytes().first() {
            Some(b'"') if text(raw).is_some() => "a text",
            Some(b'"') => "not valid text",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b't' | b'f') => "a truth value",
            _ => "a number",
        },
    }
}

/// The guest, and what is wrong with its state.
fn guest(raw: &RawValue) -> Result<(Guest, Option<String>), String> {
    let Some(mut members) = Object::of(raw) else {
        return Err(match raw.get().starts_with('{') {
            true => "the name of a member is not valid text".into(),
            false => format!("it is {}, not an object", shown(raw)),
        });
    };
    if members.doubled(&["guestId"]).is_some() {
        return Err("it has two members \"guestId\"".into());
    }
    let id = match members.take("guestId").map(|raw| (raw, text(raw))) {
        Some((_, Some(id))) if !id.is_empty() => id.into_owned(),
        Some((raw, _)) => return Err(format!("its id is {}", shown(raw))),
        None => return Err("it has no guestId".into()),
    };
    let (state, wrong) = match flaw::state(&members) {
        Ok(state) => (state, None),
        Err(wrong) => (GuestState::None, Some(wrong)),
    };
    // What is written in another way is kept as it is.
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
        virt_who_type: members.take_text("virtWhoType").map(interned),
        unknown: members.into_members(),
    }
}

/// Nearly all guests come from the same few sources.
fn interned(kind: String) -> Cow<'static, str> {
    match kind.as_str() {
        "esx" => "esx".into(),
        _ => kind.into(),
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
    /// Takes a member of the document; on failure tells what is wrong with it.
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
            _ => self.unknown.push(name, Value::of(raw)),
        }
        Ok(())
    }

    /// Whether a document needs no tail.
    pub fn is_empty(&self) -> bool {
        self.source.is_none() && self.omitted.is_empty() && self.unknown.is_empty()
    }
}
