//! Mappings: the reader sees what serde_json sees, however the stream arrives; what is written is read back.

use std::io::BufRead;

use vw::mapping::{Error, Layout, Mapping, ReadEntry, Reader, Style, Writer};
use vw_fuzz::{json, trickle};

/// Serde_json takes no byte order mark, which we drop before a document.
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

pub fn run(bytes: &[u8]) {
    let whole = texts(bytes);
    assert_eq!(whole, texts(trickle(bytes)), "it matters how the stream arrives");
    if !bytes.windows(3).any(|three| three == BYTE_ORDER_MARK) {
        let (documents, accepted) = json::expected(bytes);
        assert_eq!(
            (&whole.0, whole.1.is_none()),
            (&documents, accepted),
            "{:?}",
            whole.1
        );
    }
    inspect(bytes);
    let mappings = mappings(bytes);
    assert_eq!(
        mappings.len(),
        whole.0.len(),
        "documents that are read as a whole"
    );
    for mapping in mappings {
        write(&mapping);
        report(mapping);
    }
    copy(bytes);
}

/// The entries of each complete document, and the error that ends the stream.
fn texts(source: impl BufRead) -> (Vec<Vec<String>>, Option<String>) {
    let mut reader = Reader::new(source);
    let mut documents = Vec::new();
    let mut next = || -> Result<Option<Vec<String>>, Error> {
        let Some(mut document) = reader.next_document()? else {
            return Ok(None);
        };
        let mut entries = Vec::new();
        while let Some(entry) = document.next_entry()? {
            entries.push(entry.text().to_owned());
        }
        document.finish()?;
        Ok(Some(entries))
    };
    loop {
        match next() {
            Ok(Some(entries)) => documents.push(entries),
            Ok(None) => return (documents, None),
            Err(error) => return (documents, Some(error.to_string())),
        }
    }
}

fn mappings(bytes: &[u8]) -> Vec<Mapping> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(|| reader.next_mapping().ok().flatten()).collect()
}

/// What is found fast is what is found thoroughly.
fn inspect(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    while let Ok(Some(mut document)) = reader.next_document() {
        while let Ok(Some(entry)) = document.next_entry() {
            // A filter asks for the id first.
            if entry.id().is_err() {
                assert!(entry.read().is_err(), "{}", entry.text());
                continue;
            }
            let thorough = match entry.read() {
                Ok(ReadEntry {
                    mut faults, flaws, ..
                }) => {
                    faults.extend(flaws);
                    faults
                }
                Err(fault) => vec![fault],
            };
            assert_eq!(entry.inspect(), thorough, "{}", entry.text());
        }
        if document.finish().is_err() {
            break;
        }
    }
}

/// A mapping that is written is the same when it is read again, in both layouts and styles.
fn write(mapping: &Mapping) {
    for layout in [Layout::Mapping, Layout::Checkin] {
        let compact = written(mapping, layout, Style::Compact);
        let pretty = written(mapping, layout, Style::Pretty);
        let text = std::str::from_utf8(&pretty).expect("JSON is UTF-8");
        assert_eq!(
            json::compact(text).as_bytes(),
            compact.trim_ascii_end(),
            "indented"
        );
        let again = mappings(&compact)
            .pop()
            .expect("a document that was written can be read");
        assert!(again.faults.is_empty(), "{:?}", again.faults);
        if layout == Layout::Mapping && mapping.faults.is_empty() && mapping.flaws.is_empty() {
            assert_eq!(again.hypervisors, mapping.hypervisors);
            assert_eq!(again.tail, mapping.tail);
        }
        assert_eq!(again.hypervisors.len(), mapping.hypervisors.len());
        if has_second_names(mapping) {
            continue;
        }
        assert_eq!(written(&again, layout, Style::Compact), compact, "written twice");
    }
}

/// Whether a guest has a second name. The first one is not in the check-in layout; the second is kept, and is then the first.
fn has_second_names(mapping: &Mapping) -> bool {
    let mut guests = mapping.hypervisors.iter().flat_map(|host| &host.guests);
    let names = ["name", "moref", "uuid"];
    guests.any(|guest| names.iter().any(|name| guest.unknown.get(name).is_some()))
}

fn written(mapping: &Mapping, layout: Layout, style: Style) -> Vec<u8> {
    let mut text = Vec::new();
    let mut writer = Writer::new(&mut text, layout, style);
    for hypervisor in &mapping.hypervisors {
        writer.hypervisor(hypervisor).expect("memory can be written");
    }
    writer.finish(&mapping.tail).expect("memory can be written");
    text
}

/// Whatever is reported was in the document, each guest once.
fn report(mut mapping: Mapping) {
    let guests = |mapping: &Mapping| {
        mapping
            .hypervisors
            .iter()
            .map(|host| host.guests.len())
            .sum::<usize>()
    };
    let before = guests(&mapping);
    let mut dropped = 0;
    mapping.keep_one_of_each_guest(|copies| {
        dropped += 1;
        assert!(!copies.to_string().contains('\n'));
    });
    assert!(guests(&mapping) <= before && (dropped > 0 || guests(&mapping) == before));
    let after = guests(&mapping);
    mapping.keep_one_of_each_guest(|copies| panic!("still twice: {copies}"));
    assert_eq!(guests(&mapping), after);
    let _ = mapping.reportable();
}

/// A filter that keeps everything changes nothing: not a byte of a hypervisor in the layout of its document.
fn copy(bytes: &[u8]) {
    let pass = |bytes: &[u8], layout, style| {
        let mut out = Vec::new();
        let mut reader = Reader::new(bytes);
        while let Ok(Some(mut document)) = reader.next_document() {
            let mut writer = Writer::new(&mut out, layout, style);
            loop {
                match document.next_entry() {
                    Ok(Some(entry)) => writer.entry(&entry).expect("memory can be written"),
                    Ok(None) => break,
                    Err(_) => return out,
                }
            }
            let Ok(tail) = document.finish() else { return out };
            writer.finish(&tail).expect("memory can be written");
        }
        out
    };
    for layout in [Layout::Mapping, Layout::Checkin] {
        let once = pass(bytes, layout, Style::Compact);
        assert_eq!(pass(&once, layout, Style::Compact), once, "filtered twice");
        let pretty = pass(bytes, layout, Style::Pretty);
        assert_eq!(pass(&pretty, layout, Style::Compact), once, "indented before");
    }
}
