//! What of a mapping is sent, and what is not.

use std::collections::HashMap;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::account::{Failed, Sent};
use crate::mapping::{Attributes, Fault, Guest, GuestState, Hypervisor, Mapping, Members, Omitted};

/// The fact by which the server takes two hypervisors, or a hypervisor and a registered system, for one.
const SYSTEM_UUID: &str = "dmi.system.uuid";

/// What boards report that nobody gave a uuid of their own, beside the texts and the runs of one digit that
/// [`is_placeholder`] knows: AMI's, and one counted through the digits.
const PLACEHOLDERS: [&str; 3] = [
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "00020003-0004-0005-0006-000700080009",
];

/// A mapping as it goes to the server: without what the server would lose or mix up, and that told.
///
/// Of a hypervisor id, name, guests and facts are sent, of a guest id, state and attributes; nothing else leaves.
#[derive(Debug)]
pub struct CheckIn<'m> {
    hosts: Vec<Host<'m>>,
    /// What is not sent because of what it says.
    pub left_out: Vec<Failed>,
    /// How many hypervisors the document has, sent or not; this machine itself does not count.
    pub hypervisors: usize,
    /// How many guests those have.
    pub guests: usize,
    /// Whether the document tells of this machine's own guests, which are no matter of a check-in.
    pub local: bool,
}

/// A hypervisor that is sent.
#[derive(Debug)]
struct Host<'m> {
    id: &'m str,
    hypervisor: &'m Hypervisor,
    without_system_uuid: bool,
}

impl<'m> CheckIn<'m> {
    /// Sorts out what is sent.
    pub fn new(mapping: &'m Mapping) -> Self {
        let mut check_in = CheckIn {
            hosts: Vec::with_capacity(mapping.hypervisors.len()),
            left_out: Vec::new(),
            hypervisors: 0,
            guests: 0,
            local: false,
        };
        for fault in &mapping.faults {
            let Fault {
                kind,
                id,
                name,
                reason,
                ..
            } = fault;
            check_in.hypervisors += usize::from(*kind == Omitted::HOST);
            check_in.left_out.push(Failed {
                id: id.clone(),
                name: name.clone(),
                error: format!("{kind}: {reason}"),
            });
        }
        for hypervisor in &mapping.hypervisors {
            match hypervisor.id.as_deref() {
                None => check_in.local = true,
                Some(id) => {
                    check_in.hypervisors += 1;
                    check_in.guests += hypervisor.guests.len();
                    check_in.hosts.push(Host {
                        id,
                        hypervisor,
                        without_system_uuid: false,
                    });
                }
            }
        }
        check_in.leave_out_equal_ids();
        check_in.leave_out_shared_uuids();
        check_in
    }

    /// The server compares ids without case; of several with one id it would keep any.
    fn leave_out_equal_ids(&mut self) {
        let mut count: HashMap<String, usize> = HashMap::new();
        for host in &self.hosts {
            *count.entry(host.id.to_lowercase()).or_default() += 1;
        }
        self.hosts
            .retain(|host| match count.get(&host.id.to_lowercase()) {
                Some(count @ 2..) => {
                    self.left_out.push(Failed {
                        id: Some(host.id.to_owned()),
                        name: host.hypervisor.name.clone(),
                        error: format!("{count} hypervisors have this id, ignoring case"),
                    });
                    false
                }
                _ => true,
            });
    }

    /// Two hypervisors with one system uuid would become one on the server, which flips at every report.
    fn leave_out_shared_uuids(&mut self) {
        let mut count: HashMap<String, usize> = HashMap::new();
        for uuid in self.hosts.iter().filter_map(Host::system_uuid) {
            *count.entry(uuid).or_default() += 1;
        }
        for host in &mut self.hosts {
            host.without_system_uuid = host.system_uuid().is_some_and(|uuid| {
                is_placeholder(&uuid) || count.get(&uuid).is_some_and(|count| *count > 1)
            });
        }
    }

    /// How many hypervisors are sent.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether no hypervisor is sent.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The ids of those that are sent without their `dmi.system.uuid`, because it is not theirs alone.
    pub fn without_system_uuid(&self) -> impl Iterator<Item = &'m str> {
        let hosts = self.hosts.iter();
        hosts.filter(|host| host.without_system_uuid).map(|host| host.id)
    }

    /// The body of the request.
    pub fn body(&self) -> Result<Vec<u8>, serde_json::Error> {
        #[derive(serde::Serialize)]
        struct Body<'b, 'm> {
            hypervisors: &'b [Host<'m>],
        }
        serde_json::to_vec(&Body {
            hypervisors: &self.hosts,
        })
    }

    pub(super) fn sent(&self) -> Vec<Sent<'m>> {
        let sent = |host: &Host<'m>| Sent {
            id: host.id,
            name: host.hypervisor.name.as_deref(),
        };
        self.hosts.iter().map(sent).collect()
    }
}

