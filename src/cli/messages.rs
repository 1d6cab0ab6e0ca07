//! Messages, each on one line, on stderr and in the log file.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::{ArgMatches, FromArgMatches as _};
use jiff::ZonedDateTime;
use log::{Level, LevelFilter, Record};

use super::error::Failure;
use crate::error::Kind;
use crate::secret::redact;
use crate::{config, state, text};

/// The file of `--log-file`, otherwise the configuration's, which is known later.
static FILE: OnceLock<File> = OnceLock::new();

/// The section in use, once it is known.
static SECTION: OnceLock<String> = OnceLock::new();

/// Which messages are printed, and where.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Messages {
    /// Print debug messages (also VIRTWHO_DEBUG=1)
    #[arg(short, long, conflicts_with = "quiet")]
    debug: bool,
    /// Print errors only
    #[arg(short, long)]
    quiet: bool,
    /// Also append messages to FILE
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
}

impl Messages {
    /// The options, with `VIRTWHO_DEBUG` of the environment.
    pub(super) fn from_matches(matches: &ArgMatches) -> Self {
        let mut messages = Messages::from_arg_matches(matches).unwrap_or_default();
        let on = |value: std::ffi::OsString| value.to_str().and_then(config::parse_flag) == Some(true);
        messages.debug |= std::env::var_os("VIRTWHO_DEBUG").is_some_and(on) && !messages.quiet;
        messages
    }
}

/// Starts the messages of the command `name`.
pub(super) fn start(name: &str, messages: &Messages) -> Result<(), Failure> {
    let level = match messages {
        Messages { debug: true, .. } => LevelFilter::Debug,
        Messages { quiet: true, .. } => LevelFilter::Error,
        _ => LevelFilter::Info,
    };
    let (own, name) = (name.to_owned(), name.to_owned());
    let dispatch = fern::Dispatch::new()
        // Messages of other crates are about their internals, and may contain secrets.
        .filter(|about| about.target().starts_with("vw"))
        .chain(fern::Output::call(move |record| {
            let message = text::message(&record.args().to_string());
            write_stderr(&format!("{own}: {}{message}", prefix(record.level())));
        }))
        .chain(fern::Output::call(move |record| append(&name, record)));
    if let Some(file) = &messages.log_file {
        let opened = open(file).map_err(|error| {
            let problem = format!("--log-file {}: {error}", file.display());
            Failure::new(Kind::Config, problem)
        })?;
        let _ = FILE.set(opened);
    }
    dispatch.apply().map_err(Failure::defect)?;
    log::set_max_level(level);
    Ok(())
}

/// The prefix of a message on stderr.
fn prefix(level: Level) -> &'static str {
    match level {
        Level::Error | Level::Info => "",
        Level::Warn => "warning: ",
        Level::Debug | Level::Trace => "debug: ",
    }
}

/// Appends a message to the log file, if there is one.
fn append(name: &str, record: &Record<'_>) {
    let Some(mut file) = FILE.get() else { return };
    let line = FileLine {
        time: &ZonedDateTime::now(),
        level: record.level(),
        name,
        process: std::process::id(),
        section: SECTION.get().map(String::as_str),
        message: &text::message(&record.args().to_string()),
    };
    // A full disk is no reason to stop, and the message is on stderr anyway.
    let _ = file.write_all(format!("{line}\n").as_bytes());
}

/// A line of the log file: `2026-08-01 12:00:00,123 +0200 [INFO] vw-filter:1234:prod - message`.
///
/// It begins like the lines of subscription-manager, which logs to the same folder.
struct FileLine<'a> {
    time: &'a ZonedDateTime,
    level: Level,
    name: &'a str,
    process: u32,
    section: Option<&'a str>,
    message: &'a str,
}

impl fmt::Display for FileLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Warn => "WARNING",
            level => level.as_str(),
        };
        let time = self.time.strftime("%Y-%m-%d %H:%M:%S,%3f %z");
        let section = text::line(self.section.unwrap_or("-"));
        write!(
            f,
            "{time} [{level}] {}:{}:{section} - {}",
            self.name, self.process, self.message
        )
    }
}

