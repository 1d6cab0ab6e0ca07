//! Encrypted passwords: two lines are the key file, the third holds the digits, and all of it is a password. What is decrypted can
//! be encrypted again, and no error shows the key or the digits.

use std::fs;

use vw::config::password::{Error, decrypt, encrypt, try_key};
use vw_fuzz::{first_line, text};

const KEY: &str = "000102030405060708090a0b0c0d0e0f\nf0e0d0c0b0a090807060504030201000\n";

thread_local! {
    static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().expect("a file");
}

pub fn run(bytes: &[u8]) {
    FILE.with(|file| {
        let path = file.path();
        let (key, digits) = split(bytes);
        fs::write(path, key).expect("a file that can be written");
        for digits in [digits, text(bytes)] {
            match decrypt(digits, path) {
                Ok(password) => {
                    assert!(!password.expose().is_empty() && password.expose().len() < digits.len() / 2);
                    let again = encrypt(&password, path).expect("the same key");
                    assert_eq!(again, digits.to_lowercase());
                }
                Err(error) => is_discreet(&error, key, digits),
            }
        }
        if let Err(error) = try_key(path) {
            is_discreet(&error, key, digits);
        }
        fs::write(path, KEY).expect("a file that can be written");
        let password = text(bytes);
        let digits = encrypt(&password.to_owned().into(), path).expect("a good key");
        match decrypt(&digits, path) {
            Ok(again) => assert_eq!(again.expose(), password),
            Err(error) => assert!(matches!(error, Error::Empty) && password.is_empty(), "{error}"),
        }
    });
}

/// The first two lines, and the line after them.
fn split(bytes: &[u8]) -> (&[u8], &str) {
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let end = ends.nth(1).map_or(bytes.len(), |(at, _)| at + 1);
    let (key, rest) = bytes.split_at(end);
    (key, first_line(rest).map_or("", |(line, _)| line))
}

fn is_discreet(error: &Error, key: &[u8], digits: &str) {
    let shown = format!("{error} {error:?}");
    let lines = key.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    for secret in lines.chain([digits.into()]).filter(|secret| is_secret(secret)) {
        assert!(!shown.contains(&*secret), "{shown}");
    }
}

fn is_secret(line: &str) -> bool {
    line.len() >= 32 && line.chars().all(|c| c.is_ascii_hexdigit())
}
