//! The events of domains. An event is only a reason to scan again: it says too little to change an inventory.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::Error;
use super::virsh::{Connection, errors, in_one_line};
use crate::cancel::Cancel;
use crate::process::{self, Line, end_of};

/// virsh's commands. It says nothing when it has subscribed, but the error about a domain that can't exist arrives just before:
/// no name has a slash.
const COMMANDS: &str = "domstate /; event --event lifecycle --loop --timestamp";

/// The expected error.
const SUBSCRIBES: &str = "failed to get domain '/'";

/// What is heard of libvirt's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The events are subscribed to: what changes from now on is heard.
    Subscribed,
    /// A domain has changed.
    Changed,
}

/// Follows the events until the connection ends, and returns why. `heard` is called in another thread.
pub fn follow(
    connection: &Connection,
    cancel: &Cancel,
    heard: impl Fn(Heard) + Send + Sync + 'static,
) -> Error {
    let is_subscribed = AtomicBool::new(false);
    let subscribed = move |heard: &dyn Fn(Heard)| {
        if !is_subscribed.swap(true, Ordering::SeqCst) {
            heard(Heard::Subscribed);
        }
    };
    let program = match connection.program(COMMANDS) {
        Ok(program) => program,
        Err(error) => return error,
    };
    log::debug!("running {program}");
    let ended = program.follow(process::Limits::until(cancel), move |line| match line {
        Line::Err(line) if line.contains(SUBSCRIBES) => subscribed(&heard),
        Line::Out(line) if !line.trim().is_empty() => {
            subscribed(&heard);
            heard(Heard::Changed);
        }
        Line::Out(_) | Line::Err(_) => {}
    });
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => return error.into(),
    };
    let mut errors = errors(&ended.stderr);
    errors.retain(|error| !error.contains(SUBSCRIBES) && !error.starts_with("Domain not found"));
    match errors.is_empty() {
        true => connection.failed(format!("virsh: {}", end_of(ended.status))),
        false => connection.failed(in_one_line(&errors)),
    }
}
