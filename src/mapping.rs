//! The mapping: which guest runs on which hypervisor, the JSON document that the commands exchange (vw-mapping(5)).
//!
//! [`Reader`] reads a stream of documents with one hypervisor in memory at a time, as [`Entry`], which is its JSON text with
//! a few members understood; [`Entry::read`] makes a [`Hypervisor`] of it, and [`Reader::next_mapping`] a whole [`Mapping`].
//! [`Writer`] writes a document, hypervisor by hypervisor. Nothing is lost on the way: what is not understood is kept, as it was
//! written.
//!
//! What is accepted: documents one after the other, with blanks between them or not; a byte order mark before a document.
//! What is refused: bytes that are not UTF-8 or not JSON (NUL among them), a comma or any other thing between documents, a
//! second `hypervisors`, `source` or `omitted`. In a hypervisor a second member of a known name is a fault; any other second member
//! passes as it is.
//!
//! What is wrong with a single hypervisor or guest, such as a missing id, is a [`Fault`]: it can be named and left out, and the
//! others go on. A state or fact that is wrong costs only itself.

mod clones;
mod entry;
mod error;
mod fault;
mod flaw;
mod hypervisor_id;
mod json;
mod left_out;
mod read;
mod reportable;
mod split;
mod write;

use std::borrow::Cow;
use std::fmt;

pub use self::clones::{Copies, Shared};
pub use self::entry::{Entry, Id, Read};
pub use self::error::{Error, Limit};
pub use self::fault::Bounded;
pub use self::hypervisor_id::{HypervisorId, SharedId, UnknownHypervisorId};
pub use self::json::{Members, Value};
pub use self::left_out::{LeftOut, Omitted};
pub use self::read::{Document, Reader};
pub use self::reportable::{Census, Reportable};
pub use self::write::Writer;

/// The most bytes that one hypervisor may have, and all of a document together that is no hypervisor.
pub const MAX_BYTES: usize = 64 << 20;

/// The most members and list elements that one hypervisor may have, and all of a document together that is no hypervisor.
pub const MAX_PARTS: usize = 1 << 20;

/// The most bytes of a document that has to be in memory as a whole.
pub const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

/// The most members and list elements of a document that has to be in memory as a whole.
pub const MAX_DOCUMENT_PARTS: usize = 4 << 20;

/// How deep brackets may be nested, the document's own among them.
pub const MAX_DEPTH: usize = 128;

/// How hypervisors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Ours: `uuid`, `guests`, with `source`, `parent` and `omitted`.
    #[default]
    Mapping,
    /// That of virt-who's `-p` and of Candlepin's check-in: `hypervisorId.hypervisorId`, `guestIds`, and nothing that is ours.
    Checkin,
}

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// Without blanks, and a newline at the end of each document.
    #[default]
    Compact,
    /// Indented for people.
    Pretty,
}

/// A host and the guests on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hypervisor {
    /// Which of uuid, host name or managed object id was asked for, never empty; `None`: this machine itself, of which only the
    /// guests are known.
    pub id: Option<String>,
    /// The host's name, for people.
    pub name: Option<String>,
    /// The guests, running or not.
    pub guests: Vec<Guest>,
    /// What the subscription service wants to know, as `cpu.cpu_socket(s)`; texts all of them in virt-who.
    pub facts: Members,
    /// What the host stands in; never leaves for a server.
    pub parent: Option<Parent>,
    /// Members that are not known here.
    pub unknown: Members,
}

impl Hypervisor {
    /// A hypervisor without guests yet.
    pub fn new(id: impl Into<String>) -> Self {
        Hypervisor {
            id: Some(id.into()),
            ..Hypervisor::default()
        }
    }

    /// This machine itself.
    pub fn local(guests: Vec<Guest>) -> Self {
        Hypervisor {
            guests,
            ..Hypervisor::default()
        }
    }

    /// Whether it is this machine itself.
    pub fn is_local(&self) -> bool {
        self.id.is_none()
    }
}

/// A virtual machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guest {
    /// The uuid that the guest finds in its own DMI table; never empty.
    pub id: String,
    /// What it does. One that is unknown here reads as [`GuestState::None`] and is kept in `unknown`, as is a number that is
    /// written in an unusual way, such as `1.0`.
    pub state: GuestState,
    /// What virt-who says of a guest.
    pub attributes: Attributes,
    /// Its name in the inventory (`--guest-names`); never leaves for a server.
    pub name: Option<String>,
    /// Its managed object id (`--guest-names`); never leaves for a server.
    pub moref: Option<String>,
    /// Its uuid as vSphere shows it (`--guest-names`); never leaves for a server.
    pub uuid: Option<String>,
    /// Members that are not known here.
    pub unknown: Members,
}

