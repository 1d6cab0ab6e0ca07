//! The parts of a hypervisor that the server can't store, which are left out and named.
//!
//! The server silently loses a hypervisor that has a fact with a too long key or value, or a socket count that is not a number. It
//! refuses a hypervisor with a too long name, guest id or attribute, and a whole report with a list or an object as a value.
//! Leaving out the smallest part that does not fit saves the rest.

use std::collections::{BTreeSet, HashSet};

use crate::mapping::{Attributes, Guest, Hypervisor, Members, Value};

/// The longest name of a hypervisor that the server accepts, in characters.
const LONGEST_NAME: usize = 250;
/// The longest id, key or value, in characters: the width of most columns of the server's database.
const LONGEST: usize = 255;

/// The fact that the server reads as a number.
const SOCKETS: &str = "cpu.cpu_socket(s)";

/// What does not fit of one hypervisor: the first few, and how many more there are.
#[derive(Debug, Default)]
pub(super) struct Misfits {
    named: Vec<String>,
    more: usize,
}

impl Misfits {
    /// How many are named.
    const SOME: usize = 10;

    pub(super) fn push(&mut self, misfit: String) {
        match self.named.len() < Misfits::SOME {
            true => self.named.push(misfit),
            false => self.more += 1,
        }
    }

    /// How many are not named. [`Misfits::into_vec`] ends with one item for all of them.
    pub(super) fn more(&self) -> usize {
        self.more
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        let Misfits { mut named, more } = self;
        if more > 0 {
            named.push(format!("{more} more of its parts do not fit"));
        }
        named
    }
}

/// Why a hypervisor can't be sent under this id.
pub(super) fn id(id: &str) -> Result<(), String> {
    text("its id", id, LONGEST)
}

/// The name, if it can be sent. For an empty name the server would refuse the hypervisor.
pub(super) fn name<'m>(hypervisor: &'m Hypervisor, misfits: &mut Misfits) -> Option<&'m str> {
    odd_member(&hypervisor.unknown, "name", "a text", misfits);
    odd_member(&hypervisor.unknown, "facts", "an object", misfits);
    let name = hypervisor.name.as_deref().filter(|name| !name.is_empty())?;
    match text("its name", name, LONGEST_NAME) {
        Ok(()) => Some(name),
        Err(misfit) => {
            misfits.push(misfit);
            None
        }
    }
}

/// The facts that can be sent; `None` if the hypervisor has no facts.
pub(super) fn facts<'m>(
    hypervisor: &'m Hypervisor,
    misfits: &mut Misfits,
) -> Option<Vec<(&'m str, &'m Value)>> {
    if hypervisor.facts.is_empty() {
        return None;
    }
    let fits = |name: &str, value: &Value| {
        member("fact", name, value)?;
        match name {
            SOCKETS => sockets(value),
            _ => Ok(()),
        }
    };
    // Invalid facts are named as flaws of the document.
    Some(fitting(hypervisor.facts.valid(), fits, misfits))
}

/// Why a guest can't be sent.
pub(super) fn guest(guest: &Guest) -> Result<(), String> {
    text("the id of a guest", &guest.id, LONGEST)
}

/// The attributes of a guest that can be sent, without those that have members of their own.
pub(super) fn attributes<'m>(guest: &'m Guest, misfits: &mut Misfits) -> Vec<(&'m str, &'m Value)> {
    let mut own = Misfits::default();
    odd_member(&guest.unknown, "attributes", "an object", &mut own);
    let doubled = doubled(&guest.attributes);
    for name in &doubled {
        own.push(format!("the attribute {name} is there twice"));
    }
    let once = guest
        .attributes
        .unknown
        .iter()
        .filter(|(name, _)| !doubled.contains(name));
    let fitting = fitting(once, |name, value| member("attribute", name, value), &mut own);
    for misfit in own.into_vec() {
        misfits.push(format!("guest {}: {misfit}", guest.id));
    }
    fitting
}

/// The names of attributes that are there more than once.
fn doubled(attributes: &Attributes) -> BTreeSet<&str> {
    let understood = [
        ("active", attributes.active.is_some()),
        ("virtWhoType", attributes.virt_who_type.is_some()),
    ];
    let mut seen: HashSet<&str> = understood
        .into_iter()
        .filter(|(_, is_there)| *is_there)
        .map(|(name, _)| name)
        .collect();
    let names = attributes.unknown.iter().map(|(name, _)| name);
    names.filter(|name| !seen.insert(name)).collect()
}

/// virt-who's type of the source, if it can be sent.
pub(super) fn kind<'m>(attributes: &'m Attributes, misfits: &mut Misfits) -> Option<&'m str> {
    let kind = attributes.virt_who_type.as_deref()?;
    match text("the attribute virtWhoType", kind, LONGEST) {
        Ok(()) => Some(kind),
        Err(misfit) => {
            misfits.push(misfit);
            None
        }
    }
}

fn fitting<'m>(
    members: impl Iterator<Item = (&'m str, &'m Value)>,
    fits: impl Fn(&str, &Value) -> Result<(), String>,
    misfits: &mut Misfits,
) -> Vec<(&'m str, &'m Value)> {
    let fitting = members.filter(|(name, value)| match fits(name, value) {
        Ok(()) => true,
        Err(misfit) => {
            misfits.push(misfit);
            false
        }
    });
    fitting.collect()
}

/// Whether a member fits. The server accepts texts, numbers, booleans and null.
fn member(what: &str, name: &str, value: &Value) -> Result<(), String> {
    text(&format!("the name of a {what}"), name, LONGEST)?;
    let what = format!("the {what} {name}");
    match value {
        Value::Text(value) => text(&what, value, LONGEST),
        Value::Other(raw) if raw.get().starts_with('"') => Err(format!("{what} is not valid text")),
        Value::Other(raw) if raw.get().starts_with(['[', '{']) => {
            Err(format!("{what} is a list or an object"))
        }
        Value::Other(raw) => text(&what, raw.get(), LONGEST),
    }
}

