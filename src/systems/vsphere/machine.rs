//! Virtual machines as people name them: by name, inventory path, uuid or managed object id.

use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::property::{self, Object, PropertySpec};
use super::question::{QUESTION, Question};
use super::session::Session;
use super::{Error, ManagedObject};
use crate::escape::Scheme;

const MACHINE: &str = "VirtualMachine";

/// What a virtual machine is found by, and the folders that make its path. A virtual app is a folder, too.
const WANTED: &[PropertySpec] = &[
    PropertySpec {
        kind: MACHINE,
        paths: &[
            "name",
            "parent",
            "parentVApp",
            "config.uuid",
            "config.instanceUuid",
            QUESTION,
        ],
    },
    PropertySpec {
        kind: "Folder",
        paths: &["name", "parent"],
    },
    PropertySpec {
        kind: "Datacenter",
        paths: &["name", "parent"],
    },
    PropertySpec {
        kind: "VirtualApp",
        paths: &["name", "parentFolder"],
    },
];

/// The deepest folder whose path is made. A path that is longer leads in a circle.
const DEEPEST: usize = 100;

/// The most names that an unknown one is compared with, and the most that are shown.
const SIMILAR: usize = 5;

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its object on the server.
    pub object: ManagedObject,
    /// Its name, unescaped. Several virtual machines may have one name.
    pub name: String,
    /// Its inventory path, such as `/DC1/vm/web/web1`; the name alone if its folder is unknown.
    pub path: String,
    /// The question that it asked when it was read.
    pub question: Option<Question>,
    uuids: Vec<Uuid>,
}

/// A text that does not name one virtual machine. The names in it are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unidentified {
    /// There is no such virtual machine; these have a similar name.
    Unknown(Vec<String>),
    /// Each of these has the name.
    Ambiguous(Vec<String>),
}

/// All virtual machines that the session's account may see.
#[derive(Debug, Default)]
pub struct Machines(Vec<Machine>);

impl Machines {
    /// Reads them from the server.
    pub fn read(session: &mut Session) -> Result<Self, Error> {
        let view = session.create_view(WANTED)?;
        let Session { client, content, .. } = session;
        let mut found = Found::default();
        let collector = &content.property_collector;
        property::retrieve(client, collector, &view, WANTED, |object| found.add(object))?;
        Ok(found.machines())
    }

    /// All of them, ordered by path.
    pub fn all(&self) -> &[Machine] {
        &self.0
    }

    /// The virtual machine that a user means: by its name, its inventory path with or without the first slash, its instance or
    /// BIOS uuid in either byte order, or its managed object id.
    pub fn find(&self, text: &str) -> Result<&Machine, Unidentified> {
        let uuids = Uuid::try_parse(text).ok().map(|uuid| [uuid, swapped(uuid)]);
        let path = text.strip_prefix('/').unwrap_or(text);
        let is_meant = |machine: &&Machine| {
            machine.name == text
                || machine.object.id == text
                || machine.path.strip_prefix('/') == Some(path)
                || uuids.is_some_and(|uuids| uuids.iter().any(|uuid| machine.uuids.contains(uuid)))
        };
        let meant: Vec<&Machine> = self.0.iter().filter(is_meant).collect();
        match meant.as_slice() {
            [machine] => Ok(machine),
            [] => Err(Unidentified::Unknown(self.similar(text))),
            several => Err(Unidentified::Ambiguous(
                several.iter().map(|m| m.shown()).collect(),
            )),
        }
    }

    /// The virtual machines whose names differ in case or by a typing error.
    fn similar(&self, text: &str) -> Vec<String> {
        let name = text.rsplit('/').next().unwrap_or(text).to_lowercase();
        let distance = |machine: &Machine| strsim::osa_distance(&machine.name.to_lowercase(), &name);
        let most = match name.chars().count() {
            0..=2 => 0,
            3..=7 => 1,
            _ => 2,
        };
        let mut near: Vec<(usize, &Machine)> = self.0.iter().map(|m| (distance(m), m)).collect();
        near.retain(|(distance, _)| *distance <= most);
        near.sort_by_key(|(distance, _)| *distance);
        near.iter()
            .take(SIMILAR)
            .map(|(_, machine)| machine.shown())
            .collect()
    }
}

impl Machine {
    /// Its path and its id, for messages.
    fn shown(&self) -> String {
        format!("{} ({})", self.path, self.object.id)
    }
}

/// The uuid with its first three groups in the other byte order, as guests see it or as vSphere shows it.
fn swapped(uuid: Uuid) -> Uuid {
    Uuid::from_bytes(uuid.to_bytes_le())
}

/// The objects as they arrive, in any order.
#[derive(Default)]
struct Found {
    machines: Vec<(Machine, Option<String>)>,
    /// The folders by their ids: name and parent.
    folders: FxHashMap<String, (String, Option<String>)>,
}

