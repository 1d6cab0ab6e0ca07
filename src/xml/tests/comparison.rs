//! The reader against quick-xml's, on any documents.

use std::io::BufReader;

use proptest::prelude::*;
use quick_xml::events::Event;

use super::*;

/// The tags of a document, each with the text before it, and whether the document is accepted.
type Seen = (Vec<String>, bool);

/// What the reader sees if this many bytes arrive at a time.
fn seen(document: &[u8], window: usize) -> Seen {
    let mut xml = Reader::new(BufReader::with_capacity(window, document));
    let (mut seen, mut depth) = (Vec::new(), 0);
    loop {
        let mut text = String::new();
        match xml.child_after(&mut text).map(|name| name.map(str::to_owned)) {
            Ok(Some(name)) => {
                let start = xml.start.get(xml.name_length..).unwrap_or_default();
                seen.push(format!("{text}<{name}{start}>"));
                depth += 1;
            }
            Ok(None) if depth == 0 => return (seen, true),
            Ok(None) => {
                seen.push(format!("{text}</>"));
                depth -= 1;
            }
            Err(_) => return (seen, false),
        }
    }
}

/// What the reader should see, according to quick-xml.
fn expected(document: &[u8]) -> Seen {
    let mut xml = quick_xml::Reader::from_reader(document);
    xml.config_mut().expand_empty_elements = true;
    let (mut seen, mut depth, mut begun) = (Vec::new(), 0, false);
    let mut text = String::new();
    loop {
        let mut buffer = Vec::new();
        match xml.read_event_into(&mut buffer) {
            Ok(Event::Start(start)) if !start.name().as_ref().is_empty() => {
                let name = start.name();
                let local = name.local_name();
                let rest = &start[name.as_ref().len()..];
                seen.push(format!("{}<{}{rest}>", std::mem::take(&mut text), local.as_ref()));
                (depth, begun) = (depth + 1, true);
            }
            Ok(Event::End(_)) => {
                seen.push(format!("{}</>", std::mem::take(&mut text)));
                depth -= 1;
            }
            Ok(Event::Text(more)) if begun => text.push_str(&more.xml10_content()),
            Ok(Event::Text(blank)) if blank.trim_ascii().is_empty() => {}
            Ok(Event::CData(more)) => text.push_str(&more.xml10_content()),
            Ok(Event::GeneralRef(reference)) => match resolve(&reference) {
                Some(character) => text.push(character),
                None => return (seen, false),
            },
            Ok(Event::Comment(_) | Event::PI(_) | Event::Decl(_)) => {}
            Ok(Event::Eof) => return (seen, depth == 0),
            Ok(_) | Err(_) => return (seen, false),
        }
    }
}

/// Parts of documents, most of them incomplete or misleading.
const PARTS: &[&str] = &[
    "<a>",
    "</a>",
    "<a>",
    "</a>",
    "<n:a b='>' c=\"'/\">",
    "</n:a>",
    "</n:a >",
    "<a/>",
    "<a\n/>",
    "<a",
    "<a ",
    "</a",
    "</",
    "<",
    ">",
    "/>",
    "/",
    "<>",
    "< a>",
    "'",
    "\"",
    "=",
    "<!---->",
    "<!-->",
    "<!--->",
    "<!--",
    "-->",
    "--",
    "-",
    "<!",
    "<!-",
    "<!x>",
    "<![CDATA[",
    "<![",
    "]]>",
    "]]",
    "]",
    "<?xml?>",
    "<??>",
    "<?>",
    "<?",
    "?>",
    "?",
    "&lt;",
    "&#65;",
    "&#x",
    "&",
    ";",
    "&none;",
    "x",
    "é",
    "😀",
    "\r\n",
    "\r",
    " ",
    "\n",
    "xyz xyz xyz",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_reader_sees_what_quick_xml_sees(
        parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..12),
        root: bool,
        window in 1..40_usize,
    ) {
        let mut document = parts.concat();
        if root {
            document = format!("<r>{document}</r>");
        }
        let expected = expected(document.as_bytes());
        prop_assert_eq!(&seen(document.as_bytes(), 1 << 16), &expected, "{}", document);
        prop_assert_eq!(&seen(document.as_bytes(), window), &expected, "{}, {} bytes at a time", document, window);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_at_the_same_tag(
        root in proptest::sample::select(&["<r>", "<r/>"]),
        parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..6),
        bytes in proptest::collection::vec(0x70..=0xff_u8, 1..5),
        after in proptest::sample::select(&["<a/></r>", "</r>", ""]),
        window in 1..40_usize,
    ) {
        let document = [root.as_bytes(), parts.concat().as_bytes(), &bytes, after.as_bytes()].concat();
        prop_assert_eq!(seen(&document, window), expected(&document), "{:?}", document);
    }
}
