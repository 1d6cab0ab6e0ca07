//! The mapping: the JSON document that the commands exchange, which says which guest runs on which hypervisor (vw-mapping(5)).
//!
//! [`Reader`] reads a stream of documents, with one hypervisor in memory at a time. An [`Entry`] is the JSON text of a hypervisor
//! with access to a few members; [`Entry::read`] turns it into a [`Hypervisor`]. [`Reader::next_mapping`] reads a whole
//! [`Mapping`]. [`Writer`] writes a document hypervisor by hypervisor. Unknown members are kept as they were written.
//!
//! Accepted: documents one after another, with or without white space between them, and a byte order mark before a document.
//!
//! Refused: invalid UTF-8, invalid JSON, anything else between documents, and a second `hypervisors`, `source` or `omitted`. In a
//! hypervisor a second member with a known name is a fault; other repeated members are kept.
//!
//! An error in one hypervisor or guest, such as a missing id, is a [`Fault`]: that hypervisor or guest is named and left out. An
//! invalid state or fact affects only itself.

mod clones;
mod entry;
mod error;
mod fault;
mod flaw;
mod hypervisor_id;
mod inventory;
mod json;
mod left_out;
mod read;
mod reportable;
mod split;
mod usual;
mod write;

use std::borrow::Cow;
use std::fmt;

pub use self::clones::{Copies, SharedGuest};
pub use self::entry::{Entry, Id, ReadEntry};
pub use self::error::{Error, Limit};
pub use self::fault::BoundedFaults;
pub use self::hypervisor_id::{HypervisorId, SharedId, UnknownHypervisorId};
pub use self::inventory::Inventory;
pub use self::json::{JsonValue, Members};
pub use self::left_out::{LeftOut, Omitted};
pub use self::read::{Document, Reader};
pub use self::reportable::{Census, Reportable};
pub use self::write::Writer;

/// The limit in bytes of one hypervisor, and of the rest of a document.
pub const MAX_BYTES: usize = 64 << 20;

/// The limit of members and list elements in one hypervisor, and in the rest of a document.
pub const MAX_PARTS: usize = 1 << 20;

/// The limit in bytes of a document that is read as a whole.
pub const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

/// The limit of members and list elements in a document that is read as a whole.
pub const MAX_DOCUMENT_PARTS: usize = 4 << 20;

/// The limit of nested brackets, including the document's own.
pub const MAX_DEPTH: usize = 128;

/// The layout of hypervisors in a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Ours: `uuid`, `guests`, with `source`, `parent` and `omitted`.
    #[default]
    Mapping,
    /// That of virt-who's `-p` and of Candlepin's check-in: `hypervisorId.hypervisorId`, `guestIds`, and none of our members.
    Checkin,
}

/// The formatting of JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// On one line, without spaces.
    #[default]
    Compact,
    /// Indented by two spaces.
    Pretty,
}

/// A host and the guests on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hypervisor {
    /// The uuid, host name or managed object id, whichever the scan was configured to use; never empty. `None` means this machine
    /// itself, for which only the guests are known.
    pub id: Option<String>,
    /// The host's name.
    pub name: Option<String>,
    /// The guests, running or not.
    pub guests: Vec<Guest>,
    /// Facts for the subscription service, such as `cpu.cpu_socket(s)`. In virt-who all of them are strings.
    pub facts: Members,
    /// The host's cluster or compute resource. It is never sent to a server.
    pub parent: Option<Parent>,
    /// Unknown members.
    pub unknown: Members,
}

impl Hypervisor {
    /// A hypervisor without guests.
    pub fn new(id: impl Into<String>) -> Self {
        Hypervisor {
            id: Some(id.into()),
            ..Hypervisor::default()
        }
    }

    /// The entry of this machine itself.
    pub fn local(guests: Vec<Guest>) -> Self {
        Hypervisor {
            guests,
            ..Hypervisor::default()
        }
    }

    /// The name, otherwise the id, for messages.
    pub fn label(&self) -> &str {
        let label = self.name.as_ref().or(self.id.as_ref());
        label.map_or("this machine", String::as_str)
    }

    /// Whether it is this machine itself.
    pub fn is_local(&self) -> bool {
        self.id.is_none()
    }
}

