//! A page for a browser: self-contained, with a summary, a list of hosts and guests that can be searched and sorted, and what was
//! left out.
//!
//! The hosts are written as they are read. A page that is cut says so, because only a complete one has its end.

use std::io::{self, BufRead, Write};
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::{STAGE, View, each_document, source, summary, written};
use crate::cli::{self, Failure, stamp};
use crate::mapping::{Entry, Fault, Guest, Hypervisor, LeftOut, Omitted, Reader, Source, Tail};
use crate::show::{Host, Sockets, Summary, states};
use crate::text;

/// The page with places for the other parts in braces.
const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Prints the page for all documents.
pub(super) fn page(input: Reader<impl BufRead>, out: &mut impl Write) -> cli::Result<()> {
    let states = in_script(&states::words())?;
    let page = PAGE
        .replace("{script hash}", &hash(SCRIPT))
        .replace("{style hash}", &hash(STYLE))
        .replace("{time}", &stamp::utc(SystemTime::now()))
        .replace("{states}", &states)
        .replace("{style}", STYLE)
        .replace("{script}", SCRIPT);
    let (before, after) = page.split_once("{documents}").unwrap_or((&page, ""));
    out.write_all(before.as_bytes()).map_err(written)?;
    each_document(input, out, |_| Part::default())?;
    out.write_all(after.as_bytes()).map_err(written)?;
    Ok(())
}

/// The source expression of a content security policy that allows just this script or style.
fn hash(text: &str) -> String {
    format!(
        "sha256-{}",
        BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()))
    )
}

/// The part of the page for one document.
#[derive(Default)]
struct Part {
    summary: Summary,
    has_hosts: bool,
}

/// A host as page.js reads it.
#[derive(Serialize)]
struct HostRow(String, String, String, Option<u64>, Unit, Vec<GuestRow>);

/// A guest as page.js reads it: id, state, name, uuid, managed object id.
#[derive(Serialize)]
struct GuestRow(String, u8, String, String, String);

/// What a host's number counts.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Sockets = 0,
    Cpus = 1,
    /// Whatever the document's source counts.
    OfSource = 2,
}

impl Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// What follows the hosts.
#[derive(Serialize)]
struct TailRow {
    /// What the source counts, a [`Unit`].
    counts: Unit,
    /// Kind, name, id, stage, reason.
    omitted: Vec<[String; 5]>,
}

impl View for Part {
    /// With the number of clusters, as the summary.
    const GROWS: bool = true;

    fn hypervisor(&mut self, _: &Entry<'_>, hypervisor: Hypervisor, out: &mut dyn Write) -> cli::Result<()> {
        let host = Host::new(&hypervisor);
        self.summary.add(&host);
        let row = in_script(&row(&host, hypervisor.guests))?;
        let before = self.opening(",\n");
        out.write_all(before.as_bytes()).map_err(written)?;
        out.write_all(row.as_bytes()).map_err(written)?;
        Ok(())
    }

    fn end(mut self, tail: &Tail, faults: Vec<Fault>, out: &mut dyn Write) -> cli::Result<()> {
        let unusable: Vec<Omitted> = faults
            .iter()
            .cloned()
            .map(|fault| LeftOut::from(fault).by(STAGE))
            .collect();
        self.summary.finish(tail, faults, STAGE);
        let kind = tail.source.as_ref().and_then(|source| source.kind.as_deref());
        let counts = match Sockets::Known(1).from_source(kind) {
            Sockets::Cpus(_) => Unit::Cpus,
            _ => Unit::Sockets,
        };
        let omitted = tail.omitted.iter().chain(&unusable).map(cells).collect();
        let tail_row = in_script(&TailRow { counts, omitted })?;
        let text = format!(
            "{}]</script>\n{}{}<script type=\"application/json\" class=\"tail\">{tail_row}</script>\n</section>\n",
            self.opening(""),
            heading(tail.source.as_ref()),
            summarized(&self.summary),
        );
        out.write_all(text.as_bytes()).map_err(written)?;
        Ok(())
    }
}

