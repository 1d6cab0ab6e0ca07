//! Random identifiers.

use ring::rand::{SecureRandom, SystemRandom};

/// This number of random bytes in lower-case hex.
pub(crate) fn hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    // If this fails the bytes stay zero. Identifiers then repeat, and the tests that care fail.
    let _ = SystemRandom::new().fill(&mut random);
    lower_hex(&random)
}

/// A random uuid.
pub(crate) fn uuid() -> String {
    let digits = hex(16);
    let (first, rest) = digits.split_at(8);
    let (second, rest) = rest.split_at(4);
    let (third, rest) = rest.split_at(4);
    let (fourth, fifth) = rest.split_at(4);
    format!("{first}-{second}-4{}-9{}-{fifth}", &third[1..], &fourth[1..])
}

/// Bytes in lower-case hex.
pub(crate) fn lower_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
