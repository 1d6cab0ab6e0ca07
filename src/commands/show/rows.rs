//! One row per guest as CSV.

use std::borrow::Cow;
use std::io::{BufRead, Write};

use csv::Writer;

use super::{View, each_document, written};
use crate::cli::{self, Failure};
use crate::mapping::{Entry, Fault, Guest, GuestState, Hypervisor, JsonValue, Reader, Tail};
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
        let of_host = cells_of_host(&hypervisor).map(harmless);
        let mut rows = Writer::from_writer(Vec::new());
        let mut row = |of_guest: [Cow<'_, str>; 7]| {
            let of_guest = of_guest.map(harmless);
            let cells = of_host.iter().chain(&of_guest);
            rows.write_record(cells.map(|cell| cell.as_bytes()))
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

fn cells_of_host(hypervisor: &Hypervisor) -> [Cow<'static, str>; 4] {
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
    .map(Cow::Owned)
}

fn cells_of_guest(guest: Guest) -> [Cow<'static, str>; 7] {
    let active = guest.attributes.active;
    [
        guest.name.unwrap_or_default().into(),
        guest.id.into(),
        guest.state.map(GuestState::words).unwrap_or_default().into(),
        active.map_or("", |active| if active { "1" } else { "0" }).into(),
        guest.attributes.virt_who_type.unwrap_or_default(),
        guest.moref.unwrap_or_default().into(),
        guest.uuid.unwrap_or_default().into(),
    ]
}

/// A cell in one line that no spreadsheet takes for a formula.
fn harmless(cell: Cow<'_, str>) -> Cow<'_, str> {
    let cell = match cell.contains(text::is_control) {
        true => text::line(&cell).into(),
        false => cell,
    };
    match cell
        .trim_start()
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
    {
        true => format!("'{cell}").into(),
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
        let harmless = |cell: &'static str| harmless(cell.into());
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
