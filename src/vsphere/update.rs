//! The stream of an inventory's changes: objects that enter, are modified and leave (vSphere Web Services API,
//! `WaitForUpdatesEx`).

use std::fmt::Write as _;
use std::io::BufRead;
use std::time::Duration;

use super::inventory::{self, Inventory, Live};
use super::names;
use super::property::{self, Object, PropertySpec};
use super::session::{About, Session};
use super::soap::Answer;
use super::{Error, ManagedObject};
use crate::xml::{self, Reader};

/// How long a server may be silent beyond the time that it was asked to wait.
const SILENCE: Duration = Duration::from_secs(60);

/// The stream of updates to the objects of one view.
pub(super) struct Updates {
    session: Session,
    live: Live,
    wanted: &'static [PropertySpec],
    /// The state that the server told last; opaque, and empty before the first.
    version: String,
}

impl Updates {
    /// Reads the whole inventory by a property filter, which afterwards tells the changes: so none can be missed.
    pub(super) fn begin(mut session: Session, guest_names: bool) -> Result<Self, Error> {
        let wanted = inventory::wanted(guest_names);
        let view = session.create_view(wanted)?;
        session.create_filter(&view, wanted)?;
        let mut updates = Updates {
            session,
            live: Live::new(guest_names),
            wanted,
            version: String::new(),
        };
        updates.wait(Duration::ZERO)?;
        let (hosts, vms) = updates.live.counts();
        log::debug!("read {hosts} hosts and {vms} virtual machines");
        Ok(updates)
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) fn about(&self) -> &About {
        self.session.about()
    }

    /// The inventory as the server told it last.
    pub(super) fn inventory(&mut self) -> Result<Inventory, Error> {
        let mut inventory = self.live.inventory();
        let Session { client, content, .. } = &mut self.session;
        names::of_nameless(client, &content.property_collector, &mut inventory)?;
        Ok(inventory)
    }

    /// Waits for changes, in whole seconds, and takes in all that there are; answers whether there were any.
    pub(super) fn wait(&mut self, longest: Duration) -> Result<bool, Error> {
        let mut told = self.next_page(longest)?;
        let changed = told.is_some();
        let mut incomplete = Vec::new();
        while let Some(page) = told {
            incomplete.extend(page.incomplete);
            if !page.truncated {
                break;
            }
            told = self.next_page(Duration::ZERO)?;
        }
        incomplete.iter().try_for_each(|object| self.read_anew(object))?;
        Ok(changed)
    }

    /// Reads the whole of an object, if it is still there.
    fn read_anew(&mut self, object: &ManagedObject) -> Result<(), Error> {
        let Some(spec) = self.wanted.iter().find(|spec| spec.kind == object.kind) else {
            return Ok(());
        };
        let Session { client, content, .. } = &mut self.session;
        let (collector, object) = (&content.property_collector, std::slice::from_ref(object));
        match property::retrieve_these(client, collector, object, spec, |object| self.live.put(object)) {
            // That it has left is told next.
            Err(Error::Fault { fault, .. }) if fault.kind == "ManagedObjectNotFound" => Ok(()),
            done => done,
        }
    }

    fn next_page(&mut self, longest: Duration) -> Result<Option<Page>, Error> {
        let seconds = longest.as_millis().div_ceil(1000);
        let mut parameters = format!("<version>{}</version>", xml::escape(&self.version));
        let _ = write!(
            parameters,
            "<options><maxWaitSeconds>{seconds}</maxWaitSeconds></options>"
        );
        let Session { client, content, .. } = &mut self.session;
        let silence = Some(longest + SILENCE);
        let collector = &content.property_collector;
        let page = loop {
            let read = |xml: &mut Answer| read_page(xml, &mut self.live);
            match client.call_patiently("WaitForUpdatesEx", collector, &parameters, silence, read) {
                // Somebody wants a document now. It must not be of half a change: where no time was to be waited, what is
                // there is still to come.
                Err(Error::Fault { fault, .. }) if fault.kind == "RequestCanceled" => {
                    if !longest.is_zero() {
                        break None;
                    }
                }
                page => break page?,
            }
        };
        if let Some(page) = &page {
            self.version.clone_from(&page.version);
        }
        Ok(page)
    }
}

