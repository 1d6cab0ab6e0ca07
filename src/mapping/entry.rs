//! One hypervisor of a document: its JSON text, and what is understood of it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json::{Object, Value, text};
use super::{Attributes, Fault, Guest, GuestState, Hypervisor, Layout, Omitted, Parent, Source, Tail};

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

    /// Whom it is about, or why that can't be said: without an id the entry is of no use.
    pub fn id(&self) -> Result<Id<'a>, Fault> {
        self.whom().map_err(|reason| self.fault(None, reason))
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

    /// All of it, and the guests that can't be used.
    pub fn read(&self) -> Result<(Hypervisor, Vec<Fault>), Fault> {
        let id = match self.id()? {
            Id::Local => None,
            Id::Host(id) => Some(id.into_owned()),
        };
        let mut members = self.members.clone();
        members.take("uuid");
        members.take("hypervisorId");
        let fault = |reason: &str| self.fault(id.clone(), reason.into());
        let guests = match (members.take("guests"), members.take("guestIds")) {
            (Some(guests), None) | (None, Some(guests)) => guests,
            (None, None) => return Err(fault("it has no list of guests")),
            _ => return Err(fault("it has both \"guests\" and \"guestIds\"")),
        };
        let Ok(guests) = serde_json::from_str::<Vec<&RawValue>>(guests.get()) else {
            return Err(fault("its guests are no list"));
        };
        let mut hypervisor = Hypervisor {
            guests: Vec::with_capacity(guests.len()),
            name: members.take_text("name"),
            facts: members
                .take_object("facts")
                .map(Object::into_members)
                .unwrap_or_default(),
            parent: members.take_object("parent").map(parent),
            unknown: members.into_members(),
            id,
        };
        let mut faults = Vec::new();
        for (raw, number) in guests.into_iter().zip(1..) {
            match guest(raw) {
                Ok(guest) => hypervisor.guests.push(guest),
                Err(wrong) => faults.push(self.guest_fault(number, &wrong, &hypervisor)),
            }
        }
        Ok((hypervisor, faults))
    }

    fn fault(&self, id: Option<String>, reason: String) -> Fault {
        Fault {
            at: self.at,
            kind: Omitted::HOST,
            id,
            name: self.name().map(Cow::into_owned),
            reason,
        }
    }

    /// A guest that can't be used has no id by which to call it, so its place tells which one it is.
    fn guest_fault(&self, number: usize, wrong: &str, host: &Hypervisor) -> Fault {
        let known = host.name.as_ref().or(host.id.as_ref());
        let host = known.map_or("this machine", String::as_str);
        Fault {
            at: self.at,
            kind: Omitted::GUEST,
            id: None,
            name: None,
            reason: format!("number {number} of {host}: {wrong}"),
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
            Some(b'"') => "no valid text",
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b't' | b'f') => "a truth value",
            _ => "a number",
        },
    }
}

fn guest(raw: &RawValue) -> Result<Guest, String> {
    let Some(mut members) = Object::of(raw) else {
        return Err(format!("it is {}, not an object", shown(raw)));
    };
    if members.doubled(&["guestId"]).is_some() {
        return Err("it has two members \"guestId\"".into());
    }
    let id = match members.take("guestId").map(|raw| (raw, text(raw))) {
        Some((_, Some(id))) if !id.is_empty() => id.into_owned(),
        Some((raw, _)) => return Err(format!("its id is {}", shown(raw))),
        None => return Err("it has no guestId".into()),
    };
    let state = members.get("state").and_then(|raw| raw.get().parse().ok());
    let state = state.and_then(GuestState::from_number);
    if state.is_some() {
        members.take("state");
    }
    Ok(Guest {
        id,
        state: state.unwrap_or_default(),
        attributes: members
            .take_object("attributes")
            .map(attributes)
            .unwrap_or_default(),
        name: members.take_text("name"),
        moref: members.take_text("moref"),
        uuid: members.take_text("uuid"),
        unknown: members.into_members(),
    })
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
        unknown: members.into_members(),
    }
}

fn omitted(mut members: Object<'_>) -> Omitted {
    Omitted {
        kind: members.take_text("kind").unwrap_or_default().into(),
        id: members.take_text("id"),
        name: members.take_text("name"),
        stage: members.take_text("stage").unwrap_or_default().into(),
        reason: members.take_text("reason").unwrap_or_default(),
        unknown: members.into_members(),
    }
}

impl Tail {
    /// Takes a member of the document; on failure tells what is wrong with it.
    pub(super) fn member(&mut self, name: String, raw: &RawValue) -> Result<(), &'static str> {
        match &*name {
            "source" if self.source.is_some() => return Err("there are two members \"source\""),
            "source" => {
                let members = Object::of(raw).ok_or("\"source\" is not an object")?;
                self.source = Some(source(members));
            }
            "omitted" if !self.omitted.is_empty() => return Err("there are two members \"omitted\""),
            "omitted" => {
                let list: Vec<Object<'_>> =
                    serde_json::from_str(raw.get()).map_err(|_| "\"omitted\" is not a list of objects")?;
                self.omitted = list.into_iter().map(omitted).collect();
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
