//! A document on its way to Candlepin: what of it is sent, and what its result line and status say.

use std::time::Instant;

use super::{CandlepinReporter, Destination};
use crate::cancel::Cancel;
use crate::cli::progress::Progress;
use crate::cli::result::{Line, State};
use crate::cli::words::Warnings;
use crate::cli::{self, Failure};
use crate::commands::filtering::Filtering;
use crate::commands::report::documents::{Attempt, Reporter};
use crate::commands::report::settings::{Memo, Settings, first_three, incomplete, warn_of};
use crate::error::{Classify, Kind};
use crate::mapping::{LeftOut, Mapping};
use crate::systems::candlepin::{
    self, Accepted, CheckIn, Deletion, Delivered, Done, Tally, TooMany, Uncleared,
};

/// The name by which `omitted` calls this stage.
pub(super) const STAGE: &str = "vw-report-candlepin";

impl Reporter for CandlepinReporter {
    type Delivered = Delivered;

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn ask_password(&self, _: &Mapping, cancel: &Cancel) -> cli::Result<()> {
        self.login.as_ref().map_or(Ok(()), |login| login.ask(cancel))
    }

    /// Sends a document, or what earlier attempts left of it.
    fn attempt(
        &self,
        mapping: &Mapping,
        memo: &mut Memo<Delivered>,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> Attempt {
        let filter = self.settings.filtering.as_ref().map(Filtering::hosts);
        let mut check_in = CheckIn::new(mapping).filtered_by(filter);
        if memo.is_new() {
            self.warn(&check_in);
        }
        let ready = memo.check().and_then(|()| self.inspect(mapping, &check_in));
        if self.settings.dry_run {
            return Attempt::without_line(ready.and_then(|()| self.dry_run(mapping, check_in)));
        }
        let done = ready.and_then(|()| self.deliver(mapping, &mut check_in, memo, until, cancel));
        let delivered = &mut memo.delivered;
        self.conclude(mapping, &check_in, delivered, done)
            .unwrap_or_else(|error| Attempt::without_line(Err(error)))
    }

    fn log_error(&self, error: &cli::Error) {
        self.log_error(error);
    }
}

impl CandlepinReporter {
    /// Whether this machine's own guests are reported.
    fn reports_local(&self, mapping: &Mapping) -> bool {
        mapping.has_local() && self.delivery.consumer.is_some()
    }

