//! The reader against quick-xml's, on any documents.

use std::io::BufReader;

use proptest::prelude::*;

use super::reference::{self, expected, is_like};

/// What the reader sees if this many bytes arrive at a time.
fn seen(document: &[u8], window: usize) -> reference::Seen {
    reference::seen(BufReader::with_capacity(window, document))
}

/// Parts of documents, most of them incomplete or misleading.
const PARTS: &[&str] = &[
    "<a>",
    "</a>",
    "<a>",
    "</a>",
    "<n:a a='>' n:type=\"'/\">",
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
        for window in [1 << 16, window] {
            let seen = seen(document.as_bytes(), window);
            prop_assert!(is_like(&seen, &expected), "{document}, {window} bytes at a time: {seen:?}, {expected:?}");
        }
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
        let (seen, expected) = (seen(&document, window), expected(&document));
        prop_assert!(is_like(&seen, &expected), "{document:?}: {seen:?}, {expected:?}");
    }
}