/// A virtual machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guest {
    /// The uuid in the guest's own DMI table; never empty.
    pub id: String,
    /// Its state. `None` means that the document does not say, as after a read-back from a server that stores no states. An
    /// invalid one is read as `None` and kept in `unknown`. A number in an unusual notation, such as `1.0`, is kept there too.
    pub state: Option<GuestState>,
    /// Attributes, as virt-who writes them.
    pub attributes: Attributes,
    /// Its name in the inventory. It is never sent to a server.
    pub name: Option<String>,
    /// Its managed object id. It is never sent to a server.
    pub moref: Option<String>,
    /// Its uuid as vSphere shows it. It is never sent to a server.
    pub uuid: Option<String>,
    /// Unknown members.
    pub unknown: Members,
}

impl Guest {
    /// A guest with virt-who's attributes. `kind` is virt-who's type of the source, such as `esx`.
    pub fn new(id: impl Into<String>, state: GuestState, kind: impl Into<Cow<'static, str>>) -> Self {
        Guest {
            id: id.into(),
            state: Some(state),
            attributes: Attributes {
                active: Some(state.is_active()),
                virt_who_type: Some(kind.into()),
                unknown: Members::new(),
            },
            ..Guest::default()
        }
    }

    /// Whether it is known to run.
    pub fn is_running(&self) -> bool {
        self.state == Some(GuestState::Running)
    }
}

/// A guest's state, with virt-who's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum GuestState {
    /// No state, or an unknown one.
    #[default]
    None = 0,
    /// Powered on.
    Running = 1,
    /// Waiting for a resource.
    Blocked = 2,
    /// Suspended by its host.
    Paused = 3,
    /// Being shut down.
    ShuttingDown = 4,
    /// Powered off.
    ShutOff = 5,
    /// Crashed.
    Crashed = 6,
    /// Suspended by the guest itself.
    PmSuspended = 7,
}

impl GuestState {
    /// All states in the order of their numbers.
    pub const ALL: [GuestState; 8] = [
        GuestState::None,
        GuestState::Running,
        GuestState::Blocked,
        GuestState::Paused,
        GuestState::ShuttingDown,
        GuestState::ShutOff,
        GuestState::Crashed,
        GuestState::PmSuspended,
    ];

    /// The number in the document.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The state with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The state as people call it.
    pub fn words(self) -> &'static str {
        match self {
            GuestState::None => "no state",
            GuestState::Running => "running",
            GuestState::Blocked => "blocked",
            GuestState::Paused => "paused",
            GuestState::ShuttingDown => "shutting down",
            GuestState::ShutOff => "shut off",
            GuestState::Crashed => "crashed",
            GuestState::PmSuspended => "suspended",
        }
    }

    /// Whether virt-who counts the guest as active.
    pub fn is_active(self) -> bool {
        matches!(self, GuestState::Running | GuestState::Paused)
    }
}

impl fmt::Display for GuestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// The `attributes` of a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Whether the guest is running or paused; 1 and 0 in the document.
    pub active: Option<bool>,
    /// virt-who's type of the source, such as `esx`.
    pub virt_who_type: Option<Cow<'static, str>>,
    /// Unknown members.
    pub unknown: Members,
}

impl Attributes {
    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        *self == Attributes::default()
    }
}

/// A host's cluster, or the compute resource of a host outside clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parent {
    /// Its managed object id, such as `domain-c7`.
    pub id: Option<String>,
    /// Its managed object type, such as `ClusterComputeResource`; `type` in the document.
    pub kind: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Unknown members.
    pub unknown: Members,
}

/// The origin of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The section of the configuration.
    pub section: Option<String>,
    /// virt-who's type of the source, such as `esx`; `type` in the document.
    pub kind: Option<String>,
    /// The server that was read.
    pub server: Option<String>,
    /// The server's own id; `instanceUuid` in the document.
    pub instance_uuid: Option<String>,
    /// The time of the scan in RFC 3339 format, in UTC: `2026-08-01T12:00:00Z`.
    pub time: Option<String>,
    /// The section whose filters have been applied to the document.
    pub filtered: Option<String>,
    /// A stage that left out a host and did not write it to `omitted`, or that may have: see [`Tail::mark_unlisted`].
    pub unlisted: Option<String>,
    /// Unknown members.
    pub unknown: Members,
}

/// What is unusable because of a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerns {
    /// A hypervisor.
    Host,
    /// A guest.
    Guest,
    /// The state of a guest, which is then unknown.
    State,
    /// A fact of a hypervisor.
    Fact,
}

