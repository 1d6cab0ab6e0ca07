//! Writes a document hypervisor by hypervisor.

use std::io::{self, Write};

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::json::{Object, indent};
use super::{
    Attributes, Entry, Error, Guest, GuestState, Hypervisor, Layout, LeftOut, Omitted, Parent, Source, Style,
    Tail,
};

/// A document while it is being written.
///
/// Only [`Writer::finish`] writes the closing brackets. If the writer is dropped earlier, the output is empty or incomplete JSON,
/// so the next stage knows that this one failed.
///
/// ```
/// use vw::mapping::{Guest, GuestState, Hypervisor, Layout, Style, Tail, Writer};
///
/// let mut text = Vec::new();
/// let mut writer = Writer::new(&mut text, Layout::Mapping, Style::Compact);
/// let mut hypervisor = Hypervisor::new("one");
/// hypervisor.facts.set("hypervisor.type", "VMware ESXi");
/// hypervisor.guests.push(Guest::new("two", GuestState::Running, "esx"));
/// writer.hypervisor(&hypervisor)?;
/// writer.finish(&Tail::default())?;
/// assert!(text.starts_with(br#"{"hypervisors":[{"uuid":"one","guests":[{"guestId":"two","state":1"#));
/// # Ok::<(), vw::mapping::Error>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    layout: Layout,
    style: Style,
    with_omitted: bool,
    with_guest_names: bool,
    entries: usize,
    /// A buffer for one entry.
    text: Vec<u8>,
    /// A buffer for the same entry with indentation.
    indented: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Creates a writer. Nothing is written yet.
    pub fn new(out: W, layout: Layout, style: Style) -> Self {
        Writer {
            out,
            layout,
            style,
            with_omitted: true,
            with_guest_names: true,
            entries: 0,
            text: Vec::new(),
            indented: Vec::new(),
        }
    }

    /// Sets whether the document has `omitted`. The default is true.
    pub fn with_omitted(self, with_omitted: bool) -> Self {
        Writer { with_omitted, ..self }
    }

    /// Sets whether guests have `name`, `moref` and `uuid`, if they are known. The default is true. It concerns only hypervisors, not
    /// entries, which are written as they are.
    pub fn with_guest_names(self, with_guest_names: bool) -> Self {
        Writer {
            with_guest_names,
            ..self
        }
    }

    /// Changes the layout of the following hypervisors, for example to that of the input once it is known.
    pub fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    /// What it writes to.
    pub fn output(&self) -> &W {
        &self.out
    }

    /// Whether the document has `omitted`, which the check-in layout never has.
    pub fn writes_omitted(&self) -> bool {
        self.with_omitted && self.layout == Layout::Mapping
    }

    /// Writes a hypervisor.
    pub fn hypervisor(&mut self, hypervisor: &Hypervisor) -> Result<(), Error> {
        let form = Form {
            layout: self.layout,
            guest_names: self.with_guest_names,
        };
        let value = Laid(hypervisor, form);
        self.with_text(|text| serde_json::to_writer(text, &value))
    }

    /// Writes a hypervisor as it was read, or converts it to this document's layout.
    pub fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        if entry.layout() == self.layout {
            return self.element(entry.text().as_bytes());
        }
        let value = Converted(entry.members(), self.layout);
        self.with_text(|text| serde_json::to_writer(text, &value))
    }

    /// Writes the rest of the document, and flushes.
    ///
    /// The check-in layout has no `source` and no `omitted`.
    pub fn finish(mut self, tail: &Tail) -> Result<(), Error> {
        if self.entries == 0 {
            self.put(self.opening().as_bytes())?;
        } else if self.style == Style::Pretty {
            self.put(b"\n  ")?;
        }
        self.put(b"]")?;
        let ours = self.layout == Layout::Mapping;
        // Whoever deletes what is missing must know that it may only be left out.
        let unlisted = match self.with_omitted {
            true => None,
            false => tail.omitted.iter().find(|omitted| omitted.is_host()),
        };
        let marked = unlisted.map(|omitted| Source {
            unlisted: Some(omitted.stage.to_string()),
            ..tail.source.clone().unwrap_or_default()
        });
        if let (Some(source), true) = (marked.as_ref().or(tail.source.as_ref()), ours) {
            self.member("source", source)?;
        }
        if !tail.omitted.is_empty() && self.writes_omitted() {
            self.member("omitted", &tail.omitted)?;
        }
        for (name, value) in tail.unknown.iter() {
            self.member(name, value)?;
        }
        self.put(match self.style {
            Style::Compact => b"}\n",
            Style::Pretty => b"\n}\n",
        })?;
        self.out.flush().map_err(Error::Write)
    }

    fn opening(&self) -> &'static str {
        match self.style {
            Style::Compact => "{\"hypervisors\":[",
            Style::Pretty => "{\n  \"hypervisors\": [",
        }
    }

    /// Writes an entry, which `fill` writes into the buffer.
    fn with_text(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), serde_json::Error>,
    ) -> Result<(), Error> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        fill(&mut text).map_err(unwritable)?;
        self.element(&text)?;
        self.text = text;
        Ok(())
    }

    fn element(&mut self, text: &[u8]) -> Result<(), Error> {
        let before = if self.entries == 0 { self.opening() } else { "," };
        self.put(before.as_bytes())?;
        self.entries += 1;
        match self.style {
            Style::Compact => self.put(text),
            Style::Pretty => {
                self.put(b"\n    ")?;
                self.put_indented(text, 2)
            }
        }
    }

    fn member(&mut self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let name = serde_json::to_vec(name).map_err(unwritable)?;
        let value = serde_json::to_vec(value).map_err(unwritable)?;
        let (before, between): (&[u8], &[u8]) = match self.style {
            Style::Compact => (b",", b":"),
            Style::Pretty => (b",\n  ", b": "),
        };
        for part in [before, &name, between] {
            self.put(part)?;
        }
        match self.style {
            Style::Compact => self.put(&value),
            Style::Pretty => self.put_indented(&value, 1),
        }
    }

    fn put_indented(&mut self, text: &[u8], level: usize) -> Result<(), Error> {
        self.indented.clear();
        indent(text, level, &mut self.indented);
        self.out.write_all(&self.indented).map_err(Error::Write)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(Error::Write)
    }
}

