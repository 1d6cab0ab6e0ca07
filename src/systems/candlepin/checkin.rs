//! Which part of a mapping is sent, and which is not.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::body::{Batch, OutgoingGuest, OutgoingHypervisor, SYSTEM_UUID, guests};
use super::fit::{self, Misfits};
use crate::filter::HostFilter;
use crate::mapping::{Census, Hypervisor, Layout, LeftOut, Mapping, Omitted};
use crate::text;

/// Placeholder uuids of boards without one: AMI's, and one that counts through the digits. [`is_placeholder`] also recognises
/// texts and repeated digits.
const PLACEHOLDERS: [&str; 3] = [
    "03000200-0400-0500-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "00020003-0004-0005-0006-000700080009",
];

/// The part of a mapping that is sent: without what the server would lose, refuse or mix up, which is in `census`.
///
/// Sent are id, name, guests and facts of a hypervisor, and id, state and attributes of a guest. Hypervisors are in the order of
/// [`crate::mapping::Reportable`] and guests in the order of their ids, so that two reports of one inventory are the same.
#[derive(Debug)]
pub struct CheckIn<'m> {
    hosts: Vec<OutgoingHypervisor<'m>>,
    local: Option<Vec<OutgoingGuest<'m>>>,
    /// What the document holds, and what of it is not sent.
    pub census: Census<'m>,
    /// The number of this machine's own guests in the document.
    pub local_guests: usize,
    /// The filter that drops hypervisors before the check-in.
    filter: Option<&'m HostFilter>,
    /// The ids of all hypervisors that the document mentions, including those that a stage left out, in lower case.
    known: HashSet<String>,
    /// The names of the hypervisors that a stage left out.
    omitted_names: Vec<&'m str>,
    /// Why the document does not prove that what it lacks has vanished.
    doubt: Option<&'static str>,
}

impl<'m> CheckIn<'m> {
    /// Sorts out what is sent.
    pub fn new(mapping: &'m Mapping) -> Self {
        let reportable = mapping.reportable();
        let mut check_in = CheckIn {
            hosts: Vec::with_capacity(reportable.hosts.len()),
            local: None,
            census: reportable.census,
            local_guests: reportable.local.map_or(0, |local| local.guests.len()),
            filter: None,
            known: mapping.mentioned().map(str::to_lowercase).collect(),
            omitted_names: omitted_names(mapping),
            doubt: doubt(mapping),
        };
        if let Some(local) = reportable.local {
            let mut misfits = Misfits::default();
            let guests = guests(local, &mut misfits);
            check_in.census.omitted += local.guests.len() - guests.len();
            check_in.local = Some(guests);
            check_in.leave_out(local, misfits);
        }
        for (id, hypervisor) in reportable.hosts {
            check_in.add(id, hypervisor);
        }
        check_in.leave_out_shared_uuids();
        check_in
    }

    fn add(&mut self, id: &'m str, hypervisor: &'m Hypervisor) {
        let mut misfits = Misfits::default();
        match fit::id(id) {
            Err(misfit) => {
                self.census.omitted += 1;
                misfits.push(misfit);
            }
            Ok(()) => {
                let name = fit::name(hypervisor, &mut misfits);
                let guests = guests(hypervisor, &mut misfits);
                self.census.omitted += hypervisor.guests.len() - guests.len();
                self.hosts.push(OutgoingHypervisor {
                    id: Cow::Borrowed(id),
                    name,
                    guests,
                    facts: fit::facts(hypervisor, &mut misfits),
                    without_system_uuid: false,
                });
            }
        }
        self.leave_out(hypervisor, misfits);
    }

    fn leave_out(&mut self, hypervisor: &Hypervisor, misfits: Misfits) {
        self.census.unnamed += misfits.more().saturating_sub(1);
        self.census
            .left_out
            .extend(misfits.into_vec().into_iter().map(|reason| LeftOut {
                kind: LeftOut::HOST.into(),
                id: hypervisor.id.clone(),
                name: hypervisor.name.clone(),
                reason,
            }));
    }