fn sockets(value: &Value) -> Result<(), String> {
    let text = match value {
        Value::Text(text) => text,
        Value::Other(raw) => raw.get(),
    };
    match text.parse::<i32>() {
        Ok(0..) => Ok(()),
        _ if text.is_empty() || text == "null" => Ok(()),
        _ => Err(format!("the fact {SOCKETS} is not a number of sockets")),
    }
}

fn text(what: &str, text: &str, limit: usize) -> Result<(), String> {
    match text.chars().count() {
        count if count > limit => Err(format!(
            "{what} has {count} characters, and the server accepts {limit}"
        )),
        // PostgreSQL can't store NUL in a text.
        _ if text.contains('\0') => Err(format!("{what} holds a NUL")),
        _ => Ok(()),
    }
}

/// Names a member whose value has another type than this; null counts as missing.
fn odd_member(members: &Members, name: &str, kind: &str, misfits: &mut Misfits) {
    let odd = members.iter().find(|(own, _)| *own == name);
    if odd.is_some_and(|(_, value)| !matches!(value, Value::Other(raw) if raw.get() == "null")) {
        misfits.push(format!("its {name:?} is not {kind}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Reader;

    fn hypervisor(text: &str) -> Hypervisor {
        let text = format!("{{\"hypervisors\":[{text}]}}");
        let mapping = Reader::new(text.as_bytes()).next_mapping().unwrap().unwrap();
        mapping.hypervisors.into_iter().next().unwrap()
    }

    #[test]
    fn facts_that_would_lose_their_hypervisor_are_left_out() {
        let long = "v".repeat(256);
        let host = hypervisor(&format!(
            r#"{{"uuid":"a","guests":[],"facts":{{"cpu.cpu_socket(s)":"two","good":"1","long":"{long}","{long}":"1",
                "list":[1],"object":{{}},"number":7,"nothing":null,"nul":"\u0000","most":"{}"}}}}"#,
            &long[..255]
        ));
        let mut misfits = Misfits::default();
        let names: Vec<&str> = facts(&host, &mut misfits)
            .unwrap()
            .iter()
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(names, ["good", "number", "nothing", "most"]);
        let misfits = misfits.into_vec();
        assert_eq!(misfits.len(), 6, "{misfits:?}");
        assert!(misfits[0].contains("cpu.cpu_socket(s)"), "{misfits:?}");
        let none = hypervisor(r#"{"uuid":"a","guests":[]}"#);
        assert!(facts(&none, &mut Misfits::default()).is_none());
        // These are flaws of the document, which names them.
        let host = hypervisor(r#"{"uuid":"a","guests":[],"facts":{"a":"1","b":"\ud800","a":"2","c":"3"}}"#);
        let mut misfits = Misfits::default();
        assert_eq!(facts(&host, &mut misfits).unwrap(), [("c", &Value::from("3"))]);
        assert!(misfits.into_vec().is_empty());
    }

    #[test]
    fn of_many_faults_the_first_are_named() {
        let mut misfits = Misfits::default();
        (0..1000).for_each(|n| misfits.push(n.to_string()));
        let misfits = misfits.into_vec();
        assert_eq!(
            (misfits.len(), &*misfits[10]),
            (11, "990 more of its parts do not fit")
        );
    }

    #[test]
    fn counts_of_sockets() {
        for (text, good) in [
            ("0", true),
            ("64", true),
            ("", true),
            ("-1", false),
            ("2.0", false),
            ("99999999999", false),
        ] {
            assert_eq!(sockets(&Value::from(text)).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn names_and_attributes() {
        let long = "n".repeat(251);
        let mut misfits = Misfits::default();
        let mut named = |text: &str| {
            let host = hypervisor(text);
            name(&host, &mut misfits).map(str::to_owned)
        };
        assert_eq!(
            named(r#"{"uuid":"a","guests":[],"name":"n"}"#).as_deref(),
            Some("n")
        );
        assert_eq!(named(r#"{"uuid":"a","guests":[],"name":""}"#), None);
        assert_eq!(
            named(r#"{"uuid":"a","guests":[],"name":null,"facts":null}"#),
            None
        );
        assert_eq!(
            named(&format!(r#"{{"uuid":"a","guests":[],"name":"{long}"}}"#)),
            None
        );
        assert_eq!(named(r#"{"uuid":"a","guests":[],"name":7,"facts":[]}"#), None);
        let misfits = misfits.into_vec();
        assert_eq!(misfits.len(), 3, "{misfits:?}");

        let attributes_of = |text: &str| {
            let host = hypervisor(&format!(
                r#"{{"uuid":"a","guests":[{{"guestId":"g","state":1,"attributes":{{{text}}}}}]}}"#
            ));
            let mut misfits = Misfits::default();
            let names: Vec<String> = attributes(&host.guests[0], &mut misfits)
                .iter()
                .map(|(name, _)| (*name).to_owned())
                .collect();
            (names.join(" "), misfits.into_vec())
        };
        let (names, misfits) = attributes_of(r#""x":{},"y":1"#);
        assert_eq!(names, "y");
        assert!(misfits[0].starts_with("guest g: the attribute x"), "{misfits:?}");
        let (names, misfits) = attributes_of(r#""active":1,"active":0,"x":1,"x":2,"y":"\ud800","z":1"#);
        assert_eq!((names.as_str(), misfits.len()), ("z", 3), "{misfits:?}");
        assert!(id(&"i".repeat(255)).is_ok() && id(&"i".repeat(256)).is_err());
    }
}
