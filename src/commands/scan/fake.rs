//! `vw-scan-fake`: from a file with a mapping to a mapping.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use super::document;
use crate::cli::Context as _;
use crate::cli::words::Warnings;
use crate::cli::{self, Failure, args};
use crate::commands::section;
use crate::config::Section;
use crate::error::Kind;
use crate::mapping::{Guest, Hypervisor, Layout, LeftOut, Mapping, Reader, Source};
use crate::secret::redact;

/// Print the mapping that a section of type=fake names
#[derive(Debug, clap::Parser)]
#[command(
    name = COMMAND,
    version,
    after_help = "Example:\n  vw-scan-fake -n test | vw-filter -n test | vw-report-candlepin -n test"
)]
struct Args {
    /// Read FILE, in either layout of a mapping
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    section: args::Section,
    #[command(flatten)]
    output: args::Output,
}

/// The command's name, which is also the stage in `omitted`.
const COMMAND: &str = "vw-scan-fake";

/// virt-who's type of this source.
const TYPE: &str = "fake";

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        let given = args.file.is_some();
        let section = section::find(&args.section, None, TYPE, ("file", given), given)?;
        let file = match &args.file {
            Some(file) => file.clone(),
            None => section.need("file")?.into(),
        };
        let is_local = section.is_local()?;
        log::debug!("reading {}", file.display());
        let opened = File::open(&file).map_err(|error| unreadable(&args, &section, &file, &error))?;
        let mut reader = Reader::new(BufReader::new(opened));
        let mut mapping = reader
            .next_mapping()
            .and_then(|mapping| mapping.ok_or(crate::mapping::Error::Empty))
            .with_context(|| redact::value(&file.to_string_lossy()))?;
        if is_local {
            mapping.hypervisors = vec![Hypervisor::local(first_guests(&mut mapping))];
        }
        Ok(print(mapping, &section, &args.output)?)
    })
}

fn unreadable(args: &Args, section: &Section, file: &std::path::Path, error: &std::io::Error) -> cli::Error {
    match args.file {
        Some(_) => Failure::new(Kind::Config, format!("--file {}: {error}", file.display())).into(),
        None => section
            .wrong("file", &format!("{} can't be read: {error}", file.display()))
            .into(),
    }
}

/// The guests of the first hypervisor, which are this machine's own guests in virt-who.
fn first_guests(mapping: &mut Mapping) -> Vec<Guest> {
    let first = mapping.hypervisors.first_mut();
    first
        .map(|first| std::mem::take(&mut first.guests))
        .unwrap_or_default()
}

fn print(
    mut mapping: Mapping,
    section: &Section,
    options: &args::Output,
) -> Result<(), crate::mapping::Error> {
    mapping.sort();
    let mut tail = mapping.tail;
    if mapping.layout == Layout::Checkin {
        tail.mark_unlisted(COMMAND);
    }
    let mut warnings = Warnings::default();
    for flaw in mapping.flaws {
        warnings.say(flaw);
    }
    for fault in mapping.faults {
        warnings.say(format_args!("{fault}; it is left out"));
        tail.omitted.push(LeftOut::from(fault).by(COMMAND));
    }
    warnings.end();
    tail.source = Some(Source {
        section: section.name().map(str::to_owned),
        kind: Some(TYPE.into()),
        // Whatever filtered the file, it did not use the filters of this section.
        filtered: None,
        ..tail.source.unwrap_or_default()
    });
    let writer = cli::mapping::writer(cli::json_stdout(), options);
    document::write(writer, mapping.hypervisors.into_iter(), &tail)
}