    /// Removes system uuids that several hypervisors share: the server would take these hypervisors for one, and change it with
    /// every report.
    fn leave_out_shared_uuids(&mut self) {
        let mut count: HashMap<String, usize> = HashMap::new();
        for uuid in self.hosts.iter().filter_map(OutgoingHypervisor::system_uuid) {
            *count.entry(uuid).or_default() += 1;
        }
        for host in &mut self.hosts {
            host.without_system_uuid = host.system_uuid().is_some_and(|uuid| {
                is_placeholder(&uuid) || count.get(&uuid).is_some_and(|count| *count > 1)
            });
            if let Some(facts) = host.facts.as_mut().filter(|_| host.without_system_uuid) {
                facts.retain(|(name, _)| *name != SYSTEM_UUID);
            }
        }
    }

    /// The number of hypervisors that are sent.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether no hypervisor is sent.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Whether the document has this machine's own guests, which are not part of the check-in itself.
    pub fn has_local(&self) -> bool {
        self.local.is_some()
    }

    /// The ids of hypervisors that are sent without their `dmi.system.uuid`, because it is not unique.
    pub fn without_system_uuid(&self) -> impl Iterator<Item = &str> {
        let hosts = self.hosts.iter();
        hosts
            .filter(|host| host.without_system_uuid)
            .map(|host| &*host.id)
    }

    /// The ids of the hypervisors that are sent.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| &*host.id)
    }

    /// The names with which the hypervisors are sent, in the order of [`CheckIn::ids`].
    pub fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.hosts.iter().map(|host| host.name)
    }

    /// Treats hypervisors that this filter drops as known.
    pub fn filtered_by(self, filter: Option<&'m HostFilter>) -> Self {
        CheckIn { filter, ..self }
    }

    /// Whether the document mentions a hypervisor with this id, also among those that a stage left out, or the filter drops
    /// it.
    pub fn knows(&self, id: &str) -> bool {
        self.known.contains(&id.to_lowercase()) || self.filter.is_some_and(|filter| filter.drops_id(id))
    }

    /// Whether a stage left out a hypervisor of this name.
    pub(super) fn omits(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let mut names = self.omitted_names.iter();
        names.any(|omitted| omitted.to_lowercase() == name)
    }

    /// Why the document does not prove that what it lacks has vanished, if it does not.
    pub fn doubt(&self) -> Option<&'static str> {
        let is_whole = self.census.left_out.is_empty() && self.census.unnamed == 0;
        self.doubt
            .or((!is_whole).then_some("not all of the mapping can be reported"))
    }

    /// Adds hypervisors that the document does not mention, without guests, so that the server clears theirs.
    pub fn clear(&mut self, ids: impl IntoIterator<Item = String>) {
        self.hosts.extend(ids.into_iter().map(|id| OutgoingHypervisor {
            id: Cow::Owned(id),
            name: None,
            guests: Vec::new(),
            facts: None,
            without_system_uuid: false,
        }));
    }

    /// What is sent, in batches of at most `size` hypervisors; one empty batch if there is none.
    pub fn batches(&self, size: usize) -> impl Iterator<Item = Batch<'_, 'm>> {
        let empty = self.hosts.is_empty().then_some(&self.hosts[..]);
        let parts = empty.into_iter().chain(self.hosts.chunks(size.max(1)));
        parts.map(|hosts| Batch { hosts })
    }

    /// The body with this machine's own guests, if the document has them.
    pub fn local_body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        #[derive(serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        struct LocalGuests<'b, 'm> {
            guest_ids: &'b [OutgoingGuest<'m>],
        }
        let guest_ids = self.local.as_deref();
        guest_ids
            .map(|guest_ids| serde_json::to_vec(&LocalGuests { guest_ids }))
            .transpose()
    }

    /// The SHA-256 of everything that is sent, as hexadecimal digits.
    pub fn digest(&self) -> Result<String, serde_json::Error> {
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        for host in &self.hosts {
            digest.update(&serde_json::to_vec(host)?);
        }
        digest.update(&self.local_body()?.unwrap_or_default());
        Ok(text::hex(digest.finish().as_ref()))
    }
}

