//! The settings of every reporter, whichever system it reports to: what it does with a document before it sends it, and how it
//! shows the result.

use std::time::{Duration, Instant};

use super::inbox::Backlog;
use super::limit::LONGEST;
use super::{Options, max_age};
use crate::cli::result::{Form, Line, State};
use crate::cli::words::{Warnings, counts};
use crate::cli::{self, Failure, args};
use crate::commands::filtering::{self, Filtering};
use crate::commands::way;
use crate::config::Section;
use crate::error::Kind;
use crate::http::{Base, Endpoint};
use crate::mapping::{Census, Mapping};
use crate::text;

/// The settings from the shared options and the section.
#[derive(Debug)]
pub(super) struct Settings {
    /// The reporter's name in a document's `omitted`.
    stage: &'static str,
    /// The section's name, for result lines.
    section: Option<String>,
    /// The section in messages, with its file and line: `section [prod] (/etc/virt-who.conf:3)`.
    section_in_messages: Option<String>,
    pub connection: args::Connection,
    pub form: Form,
    /// Which hypervisors of a document are reported; all if `None`.
    pub filtering: Option<Filtering>,
    pub allow_empty: bool,
    /// Whether a document is refused that can't be reported as it is.
    pub strict: bool,
    /// The age beyond which a document is refused.
    pub max_age: Option<Duration>,
    pub dry_run: bool,
}

impl Settings {
    /// Reads the shared options and the section. `filters` says whether the section's filters apply.
    pub(super) fn new(
        options: &Options,
        filters: bool,
        section: &Section,
        stage: &'static str,
    ) -> cli::Result<Self> {
        let filtering = match filters {
            true => Filtering::of_section(section)?,
            false => None,
        };
        Ok(Settings {
            stage,
            section: section.name().map(str::to_owned),
            section_in_messages: args::section_and_place(section),
            connection: options.connection.clone(),
            form: Form::new(options.results.json),
            filtering,
            allow_empty: options.allow_empty,
            strict: false,
            max_age: None,
            dry_run: options.dry_run,
        })
    }

    /// The section's name.
    pub(super) fn section(&self) -> Option<&str> {
        self.section.as_deref()
    }

    /// Prepares a document: moves what the section's filters drop to its `omitted`. `backlog` are the documents behind it.
    pub(super) fn prepare<D: Default>(&self, mapping: &mut Mapping, backlog: Backlog) -> Memo<D> {
        Memo {
            refused: filtering::prepare(mapping, self.filtering.as_ref(), self.stage).err(),
            backlog,
            ..Memo::default()
        }
    }

    /// Whether a document is refused in any case, so that no password is needed.
    pub(super) fn refuses<D>(&self, mapping: &Mapping, memo: &Memo<D>) -> bool {
        memo.refused.is_some() || self.require_hypervisors(mapping, mapping.has_local()).is_err()
    }

    /// Refuses a document without hypervisors; this machine itself counts if its guests are reported.
    fn require_hypervisors(&self, mapping: &Mapping, is_local: bool) -> Result<(), Failure> {
        match self.allow_empty || is_local {
            true => Ok(()),
            false => filtering::require_hypervisors(mapping, self.stage),
        }
    }

    /// Refuses a document that is too old, empty, or not what `--strict` asks for.
    ///
    /// `is_local` says whether this machine's own guests are reported, `is_whole` whether all is reported as it is.
    pub(super) fn inspect(&self, mapping: &Mapping, is_local: bool, is_whole: bool) -> Result<(), Failure> {
        max_age::check(mapping, self.max_age)?;
        self.require_hypervisors(mapping, is_local)?;
        match self.strict && !is_whole {
            true => Err(Failure::new(
                Kind::Data,
                "not everything can be reported as it is, so nothing is sent (--strict)",
            )),
            false => Ok(()),
        }
    }

    /// The endpoint for work that must be done by `until`.
    pub(super) fn endpoint(&self, endpoint: &Endpoint, until: Option<Instant>) -> Endpoint {
        let mut endpoint = endpoint.clone();
        self.connection.apply(&mut endpoint);
        endpoint.deadline = until.or(endpoint.deadline);
        endpoint
    }

    /// The limit for all of the work, as debug messages show it.
    pub(super) fn whole_limit(&self) -> String {
        match self.connection.time() {
            Some(time) => format!("{} s for an attempt (--timeout)", time.as_secs()),
            None => format!("{} s for a document", LONGEST.as_secs()),
        }
    }

    /// A result line without any counts.
    pub(super) fn line(&self, server: &Base, owner: Option<String>) -> Line {
        Line {
            time: String::new(),
            section: self.section.clone(),
            server: server.to_string(),
            owner,
            state: State::Finished,
            error: None,
            hypervisors: 0,
            guests: 0,
            created: 0,
            updated: 0,
            unchanged: 0,
            deleted: 0,
            omitted: 0,
            failed: Vec::new(),
            jobs: Vec::new(),
            retry_after: None,
            seconds: 0.0,
        }
    }

    /// A result line with what the document itself says.
    pub(super) fn line_of(
        &self,
        server: &Base,
        owner: Option<String>,
        mapping: &Mapping,
        census: &Census<'_>,
    ) -> Line {
        Line {
            hypervisors: census.hypervisors,
            guests: census.guests,
            omitted: mapping.tail.omitted.len() + census.omitted,
            failed: census.left_out.clone(),
            ..self.line(server, owner)
        }
    }

    /// An error with the section it concerns, and with the server unless `server` is `None`.
    pub(super) fn placed(&self, error: cli::Error, server: Option<&Base>) -> cli::Error {
        way::placed(error, self.section_in_messages.as_deref(), server)
    }
}

/// What is remembered of a document from one attempt to the next; `D` is what has been delivered.
#[derive(Debug, Default)]
pub(super) struct Memo<D> {
    /// Why the document can't be reported at all.
    refused: Option<cli::Error>,
    is_warned_of: bool,
    /// The documents that wait behind it.
    pub backlog: Backlog,
    pub delivered: D,
}

impl<D> Memo<D> {
    /// Whether this is the first time that the document is warned of.
    pub(super) fn is_new(&mut self) -> bool {
        !std::mem::replace(&mut self.is_warned_of, true)
    }

    /// Fails if the document can't be reported at all.
    pub(super) fn check(&mut self) -> cli::Result<()> {
        self.refused.take().map_or(Ok(()), Err)
    }
}

/// Warns of what is not reported, or not as the document says it.
pub(super) fn warn_of(census: &Census<'_>) {
    let mut warnings = Warnings::default();
    for left_out in &census.left_out {
        warnings.say(format_args!("not reported as it is: {left_out}"));
    }
    warnings.end();
    let mut warnings = Warnings::default();
    for shared in &census.shared {
        warnings.say(shared);
    }
    warnings.end();
}

/// The failure of a report of which something is missing: how many of each.
pub(super) fn incomplete(kind: Kind, missing: &[(usize, &str)]) -> Failure {
    let counts = counts(missing);
    Failure::new(kind, format!("not everything is reported as it is: {counts}"))
}

/// The first three names, and how many more there are.
pub(super) fn first_three(names: &[impl AsRef<str>]) -> String {
    text::names(names.iter().map(AsRef::as_ref), 3)
}
