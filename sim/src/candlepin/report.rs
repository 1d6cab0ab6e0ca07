//! The body of a check-in, read as strictly as Candlepin reads it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Generation;

/// A readable body.
pub(super) struct Report {
    /// The hypervisors in their order; `None` where the list holds a null.
    pub(super) entries: Vec<Option<Entry>>,
    /// A member that 2.4.16 refuses and newer servers ignore.
    pub(super) unknown: Option<String>,
}

/// One hypervisor. `None`, for a missing member or null, keeps the old value.
pub(super) struct Entry {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) guests: Option<Vec<Option<Guest>>>,
    pub(super) facts: Option<BTreeMap<String, String>>,
}

/// A guest of a hypervisor. Candlepin does not read its `state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The guest's id as it was sent.
    pub id: String,
    /// Its attributes, all values as text.
    pub attributes: BTreeMap<String, String>,
}

/// Why a body is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is empty.
    Absent,
    /// It is not JSON.
    Malformed,
    /// It is JSON, but not of the right shape.
    Shape,
}

const KNOWN: [&str; 4] = ["hypervisorId", "name", "guestIds", "facts"];
const KNOWN_OF_GUEST: [&str; 3] = ["guestId", "state", "attributes"];

/// Reads the body of an asynchronous check-in.
pub(super) fn read(body: &[u8], generation: Generation) -> Result<Report, Refusal> {
    if body.is_empty() {
        return Err(Refusal::Absent);
    }
    let Value::Object(top) = json(body)? else {
        return Err(Refusal::Shape);
    };
    // Recorded: 4.7.5 takes `consumers` for `hypervisors`.
    let list = top.get("hypervisors").or_else(|| top.get("consumers"));
    let Some(Value::Array(list)) = list else {
        return Err(Refusal::Shape);
    };
    let mut unknown = top.keys().find(|key| *key != "hypervisors").cloned();
    let mut entries = Vec::with_capacity(list.len());
    for item in list {
        entries.push(optional(item, |item| entry(item, generation, &mut unknown))?);
    }
    Ok(Report { entries, unknown })
}

/// Reads the body of 2.4.16's synchronous check-in: the ids of hosts with their guests.
pub(super) fn read_synchronous(body: &[u8]) -> Result<Report, Refusal> {
    if body.is_empty() {
        return Err(Refusal::Absent);
    }
    let Value::Object(hosts) = json(body)? else {
        return Err(Refusal::Shape);
    };
    let mut unknown = None;
    let mut entries = Vec::with_capacity(hosts.len());
    for (id, list) in &hosts {
        let guests = optional(list, |list| {
            let list = list.as_array().ok_or(Refusal::Shape)?;
            let guests = list
                .iter()
                .map(|item| optional(item, |item| guest(item, Generation::Old, &mut unknown)));
            guests.collect::<Result<Vec<_>, _>>()
        })?;
        entries.push(Some(Entry {
            id: Some(id.clone()),
            name: None,
            guests,
            facts: None,
        }));
    }
    Ok(Report {
        entries,
        unknown: None,
    })
}

/// Reads the guests in the body of a consumer's update, in which an entry may be just an id; `None` if there is no list.
pub(super) fn read_guests(body: &[u8]) -> Result<Option<Vec<Guest>>, Refusal> {
    let Value::Object(members) = json(body)? else {
        return Err(Refusal::Shape);
    };
    member(members.get("guestIds"), |list| {
        let list = list.as_array().ok_or(Refusal::Shape)?;
        let guests = list.iter().map(|item| guest(item, Generation::Old, &mut None));
        guests.collect()
    })
}

fn entry(item: &Value, generation: Generation, unknown: &mut Option<String>) -> Result<Entry, Refusal> {
    let Value::Object(members) = item else {
        return Err(Refusal::Shape);
    };
    note_unknown(members.keys(), &KNOWN, unknown);
    let id = match members.get("hypervisorId") {
        None | Some(Value::Null) => None,
        Some(Value::Object(id)) => member(id.get("hypervisorId"), text)?,
        Some(Value::String(id)) if generation == Generation::Old => Some(id.clone()),
        Some(_) => return Err(Refusal::Shape),
    };
    Ok(Entry {
        id,
        name: member(members.get("name"), text)?,
        guests: member(members.get("guestIds"), |list| {
            let list = list.as_array().ok_or(Refusal::Shape)?;
            list.iter()
                .map(|item| optional(item, |item| guest(item, generation, unknown)))
                .collect()
        })?,
        facts: member(members.get("facts"), texts)?,
    })
}

fn guest(item: &Value, generation: Generation, unknown: &mut Option<String>) -> Result<Guest, Refusal> {
    let lenient = generation == Generation::Old;
    let members = match item {
        Value::Object(members) => members,
        Value::String(id) if lenient => {
            return Ok(Guest {
                id: id.clone(),
                attributes: BTreeMap::new(),
            });
        }
        _ => return Err(Refusal::Shape),
    };
    note_unknown(members.keys(), &KNOWN_OF_GUEST, unknown);
    let id = match member(members.get("guestId"), text)? {
        Some(id) => id,
        // Recorded: 2.4.16 accepts it, and drops it like one with an empty id.
        None if lenient => String::new(),
        None => return Err(Refusal::Shape),
    };
    Ok(Guest {
        id,
        attributes: member(members.get("attributes"), texts)?.unwrap_or_default(),
    })
}

fn json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|_| Refusal::Malformed)
}

fn note_unknown<'a>(keys: impl Iterator<Item = &'a String>, known: &[&str], unknown: &mut Option<String>) {
    for key in keys {
        if !known.contains(&key.as_str()) {
            unknown.get_or_insert_with(|| key.clone());
        }
    }
}

/// A member that may be missing or null.
fn member<T>(
    value: Option<&Value>,
    read: impl FnOnce(&Value) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    value.map_or(Ok(None), |value| optional(value, read))
}

fn optional<T>(value: &Value, read: impl FnOnce(&Value) -> Result<T, Refusal>) -> Result<Option<T>, Refusal> {
    if value.is_null() {
        Ok(None)
    } else {
        read(value).map(Some)
    }
}

/// Text, which may also be a number or boolean, but not a list or object.
fn text(value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(Refusal::Shape),
    }
}

fn texts(value: &Value) -> Result<BTreeMap<String, String>, Refusal> {
    let members = value.as_object().ok_or(Refusal::Shape)?;
    let pairs = members.iter().filter(|(_, value)| !value.is_null());
    pairs
        .map(|(key, value)| Ok((key.clone(), text(value)?)))
        .collect()
}