    /// Warns of what is not sent, or not as the document says it.
    fn warn(&self, check_in: &CheckIn<'_>) {
        warn_of(&check_in.census);
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

    fn inspect(&self, mapping: &Mapping, check_in: &CheckIn<'_>) -> cli::Result<()> {
        let is_local = self.reports_local(mapping);
        let is_whole = check_in.census.left_out.is_empty() && check_in.without_system_uuid().next().is_none();
        self.settings.inspect(mapping, is_local, is_whole)?;
        match &self.destination {
            Some(Destination { owner: None, .. }) if !check_in.is_empty() || !is_local => {
                let problem = "no owner is given, and only this machine's own guests need none";
                let failure = cli::Error::from(Failure::new(Kind::Config, problem));
                Err(failure.advise("set owner in the section, or use --owner"))
            }
            _ => Ok(()),
        }
    }

    /// `--dry-run`: prints each body that would be sent, on a line of its own.
    fn dry_run(&self, mapping: &Mapping, mut check_in: CheckIn<'_>) -> cli::Result<()> {
        let Some(memory) = &self.delivery.memory else {
            self.print_bodies(&check_in)?;
            return complete(left_out(&check_in), &Tally::default());
        };
        let series = self.series(mapping)?;
        let last = Accepted::read(&memory.folder, &series);
        let others = Accepted::others(&memory.folder, &series);
        let news = check_in.news(&series, memory, last.as_ref(), others.as_deref())?;
        if news.is_known {
            log::info!("unchanged: a heartbeat would be sent, if anything");
        } else {
            self.print_bodies(&check_in)?;
        }
        let mut problems = Vec::new();
        problems.extend(news.uncleared.as_ref().map(not_cleared));
        if let Some(deletion) = memory.delete_vanished {
            match (news.doubt, news.due(deletion)) {
                (Some(doubt), _) => problems.push(no_proof(doubt)),
                (None, Ok(due)) => due.iter().for_each(|label| {
                    log::info!("would delete {label}, unless somebody else has reported it meanwhile");
                }),
                (None, Err(too_many)) => problems.push(too_many_to_delete(&too_many, deletion)),
            }
        }
        unless(complete(left_out(&check_in), &Tally::default()), problems)
    }

    /// Prints each body that would be sent.
    fn print_bodies(&self, check_in: &CheckIn<'_>) -> cli::Result<()> {
        for body in check_in.bodies(&self.delivery) {
            let body = String::from_utf8(body?).map_err(Failure::defect)?;
            cli::print_json(&format!("{body}\n"))?;
        }
        Ok(())
    }

    /// What was not done about vanished hypervisors, although it was asked for.
    fn problems(&self, delivered: &Delivered) -> Vec<String> {
        let vanished = &delivered.vanished;
        let mut problems: Vec<String> = delivered.uncleared.iter().map(not_cleared).collect();
        problems.extend(vanished.doubt.map(no_proof));
        let deletion = self
            .delivery
            .memory
            .as_ref()
            .and_then(|memory| memory.delete_vanished);
        let too_many = vanished.too_many.as_ref().zip(deletion);
        problems.extend(too_many.map(|(too_many, deletion)| too_many_to_delete(too_many, deletion)));
        problems
    }

    fn deliver(
        &self,
        mapping: &Mapping,
        check_in: &mut CheckIn<'_>,
        memo: &mut Memo<Delivered>,
        until: Option<Instant>,
        cancel: &Cancel,
    ) -> cli::Result<Done> {
        let Memo {
            backlog, delivered, ..
        } = memo;
        let mut candlepin = self.connect(until, cancel)?;
        let has_batches = check_in.len() > self.delivery.batch;
        let bar = has_batches.then(|| Progress::toward(check_in.len(), STAGE, "hypervisors"));
        let progress = |done| bar.iter().for_each(|bar| bar.reach(done));
        let series = self.series(mapping)?;
        let came_back = |id: &str| backlog.mentions(id);
        Ok(candlepin.deliver(check_in, &series, &self.delivery, delivered, progress, &came_back)?)
    }

    /// What came of an attempt: its result line and its failure.
    fn conclude(
        &self,
        mapping: &Mapping,
        check_in: &CheckIn<'_>,
        delivered: &mut Delivered,
        done: cli::Result<Done>,
    ) -> cli::Result<Attempt> {
        let mut line = self.line(mapping, check_in, delivered, &done)?;
        let failed = self.failure(check_in, delivered, done);
        let mut besides = Vec::new();
        if let Some(error) = delivered.unkept.take() {
            besides.push(error.kind());
            let error = format!("{:#}", cli::Error::from(error));
            log::error!("{error}");
            line.error = Some(crate::text::message(&error));
        }
        let known: Option<&candlepin::Error> = failed.as_ref().and_then(|error| error.downcast_ref());
        Ok(Attempt {
            line: Some(line),
            again: known.is_some_and(candlepin::Error::may_pass),
            ends: known.is_some_and(candlepin::Error::is_lasting),
            failed: failed.map(|error| self.explain(error)),
            asked_pause: None,
            besides,
        })
    }

    fn line(
        &self,
        mapping: &Mapping,
        check_in: &CheckIn<'_>,
        delivered: &Delivered,
        done: &cli::Result<Done>,
    ) -> Result<Line, Failure> {
        let destination = self.destination()?;
        let owner = destination.owner.clone();
        let base = &destination.endpoint.base;
        let mut line = self.settings.line_of(base, owner, mapping, &check_in.census);
        add_tally(&mut line, &delivered.tally);
        if self.delivery.consumer.is_some() {
            line.guests += check_in.local_guests;
        }
        if let Ok(Done::Unchanged) = done {
            line.unchanged = check_in.len();
        }
        line.deleted = delivered.vanished.deleted.len();
        let all_well = line.failed.is_empty() && self.problems(delivered).is_empty();
        line.state = match done {
            Ok(Done::Heartbeat) => State::Heartbeat,
            Ok(Done::Sent) => State::Sent,
            Ok(Done::Reported) if all_well => State::Finished,
            Ok(Done::Unchanged) if all_well => State::Unchanged,
            Ok(_) => State::Partial,
            Err(_) if delivered.batches > 0 || delivered.is_reported => State::Partial,
            Err(_) => State::Failed,
        };
        if done.is_err() {
            line.failed.extend(self.unsent(check_in, delivered));
        }
        Ok(line)
    }

    /// The hypervisors that a report which ended early did not send; none if it sent nothing at all.
    fn unsent(&self, check_in: &CheckIn<'_>, delivered: &Delivered) -> Vec<LeftOut> {
        if delivered.batches == 0 || delivered.is_reported {
            return Vec::new();
        }
        let batches = check_in.batches(self.delivery.batch).skip(delivered.batches);
        let reasons =
            std::iter::once("it is not known whether it arrived").chain(std::iter::repeat("not sent"));
        let unsent = batches.zip(reasons);
        unsent.flat_map(|(batch, reason)| batch.failed(reason)).collect()
    }

    /// Why a document is not reported, or not all of it.
    fn failure(
        &self,
        check_in: &CheckIn<'_>,
        delivered: &Delivered,
        done: cli::Result<Done>,
    ) -> Option<cli::Error> {
        match done {
            Ok(Done::Heartbeat) => None,
            Ok(_) => {
                let complete = complete(left_out(check_in), &delivered.tally);
                unless(complete, self.problems(delivered)).err()
            }
            Err(error) if delivered.is_reported => {
                Some(error.context("the document is reported, but not all vanished hypervisors are deleted"))
            }
            Err(error) if delivered.batches > 0 => {
                let arrived = check_in.len().min(delivered.batches * self.delivery.batch);
                let all = check_in.len();
                Some(error.context(format!(
                    "{arrived} of {all} hypervisors are reported, and the others not"
                )))
            }
            Err(error) => Some(error),
        }
    }
}

/// Adds to a result line what the server said.
pub(super) fn add_tally(line: &mut Line, tally: &Tally) {
    line.created = tally.created;
    line.updated = tally.updated;
    line.unchanged = tally.unchanged;
    line.failed.extend(tally.failed.iter().cloned());
    line.jobs.clone_from(&tally.jobs);
}

/// How many hypervisors, guests and parts of them are not sent because of what the document says.
fn left_out(check_in: &CheckIn<'_>) -> usize {
    check_in.census.left_out.len() + check_in.census.unnamed
}

/// Fails if anything of a document is not on the server as it should be.
pub(super) fn complete(left_out: usize, tally: &Tally) -> cli::Result<()> {
    for failed in &tally.failed {
        log::warn!("not on the server: {failed}");
    }
    let kind = match (left_out, tally.refused + tally.lost) {
        (0, 0) => return Ok(()),
        (_, 0) => Kind::Data,
        _ => Kind::Unavailable,
    };
    let missing = [
        (left_out, "left out or changed"),
        (tally.refused, "refused by the server"),
        (tally.lost, "lost by the server"),
    ];
    Err(incomplete(kind, &missing).into())
}

/// Fails because of the first problem. If the report failed anyway, problems are only warnings.
fn unless(complete: cli::Result<()>, problems: Vec<String>) -> cli::Result<()> {
    let mut problems = problems.into_iter();
    let done = match (complete, problems.as_slice().first()) {
        (Ok(()), Some(_)) => problems
            .next()
            .map_or(Ok(()), |problem| Err(Failure::new(Kind::Data, problem).into())),
        (complete, _) => complete,
    };
    problems.for_each(|problem| log::warn!("{problem}"));
    done
}

fn not_cleared(Uncleared { ids, of, doubt }: &Uncleared) -> String {
    let why = match doubt {
        Some(doubt) => format!("but none is cleared: {doubt}"),
        None => "too many to clear their guests without a look; if that is right, run it once with --force"
            .to_owned(),
    };
    format!(
        "{} of the {of} hypervisors reported before vanished ({}), {why}",
        ids.len(),
        first_three(ids)
    )
}

fn too_many_to_delete(TooMany { labels, of }: &TooMany, deletion: Deletion) -> String {
    format!(
        "{} of the {of} hypervisors reported before vanished ({}), more than {} and more than {} %, so none is deleted; if that is \
         right, raise --vanished-limit or --vanished-share once",
        labels.len(),
        first_three(labels),
        deletion.limit,
        deletion.share
    )
}

fn no_proof(doubt: &str) -> String {
    format!("no vanished hypervisor is deleted: {doubt}")
}