/// Writing JSON into memory fails only if there is not enough of it.
fn unwritable(error: serde_json::Error) -> Error {
    Error::Write(io::Error::from(error))
}

/// How hypervisors and guests are written.
#[derive(Clone, Copy)]
struct Form {
    layout: Layout,
    /// Whether our layout shows the guests' names.
    guest_names: bool,
}

/// A hypervisor, or a guest, in a form.
struct Laid<'a, T>(&'a T, Form);

impl Serialize for Laid<'_, Hypervisor> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Laid(hypervisor, form) = self;
        let mut map = serializer.serialize_map(None)?;
        let guests = Laid(&hypervisor.guests, *form);
        match form.layout {
            Layout::Mapping => {
                optional(&mut map, "uuid", &hypervisor.id)?;
                map.serialize_entry("guests", &guests)?;
            }
            Layout::Checkin => {
                let id = hypervisor.id.as_ref().map(|id| CheckinId { hypervisor_id: id });
                optional(&mut map, "hypervisorId", &id)?;
                optional(&mut map, "name", &hypervisor.name)?;
                map.serialize_entry("guestIds", &guests)?;
            }
        }
        if !hypervisor.facts.is_empty() {
            map.serialize_entry("facts", &hypervisor.facts)?;
        }
        if form.layout == Layout::Mapping {
            optional(&mut map, "name", &hypervisor.name)?;
            optional(&mut map, "parent", &hypervisor.parent)?;
        }
        hypervisor.unknown.write_into(&mut map)?;
        map.end()
    }
}

impl Serialize for Laid<'_, Vec<Guest>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|guest| Laid(guest, self.1)))
    }
}