/// Sets the section that the lines of the log file name. Later calls do nothing.
pub(super) fn set_section(name: &str) {
    let _ = SECTION.set(name.to_owned());
}

/// Applies `debug`, `log_dir`, `log_file` and `log_per_config` of `[global]`. Options take precedence.
///
/// Errors are only warnings, because a report is worth more than its log.
pub(super) fn configure(section: &config::Section) {
    if let Some(name) = section.name() {
        set_section(name);
    }
    let global = section.global();
    match global.flag("debug") {
        Ok(Some(true)) if log::max_level() == LevelFilter::Info => log::set_max_level(LevelFilter::Debug),
        Ok(_) => {}
        Err(error) => log::warn!("{error}"),
    }
    let file = match file_of(&global, section.name()) {
        Ok(Some(file)) if FILE.get().is_none() => file,
        Ok(_) => return,
        Err(error) => return log::warn!("{error}"),
    };
    match make_folder(&file).and_then(|()| open(&file)) {
        Ok(opened) => drop(FILE.set(opened)),
        Err(error) => log::warn!(
            "log file {}: {error}; messages go to stderr only",
            redact::value(&file.to_string_lossy())
        ),
    }
}

/// The configured log file, completed with virt-who's default folder and name. `None` if no key is set.
fn file_of(global: &config::Section, section: Option<&str>) -> Result<Option<PathBuf>, config::Error> {
    let (folder, name) = (global.text("log_dir")?, global.text("log_file")?);
    let per_section = global.flag("log_per_config")? == Some(true);
    if folder.is_none() && name.is_none() && !per_section {
        return Ok(None);
    }
    let folder = PathBuf::from(folder.as_deref().unwrap_or("/var/log/rhsm"));
    let own = section
        .filter(|_| per_section)
        .map(|section| state::file_name("", &format!("{section}.log")));
    Ok(Some(
        folder.join(own.or(name).unwrap_or_else(|| "rhsm.log".to_owned())),
    ))
}

/// Creates the folder of `log_dir` if it is missing, as virt-who does.
fn make_folder(file: &Path) -> std::io::Result<()> {
    match file.parent().filter(|folder| *folder != Path::new("")) {
        Some(folder) => DirBuilder::new().recursive(true).mode(0o755).create(folder),
        None => Ok(()),
    }
}

/// Opens a log file for appending. Each line is one write, so the stages of a pipeline can share the file.
fn open(file: &Path) -> std::io::Result<File> {
    File::options().append(true).create(true).open(file)
}

/// Prints a message to stderr if messages are not started or can't be.
pub(super) fn line(name: &str, message: &str) {
    write_stderr(&format!("{name}: {}", text::message(message)));
}

/// Reports a panic, which is a defect of this program, in one line.
pub(super) fn catch_panics(name: &str) {
    let name = name.to_owned();
    std::panic::set_hook(Box::new(move |panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        line(
            &name,
            &format!("this is a defect of {name}, please report it: panic at {location}"),
        );
    }));
}

/// Writes a line with one write, so that the messages of a pipeline's stages don't mix.
fn write_stderr(line: &str) {
    // If stderr is closed, nobody can be informed.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_file_has_its_time_zone_process_and_section() {
        let line = |section, level| {
            let time: ZonedDateTime = "2026-08-01T12:00:00.0429+02:00[Europe/Berlin]".parse().unwrap();
            let line = FileLine {
                time: &time,
                level,
                name: "vw-filter",
                process: 1234,
                section,
                message: "done",
            };
            line.to_string()
        };
        assert_eq!(
            line(Some("prod"), Level::Info),
            "2026-08-01 12:00:00,042 +0200 [INFO] vw-filter:1234:prod - done"
        );
        assert_eq!(
            line(None, Level::Warn),
            "2026-08-01 12:00:00,042 +0200 [WARNING] vw-filter:1234:- - done"
        );
    }
}
