//! What the configuration says there is to do: the commands of each section.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;

use crate::cli::args::{self, Connection};
use crate::cli::{self, advice};
use crate::commands::kind::{LIBVIRT, comes_later};
use crate::commands::{interval, rhsm, way};
use crate::config::{Config, Rhsm, Section};
use crate::error::Kind;
use crate::process::{self, Program};
use crate::service::{Destination, Failure, Pipeline, Source, notify};
use crate::systems::satellite5;

/// The name by which failures call this command.
const STAGE: &str = "vw-run";

/// What the commands of all sections share.
pub(super) struct Stages<'a> {
    /// The files of `-c`.
    pub config: &'a [PathBuf],
    /// `--state-dir`.
    pub state_dir: &'a Path,
    /// With `--watch`, how often an unchanged document is reported again.
    pub repeat: Option<Duration>,
}

/// The sections to use: those that `-n` names, otherwise all, with that of the environment unless files are named.
pub(super) fn sections(config: &Config, names: &[String], has_files: bool) -> cli::Result<Vec<Section>> {
    let mut sections = match names {
        [] => config.sections().cloned().collect(),
        names => {
            let named = names.iter().map(|name| Ok(config.known(name)?.clone()));
            named.collect::<cli::Result<Vec<Section>>>()?
        }
    };
    if names.is_empty() && !has_files {
        sections.extend(config.environment().cloned());
    }
    match sections.is_empty() {
        true => Err(crate::config::Error::NoSection(Box::new(config.no_section())).into()),
        false => Ok(sections),
    }
}

impl Stages<'_> {
    /// The sources of these sections. Sections that differ only in filters and destinations share one.
    pub(super) fn sources(&self, sections: &[Section]) -> Vec<Source> {
        let mut sources: Vec<Source> = Vec::new();
        let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
        for section in sections {
            let pipeline = self.pipeline(section);
            let fingerprint = section.fingerprint().unwrap_or_default();
            // The scan of the variables names no section, so it can't serve others.
            let source = section.source_fingerprint().ok();
            let source = source.filter(|_| pipeline.scan.is_ok() && !section.is_variables());
            if let Some(index) = source.as_ref().and_then(|source| known.get(source)) {
                let shared = &mut sources[*index];
                shared.fingerprint.extend(fingerprint);
                shared.pipelines.push(pipeline);
                continue;
            }
            if let Some(source) = source {
                known.insert(source, sources.len());
            }
            sources.push(Source {
                scan: pipeline.scan.clone(),
                fingerprint,
                pipelines: vec![pipeline],
            });
        }
        for source in &mut sources {
            source.fingerprint.extend(self.files());
            for pipeline in &source.pipelines {
                source.fingerprint.extend(pipeline.name().bytes());
                source.fingerprint.extend(pipeline.report.to_string().bytes());
            }
        }
        sources
    }

    /// When the files were changed that all sections use beside the configuration. After a change another attempt may work.
    fn files(&self) -> Vec<u8> {
        let files = [Rhsm::FILE.into(), args::key_file(None)];
        let changed = files.iter().filter_map(|file: &PathBuf| {
            let changed = std::fs::metadata(file).and_then(|about| about.modified()).ok()?;
            changed.duration_since(std::time::UNIX_EPOCH).ok()
        });
        changed
            .flat_map(|changed| changed.as_nanos().to_le_bytes())
            .collect()
    }

    fn pipeline(&self, section: &Section) -> Pipeline {
        let name = section.name().filter(|_| !section.is_variables());
        let reporter = match section.has("sat_server") {
            true => "vw-report-sat5",
            false => "vw-report-candlepin",
        };
        let report = self.command(reporter, name).option("--state-dir", self.state_dir);
        // Its guests are this machine's own.
        let report = match LIBVIRT.is_local(section) && !section.has("sat_server") {
            true => report.argument("--local"),
            false => report,
        };
        Pipeline {
            section: name.map(str::to_owned),
            scan: self.scan(section, name),
            source: section.text("server").ok().flatten().unwrap_or_default(),
            filter: self.command("vw-filter", name),
            report,
            destination: destination(section),
        }
    }

    /// The scan for a section's type, which may be anyone's program.
    fn scan(&self, section: &Section, name: Option<&str>) -> Result<Program, Failure> {
        let failure = |message: String| Failure {
            stage: STAGE.to_owned(),
            kind: Kind::Config,
            message,
        };
        if let Some(broken) = section.broken() {
            return Err(failure(broken.to_string()));
        }
        let kind = section
            .source_type()
            .map_err(|error| failure(error.to_string()))?;
        let scan = format!("vw-scan-{kind}");
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if kind.is_empty() || !kind.chars().all(is_name) || process::find(&scan).is_none() {
            let later = comes_later(&kind)
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default();
            let reason = match section.has("type") {
                true => {
                    format!("is '{kind}', and there is no command {scan} beside vw-run or in PATH{later}")
                }
                false => format!(
                    "is missing, which means libvirt, and there is no command {scan}; add a line such as type=esx"
                ),
            };
            return Err(failure(section.wrong("type", &reason).to_string()));
        }
        let scan = self.command(&scan, name);
        Ok(match self.repeat {
            None => scan,
            Some(interval::USUAL) => scan.argument("--watch"),
            Some(other) => scan
                .argument("--watch")
                .option("--repeat", other.as_secs().to_string()),
        })
    }

    /// A command with the options that all have. Only the scan and the reporter of the variables have no section.
    fn command(&self, name: &str, section: Option<&str>) -> Program {
        let mut program = program(name).without(&notify::VARIABLES);
        for file in self.config {
            program = program.option("-c", file);
        }
        if let Some(section) = section {
            program = program.option("-n", section);
        }
        match log::max_level() {
            LevelFilter::Error | LevelFilter::Off => program.argument("-q"),
            LevelFilter::Debug | LevelFilter::Trace => program.argument("-d"),
            _ => program,
        }
    }
}

