//! The report of a roster: each hypervisor is registered unless it is already, and its plan is sent.

use std::slice::Iter;
use std::sync::Arc;

use super::method::NOTIFY;
use super::plan::Plan;
use super::xmlrpc::Datum;
use super::{Error, Registrant, Roster, Satellite5, systemid};
use crate::error::Classify as _;
use crate::secret::Secret;
use crate::state::Lock;

/// The outcome of a report.
#[derive(Debug, Default)]
pub struct Summary<'m> {
    /// The number of hypervisors that were registered and reported.
    pub created: usize,
    /// The number of hypervisors that were registered before and are reported now.
    pub updated: usize,
    /// The hypervisors that are not on the server as they should be. One that was reported without some guests counts as
    /// created or updated, too.
    pub shortfalls: Vec<Shortfall<'m>>,
    /// The error that ended the report before all hypervisors had their turn.
    pub ended: Option<Arc<Error>>,
}

/// A hypervisor that is not on the server as it should be.
#[derive(Debug)]
pub struct Shortfall<'m> {
    /// The hypervisor.
    pub registrant: Registrant<'m>,
    /// The reason.
    pub error: Error,
}

/// What the server got to know of a hypervisor.
enum Arrival {
    /// It was registered, and its plan was accepted.
    Created,
    /// It was registered before, and its plan was accepted.
    Updated,
}

impl Summary<'_> {
    /// Whether there were hypervisors to report, and none of them was accepted.
    pub fn arrived_nowhere(&self) -> bool {
        self.created + self.updated == 0 && !self.shortfalls.is_empty()
    }

    /// Whether the answer to a registration was lost: if it were repeated at once there could be a second profile.
    pub fn is_doubtful(&self) -> bool {
        self.errors().any(|error| matches!(error, Error::InDoubt { .. }))
    }

    /// Whether the server refused user name or password. It would refuse each further attempt, too, and may lock the account.
    pub fn is_login_refused(&self) -> bool {
        self.errors().any(Error::refuses_login)
    }

    fn errors(&self) -> impl Iterator<Item = &Error> {
        self.shortfalls.iter().map(|shortfall| shortfall.error.root())
    }

    fn add(&mut self, registrant: &Registrant<'_>, arrival: Arrival, plan: &Plan<'_>) {
        match arrival {
            Arrival::Created => self.created += 1,
            Arrival::Updated => self.updated += 1,
        }
        let guests = registrant.hypervisor.guests.len() - plan.omitted.len();
        log::debug!("{}: reported, guests: {guests}", registrant.id);
    }
}

impl<'m> Summary<'m> {
    fn fail(&mut self, registrant: &Registrant<'m>, error: Error) {
        self.shortfalls.push(Shortfall {
            registrant: *registrant,
            error,
        });
    }

    /// Ends the report with an error that the remaining hypervisors would meet, too.
    fn end(&mut self, error: Arc<Error>, rest: Iter<'_, Registrant<'m>>, of_rest: impl Fn() -> Error) {
        for registrant in rest {
            self.fail(registrant, of_rest());
        }
        self.ended = Some(error);
    }
}

impl Satellite5 {
    /// Reports the hypervisors one after the other. An error that concerns one hypervisor does not keep back the others.
    ///
    /// A report may be repeated, because it says how things are. If another process is reporting with the same registrations
    /// this one waits, because both would register the same new hypervisors.
    pub fn report<'m>(&mut self, roster: &Roster<'m>) -> Summary<'m> {
        let mut summary = Summary::default();
        let mut registrants = roster.registrants.iter();
        let _lock = match self.lock_registrations() {
            Ok(lock) => lock,
            Err(error) => {
                let error = Arc::new(error);
                let shared = error.clone();
                summary.end(error, registrants, || Error::Shared(shared.clone()));
                return summary;
            }
        };
        while let Some(registrant) = registrants.next() {
            let plan = Plan::of(registrant);
            match self.report_one(registrant, &plan) {
                Ok(arrival) => {
                    summary.add(registrant, arrival, &plan);
                    if let Some(error) = plan.incomplete() {
                        summary.fail(registrant, error);
                    }
                }
                Err(error) if error.ends_report() => {
                    let error = Arc::new(error);
                    summary.fail(registrant, Error::Shared(error.clone()));
                    let kind = error.kind();
                    summary.end(error, registrants, || Error::NotReached(kind));
                    break;
                }
                Err(error) => summary.fail(registrant, error),
            }
        }
        summary
    }

    /// Keeps other processes from registering, for as long as the lock lives. None if the lock can't be made: then nothing is
    /// registered, but the hypervisors that are registered already can be reported.
    fn lock_registrations(&mut self) -> Result<Option<Lock>, Error> {
        match self.registrations.lock(self.deadline, &self.cancel) {
            Ok(lock) => Ok(Some(lock)),
            Err(systemid::Error::File(error)) if error.is_of_waiting() => {
                Err(systemid::Error::File(error).into())
            }
            Err(error) => {
                self.block(Error::NotStorable(error));
                Ok(None)
            }
        }
    }

    /// Sends the plan of a hypervisor, and registers it first if it has no systemid or the server does not know it any more.
    fn report_one(&mut self, registrant: &Registrant<'_>, plan: &Plan<'_>) -> Result<Arrival, Error> {
        if let Some(systemid) = self.registrations.systemid(registrant.id)? {
            match self.send_plan(&systemid, plan) {
                // A deleted profile, another server's file and a damaged systemid all look the same.
                Err(Error::Refused { fault, .. }) if fault.is_unknown_system() => log::warn!(
                    "{}: the server does not know its systemid; registering it again ({fault})",
                    registrant.id
                ),
                sent => return sent.map(|()| Arrival::Updated),
            }
        }
        let systemid = self.register(registrant)?;
        self.send_plan(&systemid, plan)?;
        Ok(Arrival::Created)
    }

    fn send_plan(&self, systemid: &Secret, plan: &Plan<'_>) -> Result<(), Error> {
        let params = [Datum::text(systemid.expose()), plan.events.clone()];
        self.call(NOTIFY, &params).map(drop)
    }
}
