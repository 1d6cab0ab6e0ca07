//! The parts of a certificate that webpki does not hand out (RFC 5280, 4.1).
//!
//! x509-cert refuses a whole certificate for one part outside its profile, such as a serial number of more than 20 bytes or a
//! date before 1970. Servers show such certificates, and their thumbprint has to be enough to trust them. So
//! [`Certificate::parse`] reads the outline only, and x509-cert decodes each part when it is needed: a part that it refuses is
//! unknown, and the others still count.

use x509_cert::Version;
use x509_cert::der::asn1::{AnyRef, BitStringRef, BmpString, ObjectIdentifier};
use x509_cert::der::{Any, Decode, Reader as _, SliceReader, Tag, TagMode, TagNumber, Tagged as _};
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::name::Name;
use x509_cert::time::Time;

/// The extension basicConstraints (RFC 5280, 4.2.1.9).
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
/// The common name in a subject or issuer (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// The number of the extensions' tag in a certificate.
const EXTENSIONS: TagNumber = TagNumber(3);

/// The outline of a certificate: its parts in DER, not decoded yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate<'a> {
    version: Version,
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    key_info: &'a [u8],
    extensions: Option<&'a [u8]>,
}

/// A certificate's public key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PublicKey<'a> {
    /// The whole SubjectPublicKeyInfo, in DER.
    pub(super) info: &'a [u8],
    /// The contents of its AlgorithmIdentifier, in DER.
    pub(super) algorithm: &'a [u8],
    /// The key itself.
    pub(super) bits: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Reads the outline of a certificate in DER; `None` if it is damaged.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut certificate = reader(der)?;
        let mut fields = reader(certificate.tlv_bytes().ok()?)?;
        let version = fields.context_specific(TagNumber(0), TagMode::Explicit).ok()?;
        let mut next = || fields.tlv_bytes().ok();
        let (_serial, _signature) = (next()?, next()?);
        let (issuer, validity, subject, key_info) = (next()?, next()?, next()?, next()?);
        let mut rest = std::iter::from_fn(next).filter_map(|part| AnyRef::from_der(part).ok());
        let extensions = rest.find(|part| part.tag().number() == EXTENSIONS);
        Some(Certificate {
            version: version.unwrap_or_default(),
            issuer,
            validity,
            subject,
            key_info,
            extensions: extensions.map(|part| part.value()),
        })
    }

    /// Whether it is of X.509 version 1, which has no extensions.
    pub(super) fn is_version_1(&self) -> bool {
        self.version == Version::V1
    }

    /// Whether the extension basicConstraints says `CA:TRUE`, so that it may sign others.
    pub(super) fn is_authority(&self) -> bool {
        let extensions = self.extensions.and_then(|der| Extensions::from_der(der).ok());
        extensions
            .iter()
            .flatten()
            .filter(|extension| extension.extn_id == BASIC_CONSTRAINTS)
            .filter_map(|extension| BasicConstraints::from_der(extension.extn_value.as_bytes()).ok())
            .any(|constraints| constraints.ca)
    }

    /// Whether the subject of `other` has the name of this one's issuer.
    pub(super) fn names_as_issuer(&self, other: &Certificate<'_>) -> bool {
        self.issuer == other.subject
    }

    /// The issuer's common name, if it is text.
    pub(super) fn issuer_name(&self) -> Option<String> {
        common_name(self.issuer)
    }

    /// The subject's common name, if it is text.
    pub(super) fn subject_name(&self) -> Option<String> {
        common_name(self.subject)
    }

    /// The first second of its validity, since 1970; `None` for one before that, or in an invalid form.
    pub(super) fn begin(&self) -> Option<u64> {
        seconds(&mut reader(self.validity)?)
    }

    /// The last second of its validity, since 1970; `None` as for [`Certificate::begin`].
    pub(super) fn end(&self) -> Option<u64> {
        let mut validity = reader(self.validity)?;
        let _begin = validity.tlv_bytes().ok()?;
        seconds(&mut validity)
    }

    /// Its public key.
    pub(super) fn key(&self) -> Option<PublicKey<'a>> {
        let mut fields = reader(self.key_info)?;
        let algorithm = AnyRef::decode(&mut fields).ok()?.value();
        let bits = BitStringRef::decode(&mut fields).ok()?;
        Some(PublicKey {
            info: self.key_info,
            algorithm,
            bits: bits.as_bytes()?,
        })
    }
}

