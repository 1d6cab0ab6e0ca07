//! JSON whose odd parts count as missing, so that one odd record does not make a whole list unreadable.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The longest text in bytes. No uuid, name or version has more.
const LONGEST: usize = 1024;

/// A text, or a whole number as text. A blank text, one of more than a kilobyte, and any other JSON count as missing.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) Option<String>);

/// An object. Any other JSON counts as missing.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) Option<T>);

/// The elements of a list, of which there may be `MOST`. Any other JSON counts as an empty list.
#[derive(Debug)]
pub(super) struct Elements<T, const MOST: usize>(pub(super) Vec<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Object(None)
    }
}

impl<T: Default> Object<T> {
    /// The object, or one without members.
    pub(super) fn or_empty(self) -> T {
        self.0.unwrap_or_default()
    }
}

impl<T, const MOST: usize> Default for Elements<T, MOST> {
    fn default() -> Self {
        Elements(Vec::new())
    }
}

/// A value that takes from JSON what it can use, and is empty otherwise.
trait Lenient<'de>: Default {
    fn of_text(_text: &str) -> Self {
        Self::default()
    }

    fn of_number(_number: u64) -> Self {
        Self::default()
    }

    fn of_map<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    fn of_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

impl Lenient<'_> for Text {
    fn of_text(text: &str) -> Self {
        let is_usable = text.len() <= LONGEST && !text.trim().is_empty();
        Text(is_usable.then(|| text.to_owned()))
    }

    fn of_number(number: u64) -> Self {
        Text(Some(number.to_string()))
    }
}

impl<'de, T: Deserialize<'de>> Lenient<'de> for Object<T> {
    fn of_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        let object = T::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Object(Some(object)))
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Lenient<'de> for Elements<T, MOST> {
    fn of_list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            if elements.len() == MOST {
                return Err(A::Error::custom(format_args!(
                    "a list has more than {MOST} elements"
                )));
            }
            elements.push(element);
        }
        Ok(Elements(elements))
    }
}

/// Reads any JSON.
struct Any<T>(PhantomData<T>);

impl<'de, T: Lenient<'de>> Visitor<'de> for Any<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::of_number(number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::of_text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::of_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::of_list(list)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for Elements<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_str, json};

    /// JSON of every kind.
    const ALL: &str = r#"[null, true, -1, 7, 0.5, 1e99, "", "text", [1, {"a": []}], {"text": 2}]"#;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default)]
    struct Inner {
        text: Text,
        list: Elements<Text, 3>,
    }

    #[test]
    fn a_text_is_a_text_or_a_whole_number() {
        let texts: Vec<Text> = from_str(ALL).unwrap();
        let texts: Vec<Option<String>> = texts.into_iter().map(|text| text.0).collect();
        let expected = json!([null, null, null, "7", null, null, null, "text", null, null]);
        assert_eq!(json!(texts), expected);
    }

    #[test]
    fn a_text_has_at_most_a_kilobyte() {
        let text = |length: usize| from_str::<Text>(&format!("{:?}", "x".repeat(length))).unwrap().0;
        assert_eq!(text(LONGEST).map(|text| text.len()), Some(LONGEST));
        assert_eq!(text(LONGEST + 1), None);
    }

    #[test]
    fn only_an_object_is_an_object() {
        let objects: Vec<Object<Inner>> = from_str(ALL).unwrap();
        let texts: Vec<Option<String>> = objects
            .into_iter()
            .map(|object| object.0.and_then(|inner| inner.text.0))
            .collect();
        let expected = json!([null, null, null, null, null, null, null, null, null, "2"]);
        assert_eq!(json!(texts), expected);
    }

    #[test]
    fn only_a_list_has_elements() {
        let lists: Vec<Elements<IgnoredAny, 9>> = from_str(ALL).unwrap();
        let lengths: Vec<usize> = lists.iter().map(|list| list.0.len()).collect();
        assert_eq!(lengths, [0, 0, 0, 0, 0, 0, 0, 0, 2, 0]);
        let inner: Inner = from_str(r#"{"unknown": [[]], "list": ["a", {}, 3]}"#).unwrap();
        assert!(inner.text.0.is_none());
        assert_eq!(inner.list.0.len(), 3);
        let error = from_str::<Inner>(r#"{"list": [1, 2, 3, 4]}"#).unwrap_err();
        assert!(error.to_string().contains("more than 3 elements"), "{error}");
    }

    #[test]
    fn malformed_json_is_an_error() {
        for text in [
            r#"{"text": tru}"#,
            r#"{"list": [1, }"#,
            r#"{"text": "a"#,
            r#"{"text": {"#,
        ] {
            assert!(from_str::<Inner>(text).is_err(), "{text}");
        }
    }
}
