//! Invalid values in usable hypervisors and guests: an invalid state, a repeated fact, or a fact that is not valid text.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json::{JsonValue, Members, Object, Text, members_of, text};
use super::{GuestState, usual};

/// A guest's state, or why it is invalid. `None` if there is none.
pub(super) fn state(guest: &Object<'_>) -> Result<Option<GuestState>, String> {
    if guest.repeated(&["state"]).is_some() {
        return Err("it has two members \"state\"".into());
    }
    let Some(raw) = guest.get("state") else {
        return Ok(None);
    };
    number(raw.get())
        .and_then(GuestState::from_number)
        .map(Some)
        .ok_or_else(|| format!("its state is {}, not a number from 0 to 7", excerpt(raw.get())))
}

/// The value of JSON text that is a whole number from 0 to 255. `1`, `1.0` and `1e0` are the same.
fn number(json: &str) -> Option<u8> {
    match json.as_bytes() {
        [digit @ b'0'..=b'9'] => return Some(digit - b'0'),
        [b'0'..=b'9' | b'-', ..] => {}
        _ => return None,
    }
    let number: f64 = json.parse().ok()?;
    (0..=u8::MAX).find(|byte| f64::from(*byte) == number)
}

/// The facts as they are written, and their errors, each with the number of facts concerned. `None` if `raw` is not an object.
///
/// Facts with a name that is not valid text are left out.
pub(super) fn facts(raw: &RawValue) -> Option<(Members, Vec<(String, usize)>)> {
    let (object, nameless) = members_of(raw)?;
    let mut wrong = Vec::new();
    if nameless > 0 {
        wrong.push(("the name of a fact is not valid text".to_owned(), nameless));
    }
    for name in repeated(object.0.iter().map(|(name, _)| &**name)) {
        wrong.push((format!("the fact {} is repeated", excerpt(name)), 1));
    }
    for (name, value) in &object.0 {
        if !is_valid_text(value) {
            wrong.push((format!("the fact {} is not valid text", excerpt(name)), 1));
        }
    }
    Some((object.into_members(), wrong))
}

impl Members {
    /// The facts that can be sent: those that are not repeated and are valid text.
    pub fn valid(&self) -> impl Iterator<Item = (&str, &JsonValue)> {
        let repeated = repeated(self.iter().map(|(name, _)| name));
        self.iter().filter(move |(name, value)| {
            let invalid = matches!(value, JsonValue::Other(raw) if raw.get().starts_with('"'));
            !invalid && !repeated.contains(name)
        })
    }
}

/// The repeated names.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let pairs = names.windows(2).filter(|pair| pair[0] == pair[1]);
    pairs.map(|pair| pair[0]).collect()
}

/// Whether all elements of a list of guests are valid.
pub(super) fn are_guests_valid(list: &RawValue) -> bool {
    usual::guests(list.get().as_bytes(), drop) || serde_json::from_str::<ValidGuests>(list.get()).is_ok()
}

/// Whether all facts are valid.
pub(super) fn are_facts_valid(facts: &RawValue) -> bool {
    let Some(Object(facts)) = Object::of(facts) else {
        return false;
    };
    let names = facts.iter().map(|(name, _)| &**name);
    repeated(names).is_empty() && facts.iter().all(|(_, raw)| is_valid_text(raw))
}

/// Whether a value is not a string, or a valid one. An escaped half of a surrogate pair makes a string invalid.
fn is_valid_text(raw: &RawValue) -> bool {
    let json = raw.get();
    !json.starts_with('"') || !json.contains('\\') || text(raw).is_some()
}

/// The text, cut to 80 characters for a message.
pub(super) fn excerpt(text: &str) -> Cow<'_, str> {
    crate::text::cut(text, 80)
}

/// A list of valid guests. The guests are not kept.
struct ValidGuests;

impl<'de> Deserialize<'de> for ValidGuests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = ValidGuests;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("guests")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<ValidGuests, S::Error> {
                while let Some(guest) = list.next_element::<ValidGuest<'de>>()? {
                    if guest.id.is_empty() || GuestState::from_number(guest.state).is_none() {
                        return Err(S::Error::custom("invalid guest"));
                    }
                }
                Ok(ValidGuests)
            }
        }

        deserializer.deserialize_seq(Reading)
    }
}

/// The members of a guest that may be there only once. With a derived implementation, a list would be accepted too.
struct ValidGuest<'a> {
    id: Cow<'a, str>,
    state: u8,
}

