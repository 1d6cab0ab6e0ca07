//! Mappings: a stream of documents is read to its end or refused, as a whole and entry by entry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vw::mapping::Reader;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    while let Ok(Some(mapping)) = reader.next_mapping() {
        let _ = format!("{mapping:?}").len();
    }
    let mut reader = Reader::new(bytes);
    while let Ok(Some(mut document)) = reader.next_document() {
        while let Ok(Some(_)) = document.next_entry() {}
        if document.finish().is_err() {
            break;
        }
    }
});
