//! An inventory that is kept up to date by the stream of its changes.

use std::time::{Duration, Instant};

use super::changes::Changes;
use super::inventory::{self, Inventory, Live};
use super::property::{self, PropertySpec};
use super::scan::log_counts;
use super::session::{About, Session};
use super::{Error, ManagedObject, NOT_FOUND, names};

/// The inventory of one session, and the changes of its objects.
pub(super) struct Updates {
    session: Session,
    live: Live,
    wanted: &'static [PropertySpec],
    changes: Changes,
}

impl Updates {
    /// Reads the whole inventory through a property filter. The same filter reports the changes afterwards, so none is missed.
    pub(super) fn begin(mut session: Session, guest_names: bool) -> Result<Self, Error> {
        let wanted = inventory::wanted(guest_names);
        let begun = Instant::now();
        let view = session.create_view(wanted)?;
        session.create_filter(&property::spec_of_view(&view, wanted))?;
        let mut updates = Updates {
            session,
            live: Live::new(guest_names),
            wanted,
            changes: Changes::default(),
        };
        updates.wait(Duration::ZERO)?;
        log_counts(updates.live.counts(), begun);
        Ok(updates)
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) fn about(&self) -> &About {
        self.session.about()
    }

    /// The inventory in the state that the server described last.
    pub(super) fn inventory(&mut self) -> Result<Inventory, Error> {
        let mut inventory = self.live.inventory();
        let Session { client, content, .. } = &mut self.session;
        names::of_nameless(client, &content.property_collector, &mut inventory)?;
        Ok(inventory)
    }

    /// Notes that a wait was cancelled on request.
    pub(super) fn expect_cancel(&mut self) {
        self.changes.expect_cancel();
    }

    /// Waits for changes, at most `longest` (rounded up to seconds), and applies all that there are; returns whether there were any.
    pub(super) fn wait(&mut self, longest: Duration) -> Result<bool, Error> {
        let mut incomplete = Vec::new();
        let live = &mut self.live;
        let changed = self.changes.wait(&mut self.session, longest, &mut |update| {
            if !live.apply(update) {
                incomplete.push(update.object.reference());
            }
        })?;
        incomplete.iter().try_for_each(|object| self.reread(object))?;
        Ok(changed)
    }

