//! The report of a roster: each hypervisor is registered unless it is already, and its plan is sent unless the server has it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::thread;

use super::accepted::{self, Accepted};
use super::method::NOTIFY;
use super::plan::Plan;
use super::summary::{Arrival, Delivered, Outcome, Summary};
use super::systemid::{self, Kept, Registrations};
use super::{Error, Registrant, Roster, Satellite5};
use crate::error::Classify as _;
use crate::secret::Secret;
use crate::state::Lock;
use crate::xmlrpc::Datum;

/// The fault of a systemid that the server does not know: the profile was deleted, or the systemid is damaged or another
/// server's.
const UNKNOWN_SYSTEM: i64 = -9;

/// So many plans fail one after the other because the server is away, before the report ends.
const MANY: usize = 10;

/// How a roster is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// How many hypervisors are reported at once.
    pub jobs: usize,
    /// Whether plans are sent that the server has accepted within the last day.
    pub force: bool,
}

impl<'m> Roster<'m> {
    /// The summary of a report that has nothing to send, because the server has accepted every plan within the last day. None
    /// if anything must be sent. Nobody needs to log in for it.
    pub fn unchanged(&self, registrations: &Registrations, server: &str) -> Option<Summary<'m>> {
        let accepted = Accepted::read(registrations.folder());
        let mut summary = Summary::default();
        for registrant in &self.registrants {
            let Ok(Kept::Systemid(systemid)) = registrations.kept(registrant.id) else {
                return None;
            };
            let digest = accepted::digest(server, &systemid, &Plan::of(registrant).events);
            if !accepted.covers(registrant.id, &digest) {
                return None;
            }
            summary.add(registrant, Arrival::Unchanged);
        }
        Some(summary)
    }
}

impl Satellite5 {
    /// Reports the hypervisors, several at once. An error that concerns one hypervisor does not keep back the others.
    ///
    /// A report may be repeated: `delivered` says what earlier attempts have done. If another process is reporting with the same
    /// registrations this one waits, because both would register the same new hypervisors. `progress` is called for each
    /// hypervisor that is done.
    pub fn report<'m>(
        &self,
        roster: &Roster<'m>,
        manner: Manner,
        delivered: &mut Delivered,
        progress: &(dyn Fn() + Sync),
    ) -> Summary<'m> {
        let lock = match self.lock_registrations() {
            Ok(lock) => lock,
            Err(error) => return Summary::ended(roster, Arc::new(error)),
        };
        // Without the lock another process may be writing the file.
        let accepted = lock.as_ref().map(|_| Accepted::read(self.registrations.folder()));
        let run = Run {
            satellite: self,
            force: manner.force,
            progress,
            books: Mutex::new(Books {
                accepted: accepted.unwrap_or_default(),
                delivered: std::mem::take(delivered),
                outcomes: HashMap::new(),
            }),
            sends: Once::new(),
            absences: AtomicUsize::new(0),
            ended: OnceLock::new(),
        };
        let (apart, sharing) = roster.by_sharing();
        run.report_at_once(&apart, manner.jobs);
        run.report_together(&sharing);
        self.log_out();
        let Run {
            books, sends, ended, ..
        } = run;
        let books = books.into_inner().unwrap_or_else(PoisonError::into_inner);
        if lock.is_some() && sends.is_completed() {
            self.remember(&books.accepted);
        }
        *delivered = books.delivered;
        Summary::of_outcomes(roster, books.outcomes, ended.into_inner())
    }

    /// Keeps other processes from registering, for as long as the lock lives. None if the lock can't be made: then nothing is
    /// registered, but the hypervisors that are registered already can be reported.
    fn lock_registrations(&self) -> Result<Option<Lock>, Error> {
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

    /// Stores what the server has accepted, and makes the new registrations survive a crash of the machine.
    fn remember(&self, accepted: &Accepted) {
        let folder = self.registrations.folder();
        if let Err(error) = accepted.write(folder).and_then(|()| folder.sync()) {
            log::warn!("{}; the next report sends everything", error.with_causes());
        }
    }
}

