//! What the configuration says, as it is shown to people and in JSON.

use serde_json::{Value, json};

use crate::cli::table;
use crate::commands::way::Leg;
use crate::config::keys::{Origin, Shown};
use crate::config::{Note, Place};
use crate::text;

/// A table of keys, values and where they come from.
pub(super) fn table(shown: &[Shown]) -> String {
    let rows: Vec<_> = shown
        .iter()
        .map(|shown| {
            let value = match &shown.value {
                None => "(redacted)".to_owned(),
                Some(Ok(value)) => value.clone(),
                Some(Err(reason)) => format!("(error: {reason})"),
            };
            vec![shown.key.clone(), value, origin(shown)]
        })
        .collect();
    table::of(&rows)
}

fn origin(shown: &Shown) -> String {
    let place = shown.place.as_ref().map(ToString::to_string);
    match (shown.origin, place) {
        (Origin::BuiltIn, _) => "built-in".to_owned(),
        (Origin::Environment, None) => "the environment".to_owned(),
        (Origin::Defaults, Some(place)) => format!("{place} [defaults]"),
        (_, place) => place.unwrap_or_default(),
    }
}

/// Which proxy leads to which of the section's servers, and why.
pub(super) fn ways(ways: &[Leg]) -> String {
    let rows: Vec<_> = ways
        .iter()
        .map(|leg| {
            let server = leg.server.as_deref().unwrap_or("-");
            let (proxy, why) = match &leg.error {
                Some(error) => ("-", format!("(error: {error})")),
                None => (
                    leg.proxy.as_deref().unwrap_or("no proxy"),
                    leg.why.clone().unwrap_or_default(),
                ),
            };
            vec![format!("{} {server}", leg.end), proxy.to_owned(), why]
        })
        .collect();
    table::of(&rows)
}

/// A value that is in force, in JSON.
pub(super) fn in_json(shown: &Shown) -> Value {
    json!({
        "key": shown.key,
        "value": shown.value.as_ref().and_then(|value| value.as_ref().ok()),
        "error": shown.value.as_ref().and_then(|value| value.as_ref().err()).map(|error| text::without_numbers(error)),
        "secret": shown.value.is_none(),
        "origin": shown.origin,
        "file": shown.place.as_ref().map(|place| place.file.to_string_lossy()),
        "line": shown.place.as_ref().map(|place| place.line),
    })
}

/// What is wrong with the configuration, in JSON; `level` is error or warning.
pub(super) fn note_in_json(level: &str, note: &Note) -> Value {
    let Note {
        place,
        section,
        key,
        message,
    } = note;
    let file = place.as_ref().map(|Place { file, .. }| file.to_string_lossy());
    json!({
        "level": level,
        "file": file,
        "line": place.as_ref().map(|place| place.line),
        "section": section,
        "key": key,
        "message": text::without_numbers(message),
    })
}