impl Guest {
    /// A guest as virt-who describes it; `kind` is virt-who's type of the source, such as `esx`.
    pub fn new(id: impl Into<String>, state: GuestState, kind: impl Into<Cow<'static, str>>) -> Self {
        Guest {
            id: id.into(),
            state,
            attributes: Attributes {
                active: Some(state.is_active()),
                virt_who_type: Some(kind.into()),
                unknown: Members::new(),
            },
            ..Guest::default()
        }
    }
}

/// A guest's state, numbered as virt-who does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum GuestState {
    /// It has none, or one that nobody knows.
    #[default]
    None = 0,
    /// Powered on.
    Running = 1,
    /// Waiting for a resource.
    Blocked = 2,
    /// Suspended by its host.
    Paused = 3,
    /// On its way down.
    ShuttingDown = 4,
    /// Powered off.
    ShutOff = 5,
    /// Ended by a failure.
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

    /// The state of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether virt-who counts the guest as active.
    pub fn is_active(self) -> bool {
        matches!(self, GuestState::Running | GuestState::Paused)
    }
}

impl fmt::Display for GuestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GuestState::None => "no state",
            GuestState::Running => "running",
            GuestState::Blocked => "blocked",
            GuestState::Paused => "paused",
            GuestState::ShuttingDown => "shutting down",
            GuestState::ShutOff => "shut off",
            GuestState::Crashed => "crashed",
            GuestState::PmSuspended => "suspended",
        })
    }
}

/// The `attributes` of a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Whether the guest is running or paused; 1 and 0 in the document.
    pub active: Option<bool>,
    /// virt-who's type of the source, such as `esx`.
    pub virt_who_type: Option<Cow<'static, str>>,
    /// Members that are not known here.
    pub unknown: Members,
}

impl Attributes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Attributes::default()
    }
}

/// What a host stands in: its cluster, or a compute resource of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parent {
    /// Its managed object id, such as `domain-c7`.
    pub id: Option<String>,
    /// Its managed object type, such as `ClusterComputeResource`; `type` in the document.
    pub kind: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Members that are not known here.
    pub unknown: Members,
}

/// Where a document comes from.
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
    /// The moment of the scan, only with `--stamp`, as RFC 3339 has it, in UTC: `2026-08-01T12:00:00Z`.
    pub time: Option<String>,
    /// The section whose filters have been applied to the document.
    pub filtered: Option<String>,
    /// Members that are not known here.
    pub unknown: Members,
}

/// What a [`Fault`] makes unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerns {
    /// A hypervisor.
    Host,
    /// A guest.
    Guest,
    /// The state of a guest, which reads as none.
    State,
    /// A fact of a hypervisor.
    Fact,
}

impl Concerns {
    /// The kind of what is left out for it, in `omitted`.
    pub fn kind(self) -> &'static str {
        match self {
            Concerns::Guest | Concerns::State => LeftOut::GUEST,
            Concerns::Host | Concerns::Fact => LeftOut::HOST,
        }
    }
}

/// What is wrong with a hypervisor or guest of the input; the rest of the document is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The byte of the stream where the hypervisor begins.
    pub at: u64,
    /// What it makes unusable.
    pub about: Concerns,
    /// The hypervisor's id, when it is not the id that is wrong.
    pub id: Option<String>,
    /// The hypervisor's name.
    pub name: Option<String>,
    /// The id of the hypervisor that it is about or on, if it has one.
    pub host: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// How many hypervisors, guests, states or facts this stands for: more than one where the others are only counted.
    pub count: usize,
}

impl Fault {
    /// The reason, with the number of those that it stands for beside its own.
    pub fn counted_reason(&self) -> String {
        match self.count {
            0 | 1 => self.reason.clone(),
            count => format!("{}, and {} more such", self.reason, count - 1),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A state or fact is named by its hypervisor.
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

/// What a document holds beside its hypervisors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// Where it comes from.
    pub source: Option<Source>,
    /// What the stages left out.
    pub omitted: Vec<Omitted>,
    /// Members that are not known here.
    pub unknown: Members,
}

/// A whole document, for those who must have all of it before they act.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    /// How its first usable entry was written.
    pub layout: Layout,
    /// The hypervisors in the document's order.
    pub hypervisors: Vec<Hypervisor>,
    /// What could not be used.
    pub faults: Vec<Fault>,
    /// What is wrong with what can be used: states, which read as none, and facts.
    pub flaws: Vec<Fault>,
    /// The rest.
    pub tail: Tail,
}

impl Mapping {
    /// Brings everything into the fixed order: this machine itself, then hypervisors by id, and guests by id, all bytewise.
    ///
    /// What has one id keeps its order.
    pub fn sort(&mut self) {
        sort(&mut self.hypervisors);
    }
}

/// Brings hypervisors and their guests into the fixed order, as [`Mapping::sort`] says.
pub fn sort(hypervisors: &mut [Hypervisor]) {
    hypervisors.sort_by(|one, other| one.id.cmp(&other.id));
    for hypervisor in hypervisors {
        hypervisor.guests.sort_by(|one, other| one.id.cmp(&other.id));
    }
}

#[cfg(test)]
mod tests;
