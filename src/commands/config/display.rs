//! The output of `show` and `check`: tables and JSON.

use serde_json::{Value, json};

use crate::cli::table;
use crate::commands::way::Route;
use crate::config::effective::{EffectiveKey, Origin};
use crate::config::{Note, Place};
use crate::text;

/// A table of keys, values and where they come from.
pub(super) fn table(shown: &[EffectiveKey]) -> String {
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

fn origin(shown: &EffectiveKey) -> String {
    let place = shown.place.as_ref().map(ToString::to_string);
    match (shown.origin, place) {
        (Origin::BuiltIn, _) => "built-in".to_owned(),
        (Origin::Environment, None) => "the environment".to_owned(),
        (Origin::Defaults, Some(place)) => format!("{place} [defaults]"),
        (_, place) => place.unwrap_or_default(),
    }
}

/// A table of the section's servers, their proxies, and where the proxies come from.
pub(super) fn routes(routes: &[Route]) -> String {
    let rows: Vec<_> = routes
        .iter()
        .map(|route| {
            let server = route.server.as_deref().unwrap_or("-");
            let (proxy, why) = match &route.error {
                Some(error) => ("-", format!("(error: {error})")),
                None => (
                    route.proxy.as_deref().unwrap_or("no proxy"),
                    route.why.clone().unwrap_or_default(),
                ),
            };
            vec![format!("{} {server}", route.end), proxy.to_owned(), why]
        })
        .collect();
    table::of(&rows)
}

/// A key and its value in JSON.
pub(super) fn in_json(shown: &EffectiveKey) -> Value {
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

/// A note in JSON; `level` is error or warning.
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
