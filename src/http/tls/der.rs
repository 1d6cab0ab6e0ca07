//! The few fields of a certificate that are read where webpki does not read them (RFC 5280, 4.1).

/// What is read of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate<'a> {
    /// 1, 2 or 3.
    pub(super) version: u8,
    /// Seconds since 1970 of the first and the last moment of its validity.
    pub(super) validity: (i64, i64),
    /// The whole SubjectPublicKeyInfo.
    pub(super) key_info: &'a [u8],
    /// The contents of the key's AlgorithmIdentifier.
    pub(super) key_algorithm: &'a [u8],
    /// The public key's bits.
    pub(super) key: &'a [u8],
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_3: u8 = 0xa3;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SET: u8 = 0x31;

/// 2.5.29.19, the extension basicConstraints.
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
/// 2.5.4.3, the common name in a subject.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// Who signed a certificate, whose it is, and whether it may sign others.
///
/// Less is read than by [`Certificate::parse`], so that an odd date or key of an authority does no harm.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Role<'a> {
    /// The issuer's name, in DER.
    pub(super) issuer: &'a [u8],
    /// The subject's name, in DER.
    pub(super) subject: &'a [u8],
    /// The extension basicConstraints says `CA:TRUE`. Never for X.509 version 1, which has no extensions.
    pub(super) is_authority: bool,
}

impl<'a> Role<'a> {
    /// Reads the DER of a certificate.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut outer = Der(Der(der).expect(SEQUENCE)?);
        let mut fields = Der(outer.expect(SEQUENCE)?);
        if fields.0.first() == Some(&EXPLICIT_0) {
            fields.next()?;
        }
        let (_serial, _signature) = (fields.next()?, fields.next()?);
        let issuer = fields.expect(SEQUENCE)?;
        let _validity = fields.next()?;
        let subject = fields.expect(SEQUENCE)?;
        let _key = fields.next()?;
        let mut is_authority = false;
        while let Some((tag, contents)) = fields.next() {
            if tag == EXPLICIT_3 {
                let mut extensions = Der(Der(contents).expect(SEQUENCE)?);
                while let Some(extension) = extensions.expect(SEQUENCE) {
                    is_authority |= says_authority(extension).unwrap_or(false);
                }
            }
        }
        Some(Role {
            issuer,
            subject,
            is_authority,
        })
    }
}

/// The common name in an issuer's or subject's name, if it is text.
pub(super) fn common_name(name: &[u8]) -> Option<&str> {
    let mut sets = Der(name);
    while let Some(set) = sets.expect(SET) {
        let mut pair = Der(Der(set).expect(SEQUENCE)?);
        if pair.expect(OBJECT_IDENTIFIER)? == COMMON_NAME {
            return std::str::from_utf8(pair.next()?.1).ok();
        }
    }
    None
}

/// Whether an extension is basicConstraints with `CA:TRUE` (RFC 5280, 4.2.1.9).
fn says_authority(extension: &[u8]) -> Option<bool> {
    let mut fields = Der(extension);
    if fields.expect(OBJECT_IDENTIFIER)? != BASIC_CONSTRAINTS {
        return Some(false);
    }
    let (tag, contents) = match fields.next()? {
        (BOOLEAN, _critical) => fields.next()?,
        value => value,
    };
    let value = (tag == OCTET_STRING).then_some(contents)?;
    let says = Der(Der(value).expect(SEQUENCE)?).expect(BOOLEAN)?;
    Some(says == [0xff])
}

impl<'a> Certificate<'a> {
    /// Reads the DER of a certificate.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut outer = Der(Der(der).expect(SEQUENCE)?);
        let mut fields = Der(outer.expect(SEQUENCE)?);
        let version = match fields.0.first() {
            Some(&EXPLICIT_0) => match Der(fields.expect(EXPLICIT_0)?).expect(INTEGER)? {
                [value @ 0..=2] => value + 1,
                _ => return None,
            },
            _ => 1,
        };
        let (_serial, _signature, _issuer) = (fields.next()?, fields.next()?, fields.next()?);
        let mut validity = Der(fields.expect(SEQUENCE)?);
        let validity = (validity.time()?, validity.time()?);
        let _subject = fields.next()?;
        let before = fields.0;
        let mut info = Der(fields.expect(SEQUENCE)?);
        let key_info = &before[..before.len() - fields.0.len()];
        let key_algorithm = info.expect(SEQUENCE)?;
        // The first byte counts the unused bits at the end: none in a key.
        let key = info.expect(BIT_STRING)?.strip_prefix(&[0])?;
        Some(Certificate {
            version,
            validity,
            key_info,
            key_algorithm,
            key,
        })
    }
}

