//! VMware's escaping schemes: what was escaped can be read, and what was read can be escaped.

use vw::escape::{Error, Scheme};
use vw_fuzz::text;

const SCHEMES: [Scheme; 4] = [
    Scheme::Name,
    Scheme::VmxName,
    Scheme::Annotation,
    Scheme::DatastoreItem,
];

pub fn run(bytes: &[u8]) {
    let text = text(bytes);
    for scheme in SCHEMES {
        let encoded = scheme.encode(text);
        let kept = match scheme {
            // These characters are lost in a datastore.
            Scheme::DatastoreItem => text.replace(['"', '*', '<', '>', ':', '|', '?'], "_"),
            _ => text.to_owned(),
        };
        assert_eq!(scheme.decode(&encoded).as_ref(), Ok(&kept), "{scheme:?}");
        match scheme.decode(text) {
            Ok(decoded) => {
                // A scheme has one way to write a text, so that reading, writing and reading leads back.
                let again = scheme.decode(&scheme.encode(&decoded)).expect("what was encoded");
                assert!(again == decoded || scheme == Scheme::DatastoreItem, "{scheme:?}");
                assert!(
                    decoded.len() <= text.len(),
                    "{scheme:?}: an escaped text is not shorter"
                );
            }
            Err(
                Error::Digits { position, .. }
                | Error::NotAscii { position, .. }
                | Error::NotBase64 { position, .. }
                | Error::NotText { position },
            ) => assert!((1..=text.chars().count()).contains(&position)),
        }
    }
}
