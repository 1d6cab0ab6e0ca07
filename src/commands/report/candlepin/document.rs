//! What becomes of a document: it is sent as far as it can be, and its result line and status tell how far that was.

use std::time::Instant;

use super::Report;
use crate::cancel::Cancel;
use crate::cli::progress::Progress;
use crate::cli::result::{Line, State};
use crate::cli::words::{Warnings, counts};
use crate::cli::{self, Failure, text};
use crate::commands::filtering;
use crate::commands::filtering::Filtering;
use crate::commands::report::age;
use crate::commands::report::documents::{self, Attempt};
use crate::error::{Classify, Kind};
use crate::mapping::Mapping;
use crate::systems::candlepin::{self, Accepted, CheckIn, Delivered, Done, Tally, Uncleared};

/// What is remembered from one attempt at a document to the next.
#[derive(Debug, Default)]
pub struct Memo {
    /// Why the document can't be reported at all.
    refused: Option<cli::Error>,
    told: bool,
    delivered: Delivered,
}

/// The name by which `omitted` calls this stage.
const STAGE: &str = "vw-report-candlepin";

impl documents::Reporter for Report {
    type Memo = Memo;

    fn ready(&self, mapping: &Mapping, memo: &Memo, cancel: &Cancel) -> cli::Result<()> {
        let is_refused = memo.refused.is_some() || mapping.hypervisors.is_empty() && !self.allow_empty;
        match is_refused {
            true => Ok(()),
            false => self.ask(cancel),
        }
    }

    /// What the section's filters leave out is moved to `omitted`.
    fn begin(&self, mapping: &mut Mapping) -> Memo {
        Memo {
            refused: filtering::prepare(mapping, self.filtering.as_ref(), STAGE).err(),
            ..Memo::default()
        }
    }