impl Host<'_> {
    /// Its system uuid, in the form in which it is compared.
    fn system_uuid(&self) -> Option<String> {
        let uuid = self.hypervisor.facts.text(SYSTEM_UUID)?;
        Some(uuid.trim().to_lowercase())
    }
}

/// Whether a system uuid (trimmed, lower case) is one that a board reports to which nobody gave its own.
fn is_placeholder(uuid: &str) -> bool {
    let mut digits = uuid.chars().filter(|c| c.is_alphanumeric());
    let first = digits.next();
    digits.all(|digit| Some(digit) == first)
        || PLACEHOLDERS.contains(&uuid)
        || uuid.starts_with("not ")
        || uuid.contains("o.e.m.")
}

// The names are the server's; `guestIds` is always there, for a missing one would leave the old guests where they were.
impl Serialize for Host<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut host = serializer.serialize_map(None)?;
        host.serialize_entry(
            "hypervisorId",
            &HypervisorId {
                hypervisor_id: self.id,
            },
        )?;
        if let Some(name) = &self.hypervisor.name {
            host.serialize_entry("name", name)?;
        }
        let guests: Vec<GuestId<'_>> = self.hypervisor.guests.iter().map(GuestId::from).collect();
        host.serialize_entry("guestIds", &guests)?;
        // Without facts the server would keep the old ones, the system uuid that is taken out here among them.
        if !self.hypervisor.facts.is_empty() {
            let facts = Facts {
                members: &self.hypervisor.facts,
                without_system_uuid: self.without_system_uuid,
            };
            host.serialize_entry("facts", &facts)?;
        }
        host.end()
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct HypervisorId<'m> {
    hypervisor_id: &'m str,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct GuestId<'m> {
    guest_id: &'m str,
    state: u8,
    attributes: GuestAttributes<'m>,
}

impl<'m> From<&'m Guest> for GuestId<'m> {
    fn from(guest: &'m Guest) -> Self {
        GuestId {
            guest_id: &guest.id,
            state: GuestState::number(guest.state),
            attributes: GuestAttributes(&guest.attributes),
        }
    }
}

struct GuestAttributes<'m>(&'m Attributes);

impl Serialize for GuestAttributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut attributes = serializer.serialize_map(None)?;
        if let Some(kind) = &self.0.virt_who_type {
            attributes.serialize_entry("virtWhoType", kind)?;
        }
        if let Some(active) = self.0.active {
            attributes.serialize_entry("active", &u8::from(active))?;
        }
        for (name, value) in self.0.unknown.iter() {
            attributes.serialize_entry(name, value)?;
        }
        attributes.end()
    }
}

struct Facts<'m> {
    members: &'m Members,
    without_system_uuid: bool,
}