/// A hypervisor with what is sent of it.
struct Prepared<'r, 'm> {
    registrant: &'r Registrant<'m>,
    plan: Plan<'m>,
    /// None if it must be registered first.
    systemid: Option<Secret>,
    /// Whether the server has the plan.
    is_known: bool,
}

/// A report under way, shared by its threads.
struct Run<'s, 'm> {
    satellite: &'s Satellite5,
    force: bool,
    progress: &'s (dyn Fn() + Sync),
    books: Mutex<Books<'m>>,
    /// Done before the first plan is sent.
    sends: Once,
    /// How many plans in a row failed because the server is away.
    absences: AtomicUsize,
    /// Why the rest has no turn.
    ended: OnceLock<Arc<Error>>,
}

/// What is known of the hypervisors.
struct Books<'m> {
    accepted: Accepted,
    delivered: Delivered,
    outcomes: HashMap<&'m str, Outcome>,
}

impl<'m> Run<'_, 'm> {
    /// Reports hypervisors in any order, `jobs` at once.
    fn report_at_once(&self, registrants: &[&Registrant<'m>], jobs: usize) {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(registrant) = registrants.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.ended.get().is_some() {
                    break;
                }
                let outcome = self
                    .earlier(registrant)
                    .unwrap_or_else(|| self.prepare(registrant).and_then(|prepared| self.send(prepared)));
                self.settle(registrant, outcome);
            }
        };
        thread::scope(|scope| {
            // The calling thread is one of them, so that the report goes on if the system allows no other.
            for _ in 1..jobs.min(registrants.len()) {
                let started = thread::Builder::new()
                    .name("report".into())
                    .spawn_scoped(scope, work);
                if let Err(error) = started {
                    log::debug!("no thread to report more at once: {error}");
                    break;
                }
            }
            work();
        });
    }

    /// Reports hypervisors that share guests, one after the other in their order. If one of them is sent all are, because old
    /// servers count a guest for the hypervisor that they heard of last.
    fn report_together(&self, registrants: &[&Registrant<'m>]) {
        let prepared: Vec<_> = registrants
            .iter()
            .map(|registrant| self.prepare(registrant))
            .collect();
        let all_known = prepared
            .iter()
            .all(|prepared| prepared.as_ref().is_ok_and(|prepared| prepared.is_known));
        for (registrant, prepared) in registrants.iter().zip(prepared) {
            if self.ended.get().is_some() {
                break;
            }
            let outcome = match self.earlier(registrant) {
                Some(Err(error)) => Err(error),
                _ => prepared.and_then(|prepared| {
                    self.send(Prepared {
                        is_known: all_known,
                        ..prepared
                    })
                }),
            };
            self.settle(registrant, outcome);
        }
    }

    /// What became of a hypervisor in an earlier attempt, unless this one should try again.
    fn earlier(&self, registrant: &Registrant<'m>) -> Option<Outcome> {
        let Delivered { arrivals, settled } = &self.books().delivered;
        let failed = settled.get(registrant.id);
        let failed = failed.map(|error| Err(Error::Shared(error.clone())));
        failed.or_else(|| arrivals.get(registrant.id).copied().map(Ok))
    }

    /// Reads a hypervisor's registration. A damaged file is set aside.
    fn prepare<'r>(&self, registrant: &'r Registrant<'m>) -> Result<Prepared<'r, 'm>, Error> {
        let id = registrant.id;
        let registrations = &self.satellite.registrations;
        let systemid = match registrations.kept(id)? {
            Kept::Nothing => None,
            Kept::Systemid(systemid) => Some(systemid),
            Kept::Damaged { path, reason } => {
                let aside = registrations.set_aside(id)?;
                log::warn!(
                    "{id}: {} is damaged ({reason}); it is renamed to {}, and replaced",
                    path.display(),
                    aside.display()
                );
                None
            }
        };
        let plan = Plan::of(registrant);
        let is_known = !self.force
            && systemid.as_ref().is_some_and(|systemid| {
                let digest = self.digest(systemid, &plan.events);
                self.books().accepted.covers(id, &digest)
            });
        Ok(Prepared {
            registrant,
            plan,
            systemid,
            is_known,
        })
    }

    /// Sends the plan of a hypervisor, unless the server has it. Registers it first if it has no systemid, or if the server does
    /// not know that.
    fn send(&self, prepared: Prepared<'_, 'm>) -> Outcome {
        if prepared.is_known {
            return Ok(Arrival::Unchanged);
        }
        let (id, registrant) = (prepared.registrant.id, prepared.registrant);
        // If this process is killed nobody knows what the server has.
        self.sends
            .call_once(|| accepted::forget(self.satellite.registrations.folder()));
        self.books().accepted.remove(id);
        let (mut systemid, mut arrival) = match prepared.systemid {
            Some(systemid) => (systemid, Arrival::Updated),
            None => self.satellite.register(registrant)?,
        };
        let mut params = [text_of(&systemid), prepared.plan.events];
        let mut sent = self.notify(&params);
        // A deleted profile, another server's file and a damaged systemid all look the same.
        if let Err(error) = &sent
            && error.is_fault(UNKNOWN_SYSTEM)
        {
            log::warn!(
                "{id}: the server does not know its systemid; looking for its profile ({})",
                error.with_causes()
            );
            (systemid, arrival) = self.satellite.register(registrant)?;
            params[0] = text_of(&systemid);
            sent = self.notify(&params);
        }
        sent?;
        let digest = self.digest(&systemid, &params[1]);
        self.books().accepted.add(id, digest);
        log::debug!("{id}: reported");
        Ok(arrival)
    }

    /// Sends a plan. If many fail one after the other because the server is away, the report ends.
    fn notify(&self, params: &[Datum<'_>]) -> Result<(), Error> {
        let sent = self.satellite.call(NOTIFY, params).map(drop);
        match sent {
            Err(error) if error.is_of_absence() => {
                match self.absences.fetch_add(1, Ordering::Relaxed) + 1 < MANY {
                    true => Err(error),
                    false => Err(self.end(error)),
                }
            }
            sent => {
                self.absences.store(0, Ordering::Relaxed);
                sent
            }
        }
    }

    /// Records what became of a hypervisor.
    fn settle(&self, registrant: &Registrant<'m>, outcome: Outcome) {
        let id = registrant.id;
        let outcome = match outcome {
            Ok(arrival) => {
                let mut books = self.books();
                let arrivals = &mut books.delivered.arrivals;
                Ok(*arrivals.entry(id.to_owned()).or_insert(arrival))
            }
            Err(error) if error.ends_report() => Err(self.end(error)),
            Err(error) if error.may_pass() => Err(error),
            Err(error) => {
                let error = error.into_shared();
                let mut books = self.books();
                books.delivered.settled.insert(id.to_owned(), error.clone());
                Err(Error::Shared(error))
            }
        };
        self.books().outcomes.insert(id, outcome);
        (self.progress)();
    }

    /// Ends the report with an error that the other hypervisors would meet, too. Returns it.
    fn end(&self, error: Error) -> Error {
        let error = error.into_shared();
        let _ = self.ended.set(error.clone());
        Error::Shared(error)
    }

    fn digest(&self, systemid: &Secret, events: &Datum<'_>) -> String {
        accepted::digest(&self.satellite.server(), systemid, events)
    }

    fn books(&self) -> MutexGuard<'_, Books<'m>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A systemid as a parameter.
fn text_of(systemid: &Secret) -> Datum<'static> {
    Datum::text(systemid.expose().to_owned())
}
