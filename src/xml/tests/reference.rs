//! What quick-xml sees in a document, for a comparison with our own reader, here and by the fuzz target.

use std::borrow::Cow;
use std::io::BufRead;

use quick_xml::events::{BytesStart, Event};

use super::{MAX_DEPTH, Reader};

/// The attributes that the comparison asks for.
pub const ATTRIBUTES: [&str; 2] = ["type", "a"];

/// A tag of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The text before it, after the tag before.
    pub before: String,
    /// The local name of a start tag; `None` for an end tag.
    pub name: Option<String>,
    /// The values of [`ATTRIBUTES`] without and with a prefix; `None` if quick-xml refuses the attributes.
    pub attributes: Option<Vec<(Option<String>, Option<String>)>>,
}

impl Tag {
    /// Whether both are the same. Attributes count if both sides can read them.
    fn is_like(&self, other: &Tag) -> bool {
        let attributes =
            self.attributes.is_none() || other.attributes.is_none() || self.attributes == other.attributes;
        self.before == other.before && self.name == other.name && attributes
    }
}

/// The tags of a document, and whether it is accepted. Tags before an error count.
pub type Seen = (Vec<Tag>, bool);

/// Whether both have seen the same document.
pub fn is_like(one: &Seen, other: &Seen) -> bool {
    let mut pairs = one.0.iter().zip(&other.0);
    one.1 == other.1 && one.0.len() == other.0.len() && pairs.all(|(one, other)| one.is_like(other))
}

/// What our reader sees.
pub fn seen(source: impl BufRead) -> Seen {
    let mut xml = Reader::new(source);
    let (mut seen, mut depth) = (Vec::new(), 0_usize);
    loop {
        let mut before = String::new();
        let name = match xml.child_after(&mut before) {
            Ok(name) => name.map(str::to_owned),
            Err(_) => return (seen, false),
        };
        match (&name, depth) {
            (Some(_), _) => depth += 1,
            (None, 0) => return (seen, true),
            (None, _) => depth -= 1,
        }
        let owned = |(plain, prefixed): (Option<Cow<'_, str>>, Option<Cow<'_, str>>)| {
            (plain.map(Cow::into_owned), prefixed.map(Cow::into_owned))
        };
        let attributes = name
            .is_some()
            .then(|| ATTRIBUTES.map(|name| owned(xml.attributes(name))).to_vec());
        seen.push(Tag {
            before,
            name,
            attributes,
        });
    }
}

/// What it should see, according to quick-xml.
pub fn expected(document: &[u8]) -> Seen {
    let mut xml = quick_xml::Reader::from_reader(document);
    xml.config_mut().expand_empty_elements = true;
    let (mut seen, mut depth, mut begun) = (Vec::new(), 0, false);
    let mut text = String::new();
    loop {
        let mut buffer = Vec::new();
        match xml.read_event_into(&mut buffer) {
            Ok(Event::Start(start)) if !start.name().as_ref().is_empty() && depth < MAX_DEPTH => {
                (depth, begun) = (depth + 1, true);
                seen.push(Tag {
                    before: std::mem::take(&mut text),
                    // The local name is what follows the last colon; quick-xml would take what follows the first.
                    name: start.name().as_ref().rsplit(':').next().map(str::to_owned),
                    attributes: attributes(&start),
                });
            }
            Ok(Event::End(_)) => {
                depth -= 1;
                let before = std::mem::take(&mut text);
                seen.push(Tag {
                    before,
                    name: None,
                    attributes: None,
                });
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

fn attributes(start: &BytesStart<'_>) -> Option<Vec<(Option<String>, Option<String>)>> {
    let all: Vec<_> = start.attributes().collect::<Result<_, _>>().ok()?;
    // quick-xml takes anything for a name.
    let is_named = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    if all
        .iter()
        .any(|attribute| attribute.key.as_ref().is_empty() || !attribute.key.as_ref().chars().all(is_named))
    {
        return None;
    }
    let value = |name: &str, with_prefix: bool| {
        let found = all.iter().filter(|attribute| {
            let (key, own) = (attribute.key, attribute.key.as_ref());
            let local = if key.prefix().is_some() {
                key.local_name().into_inner()
            } else {
                own
            };
            local == name && key.prefix().is_some() == with_prefix
        });
        // The first one that has a value.
        found
            .filter_map(|attribute| quick_xml::escape::unescape(&attribute.value).ok())
            .map(|value| value.into_owned())
            .next()
    };
    Some(
        ATTRIBUTES
            .map(|name| (value(name, false), value(name, true)))
            .to_vec(),
    )
}

/// The character of a reference.
fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    match quick_xml::escape::resolve_xml_entity(reference) {
        Some(text) => text.chars().next(),
        None => reference.resolve_char_ref().ok().flatten(),
    }
}
