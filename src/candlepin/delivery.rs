//! A document's way to the server: only if something changed, in parts, one after the other.

use std::time::Duration;

use super::{Accepted, Batch, Candlepin, CheckIn, Error, Manner, Outcome, Place, Status, Tally};
use crate::state::Folder;

/// How documents are delivered.
#[derive(Debug)]
pub struct Delivery {
    /// How many hypervisors are sent at a time.
    pub batch: usize,
    /// How long to wait for the job of each batch and for those before it.
    pub limit: Duration,
    /// Whether to wait for the job of the last batch, too.
    pub wait: bool,
    /// Whether only a heartbeat is sent.
    pub heartbeat: bool,
    /// The registered system that this machine is, where its own guests are reported.
    pub consumer: Option<String>,
    /// What is kept of the reports, if it is.
    pub memory: Option<Memory>,
}

/// What is kept of the reports.
#[derive(Debug)]
pub struct Memory {
    /// Where it is kept.
    pub folder: Folder,
    /// After which time everything is sent, changed or not.
    pub full_every: Duration,
    /// Whether everything is sent in any case, and vanished hypervisors cleared however many they are.
    pub force: bool,
    /// Whether hypervisors that vanished are told to have no guests.
    pub clear_vanished: bool,
}

/// What of a document has been delivered, over all attempts.
#[derive(Debug, Default)]
pub struct Delivered {
    /// What the server said of it.
    pub tally: Tally,
    /// How many batches have arrived.
    pub batches: usize,
    /// Why what was accepted could not be kept.
    pub unkept: Option<Error>,
}

/// What was done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was reported.
    Reported,
    /// It was sent, and the server has accepted it; its last job is not done yet.
    Sent,
    /// The server had it; where it knows heartbeats it got one.
    Unchanged,
    /// The server got a heartbeat.
    Heartbeat,
}

impl Candlepin {
    /// Delivers a check-in, or what is left of it after an earlier attempt; `place` tells its reports from others.
    ///
    /// `progress` is told how many hypervisors have arrived.
    pub fn deliver(
        &mut self,
        check_in: &mut CheckIn<'_>,
        place: &Place,
        delivery: &Delivery,
        delivered: &mut Delivered,
        progress: impl Fn(usize),
    ) -> Result<Done, Error> {
        let status = self.status()?;
        if delivery.heartbeat {
            self.heartbeat(&status, delivery.limit, &mut delivered.tally)?;
            return Ok(Done::Heartbeat);
        }
        let mut lock = None;
        let mut news = None;
        if let Some(memory) = &delivery.memory {
            match Accepted::lock(&memory.folder, place, self.deadline, &self.cancel) {
                Ok(locked) => lock = Some(locked),
                Err(error @ Error::Locked(_)) => return Err(error),
                Err(error) => delivered.unkept = Some(error),
            }
            let last = Accepted::read(&memory.folder, place);
            match check_in.news(place, memory, last.as_ref())? {
                None if delivered.batches == 0 => {
                    if status.has_heartbeat() {
                        self.heartbeat(&status, delivery.limit, &mut delivered.tally)?;
                    }
                    return Ok(Done::Unchanged);
                }
                found => news = found,
            }
            if let Some(last) = last
                && let Err(error) = last.doubt(&memory.folder)
            {
                delivered.unkept = Some(error);
            }
        }
        let done = self.send_all(check_in, &status, delivery, delivered, progress)?;
        if let (Some(memory), Some(news), Done::Reported) = (&delivery.memory, news, done)
            && delivered.tally.failed.is_empty()
            && let Err(error) = news.write(&memory.folder)
        {
            delivered.unkept = Some(error);
        }
        drop(lock);
        Ok(done)
    }

    fn send_all(
        &mut self,
        check_in: &CheckIn<'_>,
        status: &Status,
        delivery: &Delivery,
        delivered: &mut Delivered,
        progress: impl Fn(usize),
    ) -> Result<Done, Error> {
        let local = match &delivery.consumer {
            Some(uuid) => check_in
                .local_body()
                .map_err(Error::Body)?
                .map(|body| (uuid, body)),
            None => None,
        };
        let parts = check_in.parts(delivery.batch, local.is_some());
        let mut batches = parts.skip(delivered.batches).peekable();
        let mut done = Done::Reported;
        while let Some(batch) = batches.next() {
            let manner = Manner {
                limit: delivery.limit,
                // The server drops a report while another one is at work.
                wait: delivery.wait || batches.peek().is_some(),
            };
            match self.check_in(batch, status, manner, &mut delivered.tally)? {
                Outcome::Finished => delivered.batches += 1,
                Outcome::Pending => done = Done::Sent,
            }
            progress(check_in.len().min(delivered.batches * delivery.batch));
        }
        if let Some((uuid, body)) = local {
            self.put_guests(uuid, &body)?;
        }
        Ok(done)
    }
}

impl CheckIn<'_> {
    /// All bodies in the order in which they are sent.
    pub fn bodies(&self, delivery: &Delivery) -> impl Iterator<Item = Result<Vec<u8>, Error>> {
        let local = match &delivery.consumer {
            Some(_) => self.local_body().transpose(),
            None => None,
        };
        let batches = self
            .parts(delivery.batch, local.is_some())
            .map(|batch| batch.body());
        batches.chain(local).map(|body| body.map_err(Error::Body))
    }

    /// The batches that are sent. An empty report is sent where it is meant, not where all of a document was left out or is
    /// about this machine.
    fn parts(&self, size: usize, local: bool) -> impl Iterator<Item = Batch<'_, '_>> {
        let nothing = self.is_empty() && (self.hypervisors > 0 || local);
        self.batches(size).filter(move |_| !nothing)
    }

    /// What there will be to keep when the check-in has been accepted; none where the server has it already, by what was
    /// accepted `last`.
    ///
    /// Hypervisors that vanished since the last one are added, where they are to be cleared.
    pub fn news(
        &mut self,
        place: &Place,
        memory: &Memory,
        last: Option<&Accepted>,
    ) -> Result<Option<Accepted>, Error> {
        let digest = self.digest().map_err(Error::Body)?;
        if !memory.force && last.is_some_and(|last| last.covers(&digest, memory.full_every)) {
            return Ok(None);
        }
        let news = Accepted::new(place.clone(), self, digest);
        if let Some(last) = last.filter(|_| memory.clear_vanished) {
            let vanished = last.vanished(self);
            if vanished.len() * 10 > last.hypervisors() && !memory.force {
                return Err(Error::Vanished {
                    vanished: vanished.len(),
                    of: last.hypervisors(),
                });
            }
            self.clear(vanished);
        }
        Ok(Some(news))
    }
}
