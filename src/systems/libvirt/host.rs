//! What virsh says about the host: its uuid, name, sockets, and the hypervisor's version.

use std::collections::BTreeSet;

use super::error::Error;
use crate::xml::{self, Reader};

/// The end of the first answer.
const END: &[u8] = b"</capabilities>";

/// How the lines of `version` begin. Only the last two say something about the hypervisor.
const VERSION: [&str; 6] = [
    "Compiled against library:",
    "Using library:",
    "Running against daemon:",
    "Cannot extract running ",
    API,
    RUNNING,
];
const API: &str = "Using API:";
const RUNNING: &str = "Running hypervisor:";

/// A host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    pub uuid: Option<String>,
    pub hostname: Option<String>,
    /// The number of sockets, if the topology has it.
    pub sockets: Option<usize>,
    /// Such as `QEMU`.
    pub kind: Option<String>,
    /// Such as `7.2.22`.
    pub version: Option<String>,
}

impl Host {
    /// Reads what `capabilities; version; hostname` printed, and returns what follows.
    pub(super) fn read(printed: &[u8]) -> Result<(Self, &[u8]), Error> {
        let end = memchr::memmem::find(printed, END).ok_or(Error::Unexpected("no capabilities"))?;
        let (capabilities, rest) = printed.split_at(end + END.len());
        let mut host = Host::default();
        host.read_capabilities(capabilities)
            .map_err(Error::Capabilities)?;
        let rest = host.read_version_and_name(rest);
        Ok((host, rest))
    }

    /// Reads what `version; hostname` printed, and returns what follows.
    pub(super) fn read_version_and_name<'a>(&mut self, printed: &'a [u8]) -> &'a [u8] {
        let mut rest = printed;
        while let Some((line, after)) = line_of(rest) {
            rest = after;
            if line.trim().is_empty() {
                continue;
            }
            if !VERSION.iter().any(|known| line.starts_with(known)) {
                self.hostname = Some(line.trim().to_owned());
                return rest;
            }
            // "QEMU 7.2.22": a kind may have blanks, a version has none.
            let words = [API, RUNNING].iter().find_map(|known| line.strip_prefix(known));
            if let Some((kind, version)) = words.and_then(|words| words.trim().rsplit_once(' ')) {
                self.kind = Some(kind.trim().to_owned());
                self.version = line.starts_with(RUNNING).then(|| version.to_owned());
            }
        }
        rest
    }

    /// Reads the uuid, and counts the sockets: the topology has the socket of each processor, so it does not matter how many
    /// NUMA cells there are.
    fn read_capabilities(&mut self, capabilities: &[u8]) -> Result<(), xml::Error> {
        let mut sockets = BTreeSet::new();
        let mut xml = Reader::new(capabilities);
        in_child(&mut xml, "capabilities", |xml| {
            in_child(xml, "host", |xml| {
                loop {
                    match xml.child()? {
                        Some("uuid") => {
                            let uuid = xml.text()?.trim();
                            self.uuid = Some(uuid.to_owned()).filter(|uuid| !uuid.is_empty());
                        }
                        Some("topology") => read_topology(xml, &mut sockets)?,
                        Some(_) => xml.skip()?,
                        None => return Ok(()),
                    }
                }
            })
        })?;
        xml.finish()?;
        self.sockets = Some(sockets.len()).filter(|count| *count > 0);
        Ok(())
    }
}

/// Reads `cells/cell/cpus/cpu` of a topology.
fn read_topology(xml: &mut Reader<&[u8]>, sockets: &mut BTreeSet<String>) -> Result<(), xml::Error> {
    in_child(xml, "cells", |xml| {
        in_child(xml, "cell", |xml| {
            in_child(xml, "cpus", |xml| {
                in_child(xml, "cpu", |xml| {
                    // A processor that is switched off has none.
                    sockets.extend(xml.attribute("socket_id").map(|id| id.into_owned()));
                    xml.skip()
                })
            })
        })
    })
}

