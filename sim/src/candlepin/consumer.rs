//! `/consumers/UUID`: what a registered system asks and reports about itself.

use std::sync::MutexGuard;

use serde_json::Value;

use super::access::{Answer, Refused, accepts, check_deleted, consumes, forbidden};
use super::{Access, Candlepin, State, read_back, report};
use crate::http::Request;

impl Candlepin {
    /// GET and PUT of a consumer.
    pub(super) fn of_consumer(&self, uuid: &str, request: &Request) -> Answer {
        accepts(request)?;
        let (owner, mut state) = self.admit_to_consumer(uuid, request)?;
        let State { stores, .. } = &mut *state;
        let store = stores.entry(owner.clone()).or_default();
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
        let shown = held.map(|held| read_back::consumer(store.hypervisor_id(uuid), &owner, held));
        Ok((200, Value::Object(shown.unwrap_or_default())))
    }

    /// Checks that the account of a request may act for this consumer; returns its owner with the settled state.
    pub(super) fn admit_to_consumer(
        &self,
        uuid: &str,
        request: &Request,
    ) -> Result<(String, MutexGuard<'_, State>), Refused> {
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
            return Err(Refused(
                404,
                format!("Unit with ID \"{uuid}\" could not be found."),
            ));
        };
        Ok((owner.clone(), state))
    }
}