    /// Sends a document, or what is left of it after the attempts before.
    fn attempt(
        &self,
        mapping: &Mapping,
        memo: &mut Memo,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> Attempt {
        let filter = self.filtering.as_ref().map(Filtering::hosts);
        let mut check_in = CheckIn::new(mapping).filtered_by(filter);
        if !std::mem::replace(&mut memo.told, true) {
            self.tell(&check_in);
        }
        let refused = memo.refused.take();
        if self.dry_run {
            let done = refused.map_or_else(|| self.dry_run(mapping, check_in), Err);
            return Attempt::without_line(done);
        }
        let delivered = &mut memo.delivered;
        let done = match refused {
            Some(error) => Err(error),
            None => self.deliver(mapping, &mut check_in, delivered, until, cancel),
        };
        self.told(mapping, &check_in, delivered, done)
            .unwrap_or_else(|error| Attempt::without_line(Err(error)))
    }

    fn say(&self, error: &cli::Error) {
        Report::say(self, error);
    }
}

impl Report {
    fn deliver(
        &self,
        mapping: &Mapping,
        check_in: &mut CheckIn<'_>,
        delivered: &mut Delivered,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> cli::Result<Done> {
        self.inspect(mapping, check_in)?;
        let mut candlepin = self.connect(until, cancel)?;
        let several = check_in.len() > self.delivery.batch;
        let bar = several.then(|| Progress::toward(check_in.len(), "vw-report-candlepin", "hypervisors"));
        let progress = |done| bar.iter().for_each(|bar| bar.reach(done));
        let place = self.place(mapping)?;
        Ok(candlepin.deliver(check_in, &place, &self.delivery, delivered, progress)?)
    }

    /// The result line and the failure of an attempt.
    fn told(
        &self,
        mapping: &Mapping,
        check_in: &CheckIn<'_>,
        delivered: &mut Delivered,
        done: cli::Result<Done>,
    ) -> cli::Result<Attempt> {
        let local = self
            .delivery
            .consumer
            .as_ref()
            .map_or(0, |_| check_in.local_guests);
        let mut line = self.line(
            &delivered.tally,
            check_in.census.hypervisors,
            check_in.census.guests + local,
        )?;
        line.failed.splice(0..0, check_in.census.left_out.iter().cloned());
        line.omitted = mapping.tail.omitted.len() + check_in.census.omitted;
        if let Ok(Done::Unchanged) = done {
            line.unchanged = check_in.len();
        }
        let all_well = line.failed.is_empty() && delivered.uncleared.is_none();
        let begun = delivered.batches > 0;
        line.state = match &done {
            Ok(Done::Heartbeat) => State::Heartbeat,
            Ok(Done::Sent) => State::Sent,
            Ok(Done::Reported) if all_well => State::Finished,
            Ok(Done::Unchanged) if all_well => State::Unchanged,
            Ok(_) => State::Partial,
            Err(_) if begun => State::Partial,
            Err(_) => State::Failed,
        };
        if done.is_err() && begun {
            let unsent = check_in.batches(self.delivery.batch).skip(delivered.batches);
            let errors =
                std::iter::once("it is not known whether it arrived").chain(std::iter::repeat("not sent"));
            let failed = unsent.zip(errors).flat_map(|(batch, error)| batch.failed(error));
            line.failed.extend(failed);
        }
        let failed = match done {
            Ok(Done::Heartbeat) => None,
            Ok(_) => {
                let complete = complete(
                    check_in.census.left_out.len() + check_in.census.unnamed,
                    &delivered.tally,
                );
                cleared(complete, delivered.uncleared.as_ref()).err()
            }
            Err(error) if begun => {
                let arrived = check_in.len().min(delivered.batches * self.delivery.batch);
                let all = check_in.len();
                Some(error.context(format!(
                    "{arrived} of {all} hypervisors are reported, and the others not"
                )))
            }
            Err(error) => Some(error),
        };
        let mut besides = Vec::new();
        if let Some(error) = delivered.unkept.take() {
            besides.push(error.kind());
            let error = format!("{:#}", cli::Error::from(error));
            log::error!("{error}");
            line.error = Some(text::message(&error));
        }
        let known: Option<&candlepin::Error> = failed.as_ref().and_then(|error| error.downcast_ref());
        Ok(Attempt {
            line: Some(line),
            again: known.is_some_and(candlepin::Error::may_pass),
            ends: known.is_some_and(candlepin::Error::is_lasting),
            failed: failed.map(|error| self.explain(error)),
            besides,
        })
    }

    /// A result line with what the server said.
    pub(super) fn line(&self, tally: &Tally, hypervisors: usize, guests: usize) -> Result<Line, Failure> {
        let destination = self.destination()?;
        Ok(Line {
            time: String::new(),
            section: self.section.clone(),
            server: destination.endpoint.base.to_string(),
            owner: Some(destination.owner.clone()),
            state: State::Finished,
            error: None,
            hypervisors,
            guests,
            created: tally.created,
            updated: tally.updated,
            unchanged: tally.unchanged,
            omitted: 0,
            failed: tally.failed.clone(),
            jobs: tally.jobs.clone(),
            seconds: 0.0,
        })
    }

    /// Prints each body that would be sent, on a line of its own.
    fn dry_run(&self, mapping: &Mapping, mut check_in: CheckIn<'_>) -> cli::Result<()> {
        self.inspect(mapping, &check_in)?;
        let mut uncleared = None;
        if let Some(memory) = &self.delivery.memory {
            let place = self.place(mapping)?;
            let last = Accepted::read(&memory.folder, &place);
            let news = check_in.news(&place, memory, last.as_ref())?;
            uncleared = news.uncleared;
            if news.is_known {
                log::info!("unchanged: a heartbeat would be sent, if anything");
                let complete = complete(
                    check_in.census.left_out.len() + check_in.census.unnamed,
                    &Tally::default(),
                );
                return cleared(complete, uncleared.as_ref());
            }
        }
        for body in check_in.bodies(&self.delivery) {
            let body = String::from_utf8(body?).map_err(Failure::defect)?;
            cli::print_json(&format!("{body}\n"))?;
        }
        let complete = complete(
            check_in.census.left_out.len() + check_in.census.unnamed,
            &Tally::default(),
        );
        cleared(complete, uncleared.as_ref())
    }

    /// Says what of a document is not sent.
    fn tell(&self, check_in: &CheckIn<'_>) {
        let mut warnings = Warnings::default();
        for failed in &check_in.census.left_out {
            warnings.say(format_args!("not reported as it is: {failed}"));
        }
        warnings.end();
        let mut warnings = Warnings::default();
        for shared in &check_in.census.shared {
            warnings.say(shared);
        }
        warnings.end();
        let mut warnings = Warnings::default();
        for id in check_in.without_system_uuid() {
            warnings.say(format_args!(
                "{id}: sent without dmi.system.uuid, which is not its own alone"
            ));
        }
        warnings.end();
        if check_in.has_local() && self.delivery.consumer.is_none() {
            log::warn!("this machine's own guests are left out; use --local to report them");
        }
    }

    /// Refuses a document that is empty, too old, or not what `--strict` wants.
    fn inspect(&self, mapping: &Mapping, check_in: &CheckIn<'_>) -> Result<(), Failure> {
        age::check(mapping, self.max_age)?;
        let local = check_in.has_local() && self.delivery.consumer.is_some();
        if check_in.census.hypervisors == 0 && !local && !self.allow_empty {
            return Err(filtering::nothing_to_report(mapping, STAGE));
        }
        let incomplete =
            !check_in.census.left_out.is_empty() || check_in.without_system_uuid().next().is_some();
        match self.strict && incomplete {
            true => Err(Failure::new(
                Kind::Data,
                "not everything can be reported as it is, so nothing is sent (--strict)",
            )),
            false => Ok(()),
        }
    }
}

/// Fails where hypervisors vanished and are not cleared, as long as nothing else failed: that comes first.
fn cleared(complete: cli::Result<()>, uncleared: Option<&Uncleared>) -> cli::Result<()> {
    let Some(Uncleared { ids, of }) = uncleared else {
        return complete;
    };
    let named = match &ids[..] {
        [first, second, third, _, ..] => {
            format!("{first}, {second}, {third} and {} more", ids.len() - 3)
        }
        ids => ids.join(", "),
    };
    let problem = format!(
        "{} of the {of} hypervisors reported before vanished ({named}), too many to clear their guests unseen; if that is \
         right, run it once with --force",
        ids.len()
    );
    match complete {
        Ok(()) => Err(Failure::new(Kind::Data, problem).into()),
        failed => {
            log::warn!("{problem}");
            failed
        }
    }
}

/// Fails if anything of a document is not on the server as it should be.
pub(super) fn complete(left_out: usize, tally: &Tally) -> cli::Result<()> {
    for failed in &tally.failed {
        log::warn!("not on the server: {failed}");
    }
    let (refused, lost) = (tally.refused, tally.lost);
    let kind = match (left_out, refused + lost) {
        (0, 0) => return Ok(()),
        (_, 0) => Kind::Data,
        _ => Kind::Unavailable,
    };
    let counts = counts(&[
        (left_out, "left out or changed"),
        (refused, "refused by the server"),
        (lost, "lost by the server"),
    ]);
    Err(Failure::new(kind, format!("not everything is reported as it is: {counts}")).into())
}