/// Calls `read` in each child with this name, which it leaves; skips the others, and leaves the current element.
fn in_child(
    xml: &mut Reader<&[u8]>,
    name: &str,
    mut read: impl FnMut(&mut Reader<&[u8]>) -> Result<(), xml::Error>,
) -> Result<(), xml::Error> {
    while let Some(child) = xml.child()? {
        match child == name {
            true => read(xml)?,
            false => xml.skip()?,
        }
    }
    Ok(())
}

/// The sockets that `nodeinfo` counts: they are those of one NUMA cell, so they are multiplied.
pub(super) fn sockets_of_nodeinfo(printed: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(printed);
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<usize>().ok()
    };
    let sockets = number("CPU socket(s):")?.checked_mul(number("NUMA cell(s):")?)?;
    Some(sockets).filter(|sockets| *sockets > 0)
}

/// The first line and what follows it.
fn line_of(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    let is_over = bytes.is_empty();
    (!is_over).then(|| {
        let line = String::from_utf8_lossy(line).into_owned();
        (line, rest.strip_prefix(b"\n").unwrap_or(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPABILITIES: &str = "<capabilities>\n<host>\n<uuid>3d1219c7-c4c5-404a-aa1f-6d2a48adfda4</uuid>\
        <cpu><topology sockets='1'/></cpu><topology><cells num='2'>\
        <cell id='0'><cpus num='2'><cpu id='0' socket_id='0'/><cpu id='1' socket_id='0'/></cpus></cell>\
        <cell id='1'><cpus num='2'><cpu id='2' socket_id='36'/><cpu id='3'/></cpus></cell>\
        </cells></topology></host><guest><uuid>no</uuid></guest>\n\n</capabilities>\n\n";

    #[test]
    fn a_host_is_read_and_the_rest_is_left() {
        let printed = CAPABILITIES.to_owned()
            + "Compiled against library: libvirt 9.0.0\nUsing library: libvirt 9.0.0\nUsing API: QEMU 9.0.0\n\
               Running hypervisor: QEMU 7.2.22\nvm\n00000000-0000-4000-8000-000000000002 paused1\n";
        let (host, rest) = Host::read(printed.as_bytes()).unwrap();
        let expected = Host {
            uuid: Some("3d1219c7-c4c5-404a-aa1f-6d2a48adfda4".to_owned()),
            hostname: Some("vm".to_owned()),
            sockets: Some(2),
            kind: Some("QEMU".to_owned()),
            version: Some("7.2.22".to_owned()),
        };
        assert_eq!(host, expected);
        assert_eq!(rest, b"00000000-0000-4000-8000-000000000002 paused1\n");
    }

    #[test]
    fn what_libvirt_does_not_know_is_unknown() {
        let printed = "<capabilities><host><uuid> </uuid></host></capabilities>\nUsing API: LXC 9.0.0\n\
            Cannot extract running LXC hypervisor version\n\nvm\n";
        let (host, rest) = Host::read(printed.as_bytes()).unwrap();
        let expected = Host {
            hostname: Some("vm".to_owned()),
            kind: Some("LXC".to_owned()),
            ..Host::default()
        };
        assert_eq!((host, rest), (expected, &b""[..]));
        assert!(matches!(Host::read(b"<capabilities>"), Err(Error::Unexpected(_))));
        let bad = Host::read(b"<capabilities><host></capabilities>");
        assert!(matches!(bad, Err(Error::Capabilities(_))));
    }

    #[test]
    fn nodeinfo_counts_the_sockets_of_one_cell() {
        let printed = b"CPU model:           x86_64\nCPU socket(s):       1\nNUMA cell(s):        2\n";
        assert_eq!(sockets_of_nodeinfo(printed), Some(2));
        assert_eq!(sockets_of_nodeinfo(b"CPU socket(s):       1\n"), None);
    }
}
