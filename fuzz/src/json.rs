//! What serde_json sees in a stream of mappings, for a comparison with our own reader.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use vw::mapping::MAX_DEPTH;

/// The members of an object in their order; repeated names are kept.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The complete documents of a stream, each with the texts of its hypervisors without white space, and whether all of the stream is
/// accepted.
pub fn expected(bytes: &[u8]) -> (Vec<Vec<String>>, bool) {
    let mut documents = Vec::new();
    for text in serde_json::Deserializer::from_slice(bytes).into_iter::<Box<RawValue>>() {
        match text.ok().and_then(|text| hypervisors(text.get())) {
            Some(hypervisors) => documents.push(hypervisors),
            None => return (documents, false),
        }
    }
    let is_empty = documents.is_empty();
    (documents, !is_empty)
}

/// The hypervisors of a document; `None` if it is not a mapping.
fn hypervisors(text: &str) -> Option<Vec<String>> {
    if depth(text) > MAX_DEPTH {
        return None;
    }
    let Members(members) = serde_json::from_str(text).ok()?;
    let one = |name: &str| {
        let mut found = members
            .iter()
            .filter(|(own, _)| own == name)
            .map(|(_, value)| value.get());
        match (found.next(), found.next()) {
            (found, None) => Some(found),
            _ => None,
        }
    };
    let objects = |list: &str| {
        let list: Vec<Box<RawValue>> = serde_json::from_str(list).ok()?;
        let is_object = |object: &Box<RawValue>| serde_json::from_str::<Members>(object.get()).is_ok();
        list.iter().all(is_object).then_some(list)
    };
    if let Some(source) = one("source")? {
        serde_json::from_str::<Members>(source).ok()?;
    }
    if let Some(omitted) = one("omitted")? {
        objects(omitted)?;
    }
    let hypervisors = objects(one("hypervisors")??)?;
    Some(hypervisors.iter().map(|text| compact(text.get())).collect())
}

/// Valid JSON without the white space outside its strings.
pub fn compact(text: &str) -> String {
    let mut within = false;
    let mut escaped = false;
    let keep = |c: &char| {
        let is_blank = !within && matches!(c, ' ' | '\t' | '\n' | '\r');
        match c {
            '"' if !escaped => within = !within,
            _ => {}
        }
        escaped = within && *c == '\\' && !escaped;
        !is_blank
    };
    text.chars().filter(keep).collect()
}

/// How deep the brackets of valid JSON are nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut within, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            '"' if !escaped => within = !within,
            '{' | '[' if !within => depth += 1,
            '}' | ']' if !within => depth -= 1,
            _ => {}
        }
        escaped = within && c == '\\' && !escaped;
        deepest = deepest.max(depth);
    }
    deepest
}
