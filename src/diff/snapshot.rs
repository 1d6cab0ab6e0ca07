//! What a comparison needs of a document.

use std::borrow::Cow;

use crate::mapping::{Attributes, Guest, GuestState, Hypervisor, Members, Parent};

/// The most different attributes that are looked through for an equal one. Nearly all guests share a few.
const SHARED_ATTRIBUTES: usize = 32;

/// The hypervisors and guests of a document, in little memory.
#[derive(Debug, Default)]
pub struct Snapshot {
    hosts: Vec<Host>,
    guests: Vec<GuestRow>,
    /// The attributes of guests; equal ones are usually stored once.
    attributes: Vec<Attributes>,
    /// The ids and names of the guests.
    text: String,
}

#[derive(Debug)]
struct Host {
    id: Option<Box<str>>,
    /// The id in lower case, if that is different.
    folded: Option<Box<str>>,
    name: Option<Box<str>>,
    facts: Members,
    parent: Option<Box<str>>,
    guests: u32,
}

/// A part of [`Snapshot::text`]. A document has at most 256 MiB.
#[derive(Debug, Clone, Copy)]
struct Span {
    begin: u32,
    end: u32,
}

#[derive(Debug)]
struct GuestRow {
    id: Span,
    /// The id in lower case. It is the same part of the text if the id already is.
    folded: Span,
    name: Option<Span>,
    host: u32,
    attributes: u32,
    state: Option<GuestState>,
}

/// A hypervisor of a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct HostRef<'s>(&'s Host);

/// A guest of a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct GuestRef<'s> {
    snapshot: &'s Snapshot,
    row: &'s GuestRow,
}

impl Snapshot {
    /// Adds a hypervisor with its guests.
    pub fn add(&mut self, hypervisor: Hypervisor) {
        let host = self.hosts.len() as u32;
        let Hypervisor {
            id,
            name,
            guests,
            facts,
            parent,
            ..
        } = hypervisor;
        self.hosts.push(Host {
            folded: id.as_deref().and_then(folded).map(String::into_boxed_str),
            id: id.map(String::into_boxed_str),
            name: name.map(String::into_boxed_str),
            facts,
            parent: parent.and_then(parent_name).map(String::into_boxed_str),
            guests: guests.len() as u32,
        });
        for guest in guests {
            self.add_guest(guest, host);
        }
    }

    fn add_guest(&mut self, guest: Guest, host: u32) {
        let id = self.store(&guest.id);
        let row = GuestRow {
            id,
            folded: match folded(&guest.id) {
                Some(folded) => self.store(&folded),
                None => id,
            },
            name: guest.name.map(|name| self.store(&name)),
            host,
            attributes: self.store_attributes(guest.attributes),
            state: guest.state,
        };
        self.guests.push(row);
    }

    fn store(&mut self, text: &str) -> Span {
        let begin = self.text.len() as u32;
        self.text.push_str(text);
        Span {
            begin,
            end: self.text.len() as u32,
        }
    }

    fn store_attributes(&mut self, attributes: Attributes) -> u32 {
        let shared = self.attributes.iter().take(SHARED_ATTRIBUTES);
        let index = shared.clone().position(|own| *own == attributes);
        let index = index.unwrap_or_else(|| {
            self.attributes.push(attributes);
            self.attributes.len() - 1
        });
        index as u32
    }

    fn text(&self, span: Span) -> &str {
        &self.text[span.begin as usize..span.end as usize]
    }

    /// The hypervisors.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = HostRef<'_>> {
        self.hosts.iter().map(HostRef)
    }

    /// The guests.
    pub fn guests(&self) -> impl ExactSizeIterator<Item = GuestRef<'_>> {
        let snapshot = self;
        self.guests.iter().map(move |row| GuestRef { snapshot, row })
    }
}

impl FromIterator<Hypervisor> for Snapshot {
    fn from_iter<I: IntoIterator<Item = Hypervisor>>(hypervisors: I) -> Self {
        let mut snapshot = Snapshot::default();
        hypervisors
            .into_iter()
            .for_each(|hypervisor| snapshot.add(hypervisor));
        snapshot
    }
}

impl<'s> HostRef<'s> {
    /// The id as it is written; `None` for this machine itself.
    pub fn id(&self) -> Option<&'s str> {
        self.0.id.as_deref()
    }

    /// The name, if the document has it.
    pub fn name(&self) -> Option<&'s str> {
        self.0.name.as_deref()
    }

    /// The number of guests.
    pub fn guests(&self) -> usize {
        self.0.guests as usize
    }

    /// The id in lower case.
    pub(super) fn key(&self) -> Option<&'s str> {
        self.0.folded.as_deref().or(self.id())
    }

    pub(super) fn facts(&self) -> &'s Members {
        &self.0.facts
    }

    /// The name of the cluster, or its id if it has no name.
    pub(super) fn parent(&self) -> Option<&'s str> {
        self.0.parent.as_deref()
    }
}

impl<'s> GuestRef<'s> {
    /// The id as it is written.
    pub fn id(&self) -> &'s str {
        self.snapshot.text(self.row.id)
    }

    /// The name, if the document has it.
    pub fn name(&self) -> Option<&'s str> {
        self.row.name.map(|name| self.snapshot.text(name))
    }

    /// The state, if the document has it.
    pub fn state(&self) -> Option<GuestState> {
        self.row.state
    }

    /// The hypervisor on which it is.
    pub fn host(&self) -> HostRef<'s> {
        HostRef(&self.snapshot.hosts[self.row.host as usize])
    }

    /// The id in lower case.
    pub(super) fn key(&self) -> &'s str {
        self.snapshot.text(self.row.folded)
    }

    pub(super) fn attributes(&self) -> &'s Attributes {
        &self.snapshot.attributes[self.row.attributes as usize]
    }
}

/// The text in lower case, if that is different.
fn folded(text: &str) -> Option<String> {
    let is_folded = text
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    match is_folded {
        true => None,
        false => Some(text.to_lowercase()).filter(|folded| folded != text),
    }
}

fn parent_name(parent: Parent) -> Option<String> {
    parent.name.or(parent.id)
}

/// The text of a fact or an attribute. `1` and `"1"` are the same, because a server stores both as text.
pub(super) fn as_text(value: &crate::mapping::JsonValue) -> Cow<'_, str> {
    match value.text() {
        Some(text) => text.into(),
        None => serde_json::to_string(value).unwrap_or_default().into(),
    }
}
