//! The virtual machines of an inventory, and which host each is on.

use std::hash::BuildHasher as _;

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use uuid::Uuid;

use crate::mapping::GuestState;

/// A managed object id in four bytes: the number of vCenter's `vm-NUMBER`, or the index of another id in [`Ids`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct VmId(u32);

/// Ids from here on are indexes. vCenter counts from 1 and does not reach this number.
const NAMED: u32 = 1 << 31;

/// The ids that are not `vm-NUMBER`, such as those of an ESX host, which has a few hundred.
#[derive(Debug, Clone, Default)]
pub(super) struct Ids {
    named: Vec<Box<str>>,
    indexes: FxHashMap<Box<str>, u32>,
}

impl Ids {
    pub(super) fn id(&mut self, text: &str) -> VmId {
        let digits = text
            .strip_prefix("vm-")
            .filter(|digits| !digits.starts_with(['0', '+']));
        match digits.and_then(|digits| digits.parse().ok()) {
            Some(number @ ..NAMED) => VmId(number),
            _ => VmId(self.index(text)),
        }
    }

    fn index(&mut self, text: &str) -> u32 {
        match self.indexes.get(text) {
            Some(index) => *index,
            None => {
                let index = NAMED | self.named.len() as u32;
                self.named.push(text.into());
                self.indexes.insert(text.into(), index);
                index
            }
        }
    }

    pub(super) fn text(&self, VmId(id): VmId) -> String {
        match self.named.get((id ^ NAMED) as usize) {
            Some(name) => name.to_string(),
            None => format!("vm-{id}"),
        }
    }
}

/// A virtual machine that can be a guest.
///
/// It takes 24 bytes without an allocation of its own, because an inventory may have a hundred thousand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vm {
    id: VmId,
    /// The number of the host, and the state in the lowest bits.
    host_and_state: u32,
    /// The uuid in the guest's DMI table.
    pub(super) uuid: Uuid,
}

/// The `host` of a virtual machine that is on no host.
const NOWHERE: u32 = u32::MAX >> Vm::STATE_BITS;

impl Vm {
    const STATE_BITS: u32 = 3;

    fn new(id: VmId, uuid: Uuid, state: GuestState) -> Self {
        Vm {
            id,
            host_and_state: NOWHERE << Vm::STATE_BITS | u32::from(state.number()),
            uuid,
        }
    }

    /// The power state.
    pub(super) fn state(&self) -> GuestState {
        let number = self.host_and_state & !(u32::MAX << Vm::STATE_BITS);
        GuestState::from_number(number as u8).unwrap_or_default()
    }

    fn host(&self) -> u32 {
        self.host_and_state >> Vm::STATE_BITS
    }

    fn set_host(&mut self, host: u32) {
        self.host_and_state = host << Vm::STATE_BITS | u32::from(self.state().number());
    }

    /// A number that machines with other uuids rarely have.
    fn uuid_hash(&self) -> u32 {
        FxBuildHasher.hash_one(self.uuid.as_u128()) as u32
    }
}

/// Virtual machines and the hosts' lists of them, in the order in which they arrive.
///
/// They are sorted at the end. A hash table takes 5 MiB more for 100,000 virtual machines, and is not faster.
#[derive(Debug, Default)]
pub(super) struct Vms {
    ids: Ids,
    usable: Vec<Vm>,
    /// The virtual machines that can't be guests, with the reason.
    unusable: FxHashMap<VmId, String>,
    /// The lists of all hosts, one after the other.
    listed: Vec<VmId>,
    /// Where each list ends.
    ends: Vec<u32>,
}

impl Vms {
    /// No virtual machines yet, but known ids.
    pub(super) fn with_ids(ids: Ids) -> Self {
        Vms {
            ids,
            ..Vms::default()
        }
    }

    pub(super) fn add(&mut self, id: &str, uuid: Uuid, state: GuestState) {
        let id = self.ids.id(id);
        self.add_known(id, uuid, state);
    }

    pub(super) fn add_unusable(&mut self, id: &str, reason: String) {
        let id = self.ids.id(id);
        self.add_known_unusable(id, reason);
    }