impl<'de> Deserialize<'de> for ValidGuest<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = ValidGuest<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a guest")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ValidGuest<'de>, M::Error> {
                let (mut id, mut state) = (None, None);
                let mut once = true;
                while let Some(Text(name)) = map.next_key()? {
                    match &*name {
                        "guestId" => {
                            let Text(text) = map.next_value()?;
                            once &= id.replace(text).is_none();
                        }
                        "state" => once &= state.replace(map.next_value()?).is_none(),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                match id {
                    Some(id) if once => Ok(ValidGuest {
                        id,
                        state: state.unwrap_or_default(),
                    }),
                    _ => Err(M::Error::custom("invalid guest")),
                }
            }
        }

        deserializer.deserialize_map(Reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn states_are_the_numbers_from_0_to_7() {
        let of = |json: &str| state(&Object::of(raw(json)).unwrap());
        assert_eq!(of("{}"), Ok(None));
        for (json, state) in [
            ("0", GuestState::None),
            ("1", GuestState::Running),
            ("7", GuestState::PmSuspended),
        ] {
            assert_eq!(of(&format!("{{\"state\":{json}}}")), Ok(Some(state)));
        }
        for json in ["1.0", "1e0", "10E-1"] {
            assert_eq!(
                of(&format!("{{\"state\":{json}}}")),
                Ok(Some(GuestState::Running)),
                "{json}"
            );
        }
        for json in [
            "8",
            "99",
            "-1",
            "1.5",
            "1e400",
            "\"1\"",
            "\"running\"",
            "null",
            "true",
            "[1]",
            "{}",
        ] {
            let wrong = format!("its state is {json}, not a number from 0 to 7");
            assert_eq!(of(&format!("{{\"state\":{json}}}")), Err(wrong));
        }
        assert!(of(r#"{"state":1,"state":5}"#).is_err());
    }

    #[test]
    fn invalid_facts_are_named() {
        let json = r#"{"a":"1","b":"2","a":"3","a":"4","c":"\ud800","\udfff":"5","d":"\ud83d\ude00"}"#;
        let (members, wrong) = facts(raw(json)).unwrap();
        let reasons: Vec<&str> = wrong.iter().map(|(reason, _)| &**reason).collect();
        assert_eq!(
            reasons,
            [
                "the name of a fact is not valid text",
                "the fact a is repeated",
                "the fact c is not valid text"
            ]
        );
        assert_eq!(
            members.valid().map(|(name, _)| name).collect::<Vec<_>>(),
            ["b", "d"]
        );
        let (_, wrong) = facts(raw(r#"{"a":"1","a":"2"}"#)).unwrap();
        assert_eq!(wrong, [("the fact a is repeated".to_owned(), 1)]);
        assert!(facts(raw("[]")).is_none() && facts(raw("null")).is_none());
    }

    #[test]
    fn invalid_guests_and_facts_are_found() {
        for (json, well) in [
            ("[]", true),
            (
                r#"[{"guestId":"a"},{"state":7,"guestId":"b","x":{"state":9}}]"#,
                true,
            ),
            (
                r#"[{"guestId":"a","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}]"#,
                true,
            ),
            (
                r#"[{"guestId":"a","state":1,"attributes":{"active":1,"virtWhoType":"esx"}},{"guestId":"b"}]"#,
                true,
            ),
            (
                r#"[{"guestId":"a","state":1,"attributes":{"active":1,"virtWhoType":"esx"}},{}]"#,
                false,
            ),
            (
                r#"[{"guestId":"a","state":1,"attributes":{"active":1,"virtWhoType":"esx"},"state":2}]"#,
                false,
            ),
            (
                r#"[{"guestId":"a","state":8,"attributes":{"active":1,"virtWhoType":"esx"}}]"#,
                false,
            ),
            (
                r#"[{"guestId":"a","state":1.5,"attributes":{"active":1,"virtWhoType":"esx"}}]"#,
                false,
            ),
            (
                r#"[{"guestId":"","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}]"#,
                false,
            ),
            (
                r#"[{"guestId":"\ud800","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}]"#,
                false,
            ),
            (
                r#"[{"guestId":"","state":1,"attributes":{"active":1,"virtWhoType":""}}]"#,
                false,
            ),
            (r#"[{"guestId":""}]"#, false),
            (r#"[{}]"#, false),
            (r#"[null]"#, false),
            (r#"[["a",1]]"#, false),
            (r#"[{"guestId":"a","guestId":"b"}]"#, false),
            (r#"[{"guestId":"a","state":8}]"#, false),
            (r#"[{"guestId":"a","state":"1"}]"#, false),
            (r#"[{"guestId":"a","state":null}]"#, false),
            (r#"[{"guestId":"a","state":1,"state":1}]"#, false),
            (r#"[{"guestId":"\ud800"}]"#, false),
        ] {
            assert_eq!(are_guests_valid(raw(json)), well, "{json}");
        }
        for (json, well) in [
            ("{}", true),
            (r#"{"a":"\\","b":1,"c":"\ud83d\ude00"}"#, true),
            (r#"{"a":{"b":"\\"}}"#, true),
            (r#"{"a":1,"b":2,"a":1}"#, false),
            (r#"{"a":"\ud800"}"#, false),
            (r#"{"\ud800":"a"}"#, false),
            ("[]", false),
        ] {
            assert_eq!(are_facts_valid(raw(json)), well, "{json}");
        }
    }
}
