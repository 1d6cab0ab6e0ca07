//! Messages: one line each, on stderr and in the log file.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context;
use log::{Level, LevelFilter};

use super::args::Messages;
use crate::secret::redact;
use crate::{config, state};

/// The file of `--log-file`, else the one that the configuration names, which is read later.
static FILE: OnceLock<File> = OnceLock::new();

/// Starts the messages of the command `name`.
pub(super) fn start(name: &str, messages: &Messages) -> anyhow::Result<()> {
    let level = match messages {
        Messages { debug: true, .. } => LevelFilter::Debug,
        Messages { quiet: true, .. } => LevelFilter::Error,
        _ => LevelFilter::Info,
    };
    let name = name.to_owned();
    let dispatch = fern::Dispatch::new()
        // Other crates' messages are about their own insides, and could show what we keep secret.
        .filter(|about| about.target().starts_with("vw"))
        .format(move |out, message, record| {
            let text = one_line(&message.to_string());
            match record.level() {
                Level::Error | Level::Info => out.finish(format_args!("{name}: {text}")),
                Level::Warn => out.finish(format_args!("{name}: warning: {text}")),
                Level::Debug | Level::Trace => out.finish(format_args!("{name}: debug: {text}")),
            }
        })
        .chain(fern::Output::call(|record| {
            write_stderr(&record.args().to_string())
        }))
        .chain(fern::Output::call(|record| {
            if let Some(mut file) = FILE.get() {
                // Nowhere is left to tell that the disk is full, and no reason to stop.
                let _ = file.write_all(format!("{}\n", record.args()).as_bytes());
            }
        }));
    if let Some(file) = &messages.log_file {
        let opened = open(file).with_context(|| format!("--log-file {}", file.display()))?;
        let _ = FILE.set(opened);
    }
    dispatch.apply().context("starting the messages")?;
    log::set_max_level(level);
    Ok(())
}

/// Does with messages what the configuration says, where no option said it: `debug`, `log_dir`, `log_file` and
/// `log_per_config` of `[global]`.
///
/// What of it makes no sense is only told: a report is worth more than its log.
pub(super) fn follow(section: &config::Section) {
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
            "the log file {}: {error}; messages go to stderr alone",
            redact::value(&file.to_string_lossy())
        ),
    }
}

/// The log file, with virt-who's own for what of it is not said; none where nothing is said.
fn file_of(global: &config::Section, section: Option<&str>) -> Result<Option<PathBuf>, config::Error> {
    let (folder, name) = (global.text("log_dir")?, global.text("log_file")?);
    let per_section = global.flag("log_per_config")? == Some(true);
    if folder.is_none() && name.is_none() && !per_section {
        return Ok(None);
    }
    let folder = PathBuf::from(folder.as_deref().unwrap_or("/var/log/rhsm"));
    let own = section
        .filter(|_| per_section)
        .and_then(|section| state::file_name("", &format!("{section}.log")).ok());
    Ok(Some(
        folder.join(own.or(name).unwrap_or_else(|| "rhsm.log".to_owned())),
    ))
}

/// Makes the folder of `log_dir` if it is missing, as virt-who does.
fn make_folder(file: &Path) -> std::io::Result<()> {
    match file.parent().filter(|folder| *folder != Path::new("")) {
        Some(folder) => DirBuilder::new().recursive(true).mode(0o755).create(folder),
        None => Ok(()),
    }
}

/// One write a line, so that stages may share it.
fn open(file: &Path) -> std::io::Result<File> {
    File::options().append(true).create(true).open(file)
}

/// Prints one message before the messages have been started, or when they can't be.
pub(super) fn line(name: &str, message: &str) {
    write_stderr(&format!("{name}: {}", one_line(message)));
}

/// Has a panic, which would be a defect of ours, say so in one line.
pub(super) fn catch_panics(name: &str) {
    let name = name.to_owned();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        line(
            &name,
            &format!("this is a defect of {name}, please report it: panic at {place}"),
        );
    }));
}

/// One write a line, so that the stages of a pipeline do not cut into each other's messages.
fn write_stderr(line: &str) {
    // Where stderr is closed, nobody is there to be told.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Names come from servers and files: nothing in them may break the line or steer the terminal. A URL may come from an option,
/// which clap repeats.
fn one_line(text: &str) -> String {
    redact::urls(text)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
