//! Printing an inventory as a document, with the messages about it.

use std::borrow::Borrow;
use std::io::{self, Write};
use std::time::SystemTime;

use super::fingerprint::{Digest, Fingerprint};
use super::options::ScanOptions;
use super::settings::ScanSettings;
use super::shared_ids::Holders;
use super::{omitted, shared_ids};
use crate::cancel::Cancel;
use crate::cli;
use crate::mapping::{self, Hypervisor, Inventory, LeftOut, Omitted, SharedId, Source, Tail, Writer};
use crate::pace::Occasion;

/// What a scan finds.
pub(super) trait Found {
    /// The hypervisors and their guests, in the bytewise order of their ids.
    fn hypervisors(&self) -> impl Iterator<Item: Borrow<Hypervisor>>;

    /// The hosts and guests that are left out.
    fn left_out(&self) -> &[LeftOut];

    /// What is doubtful, one warning each.
    fn notes(&self) -> &[String];

    /// The hypervisor ids that several hosts share.
    fn shared_ids(&self) -> Vec<SharedId>;

    /// The guest ids that several virtual machines share.
    fn clones(&self) -> Vec<SharedId>;

    /// The server's own id, if it has one.
    fn instance_uuid(&self) -> Option<&str> {
        None
    }
}

impl Found for Inventory {
    fn hypervisors(&self) -> impl Iterator<Item: Borrow<Hypervisor>> {
        self.hypervisors.iter()
    }

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn shared_ids(&self) -> Vec<SharedId> {
        Inventory::shared_ids(self)
    }

    fn clones(&self) -> Vec<SharedId> {
        Inventory::clones(self)
    }
}

/// Prints documents. It remembers the last one, so that a watch prints only changes.
pub(super) struct Printer<'a> {
    command: &'static str,
    settings: &'a ScanSettings,
    options: &'a ScanOptions,
    cancel: &'a Cancel,
    /// That of the last document; only in a watch.
    last: Option<Fingerprint>,
    /// The ids of the last warnings: those that hosts share, and those that virtual machines share.
    warned: (Vec<SharedId>, Vec<SharedId>),
}

impl<'a> Printer<'a> {
    /// Prints for this command: it is the stage in `omitted`.
    pub(super) fn new(
        command: &'static str,
        settings: &'a ScanSettings,
        options: &'a ScanOptions,
        cancel: &'a Cancel,
    ) -> Self {
        Printer {
            command,
            settings,
            options,
            cancel,
            last: None,
            warned: Default::default(),
        }
    }

    /// Prints the document, after warnings; with `--strict` it fails if anything is left out.
    ///
    /// Returns false, without printing, if news make the same document as the last.
    pub(super) fn print(&mut self, found: &impl Found, occasion: Occasion) -> cli::Result<bool> {
        let mut tail = Tail {
            omitted: self.omitted(found.left_out()),
            ..Tail::default()
        };
        let rest = self.digest(&tail)?;
        let is_same = match &self.last {
            Some(last) => {
                let writer = self.writer(Digest::new(io::sink()));
                last.is_of(writer, found.hypervisors(), rest)?
            }
            None => false,
        };
        if occasion == Occasion::News && is_same {
            return Ok(false);
        }
        if !is_same {
            self.warn(found)?;
        }
        tail.source = Some(self.source_of(found));
        let (hypervisors, out) = (found.hypervisors(), cli::json_stdout_until(self.cancel));
        let written = match self.options.watching.watch {
            true => {
                let writer = self.writer(Digest::new(out));
                Fingerprint::of_written(writer, hypervisors, &tail, rest).map(Some)
            }
            false => write(self.writer(out), hypervisors, &tail).map(|()| None),
        };
        match written {
            Ok(fingerprint) => self.last = fingerprint,
            Err(error) => {
                // A signal while nobody reads is not a failure of stdout.
                self.cancel.check()?;
                return Err(error.into());
            }
        }
        Ok(true)
    }

    /// The digest of a document without hypervisors.
    fn digest(&self, tail: &Tail) -> cli::Result<u64> {
        let mut digest = Digest::new(io::sink());
        self.writer(&mut digest).finish(tail)?;
        Ok(digest.value())
    }

    fn writer<W: Write>(&self, out: W) -> Writer<W> {
        let writer = cli::mapping::writer(out, &self.options.output);
        writer.with_guest_names(self.settings.guest_names)
    }

    fn omitted(&self, left_out: &[LeftOut]) -> Vec<Omitted> {
        let left_out = left_out.iter().cloned();
        left_out.map(|one| one.by(self.command)).collect()
    }

    fn source_of(&self, found: &impl Found) -> Source {
        let mut source = Source {
            instance_uuid: found.instance_uuid().map(str::to_owned),
            ..self.settings.source.clone()
        };
        if self.options.watching.watch && source.time.is_some() {
            source.time = Some(cli::stamp::utc(SystemTime::now()));
        }
        source
    }

    fn warn(&mut self, found: &impl Found) -> cli::Result<()> {
        for note in found.notes() {
            log::warn!("{note}");
        }
        if self.options.strict {
            omitted::refuse(found.left_out())?;
        }
        // A watch repeats these warnings only if they have changed.
        let shared = (found.shared_ids(), found.clones());
        if shared.0 != self.warned.0 {
            shared_ids::warn(Holders::Hosts, &shared.0);
        }
        if shared.1 != self.warned.1 {
            shared_ids::warn(Holders::VirtualMachines, &shared.1);
        }
        self.warned = shared;
        omitted::warn(found.left_out(), self.writer(io::sink()).writes_omitted());
        Ok(())
    }
}

/// Writes one document.
pub(super) fn write(
    mut writer: Writer<impl Write>,
    hypervisors: impl Iterator<Item: Borrow<Hypervisor>>,
    tail: &Tail,
) -> Result<(), mapping::Error> {
    for hypervisor in hypervisors {
        writer.hypervisor(hypervisor.borrow())?;
    }
    writer.finish(tail)
}
