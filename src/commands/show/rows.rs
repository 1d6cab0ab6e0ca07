//! One row per guest as CSV.

use std::io::{BufRead, Write};

use csv::Writer;

use super::{View, each_document, written};
use crate::cli::{self, Failure};
use crate::mapping::{Entry, Fault, Guest, Hypervisor, JsonValue, Reader, Tail};
use crate::show::Host;
use crate::text;

/// The first row. The number of sockets has the name of its fact, because that counts CPUs in KubeVirt.
const HEADINGS: [&str; 11] = [
    "host",
    "host_id",
    "cluster",
    "cpu.cpu_socket(s)",
    "guest",
    "guest_id",
    "state",
    "active",
    "type",
    "moref",
    "uuid",
];

/// Prints the guests of all documents, host by host as they are read.
pub(super) fn csv(input: Reader<impl BufRead>, out: &mut impl Write) -> cli::Result<()> {
    let mut headings = Writer::from_writer(Vec::new());
    headings.write_record(HEADINGS).map_err(Failure::defect)?;
    print(headings, out)?;
    each_document(input, out, |_| Rows)
}

struct Rows;

impl View for Rows {
    const GROWS: bool = false;

    fn hypervisor(&mut self, _: &Entry<'_>, hypervisor: Hypervisor, out: &mut dyn Write) -> cli::Result<()> {
        let of_host = cells_of_host(&hypervisor);
        let mut rows = Writer::from_writer(Vec::new());
        let mut row = |of_guest: [String; 7]| {
            let cells = of_host.iter().chain(&of_guest);
            rows.write_record(cells.map(|cell| harmless(cell)))
                .map_err(Failure::defect)
        };
        if hypervisor.guests.is_empty() {
            row(Default::default())?;
        }
        for guest in hypervisor.guests {
            row(cells_of_guest(guest))?;
        }
        print(rows, out)
    }

    fn end(self, _: &Tail, _: Vec<Fault>, _: &mut dyn Write) -> cli::Result<()> {
        Ok(())
    }
}

fn cells_of_host(hypervisor: &Hypervisor) -> [String; 4] {
    let host = Host::new(hypervisor);
    let sockets = match hypervisor.facts.get("cpu.cpu_socket(s)") {
        Some(JsonValue::Text(text)) => text.clone(),
        Some(JsonValue::Other(raw)) => raw.get().to_owned(),
        None => String::new(),
    };
    let name = match (&host.name, &host.id) {
        (None, None) => host.label().to_owned(),
        (name, _) => name.clone().unwrap_or_default(),
    };
    let cluster = host.cluster.as_ref().map(ToString::to_string);
    [
        name,
        host.id.unwrap_or_default(),
        cluster.unwrap_or_default(),
        sockets,
    ]
}

fn cells_of_guest(guest: Guest) -> [String; 7] {
    let active = guest.attributes.active.map(|active| u8::from(active).to_string());
    let kind = guest.attributes.virt_who_type.map(|kind| kind.into_owned());
    [
        guest.name.unwrap_or_default(),
        guest.id,
        guest.state.map(|state| state.to_string()).unwrap_or_default(),
        active.unwrap_or_default(),
        kind.unwrap_or_default(),
        guest.moref.unwrap_or_default(),
        guest.uuid.unwrap_or_default(),
    ]
}

/// A cell in one line that no spreadsheet takes for a formula.
fn harmless(cell: &str) -> String {
    let cell = text::line(cell);
    match cell
        .trim_start()
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
    {
        true => format!("'{cell}"),
        false => cell,
    }
}

/// Writes finished rows.
fn print(rows: Writer<Vec<u8>>, out: &mut (impl Write + ?Sized)) -> cli::Result<()> {
    let rows = rows.into_inner().map_err(Failure::defect)?;
    out.write_all(&rows).map_err(written)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_or_more_than_a_line() {
        assert_eq!(harmless("=1+1"), "'=1+1");
        assert_eq!(harmless("+1"), "'+1");
        assert_eq!(harmless("-1"), "'-1");
        assert_eq!(harmless("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(harmless("\t=1+1"), "' =1+1");
        assert_eq!(harmless("a\r\nb=c"), "a  b=c");
        // Some spreadsheets read full-width signs, too.
        assert_eq!(harmless("＝1"), "'＝1");
        assert_eq!(harmless("web-1"), "web-1");
    }
}
