//! `vw-diff`: what changed between two mappings, or from one document of a stream to the next.

mod input;
mod json;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use self::input::{Documents, Input, Read};
use crate::cli::{self, Exit, Failure, stamp};
use crate::diff::Differences;
use crate::error::Kind;

/// Print what changed between two mappings
#[derive(Debug, clap::Parser)]
#[command(
    name = "vw-diff",
    version,
    after_help = "The status is 0 if they are the same, and 1 if they differ.\n\n\
        Examples:\n  \
        vw-scan-esx -n prod | vw-diff prod.json -\n  \
        vw-diff <(vw-scan-candlepin -n prod) prod.json   # what a report would change\n  \
        vw-scan-esx -n prod --watch | vw-diff --follow"
)]
struct Args {
    /// The mapping before; - is stdin
    #[arg(value_name = "OLD", required_unless_present = "follow")]
    old: Option<PathBuf>,
    /// The mapping after; - is stdin
    #[arg(
        value_name = "NEW",
        required_unless_present = "follow",
        conflicts_with = "follow"
    )]
    new: Option<PathBuf>,
    /// Compare each mapping on stdin with the one before; the first with OLD, if given
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    form: Form,
}

/// The form of the output.
#[derive(Debug, clap::Args)]
struct Form {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print only how many came, went, moved and changed
    #[arg(long)]
    summary: bool,
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        let old = args.old.map(Input::from);
        let new = args.new.map(Input::from);
        if args.follow {
            return follow(old, &args.form);
        }
        match (old, new) {
            (Some(Input::Stdin), Some(Input::Stdin)) => {
                Err(Failure::new(Kind::Usage, "only one of OLD and NEW can be stdin").into())
            }
            (Some(old), Some(new)) => compare(&old, &new, &args.form),
            _ => Err(Failure::new(Kind::Usage, "OLD and NEW are needed").into()),
        }
    })
}

/// Compares two inputs. Each may have a document per source; of several documents of a source the last counts.
fn compare(old: &Input, new: &Input, form: &Form) -> cli::Result<Exit> {
    let (old, new) = (Documents::read_all(old)?, Documents::read_all(new)?);
    let (old, new) = (old.into_snapshots(), new.into_snapshots());
    let differences = Differences::between(&old, &new);
    let printed = print(&differences, form, None);
    match differences.is_empty() {
        true => printed.map(|()| Exit::Ok),
        false => unless_reader_gone(printed).map(|()| Exit::No),
    }
}

/// Compares each document on stdin with the one before of the same source.
fn follow(old: Option<Input>, form: &Form) -> cli::Result<Exit> {
    let mut documents = match old {
        Some(Input::Stdin) => {
            let problem = "with --follow, stdin has the mappings that follow, so OLD must be a file";
            return Err(Failure::new(Kind::Usage, problem).into());
        }
        Some(old) => Documents::read_all(&old)?,
        None => Documents::default(),
    };
    cli::end_without_reader()?;
    let mut input = Read::open(&Input::Stdin)?;
    let mut exit = Exit::Ok;
    while let Some((source, snapshot)) = input.next()? {
        let section = source.section().map(str::to_owned);
        let new = [snapshot];
        if let Some(old) = documents.take(&source) {
            let old = [old];
            let differences = Differences::between(&old, &new);
            if !differences.is_empty() {
                exit = Exit::No;
                print(&differences, form, Some(section.as_deref()))?;
            }
        }
        let [snapshot] = new;
        documents.put(source, snapshot);
    }
    Ok(exit)
}

/// Prints differences; in a stream, with the time and the section.
fn print(differences: &Differences<'_>, form: &Form, in_stream: Option<Option<&str>>) -> cli::Result<()> {
    let written = if form.json {
        let moment = in_stream.map(|section| json::Moment {
            time: Some(stamp::utc(SystemTime::now())),
            section,
        });
        json::write(
            cli::json_stdout(),
            differences,
            form.summary,
            moment.unwrap_or_default(),
        )
    } else {
        let prefix = in_stream.map(words::prefix);
        words::write(
            cli::stdout(),
            differences,
            form.summary,
            &prefix.unwrap_or_default(),
        )
    };
    Ok(written.map_err(|error| Failure::of_stdout(&error))?)
}

/// The answer is the status, whether or not somebody reads the details.
fn unless_reader_gone(printed: cli::Result<()>) -> cli::Result<()> {
    match printed {
        Err(error) if error.kind() == Kind::ReaderGone => Ok(()),
        printed => printed,
    }
}
