//! Messages, each on one line, on stderr and in the log file.

mod file;
mod journal;

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use clap::{ArgMatches, FromArgMatches as _};
use jiff::ZonedDateTime;
use log::{Level, LevelFilter, Record};

use super::error::Failure;
use crate::error::Kind;
use crate::secret::redact;
use crate::{config, text};
use file::{LogFile, LogFiles};

/// The file of `--log-file`, otherwise the configuration's, which is known later.
static FILES: Mutex<Option<LogFiles>> = Mutex::new(None);

/// The section in use, once it is known.
static SECTION: OnceLock<String> = OnceLock::new();

/// Whether the log files are those of the configuration, not that of `--log-file`.
static IS_CONFIGURED: AtomicBool = AtomicBool::new(false);

/// The target of messages that vw-run passes on from the stages of its pipelines.
const STAGES: &str = "vw::stage";

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
            let level = record.level();
            write_stderr(level, &format!("{own}: {}{message}", prefix(level)));
        }))
        .chain(fern::Output::call(move |record| append(&name, record)));
    if let Some(file) = &messages.log_file {
        let opened = LogFile::open(file).map_err(|error| {
            let problem = format!("--log-file {}: {error}", file.display());
            Failure::new(Kind::Config, problem)
        })?;
        *log_files() = Some(opened.into());
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

/// The log files, if there are any.
fn log_files() -> MutexGuard<'static, Option<LogFiles>> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Appends a message to the log file, if there is one.
///
/// A message with the key `section` is about that section, another one about the section in use.
fn append(name: &str, record: &Record<'_>) {
    let mut files = log_files();
    let Some(files) = files.as_mut() else { return };
    // The stages of a pipeline write to the configured files themselves.
    if record.target() == STAGES && IS_CONFIGURED.load(Ordering::Relaxed) {
        return;
    }
    let about = record.key_values().get("section".into());
    let about = about.map(|section| section.to_string());
    let line = FileLine {
        time: &ZonedDateTime::now(),
        level: record.level(),
        name,
        process: std::process::id(),
        section: about.as_deref().or(SECTION.get().map(String::as_str)),
        message: &text::message(&record.args().to_string()),
    };
    files.append(about.as_deref(), &line.to_string());
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
/// If sections have their own log files, a command without a section writes a message with the key `section` to that section's
/// file. Errors are only warnings, because a report is worth more than its log.
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
    let place = match Place::of(&global) {
        Ok(Some(place)) if log_files().is_none() => place,
        Ok(_) => return,
        Err(error) => return log::warn!("{error}"),
    };
    // The lock of the files must be free again before a message is written.
    let opened = place.open(section.name());
    match opened {
        Ok(opened) => {
            *log_files() = Some(opened);
            IS_CONFIGURED.store(true, Ordering::Relaxed);
        }
        Err(error) => log::warn!(
            "log file {}: {error}; messages go to stderr only",
            redact::value(&place.file(section.name()).to_string_lossy())
        ),
    }
}

/// Where `[global]` directs the messages.
struct Place {
    folder: PathBuf,
    name: String,
    per_section: bool,
}

impl Place {
    /// The configured place, completed with virt-who's default folder and name. `None` if no key is set.
    fn of(global: &config::Section) -> Result<Option<Self>, config::Error> {
        let (folder, name) = (global.text("log_dir")?, global.text("log_file")?);
        let per_section = global.flag("log_per_config")? == Some(true);
        if folder.is_none() && name.is_none() && !per_section {
            return Ok(None);
        }
        Ok(Some(Place {
            folder: PathBuf::from(folder.as_deref().unwrap_or("/var/log/rhsm")),
            name: name.unwrap_or_else(|| "rhsm.log".to_owned()),
            per_section,
        }))
    }

    /// The file for a command that uses this section, or none or all.
    fn file(&self, section: Option<&str>) -> PathBuf {
        let own = section.filter(|_| self.per_section).map(file::name);
        self.folder.join(own.as_ref().unwrap_or(&self.name))
    }

    fn open(&self, section: Option<&str>) -> std::io::Result<LogFiles> {
        let file = LogFile::open_in_new_folder(&self.file(section))?;
        Ok(match section {
            None if self.per_section => LogFiles::per_section(file, self.folder.clone()),
            _ => file.into(),
        })
    }
}

/// Prints a message to stderr if messages are not started or can't be.
pub(super) fn line(name: &str, message: &str) {
    write_stderr(Level::Error, &format!("{name}: {}", text::message(message)));
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
fn write_stderr(level: Level, line: &str) {
    let line = format!("{}{line}\n", journal::priority(level));
    // If stderr is closed, nobody can be informed.
    let _ = std::io::stderr().write_all(line.as_bytes());
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
