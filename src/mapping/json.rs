//! JSON values that are kept as they were written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The value of a member that is kept without being interpreted.
#[derive(Debug, Clone)]
pub enum JsonValue {
    /// A string.
    Text(String),
    /// Any other value, as its JSON text without white space. So a number keeps its notation.
    Other(Box<RawValue>),
}

impl JsonValue {
    /// The text, if the value is a string.
    pub fn text(&self) -> Option<&str> {
        match self {
            JsonValue::Text(text) => Some(text),
            JsonValue::Other(_) => None,
        }
    }

    pub(super) fn of(raw: &RawValue) -> Self {
        match text(raw) {
            Some(text) => JsonValue::Text(text.into_owned()),
            None => JsonValue::Other(raw.to_owned()),
        }
    }
}

impl PartialEq for JsonValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (JsonValue::Text(one), JsonValue::Text(other)) => one == other,
            (JsonValue::Other(one), JsonValue::Other(other)) => one.get() == other.get(),
            _ => false,
        }
    }
}

impl Eq for JsonValue {}

impl From<&str> for JsonValue {
    fn from(text: &str) -> Self {
        JsonValue::Text(text.to_owned())
    }
}

impl From<String> for JsonValue {
    fn from(text: String) -> Self {
        JsonValue::Text(text)
    }
}

impl From<&RawValue> for JsonValue {
    fn from(raw: &RawValue) -> Self {
        JsonValue::of(raw)
    }
}

impl Serialize for JsonValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            JsonValue::Text(text) => serializer.serialize_str(text),
            JsonValue::Other(raw) => raw.serialize(serializer),
        }
    }
}

/// Members of an object in their order: facts, or unknown members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(Vec<(Cow<'static, str>, JsonValue)>);

impl Members {
    /// No members.
    pub const fn new() -> Self {
        Members(Vec::new())
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of the first member with this name.
    pub fn get(&self, name: &str) -> Option<&JsonValue> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// The text of the first member with this name, if it is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(JsonValue::text)
    }

    /// Adds a member, or changes the value of the first one with this name.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<JsonValue>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(own, _)| *own == name) {
            Some((_, own)) => *own = value,
            None => self.0.push((name, value)),
        }
    }

    /// Removes all members with this name, and returns the value of the first.
    pub fn remove(&mut self, name: &str) -> Option<JsonValue> {
        let mut removed = self.0.extract_if(.., |(own, _)| *own == name);
        let first = removed.next();
        removed.for_each(drop);
        first.map(|(_, value)| value)
    }

    /// The members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &JsonValue)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Adds a member, even if the name is repeated.
    pub(super) fn push(&mut self, name: String, value: JsonValue) {
        self.0.push((name.into(), value));
    }

    pub(super) fn write_into<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.iter()
            .try_for_each(|(name, value)| map.serialize_entry(name, value))
    }
}

/// Keeps repeated names.
impl FromIterator<(String, JsonValue)> for Members {
    fn from_iter<I: IntoIterator<Item = (String, JsonValue)>>(members: I) -> Self {
        let members = members.into_iter();
        Members(members.map(|(name, value)| (Cow::Owned(name), value)).collect())
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// An object as it was read: its members in their order, with repeated ones, each with its JSON text.
#[derive(Debug, Clone, Default)]
pub(super) struct Object<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads an object; `None` for any other value.
    pub(super) fn of(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, raw)| *raw)
    }

    /// The first of these names that is repeated.
    pub(super) fn repeated<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        let count = |name: &str| self.0.iter().filter(|(own, _)| own == name).count();
        names.iter().copied().find(|name| count(name) > 1)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let index = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.remove(index).1)
    }

    /// Takes a string. A value of another type stays, so it becomes an unknown member.
    pub(super) fn take_text(&mut self, name: &str) -> Option<String> {
        let text = text(self.get(name)?)?;
        self.take(name);
        Some(text.into_owned())
    }

    /// Takes an object. A value of another type stays, as with [`Object::take_text`].
    pub(super) fn take_object(&mut self, name: &str) -> Option<Object<'a>> {
        let object = Object::of(self.get(name)?)?;
        self.take(name);
        Some(object)
    }

    /// The members that have not been taken.
    pub(super) fn into_members(self) -> Members {
        let keep =
            |(name, raw): (Cow<'a, str>, &RawValue)| (Cow::Owned(name.into_owned()), JsonValue::of(raw));
        Members(self.0.into_iter().map(keep).collect())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Reading)
    }
}

/// The members of an object whose names are valid text, and the number of the others.
pub(super) fn members_of<'a>(raw: &'a RawValue) -> Option<(Object<'a>, usize)> {
    struct Reading;

    impl<'de> Visitor<'de> for Reading {
        type Value = (Object<'de>, usize);

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let (mut members, mut nameless) = (Vec::new(), 0);
            while let Some(Name(name)) = map.next_key()? {
                let value = map.next_value()?;
                match name {
                    Some(name) => members.push((Cow::Owned(name), value)),
                    None => nameless += 1,
                }
            }
            Ok((Object(members), nameless))
        }
    }

    if let Some(object) = Object::of(raw) {
        return Some((object, 0));
    }
    serde_json::Deserializer::from_str(raw.get())
        .deserialize_map(Reading)
        .ok()
}

/// A member's name, or `None` if it contains half a surrogate pair.
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl Visitor<'_> for Reading {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Name, E> {
                Ok(Name(std::str::from_utf8(bytes).ok().map(str::to_owned)))
            }
        }

        // serde_json returns half a pair as bytes that are not UTF-8.
        deserializer.deserialize_bytes(Reading)
    }
}

/// Calls `give` with each element of a list, without keeping them. Fails for any other value.
pub(super) fn each<'a>(raw: &'a RawValue, give: impl FnMut(&'a RawValue)) -> Result<(), serde_json::Error> {
    struct Reading<F>(F);

    impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Reading<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<S: SeqAccess<'de>>(mut self, mut list: S) -> Result<(), S::Error> {
            while let Some(element) = list.next_element()? {
                self.0(element);
            }
            Ok(())
        }
    }

    serde_json::Deserializer::from_str(raw.get()).deserialize_seq(Reading(give))
}

/// A string.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The text of a JSON string. `None` for other values, and for a string with half a surrogate pair.
pub(super) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let Text(text) = serde_json::from_str(raw.get()).ok()?;
    Some(text)
}

/// Removes the white space outside strings from valid JSON text.
pub(super) fn compact(text: &mut Vec<u8>) {
    let (mut within, mut escaped) = (false, false);
    text.retain(|byte| {
        let blank = !within && is_blank(*byte);
        match byte {
            _ if escaped => escaped = false,
            // Valid JSON has backslashes only in strings.
            b'\\' => escaped = true,
            b'"' => within = !within,
            _ => {}
        }
        !blank
    });
}

/// Appends valid JSON text without white space to `out`, indented by two spaces per level. It begins at `level`.
pub(super) fn indent(text: &[u8], mut level: usize, out: &mut Vec<u8>) {
    let (mut within, mut escaped, mut opened) = (false, false, false);
    for &byte in text {
        if within {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => within = false,
                _ => {}
            }
            out.push(byte);
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        if closes {
            level -= 1;
        }
        if opened != closes {
            new_line(level, out);
        }
        opened = false;
        out.push(byte);
        match byte {
            b'"' => within = true,
            b'{' | b'[' => {
                level += 1;
                opened = true;
            }
            b',' => new_line(level, out),
            b':' => out.push(b' '),
            _ => {}
        }
    }
}

fn new_line(level: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', 2 * level));
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
