//! An authority made on the spot, and the certificates that it issues.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SigningKey as _,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};

/// A certificate authority that exists as long as this value; its key is written nowhere.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// What a server shows its clients.
#[derive(Debug, Clone)]
pub enum Certificate {
    /// Issued by the authority for localhost, 127.0.0.1 and ::1.
    Good,
    /// Issued by the authority, but for these names only.
    For(Vec<String>),
    /// Issued by the authority for localhost, and over since 2001.
    Expired,
    /// Issued by the authority for localhost, and not valid before the year 4000.
    NotYet,
    /// Issued by the authority, with localhost as its subject's common name only.
    CommonName,
    /// Its own issuer, with localhost as name, as servers have it that nobody gave a certificate.
    SelfSigned,
    /// The same, and an authority's, as openssl makes it.
    SelfSignedAuthority,
    /// Its own issuer, and of X.509 version 1, without any name that counts, as some appliances have it.
    Version1,
}

/// A server's side of TLS: its certificate and key.
#[derive(Clone)]
pub struct Tls {
    pub(super) config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
}

/// A client's certificate and key, as PEM.
#[derive(Debug, Clone)]
pub struct Client {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority of a name that no other has in this process.
    pub fn new() -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Authority::of(params)
    }

    /// Makes a certificate that is not an authority's (it lacks `CA:TRUE`) and issues others all the same.
    pub fn pretended() -> io::Result<Self> {
        Authority::of(CertificateParams::default())
    }

    fn of(mut params: CertificateParams) -> io::Result<Self> {
        // Two authorities of one name would look like one with a bad signature, not like two.
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("vw-sim authority {number}");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)?;
        Ok(Authority { issuer })
    }

    /// The authority's certificate, for `--cacert` and `SSL_CERT_FILE`.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate with a key of its own. Names must be DNS names or addresses.
    pub fn issue(&self, certificate: &Certificate) -> io::Result<Tls> {
        self.try_issue(certificate).map_err(io::Error::other)
    }

    /// Issues a certificate by which a client shows who it is: `name` becomes its common name.
    pub fn issue_client(&self, name: &str) -> io::Result<Client> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let issued = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        Ok(Client {
            certificate: issued.pem(),
            key: key.serialize_pem(),
        })
    }

    fn try_issue(&self, certificate: &Certificate) -> Result<Tls, Box<dyn std::error::Error + Send + Sync>> {
        let here = || ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
        let names = match certificate {
            Certificate::For(names) => names.clone(),
            Certificate::CommonName => Vec::new(),
            _ => here(),
        };
        let mut params = CertificateParams::new(names)?;
        let name = match certificate {
            Certificate::CommonName => "localhost",
            _ => "vw-sim",
        };
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        match certificate {
            Certificate::Expired => {
                params.not_before = rcgen::date_time_ymd(2000, 1, 1);
                params.not_after = rcgen::date_time_ymd(2001, 1, 1);
            }
            Certificate::NotYet => {
                params.not_before = rcgen::date_time_ymd(4000, 1, 1);
                params.not_after = rcgen::date_time_ymd(4001, 1, 1);
            }
            Certificate::SelfSignedAuthority => {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
            }
            _ => {}
        }
        let key = KeyPair::generate()?;
        let issued = match certificate {
            Certificate::SelfSigned | Certificate::SelfSignedAuthority => {
                params.self_signed(&key)?.der().clone()
            }
            Certificate::Version1 => version_1(params.self_signed(&key)?.der(), &key)?,
            _ => params.signed_by(&key, &self.issuer)?.der().clone(),
        };
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut authorities = RootCertStore::empty();
        authorities.add(self.issuer.der().clone())?;
        // As Candlepin's: a certificate is asked for but not demanded, and one of another authority is refused.
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider.clone())
            .allow_unauthenticated()
            .build()?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            // It looks at no certificate, and so shows also one that rustls can't read.
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(
                vec![issued.clone()],
                any_supported_type(&private)?,
            ))));
        Ok(Tls {
            config: Arc::new(config),
            certificate: issued,
        })
    }
}

/// The certificate without its version and extensions, signed anew by itself.
fn version_1(newer: &[u8], key: &KeyPair) -> Result<CertificateDer<'static>, rcgen::Error> {
    let [outer] = elements(newer)[..] else {
        return Err(rcgen::Error::CouldNotParseCertificate);
    };
    let [signed, algorithm, _] = elements(contents(outer))[..] else {
        return Err(rcgen::Error::CouldNotParseCertificate);
    };
    // Version, serial number, algorithm, issuer, validity, subject, key, extensions (RFC 5280, 4.1).
    let [_, kept @ .., _] = &elements(contents(signed))[..] else {
        return Err(rcgen::Error::CouldNotParseCertificate);
    };
    let signed = element(0x30, &kept.concat());
    // The bits that are left over in the last byte of the signature: none.
    let signature = [&[0][..], &key.sign(&signed)?].concat();
    let whole = [&signed, algorithm, &element(0x03, &signature)].concat();
    Ok(element(0x30, &whole).into())
}

/// The elements that stand one after the other in some DER.
fn elements(mut der: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (element, rest) = der.split_at(der.len() - contents_and_rest(der).1.len());
        found.push(element);
        der = rest;
    }
    found
}

fn contents(element: &[u8]) -> &[u8] {
    contents_and_rest(element).0
}

/// Of lengths only those that certificates of ours have: below 64 KiB.
fn contents_and_rest(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = match *der {
        [_, length @ 0..=0x7f, ref rest @ ..] => (usize::from(length), rest),
        [_, 0x81, length, ref rest @ ..] => (usize::from(length), rest),
        [_, 0x82, high, low, ref rest @ ..] => (usize::from(high) << 8 | usize::from(low), rest),
        _ => (0, &[][..]),
    };
    rest.split_at(length.min(rest.len()))
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [.., high, low] = contents.len().to_be_bytes();
    // DER takes the shortest form of a length.
    let header = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&header, contents].concat()
}

impl Tls {
    /// The server's certificate as PEM, for `--cacert`.
    pub fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.certificate);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    /// The server's certificate as DER, for tests that pin it.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }
}

/// The common name of a certificate's subject: the last one in it, for the issuer's stands before.
pub(super) fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    // In DER: the type's object identifier, then a string's tag, its length and its text.
    const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
    let bytes = certificate.as_ref();
    let last = bytes
        .windows(COMMON_NAME.len())
        .rposition(|window| window == COMMON_NAME)?;
    let (length, text) = bytes.get(last + COMMON_NAME.len() + 1..)?.split_first()?;
    let text = text.get(..usize::from(*length))?;
    String::from_utf8(text.to_vec()).ok()
}