/// The names of the hypervisors that a stage left out.
fn omitted_names(mapping: &Mapping) -> Vec<&str> {
    let omitted = mapping.tail.omitted.iter().map(|omitted| &omitted.left_out);
    omitted.filter_map(|left_out| left_out.name.as_deref()).collect()
}

/// Why a document does not prove that a hypervisor which it lacks has vanished from the source.
fn doubt(mapping: &Mapping) -> Option<&'static str> {
    let is_nameless = |omitted: &Omitted| omitted.is_host() && omitted.left_out.name.is_none();
    // A scan knows only the managed object id of a host that it leaves out. Filters and reporters know the hypervisor's id.
    let by_scan =
        |omitted: &Omitted| !(omitted.stage == "vw-filter" || omitted.stage.starts_with("vw-report-"));
    let mut omitted = mapping.tail.omitted.iter();
    let source = mapping.tail.source.as_ref();
    if !mapping
        .hypervisors
        .iter()
        .any(|hypervisor| !hypervisor.is_local())
    {
        Some("the mapping has no hypervisor")
    } else if mapping.layout == Layout::Checkin {
        Some("the mapping is in the check-in layout, which does not say what was left out")
    } else if source.is_some_and(|source| source.unlisted.is_some()) {
        Some("a stage left out a host without listing it in \"omitted\"")
    } else if omitted.any(|omitted| is_nameless(omitted) && by_scan(omitted)) {
        Some("the scan left out a host without a name, which may be a missing one")
    } else {
        None
    }
}