impl Found {
    fn add(&mut self, object: &Object) {
        let name = object.text("name").map(unescaped);
        let parent = ["parent", "parentVApp", "parentFolder"];
        let parent = parent.into_iter().find_map(|path| object.text(path));
        let parent = parent.map(str::to_owned);
        if object.kind != MACHINE {
            let name = name.unwrap_or_else(|| object.id.clone());
            self.folders.insert(object.id.clone(), (name, parent));
            return;
        }
        if object.is_gone() {
            return;
        }
        let uuids = ["config.uuid", "config.instanceUuid"].into_iter();
        let uuids = uuids.filter_map(|path| Uuid::try_parse(object.text(path)?).ok());
        let name = name.unwrap_or_else(|| object.id.clone());
        let machine = Machine {
            object: object.reference(),
            path: name.clone(),
            name,
            question: Question::of(object),
            uuids: uuids.collect(),
        };
        self.machines.push((machine, parent));
    }

    fn machines(self) -> Machines {
        let Found { machines, folders } = self;
        let with_path = |(mut machine, parent): (Machine, Option<String>)| {
            if let Some(folder) = parent.and_then(|parent| path(&folders, &parent)) {
                machine.path = format!("{folder}/{}", machine.name);
            }
            machine
        };
        let mut machines: Vec<Machine> = machines.into_iter().map(with_path).collect();
        machines.sort_by(|a, b| (&a.path, &a.object.id).cmp(&(&b.path, &b.object.id)));
        Machines(machines)
    }
}

/// The path of a folder, without the root folder, which is never part of a path.
fn path(folders: &FxHashMap<String, (String, Option<String>)>, id: &str) -> Option<String> {
    let mut names = Vec::new();
    let mut next = id;
    while let Some((name, parent)) = folders.get(next) {
        names.push(name.as_str());
        match parent {
            Some(parent) => next = parent,
            None => break,
        }
        if names.len() > DEEPEST {
            return None;
        }
    }
    let path = names.iter().rev().map(|name| format!("/{name}"));
    (!names.is_empty()).then(|| path.collect())
}

fn unescaped(name: &str) -> String {
    Scheme::Name.decode(name).unwrap_or_else(|_| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machines() -> Machines {
        let mut found = Found::default();
        let machine = |id: &str, name: &str, parent: &str, uuid: &str| {
            let parent = format!("Folder:{parent}");
            let properties = [
                ("name", name),
                ("parent", &*parent),
                ("config.uuid", uuid),
                ("config.instanceUuid", "5012aaaa-0000-1111-2222-333344445555"),
            ];
            let own = if id == "vm-1" {
                &properties[..]
            } else {
                &properties[..3]
            };
            Object::of(MACHINE, id, own)
        };
        let uuid = "78563412-ab90-efcd-1234-567890abcdef";
        let folder = |kind: &str, id: &str, name: &str, parent: &str| {
            Object::of(kind, id, &[("name", name), ("parent", parent)])
        };
        for object in [
            machine("vm-1", "web%2f1", "group-v3", uuid),
            machine("vm-2", "twin", "group-v3", ""),
            machine("vm-3", "twin", "group-v9", ""),
            machine("vm-4", "vm-2", "group-unseen", ""),
            folder("Folder", "group-v9", "Deep", "Folder:group-v3"),
            folder("Folder", "group-v3", "vm", "Datacenter:datacenter-2"),
            // The view does not contain the root folder.
            folder("Datacenter", "datacenter-2", "DC 50%25", "Folder:group-d1"),
            folder("Folder", "loop-1", "a", "Folder:loop-2"),
            folder("Folder", "loop-2", "b", "Folder:loop-1"),
            machine("vm-5", "lost", "loop-1", ""),
        ] {
            found.add(&object);
        }
        found.machines()
    }

    #[test]
    fn a_machine_is_found_by_everything_that_names_it() {
        let machines = machines();
        for text in [
            "web/1",
            "vm-1",
            "/DC 50%/vm/web/1",
            "DC 50%/vm/web/1",
            "78563412-ab90-efcd-1234-567890abcdef",
            "12345678-90AB-CDEF-1234-567890abcdef",
            "5012aaaa-0000-1111-2222-333344445555",
            "aaaa1250-0000-1111-2222-333344445555",
        ] {
            assert_eq!(machines.find(text).map(|m| &*m.object.id), Ok("vm-1"), "{text}");
        }
        let by_path = machines.find("/DC 50%/vm/Deep/twin").map(|m| &*m.object.id);
        assert_eq!(by_path, Ok("vm-3"));
        assert_eq!(machines.find("lost").unwrap().path, "lost");
    }

    #[test]
    fn a_name_that_fits_none_or_several_lists_candidates() {
        let machines = machines();
        let candidates = |text| match machines.find(text).unwrap_err() {
            Unidentified::Unknown(similar) => ("unknown", similar.join(", ")),
            Unidentified::Ambiguous(several) => ("ambiguous", several.join(", ")),
        };
        let twins = "/DC 50%/vm/Deep/twin (vm-3), /DC 50%/vm/twin (vm-2)";
        assert_eq!(candidates("twin"), ("ambiguous", twins.to_owned()));
        assert_eq!(candidates("Twni"), ("unknown", twins.to_owned()));
        assert_eq!(
            candidates("vm-2"),
            ("ambiguous", "/DC 50%/vm/twin (vm-2), vm-2 (vm-4)".to_owned())
        );
        assert_eq!(candidates("other"), ("unknown", String::new()));
        assert_eq!(candidates(""), ("unknown", String::new()));
    }
}
