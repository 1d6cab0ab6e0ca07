//! Watching an inventory for months: when its state is emitted, and how the watch survives failures of the server.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::inventory::Inventory;
use super::retry::retry;
use super::session::{About, Credentials, Session};
use super::soap::Client;
use super::updates::Updates;
use super::{Error, ManagedObject};
use crate::cancel::Cancel;
use crate::error::Classify;
use crate::http::Endpoint;
use crate::pace::{Occasion, Pace, Unsettled};
use crate::retry::{Patience, STEADY, asked_pause, backoff, outlasts, wait};

/// The longest time that a server is asked to wait for changes. A session without calls ends after half an hour, and many
/// firewalls drop a silent connection after a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long a burst of changes may grow before it is fetched.
const GATHER: Duration = Duration::from_millis(500);

/// Asks a watch to emit the state now; clones ask the same watch.
#[derive(Clone, Default)]
pub struct Nudge(Arc<Mutex<Pending>>);

#[derive(Default)]
struct Pending {
    wanted: bool,
    /// The session that is waiting for the server.
    waiting: Option<(Client, ManagedObject)>,
}

impl Nudge {
    /// How long the call that ends a wait may take.
    const LIMIT: Duration = Duration::from_secs(5);

    /// Asks, and returns once the watch has taken the request. If no session is waiting, it returns at once.
    pub fn ask(&self) {
        self.lock().wanted = true;
        loop {
            let pending = self.lock();
            let (Some((client, collector)), true) = (&pending.waiting, pending.wanted) else {
                return;
            };
            let mut client = client.reconnected(&Cancel::default(), Some(Instant::now() + Nudge::LIMIT));
            let collector = collector.clone();
            drop(pending);
            if let Err(error) = client.call("CancelWaitForUpdates", &collector, "", |xml| xml.skip()) {
                return log::debug!("{}", error.with_causes());
            }
            // The wait may not have reached the server yet, so it is cancelled again.
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn take(&self) -> bool {
        std::mem::take(&mut self.lock().wanted)
    }

    /// Registers the session to cancel; returns false if a request is waiting already.
    fn begin_wait(&self, session: &Session) -> bool {
        let mut pending = self.lock();
        pending.waiting = Some((session.client.clone(), session.content.property_collector.clone()));
        !pending.wanted
    }

    fn end_wait(&self) {
        self.lock().waiting = None;
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which inventory is watched, and how.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'w> {
    /// The server.
    pub endpoint: &'w Endpoint,
    /// The account.
    pub credentials: &'w Credentials,
    /// Whether guests get their names.
    pub guest_names: bool,
    /// How long temporary failures are retried before the first state is known.
    pub patience: Patience,
    /// When the state is emitted.
    pub pace: Pace,
}

/// Emits the state of an inventory through `emit`, first at once and then after each change that has settled, until a signal comes.
///
/// `emit` returns whether it printed anything. Until the first state is known, failures are retried as by [`retry`], within the
/// endpoint's deadline. After any later failure except a refused right, the whole inventory is read again over a new session, as
/// often as necessary; each reading may take as long as the first. Waiting for changes has no deadline.
pub fn watch<E: From<Error>>(
    watched: Watched<'_>,
    nudge: &Nudge,
    cancel: &Cancel,
    mut emit: impl FnMut(&About, Inventory, Occasion) -> Result<bool, E>,
) -> Result<Infallible, E> {
    let Watched {
        endpoint,
        credentials,
        guest_names,
        patience,
        pace,
    } = watched;
    let limit = endpoint
        .deadline
        .map(|end| end.saturating_duration_since(Instant::now()));
    let begin = |endpoint: &Endpoint| {
        let mut updates = Updates::begin(Session::open(endpoint, credentials, cancel)?, guest_names)?;
        let inventory = updates.inventory()?;
        updates.session().set_deadline(None);
        Ok((updates, inventory))
    };
    let (mut updates, mut inventory) = retry(endpoint, patience, cancel, || begin(endpoint))?;
    let anew = || Endpoint {
        deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
        ..endpoint.clone()
    };
    let mut last_emitted = Instant::now();
    let mut pauses = backoff();
    loop {
        let begun = Instant::now();
        let mut watch = Watch {
            updates,
            pace,
            nudge,
            cancel,
            last_emitted,
            emit: &mut emit,
        };
        let mut error = match watch.run(inventory) {
            Stop::Output(error) => return Err(error),
            Stop::Lost(error) => error,
        };
        last_emitted = watch.last_emitted;
        drop(watch);
        if begun.elapsed() > STEADY {
            pauses = backoff();
        }
        (updates, inventory) = loop {
            let pause = pauses.pause(asked_pause(&error));
            error = error.at(endpoint.base.authority());
            if !outlasts(error.kind()) {
                return Err(error.into());
            }
            wait(&error, pause, cancel).map_err(Error::from)?;
            match begin(&anew()) {
                Ok(begun) => break begun,
                Err(again) => error = again,
            }
        };
        log::info!("the whole inventory was read again");
    }
}

/// Why a watch over one session ended.
enum Stop<E> {
    /// `emit` failed.
    Output(E),
    /// The session or the server failed.
    Lost(Error),
}

impl<E> From<Error> for Stop<E> {
    fn from(error: Error) -> Self {
        Stop::Lost(error)
    }
}

/// A watch over one session.
struct Watch<'w, F> {
    updates: Updates,
    pace: Pace,
    nudge: &'w Nudge,
    cancel: &'w Cancel,
    last_emitted: Instant,
    emit: &'w mut F,
}

impl<E, F: FnMut(&About, Inventory, Occasion) -> Result<bool, E>> Watch<'_, F> {
    /// Emits the first inventory of this session, and then its changes.
    fn run(&mut self, inventory: Inventory) -> Stop<E> {
        match self.follow(inventory) {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    fn follow(&mut self, inventory: Inventory) -> Result<Infallible, Stop<E>> {
        self.emit_this(inventory, Occasion::News)?;
        let mut unsettled: Option<Unsettled> = None;
        loop {
            let due = self.pace.due(self.last_emitted, unsettled.as_ref());
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            if self.wait(left.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT))? {
                let now = Instant::now();
                unsettled.get_or_insert(Unsettled::new(now)).change(now);
                // Changes come in bursts; each burst is fetched together.
                let gather = GATHER.min(self.pace.settle / 20);
                self.cancel.sleep(gather).map_err(Error::from)?;
            }
            // An answer has come: the session is alive, and the state is the server's.
            let due = self.pace.due(self.last_emitted, unsettled.as_ref());
            if self.nudge.take() {
                self.updates.expect_cancel();
                unsettled = None;
                self.emit(Occasion::Confirmation)?;
            } else if due.is_some_and(|due| due <= Instant::now()) {
                let occasion = match unsettled.take() {
                    Some(_) => Occasion::News,
                    None => Occasion::Confirmation,
                };
                self.emit(occasion)?;
            }
        }
    }

    fn wait(&mut self, longest: Duration) -> Result<bool, Error> {
        let is_requested = !self.nudge.begin_wait(self.updates.session());
        let changed = self
            .updates
            .wait(if is_requested { Duration::ZERO } else { longest });
        self.nudge.end_wait();
        changed
    }

    fn emit(&mut self, occasion: Occasion) -> Result<(), Stop<E>> {
        let inventory = self.updates.inventory()?;
        self.emit_this(inventory, occasion)
    }

    fn emit_this(&mut self, inventory: Inventory, occasion: Occasion) -> Result<(), Stop<E>> {
        let printed = (self.emit)(self.updates.about(), inventory, occasion).map_err(Stop::Output)?;
        if printed {
            self.last_emitted = Instant::now();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_once() {
        let nudge = Nudge::default();
        assert!(!nudge.take());
        nudge.clone().ask();
        nudge.ask();
        assert!(nudge.take());
        assert!(!nudge.take());
    }
}
