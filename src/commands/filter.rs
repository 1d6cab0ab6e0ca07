//! Keeps or drops the hypervisors of mappings: vw-filter(1).

use std::io::{BufRead, Write};
use std::process::ExitCode;

use crate::cli;
use crate::cli::words::Warnings;
use crate::commands::filtering::Filtering;
use crate::mapping::{BoundedFaults, Document, Id, Layout, LeftOut};

/// Keep or drop the hypervisors of mappings
#[derive(clap::Parser)]
#[command(
    name = "vw-filter",
    version,
    after_help = "A LIST is PATTERN,PATTERN... A pattern is a wildcard (* ? [seq] [!seq]) or a regular expression that matches \
                  the whole id, ignoring case. Exclude lists take precedence.\n\n\
                  Examples:\n  \
                      vw-scan-esx -n prod | vw-filter -n prod | vw-report-candlepin -n prod\n  \
                      vw-scan-esx -n prod | vw-filter --exclude-hosts 'test*,dev*' --match-names"
)]
struct Args {
    #[command(flatten)]
    hosts: cli::args::Hosts,
    #[command(flatten)]
    section: cli::args::Section,
    #[command(flatten)]
    output: cli::args::Output,
}

/// The name of this stage in `omitted`.
const STAGE: &str = "vw-filter";

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// Runs vw-filter.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        // The section is read only if one is named, because a filter without lists is useful too.
        let section = args.section.name.is_some() || !args.section.config.is_empty();
        let section = section
            .then(|| args.section.find(None, true, |_| Ok(true)))
            .transpose()?;
        if section.is_none() {
            log::debug!("using no section: neither -n nor -c is given");
        }
        let filtering = Filtering::new(&args.hosts, section.as_ref())?;
        cli::end_without_reader()?;
        copy_all(&filtering, &args.output).map_err(cli::mapping::advise)
    })
}

/// Copies all documents from stdin to stdout.
fn copy_all(filtering: &Filtering, options: &cli::args::Output) -> cli::Result<()> {
    let mut input = cli::mapping::reader()?;
    let mut out = cli::json_stdout();
    while let Some(document) = input.next_document()? {
        copy(document, filtering, options, &mut out)?;
    }
    Ok(())
}

/// Copies a document without the hypervisors that the filter drops.
fn copy(
    mut document: Document<'_, impl BufRead>,
    filtering: &Filtering,
    options: &cli::args::Output,
    out: impl Write,
) -> cli::Result<()> {
    let mut writer = cli::mapping::writer(out, options);
    let mut layout = options.layout;
    let mut sieve = filtering.document();
    let mut faults = BoundedFaults::of_document();
    let mut warnings = Warnings::default();
    let mut is_checkin = false;
    while let Some(entry) = document.next_entry()? {
        let id = match entry.id() {
            Ok(id) => id,
            Err(fault) => {
                warnings.say(format_args!("{fault}; it is left out"));
                faults.push(fault);
                continue;
            }
        };
        is_checkin |= entry.layout() == Layout::Checkin;
        writer.set_layout(*layout.get_or_insert(entry.layout()));
        if let Id::Host(id) = id
            && !sieve.keeps(&id, entry.name().as_deref(), entry.parent().as_ref())?
        {
            continue;
        }
        for fault in entry.inspect() {
            warnings.say(fault);
        }
        writer.entry(&entry)?;
    }
    warnings.end();
    let mut tail = document.finish()?;
    let dropped = sieve.finish(&tail, "filter the output of the scan, without --layout checkin")?;
    if !writer.writes_omitted() && !options.no_omitted {
        dropped.log("the lists");
    }
    let faults = faults.into_vec().into_iter().map(LeftOut::from);
    let left_out = faults.chain(dropped.left_out);
    tail.omitted.extend(left_out.map(|one| one.by(STAGE)));
    filtering.mark(&mut tail);
    if is_checkin {
        tail.mark_unlisted(STAGE);
    }
    writer.finish(&tail)?;
    Ok(())
}
