//! Answers by XML-RPC: a value that was read can be sent, and whoever skips its members reads the same answer to its end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vw::xmlrpc::{Value, answer, answer_with, call};

fuzz_target!(|bytes: &[u8]| {
    let streamed = answer_with(bytes, |value: Value<'_, _>| {
        value.members(|_, value| value.skip())
    });
    if let Ok(whole) = answer(bytes) {
        assert_eq!(streamed.is_ok_and(|streamed| streamed.is_ok()), whole.is_ok());
        if let Ok(value) = whole {
            let _ = call("a.method", &[value]);
        }
    }
});
