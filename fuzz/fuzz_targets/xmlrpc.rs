//! Answers of a Satellite 5: a value that was read can be sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vw::systems::satellite5::xmlrpc;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Ok(value)) = xmlrpc::answer(bytes) {
        let _ = xmlrpc::call("a.method", &[value]);
    }
});
