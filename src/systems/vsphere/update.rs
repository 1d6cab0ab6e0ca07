//! The stream of an inventory's changes: objects that enter, are modified and leave (vSphere Web Services API,
//! `WaitForUpdatesEx`).

use std::fmt::Write as _;
use std::io::BufRead;
use std::time::{Duration, Instant};

use super::inventory::{self, Inventory, Live};
use super::names;
use super::property::{self, Object, PropertySpec};
use super::rounds::{MOST_OBJECTS, Rounds};
use super::session::{About, Session};
use super::soap::Answer;
use super::{Error, Fault, ManagedObject, NOT_AUTHENTICATED, tell_read};
use crate::xml::{self, Reader};

const WAIT: &str = "WaitForUpdatesEx";

/// How long a server may be silent beyond the time that it was asked to wait.
const SILENCE: Duration = Duration::from_secs(60);

/// How often in a row the server may end a wait by itself. It does so when a document is asked for (SIGUSR1).
const MOST_CANCELS: usize = 100;

/// The stream of updates to the objects of one view.
pub(super) struct Updates {
    session: Session,
    live: Live,
    wanted: &'static [PropertySpec],
    /// The state that the server told last; opaque, and empty before the first.
    version: String,
    /// How often in a row a wait was cancelled.
    cancels: usize,
}

impl Updates {
    /// Reads the whole inventory by a property filter, which afterwards tells the changes: so none can be missed.
    pub(super) fn begin(mut session: Session, guest_names: bool) -> Result<Self, Error> {
        let wanted = inventory::wanted(guest_names);
        let begun = Instant::now();
        let view = session.create_view(wanted)?;
        session.create_filter(&view, wanted)?;
        let mut updates = Updates {
            session,
            live: Live::new(guest_names),
            wanted,
            version: String::new(),
            cancels: 0,
        };
        updates.wait(Duration::ZERO)?;
        tell_read(updates.live.counts(), begun);
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

    /// Notes that a wait was cancelled because somebody asked for it.
    pub(super) fn was_asked(&mut self) {
        self.cancels = 0;
    }

    /// Waits for changes, in whole seconds, and takes in all that there are; answers whether there were any.
    pub(super) fn wait(&mut self, longest: Duration) -> Result<bool, Error> {
        let mut told = self.next_page(longest)?;
        let changed = told.is_some();
        let mut incomplete = Vec::new();
        let mut rounds = Rounds::default();
        while let Some(page) = told {
            rounds.add(WAIT, page.objects)?;
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
            Err(error) if error.is_vanished() => Ok(()),
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
            match client.call_patiently(WAIT, collector, &parameters, silence, read) {
                // Somebody wants a document now. It must not be of half a change: where no time was to be waited, what is
                // there is still to come.
                Err(error) if is_cancel(&error) => {
                    self.cancels += 1;
                    if self.cancels > MOST_CANCELS {
                        return Err(Error::Endless {
                            method: WAIT,
                            what: format!("RequestCanceled {} times in a row", self.cancels),
                        });
                    }
                    if !longest.is_zero() {
                        return Ok(None);
                    }
                }
                page => break page?,
            }
        };
        self.cancels = 0;
        if let Some(page) = &page {
            if let Some(fault) = &page.fault {
                return Err(Error::of_fault(WAIT, fault.clone()));
            }
            self.version.clone_from(&page.version);
        }
        Ok(page)
    }
}

/// Whether the server was asked to end a wait, by CancelWaitForUpdates.
fn is_cancel(error: &Error) -> bool {
    matches!(error, Error::Fault { fault: Fault { kind, .. }, .. } if kind == "RequestCanceled")
}

/// What an answer tells besides the updates themselves.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    version: String,
    /// More is to come at once.
    truncated: bool,
    /// How many updates there were.
    objects: usize,
    /// Objects that must be read anew.
    incomplete: Vec<ManagedObject>,
    /// Why no more updates can come: the session has ended, or the view is gone.
    fault: Option<String>,
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
                        match name {
                            "objectSet" if page.objects == MOST_OBJECTS => {
                                return Err(xml.refuse("a page of far more objects than there can be"));
                            }
                            "objectSet" => {
                                let kind = object.read_update(xml, &mut paths)?;
                                page.take_in(live, &kind, &object, &paths);
                            }
                            "missingSet" => page.miss(property::read_missing_object(xml)?),
                            _ => xml.skip()?,
                        }
                    }
                }
                _ => xml.skip()?,
            }
        }
    }
    Ok(told)
}

impl Page {
    /// Has the inventory take in an update.
    fn take_in(&mut self, live: &mut Live, kind: &str, object: &Object, paths: &[String]) {
        self.objects += 1;
        if object.is_without_session() {
            self.fault = Some(NOT_AUTHENTICATED.to_owned());
        }
        if !take_in(live, kind, object, paths) {
            self.incomplete.push(ManagedObject {
                kind: object.kind.clone(),
                id: object.id.clone(),
            });
        }
    }

    /// Notes an object that the filter looks for in vain. Without its view, where it begins, it never tells anything any more.
    fn miss(&mut self, (object, fault): (Option<ManagedObject>, String)) {
        let is_view = object.is_some_and(|object| object.kind == "ContainerView");
        if is_view || fault == NOT_AUTHENTICATED {
            self.fault = Some(fault);
        }
    }
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
    use crate::systems::vsphere::HypervisorId;
    use crate::systems::vsphere::inventory::{CLUSTER, HOST, VM};

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
                .left_out()
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