/// What is left of an encoding.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The tag and contents of the next element.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits
                    .iter()
                    .fold(0_u64, |length, digit| length << 8 | u64::from(*digit));
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, contents) = self.next()?;
        (tag == wanted).then_some(contents)
    }

    /// A moment in seconds since 1970.
    fn time(&mut self) -> Option<i64> {
        let (tag, text) = self.next()?;
        let text = text.strip_suffix(b"Z")?;
        if !text.is_ascii() || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = |digits: &[u8]| {
            digits
                .iter()
                .fold(0_i64, |n, digit| n * 10 + i64::from(digit - b'0'))
        };
        let (year, rest) = match (tag, text.len()) {
            (UTC_TIME, 12) => {
                let year = number(&text[..2]);
                (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
            }
            (GENERALIZED_TIME, 14) => (number(&text[..4]), &text[4..]),
            _ => return None,
        };
        let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(&rest[at..at + 2]));
        ((1..=12).contains(&month) && (1..=31).contains(&day))
            .then(|| days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second)
    }
}

/// In the Gregorian calendar; years begin in March, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn moments_of_both_forms() {
        for (tag, text, wanted) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "000229235959Z", Some(951_868_799)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "20500101000000Z", None),
            (UTC_TIME, "700101000000", None),
            (UTC_TIME, "701301000000Z", None),
            (UTC_TIME, "70010100000+Z", None),
            (0x04, "700101000000Z", None),
        ] {
            let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
            der.extend_from_slice(text.as_bytes());
            assert_eq!(Der(&der).time(), wanted, "{text}");
        }
    }

    fn example() -> (rcgen::KeyPair, Vec<u8>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["vc.example.com".to_owned()]).unwrap();
        let cert = params.self_signed(&key).unwrap();
        (key, cert.der().to_vec())
    }

    #[test]
    fn a_certificate_is_read() {
        let (key, der) = example();
        let read = Certificate::parse(&der).unwrap();
        assert_eq!((read.version, read.key), (3, key.public_key_raw()));
        // 1975 to 4096, rcgen's defaults.
        assert_eq!(read.validity, (157_766_400, 67_090_118_400));
        assert!(read.key_info.ends_with(read.key));
    }

    #[test]
    fn an_authority_says_so() {
        use rcgen::{BasicConstraints::Constrained, BasicConstraints::Unconstrained, DnType, IsCa};
        let key = rcgen::KeyPair::generate().unwrap();
        for (is_ca, wanted) in [
            (IsCa::NoCa, false),
            (IsCa::ExplicitNoCa, false),
            (IsCa::Ca(Unconstrained), true),
            (IsCa::Ca(Constrained(0)), true),
        ] {
            let mut params = rcgen::CertificateParams::new(["vc.example.com".to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, "vc");
            params.distinguished_name.push(DnType::OrganizationName, "ACME");
            params.is_ca = is_ca;
            let cert = params.self_signed(&key).unwrap();
            let role = Role::parse(cert.der()).unwrap();
            assert_eq!(
                (role.is_authority, common_name(role.subject)),
                (wanted, Some("vc"))
            );
            assert_eq!(role.issuer, role.subject);
        }
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_does_no_harm(at in 0..300_usize, byte in any::<u8>()) {
            let (_, mut der) = example();
            prop_assert_eq!(Certificate::parse(&der[..at]), None);
            let _ = Role::parse(&der[..at]).map(|role| common_name(role.subject).map(str::len));
            der[at] = byte;
            let _ = Role::parse(&der).map(|role| common_name(role.subject).map(str::len));
            if let Some(read) = Certificate::parse(&der) {
                prop_assert!(read.key.len() < der.len());
            }
        }
    }
}