    /// Adds the list of the next host.
    pub(super) fn list<'i>(&mut self, ids: impl Iterator<Item = &'i str>) {
        self.listed.extend(ids.map(|id| self.ids.id(id)));
        self.ends.push(self.listed.len() as u32);
    }

    pub(super) fn add_known(&mut self, id: VmId, uuid: Uuid, state: GuestState) {
        self.usable.push(Vm::new(id, uuid, state));
    }

    pub(super) fn add_known_unusable(&mut self, id: VmId, reason: String) {
        self.unusable.insert(id, reason);
    }

    pub(super) fn list_known(&mut self, ids: &[VmId]) {
        self.listed.extend_from_slice(ids);
        self.ends.push(self.listed.len() as u32);
    }

    pub(super) fn count(&self) -> usize {
        self.usable.len() + self.unusable.len()
    }

    /// The ids of the virtual machines that share their uuid with others.
    pub(super) fn clones(&self) -> Vec<String> {
        let clones = sharing(&self.usable).into_iter().flatten();
        let mut ids: Vec<VmId> = clones.map(|vm| vm.id).collect();
        ids.dedup();
        ids.into_iter().map(|id| self.ids.text(id)).collect()
    }

    /// The ids of the virtual machines that can't be guests, and of those that no host lists.
    ///
    /// The latter are searched for only if the hosts list another number of machines than there are, which is rare.
    pub(super) fn not_placed(&self) -> Vec<String> {
        let mut ids: Vec<VmId> = self.unusable.keys().copied().collect();
        if self.listed.len() != self.count() {
            let listed: FxHashSet<VmId> = self.listed.iter().copied().collect();
            let usable = self.usable.iter().map(|vm| vm.id);
            ids.extend(usable.filter(|id| !listed.contains(id)));
        }
        ids.sort_unstable();
        ids.into_iter().map(|id| self.ids.text(id)).collect()
    }

    /// Puts the virtual machines on the hosts, which are numbered by their lists in the order in which these arrived.
    ///
    /// A virtual machine that moves while the pages are read may be in two hosts' lists. The list that arrived last wins.
    pub(super) fn place(mut self) -> Placed {
        // A stable sort would take as much memory again, so the order of arrival is part of the key.
        for (arrival, vm) in (0..).zip(&mut self.usable) {
            vm.set_host(arrival);
        }
        self.usable.sort_unstable_by_key(|vm| (vm.id, vm.host()));
        self.usable.dedup_by(|later, earlier| {
            let same = later.id == earlier.id;
            if same {
                *earlier = *later;
            }
            same
        });
        for vm in &mut self.usable {
            vm.set_host(NOWHERE);
        }
        let mut moved = Vec::new();
        let mut vanished = FxHashSet::default();
        let mut begin = 0;
        for (host, end) in (0..).zip(self.ends) {
            let list = begin..end as usize;
            begin = list.end;
            for id in self.listed.get(list).unwrap_or_default() {
                let found = self.usable.binary_search_by_key(id, |vm| vm.id);
                match found.ok().and_then(|at| self.usable.get_mut(at)) {
                    Some(vm) => {
                        if vm.host() != NOWHERE && vm.host() != host {
                            moved.push(*id);
                        }
                        vm.set_host(host);
                    }
                    None if self.unusable.contains_key(id) => {}
                    None => {
                        vanished.insert(*id);
                    }
                }
            }
        }
        let Vms {
            ids,
            mut usable,
            unusable,
            ..
        } = self;
        // In the order of the guests on their host; those without a host come last.
        usable.sort_unstable_by_key(|vm| (vm.host(), vm.uuid.as_u128(), vm.id));
        let placed = usable.partition_point(|vm| vm.host() != NOWHERE);
        let unlisted = usable
            .drain(placed..)
            .map(|vm| (ids.text(vm.id), UNLISTED.to_owned()));
        let mut omitted: Vec<_> = unlisted.collect();
        omitted.extend(unusable.into_iter().map(|(id, reason)| (ids.text(id), reason)));
        omitted.extend(vanished.into_iter().map(|id| (ids.text(id), VANISHED.to_owned())));
        Placed {
            vms: usable,
            omitted,
            moved: moved.into_iter().map(|id| ids.text(id)).collect(),
            ids,
        }
    }
}

/// The virtual machines that share their uuid with others: a list for each uuid, in the order of the uuids.
///
/// It looks for repeated hashes first. A sorted list of them takes less memory than a hash table of all uuids.
fn sharing(vms: &[Vm]) -> Vec<Vec<&Vm>> {
    let mut hashes: Vec<u32> = vms.iter().map(Vm::uuid_hash).collect();
    hashes.sort_unstable();
    let repeated = hashes.windows(2).filter(|pair| pair[0] == pair[1]);
    let repeated: FxHashSet<u32> = repeated.map(|pair| pair[0]).collect();
    drop(hashes);
    let suspects = vms.iter().filter(|vm| repeated.contains(&vm.uuid_hash()));
    let mut suspects: Vec<&Vm> = suspects.collect();
    suspects.sort_unstable_by_key(|vm| (vm.uuid, vm.id));
    let same = suspects.chunk_by(|vm, next| vm.uuid == next.uuid);
    // A machine that the server sent twice is not a clone of itself.
    let clones = same.filter(|same| same.first().map(|vm| vm.id) != same.last().map(|vm| vm.id));
    clones.map(<[_]>::to_vec).collect()
}

const UNLISTED: &str = "no host lists it: it moved during the scan, or the account may not see its host";
pub(super) const VANISHED: &str = "it vanished during the scan";

/// The virtual machines on their hosts.
#[derive(Debug)]
pub(super) struct Placed {
    vms: Vec<Vm>,
    /// The ids of the virtual machines that are left out, with the reason.
    pub(super) omitted: Vec<(String, String)>,
    /// The ids of the virtual machines that several hosts listed.
    pub(super) moved: Vec<String>,
    ids: Ids,
}

