//! A round: a source is scanned, and each of its sections reports what it keeps of the document.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsRawFd as _;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::permits::{Doors, Permits};
use super::stage::{self, Stage, Voice, read_all};
use super::{Destination, Failure, Outcome, Pipeline, ResultLine, Source};
use crate::cancel::Cancel;
use crate::error::{Classify as _, Kind};
use crate::mapping::{self, Reader};
use crate::process::{LAST_WORDS, Limits, Program};
use crate::text;

/// How long a scan may take. It has a shorter limit itself; this one is for a script that hangs.
const SCAN: Duration = Duration::from_secs(2 * 3600);

/// How long a report may take. A reporter has a shorter limit itself.
const REPORT: Duration = Duration::from_secs(5 * 3600);

/// How long a login may take.
const CHECK: Duration = Duration::from_secs(300);

/// The longest result line in bytes: it names every hypervisor that failed.
const LONGEST_RESULT: u64 = 64 << 20;

/// The name by which failures call vw-run itself.
const STAGE: &str = "vw-run";

/// What all rounds share: the limits on what happens at once, and the token that ends everything.
#[derive(Debug)]
pub struct Work {
    cancel: Cancel,
    scans: Permits,
    reports: Permits,
    /// A server locks an owner while it takes a report, so a second one would only wait there.
    destinations: Doors<Destination>,
    /// After a change of the configuration the round before it may still be going on.
    sections: Doors<String>,
    /// The sections of the configuration; `None` if it is read only once.
    configured: Mutex<Option<HashSet<String>>>,
}

/// A document in a file without a name, which vanishes with this process.
#[derive(Debug)]
pub struct Spool(File);

impl Spool {
    /// A new one.
    pub(super) fn new(section: &str) -> Result<Self, Failure> {
        let file = tempfile::tempfile();
        file.map(Spool).map_err(|error| io_failure(section, &error))
    }

    /// The file, to write or to look at.
    pub(super) fn file(&self) -> &File {
        &self.0
    }

    /// The document from its beginning. Each reader has a position of its own.
    pub fn open(&self) -> io::Result<File> {
        File::open(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// Fails unless it is a stream of whole mappings.
    pub(super) fn check(&self) -> Result<(), mapping::Error> {
        let input = self.open().map_err(mapping::Error::Read)?;
        let mut reader = Reader::new(BufReader::new(input));
        while let Some(mut document) = reader.next_document()? {
            while document.next_entry()?.is_some() {}
            document.finish()?;
        }
        Ok(())
    }

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.0.metadata()?.len() == 0)
    }
}

/// A failure of vw-run itself, which is reported here.
pub(super) fn own_failure(section: &str, kind: Kind, message: String) -> Failure {
    log::error!(section = section; "[{section}] {message}");
    Failure {
        stage: STAGE.to_owned(),
        kind,
        message,
    }
}

fn io_failure(section: &str, error: &io::Error) -> Failure {
    let folder = std::env::temp_dir();
    let message = format!(
        "a temporary file in {}: {error}; TMPDIR names another folder",
        folder.display()
    );
    own_failure(section, Kind::Io, text::message(&message))
}

/// What a scan printed is no mapping, whatever its exit status says. It is not shown, because it may be anything, also a secret.
pub(super) fn no_mapping(section: &str, scan: &str, error: &mapping::Error) -> Failure {
    let message = format!(
        "{scan} printed no whole mapping: {}; vw-run --dry-run says how to run it alone",
        error.with_causes()
    );
    own_failure(section, error.kind(), text::message(&message))
}

/// Says why a section has no document, if another section's scan was to serve it. Its log file has nothing else about this.
fn explain(pipeline: &Pipeline, source: &Source, failure: &Failure) {
    let (name, scanned) = (pipeline.name(), source.name());
    if name != scanned && !matches!(failure.kind, Kind::Signal(_)) {
        log::error!(section = name; "[{name}] the scan of [{scanned}], which it shares, failed: {}", failure.message);
    }
}

impl Work {
    /// At most `jobs` scans and as many reports run at once.
    pub fn new(jobs: usize, cancel: &Cancel) -> Self {
        Work {
            cancel: cancel.clone(),
            scans: Permits::new(jobs),
            reports: Permits::new(jobs),
            destinations: Doors::default(),
            sections: Doors::default(),
            configured: Mutex::default(),
        }
    }

    /// Sets the sections of the configuration. If another section's round is going on, its report does not begin.
    pub(super) fn set_configured(&self, sections: HashSet<String>) {
        *self.configured.lock().unwrap_or_else(PoisonError::into_inner) = Some(sections);
    }

