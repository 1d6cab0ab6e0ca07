//! `/consumers/UUID`: what a registered system asks and reports about itself.

use serde_json::{Value, json};

use super::access::{Answer, Refused, accepts, check_deleted, consumes, forbidden};
use super::{Candlepin, State, report};
use crate::http::Request;

impl Candlepin {
    /// GET and PUT of a consumer.
    pub(super) fn of_consumer(&self, uuid: &str, request: &Request) -> Answer {
        accepts(request)?;
        let who = self.who(request)?;
        let mut state = self.settled();
        check_deleted(&state, uuid)?;
        // A guess: there is no recording of one consumer asking about another.
        if who.is_consumer && who.name != uuid {
            return Err(forbidden());
        }
        let State { stores, .. } = &mut *state;
        let found = stores.iter_mut().find(|(_, store)| store.held(uuid).is_some());
        let Some((owner, store)) = found.filter(|(owner, _)| who.access.reaches(owner)) else {
            return Err(Refused(
                404,
                format!("Unit with ID \"{uuid}\" could not be found."),
            ));
        };
        if request.method == "PUT" {
            consumes(request, "application/json", self.settings.generation)?;
            let guests = report::read_guests(&request.body)
                .map_err(|_| Refused(400, "Runtime Error com.fasterxml.jackson.databind".into()))?;
            if let Some(guests) = guests {
                store.set_guests(uuid, guests);
            }
            return Ok((204, Value::Null));
        }
        let held = store.held(uuid);
        Ok((
            200,
            json!({
                "uuid": uuid, "name": held.map(|held| &held.name), "facts": held.map(|held| &held.facts),
                "guestIds": [], "href": format!("/consumers/{uuid}"), "owner": {"key": owner},
                "type": {"label": "system"},
            }),
        ))
    }
}
