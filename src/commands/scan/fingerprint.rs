//! What a watch remembers of a document, so that it prints only changes.

use std::borrow::Borrow;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Write};

use crate::mapping::{Error, Hypervisor, Tail, Writer};

/// The digests of a document, by which another one is recognised at the first difference.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// Those of the text up to the end of each hypervisor.
    hypervisors: Vec<u64>,
    /// That of the rest without its source, in which the time is always another.
    tail: u64,
}

impl Fingerprint {
    /// Writes a document, and returns its fingerprint. `rest` is the digest of its tail.
    pub(super) fn of_written<W: Write>(
        mut writer: Writer<Digest<W>>,
        hypervisors: impl Iterator<Item: Borrow<Hypervisor>>,
        tail: &Tail,
        rest: u64,
    ) -> Result<Self, Error> {
        let mut digests = Vec::new();
        for hypervisor in hypervisors {
            writer.hypervisor(hypervisor.borrow())?;
            digests.push(writer.output().value());
        }
        writer.finish(tail)?;
        Ok(Fingerprint {
            hypervisors: digests,
            tail: rest,
        })
    }

    /// Whether it is that of a document with these hypervisors, and with a tail that has the digest `rest`.
    pub(super) fn is_of(
        &self,
        mut writer: Writer<Digest<io::Sink>>,
        hypervisors: impl Iterator<Item: Borrow<Hypervisor>>,
        rest: u64,
    ) -> Result<bool, Error> {
        if self.tail != rest {
            return Ok(false);
        }
        let mut digests = self.hypervisors.iter();
        for hypervisor in hypervisors {
            writer.hypervisor(hypervisor.borrow())?;
            if digests.next() != Some(&writer.output().value()) {
                return Ok(false);
            }
        }
        Ok(digests.next().is_none())
    }
}

/// A writer that hashes what it writes.
pub(super) struct Digest<W> {
    out: W,
    hash: DefaultHasher,
}

impl<W> Digest<W> {
    pub(super) fn new(out: W) -> Self {
        let hash = DefaultHasher::new();
        Digest { out, hash }
    }

    /// The digest of what has been written.
    pub(super) fn value(&self) -> u64 {
        self.hash.finish()
    }
}

impl<W: Write> Write for Digest<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.write(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{Layout, LeftOut, Style};

    fn writer<W: Write>(out: W) -> Writer<Digest<W>> {
        Writer::new(Digest::new(out), Layout::Mapping, Style::Compact)
    }

    fn host(id: &str, name: &str) -> Hypervisor {
        Hypervisor {
            name: Some(name.to_owned()),
            ..Hypervisor::new(id)
        }
    }

    #[test]
    fn any_other_document_has_another_fingerprint() {
        let hosts = || vec![host("a", "1"), host("b", "2")];
        let tail = Tail {
            omitted: vec![LeftOut::default().by("vw-scan-esx")],
            ..Tail::default()
        };
        let (mut text, mut plain) = (Vec::new(), Vec::new());
        let printed = Fingerprint::of_written(writer(&mut text), hosts().iter(), &tail, 7).unwrap();
        let mut usual = Writer::new(&mut plain, Layout::Mapping, Style::Compact);
        for host in hosts() {
            usual.hypervisor(&host).unwrap();
        }
        usual.finish(&tail).unwrap();
        assert_eq!(text, plain);
        let is_same = |hosts: Vec<Hypervisor>, rest| {
            let found = printed.is_of(writer(io::sink()), hosts.iter(), rest);
            found.unwrap()
        };
        assert!(is_same(hosts(), 7));
        assert!(!is_same(hosts(), 8));
        assert!(!is_same(vec![host("a", "1")], 7));
        assert!(!is_same(vec![host("a", "1"), host("b", "3")], 7));
        assert!(!is_same(vec![host("a", "2"), host("b", "2")], 7));
        assert!(!is_same([hosts(), vec![host("c", "3")]].concat(), 7));
        assert!(!is_same(vec![], 7));
    }
}
