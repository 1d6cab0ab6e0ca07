//! `--print`: the mapping of each section as its filter leaves it.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use super::settings::Settings;
use super::{Args, exit};
use crate::cli::{self, Exit, Failure};
use crate::service::round::{Spool, side_by_side};
use crate::service::{Pipeline, Source, Work};

/// Prints one document per section, in the order of the configuration.
pub(super) fn documents(args: &Args, settings: &Settings) -> cli::Result<Exit> {
    let cancel = cli::cancel_on_signals()?;
    let work = Work::new(args.jobs.into(), &cancel);
    let found = Mutex::new(BTreeMap::new());
    let sources = match io::stdout().is_terminal() {
        true => &settings.sources.iter().map(pretty).collect(),
        false => &settings.sources,
    };
    side_by_side(sources, &|source| {
        work.print(source, &|pipeline: &Pipeline, document| {
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            found.insert(pipeline.name().to_owned(), document);
        });
    });
    cancel.check()?;
    let _at_once = cli::end_at_once(&cancel);
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut failed = Vec::new();
    for pipeline in sources.iter().flat_map(|source| &source.pipelines) {
        match found.remove(pipeline.name()) {
            Some(Ok(document)) => copy(&document)?,
            Some(Err(failure)) => failed.push(failure.kind),
            None => {}
        }
    }
    Ok(exit(failed))
}

fn pretty(source: &Source) -> Source {
    let mut source = source.clone();
    for pipeline in &mut source.pipelines {
        pipeline.filter = pipeline.filter.clone().argument("--pretty");
    }
    source
}

fn copy(document: &Spool) -> Result<(), Failure> {
    let mut stdout = cli::json_stdout();
    let copied = document.open().and_then(|mut document| {
        io::copy(&mut document, &mut stdout)?;
        stdout.flush()
    });
    copied.map_err(|error| Failure::of_stdout(&error))
}
