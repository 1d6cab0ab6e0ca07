//! Decides whether a server's certificate is trusted.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{self, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};

use super::certificate::{Certificate, PublicKey};
use crate::http::{Flaw, Thumbprint};

/// By what a server is trusted.
#[derive(Debug)]
pub(super) enum Check {
    /// By the authorities in `chain`, or by being one of `own` itself. `chain` is `None` if no certificate is an authority's.
    ///
    /// A certificate in `own` that is not an authority's is trusted for itself only.
    Chain {
        chain: Option<Arc<WebPkiServerVerifier>>,
        own: Vec<CertificateDer<'static>>,
    },
    /// By the thumbprint of its certificate.
    Thumbprint(Thumbprint),
    /// Without any check.
    Nothing,
}

/// Why a certificate is not trusted; it travels inside rustls's error.
#[derive(Debug)]
pub(super) struct Distrust {
    pub(super) flaw: Flaw,
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
    ) -> Result<(), (Flaw, String)> {
        match &self.check {
            Check::Nothing => Ok(()),
            Check::Thumbprint(wanted) if *wanted == Thumbprint::of(cert) => Ok(()),
            Check::Thumbprint(_) => {
                let reason = format!("its thumbprint is {}, not the one given", Thumbprint::of(cert));
                Err((Flaw::Thumbprint, reason))
            }
            Check::Chain { .. } if Certificate::parse(cert).is_some_and(|cert| cert.is_version_1()) => {
                Err((Flaw::Other, "it is of X.509 version 1".into()))
            }
            Check::Chain { own, .. } if own.contains(cert) => trusts_itself(cert, name, now),
            Check::Chain { chain: None, .. } => Err((
                Flaw::Issuer,
                "none of the given certificates is an authority's (CA:TRUE), or the server's own".into(),
            )),
            Check::Chain {
                chain: Some(chain),
                own,
            } => {
                let verified = chain.verify_server_cert(cert, intermediates, name, &[], now);
                verified.map(drop).map_err(|error| {
                    let (flaw, reason) = describe(&error, cert, name);
                    match flaw {
                        Flaw::Issuer if signed_by_no_authority(cert, own) => {
                            let reason = "the trusted certificate that has signed it is not an authority's \
                                          (CA:TRUE is missing)";
                            (flaw, reason.to_owned())
                        }
                        flaw => (flaw, reason),
                    }
                })
            }
        }
    }
}

