//! The virtual instances of the hosts, and how a plan of `virt_notify` changes them.

use std::collections::{BTreeMap, BTreeSet};

use crate::xmlrpc::Value;

/// The width of the column of an instance's name; a longer name is a database error.
const NAME: usize = 128;

/// The states of a guest on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestState {
    /// Also blocked and unknown.
    Running,
    /// Paused.
    Paused,
    /// Shut down, shut off, or no longer reported.
    Stopped,
    /// Crashed.
    Crashed,
}

/// A row of a host: a guest, or the host itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// 32 lower-case hex digits; `None` for the host itself.
    pub uuid: Option<String>,
    /// Its name; the host itself has none.
    pub name: String,
    /// Its state.
    pub state: GuestState,
    /// The last reported type.
    pub virt_type: String,
    /// Virtual processors.
    pub vcpus: i64,
    /// Memory in kB.
    pub memory: i64,
    /// Whether it has no details, so that it is never found again: it came with an unknown virt_type.
    pub orphan: bool,
    confirmed: bool,
}

/// Why a whole plan is undone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undone {
    /// An exception of Python: fault 1.
    Exception(String),
    /// An error of the database: HTTP 500 and HTML.
    Database,
}

/// All rows, by the id of their host.
#[derive(Clone, Default)]
pub(super) struct Instances {
    rows: BTreeMap<String, Vec<Instance>>,
    /// Hosts with rows that are not confirmed.
    unconfirmed: BTreeSet<String>,
}

const STATES: [(&str, GuestState); 7] = [
    ("nostate", GuestState::Running),
    ("running", GuestState::Running),
    ("blocked", GuestState::Running),
    ("paused", GuestState::Paused),
    ("shutdown", GuestState::Stopped),
    ("shutoff", GuestState::Stopped),
    ("crashed", GuestState::Crashed),
];

const VIRT_TYPES: [&str; 6] = [
    "fully_virtualized",
    "para_virtualized",
    "qemu",
    "vmware",
    "hyperv",
    "virtage",
];

impl Instances {
    /// The rows of a host.
    pub(super) fn of(&self, host: &str) -> &[Instance] {
        self.rows.get(host).map_or(&[], Vec::as_slice)
    }

    /// Forgets a host that was deleted.
    pub(super) fn remove(&mut self, host: &str) {
        self.rows.remove(host);
        self.unconfirmed.remove(host);
    }

    /// Applies a plan wholly or not at all.
    pub(super) fn notify(&mut self, host: &str, plan: &Value) -> Result<(), Undone> {
        let Value::Array(events) = plan else {
            return Err(no_list(plan));
        };
        let mut work = Work {
            rows: self.of(host).to_vec(),
            ended: false,
        };
        for event in events {
            match event {
                Value::Array(parts) => {
                    if let [_, action, target, properties] = parts.as_slice() {
                        work.event(action, target, properties)?;
                    }
                }
                Value::Text(_) => {}
                other => return Err(no_list(other)),
            }
        }
        let unconfirmed = work.rows.iter().any(|row| !row.confirmed);
        let ended = work.ended;
        self.rows.insert(host.into(), work.rows);
        // The end of a crawl stops the unconfirmed rows of every host, because its SQL statement names no host.
        if ended {
            for other in self.unconfirmed.iter().filter(|other| *other != host) {
                let rows = self.rows.get_mut(other).into_iter().flatten();
                rows.filter(|row| !row.confirmed)
                    .for_each(|row| row.state = GuestState::Stopped);
            }
        }
        if unconfirmed {
            self.unconfirmed.insert(host.into());
        } else {
            self.unconfirmed.remove(host);
        }
        Ok(())
    }
}

/// The rows of one host while a plan is applied.
struct Work {
    rows: Vec<Instance>,
    ended: bool,
}

impl Work {
    fn event(&mut self, action: &Value, target: &Value, properties: &Value) -> Result<(), Undone> {
        let (Value::Text(action), Value::Text(target)) = (action, target) else {
            return Ok(());
        };
        let Value::Struct(properties) = properties else {
            return Err(no_dict(properties));
        };
        match (action.as_str(), target.as_str()) {
            ("exists", "system") => self.host(properties),
            ("crawl_began", "system") => {
                self.rows.iter_mut().for_each(|row| row.confirmed = false);
                Ok(())
            }
            ("exists", "domain") => self.guest(properties),
            ("removed", "domain") => {
                let Some(uuid) = properties.get("uuid") else {
                    return Ok(());
                };
                let uuid = normal(uuid)?;
                let known = self.rows.iter_mut().find(|row| row.uuid == uuid && !row.orphan);
                known.into_iter().for_each(|row| row.state = GuestState::Stopped);
                Ok(())
            }
            ("crawl_ended", "system") => {
                for row in &mut self.rows {
                    if !row.confirmed {
                        row.state = GuestState::Stopped;
                    }
                    row.confirmed = true;
                }
                self.ended = true;
                Ok(())
            }
            // The real server logs any other pair and ignores it.
            _ => Ok(()),
        }
    }

