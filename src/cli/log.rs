//! Messages: one line each, on stderr and in the log file.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use log::{Level, LevelFilter};

use super::args::Messages;

/// Starts the messages of the command `name`.
pub(super) fn start(name: &str, messages: &Messages) -> anyhow::Result<()> {
    let level = match messages {
        Messages { debug: true, .. } => LevelFilter::Debug,
        Messages { quiet: true, .. } => LevelFilter::Error,
        _ => LevelFilter::Info,
    };
    let name = name.to_owned();
    let mut dispatch = fern::Dispatch::new()
        .level(level)
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
        }));
    if let Some(file) = &messages.log_file {
        dispatch = dispatch.chain(open(file)?);
    }
    dispatch.apply().context("starting the messages")
}

fn open(file: &Path) -> anyhow::Result<fern::Output> {
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(file);
    let opened = opened.with_context(|| format!("--log-file {}", file.display()))?;
    Ok(opened.into())
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

/// Names come from servers and files: nothing in them may break the line or steer the terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
