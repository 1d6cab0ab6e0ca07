//! The bodies that are sent: the batches of a check-in, their hypervisors and guests.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::fit::{self, Misfits};
use super::tally::Sent;
use crate::mapping::{Hypervisor, JsonValue, LeftOut};

/// The fact by which the server recognises a hypervisor or a registered system. It takes two with the same value for one.
pub(super) const SYSTEM_UUID: &str = "dmi.system.uuid";

/// A part of a check-in: one job on the server.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'c, 'm> {
    pub(super) hosts: &'c [OutgoingHypervisor<'m>],
}

impl<'c> Batch<'c, '_> {
    /// A check-in without any hypervisor.
    pub(super) const EMPTY: Batch<'static, 'static> = Batch { hosts: &[] };

    /// The number of its hypervisors.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether it has no hypervisor.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Its hypervisors, as failed for this reason.
    pub fn failed(&self, reason: &str) -> Vec<LeftOut> {
        let hosts = self.hosts.iter();
        hosts.map(|host| host.failed(reason.to_owned())).collect()
    }

    /// The body of the request.
    pub fn body(&self) -> Result<Vec<u8>, serde_json::Error> {
        #[derive(serde::Serialize)]
        struct Hypervisors<'b, 'm> {
            hypervisors: &'b [OutgoingHypervisor<'m>],
        }
        serde_json::to_vec(&Hypervisors {
            hypervisors: self.hosts,
        })
    }

    /// The body of the synchronous request of old servers, which has ids and guests only.
    pub(super) fn synchronous_body(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut body = serde_json::Serializer::new(Vec::new());
        body.collect_map(self.hosts.iter().map(|host| (&host.id, &host.guests)))?;
        Ok(body.into_inner())
    }

    pub(super) fn sent(&self) -> Vec<Sent<'c>> {
        let sent = |host: &'c OutgoingHypervisor<'_>| Sent {
            id: &host.id,
            name: host.name,
        };
        self.hosts.iter().map(sent).collect()
    }

    /// What the synchronous request sent. It has no names, so the server names a new hypervisor by its id.
    pub(super) fn sent_synchronously(&self) -> Vec<Sent<'c>> {
        let sent = |host: &'c OutgoingHypervisor<'_>| Sent {
            id: &host.id,
            name: Some(&host.id),
        };
        self.hosts.iter().map(sent).collect()
    }
}

/// A hypervisor that is sent.
#[derive(Debug)]
pub(super) struct OutgoingHypervisor<'m> {
    pub(super) id: Cow<'m, str>,
    pub(super) name: Option<&'m str>,
    pub(super) guests: Vec<OutgoingGuest<'m>>,
    pub(super) facts: Option<Vec<(&'m str, &'m JsonValue)>>,
    pub(super) without_system_uuid: bool,
}

impl OutgoingHypervisor<'_> {
    /// Its system uuid, trimmed and in lower case for comparison.
    pub(super) fn system_uuid(&self) -> Option<String> {
        let mut facts = self.facts.iter().flatten();
        let (_, uuid) = facts.find(|(name, _)| *name == SYSTEM_UUID)?;
        Some(uuid.text()?.trim().to_lowercase())
    }

    pub(super) fn failed(&self, reason: String) -> LeftOut {
        LeftOut {
            kind: LeftOut::HOST.into(),
            id: Some(self.id.clone().into_owned()),
            name: self.name.map(str::to_owned),
            reason,
        }
    }
}

// `guestIds` is always written: without it the server would keep the old guests.
impl Serialize for OutgoingHypervisor<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut host = serializer.serialize_map(None)?;
        host.serialize_entry(
            "hypervisorId",
            &WrappedId {
                hypervisor_id: &self.id,
            },
        )?;
        if let Some(name) = self.name {
            host.serialize_entry("name", name)?;
        }
        host.serialize_entry("guestIds", &self.guests)?;
        // Without facts the server would keep the old ones, including a system uuid that is left out here.
        if let Some(facts) = &self.facts {
            host.serialize_entry("facts", &Pairs(facts))?;
        }
        host.end()
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct WrappedId<'m> {
    hypervisor_id: &'m str,
}

/// A guest that is sent.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutgoingGuest<'m> {
    guest_id: &'m str,
    state: u8,
    attributes: GuestAttributes<'m>,
}

#[derive(Debug)]
struct GuestAttributes<'m> {
    kind: Option<&'m str>,
    active: Option<bool>,
    unknown: Vec<(&'m str, &'m JsonValue)>,
}

/// The guests of a hypervisor that are sent, in the order of their ids.
pub(super) fn guests<'m>(hypervisor: &'m Hypervisor, misfits: &mut Misfits) -> Vec<OutgoingGuest<'m>> {
    let mut guests: Vec<OutgoingGuest<'m>> = Vec::with_capacity(hypervisor.guests.len());
    for guest in &hypervisor.guests {
        match fit::guest(guest) {
            Err(misfit) => misfits.push(misfit),
            Ok(()) => guests.push(OutgoingGuest {
                guest_id: &guest.id,
                state: guest.state.unwrap_or_default().number(),
                attributes: GuestAttributes {
                    kind: fit::kind(&guest.attributes, misfits),
                    active: guest.attributes.active,
                    unknown: fit::attributes(guest, misfits),
                },
            }),
        }
    }
    guests.sort_by_key(|guest| guest.guest_id);
    guests
}

impl Serialize for GuestAttributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut attributes = serializer.serialize_map(None)?;
        if let Some(kind) = self.kind {
            attributes.serialize_entry("virtWhoType", kind)?;
        }
        if let Some(active) = self.active {
            attributes.serialize_entry("active", &u8::from(active))?;
        }
        for (name, value) in &self.unknown {
            attributes.serialize_entry(name, value)?;
        }
        attributes.end()
    }
}

struct Pairs<'p, 'm>(&'p [(&'m str, &'m JsonValue)]);

impl Serialize for Pairs<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}