/// A reader of what is in a sequence.
fn reader(sequence: &[u8]) -> Option<SliceReader<'_>> {
    let sequence = AnyRef::from_der(sequence).ok()?;
    let contents = (sequence.tag() == Tag::Sequence).then(|| sequence.value())?;
    SliceReader::new(contents).ok()
}

/// A date in seconds since 1970.
fn seconds(reader: &mut SliceReader<'_>) -> Option<u64> {
    Some(Time::decode(reader).ok()?.to_unix_duration().as_secs())
}

/// The common name in a name: the last one, which is the most specific if there are several.
fn common_name(name: &[u8]) -> Option<String> {
    let name = Name::from_der(name).ok()?;
    let names = name.iter().filter(|part| part.oid == COMMON_NAME);
    names.filter_map(|part| text(&part.value)).last()
}

/// The text of a DirectoryString. Characters that its type does not have are taken as they are: a PrintableString with `*` or
/// `@` is common.
fn text(value: &Any) -> Option<String> {
    let bytes = value.value();
    let utf8 = || String::from_utf8(bytes.to_vec()).ok();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString => utf8(),
        // T.61 in the standard, Latin-1 or UTF-8 in practice.
        Tag::TeletexString => utf8().or_else(|| Some(bytes.iter().copied().map(char::from).collect())),
        Tag::BmpString => Some(value.decode_as::<BmpString>().ok()?.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;
    use crate::http::tests::der::{element, fields, name, validity};

    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;

    /// A certificate of these fields with an empty signature.
    fn unsigned(fields: &[Vec<u8>]) -> Vec<u8> {
        let signed = element(0x30, &fields.concat());
        element(0x30, &[&signed[..], &fields[2], &element(0x03, &[0])].concat())
    }

    fn example() -> (KeyPair, Vec<u8>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["vc.example.com".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "vc");
        params.distinguished_name.push(DnType::OrganizationName, "ACME");
        let der = params.self_signed(&key).unwrap().der().to_vec();
        (key, der)
    }

    #[test]
    fn a_certificate_is_read() {
        let (key, der) = example();
        let read = Certificate::parse(&der).unwrap();
        assert!(!read.is_version_1() && !read.is_authority() && read.names_as_issuer(&read));
        // 1975 to 4096, rcgen's defaults.
        assert_eq!(
            (read.begin(), read.end()),
            (Some(157_766_400), Some(67_090_118_400))
        );
        let public = read.key().unwrap();
        assert_eq!(public.bits, key.public_key_raw());
        assert!(public.info.ends_with(public.bits));
        assert_eq!(
            (read.subject_name(), read.issuer_name()),
            (Some("vc".into()), Some("vc".into()))
        );
    }

    #[test]
    fn an_authority_says_so() {
        use rcgen::{BasicConstraints::Constrained, BasicConstraints::Unconstrained, IsCa};
        let key = KeyPair::generate().unwrap();
        for (is_ca, wanted) in [
            (IsCa::NoCa, false),
            (IsCa::ExplicitNoCa, false),
            (IsCa::Ca(Unconstrained), true),
            (IsCa::Ca(Constrained(0)), true),
        ] {
            let mut params = CertificateParams::new(["vc.example.com".to_owned()]).unwrap();
            params.is_ca = is_ca;
            let cert = params.self_signed(&key).unwrap();
            assert_eq!(Certificate::parse(cert.der()).unwrap().is_authority(), wanted);
        }
    }

    #[test]
    fn a_certificate_of_version_1_is_read() {
        let (key, der) = example();
        let fields = fields(&der);
        let der = unsigned(&[&[vec![]], &fields[1..7]].concat());
        let read = Certificate::parse(&der).unwrap();
        assert!(read.is_version_1() && !read.is_authority());
        assert_eq!(read.subject_name(), Some("vc".into()));
        assert_eq!(read.key().unwrap().bits, key.public_key_raw());
    }

    #[test]
    fn an_odd_serial_number_does_no_harm() {
        let (key, der) = example();
        for serial in [&[0x80_u8][..], &[0], &[0, 0, 1], &[0x7f; 90], &[]] {
            let mut fields = fields(&der);
            fields[1] = element(0x02, serial);
            let der = unsigned(&fields);
            let read = Certificate::parse(&der).unwrap();
            assert_eq!(read.key().unwrap().bits, key.public_key_raw());
            assert_eq!(read.end(), Some(67_090_118_400));
        }
    }

    #[test]
    fn dates_in_both_forms() {
        let (key, der) = example();
        for (tag, text, wanted) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "000229235959Z", Some(951_868_799)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "20200101000000Z", Some(1_577_836_800)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            // Before 1970, without seconds, with a zone or a fraction, or no date at all.
            (UTC_TIME, "500101000000Z", None),
            (GENERALIZED_TIME, "19500101000000Z", None),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "700101000000+0100", None),
            (GENERALIZED_TIME, "20500101000000.5Z", None),
            (UTC_TIME, "20500101000000Z", None),
            (UTC_TIME, "701301000000Z", None),
            (0x04, "700101000000Z", None),
        ] {
            let mut fields = fields(&der);
            fields[4] = validity((tag, text), (UTC_TIME, "491231235959Z"));
            let der = unsigned(&fields);
            let read = Certificate::parse(&der).unwrap();
            assert_eq!(read.begin(), wanted, "{text}");
            assert_eq!(read.end(), Some(2_524_607_999), "{text}");
            assert_eq!(read.key().unwrap().bits, key.public_key_raw());
        }
    }

    #[test]
    fn names_of_every_type() {
        const UTF8: u8 = 0x0c;
        const PRINTABLE: u8 = 0x13;
        const T61: u8 = 0x14;
        const BMP: u8 = 0x1e;
        let (_, der) = example();
        for (names, wanted) in [
            (&[][..], None),
            (&[(UTF8, "Zürich".as_bytes())][..], Some("Zürich")),
            (&[(PRINTABLE, b"*.example.com")], Some("*.example.com")),
            (&[(T61, b"Z\xfcrich")], Some("Zürich")),
            (&[(T61, "Zürich".as_bytes())], Some("Zürich")),
            (&[(BMP, b"\0Z\0\xfc\x67\x71")], Some("Zü東")),
            (&[(BMP, b"\0Z\0")], None),
            (&[(UTF8, b"\xff")], None),
            (&[(0x04, b"bytes")], None),
            (&[(UTF8, b"first"), (PRINTABLE, b"last")], Some("last")),
            (&[(UTF8, b"text"), (0x04, b"bytes")], Some("text")),
        ] {
            let mut fields = fields(&der);
            fields[5] = name(names);
            let der = unsigned(&fields);
            let read = Certificate::parse(&der).unwrap();
            assert_eq!(read.subject_name().as_deref(), wanted);
            assert_eq!(read.issuer_name(), Some("vc".into()));
        }
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_does_no_harm(at in 0..300_usize, byte in any::<u8>()) {
            let (_, mut der) = example();
            prop_assert_eq!(Certificate::parse(&der[..at]), None);
            der[at] = byte;
            if let Some(read) = Certificate::parse(&der) {
                let _ = (read.begin(), read.end(), read.subject_name(), read.issuer_name(), read.is_authority());
                if let Some(key) = read.key() {
                    prop_assert!(key.bits.len() < der.len());
                }
            }
        }
    }
}
