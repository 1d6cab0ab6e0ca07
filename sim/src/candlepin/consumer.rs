//! `/consumers/UUID`: what a registered system asks and reports about itself, and the deletion of a hypervisor.

use serde_json::{Value, json};

use super::access::{Answer, Refused, accepts, check_deleted, consumes, forbidden};
use super::{Access, Candlepin, Generation, State, report};
use crate::clock;
use crate::http::Request;

impl Candlepin {
    /// GET, PUT and DELETE of a consumer.
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
            // Recorded for a deletion; a guess for the others.
            return Err(match (&who.access, request.method.as_str()) {
                (Access::Nothing, _) => forbidden(),
                (_, "DELETE") => Refused(
                    404,
                    match self.settings.generation {
                        Generation::Current => format!("Consumer with ID(s) {uuid} could not be found."),
                        Generation::Old => format!("Consumer with id {uuid} could not be found."),
                    },
                ),
                _ => Refused(404, format!("Unit with ID \"{uuid}\" could not be found.")),
            });
        };
        if request.method == "DELETE" {
            // A guess: a system may end its own registration, as subscription-manager does.
            if matches!(who.access, Access::ReadOnly(_)) {
                return Err(forbidden());
            }
            store.delete(uuid);
            state.deleted.insert(uuid.to_owned());
            return Ok((204, Value::Null));
        }
        if request.method == "PUT" {
            consumes(request, "application/json", self.settings.generation)?;
            let guests = report::read_guests(&request.body)
                .map_err(|_| Refused(400, "Runtime Error com.fasterxml.jackson.databind".into()))?;
            if let Some(guests) = guests {
                store.set_guests(uuid, guests);
            }
            return Ok((204, Value::Null));
        }
        let mut shown = json!({
            "uuid": uuid, "guestIds": [], "href": format!("/consumers/{uuid}"), "owner": {"key": owner},
            "type": {"label": "system"},
        });
        if let Some((id, held)) = store.shown(uuid) {
            shown["name"] = held.name.as_str().into();
            shown["facts"] = json!(held.facts);
            shown["lastCheckin"] = held.checked_in.map(clock::with_zone).into();
            if let Some(id) = id {
                shown["hypervisorId"] = json!({"hypervisorId": id, "reporterId": held.reporter});
                shown["type"] = json!({"label": "hypervisor"});
            }
        }
        Ok((200, shown))
    }
}