/// Whether one of `own` has the name of the certificate's issuer, but no right to issue certificates.
fn signed_by_no_authority(cert: &CertificateDer<'_>, own: &[CertificateDer<'_>]) -> bool {
    let Some(cert) = Certificate::parse(cert) else {
        return false;
    };
    own.iter()
        .filter_map(|own| Certificate::parse(own))
        .any(|own| cert.names_as_issuer(&own) && !own.is_authority())
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
            Err((flaw, reason)) => {
                let distrust = Distrust {
                    flaw,
                    reason,
                    thumbprint: Thumbprint::of(cert),
                };
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
            // A certificate is public, so its thumbprint proves nothing until the server has shown that it has the key.
            Check::Thumbprint(_) => {
                let key = key_of(cert)?;
                let scheme = self
                    .algorithms
                    .mapping
                    .iter()
                    .find(|(scheme, _)| *scheme == signed.scheme);
                let mut fitting = scheme
                    .into_iter()
                    .flat_map(|(_, algorithms)| *algorithms)
                    .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm);
                if fitting.any(|algorithm| {
                    algorithm
                        .verify_signature(key.bits, message, signed.signature())
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
                let info = SubjectPublicKeyInfoDer::from(key_of(cert)?.info);
                crypto::verify_tls13_signature_with_raw_key(message, &info, signed, &self.algorithms)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks name and dates of a certificate that is trusted for itself. webpki accepts a self-signed one only without CA:TRUE,
/// which openssl sets by default.
fn trusts_itself(
    cert: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), (Flaw, String)> {
    let described = |error: rustls::Error| describe(&error, cert, name);
    let parsed = ParsedCertificate::try_from(cert).map_err(described)?;
    verify_server_name(&parsed, name).map_err(described)?;
    let read = Certificate::parse(cert);
    let (begin, end) = read.map_or((None, None), |cert| (cert.begin(), cert.end()));
    // An unreadable begin, such as a date before 1970, is in the past as far as anyone can tell.
    if begin.is_some_and(|begin| now.as_secs() < begin) {
        return Err(described(CertificateError::NotValidYet.into()));
    }
    match end {
        None => Err((Flaw::Date, "the date when it expires is unreadable".into())),
        Some(end) if now.as_secs() > end => Err(described(CertificateError::Expired.into())),
        Some(_) => Ok(()),
    }
}

/// The public key in a certificate.
fn key_of<'a>(cert: &'a CertificateDer<'_>) -> Result<PublicKey<'a>, CertificateError> {
    let key = Certificate::parse(cert).and_then(|cert| cert.key());
    key.ok_or(CertificateError::BadEncoding)
}

/// What is wrong with a certificate.
fn describe(error: &rustls::Error, cert: &CertificateDer<'_>, name: &ServerName<'_>) -> (Flaw, String) {
    use CertificateError as Bad;
    let rustls::Error::InvalidCertificate(error) = error else {
        return (Flaw::Other, error.to_string());
    };
    match error {
        Bad::UnknownIssuer => {
            let issuer = Certificate::parse(cert).and_then(|cert| cert.issuer_name());
            let issuer = issuer
                .map(|name| format!(" (its issuer is {name:?})"))
                .unwrap_or_default();
            (
                Flaw::Issuer,
                format!("no trusted authority has signed it{issuer}"),
            )
        }
        Bad::BadSignature => (
            Flaw::Issuer,
            "it is not signed by the trusted authority of that name, but by another".into(),
        ),
        Bad::BadEncoding => (Flaw::Other, "it is damaged".into()),
        Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            (Flaw::Date, dates(error, cert))
        }
        Bad::NotValidForNameContext { presented, .. } => (Flaw::Name, names(presented, cert, name)),
        Bad::NotValidForName => (Flaw::Name, format!("it is not for {}", name.to_str())),
        Bad::Other(other) => match other.to_string().as_str() {
            "EndEntityUsedAsCa" => (
                Flaw::Other,
                "it is signed by a certificate that is not an authority's (CA:TRUE is missing)".into(),
            ),
            "CaUsedAsEndEntity" => (Flaw::Issuer, "it is self-signed, or an authority's own".into()),
            text => (Flaw::Other, text.into()),
        },
        error => (Flaw::Other, error.to_string()),
    }
}

/// Which names a certificate has, but not this one; `presented` are those that count.
fn names(presented: &[String], cert: &CertificateDer<'_>, name: &ServerName<'_>) -> String {
    const MOST: usize = 5;
    if presented.is_empty() {
        let subject = Certificate::parse(cert).and_then(|cert| cert.subject_name());
        let subject = subject
            .map(|name| format!(", only the CN {name:?}"))
            .unwrap_or_default();
        return format!("it has no subjectAltName{subject}, and a CN does not count");
    }
    let mut names: Vec<&str> = presented.iter().map(|name| name_in(name)).take(MOST).collect();
    if presented.len() > MOST {
        names.push("…");
    }
    format!("it is for {}, not for {}", names.join(", "), name.to_str())
}

/// Which certificate has expired or is not valid yet, and the date. It may be that of an authority between the server's certificate
/// and a trusted one.
fn dates(error: &CertificateError, cert: &CertificateDer<'_>) -> String {
    use CertificateError as Bad;
    let read = Certificate::parse(cert);
    let (begin, end) = read.map_or((None, None), |cert| (cert.begin(), cert.end()));
    let of = |time: UnixTime| Some(time.as_secs());
    let (whose, when, ended) = match error {
        Bad::ExpiredContext { not_after, .. } => (of(*not_after) == end, of(*not_after), true),
        Bad::NotValidYetContext { not_before, .. } => (of(*not_before) == begin, of(*not_before), false),
        Bad::NotValidYet => (true, begin, false),
        _ => (true, end, true),
    };
    let whose = match whose {
        true => "it",
        false => "the certificate of the authority that issued it",
    };
    let shown = when.map(date).unwrap_or_else(|| "an unknown date".into());
    match ended {
        true => format!("{whose} expired on {shown}"),
        false => format!("{whose} is not valid before {shown}"),
    }
}

/// `Mon, 01 Jan 2001 00:00:00 GMT`, from seconds since 1970.
pub(super) fn date(seconds: u64) -> String {
    // httpdate panics for later years.
    const YEAR_10_000: u64 = 253_402_300_800;
    match seconds < YEAR_10_000 {
        true => httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
        false => "a date after the year 9999".into(),
    }
}

/// The name in webpki's form `DnsName("vc.example.com")`.
fn name_in(shown: &str) -> &str {
    let within = shown.split_once('(').map_or(shown, |(_, name)| name);
    within.trim_end_matches(')').trim_matches('"')
}
