//! Watching an inventory for months: when its state is told, and how a watch survives the server's bad days.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::inventory::Inventory;
use super::retry::{Patience, asked_pause, backoff, retry, wait};
use super::session::{About, Credentials, Session};
use super::soap::Client;
use super::update::Updates;
use super::{Error, ManagedObject};
use crate::cancel::Cancel;
use crate::error::{Classify, Kind};
use crate::http::{self, Endpoint};

/// The longest that a server is asked to wait for changes: well below the half hour after which a session ends, and
/// below the minute after which many a firewall forgets a silent connection.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How often settling begins anew before the state is told all the same.
const UNREST: u32 = 10;

/// How long changes are left to gather at most before they are fetched together.
const GATHER: Duration = Duration::from_millis(500);

/// After so long a time without trouble the next trouble is a new one.
const STEADY: Duration = Duration::from_secs(60);

/// When the state of an inventory is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long nothing must have changed. What never settles is told after ten times as long.
    pub settle: Duration,
    /// After this time the state is told again though nothing has changed.
    pub repeat: Option<Duration>,
}

impl Pace {
    /// When the state is to be told next.
    fn due(&self, last_told: Instant, unsettled: Option<&Unsettled>) -> Option<Instant> {
        match unsettled {
            Some(changes) => {
                let latest = changes.first + self.settle * UNREST;
                Some(latest.min(changes.last + self.settle))
            }
            None => self.repeat.map(|repeat| last_told + repeat),
        }
    }
}

/// Why the state is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Something has changed, or may have: the inventory was read for the first time, or anew.
    News,
    /// It is time, or somebody asked, and the session is alive.
    Confirmation,
}

/// Asks a watch to tell the state now; clones ask the same one.
#[derive(Clone, Default)]
pub struct Nudge(Arc<Mutex<Asking>>);

#[derive(Default)]
struct Asking {
    wanted: bool,
    /// The session that waits for the server at the moment.
    waiting: Option<(Client, ManagedObject)>,
}

impl Nudge {
    /// How long the call that ends a wait may take.
    const LIMIT: Duration = Duration::from_secs(5);

    /// Asks, and returns when the watch has heard it; while there is no session it hears it later.
    pub fn ask(&self) {
        self.lock().wanted = true;
        loop {
            let asking = self.lock();
            let (Some((client, collector)), true) = (&asking.waiting, asking.wanted) else {
                return;
            };
            let mut client = client.anew(&Cancel::default(), Some(Instant::now() + Nudge::LIMIT));
            let collector = collector.clone();
            drop(asking);
            if let Err(error) = client.call("CancelWaitForUpdates", &collector, "", |xml| xml.skip()) {
                return log::debug!("{}", error.with_causes());
            }
            // The wait that was to be ended may have been on its way to the server still.
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn take(&self) -> bool {
        std::mem::take(&mut self.lock().wanted)
    }

    /// Notes whom to ask for the end of a wait. False where somebody has asked already.
    fn begin_wait(&self, session: &Session) -> bool {
        let mut asking = self.lock();
        asking.waiting = Some((session.client.clone(), session.content.property_collector.clone()));
        !asking.wanted
    }

    fn end_wait(&self) {
        self.lock().waiting = None;
    }

    fn lock(&self) -> MutexGuard<'_, Asking> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is watched, and how.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'w> {
    /// Where.
    pub endpoint: &'w Endpoint,
    /// By whom.
    pub credentials: &'w Credentials,
    /// Whether guests get their names.
    pub guest_names: bool,
    /// How long failures may pass at the beginning.
    pub patience: Patience,
    /// When the state is told.
    pub pace: Pace,
}

/// Tells the state of an inventory, by `tell`, at the beginning and after each change that has settled, until a signal comes.
///
/// The beginning, until the first state is known, is met as by [`retry`], within the endpoint's deadline. From then on there is no
/// deadline: after any failure but the refusal of a right the whole inventory is read anew, over a new session, as often as it takes. `tell`
/// answers whether it had anything to say.
pub fn watch<E: From<Error>>(
    watched: Watched<'_>,
    nudge: &Nudge,
    cancel: &Cancel,
    mut tell: impl FnMut(&About, Inventory, Occasion) -> Result<bool, E>,
) -> Result<Infallible, E> {
    let Watched {
        endpoint,
        credentials,
        guest_names,
        patience,
        pace,
    } = watched;
    let begin = |endpoint| {
        let mut updates = Updates::begin(Session::open(endpoint, credentials, cancel)?, guest_names)?;
        let inventory = updates.inventory()?;
        Ok((updates, inventory))
    };
    let (mut updates, mut inventory) = retry(endpoint, patience, cancel, || begin(endpoint))?;
    updates.session().without_deadline();
    let endless = &Endpoint {
        deadline: None,
        ..endpoint.clone()
    };
    let mut last_told = Instant::now();
    let mut pauses = backoff();
    loop {
        let begun = Instant::now();
        let mut watch = Watch {
            updates,
            pace,
            nudge,
            cancel,
            last_told,
            tell: &mut tell,
        };
        let mut error = match watch.run(inventory) {
            Stop::Told(error) => return Err(error),
            Stop::Lost(error) => error,
        };
        last_told = watch.last_told;
        drop(watch);
        if begun.elapsed() > STEADY {
            pauses = backoff();
        }
        (updates, inventory) = loop {
            let pause = pauses.pause(asked_pause(&error));
            error = error.at(endpoint.base.authority());
            if !may_pass(&error) {
                return Err(error.into());
            }
            wait(&error, pause, cancel)?;
            match begin(endless) {
                Ok(begun) => break begun,
                Err(again) => error = again,
            }
        };
        log::info!("the whole inventory was read anew");
    }
}

/// Whether to go on after a failure. What a server answers while it restarts makes no sense now and then; but a right that
/// is refused stays refused, and asking again can lock the account.
fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), Kind::TempFail | Kind::Unavailable | Kind::Protocol)
}

