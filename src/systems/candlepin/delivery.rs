//! The delivery of a document: only if something changed, in batches, one after the other.

use std::time::Duration;

use super::accepted;
use super::missing::MissingHypervisor;
use super::{
    Accepted, Batch, Candlepin, CheckIn, Deletion, Error, Manner, Outcome, Series, Status, Tally, TooMany,
    Vanished,
};
use crate::error::Classify as _;
use crate::state::Folder;
use crate::text;

/// How many hypervisors that have just vanished are named.
const NAMED: usize = 10;

/// How documents are delivered.
#[derive(Debug)]
pub struct Delivery {
    /// The number of hypervisors in a batch.
    pub batch: usize,
    /// How long to wait for the job of each batch, including the jobs that block it.
    pub limit: Duration,
    /// Whether to wait for the job of the last batch.
    pub wait: bool,
    /// Whether to send only a heartbeat.
    pub heartbeat: bool,
    /// The uuid of this machine as a registered system, if its own guests are reported.
    pub consumer: Option<String>,
    /// Where reports are remembered, if they are.
    pub memory: Option<Memory>,
}

/// How accepted reports are remembered.
#[derive(Debug)]
pub struct Memory {
    /// Where they are stored.
    pub folder: Folder,
    /// The time after which everything is sent, even if nothing changed.
    pub full_every: Duration,
    /// Whether to send everything now, and to clear any number of vanished hypervisors.
    pub force: bool,
    /// Whether to clear the guests of hypervisors that are missing since the last accepted report.
    pub clear_vanished: bool,
    /// When vanished hypervisors are deleted, if they are.
    pub delete_vanished: Option<Deletion>,
}

/// What has been delivered of a document, over all attempts.
#[derive(Debug, Default)]
pub struct Delivered {
    /// What the server said about it.
    pub tally: Tally,
    /// The number of batches that have arrived.
    pub batches: usize,
    /// Why the accepted report could not be stored.
    pub unkept: Option<Error>,
    /// Vanished hypervisors that are not cleared.
    pub uncleared: Option<Uncleared>,
    /// What became of vanished hypervisors, if they are deleted.
    pub vanished: Vanished,
    /// Whether the report itself is done, so that only the deletion is left.
    pub is_reported: bool,
}

/// Vanished hypervisors, too many to clear without a look by a person, or of which it is not certain that they vanished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncleared {
    /// Their ids.
    pub ids: Vec<String>,
    /// The number of hypervisors in the last accepted report.
    pub of: usize,
    /// Why the document does not prove that they vanished, if it does not.
    pub doubt: Option<&'static str>,
}

/// A check-in compared with the last accepted one.
#[derive(Debug)]
pub struct News {
    /// Whether the server has it already.
    pub is_known: bool,
    /// Vanished hypervisors that are not cleared.
    pub uncleared: Option<Uncleared>,
    /// Why the document does not prove that what it lacks has vanished; only if vanished hypervisors are deleted.
    pub doubt: Option<&'static str>,
    /// The state to store on success.
    accepted: Accepted,
}

impl News {
    /// The hypervisors that would be deleted, each with its name and id, without asking the server whether they are still ours.
    pub fn due(&self, deletion: Deletion) -> Result<Vec<String>, TooMany> {
        let due = deletion.due(&self.accepted)?;
        Ok(due.into_iter().map(|missing| missing.label()).collect())
    }
}

/// What was done with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was reported.
    Reported,
    /// The server has accepted it, but its last job is not done yet.
    Sent,
    /// The server had it already. It got a heartbeat, if it accepts them.
    Unchanged,
    /// The server got a heartbeat.
    Heartbeat,
}

