//! Waiting for changes of hosts and virtual machines.

use std::convert::Infallible;
use std::time::Duration;

use super::Credentials;
use super::client::{Client, EVENTS};
use super::error::Error;
use super::session::Session;
use crate::cancel::Cancel;
use crate::http::Endpoint;
use crate::xmlrpc::Datum;

/// The classes whose events matter. Servers ignore the case of their names.
const CLASSES: [&str; 2] = ["host", "vm"];

/// The longest time that a server is asked to wait for events. Many firewalls drop a silent connection after a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long a server may be silent beyond that.
const SILENCE: Duration = Duration::from_secs(60);

/// How long a burst of events may grow before it is fetched, and the shortest time between two calls.
const GATHER: Duration = Duration::from_millis(500);

/// The refusals of a token from which the server can't continue: it has dropped events, or was restarted.
const LOST: [&str; 2] = ["EVENTS_LOST", "EVENT_FROM_TOKEN_PARSE_FAILURE"];

/// Listens to events in a session of its own, until it fails: calls `changed` once it listens, because a change before that may
/// have been missed, after each burst of events, and when events were lost.
pub fn listen(
    endpoint: &Endpoint,
    credentials: &Credentials,
    cancel: &Cancel,
    mut changed: impl FnMut(),
) -> Result<Infallible, Error> {
    let session = Session::open(endpoint, credentials, cancel)?;
    // An empty token stands for the beginning: its answer lists all objects, which are skipped.
    let mut token = String::new();
    loop {
        match next(&session.client, &token) {
            Ok(events) => {
                if token.is_empty() || events.any {
                    changed();
                }
                token = events.token;
            }
            Err(error) if !token.is_empty() && LOST.iter().any(|code| error.is_refusal(code)) => {
                log::debug!("events were lost ({error})");
                token.clear();
            }
            Err(error) => return Err(error),
        }
        cancel.sleep(GATHER)?;
    }
}

/// The answer to a wait for events.
struct Events {
    /// Where the next wait continues; never empty.
    token: String,
    /// Whether there is any event.
    any: bool,
}

/// Waits for events after `token`. An event says only that something changed, so its content is skipped.
fn next(client: &Client, token: &str) -> Result<Events, Error> {
    let wait = if token.is_empty() {
        Duration::ZERO
    } else {
        LONGEST_WAIT
    };
    let params = [
        Datum::Array(CLASSES.map(Datum::text).to_vec()),
        Datum::text(token),
        Datum::Double(wait.as_secs_f64()),
    ];
    let (mut next, mut any) = (None, false);
    client.call_within(EVENTS, &params, Some(wait + SILENCE), |value| {
        value.members(|name, value| match name {
            "token" => {
                next = value.read()?.into_text();
                Ok(())
            }
            "events" => value
                .elements(|event| {
                    any = true;
                    event.skip()
                })
                .map(drop),
            _ => value.skip(),
        })
    })?;
    let token = next.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| client.incomplete(EVENTS, "token"))?;
    Ok(Events { token, any })
}
