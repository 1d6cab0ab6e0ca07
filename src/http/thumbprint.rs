//! The thumbprints of certificates.

use std::fmt;
use std::str::FromStr;

use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

use crate::text::hex;

/// The SHA-256 of a certificate, shown as by `openssl x509 -fingerprint -sha256`.
///
/// ```
/// use vw::http::Thumbprint;
/// let text = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF";
/// let thumbprint: Thumbprint = text.replace(':', "").to_lowercase().parse()?;
/// assert_eq!(thumbprint.to_string(), text);
/// # Ok::<(), vw::http::BadThumbprint>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint(pub [u8; 32]);

impl Thumbprint {
    /// The thumbprint of a certificate in DER.
    pub(super) fn of(cert: &[u8]) -> Self {
        let mut bytes = [0; 32];
        if let Some(suite) = TLS13_AES_128_GCM_SHA256.tls13() {
            bytes.copy_from_slice(suite.common.hash_provider.hash(cert).as_ref());
        }
        Thumbprint(bytes)
    }
}

/// The text is not a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a thumbprint is a SHA-256: 64 hex digits, with or without colons (40 digits are a SHA-1, which is not enough)"
)]
pub struct BadThumbprint;

/// Reads 64 hex digits in either case. There may be colons or spaces between the pairs, and `SHA256:` or openssl's
/// `sha256 Fingerprint=` before them.
impl FromStr for Thumbprint {
    type Err = BadThumbprint;

    fn from_str(text: &str) -> Result<Self, BadThumbprint> {
        let text = without_algorithm(text.trim()).trim();
        let digits: Vec<u8> = match text.contains([':', ' ']) {
            true => text
                .split([':', ' '])
                .flat_map(|pair| format!("{pair:0>2}").into_bytes())
                .collect(),
            false => text.bytes().collect(),
        };
        let value = |digit: u8| char::from(digit).to_digit(16).ok_or(BadThumbprint);
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(BadThumbprint);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::try_from(value(pair[0])? * 16 + value(pair[1])?).map_err(|_| BadThumbprint)?;
        }
        Ok(Thumbprint(bytes))
    }
}

/// The text without the name of the algorithm before it.
fn without_algorithm(text: &str) -> &str {
    let prefixes = [
        "sha256 fingerprint=",
        "sha-256 fingerprint=",
        "sha256:",
        "sha-256:",
        "sha256=",
    ];
    let found = prefixes.iter().find_map(|prefix| {
        let (start, rest) = text.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(rest)
    });
    found.unwrap_or(text)
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, byte) in self.0.iter().enumerate() {
            let digits = hex(&[*byte]).to_uppercase();
            write!(f, "{}{digits}", if n == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_in_all_their_forms() {
        let plain = "ab".repeat(31) + "0f";
        let colons = "AB:".repeat(31) + "0F";
        let wanted = Thumbprint::from_str(&plain).unwrap();
        assert_eq!(wanted.to_string(), colons);
        assert_eq!(colons.parse(), Ok(wanted));
        assert_eq!(format!(" {} ", colons.to_lowercase()).parse(), Ok(wanted));
        for prefix in [
            "SHA256:",
            "sha256:",
            "SHA-256: ",
            "SHA256 Fingerprint=",
            "sha256 Fingerprint=",
        ] {
            for digits in [&plain, &colons] {
                assert_eq!(format!("{prefix}{digits}").parse(), Ok(wanted), "{prefix}");
            }
        }
        assert_eq!(colons.replace(':', " ").parse(), Ok(wanted));
        for text in [
            "",
            "ab",
            &plain[1..],
            &("0".to_owned() + &plain),
            &plain.replace('b', "g"),
            &(colons.clone() + ":00"),
            &format!("SHA1:{plain}"),
            &format!("sha1 Fingerprint={colons}"),
            &format!("SHA256:SHA256:{plain}"),
            "SHA256:",
            "é",
        ] {
            assert_eq!(text.parse::<Thumbprint>(), Err(BadThumbprint), "{text}");
        }
    }
}