impl Concerns {
    /// The `kind` in `omitted`.
    pub fn kind(self) -> &'static str {
        match self {
            Concerns::Guest | Concerns::State => LeftOut::GUEST,
            Concerns::Host | Concerns::Fact => LeftOut::HOST,
        }
    }
}

/// An error in one hypervisor or guest of the input. The rest of the document is usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The byte of the stream where the hypervisor begins.
    pub at: u64,
    /// What is unusable.
    pub about: Concerns,
    /// The hypervisor's id, unless the id itself is invalid.
    pub id: Option<String>,
    /// The hypervisor's name.
    pub name: Option<String>,
    /// The id of the hypervisor, also if the fault is about one of its guests.
    pub host: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// The number of hypervisors, guests, states or facts with such a fault. It is more than 1 if the others are only counted.
    pub count: usize,
}

impl Fault {
    /// The reason, with the number of other such faults.
    pub fn counted_reason(&self) -> String {
        match self.count {
            0 | 1 => self.reason.clone(),
            count => format!("{} (and {} more like this)", self.reason, count - 1),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // For a state or fact, the hypervisor is named.
        f.write_str(match self.about {
            Concerns::Guest => "guest ",
            _ => "host ",
        })?;
        if let Some(known) = self.name.as_ref().or(self.id.as_ref()) {
            write!(f, "{known} ")?;
        }
        write!(f, "at byte {}: {}", self.at, self.counted_reason())
    }
}

/// The members of a document other than its hypervisors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// The origin of the document.
    pub source: Option<Source>,
    /// What the stages left out.
    pub omitted: Vec<Omitted>,
    /// Unknown members.
    pub unknown: Members,
}

impl Tail {
    /// Says that more may have been left out than `omitted` lists, as far as this stage knows. So it is if the document was read in
    /// the check-in layout, which does not say what was left out.
    pub fn mark_unlisted(&mut self, stage: &str) {
        let source = self.source.get_or_insert_default();
        source.unlisted.get_or_insert_with(|| stage.to_owned());
    }
}

/// A whole document, for a command that needs all of it before it acts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    /// The layout of its first usable entry.
    pub layout: Layout,
    /// The hypervisors in the document's order.
    pub hypervisors: Vec<Hypervisor>,
    /// Unusable hypervisors and guests.
    pub faults: Vec<Fault>,
    /// Invalid states and facts of usable hypervisors and guests.
    pub flaws: Vec<Fault>,
    /// The other members.
    pub tail: Tail,
}

impl Mapping {
    /// Whether the document lists a hypervisor, usable or not. This machine itself does not count.
    pub fn has_hypervisors(&self) -> bool {
        let is_host = |fault: &Fault| fault.about == Concerns::Host;
        self.hypervisors.iter().any(|hypervisor| !hypervisor.is_local()) || self.faults.iter().any(is_host)
    }

    /// The ids of all hypervisors that the document mentions, usable or left out. Names of those left out by a stage count too:
    /// the id that a server knows may be the name.
    pub fn mentioned(&self) -> impl Iterator<Item = &str> {
        let hypervisors = self
            .hypervisors
            .iter()
            .filter_map(|hypervisor| hypervisor.id.as_deref());
        let faults = self.faults.iter().filter_map(|fault| fault.id.as_deref());
        let omitted = self.tail.omitted.iter().flat_map(|omitted| {
            let LeftOut { id, name, .. } = &omitted.left_out;
            id.iter().chain(name).map(String::as_str)
        });
        hypervisors.chain(faults).chain(omitted)
    }

    /// Whether the document lists the guests of this machine itself.
    pub fn has_local(&self) -> bool {
        self.hypervisors.iter().any(Hypervisor::is_local)
    }

    /// Sorts everything into the fixed order: this machine itself, then hypervisors by id, and guests by id, all bytewise.
    ///
    /// Hypervisors or guests with equal ids keep their order.
    pub fn sort(&mut self) {
        sort(&mut self.hypervisors);
    }
}

/// Sorts hypervisors and their guests like [`Mapping::sort`].
pub fn sort(hypervisors: &mut [Hypervisor]) {
    hypervisors.sort_by(|one, other| one.id.cmp(&other.id));
    for hypervisor in hypervisors {
        hypervisor.guests.sort_by(|one, other| one.id.cmp(&other.id));
    }
}

#[cfg(test)]
mod tests;