    /// The host's own row, which has no uuid in the database.
    fn host(&mut self, properties: &BTreeMap<String, Value>) -> Result<(), Undone> {
        let (Some(identity), Some(uuid)) = (properties.get("identity"), properties.get("uuid")) else {
            return Ok(());
        };
        let uuid = normal(uuid)?;
        if *identity != Value::from("host") {
            return Ok(());
        }
        // One with a uuid is never found, so each report adds another row.
        let known = uuid
            .is_none()
            .then(|| self.rows.iter_mut().find(|row| row.uuid.is_none()))
            .flatten();
        match known {
            Some(row) => row.confirmed = true,
            None => self.rows.push(Instance {
                orphan: uuid.is_some(),
                uuid,
                name: String::new(),
                state: GuestState::Running,
                virt_type: String::new(),
                vcpus: 0,
                memory: 0,
                confirmed: true,
            }),
        }
        Ok(())
    }

    fn guest(&mut self, properties: &BTreeMap<String, Value>) -> Result<(), Undone> {
        let Some(uuid) = properties.get("uuid") else {
            return Ok(());
        };
        let uuid = normal(uuid)?;
        let state = properties.get("state").map(state).transpose()?;
        let memory = properties.get("memory_size").map(memory).transpose()?;
        let vcpus = properties.get("vcpus").map(number).transpose()?;
        let name = properties.get("name").map(name).transpose()?;
        let virt_type = properties.get("virt_type").map(written);
        let supported = virt_type
            .as_ref()
            .is_none_or(|kind| VIRT_TYPES.contains(&kind.as_str()));
        if let Some(row) = self.rows.iter_mut().find(|row| row.uuid == uuid && !row.orphan) {
            if !supported {
                return Err(Undone::Database);
            }
            row.confirmed = true;
            set(&mut row.state, state);
            set(&mut row.memory, memory);
            set(&mut row.vcpus, vcpus);
            set(&mut row.name, name);
            set(&mut row.virt_type, virt_type);
            return Ok(());
        }
        // A new guest that is not described completely is ignored.
        if let (Some(state), Some(memory), Some(vcpus), Some(name), Some(virt_type)) =
            (state, memory, vcpus, name, virt_type)
        {
            self.rows.push(Instance {
                uuid,
                name,
                state,
                virt_type,
                vcpus,
                memory,
                orphan: !supported,
                confirmed: true,
            });
        }
        Ok(())
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// A uuid as 32 lower-case digits; `None`, which means the host itself, if all digits are zero.
fn normal(uuid: &Value) -> Result<Option<String>, Undone> {
    let text = match uuid {
        Value::Text(text) => text,
        Value::Nil => return Ok(None),
        other => {
            return Err(exception(
                "TypeError",
                &format!("long() can't convert {} with explicit base", other.kind()),
            ));
        }
    };
    if !text.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(exception(
            "ValueError",
            &format!("invalid literal for long() with base 16: '{text}'"),
        ));
    }
    let digits = text.trim_start_matches('0').to_ascii_lowercase();
    Ok(if digits.is_empty() {
        None
    } else {
        Some(format!("{digits:0>32}"))
    })
}

fn state(value: &Value) -> Result<GuestState, Undone> {
    let known = STATES.iter().find(|(word, _)| *value == Value::from(*word));
    known
        .map(|(_, state)| *state)
        .ok_or_else(|| exception("KeyError", &written(value)))
}

/// An int, or a decimal number as text, in kB.
fn memory(value: &Value) -> Result<i64, Undone> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Text(text) => text.trim().parse().map_err(|_| {
            exception(
                "ValueError",
                &format!("invalid literal for long() with base 10: '{text}'"),
            )
        }),
        other => Err(exception(
            "TypeError",
            &format!(
                "long() argument must be a string or a number, not {}",
                other.kind()
            ),
        )),
    }
}

/// A number as the database takes it.
fn number(value: &Value) -> Result<i64, Undone> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Text(text) => text.trim().parse().map_err(|_| Undone::Database),
        _ => Err(Undone::Database),
    }
}

fn name(value: &Value) -> Result<String, Undone> {
    let name = written(value);
    if name.chars().count() > NAME {
        Err(Undone::Database)
    } else {
        Ok(name)
    }
}

/// Any value as text.
fn written(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        other => other.kind().to_owned(),
    }
}

fn exception(kind: &str, text: &str) -> Undone {
    Undone::Exception(format!("<type 'exceptions.{kind}'> : {text}"))
}

fn no_list(value: &Value) -> Undone {
    exception(
        "TypeError",
        &format!("object of type '{}' has no len()", value.kind()),
    )
}

fn no_dict(value: &Value) -> Undone {
    exception(
        "TypeError",
        &format!("'{}' object has no properties", value.kind()),
    )
}