impl Candlepin {
    /// Delivers a check-in, or what earlier attempts left of it.
    ///
    /// `progress` is called with the number of hypervisors that have arrived, and `came_back` tells whether a newer document
    /// mentions an id, so that it is not deleted.
    pub fn deliver(
        &mut self,
        check_in: &mut CheckIn<'_>,
        series: &Series,
        delivery: &Delivery,
        delivered: &mut Delivered,
        progress: impl Fn(usize),
        came_back: &dyn Fn(&str) -> bool,
    ) -> Result<Done, Error> {
        let status = self.status()?;
        if delivery.heartbeat {
            self.heartbeat(&status, delivery.limit, &mut delivered.tally)?;
            return Ok(Done::Heartbeat);
        }
        let Some(memory) = &delivery.memory else {
            return self.send_all(check_in, &status, delivery, delivered, progress);
        };
        let lock = match Accepted::lock(&memory.folder, series, self.deadline, &self.cancel) {
            Ok(lock) => Some(lock),
            Err(error @ Error::Locked(_)) => return Err(error),
            Err(error) => {
                delivered.unkept = Some(error);
                None
            }
        };
        let last = Accepted::read(&memory.folder, series);
        let others = Accepted::others(&memory.folder, series);
        let mut news = check_in.news(series, memory, last.as_ref(), others.as_deref())?;
        delivered.uncleared.clone_from(&news.uncleared);
        delivered.vanished.doubt = news.doubt;
        let is_known = news.is_known && delivered.batches == 0;
        let done =
            if is_known && self.is_enough(&status, delivery, others.as_deref(), &mut news, delivered)? {
                Done::Unchanged
            } else {
                if let Some(Err(error)) = last.as_ref().map(|last| last.doubt(&memory.folder)) {
                    delivered.unkept = Some(error);
                }
                self.send_all(check_in, &status, delivery, delivered, progress)?
            };
        if delivered.tally.failed.is_empty() && done != Done::Sent {
            delivered.is_reported = true;
            let accepted = match (done, &last) {
                (Done::Unchanged, Some(last)) => last.confirmed(news.accepted),
                _ => news.accepted.reported_at(delivered.tally.ended),
            };
            if last.as_ref() != Some(&accepted)
                && let Err(error) = accepted.write(&memory.folder)
            {
                delivered.unkept = Some(error);
            }
            if let (Some(deletion), Some(others), None, None) =
                (memory.delete_vanished, others, news.doubt, &delivered.unkept)
            {
                self.delete_and_remember(deletion, memory, accepted, &others, came_back, delivered)?;
            }
        }
        drop(lock);
        Ok(done)
    }

    /// Deletes vanished hypervisors, and stores what is still missing.
    fn delete_and_remember(
        &mut self,
        deletion: Deletion,
        memory: &Memory,
        mut accepted: Accepted,
        others: &[Accepted],
        came_back: &dyn Fn(&str) -> bool,
        delivered: &mut Delivered,
    ) -> Result<(), Error> {
        let before = accepted.missing.len();
        let deleted = self.delete_vanished(
            deletion,
            &mut accepted,
            others,
            came_back,
            &mut delivered.vanished,
        );
        if accepted.missing.len() < before
            && let Err(error) = accepted.write(&memory.folder)
        {
            delivered.unkept = Some(error);
        }
        deleted
    }

