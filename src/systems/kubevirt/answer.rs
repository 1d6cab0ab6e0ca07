//! What kubectl prints: a list of objects, or events one after another. Only one object at a time is in memory.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most bytes of one object, and of the rest of a list. Kubernetes stores none that is larger than 1.5 MiB.
const MOST_BYTES: u64 = 16 << 20;

/// What kubectl reads ahead, at most.
const BUFFER: usize = 64 << 10;

/// Why an answer is unusable.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It ends in the middle.
    #[error("its answer ended before it was complete")]
    Cut,
    /// It is not JSON, or not what was asked for.
    #[error("its answer is not a list of objects: {0}")]
    Json(serde_json::Error),
    /// An object in it is too large.
    #[error("its answer has an object of more than {} MiB", MOST_BYTES >> 20)]
    TooLarge,
    /// It has too many objects.
    #[error("its answer has too many objects")]
    TooMany,
    /// It can't be read.
    #[error("its answer can't be read: {0}")]
    Read(io::Error),
}

/// An event of a watch.
#[derive(Debug, Deserialize)]
pub struct Event {
    /// `ADDED`, `MODIFIED`, `DELETED`, or `ERROR`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The object, or for `ERROR` a status.
    pub object: Box<RawValue>,
}

/// Reads a `List`, and gives each of its items to `each`, which returns false if there are too many.
pub fn list(input: impl Read, each: impl FnMut(&str) -> bool) -> Result<(), Unreadable> {
    let budget = Budget::default();
    let mut has_too_many = false;
    let each = List {
        each,
        budget: &budget,
        has_too_many: &mut has_too_many,
    };
    let mut json = serde_json::Deserializer::from_reader(budget.limit(input));
    let read = json.deserialize_map(each).and_then(|()| json.end());
    match read {
        Ok(()) => Ok(()),
        Err(_) if has_too_many => Err(Unreadable::TooMany),
        Err(error) => Err(budget.explain(error)),
    }
}

/// Reads events until their end, and gives each to `each`.
pub fn events(input: impl Read, mut each: impl FnMut(Event)) -> Result<(), Unreadable> {
    let budget = Budget::default();
    let json = serde_json::Deserializer::from_reader(budget.limit(input));
    for event in json.into_iter() {
        each(event.map_err(|error| budget.explain(error))?);
        budget.refill();
    }
    Ok(())
}

/// The same stream, which fails after as many bytes as one object may have.
pub(super) fn limited(input: impl Read) -> impl Read {
    Budget::default().limit(input)
}

/// How many more bytes may be read before the next object.
#[derive(Clone)]
struct Budget(Rc<Cell<u64>>);

impl Default for Budget {
    fn default() -> Self {
        Budget(Rc::new(Cell::new(MOST_BYTES)))
    }
}

impl Budget {
    fn refill(&self) {
        self.0.set(MOST_BYTES);
    }

    fn limit<R: Read>(&self, input: R) -> BufReader<Limited<R>> {
        let limited = Limited {
            input,
            budget: self.clone(),
        };
        BufReader::with_capacity(BUFFER, limited)
    }

    fn explain(&self, error: serde_json::Error) -> Unreadable {
        if error.is_eof() {
            Unreadable::Cut
        } else if !error.is_io() {
            Unreadable::Json(error)
        } else if self.0.get() == 0 {
            Unreadable::TooLarge
        } else {
            Unreadable::Read(error.into())
        }
    }
}

/// A stream that fails once the budget is spent.
struct Limited<R> {
    input: R,
    budget: Budget,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(bytes)?;
        let left = self.budget.0.get().saturating_sub(read as u64);
        self.budget.0.set(left);
        match left {
            0 => Err(io::Error::other("an object is too large")),
            _ => Ok(read),
        }
    }
}

/// Reads the members of a `List`.
struct List<'l, F> {
    each: F,
    budget: &'l Budget,
    has_too_many: &'l mut bool,
}

impl<'de, F: FnMut(&str) -> bool> Visitor<'de> for List<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a List")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut has_items = false;
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "items" if has_items => return Err(A::Error::duplicate_field("items")),
                "items" => {
                    has_items = true;
                    members.next_value_seed(Items(&mut self))?;
                }
                _ => _ = members.next_value::<IgnoredAny>()?,
            }
        }
        match has_items {
            true => Ok(()),
            false => Err(A::Error::missing_field("items")),
        }
    }
}