impl Serialize for Facts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sent = |name: &str| !(self.without_system_uuid && name == SYSTEM_UUID);
        serializer.collect_map(self.members.iter().filter(|(name, _)| sent(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Reader;
    use proptest::prelude::*;

    fn mapping(text: &str) -> Mapping {
        Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap()
    }

    fn body(text: &str) -> String {
        String::from_utf8(CheckIn::new(&mapping(text)).body().unwrap()).unwrap()
    }

    #[test]
    fn nothing_but_what_the_server_is_to_know_leaves() {
        let text = r#"{"hypervisors":[{"uuid":"H1","name":"esx1","parent":{"id":"domain-c7"},"secret":1,
            "facts":{"cpu.cpu_socket(s)":"2","dmi.system.uuid":"9705df9f-0000-1000-8000-000000000001"},
            "guests":[{"guestId":"g1","state":5,"attributes":{"active":0,"virtWhoType":"esx","x":"y"},
                       "name":"vm1","moref":"vm-1","uuid":"u1","secret":2}]}],
            "source":{"section":"prod"},"omitted":[],"secret":3}"#;
        let sent = concat!(
            r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"H1"},"name":"esx1","#,
            r#""guestIds":[{"guestId":"g1","state":5,"#,
            r#""attributes":{"virtWhoType":"esx","active":0,"x":"y"}}],"#,
            r#""facts":{"cpu.cpu_socket(s)":"2","dmi.system.uuid":"9705df9f-0000-1000-8000-000000000001"}}]}"#
        );
        assert_eq!(body(text), sent);
    }

    #[test]
    fn the_guests_are_always_told_also_where_there_are_none() {
        assert_eq!(
            body(r#"{"hypervisors":[{"uuid":"a","guests":[]}]}"#),
            r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"a"},"guestIds":[]}]}"#
        );
        assert_eq!(body(r#"{"hypervisors":[]}"#), r#"{"hypervisors":[]}"#);
    }

    #[test]
    fn equal_ids_are_left_out_whatever_their_case() {
        let mapping = mapping(
            r#"{"hypervisors":[{"uuid":"A","name":"1","guests":[]},{"uuid":"b","guests":[]},
                {"uuid":"a","name":"2","guests":[]},{"uuid":"Ä","guests":[]},{"uuid":"ä","guests":[]}]}"#,
        );
        let check_in = CheckIn::new(&mapping);
        assert_eq!((check_in.len(), check_in.hypervisors), (1, 5));
        let named: Vec<_> = check_in
            .left_out
            .iter()
            .map(|f| f.id.as_deref().unwrap())
            .collect();
        assert_eq!(named, ["A", "a", "Ä", "ä"]);
        assert_eq!(check_in.left_out[0].name.as_deref(), Some("1"));
    }

    #[test]
    fn an_entry_without_an_id_is_named_and_this_machine_is_none_of_them() {
        let mapping = mapping(
            r#"{"hypervisors":[{"guests":[{"guestId":"l","state":1}]},{"uuid":"","name":"n","guests":[]},
                {"uuid":null,"name":"m","guests":[]},{"name":"o","guests":[]},{"uuid":"b","guests":[]}]}"#,
        );
        let check_in = CheckIn::new(&mapping);
        assert!(check_in.local);
        assert_eq!((check_in.len(), check_in.hypervisors, check_in.guests), (1, 4, 0));
        let named: Vec<_> = check_in.left_out.iter().map(|f| f.name.as_deref()).collect();
        assert_eq!(named, [Some("n"), Some("m"), Some("o")]);
    }

    #[test]
    fn a_system_uuid_that_is_not_one_hosts_alone_is_not_sent() {
        let host = |id: &str, uuid: &str| {
            format!(r#"{{"uuid":"{id}","guests":[],"facts":{{"dmi.system.uuid":"{uuid}"}}}}"#)
        };
        let hosts = [
            host("1", "AAAAAAAA-0000-1000-8000-000000000001"),
            host("2", "aaaaaaaa-0000-1000-8000-000000000001 "),
            host("3", "bbbbbbbb-0000-1000-8000-000000000001"),
            host("4", "00000000-0000-0000-0000-000000000000"),
        ];
        let text = format!(r#"{{"hypervisors":[{}]}}"#, hosts.join(","));
        let mapping = mapping(&text);
        let check_in = CheckIn::new(&mapping);
        assert_eq!(
            check_in.without_system_uuid().collect::<Vec<_>>(),
            ["1", "2", "4"]
        );
        let body = String::from_utf8(check_in.body().unwrap()).unwrap();
        assert_eq!(body.matches("dmi.system.uuid").count(), 1);
        assert_eq!(body.matches(r#""facts":{}"#).count(), 3);
    }

    #[test]
    fn placeholders_of_boards() {
        for uuid in [
            "",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "03000200-0400-0500-0006-000700080009",
            "not settable",
            "to be filled by o.e.m.",
        ] {
            assert!(is_placeholder(uuid), "{uuid}");
        }
        for uuid in [
            "9705df9f-0000-1000-8000-000000000001",
            "420000000000-1",
            "notebook",
        ] {
            assert!(!is_placeholder(uuid), "{uuid}");
        }
    }
    proptest! {
        /// Whatever the ids: each hypervisor is either sent or named, and no two that are sent have one id for the server.
        #[test]
        fn each_hypervisor_is_sent_or_named(ids in proptest::collection::vec("[aAbBäÄ]{1,2}", 0..12)) {
            let mapping = Mapping {
                hypervisors: ids.iter().map(|id| Hypervisor::new(id.as_str())).collect(),
                ..Mapping::default()
            };
            let check_in = CheckIn::new(&mapping);
            let mut sent: Vec<String> = check_in.hosts.iter().map(|host| host.id.to_lowercase()).collect();
            let count = sent.len();
            sent.sort_unstable();
            sent.dedup();
            prop_assert_eq!(sent.len(), count);
            let mut all: Vec<&str> = check_in.hosts.iter().map(|host| host.id).collect();
            all.extend(check_in.left_out.iter().filter_map(|failed| failed.id.as_deref()));
            all.sort_unstable();
            let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            ids.sort_unstable();
            prop_assert_eq!(all, ids);
        }
    }
}