    fn is_configured(&self, section: &str) -> bool {
        let configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        configured.as_ref().is_none_or(|names| names.contains(section))
    }

    /// The token that ends everything.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Scans the source once and reports to `pipelines` of it; calls `done` with what came of each. What a signal interrupts
    /// before it is reported is no outcome.
    pub(super) fn round(&self, source: &Source, pipelines: &[&Pipeline], done: &(dyn Fn(Outcome) + Sync)) {
        let began = Instant::now();
        let failed = |failure: &Failure| {
            for pipeline in pipelines {
                explain(pipeline, source, failure);
                self.finish(pipeline, began, false, (None, Some(failure.clone())), done);
            }
        };
        let voice = Voice::new(source.name());
        match self.scan(source, &voice) {
            Ok(document) => self.report_to(pipelines, &document, (began, &voice), done),
            Err(failure) => failed(&failure),
        }
    }

    /// Reports a document to each of these pipelines, side by side. The round `began` with a scan in the name of a section.
    pub(super) fn report_to(
        &self,
        pipelines: &[&Pipeline],
        document: &Spool,
        (began, voice): (Instant, &Voice),
        done: &(dyn Fn(Outcome) + Sync),
    ) {
        let report = |pipeline: &Pipeline| {
            let name = pipeline.name();
            if !self.is_configured(name) {
                log::info!(section = name; "[{name}] not reported, because it has left the configuration");
                return;
            }
            let came_of_it = self.report(pipeline, document, &voice.of(name));
            self.finish(pipeline, began, true, came_of_it, done);
        };
        thread::scope(|scope| {
            let report = &report;
            let (first, others) = match pipelines.split_first() {
                Some((first, others)) => (first, others),
                None => return,
            };
            for pipeline in others {
                scope.spawn(move || report(pipeline));
            }
            report(first);
        });
    }

    /// Reports that a pipeline has come to its end.
    pub(super) fn finish(
        &self,
        pipeline: &Pipeline,
        began: Instant,
        is_scanned: bool,
        (line, failure): (Option<ResultLine>, Option<Failure>),
        done: &(dyn Fn(Outcome) + Sync),
    ) {
        let is_interrupted = failure
            .as_ref()
            .is_some_and(|failure| matches!(failure.kind, Kind::Signal(_)));
        if line.is_none() && is_interrupted {
            return;
        }
        done(Outcome {
            section: pipeline.section.clone(),
            time: SystemTime::now(),
            duration: began.elapsed(),
            is_scanned,
            line,
            failure,
        });
    }

    /// Scans a source.
    fn scan(&self, source: &Source, voice: &Voice) -> Result<Spool, Failure> {
        let section = source.name();
        let program = source.scan.as_ref().map_err(|failure| {
            log::error!(section = section; "[{section}] {}", failure.message);
            failure.clone()
        })?;
        let _permit = self.scans.take();
        self.check(section)?;
        let document = Spool::new(section)?;
        let stdout = document.file().try_clone();
        let stdout = stdout.map_err(|error| io_failure(section, &error))?;
        let scanned = Stage::start(program, voice, Stdio::null(), stdout)?.wait(self.limits(SCAN));
        scanned.inspect_err(|failure| {
            if failure.kind == Kind::Io {
                let folder = std::env::temp_dir();
                log::warn!(
                    section = section;
                    "[{section}] the scan prints to a temporary file in {}; if that disk is full, TMPDIR names another folder",
                    folder.display()
                );
            }
        })?;
        match document.is_empty() {
            Ok(false) => {}
            Ok(true) => {
                let problem = format!("{} ended with status 0, but printed nothing", program.name());
                return Err(own_failure(section, Kind::NoInput, problem));
            }
            Err(error) => return Err(io_failure(section, &error)),
        }
        let checked = document.check();
        checked.map_err(|error| no_mapping(section, &program.name(), &error))?;
        Ok(document)
    }

    /// Filters a document and reports it, once the destination has no other report.
    fn report(
        &self,
        pipeline: &Pipeline,
        document: &Spool,
        voice: &Voice,
    ) -> (Option<ResultLine>, Option<Failure>) {
        let _section = self.sections.enter(&pipeline.name().to_owned());
        let _destination = self.destinations.enter(&pipeline.destination);
        let _permit = self.reports.take();
        let section = pipeline.name();
        let ready = self.check(section);
        let input = ready.and_then(|()| document.open().map_err(|error| io_failure(section, &error)));
        match input {
            Ok(input) => self.run_report(pipeline, input, voice),
            Err(failure) => (None, Some(failure)),
        }
    }