    /// Sends a heartbeat to a server that has the document already, if it accepts heartbeats. Returns false if the document must
    /// be sent again: a server that refuses the heartbeat may have forgotten the owner.
    ///
    /// None is sent while a hypervisor of this reporter has vanished and is not deleted yet. A heartbeat would renew its check-in
    /// as well, and so hide that somebody else has reported it since.
    fn is_enough(
        &mut self,
        status: &Status,
        delivery: &Delivery,
        others: Option<&[Accepted]>,
        news: &mut News,
        delivered: &mut Delivered,
    ) -> Result<bool, Error> {
        let others = others.unwrap_or_default().iter();
        let ours = others.filter(|other| news.accepted.has_reporter_of(other));
        let some_vanished = ours.chain([&news.accepted]).any(Accepted::has_vanished);
        if !status.has_heartbeat() || some_vanished || self.client.owner.is_empty() {
            return Ok(true);
        }
        match self.heartbeat(status, delivery.limit, &mut delivered.tally) {
            Err(error @ Error::HeartbeatNotFound { .. }) => {
                log::warn!("{}; reporting everything instead", error.with_causes());
                Ok(false)
            }
            sent => {
                sent?;
                news.accepted.heartbeat_at(delivered.tally.ended);
                Ok(true)
            }
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
                // The server refuses a report while another one is at work.
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

    /// The batches that are sent. An empty report is sent only for an empty document: not if everything was left out, or if the
    /// document has only this machine.
    fn parts(&self, size: usize, local: bool) -> impl Iterator<Item = Batch<'_, '_>> {
        let nothing = self.is_empty() && (self.census.hypervisors > 0 || local);
        self.batches(size).filter(move |_| !nothing)
    }

    /// Compares the check-in with the `last` accepted one; `others` are those of the other series of this owner.
    ///
    /// Hypervisors that vanished since then are added without guests, if they are to be cleared. If they are too many, or the
    /// document does not prove that they vanished, they are remembered, so that they can be cleared later. If they are to be deleted, it is remembered since when they are missing.
    pub fn news(
        &mut self,
        series: &Series,
        memory: &Memory,
        last: Option<&Accepted>,
        others: Option<&[Accepted]>,
    ) -> Result<News, Error> {
        let digest = self.digest().map_err(Error::Body)?;
        let is_known = !memory.force && last.is_some_and(|last| last.covers(&digest, memory.full_every));
        let mut accepted = Accepted::new(series.clone(), self, digest);
        accepted.heartbeat_at(last.and_then(Accepted::heartbeat));
        let mut uncleared = None;
        if let Some(last) = last.filter(|_| memory.clear_vanished) {
            let (ids, of) = (last.vanished(self), last.hypervisors());
            let doubt = self.doubt().filter(|_| !ids.is_empty());
            if doubt.is_some() || (is_too_many(ids.len(), of) && !memory.force) {
                accepted.add(&ids);
                uncleared = Some(Uncleared { ids, of, doubt });
            } else {
                self.clear(ids);
            }
        }
        let mut doubt = None;
        if let Some(deletion) = memory.delete_vanished {
            let unread = others
                .is_none()
                .then_some("a state file of another section can't be read");
            doubt = self.doubt().or(unread);
            let others = others.unwrap_or_default();
            let missing = last.map(|last| self.missing(last, others, doubt.is_none(), deletion));
            accepted.missing = missing.unwrap_or_default();
        }
        Ok(News {
            is_known,
            uncleared,
            doubt,
            accepted,
        })
    }

    /// The hypervisors that were reported before and are not sent now. Names those that have just vanished.
    fn missing(
        &self,
        last: &Accepted,
        others: &[Accepted],
        is_good: bool,
        deletion: Deletion,
    ) -> Vec<MissingHypervisor> {
        let now = accepted::now();
        let ours = others.iter().filter(|other| last.has_reporter_of(other));
        let renewed = ours.chain([last]).filter_map(Accepted::heartbeat).max();
        let mut missing = last.missing_from(self);
        let mut gone = Vec::new();
        for one in &mut missing {
            if one.update(self, is_good, now, renewed) {
                gone.push(one.label());
            }
        }
        if !gone.is_empty() && !deletion.after.is_zero() {
            let seconds = deletion.after.as_secs();
            let named = text::names(gone.iter(), NAMED);
            log::info!("vanished, to be deleted unless they come back within {seconds} s: {named}");
        }
        missing
    }
}

/// Whether more hypervisors vanished than are cleared without a look: more than 5, and more than a tenth, so that a small site may
/// lose a few.
fn is_too_many(vanished: usize, of: usize) -> bool {
    vanished > 5 && vanished * 10 > of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_is_a_number_and_a_share() {
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
