//! What changed in a hypervisor or a guest that both sides have.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::snapshot::{GuestRef, HostRef, as_text};
use crate::mapping::{GuestState, JsonValue, Members};

/// The fact with the cluster's name, which makes a change of the parent known.
const CLUSTER: &str = "hypervisor.cluster";
/// The fact whose case has no meaning, because it is an id.
const SYSTEM_UUID: &str = "dmi.system.uuid";

/// A changed member of a hypervisor or a guest.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<'s> {
    /// `name`, `parent`, `state`, or the name of a fact or an attribute.
    pub member: &'s str,
    /// The value of the old side.
    pub old: Value<'s>,
    /// The value of the new side.
    pub new: Value<'s>,
}

/// The value of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'s> {
    /// The side has no such fact or attribute, although it has others.
    Missing,
    /// A name.
    Text(&'s str),
    /// A guest's state.
    State(GuestState),
    /// Whether a guest is active.
    Active(bool),
    /// A fact, or an attribute.
    Json(&'s JsonValue),
}

impl<'s> Value<'s> {
    fn of(value: Option<&'s JsonValue>) -> Self {
        value.map_or(Value::Missing, Value::Json)
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Missing => f.write_str("(missing)"),
            Value::Text(text) => f.write_str(text),
            Value::State(state) => state.fmt(f),
            Value::Active(active) => u8::from(*active).fmt(f),
            Value::Json(value) => f.write_str(&as_text(value)),
        }
    }
}

/// As in a mapping: a state is its number, a missing value null.
impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Missing => serializer.serialize_none(),
            Value::Text(text) => serializer.serialize_str(text),
            Value::State(state) => serializer.serialize_u8(state.number()),
            Value::Active(active) => serializer.serialize_u8((*active).into()),
            Value::Json(value) => value.serialize(serializer),
        }
    }
}

/// What changed in a hypervisor.
pub(super) fn of_host<'s>(old: HostRef<'s>, new: HostRef<'s>) -> Vec<Change<'s>> {
    let mut changes = Vec::new();
    text(&mut changes, "name", old.name(), new.name());
    if !(old.facts().is_empty() || new.facts().is_empty()) {
        members(&mut changes, old.facts(), new.facts());
    }
    let tells = |host: HostRef<'s>| host.facts().get(CLUSTER).is_some();
    if !(tells(old) && tells(new)) {
        text(&mut changes, "parent", old.parent(), new.parent());
    }
    changes
}

/// What changed in a guest, apart from its hypervisor.
pub(super) fn of_guest<'s>(old: GuestRef<'s>, new: GuestRef<'s>) -> Vec<Change<'s>> {
    let mut changes = Vec::new();
    text(&mut changes, "name", old.name(), new.name());
    known(&mut changes, "state", old.state(), new.state(), Value::State);
    let has_new_state = changes.iter().any(|change| change.member == "state");
    let (old, new) = (old.attributes(), new.attributes());
    if old.is_empty() || new.is_empty() {
        return changes;
    }
    // `active` follows the state.
    if !has_new_state {
        known(&mut changes, "active", old.active, new.active, Value::Active);
    }
    let kinds = (old.virt_who_type.as_deref(), new.virt_who_type.as_deref());
    text(&mut changes, "virtWhoType", kinds.0, kinds.1);
    members(&mut changes, &old.unknown, &new.unknown);
    changes
}

fn text<'s>(changes: &mut Vec<Change<'s>>, member: &'static str, old: Option<&'s str>, new: Option<&'s str>) {
    known(changes, member, old, new, Value::Text);
}

/// Adds a change if both sides know the value.
fn known<'s, T: PartialEq>(
    changes: &mut Vec<Change<'s>>,
    member: &'static str,
    old: Option<T>,
    new: Option<T>,
    value: impl Fn(T) -> Value<'s>,
) {
    if let (Some(old), Some(new)) = (old, new)
        && old != new
    {
        let (old, new) = (value(old), value(new));
        changes.push(Change { member, old, new });
    }
}

/// Adds the changes of facts or attributes, in the order of their names.
fn members<'s>(changes: &mut Vec<Change<'s>>, old: &'s Members, new: &'s Members) {
    if old == new {
        return;
    }
    let sides = old.valid().map(|(name, value)| (name, (Some(value), None)));
    let mut both: BTreeMap<&str, (Option<&JsonValue>, Option<&JsonValue>)> = sides.collect();
    for (name, value) in new.valid() {
        both.entry(name).or_default().1 = Some(value);
    }
    let other = both
        .into_iter()
        .filter(|(name, (old, new))| !is_same(name, *old, *new));
    changes.extend(other.map(|(member, (old, new))| Change {
        member,
        old: Value::of(old),
        new: Value::of(new),
    }));
}

fn is_same(name: &str, old: Option<&JsonValue>, new: Option<&JsonValue>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            let (old, new) = (as_text(old), as_text(new));
            old == new || name == SYSTEM_UUID && old.to_lowercase() == new.to_lowercase()
        }
        _ => false,
    }
}
