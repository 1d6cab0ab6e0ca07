//! The documents on stdin, for a command that works on each as it comes.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::cancel::{Cancel, HookGuard};
use crate::error::Kind;
use crate::mapping::Mapping;

use super::Failure;

/// Reads one document after the other from stdin.
///
/// A thread does the reading, since no signal ends a read of a pipe that stays silent. It reads at most one document
/// ahead.
#[derive(Debug)]
pub struct Documents {
    wanted: Sender<()>,
    events: Receiver<Event>,
    cancel: Cancel,
    _hook: HookGuard,
}

#[derive(Debug)]
enum Event {
    Document(Box<Mapping>),
    End(anyhow::Result<()>),
    Cancelled,
}

impl Documents {
    /// Begins to read.
    pub fn from_stdin(cancel: &Cancel) -> Result<Self, Failure> {
        let (wanted, requests) = channel();
        let (events, received) = channel();
        let on_cancel = events.clone();
        let read = move || {
            let ended = read(|mapping| {
                requests.recv().is_ok() && events.send(Event::Document(Box::new(mapping))).is_ok()
            });
            // Where nobody listens any more, the command is ending.
            drop(events.send(Event::End(ended)));
        };
        let thread = thread::Builder::new().name("stdin".into());
        let started = thread.spawn(read);
        started.map_err(|error| Failure::new(Kind::Software, format!("reading stdin: {error}")))?;
        Ok(Documents {
            wanted,
            events: received,
            cancel: cancel.clone(),
            _hook: cancel.on_cancel(move || drop(on_cancel.send(Event::Cancelled))),
        })
    }

    /// The next document; none at the end of the input.
    pub fn next_mapping(&mut self) -> anyhow::Result<Option<Mapping>> {
        self.cancel.check()?;
        // The thread may have come to the end of the input before it was asked.
        let _ = self.wanted.send(());
        match self.events.recv() {
            Ok(Event::Document(mapping)) => Ok(Some(*mapping)),
            Ok(Event::End(ended)) => ended.map(|()| None),
            Ok(Event::Cancelled) => Err(self.cancel.check().err().map_or_else(gone, anyhow::Error::from)),
            Err(_) => Err(gone()),
        }
    }
}

fn gone() -> anyhow::Error {
    Failure::new(Kind::Software, "nobody reads stdin any more").into()
}

fn read(mut give: impl FnMut(Mapping) -> bool) -> anyhow::Result<()> {
    let mut reader = super::mapping::reader()?;
    while let Some(mapping) = reader.next_mapping()? {
        if !give(mapping) {
            break;
        }
    }
    Ok(())
}
