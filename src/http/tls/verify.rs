//! Decides whether a server's certificate is trusted.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{self, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};

use super::Thumbprint;
use super::der::Certificate;

/// By what a server is trusted.
#[derive(Debug)]
pub(super) enum Check {
    /// By authorities, which are `None` where no certificate can be one, or by being one of `own` itself.
    Chain {
        chain: Option<Arc<WebPkiServerVerifier>>,
        own: Vec<CertificateDer<'static>>,
    },
    /// By the SHA-256 of its certificate.
    Thumbprint(Thumbprint),
    /// Without any check.
    Nothing,
}

/// Why a certificate is not trusted; it travels within rustls's error.
#[derive(Debug)]
pub(super) struct Distrust {
    pub(super) reason: String,
    pub(super) thumbprint: Thumbprint,
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Distrust {}

/// Checks a server's certificate, and that the server has its key.
#[derive(Debug)]
pub(super) struct Verifier {
    check: Check,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(check: Check, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Verifier { check, algorithms }
    }

    fn trusts(
        &self,
        cert: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), String> {
        match &self.check {
            Check::Nothing => Ok(()),
            Check::Thumbprint(wanted) if *wanted == thumbprint(cert) => Ok(()),
            Check::Thumbprint(_) => Err("it is another one than the given thumbprint's".into()),
            Check::Chain { .. } if Certificate::parse(cert).is_some_and(|cert| cert.version == 1) => {
                Err("it is of X.509 version 1".into())
            }
            Check::Chain { own, .. } if own.contains(cert) => itself(cert, name, now),
            Check::Chain { chain: None, .. } => {
                Err("the given certificates are no authority's, and not its own".into())
            }
            Check::Chain {
                chain: Some(chain), ..
            } => {
                let verified = chain.verify_server_cert(cert, intermediates, name, &[], now);
                verified.map(drop).map_err(|error| reason(&error))
            }
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.trusts(cert, intermediates, name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(reason) => {
                let thumbprint = thumbprint(cert);
                let distrust = Distrust { reason, thumbprint };
                Err(CertificateError::Other(OtherError(Arc::new(distrust))).into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.check {
            Check::Nothing => Ok(HandshakeSignatureValid::assertion()),
            Check::Chain { .. } => crypto::verify_tls12_signature(message, cert, signed, &self.algorithms),
            // A certificate is public: its thumbprint proves nothing before the server has shown that it has the key.
            Check::Thumbprint(_) => {
                let key = Certificate::parse(cert).ok_or(CertificateError::BadEncoding)?;
                let scheme = self
                    .algorithms
                    .mapping
                    .iter()
                    .find(|(scheme, _)| *scheme == signed.scheme);
                let mut fitting = scheme
                    .into_iter()
                    .flat_map(|(_, algorithms)| *algorithms)
                    .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key.key_algorithm);
                if fitting.any(|algorithm| {
                    algorithm
                        .verify_signature(key.key, message, signed.signature())
                        .is_ok()
                }) {
                    Ok(HandshakeSignatureValid::assertion())
                } else {
                    Err(CertificateError::BadSignature.into())
                }
            }
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.check {
            Check::Nothing => Ok(HandshakeSignatureValid::assertion()),
            Check::Chain { .. } => crypto::verify_tls13_signature(message, cert, signed, &self.algorithms),
            Check::Thumbprint(_) => {
                let key = Certificate::parse(cert).ok_or(CertificateError::BadEncoding)?;
                let info = SubjectPublicKeyInfoDer::from(key.key_info);
                crypto::verify_tls13_signature_with_raw_key(message, &info, signed, &self.algorithms)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Name and dates of a certificate that is trusted by itself. webpki would take a self-signed one only without CA:TRUE, which
/// openssl sets by default.
fn itself(cert: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), String> {
    let parsed = ParsedCertificate::try_from(cert).map_err(|error| reason(&error))?;
    verify_server_name(&parsed, name).map_err(|error| reason(&error))?;
    let (begin, end) = Certificate::parse(cert).ok_or("it is damaged")?.validity;
    match i64::try_from(now.as_secs()) {
        Ok(now) if now < begin => Err("it is not valid yet; is the clock right?".into()),
        Ok(now) if now <= end => Ok(()),
        _ => Err("it has expired".into()),
    }
}

fn thumbprint(cert: &CertificateDer<'_>) -> Thumbprint {
    let mut bytes = [0; 32];
    let suite = crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    if let Some(suite) = suite.tls13() {
        bytes.copy_from_slice(suite.common.hash_provider.hash(cert).as_ref());
    }
    Thumbprint(bytes)
}

/// What is wrong with a certificate, for people.
fn reason(error: &rustls::Error) -> String {
    use CertificateError as Bad;
    let rustls::Error::InvalidCertificate(error) = error else {
        return error.to_string();
    };
    match error {
        Bad::UnknownIssuer => "no trusted authority has signed it".into(),
        Bad::BadSignature => "it is not signed by the trusted authority of that name, but by another".into(),
        Bad::BadEncoding => "it is damaged".into(),
        Bad::Expired | Bad::ExpiredContext { .. } => "it has expired".into(),
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            "it is not valid yet; is the clock right?".into()
        }
        Bad::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "it names no host (a subjectAltName is needed, a CN does not count)".into()
        }
        Bad::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| name_in(name)).take(5).collect();
            format!("it is for {} and not for this name", names.join(", "))
        }
        Bad::NotValidForName => "it is not for this name".into(),
        Bad::Other(other) => match other.to_string().as_str() {
            "CaUsedAsEndEntity" => "it is self-signed, or an authority's own".into(),
            text => text.into(),
        },
        error => error.to_string(),
    }
}

/// webpki shows names as `DnsName("vc.example.com")`.
fn name_in(shown: &str) -> &str {
    let within = shown.split_once('(').map_or(shown, |(_, name)| name);
    within.trim_end_matches(')').trim_matches('"')
}
