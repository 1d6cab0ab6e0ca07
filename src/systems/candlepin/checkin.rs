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
        Some("a stage may have left out a host without listing it in \"omitted\"")
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
mod tests;