impl Serialize for Laid<'_, Guest> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Laid(guest, form) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("guestId", &guest.id)?;
        if guest.unknown.get("state").is_none() {
            optional(&mut map, "state", &guest.state.map(GuestState::number))?;
        }
        if !guest.attributes.is_empty() {
            map.serialize_entry("attributes", &guest.attributes)?;
        }
        if form.layout == Layout::Mapping && form.guest_names {
            optional(&mut map, "name", &guest.name)?;
            optional(&mut map, "moref", &guest.moref)?;
            optional(&mut map, "uuid", &guest.uuid)?;
        }
        guest.unknown.write_into(&mut map)?;
        map.end()
    }
}

#[derive(Serialize)]
struct CheckinId<T> {
    #[serde(rename = "hypervisorId")]
    hypervisor_id: T,
}

/// The members of a guest that are not part of the check-in layout.
const OURS: [&str; 3] = ["name", "moref", "uuid"];

/// An entry in the other layout: the same members with the other names.
struct Converted<'a>(&'a Object<'a>, Layout);

impl Serialize for Converted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Converted(members, layout) = self;
        let mut map = serializer.serialize_map(None)?;
        for (name, raw) in &members.0 {
            match (layout, &**name) {
                (Layout::Checkin, "uuid") => {
                    map.serialize_entry("hypervisorId", &CheckinId { hypervisor_id: raw })?;
                }
                (Layout::Checkin, "guests") => map.serialize_entry("guestIds", &WithoutOurs(raw))?,
                (Layout::Checkin, "parent") => {}
                (Layout::Mapping, "hypervisorId") => {
                    let id = Object::of(raw).and_then(|object| object.get("hypervisorId"));
                    map.serialize_entry("uuid", &id)?;
                }
                (Layout::Mapping, "guestIds") => map.serialize_entry("guests", raw)?,
                _ => map.serialize_entry(name, raw)?,
            }
        }
        map.end()
    }
}

/// A list of guests without the members in [`OURS`].
struct WithoutOurs<'a>(&'a RawValue);

impl Serialize for WithoutOurs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Ok(guests) = serde_json::from_str::<Vec<&RawValue>>(self.0.get()) else {
            return self.0.serialize(serializer);
        };
        let mut list = serializer.serialize_seq(Some(guests.len()))?;
        for guest in guests {
            match Object::of(guest) {
                Some(mut members) => {
                    members.0.retain(|(name, _)| !OURS.contains(&&**name));
                    list.serialize_element(&members)?;
                }
                None => list.serialize_element(guest)?,
            }
        }
        list.end()
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, raw)| (name, raw)))
    }
}

/// Writes an optional member.
fn optional<M: SerializeMap>(
    map: &mut M,
    name: &str,
    value: &Option<impl Serialize>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(name, value),
        None => Ok(()),
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        optional(&mut map, "active", &self.active.map(u8::from))?;
        optional(&mut map, "virtWhoType", &self.virt_who_type)?;
        self.unknown.write_into(&mut map)?;
        map.end()
    }
}

impl Serialize for Parent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        optional(&mut map, "id", &self.id)?;
        optional(&mut map, "type", &self.kind)?;
        optional(&mut map, "name", &self.name)?;
        self.unknown.write_into(&mut map)?;
        map.end()
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        optional(&mut map, "section", &self.section)?;
        optional(&mut map, "type", &self.kind)?;
        optional(&mut map, "server", &self.server)?;
        optional(&mut map, "instanceUuid", &self.instance_uuid)?;
        optional(&mut map, "time", &self.time)?;
        optional(&mut map, "filtered", &self.filtered)?;
        optional(&mut map, "unlisted", &self.unlisted)?;
        self.unknown.write_into(&mut map)?;
        map.end()
    }
}

impl Serialize for Omitted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // An empty text was missing in the input, or was not a string and is among the unknown members.
        fn text(text: &str) -> Option<&str> {
            (!text.is_empty()).then_some(text)
        }
        let LeftOut {
            kind,
            id,
            name,
            reason,
        } = &self.left_out;
        optional(&mut map, "kind", &text(kind))?;
        optional(&mut map, "id", id)?;
        optional(&mut map, "name", name)?;
        optional(&mut map, "stage", &text(&self.stage))?;
        optional(&mut map, "reason", &text(reason))?;
        self.unknown.write_into(&mut map)?;
        map.end()
    }
}
