//! What came of a report.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::plan::Plan;
use super::{Error, Registrant, Roster};
use crate::error::Classify as _;

/// The outcome of a report.
#[derive(Debug, Default)]
pub struct Summary<'m> {
    /// The number of hypervisors that were registered and reported.
    pub created: usize,
    /// The number of hypervisors that were registered before and are reported now.
    pub updated: usize,
    /// The number of hypervisors whose plan the server had already.
    pub unchanged: usize,
    /// The hypervisors that are not on the server as they should be. One that was reported without some guests counts as
    /// created, updated or unchanged, too.
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

/// How the server got to know a hypervisor as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It was registered, and its plan was accepted.
    Created,
    /// It was registered before, and its plan was accepted.
    Updated,
    /// The server has accepted the same plan before.
    Unchanged,
}

/// What attempts to report a document have done so far, so that the next one does only the rest.
#[derive(Debug, Default)]
pub struct Delivered {
    /// By the hypervisors' ids.
    pub(super) arrivals: HashMap<String, Arrival>,
    /// The errors that another attempt would meet again, by the hypervisors' ids.
    pub(super) settled: HashMap<String, Arc<Error>>,
}

/// What became of a hypervisor: how it arrived, or why it did not.
pub(super) type Outcome = Result<Arrival, Error>;

impl Summary<'_> {
    /// Whether there were hypervisors to report, and none of them is on the server.
    pub fn arrived_nowhere(&self) -> bool {
        self.created + self.updated + self.unchanged == 0 && !self.shortfalls.is_empty()
    }

    /// Whether all hypervisors are on the server as they were before.
    pub fn is_unchanged(&self) -> bool {
        self.created + self.updated == 0 && self.unchanged > 0 && self.shortfalls.is_empty()
    }

    /// Whether another attempt may report some of the hypervisors that are missing.
    pub fn may_pass(&self) -> bool {
        self.shortfalls.iter().any(|shortfall| shortfall.error.may_pass())
    }

    /// Whether the server refused user name or password. It would refuse each further attempt, too, and may lock the account.
    pub fn is_login_refused(&self) -> bool {
        self.shortfalls
            .iter()
            .any(|shortfall| shortfall.error.refuses_login())
    }

    /// The longest pause that the server asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        let pauses = self.shortfalls.iter();
        pauses.filter_map(|shortfall| shortfall.error.retry_after()).max()
    }
}

impl<'m> Summary<'m> {
    /// The summary of a report that ended before any hypervisor had its turn.
    pub(super) fn ended(roster: &Roster<'m>, error: Arc<Error>) -> Self {
        let mut summary = Summary::default();
        for registrant in &roster.registrants {
            summary.fail(registrant, Error::Shared(error.clone()));
        }
        summary.ended = Some(error);
        summary
    }

    /// The summary of these outcomes, by the hypervisors' ids. Hypervisors without one were not reached.
    pub(super) fn of_outcomes(
        roster: &Roster<'m>,
        mut outcomes: HashMap<&'m str, Outcome>,
        ended: Option<Arc<Error>>,
    ) -> Self {
        let mut summary = Summary::default();
        let kind = ended.as_ref().map(|error| error.kind());
        for registrant in &roster.registrants {
            match (outcomes.remove(registrant.id), kind) {
                (Some(Ok(arrival)), _) => summary.add(registrant, arrival),
                (Some(Err(error)), _) => summary.fail(registrant, error),
                (None, Some(kind)) => summary.fail(registrant, Error::NotReached(kind)),
                (None, None) => {}
            }
        }
        summary.ended = ended;
        summary
    }

    /// Adds a hypervisor that is on the server, except for guests that its plan leaves out.
    pub(super) fn add(&mut self, registrant: &Registrant<'m>, arrival: Arrival) {
        match arrival {
            Arrival::Created => self.created += 1,
            Arrival::Updated => self.updated += 1,
            Arrival::Unchanged => self.unchanged += 1,
        }
        if let Some(error) = Plan::of(registrant).incomplete() {
            self.fail(registrant, error);
        }
    }

    fn fail(&mut self, registrant: &Registrant<'m>, error: Error) {
        self.shortfalls.push(Shortfall {
            registrant: *registrant,
            error,
        });
    }
}
