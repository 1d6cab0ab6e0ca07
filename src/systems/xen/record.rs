//! What is kept of the records of hosts and virtual machines. A record has about a hundred members; the others are skipped.

use std::io::BufRead;

use super::client::{HOSTS, Method, VMS};
use crate::kept::Kept;
use crate::mapping::GuestState;
use crate::xml;
use crate::xmlrpc::{Datum, Value};

/// The most records of an answer. The largest pools have some thousand virtual machines, and each may have some tens of
/// snapshots.
const MOST_RECORDS: usize = 1_000_000;

/// The reference that names no object.
const NULL: &str = "OpaqueRef:NULL";

/// A class of objects of which all records are read.
pub(super) trait Records {
    /// The method that returns them.
    const METHOD: Method;
    /// What is kept of a record.
    type Kept;

    /// Reads a record, or returns None for one that is of no interest.
    fn read<R: BufRead>(reference: &str, record: Value<'_, R>) -> Result<Option<Self::Kept>, xml::Error>;

    /// The texts that are kept.
    fn texts(kept: &Self::Kept) -> impl Iterator<Item = &String>;
}

/// Reads the records one by one, each under its object's reference. Returns None if the value is not a struct of records.
pub(super) fn read_records<K: Records, R: BufRead>(
    value: Value<'_, R>,
    mut seen: impl FnMut(),
) -> Result<Option<Vec<K::Kept>>, xml::Error> {
    let (mut records, mut number) = (Vec::new(), 0);
    let (mut size, mut is_full) = (Kept::default(), false);
    let is_struct = value.members(|reference, record| {
        seen();
        number += 1;
        if number > MOST_RECORDS || is_full {
            return Err(record.refuse("more records than any pool has"));
        }
        if let Some(kept) = K::read(reference, record)? {
            is_full = !size.add(K::texts(&kept));
            records.push(kept);
        }
        Ok(())
    })?;
    Ok(is_struct.then_some(records))
}

/// A host. A blank text counts as missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) reference: String,
    pub(super) uuid: Option<String>,
    /// The operating system's, which is often the same on several hosts.
    pub(super) hostname: Option<String>,
    /// The name in the pool.
    pub(super) label: Option<String>,
    /// How many CPU sockets it has, in digits.
    pub(super) sockets: Option<String>,
    /// Such as `XenServer` or `XCP-ng`.
    pub(super) brand: Option<String>,
    pub(super) version: Option<String>,
}

impl Host {
    /// The host name, or the name in the pool.
    pub(super) fn name(&self) -> Option<&str> {
        self.hostname.as_deref().or(self.label.as_deref())
    }

    /// The product and its version, such as `XCP-ng 8.2.1`.
    pub(super) fn product(&self) -> Option<String> {
        match (&self.brand, &self.version) {
            (Some(brand), Some(version)) => Some(format!("{brand} {version}")),
            (one, other) => one.clone().or_else(|| other.clone()),
        }
    }
}

/// All hosts of the pool.
pub(super) struct HostRecords;

impl Records for HostRecords {
    const METHOD: Method = HOSTS;
    type Kept = Host;

    fn read<R: BufRead>(reference: &str, record: Value<'_, R>) -> Result<Option<Host>, xml::Error> {
        let mut host = Host {
            reference: reference.to_owned(),
            ..Host::default()
        };
        record.members(|name, value| match name {
            "uuid" => read_text(&mut host.uuid, value),
            "hostname" => read_text(&mut host.hostname, value),
            "name_label" => read_text(&mut host.label, value),
            "cpu_info" => read_entries(value, &mut [("socket_count", &mut host.sockets)]),
            "software_version" => read_entries(
                value,
                &mut [
                    ("product_brand", &mut host.brand),
                    ("product_version", &mut host.version),
                ],
            ),
            _ => value.skip(),
        })?;
        host.sockets = host.sockets.filter(|sockets| is_number(sockets));
        Ok(Some(host))
    }

    fn texts(host: &Host) -> impl Iterator<Item = &String> {
        let Host {
            reference,
            uuid,
            hostname,
            label,
            sockets,
            brand,
            version,
        } = host;
        let texts = [uuid, hostname, label, sockets, brand, version];
        texts.into_iter().flatten().chain([reference])
    }
}

/// A virtual machine that is neither a template, nor a snapshot, nor the control domain of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Vm {
    pub(super) reference: String,
    pub(super) uuid: Option<String>,
    pub(super) name: Option<String>,
    pub(super) state: GuestState,
    /// The reference of the host that it runs on. One that is off or suspended is on none.
    pub(super) host: Option<String>,
}

/// All virtual machines of the pool.
pub(super) struct VmRecords;

impl Records for VmRecords {
    const METHOD: Method = VMS;
    type Kept = Vm;

    fn read<R: BufRead>(reference: &str, record: Value<'_, R>) -> Result<Option<Vm>, xml::Error> {
        let mut vm = Vm {
            reference: reference.to_owned(),
            ..Vm::default()
        };
        let mut is_other = false;
        record.members(|name, value| match name {
            "uuid" => read_text(&mut vm.uuid, value),
            "name_label" => read_text(&mut vm.name, value),
            "resident_on" => read_text(&mut vm.host, value),
            "power_state" => {
                vm.state = state(value.read()?.as_text().unwrap_or_default());
                Ok(())
            }
            "is_a_template" | "is_a_snapshot" | "is_control_domain" => {
                is_other |= value.read()? == Datum::Boolean(true);
                Ok(())
            }
            _ => value.skip(),
        })?;
        vm.host = vm.host.filter(|host| host != NULL);
        Ok((!is_other).then_some(vm))
    }

    fn texts(vm: &Vm) -> impl Iterator<Item = &String> {
        let texts = [&vm.uuid, &vm.name, &vm.host];
        texts.into_iter().flatten().chain([&vm.reference])
    }
}

/// virt-who's state for a power state. A suspended machine is on disk.
fn state(power_state: &str) -> GuestState {
    match power_state {
        "Running" => GuestState::Running,
        "Paused" | "Suspended" => GuestState::Paused,
        "Halted" => GuestState::ShutOff,
        _ => GuestState::None,
    }
}

/// Reads a text, unless it is blank; a value of another type counts as missing.
fn read_text<R: BufRead>(text: &mut Option<String>, value: Value<'_, R>) -> Result<(), xml::Error> {
    *text = value.read()?.into_text().filter(|text| !text.trim().is_empty());
    Ok(())
}

/// Reads these entries of a map.
fn read_entries<R: BufRead>(
    map: Value<'_, R>,
    wanted: &mut [(&str, &mut Option<String>)],
) -> Result<(), xml::Error> {
    map.members(
        |name, value| match wanted.iter_mut().find(|(wanted, _)| *wanted == name) {
            Some((_, text)) => read_text(text, value),
            None => value.skip(),
        },
    )?;
    Ok(())
}

/// Whether a text is a number above 0. XenAPI writes integers as texts.
fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|number| number > 0)
}