/// Why a watch over one session ended.
enum Stop<E> {
    /// The state could not be told.
    Told(E),
    /// The session, or the server.
    Lost(Error),
}

impl<E> From<Error> for Stop<E> {
    fn from(error: Error) -> Self {
        Stop::Lost(error)
    }
}

/// A change that waits for others to follow it.
struct Unsettled {
    first: Instant,
    last: Instant,
}

/// A watch over one session.
struct Watch<'w, F> {
    updates: Updates,
    pace: Pace,
    nudge: &'w Nudge,
    cancel: &'w Cancel,
    last_told: Instant,
    tell: &'w mut F,
}

impl<E, F: FnMut(&About, Inventory, Occasion) -> Result<bool, E>> Watch<'_, F> {
    /// Tells this inventory, which is the first over this session, and then its changes.
    fn run(&mut self, inventory: Inventory) -> Stop<E> {
        match self.follow(inventory) {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    fn follow(&mut self, inventory: Inventory) -> Result<Infallible, Stop<E>> {
        self.tell_this(inventory, Occasion::News)?;
        let mut unsettled: Option<Unsettled> = None;
        loop {
            let due = self.pace.due(self.last_told, unsettled.as_ref());
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            if self.wait(left.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT))? {
                let now = Instant::now();
                unsettled
                    .get_or_insert(Unsettled {
                        first: now,
                        last: now,
                    })
                    .last = now;
                // Changes come in swarms; each swarm is fetched at once.
                let gather = GATHER.min(self.pace.settle / 20);
                self.cancel
                    .sleep(gather)
                    .map_err(http::Error::from)
                    .map_err(Error::from)?;
            }
            // An answer has come: the session is alive, and what is known is what the server has.
            let due = self.pace.due(self.last_told, unsettled.as_ref());
            if self.nudge.take() {
                self.updates.was_asked();
                unsettled = None;
                self.tell(Occasion::Confirmation)?;
            } else if due.is_some_and(|due| due <= Instant::now()) {
                let occasion = match unsettled.take() {
                    Some(_) => Occasion::News,
                    None => Occasion::Confirmation,
                };
                self.tell(occasion)?;
            }
        }
    }

    fn wait(&mut self, longest: Duration) -> Result<bool, Error> {
        let asked = !self.nudge.begin_wait(self.updates.session());
        let changed = self.updates.wait(if asked { Duration::ZERO } else { longest });
        self.nudge.end_wait();
        changed
    }

    fn tell(&mut self, occasion: Occasion) -> Result<(), Stop<E>> {
        let inventory = self.updates.inventory()?;
        self.tell_this(inventory, occasion)
    }

    fn tell_this(&mut self, inventory: Inventory, occasion: Occasion) -> Result<(), Stop<E>> {
        let told = (self.tell)(self.updates.about(), inventory, occasion).map_err(Stop::Told)?;
        if told {
            self.last_told = Instant::now();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_told_once_it_has_settled_or_never_does() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace {
            settle: Duration::from_secs(10),
            repeat: Some(Duration::from_secs(3600)),
        };
        assert_eq!(pace.due(start, None), Some(at(3600)));
        for (first, last, due) in [(5, 5, 15), (5, 14, 24), (5, 94, 104), (5, 96, 105), (5, 104, 105)] {
            let unsettled = Unsettled {
                first: at(first),
                last: at(last),
            };
            assert_eq!(pace.due(start, Some(&unsettled)), Some(at(due)), "{first} {last}");
        }
        pace.repeat = None;
        assert_eq!(pace.due(start, None), None);
    }

    #[test]
    fn who_asks_is_heard_once() {
        let nudge = Nudge::default();
        assert!(!nudge.take());
        nudge.clone().ask();
        nudge.ask();
        assert!(nudge.take());
        assert!(!nudge.take());
    }
}
