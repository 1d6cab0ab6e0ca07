//! XML from servers: the reader sees what quick-xml sees, however the document arrives and however it is read.

use vw::xml::{Error, Reader};
use vw_fuzz::trickle;
use vw_fuzz::xml::{Tag, expected, is_like, seen};

pub fn run(bytes: &[u8]) {
    let expected = expected(bytes);
    for seen in [seen(bytes), seen(trickle(bytes))] {
        assert!(is_like(&seen, &expected), "{seen:?}, expected {expected:?}");
    }
    let (tags, accepted) = expected;
    assert_eq!(Reader::new(trickle(bytes)).finish().is_ok(), accepted);
    read_in_steps(bytes, &tags, accepted);
    if accepted {
        is_cut(bytes);
    }
}

/// Enters some elements, skips others and reads only the text of the rest: what is read must be what the tags say.
fn read_in_steps(bytes: &[u8], tags: &[Tag], accepted: bool) {
    let mut xml = Reader::new(trickle(bytes));
    let mut next = 0;
    while let Ok(name) = xml.child() {
        let Some(tag) = tags.get(next) else {
            assert!(accepted && name.is_none(), "{name:?} after the last tag");
            return;
        };
        assert_eq!(name, tag.name.as_deref());
        next += 1;
        if name.is_none() {
            continue;
        }
        let (text, end) = content(tags, next);
        let way = usize::from(bytes[next % bytes.len()]) % 3;
        match way {
            0 => continue,
            1 => match xml.skip() {
                Ok(()) => {}
                Err(_) => return assert!(!accepted),
            },
            _ => match xml.text() {
                Ok(own) => assert_eq!(own, text, "the text of {tag:?}"),
                Err(_) => return assert!(!accepted),
            },
        }
        next = end.expect("an element that was left has an end tag");
    }
    assert!(!accepted);
}

/// The text of the element whose start tag is before the tag `from`, without that of its children; and the tag after its end.
fn content(tags: &[Tag], from: usize) -> (String, Option<usize>) {
    let (mut text, mut depth) = (String::new(), 0);
    for (at, tag) in tags.iter().enumerate().skip(from) {
        if depth == 0 {
            text.push_str(&tag.before);
        }
        match (&tag.name, depth) {
            (Some(_), _) => depth += 1,
            (None, 0) => return (text, Some(at + 1)),
            (None, _) => depth -= 1,
        }
    }
    (text, None)
}

/// A part of a good document is cut, which a later attempt may mend, and never malformed.
fn is_cut(bytes: &[u8]) {
    let sum: usize = bytes.iter().map(|byte| usize::from(*byte)).sum();
    let part = &bytes[..sum % (bytes.len() + 1)];
    match Reader::new(trickle(part)).finish() {
        Ok(()) | Err(Error::Cut(_)) => {}
        Err(error) => panic!("{error} in {:?}", String::from_utf8_lossy(part)),
    }
}
