//! Mappings as a scan writes them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::{Result, VMS_PER_HOST};

/// Writes a mapping. With `moved`, one guest of each host is on the next host, and every hundredth guest has another state.
pub(crate) fn write(file: &Path, vms: usize, moved: bool) -> Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    write!(out, "{{\"hypervisors\":[")?;
    for host in 0..vms / VMS_PER_HOST {
        let comma = if host == 0 { "" } else { "," };
        let id = uuid(host + vms);
        write!(out, "{comma}{{\"uuid\":\"{id}\",\"guests\":[")?;
        for guest in 0..VMS_PER_HOST {
            let number = (host * VMS_PER_HOST + guest + usize::from(moved)) % vms;
            let off = moved && number.is_multiple_of(100);
            let comma = if guest == 0 { "" } else { "," };
            write_guest(&mut out, comma, number, off)?;
        }
        write!(
            out,
            "],\"facts\":{{\"hypervisor.type\":\"VMware ESXi\",\"cpu.cpu_socket(s)\":\"2\",\"hypervisor.version\":\"8.0.3\",\
             \"dmi.system.uuid\":\"{id}\",\"hypervisor.cluster\":\"Cluster {}\"}},\"name\":\"esx{host}.example.com\"}}",
            host / 20
        )?;
    }
    writeln!(out, "]}}")?;
    Ok(out.flush()?)
}

fn write_guest(out: &mut impl Write, comma: &str, number: usize, off: bool) -> io::Result<()> {
    let (state, active) = if off { (5, 0) } else { (1, 1) };
    let id = uuid(number);
    write!(
        out,
        "{comma}{{\"guestId\":\"{id}\",\"state\":{state},\"attributes\":{{\"active\":{active},\"virtWhoType\":\"esx\"}}}}"
    )
}

/// A uuid that looks random and is always the same for a number.
fn uuid(number: usize) -> String {
    let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (first, last) = (mixed >> 32, mixed & 0xffff_ffff);
    format!("{first:08x}-{:04x}-4000-8000-{last:012x}", number & 0xffff)
}