/// The program by its name, if PATH leads to the one that is wanted, so that the pipelines are short to read.
fn program(name: &str) -> Program {
    let wanted = process::find(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let by_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let by_path = by_path.into_iter().find(|path| path.is_file());
    let same = |a: &Path, b: &Path| a == b || a.canonicalize().ok() == b.canonicalize().ok();
    match (wanted, by_path) {
        (Some(wanted), Some(found)) if same(&wanted, &found) => Program::new(name),
        (Some(wanted), _) => Program::new(wanted),
        (None, _) => Program::new(OsStr::new(name)),
    }
}

/// Where a section's reports go, as the reporters' result lines say it.
fn destination(section: &Section) -> Destination {
    let none = Connection::default();
    let base = || -> cli::Result<String> {
        let endpoint = match section.text("sat_server")? {
            Some(server) => way::satellite5(&none, section, satellite5::base(&server)?)?,
            None => rhsm::endpoint(&Rhsm::load(None, section)?, section, None, &none)?,
        };
        Ok(endpoint.base.to_string())
    };
    let owner = section.text("owner").ok().flatten();
    Destination {
        server: base().unwrap_or_else(|error| {
            // The reporter says it, too, and it decides.
            log::debug!("the destination is unknown: {:#}", advice::advised(error));
            String::new()
        }),
        owner: owner.filter(|_| !section.has("sat_server")),
    }
}

/// The pipelines as a shell reads them, one line each.
pub(super) fn shown(sources: &[Source]) -> (String, Vec<Kind>) {
    let (mut text, mut failed) = (String::new(), Vec::new());
    for source in sources {
        for pipeline in &source.pipelines {
            let Pipeline { filter, report, .. } = pipeline;
            let name = crate::text::line(pipeline.name());
            if pipeline.section.as_deref()
                != source
                    .pipelines
                    .first()
                    .and_then(|first| first.section.as_deref())
            {
                text += &format!(
                    "# [{name}] shares the scan of [{}]\n",
                    crate::text::line(source.name())
                );
            }
            match &pipeline.scan {
                Ok(scan) => text += &format!("{scan} | {filter} | {report}\n"),
                Err(failure) => {
                    text += &format!("# [{name}] {}\n", crate::text::message(&failure.message));
                    failed.push(failure.kind);
                }
            }
        }
    }
    (text, failed)
}
