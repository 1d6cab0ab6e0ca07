//! Keeps or drops the hypervisors of mappings: vw-filter(1).

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::process::ExitCode;

use vw::cli::{self, Failure};
use vw::error::Kind;
use vw::filter::{Host, HostFilter};
use vw::mapping::{Document, Id, Omitted};

/// Keep or drop the hypervisors of mappings
#[derive(clap::Parser)]
#[command(
    name = "vw-filter",
    version,
    after_help = "A LIST is PATTERN,PATTERN...; a pattern is a wildcard (* ? [seq] [!seq]) or a regular expression for the \
                  whole id, ignoring case. What is excluded goes first.\n\n\
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

/// The name by which `omitted` calls this stage.
const STAGE: &str = "vw-filter";

fn main() -> ExitCode {
    cli::main(|args: Args| {
        // A filter that is not told otherwise has no rules: it asks for no section, and reads none.
        let section = args.section.name.is_some() || !args.section.config.is_empty();
        let section = section
            .then(|| args.section.find(None, true, |_| Ok(true)))
            .transpose()?;
        let filter = args.hosts.filter(section.as_ref())?;
        cli::end_without_reader()?;
        let mut input = cli::mapping::reader()?;
        let mut out = cli::json_stdout();
        while let Some(document) = input.next_document()? {
            pass(document, &filter, &args.output, &mut out)?;
        }
        Ok(())
    })
}

/// Hands a document on without the hypervisors that the filter drops.
fn pass(
    mut document: Document<'_, impl BufRead>,
    filter: &HostFilter,
    options: &cli::args::Output,
    out: impl Write,
) -> anyhow::Result<()> {
    let mut writer = cli::mapping::writer(out, options);
    let mut layout = options.layout;
    let mut dropped = Vec::new();
    let (mut hosts, mut with_parent) = (0_usize, 0_usize);
    let mut ambiguities = Ambiguities::default();
    while let Some(entry) = document.next_entry()? {
        let id = match entry.id() {
            Ok(id) => id,
            Err(fault) => {
                log::warn!("{fault}; it is left out");
                dropped.push(fault.omitted_by(STAGE));
                continue;
            }
        };
        writer.set_layout(*layout.get_or_insert(entry.layout()));
        let Id::Host(id) = id else {
            writer.entry(&entry)?;
            continue;
        };
        let (name, parent) = (entry.name(), entry.parent());
        hosts += 1;
        with_parent += usize::from(parent.is_some());
        let host = Host {
            id: &id,
            name: name.as_deref(),
            parent_id: parent.as_ref().and_then(|parent| parent.id.as_deref()),
            parent_name: parent.as_ref().and_then(|parent| parent.name.as_deref()),
        };
        if let Some(id) = host.parent_id {
            ambiguities.note(filter, id);
        }
        let Some(rule) = filter.dropped(&host)? else {
            writer.entry(&entry)?;
            continue;
        };
        let known = name.as_deref().unwrap_or(&id);
        if writer.tells_omitted() || options.no_omitted {
            log::debug!("host {known} is left out: {rule}");
        } else {
            log::info!("host {known} is left out: {rule}");
        }
        dropped.push(Omitted {
            kind: Omitted::HOST.into(),
            id: Some(id.into_owned()),
            name: name.map(String::from),
            stage: STAGE.into(),
            reason: rule.to_string(),
            ..Omitted::default()
        });
    }
    let mut tail = document.finish()?;
    if filter.needs_parents() && hosts > 0 && with_parent == 0 {
        let message = "no host of the document has a \"parent\", by which to filter: take it from vw-scan-esx, \
                       or do without the lists of parents";
        return Err(Failure::new(Kind::Data, message).into());
    }
    tail.omitted.extend(dropped);
    writer.finish(&tail)?;
    Ok(())
}

/// Parents that one pattern has, though it looks like the id of one.
#[derive(Default)]
struct Ambiguities<'f> {
    /// The first parent of each pattern; none once a second was told.
    parents: HashMap<&'f str, Option<String>>,
}

impl<'f> Ambiguities<'f> {
    /// Points out, once, that a pattern is in the ids of several parents: virt-who searches them so.
    fn note(&mut self, filter: &'f HostFilter, id: &str) {
        for (list, pattern) in filter.plain_parents(id) {
            let first = self.parents.entry(pattern).or_insert_with(|| Some(id.to_owned()));
            if let Some(other) = first.take_if(|first| first != id) {
                log::warn!(
                    "{list} has \"{pattern}\", which is in {other} and in {id}; write {pattern}$ for what ends so"
                );
            }
        }
    }
}