/// What an answer tells besides the updates themselves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    version: String,
    /// More is to come at once.
    truncated: bool,
    /// Objects that must be read anew.
    incomplete: Vec<ManagedObject>,
}

/// Reads an `UpdateSet` and has the inventory take it in; where nothing has changed there is none.
fn read_page<R: BufRead>(xml: &mut Reader<R>, live: &mut Live) -> Result<Option<Page>, xml::Error> {
    let (mut object, mut paths) = (Object::default(), Vec::new());
    let mut told = None;
    while let Some(name) = xml.child()? {
        if name != "returnval" {
            xml.skip()?;
            continue;
        }
        let page: &mut Page = told.get_or_insert_default();
        while let Some(name) = xml.child()? {
            match name {
                "version" => page.version = xml.text()?.to_owned(),
                "truncated" => page.truncated = matches!(xml.text()?.trim(), "true" | "1"),
                "filterSet" => {
                    while let Some(name) = xml.child()? {
                        if name != "objectSet" {
                            xml.skip()?;
                            continue;
                        }
                        let kind = object.read_update(xml, &mut paths)?;
                        if !take_in(live, &kind, &object, &paths) {
                            page.incomplete.push(ManagedObject {
                                kind: object.kind.clone(),
                                id: object.id.clone(),
                            });
                        }
                    }
                }
                _ => xml.skip()?,
            }
        }
    }
    Ok(told)
}

/// Takes in an update; false where it does not tell enough.
fn take_in(live: &mut Live, kind: &str, object: &Object, paths: &[String]) -> bool {
    match kind {
        // An object may enter that is there already: then all of it is told anew.
        "enter" => live.put(object),
        "leave" => live.remove(object),
        _ => return live.modify(object, paths),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vsphere::HypervisorId;
    use crate::vsphere::inventory::{CLUSTER, HOST, VM};

    /// Has an inventory take in an answer, and answers what the answer says besides.
    fn take(live: &mut Live, updates: &str) -> Option<Page> {
        let xml = format!("<WaitForUpdatesExResponse>{updates}</WaitForUpdatesExResponse>");
        let mut reader = Reader::new(xml.as_bytes());
        reader.child().unwrap();
        let page = read_page(&mut reader, live).unwrap();
        reader.finish().unwrap();
        page
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
        let told = take(&mut live, &page(&objects.concat())).unwrap();
        assert_eq!(
            (told.version.as_str(), told.truncated, told.incomplete),
            ("3-", false, vec![])
        );
        live
    }

    /// Each host with its cluster's name and its guests' states.
    fn hosts(live: &Live) -> Vec<String> {
        let identified = live.inventory().identify(HypervisorId::Hwuuid);
        let told = identified.hypervisors().map(|host| {
            let states: Vec<String> = host
                .guests
                .iter()
                .map(|guest| guest.state.number().to_string())
                .collect();
            let cluster = host.parent.and_then(|parent| parent.name).unwrap_or_default();
            format!("{} {cluster} [{}]", host.id.unwrap(), states.join(" "))
        });
        told.collect()
    }

    #[test]
    fn an_answer_without_updates_tells_nothing() {
        assert_eq!(take(&mut live(), ""), None);
    }

    #[test]
    fn a_truncated_answer_says_so() {
        let xml = page("").replace("</returnval>", "<truncated>true</truncated></returnval>");
        assert!(take(&mut live(), &xml).unwrap().truncated);
    }

    #[test]
    fn changes_are_taken_in() {
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
            // All of it again, as after a view was made anew.
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
            let told = take(&mut live, &page(&updates)).unwrap();
            assert_eq!(told.incomplete, [], "{updates}");
            assert_eq!(hosts(&live), expected, "{updates}");
        }
        assert!(
            live.inventory()
                .identify(HypervisorId::Hwuuid)
                .omitted()
                .is_empty()
        );
    }

    #[test]
    fn what_a_change_alone_does_not_tell_is_read_anew() {
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
            let told = take(&mut live(), &page(&updates)).unwrap();
            let objects: Vec<&str> = told.incomplete.iter().map(|object| object.id.as_str()).collect();
            assert_eq!(objects, [object], "{updates}");
        }
    }

    #[test]
    fn what_was_odd_is_forgotten_with_its_machine() {
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