impl Part {
    /// The beginning of the part if nothing has been written yet, otherwise the text.
    fn opening(&mut self, otherwise: &'static str) -> &'static str {
        match std::mem::replace(&mut self.has_hosts, true) {
            true => otherwise,
            false => "<section class=\"mapping\">\n<script type=\"application/json\" class=\"hosts\">[",
        }
    }
}

fn row(host: &Host, guests: Vec<Guest>) -> HostRow {
    let line = |value: &Option<String>| value.as_deref().map(text::line).unwrap_or_default();
    let (sockets, unit) = match host.sockets(None) {
        Sockets::Unknown => (None, Unit::Sockets),
        Sockets::Cpus(cpus) => (Some(cpus), Unit::Cpus),
        Sockets::Known(sockets) if host.knows_its_source() => (Some(sockets), Unit::Sockets),
        Sockets::Known(sockets) => (Some(sockets), Unit::OfSource),
    };
    let cluster = host.cluster.as_ref().map(ToString::to_string);
    let guests = guests.iter().map(|guest| {
        GuestRow(
            text::line(&guest.id),
            states::index(guest.state),
            line(&guest.name),
            line(&guest.uuid),
            line(&guest.moref),
        )
    });
    HostRow(
        text::line(host.label()),
        line(&host.id),
        line(&cluster),
        sockets,
        unit,
        guests.collect(),
    )
}

fn cells(omitted: &Omitted) -> [String; 5] {
    let left_out = &omitted.left_out;
    [
        &left_out.kind,
        left_out.name.as_deref().unwrap_or_default(),
        left_out.id.as_deref().unwrap_or_default(),
        &omitted.stage,
        &left_out.reason,
    ]
    .map(text::line)
}

fn heading(source: Option<&Source>) -> String {
    let words = source::words(source);
    let heading = match words.is_empty() {
        true => "A mapping that does not name its source",
        false => &words,
    };
    let known = source.is_some_and(|source| source.time.is_some());
    let time = match known {
        true => "",
        false => "<p>The document does not say when it was scanned: that needs --stamp in the scan.</p>\n",
    };
    format!("<h2>{}</h2>\n{time}", escaped(heading))
}

/// The summary, which can be read without JavaScript.
fn summarized(counts: &Summary) -> String {
    let cell = |name: &str, column: usize, text: &str| {
        let number = (1..7).contains(&column);
        let class = if number { " class=\"number\"" } else { "" };
        format!("<{name}{class}>{}</{name}>", escaped(text))
    };
    let line = |name: &str, cells: &[String]| -> String {
        let cells = cells.iter().enumerate();
        cells.map(|(column, text)| cell(name, column, text)).collect()
    };
    let titles = [
        "Cluster",
        "Hosts",
        "Hosts without guests",
        "Sockets",
        "Socket pairs",
        "Hosts with unknown sockets",
        "Guests",
        "States",
    ];
    let mut text = format!(
        "<table class=\"summary\">\n<caption>Summary</caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n",
        line("th", &titles.map(str::to_owned))
    );
    let rows = summary::rows(counts);
    for (number, row) in rows.iter().enumerate() {
        let class = if number + 1 == rows.len() {
            " class=\"total\""
        } else {
            ""
        };
        text += &format!("<tr{class}>{}</tr>\n", line("td", row));
    }
    text += "</tbody>\n</table>\n";
    for note in summary::notes(counts)
        .into_iter()
        .chain(summary::left_out(counts))
    {
        text += &format!("<p class=\"note\">{}</p>\n", escaped(&note));
    }
    text
}

/// Text in HTML, in one line.
fn escaped(text: &str) -> String {
    let text = text::line(text);
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}

/// JSON that is safe inside a script element.
fn in_script(value: &impl Serialize) -> Result<String, Failure> {
    let mut json = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut json, InScript);
    value.serialize(&mut serializer).map_err(Failure::defect)?;
    String::from_utf8(json).map_err(Failure::defect)
}

/// Escapes what could end a script element or begin a comment in it, and what ends a line in JavaScript.
struct InScript;

impl Formatter for InScript {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, from) = rest.split_at(at);
            out.write_all(plain.as_bytes())?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                write!(out, "\\u{:04x}", u32::from(c))?;
            }
            rest = chars.as_str();
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_ends_the_script_element_or_begins_markup() {
        let hostile = "</script><!--\u{2028}&\u{2029}\"\\'";
        let json = in_script(&hostile).unwrap();
        assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
        assert_eq!(
            escaped("<b a=\"x\" b='y'>&\n"),
            "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp; "
        );
    }

    #[test]
    fn the_parts_of_the_page_have_no_place_for_others() {
        for part in [STYLE, SCRIPT] {
            for place in ["{documents}", "{states}", "{script}", "{style}", "{time}"] {
                assert!(!part.contains(place), "{place}");
            }
            assert!(!part.contains("</"), "it would end its element");
        }
    }
}