    fn run_report(
        &self,
        pipeline: &Pipeline,
        input: File,
        voice: &Voice,
    ) -> (Option<ResultLine>, Option<Failure>) {
        let section = pipeline.name();
        let mut filter = match Stage::start(&pipeline.filter, voice, input, Stdio::piped()) {
            Ok(filter) => filter,
            Err(failure) => return (None, Some(failure)),
        };
        let filtered = filter.stdout().map_or_else(Stdio::null, Stdio::from);
        let mut reporter = match Stage::start(&pipeline.report, voice, filtered, Stdio::piped()) {
            Ok(reporter) => reporter,
            Err(failure) => return (None, Some(failure)),
        };
        let results = match read_all(reporter.stdout(), LONGEST_RESULT) {
            Ok(results) => results,
            Err(error) => return (None, Some(io_failure(section, &error))),
        };
        // Both must hear of a signal at once.
        let (filtered, reported) = thread::scope(|scope| {
            let reporting = scope.spawn(|| reporter.wait(self.limits(REPORT)));
            (filter.wait(self.limits(REPORT)), reporting.join())
        });
        let results = results.recv_timeout(LAST_WORDS).unwrap_or_default();
        let results = String::from_utf8_lossy(&results);
        let line = results.lines().rev().find_map(ResultLine::parse);
        let reported = reported.unwrap_or_else(|_| {
            let message = "waiting for the reporter failed".to_owned();
            Err(own_failure(section, Kind::Software, message))
        });
        // The first stage that failed is the cause: the reporter only saw that its input was cut.
        let failure = filtered.and(reported).err();
        if line.is_none() && failure.is_none() {
            let reporter = pipeline.report.name();
            let problem = format!("{reporter} ended with status 0, but printed no result");
            return (None, Some(own_failure(section, Kind::Protocol, problem)));
        }
        (line, failure)
    }

    /// The document of a source as a pipeline's filter leaves it (`--print`).
    pub fn print(&self, source: &Source, done: &(dyn Fn(&Pipeline, Result<Spool, Failure>) + Sync)) {
        let voice = Voice::new(source.name());
        let document = self.scan(source, &voice);
        for pipeline in &source.pipelines {
            let document = document.as_ref().map_err(Failure::clone);
            done(
                pipeline,
                document.and_then(|document| self.filter(pipeline, document, &voice.of(pipeline.name()))),
            );
        }
    }

    fn filter(&self, pipeline: &Pipeline, document: &Spool, voice: &Voice) -> Result<Spool, Failure> {
        let section = pipeline.name();
        let _permit = self.scans.take();
        self.check(section)?;
        let failed = |error| io_failure(section, &error);
        let kept = Spool::new(section)?;
        let input = document.open().map_err(failed)?;
        let output = kept.file().try_clone().map_err(failed)?;
        Stage::start(&pipeline.filter, voice, input, output)?.wait(self.limits(SCAN))?;
        Ok(kept)
    }

    /// Runs a scan or a reporter that only logs in and out (`--check`). Its messages are not passed on: the failure has the last.
    pub fn check_login(&self, program: &Program, section: &str) -> Result<(), Failure> {
        let _permit = self.scans.take();
        self.check(section)?;
        stage::run_quietly(program, self.limits(CHECK))
    }

    pub(super) fn limits(&self, time: Duration) -> Limits<'_> {
        Limits {
            time,
            cancel: &self.cancel,
        }
    }

    fn check(&self, section: &str) -> Result<(), Failure> {
        self.cancel.check().map_err(|cancelled| Failure {
            stage: STAGE.to_owned(),
            kind: cancelled.kind(),
            message: format!("[{section}] {cancelled}"),
        })
    }
}

/// Runs all sources once, side by side; calls `done` with what came of each section.
pub fn once(work: &Work, sources: &[Source], done: &(dyn Fn(Outcome) + Sync)) {
    side_by_side(sources, &|source: &Source| {
        let all: Vec<&Pipeline> = source.pipelines.iter().collect();
        work.round(source, &all, done);
    });
}

/// Does something with each source, in a thread of its own, in which its stages live.
pub fn side_by_side(sources: &[Source], each: &(dyn Fn(&Source) + Sync)) {
    let refused = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for source in sources {
            let thread = thread::Builder::new().name("source".into());
            if let Err(error) = thread.spawn_scoped(scope, move || each(source)) {
                log::debug!("no thread for [{}], so it comes later: {error}", source.name());
                refused
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(source);
            }
        }
    });
    let refused = refused.into_inner().unwrap_or_else(PoisonError::into_inner);
    refused.into_iter().for_each(each);
}