    /// Reads all properties of an object, if it still exists.
    fn reread(&mut self, object: &ManagedObject) -> Result<(), Error> {
        let Some(spec) = self.wanted.iter().find(|spec| spec.kind == object.kind) else {
            return Ok(());
        };
        let Session { client, content, .. } = &mut self.session;
        let (collector, object) = (&content.property_collector, std::slice::from_ref(object));
        match property::retrieve_these(client, collector, object, spec, |object| self.live.put(object)) {
            // The next update says that it has left.
            Err(error) if error.is_fault(NOT_FOUND) => Ok(()),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::mapping::HypervisorId;
    use crate::systems::vsphere::changes::{Page, Update, read_page};
    use crate::systems::vsphere::inventory::{CLUSTER, HOST, VM};
    use crate::xml::Reader;

    /// Applies an answer to an inventory; returns what else the answer contains, and the objects that must be read again.
    fn take(live: &mut Live, updates: &str) -> (Option<Page>, Vec<ManagedObject>) {
        let xml = format!("<WaitForUpdatesExResponse>{updates}</WaitForUpdatesExResponse>");
        let mut reader = Reader::new(xml.as_bytes());
        reader.child().unwrap();
        let mut incomplete = Vec::new();
        let mut apply = |update: &Update<'_>| {
            if !live.apply(update) {
                incomplete.push(update.object.reference());
            }
        };
        let page = read_page(&mut reader, &mut apply).unwrap();
        reader.finish().unwrap();
        (page, incomplete)
    }

    fn page(objects: &str) -> String {
        format!(
            "<returnval><version>3-</version><filterSet><filter type='PropertyFilter'>f</filter>{objects}</filterSet></returnval>"
        )
    }

    fn update(kind: &str, object: &str, changes: &[(&str, &str)]) -> String {
        let of = match object.split('-').next().unwrap() {
            "vm" => VM,
            "host" => HOST,
            _ => CLUSTER,
        };
        let mut xml = format!("<objectSet><kind>{kind}</kind><obj type='{of}'>{object}</obj>");
        for (path, value) in changes {
            let val = match *path {
                "vm" => {
                    let vms = value.split_whitespace();
                    let vms: String = vms
                        .map(|vm| format!("<m type='VirtualMachine'>{vm}</m>"))
                        .collect();
                    format!("<val i:type='ArrayOfManagedObjectReference'>{vms}</val>")
                }
                "parent" => format!("<val type='{CLUSTER}' i:type='ManagedObjectReference'>{value}</val>"),
                _ if value.is_empty() => String::new(),
                _ => format!("<val i:type='xsd:string'>{value}</val>"),
            };
            let _ = write!(
                xml,
                "<changeSet><name>{path}</name><op>assign</op>{val}</changeSet>"
            );
        }
        xml + "</objectSet>"
    }

    const UUID: &str = "78563412-ab90-efcd-1234-567890abcdef";

    fn vm(id: &str) -> String {
        let properties = [
            ("config.uuid", UUID),
            ("config.version", "vmx-09"),
            ("runtime.powerState", "poweredOn"),
        ];
        update("enter", id, &properties)
    }

    /// A cluster, two hosts in it, a machine on the first.
    fn live() -> Live {
        let mut live = Live::default();
        let host = |id, vms| update("enter", id, &[("name", id), ("vm", vms), ("parent", "domain-1")]);
        let objects = [
            host("host-1", "vm-1"),
            host("host-2", ""),
            update("enter", "domain-1", &[("name", "A")]),
            vm("vm-1"),
        ];
        let (page, incomplete) = take(&mut live, &page(&objects.concat()));
        let page = page.unwrap();
        assert_eq!((page.version.as_str(), page.truncated), ("3-", false));
        assert_eq!(incomplete, []);
        live
    }

    /// Each host with its cluster's name and its guests' states.
    fn hosts(live: &Live) -> Vec<String> {
        let identified = live.inventory().identify(HypervisorId::Hwuuid);
        let hosts = identified.hypervisors().map(|host| {
            let states: Vec<String> = host
                .guests
                .iter()
                .map(|guest| guest.state.unwrap_or_default().number().to_string())
                .collect();
            let cluster = host.parent.and_then(|parent| parent.name).unwrap_or_default();
            format!("{} {cluster} [{}]", host.id.unwrap(), states.join(" "))
        });
        hosts.collect()
    }

    #[test]
    fn an_answer_without_updates_changes_nothing() {
        assert_eq!(take(&mut live(), ""), (None, vec![]));
    }

    #[test]
    fn a_truncated_answer_says_so() {
        let xml = page("").replace("</returnval>", "<truncated>true</truncated></returnval>");
        assert!(take(&mut live(), &xml).0.unwrap().truncated);
    }

    #[test]
    fn changes_are_applied() {
        let mut live = live();
        assert_eq!(hosts(&live), ["host-1 A [1]", "host-2 A []"]);
        let steps: [(String, &[&str]); 8] = [
            (
                update("modify", "vm-1", &[("runtime.powerState", "poweredOff")]),
                &["host-1 A [5]", "host-2 A []"],
            ),
            (
                [
                    update("modify", "host-1", &[("vm", "")]),
                    update("modify", "host-2", &[("vm", "vm-1")]),
                ]
                .concat(),
                &["host-1 A []", "host-2 A [5]"],
            ),
            (
                vm("vm-2") + &update("modify", "host-2", &[("vm", "vm-1 vm-2")]),
                &["host-1 A []", "host-2 A [5 1]"],
            ),
            // All properties again, as after a view was created again.
            (vm("vm-1"), &["host-1 A []", "host-2 A [1 1]"]),
            (
                update("enter", "domain-1", &[("name", "B")]),
                &["host-1 B []", "host-2 B [1 1]"],
            ),
            (
                update("modify", "host-1", &[("parent", "domain-2")]),
                &["host-1  []", "host-2 B [1 1]"],
            ),
            (update("leave", "host-1", &[]), &["host-2 B [1 1]"]),
            (
                update("leave", "vm-1", &[])
                    + &update("modify", "host-2", &[("vm", "vm-2")])
                    + &update("leave", "host-7", &[]),
                &["host-2 B [1]"],
            ),
        ];
        for (updates, expected) in steps {
            let (_, incomplete) = take(&mut live, &page(&updates));
            assert_eq!(incomplete, [], "{updates}");
            assert_eq!(hosts(&live), expected, "{updates}");
        }
        assert!(
            live.inventory()
                .identify(HypervisorId::Hwuuid)
                .left_out()
                .is_empty()
        );
    }

    #[test]
    fn an_object_is_read_again_if_a_change_is_incomplete() {
        let denied = "<objectSet><kind>modify</kind><obj type='HostSystem'>host-1</obj><missingSet><path>name</path></missingSet></objectSet>";
        let table = [
            (update("modify", "vm-1", &[("config.version", "vmx-20")]), "vm-1"),
            (
                update(
                    "modify",
                    "vm-1",
                    &[("runtime.powerState", "x"), ("config.uuid", "")],
                ),
                "vm-1",
            ),
            (
                update("modify", "vm-9", &[("runtime.powerState", "poweredOn")]),
                "vm-9",
            ),
            (
                update("modify", "host-1", &[("config.network.dnsConfig.domainName", "")]),
                "host-1",
            ),
            (update("modify", "host-9", &[("name", "x")]), "host-9"),
            (denied.to_owned(), "host-1"),
        ];
        for (updates, object) in table {
            let (_, incomplete) = take(&mut live(), &page(&updates));
            let objects: Vec<&str> = incomplete.iter().map(|object| object.id.as_str()).collect();
            assert_eq!(objects, [object], "{updates}");
        }
    }

    #[test]
    fn an_odd_version_is_forgotten_with_its_machine() {
        let mut live = live();
        let odd = update(
            "enter",
            "vm-1",
            &[("config.uuid", UUID), ("config.version", "odd")],
        );
        take(&mut live, &page(&odd));
        let notes = |live: &Live| live.inventory().identify(HypervisorId::Hwuuid).notes().to_vec();
        assert!(notes(&live).concat().contains("vm-1 with \"odd\""));
        take(&mut live, &page(&vm("vm-1")));
        assert_eq!(notes(&live), Vec::<String>::new());
    }
}
