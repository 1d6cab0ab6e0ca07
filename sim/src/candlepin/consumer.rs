//! Consumers: who a certificate says to be, and what a registered system tells of itself.

use serde_json::{Value, json};

use super::answer::{Answer, Refused, Who, accepts, consumes, forbidden};
use super::{Access, Candlepin, State, report};
use crate::http::Request;

impl Candlepin {
    /// The consumer whose certificate came with a request.
    pub(super) fn consumer(&self, uuid: &str) -> Result<Who, Refused> {
        let state = self.lock();
        check_deleted(&state, uuid)?;
        let owner = state.stores.iter().find(|(_, store)| store.held(uuid).is_some());
        let Some((owner, _)) = owner else {
            return Err(Refused(401, "Invalid Credentials".into()));
        };
        Ok(Who {
            name: uuid.to_owned(),
            access: Access::Owners(vec![owner.clone()]),
            is_consumer: true,
        })
    }

    /// GET and PUT of a consumer.
    pub(super) fn of_consumer(&self, uuid: &str, request: &Request) -> Answer {
        accepts(request)?;
        let who = self.who(request)?;
        let mut state = self.settled();
        check_deleted(&state, uuid)?;
        // A guess: nobody recorded what a stranger is told.
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

fn check_deleted(state: &State, uuid: &str) -> Result<(), Refused> {
    match state.deleted.contains(uuid) {
        true => Err(Refused(410, format!("Unit {uuid} has been deleted"))),
        false => Ok(()),
    }
}
