//! What the fuzz targets share: the references that readers are compared with, and answers of servers without servers.

pub mod json;
pub mod replay;
pub mod xml;

use std::io::BufReader;

/// The bytes as they arrive from a pipe or a server: a few at a time. How many depends on the bytes, so that each run is repeatable.
pub fn trickle(bytes: &[u8]) -> BufReader<&[u8]> {
    let sum = bytes.iter().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31) + usize::from(*byte) & 0xffff
    });
    BufReader::with_capacity(1 + sum % 40, bytes)
}

/// The first line as text, and the rest. `None` if the line is not text.
pub fn first_line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    Some((std::str::from_utf8(line).ok()?, rest.get(1..).unwrap_or_default()))
}

/// As much of the bytes as is text.
pub fn text(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}