/// Whether a system uuid (trimmed, lower case) is the placeholder of a board without one.
fn is_placeholder(uuid: &str) -> bool {
    let mut digits = uuid.chars().filter(|c| c.is_alphanumeric());
    let first = digits.next();
    digits.all(|digit| Some(digit) == first)
        || PLACEHOLDERS.contains(&uuid)
        || uuid.starts_with("not ")
        || uuid.contains("o.e.m.")
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
        body_of(&CheckIn::new(&mapping(text)))
    }

    fn body_of(check_in: &CheckIn<'_>) -> String {
        let bodies: Vec<_> = check_in
            .batches(1_000)
            .map(|batch| batch.body().unwrap())
            .collect();
        assert_eq!(bodies.len(), 1);
        String::from_utf8(bodies.concat()).unwrap()
    }

    #[test]
    fn only_known_members_are_sent() {
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
    fn an_empty_list_of_guests_is_sent() {
        assert_eq!(
            body(r#"{"hypervisors":[{"uuid":"a","guests":[]}]}"#),
            r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"a"},"guestIds":[]}]}"#
        );
        assert_eq!(body(r#"{"hypervisors":[]}"#), r#"{"hypervisors":[]}"#);
    }

    #[test]
    fn ids_that_are_equal_ignoring_case_are_left_out() {
        let mapping = mapping(
            r#"{"hypervisors":[{"uuid":"A","name":"1","guests":[]},{"uuid":"b","guests":[]},
                {"uuid":"a","name":"2","guests":[]},{"uuid":"Ä","guests":[]},{"uuid":"ä","guests":[]}]}"#,
        );
        let check_in = CheckIn::new(&mapping);
        assert_eq!((check_in.len(), check_in.census.hypervisors), (1, 5));
        let named: Vec<_> = check_in
            .census
            .left_out
            .iter()
            .map(|f| f.id.as_deref().unwrap())
            .collect();
        assert_eq!(named, ["A", "a", "Ä", "ä"]);
        assert_eq!(check_in.census.left_out[0].name.as_deref(), Some("1"));
    }

    #[test]
    fn an_entry_without_an_id_is_named_unless_it_is_this_machine() {
        let mapping = mapping(
            r#"{"hypervisors":[{"guests":[{"guestId":"l","state":1}]},{"uuid":"","name":"n","guests":[]},
                {"uuid":null,"name":"m","guests":[]},{"name":"o","guests":[]},{"uuid":"b","guests":[]}]}"#,
        );
        let check_in = CheckIn::new(&mapping);
        assert!(check_in.has_local());
        assert_eq!(check_in.local_guests, 1);
        assert_eq!(
            (
                check_in.len(),
                check_in.census.hypervisors,
                check_in.census.guests
            ),
            (1, 4, 0)
        );
        let named: Vec<_> = check_in
            .census
            .left_out
            .iter()
            .map(|f| f.name.as_deref())
            .collect();
        assert_eq!(named, [Some("n"), Some("m"), Some("o")]);
    }

    #[test]
    fn a_system_uuid_that_is_not_unique_is_not_sent() {
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
        let body = body_of(&check_in);
        assert_eq!(body.matches("dmi.system.uuid").count(), 1);
        assert_eq!(body.matches(r#""facts":{}"#).count(), 3);
    }

    #[test]
    fn batches_hold_all_hypervisors_in_order() {
        let mapping = mapping(
            r#"{"hypervisors":[{"uuid":"c","guests":[]},{"uuid":"a","guests":[]},{"uuid":"b","guests":[]}],
                "omitted":[{"kind":"host","id":"HOST-7","name":"esx7","stage":"x","reason":"y"}]}"#,
        );
        let mut check_in = CheckIn::new(&mapping);
        let (before, gone) = (check_in.digest().unwrap(), "gone".to_owned());
        assert!(check_in.knows("A") && check_in.knows("host-7") && !check_in.knows(&gone));
        check_in.clear([gone]);
        assert_ne!(check_in.digest().unwrap(), before);
        let batches: Vec<Vec<_>> = check_in
            .batches(3)
            .map(|batch| batch.sent().iter().map(|sent| sent.id.to_owned()).collect())
            .collect();
        assert_eq!(batches, [vec!["a", "b", "c"], vec!["gone"]]);
        let last = check_in.batches(3).last().unwrap();
        assert_eq!(last.synchronous_body().unwrap(), br#"{"gone":[]}"#);
        assert!(
            last.body()
                .unwrap()
                .ends_with(br#"{"hypervisorId":{"hypervisorId":"gone"},"guestIds":[]}]}"#)
        );
    }

    #[test]
    fn the_smallest_part_that_does_not_fit_is_left_out() {
        let long = "x".repeat(300);
        let mapping = mapping(&format!(
            r#"{{"hypervisors":[{{"uuid":"{long}","guests":[]}},
                {{"uuid":"a","name":"n","facts":{{"f":"{long}","g":"1"}},"guests":[
                    {{"guestId":"{long}","state":1}},{{"guestId":"g","state":1,"attributes":{{"virtWhoType":"{long}"}}}}]}}]}}"#
        ));
        let check_in = CheckIn::new(&mapping);
        assert_eq!(
            body_of(&check_in),
            concat!(
                r#"{"hypervisors":[{"hypervisorId":{"hypervisorId":"a"},"name":"n","#,
                r#""guestIds":[{"guestId":"g","state":1,"attributes":{}}],"facts":{"g":"1"}}]}"#
            )
        );
        assert_eq!(
            (check_in.census.left_out.len(), check_in.census.hypervisors),
            (4, 2),
            "{:?}",
            check_in.census.left_out
        );
    }

    #[test]
    fn placeholder_uuids_are_recognised() {
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
        /// Each hypervisor is either sent or named, and no two that are sent have the same id for the server.
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
            let mut all: Vec<&str> = check_in.ids().collect();
            all.extend(check_in.census.left_out.iter().filter_map(|failed| failed.id.as_deref()));
            all.sort_unstable();
            let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            ids.sort_unstable();
            prop_assert_eq!(all, ids);
        }
    }
}