impl Placed {
    /// The managed object id.
    pub(super) fn id_of(&self, vm: &Vm) -> String {
        self.ids.text(vm.id)
    }

    /// The virtual machines that share their uuid with others, each with the index of its host: a list for each uuid, in the order
    /// of the uuids.
    pub(super) fn clones(&self) -> impl Iterator<Item = Vec<(&Vm, usize)>> {
        let with_host = |vm| (vm, Vm::host(vm) as usize);
        let all = sharing(&self.vms).into_iter();
        all.map(move |same| same.into_iter().map(with_host).collect())
    }

    /// The virtual machines on the host whose list was the `host`th, by uuid.
    pub(super) fn on(&self, host: usize) -> &[Vm] {
        let start = self.vms.partition_point(|vm| (vm.host() as usize) < host);
        let vms = self.vms.get(start..).unwrap_or_default();
        let length = vms.partition_point(|vm| vm.host() as usize == host);
        vms.get(..length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_text() {
        let mut ids = Ids::default();
        let texts = [
            "vm-1",
            "vm-01",
            "vm-+1",
            "vm-0",
            "vm-2147483647",
            "vm-2147483648",
            "vm-4294967296",
            "12",
            "vm-",
            "group-v3",
        ];
        let kept = texts.map(|text| ids.id(text));
        assert_eq!(kept.map(|id| ids.text(id)), texts);
        assert_eq!(texts.map(|text| ids.id(text)), kept);
    }

    #[test]
    fn a_machine_keeps_its_state_on_any_host() {
        for state in GuestState::ALL {
            let mut vm = Vm::new(VmId(1), Uuid::from_u128(1), state);
            assert_eq!((vm.host(), vm.state()), (NOWHERE, state));
            vm.set_host(1_000_000);
            assert_eq!((vm.host(), vm.state()), (1_000_000, state));
        }
        assert_eq!(size_of::<Vm>(), 24);
    }

    #[test]
    fn machines_that_share_a_uuid_are_found() {
        let mut vms = Vms::default();
        let machines = [
            ("vm-3", 2),
            ("vm-1", 1),
            ("vm-5", 9),
            ("x", 2),
            ("vm-2", 1),
            ("vm-4", 2),
            ("vm-5", 9),
        ];
        for (id, number) in machines {
            vms.add(id, Uuid::from_u128(number), GuestState::Running);
        }
        assert_eq!(vms.clones(), ["vm-1", "vm-2", "vm-3", "vm-4", "x"]);
        vms.list(["vm-1", "vm-2", "vm-3"].into_iter());
        vms.list(["x", "vm-5"].into_iter());
        let placed = vms.place();
        let clones = placed.clones().map(|same| {
            let named = same
                .iter()
                .map(|(vm, host)| format!("{}@{host}", placed.id_of(vm)));
            named.collect::<Vec<_>>()
        });
        // vm-4 is on no host.
        assert_eq!(
            clones.collect::<Vec<_>>(),
            [["vm-1@0", "vm-2@0"], ["vm-3@0", "x@1"]]
        );
    }

    #[test]
    fn the_last_state_of_a_machine_wins() {
        let mut vms = Vms::default();
        for number in 0..1000 {
            vms.add(
                &format!("vm-{}", number % 250),
                Uuid::from_u128(number),
                GuestState::Running,
            );
        }
        let all: Vec<String> = (0..250).map(|id| format!("vm-{id}")).collect();
        vms.list(all.iter().map(String::as_str));
        let placed = vms.place();
        let uuids: Vec<u128> = placed.on(0).iter().map(|vm| vm.uuid.as_u128()).collect();
        assert_eq!(uuids, (750..1000).collect::<Vec<_>>());
        assert!(placed.moved.is_empty());
    }

    #[test]
    fn the_last_list_of_a_machine_wins() {
        let mut vms = Vms::default();
        for (id, number) in [("vm-3", 3), ("vm-1", 1), ("x", 2)] {
            vms.add(id, Uuid::from_u128(number), GuestState::Running);
        }
        vms.add_unusable("vm-7", "odd".into());
        let lists = [&["vm-1", "x", "vm-9"][..], &[], &["vm-1", "vm-7", "vm-9"]];
        for list in lists {
            vms.list(list.iter().copied());
        }
        let mut placed = vms.place();
        let uuids = [0, 1, 2, 3].map(|host| {
            let uuids = placed.on(host).iter().map(|vm| vm.uuid.as_u128());
            uuids.collect::<Vec<_>>()
        });
        assert_eq!(uuids, [vec![2], vec![], vec![1], vec![]]);
        assert_eq!(placed.moved, ["vm-1"]);
        placed.omitted.sort();
        let expected = [("vm-3", UNLISTED), ("vm-7", "odd"), ("vm-9", VANISHED)];
        assert_eq!(
            placed.omitted,
            expected.map(|(id, why)| (id.to_owned(), why.to_owned()))
        );
    }
}
