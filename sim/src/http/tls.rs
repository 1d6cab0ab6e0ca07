//! An authority made on the spot, and the certificates that it issues.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

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
    /// Its own issuer, with localhost as name, as servers have it that nobody gave a certificate.
    SelfSigned,
}

/// A server's side of TLS: its certificate and key.
#[derive(Clone)]
pub struct Tls {
    pub(super) config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority of a name that no other has in this process.
    pub fn new() -> io::Result<Self> {
        // Two authorities of one name would look like one with a bad signature, not like two.
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
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

    fn try_issue(&self, certificate: &Certificate) -> Result<Tls, Box<dyn std::error::Error + Send + Sync>> {
        let here = || ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
        let names = match certificate {
            Certificate::For(names) => names.clone(),
            _ => here(),
        };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "vw-sim");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        if let Certificate::Expired = certificate {
            params.not_before = rcgen::date_time_ymd(2000, 1, 1);
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate()?;
        let issued = match certificate {
            Certificate::SelfSigned => params.self_signed(&key)?,
            _ => params.signed_by(&key, &self.issuer)?,
        };
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![issued.der().clone()], private)?;
        Ok(Tls {
            config: Arc::new(config),
            certificate: issued.der().clone(),
        })
    }
}

impl Tls {
    /// The server's certificate as DER, for tests that pin it.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }
}
