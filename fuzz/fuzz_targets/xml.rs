//! XML from a vCenter: any document is read to its end, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vw::xml::Reader;

fuzz_target!(|bytes: &[u8]| {
    let _ = Reader::new(bytes).finish();
    let mut xml = Reader::new(bytes);
    // The elements of the second level, with texts and attributes.
    if let Ok(Some(_)) = xml.child() {
        while let Ok(Some(_)) = xml.child() {
            let _ = (xml.attribute("type"), xml.prefixed_attribute("type"));
            if xml.text().is_err() {
                break;
            }
        }
    }
});
