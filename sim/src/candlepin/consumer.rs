//! `/consumers/UUID`: what a registered system asks and reports about itself, and the deletion of a hypervisor.

use std::sync::MutexGuard;

use serde_json::Value;

use super::access::{Answer, Refused, Who, accepts, check_deleted, consumes, forbidden};
use super::{Access, Candlepin, Generation, State, read_back, report};
use crate::http::Request;

impl Candlepin {
    /// GET, PUT and DELETE of a consumer.
    pub(super) fn of_consumer(&self, uuid: &str, request: &Request) -> Answer {
        accepts(request)?;
        let (who, owner, mut state) = self.admit_to_consumer(uuid, request)?;
        let State { stores, .. } = &mut *state;
        let store = stores.entry(owner.clone()).or_default();
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
        let shown = store.shown(uuid);
        let shown = shown.map(|(id, held)| read_back::consumer(id, &owner, held));
        Ok((200, Value::Object(shown.unwrap_or_default())))
    }

    /// Checks that the account of a request may act for this consumer; returns its owner with the settled state.
    pub(super) fn admit_to_consumer(
        &self,
        uuid: &str,
        request: &Request,
    ) -> Result<(Who, String, MutexGuard<'_, State>), Refused> {
        let who = self.who(request)?;
        // A user without a role is refused before the consumer is looked for.
        if who.access == Access::Nothing {
            return Err(forbidden());
        }
        let state = self.settled();
        check_deleted(&state, uuid)?;
        // A guess: there is no recording of one consumer asking about another.
        if who.is_consumer && who.name != uuid {
            return Err(forbidden());
        }
        let mut stores = state.stores.iter();
        let found = stores.find(|(_, store)| store.held(uuid).is_some());
        let Some((owner, _)) = found.filter(|(owner, _)| who.access.reaches(owner)) else {
            // Recorded for a deletion; a guess for the others.
            let message = match (request.method.as_str(), self.settings.generation) {
                ("DELETE", Generation::Current) => format!("Consumer with ID(s) {uuid} could not be found."),
                ("DELETE", Generation::Old) => format!("Consumer with id {uuid} could not be found."),
                _ => format!("Unit with ID \"{uuid}\" could not be found."),
            };
            return Err(Refused(404, message));
        };
        let owner = owner.clone();
        Ok((who, owner, state))
    }
}
