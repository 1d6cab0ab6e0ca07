//! A document's way to the server: only if something changed, in parts, one after the other.

use std::time::Duration;

use super::{Accepted, Batch, Candlepin, CheckIn, Error, Manner, Outcome, Series, Status, Tally};
use crate::error::Classify as _;
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
    /// Hypervisors that vanished and are not cleared.
    pub uncleared: Option<Uncleared>,
}

/// Hypervisors that vanished, more than are cleared unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncleared {
    /// Their ids.
    pub ids: Vec<String>,
    /// How many hypervisors there were in all.
    pub of: usize,
}

/// What a check-in is beside the one that was accepted last.
#[derive(Debug)]
pub struct News {
    /// Whether the server has it already.
    pub is_known: bool,
    /// Hypervisors that vanished and are not cleared.
    pub uncleared: Option<Uncleared>,
    /// What to keep when it has been accepted.
    accepted: Accepted,
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
    /// Delivers a check-in, or what is left of it after an earlier attempt; `series` tells its reports from others.
    ///
    /// `progress` is told how many hypervisors have arrived.
    pub fn deliver(
        &mut self,
        check_in: &mut CheckIn<'_>,
        series: &Series,
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
            match Accepted::lock(&memory.folder, series, self.deadline, &self.cancel) {
                Ok(locked) => lock = Some(locked),
                Err(error @ Error::Locked(_)) => return Err(error),
                Err(error) => delivered.unkept = Some(error),
            }
            let last = Accepted::read(&memory.folder, series);
            let found = check_in.news(series, memory, last.as_ref())?;
            delivered.uncleared.clone_from(&found.uncleared);
            if found.is_known && delivered.batches == 0 && self.is_enough(&status, delivery, delivered)? {
                return Ok(Done::Unchanged);
            }
            news = Some(found.accepted);
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

    /// Tells a server that has the document already that the reporter is alive, if it knows heartbeats. One that says it does
    /// and takes none has to get the document again: it may as well have forgotten the owner.
    fn is_enough(
        &mut self,
        status: &Status,
        delivery: &Delivery,
        delivered: &mut Delivered,
    ) -> Result<bool, Error> {
        if !status.has_heartbeat() {
            return Ok(true);
        }
        match self.heartbeat(status, delivery.limit, &mut delivered.tally) {
            Err(error @ Error::HeartbeatNotFound { .. }) => {
                log::warn!("{}; reporting all of it instead", error.with_causes());
                Ok(false)
            }
            sent => sent.map(|()| true),
        }
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
        let nothing = self.is_empty() && (self.census.hypervisors > 0 || local);
        self.batches(size).filter(move |_| !nothing)
    }

    /// What the check-in is beside the one that was accepted `last`.
    ///
    /// Hypervisors that vanished since then are added, where they are to be cleared and are not too many. Those that are too
    /// many are kept, so that they can be cleared later.
    pub fn news(&mut self, series: &Series, memory: &Memory, last: Option<&Accepted>) -> Result<News, Error> {
        let digest = self.digest().map_err(Error::Body)?;
        let is_known = !memory.force && last.is_some_and(|last| last.covers(&digest, memory.full_every));
        let mut accepted = Accepted::new(series.clone(), self, digest);
        let mut uncleared = None;
        if let Some(last) = last.filter(|_| memory.clear_vanished) {
            let (ids, of) = (last.vanished(self), last.hypervisors());
            if is_too_many(ids.len(), of) && !memory.force {
                accepted.add(&ids);
                uncleared = Some(Uncleared { ids, of });
            } else {
                self.clear(ids);
            }
        }
        Ok(News {
            is_known,
            uncleared,
            accepted,
        })
    }
}

/// Whether more hypervisors vanished than are cleared unseen: a share, and a number, so that few of a small site may go.
fn is_too_many(vanished: usize, of: usize) -> bool {
    vanished > 5 && vanished * 10 > of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_and_a_number_make_too_many() {
        for (vanished, of, expected) in [
            (0, 0, false),
            (1, 3, false),
            (5, 5, false),
            (6, 6, true),
            (6, 59, true),
            (6, 60, false),
            (10, 100, false),
            (11, 100, true),
        ] {
            assert_eq!(is_too_many(vanished, of), expected, "{vanished} of {of}");
        }
    }
}