/// Reads the items of a list.
struct Items<'i, 'l, F>(&'i mut List<'l, F>);

impl<'de, F: FnMut(&str) -> bool> DeserializeSeed<'de> for Items<'_, '_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&str) -> bool> Visitor<'de> for Items<'_, '_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element::<Box<RawValue>>()? {
            self.0.budget.refill();
            if !(self.0.each)(item.get()) {
                *self.0.has_too_many = true;
                return Err(A::Error::custom("too many objects"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Result<Vec<String>, String> {
        let mut items = Vec::new();
        let read = list(text.as_bytes(), |item| {
            items.push(item.to_owned());
            items.len() < 4
        });
        read.map(|()| items).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_is_read_item_by_item() {
        let text = r#" {"apiVersion":"v1","items":[ {"a" : [1,{"b":"]}"}]}, null,"c"],"kind":"List","metadata":{"resourceVersion":""}}
            "#;
        assert_eq!(
            items(text).unwrap(),
            [r#"{"a" : [1,{"b":"]}"}]}"#, "null", r#""c""#]
        );
        assert_eq!(items(r#"{"items":[]}"#).unwrap(), [""; 0]);
    }

    #[test]
    fn an_answer_that_is_cut_anywhere_is_no_list() {
        let text = r#"{"items":[{"kind":"Node"},{"kind":"Node"}],"kind":"List"}"#;
        for end in 0..text.len() {
            assert_eq!(
                items(&text[..end]).unwrap_err(),
                Unreadable::Cut.to_string(),
                "{}",
                &text[..end]
            );
        }
    }

    #[test]
    fn an_answer_that_is_no_list_is_refused() {
        for text in [
            "null",
            "[]",
            "{}",
            "<html>",
            r#"{"items":{}}"#,
            r#"{"items":null}"#,
            r#"{"items":[]} x"#,
            r#"{"items":[],"items":[]}"#,
            r#"{"items":[1,]}"#,
            r#"{"kind":"Status","status":"Failure"}"#,
            "{\"items\":[\"\u{1}\"]}",
        ] {
            let error = items(text).unwrap_err();
            assert!(
                error.starts_with("its answer is not a list of objects: "),
                "{text}: {error}"
            );
        }
        assert_eq!(
            items(r#"{"items":[1,2,3,4,5]}"#).unwrap_err(),
            Unreadable::TooMany.to_string()
        );
    }

    #[test]
    fn an_object_that_never_ends_is_refused_and_a_list_may_be_long() {
        let endless = r#"{"items":[""#.as_bytes().chain(io::repeat(b'x'));
        let error = list(endless, |_| true).unwrap_err();
        assert!(matches!(error, Unreadable::TooLarge), "{error}");
        let endless = r#"{"x":"#.as_bytes().chain(io::repeat(b' '));
        assert!(matches!(
            list(endless, |_| true).unwrap_err(),
            Unreadable::TooLarge
        ));
        let item = format!("\"{}\",", "x".repeat(1 << 20));
        let text = format!("{{\"items\":[{}0]}}", item.repeat(20));
        let mut count = 0;
        list(text.as_bytes(), |_| {
            count += 1;
            true
        })
        .unwrap();
        assert_eq!(count, 21);
        let endless = r#"{"type":"ADDED","object":{"x":""#.as_bytes().chain(io::repeat(b'x'));
        assert!(matches!(
            events(endless, |_| ()).unwrap_err(),
            Unreadable::TooLarge
        ));
    }

    #[test]
    fn events_come_one_after_another() {
        let text = "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Node\"}}\n{\n \"object\": 5, \"type\": \"DELETED\"\n}";
        let mut seen = Vec::new();
        events(text.as_bytes(), |event| {
            seen.push((event.kind, event.object.get().to_owned()))
        })
        .unwrap();
        let expected = [("ADDED", r#"{"kind":"Node"}"#), ("DELETED", "5")];
        assert_eq!(
            seen,
            expected.map(|(kind, object)| (kind.to_owned(), object.to_owned()))
        );
        let cut = events(&text.as_bytes()[..60], |_| ()).unwrap_err();
        assert!(matches!(cut, Unreadable::Cut), "{cut}");
        assert!(matches!(
            events(&b"x"[..], |_| ()).unwrap_err(),
            Unreadable::Json(_)
        ));
    }
}
