//! Mappings: a stream of documents is read to its end or refused, as a whole and entry by entry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vw::mapping::Reader;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    while let Ok(Some(mut mapping)) = reader.next_mapping() {
        let _ = format!("{mapping:?}").len();
        mapping.keep_one_of_each_guest(|copies| _ = copies.to_string().len());
        mapping.reportable();
    }
    let mut reader = Reader::new(bytes);
    while let Ok(Some(mut document)) = reader.next_document() {
        while let Ok(Some(entry)) = document.next_entry() {
            entry.inspect();
        }
        if document.finish().is_err() {
            break;
        }
    }
});
