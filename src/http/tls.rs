//! TLS below HTTP: how the server's certificate is verified, our own certificate, and a transport for ureq.
//!
//! | server's certificate | by authority | by thumbprint | insecure |
//! |---|---|---|---|
//! | with subjectAltName | accepted | accepted | accepted |
//! | a CN only, or another name | refused | accepted | accepted |
//! | self-signed, and itself among the authorities | accepted | accepted | accepted |
//! | X.509 version 1 | refused | accepted | accepted |
//!
//! rustls with ring speaks TLS 1.3, and TLS 1.2 with ECDHE.

mod certificate;
mod failure;
mod files;
mod verify;

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned};
use ureq::Timeout;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use self::certificate::Certificate;
use self::files::{certificates, private_key, system_certificates};
use self::verify::{Check, Verifier};
use super::dial::time_left;
use super::link::{Link, is_cut};
use super::{Base, Error, Limit, Thumbprint};
use crate::cancel::Cancel;
use crate::environment::Environment;

/// How the server's certificate is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that the system trusts, or those that the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead.
    #[default]
    System,
    /// The authorities that the system trusts, and those in these PEM files.
    SystemAnd(Vec<PathBuf>),
    /// The authorities in this PEM file, or the server whose own certificate is in it. A certificate that is not an
    /// authority's (CA:TRUE) is trusted for itself only.
    Authorities(PathBuf),
    /// The server that has this certificate, whatever its name, dates and authority are.
    Thumbprint(Thumbprint),
    /// Any server: the connection is encrypted, but the other end may be anyone.
    Insecure,
}

/// By what the server is trusted, for messages.
impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trust::System => f.write_str("the system's authorities"),
            Trust::SystemAnd(files) => {
                f.write_str("the system's authorities")?;
                files
                    .iter()
                    .try_for_each(|file| write!(f, ", {}", file.display()))
            }
            Trust::Authorities(file) => write!(f, "the certificates in {}", file.display()),
            Trust::Thumbprint(thumbprint) => write!(f, "the thumbprint {thumbprint}"),
            Trust::Insecure => f.write_str("no verification at all"),
        }
    }
}

/// A certificate and key that identify us to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate in PEM, followed by those of its authorities if the server needs them.
    pub cert: PathBuf,
    /// Its private key in PEM (PKCS#8, PKCS#1 or SEC1), not encrypted. It may be the same file.
    pub key: PathBuf,
}

/// The common name in the first certificate of a PEM file. `None` if the certificate has no common name, or one that is not text.
///
/// Fails with [`Error::File`] if there is no certificate in the file.
pub fn common_name(path: &Path, cancel: &Cancel) -> Result<Option<String>, Error> {
    let all = certificates(path, cancel)?;
    match all.first().and_then(|first| Certificate::parse(first)) {
        Some(first) => Ok(first.subject_name()),
        None => Err(Error::File {
            path: path.to_owned(),
            reason: "its certificate is damaged".to_owned(),
        }),
    }
}

/// Starts TLS on connections to one server.
#[derive(Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// By what the server is trusted, for debug messages.
    trust: String,
    /// Whether the debug message about the first connection has been written.
    logged: Arc<AtomicBool>,
}

impl Tls {
    /// Reads all files that the settings name.
    pub(super) fn new(
        base: &Base,
        trust: &Trust,
        identity: Option<&Identity>,
        environment: &Environment,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let name = ServerName::try_from(base.host.clone()).map_err(|_| Error::Address {
            text: base.host.clone(),
            reason: "it is not a valid name for TLS",
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let check = check(trust, &provider, environment, cancel)?;
        let verifier = Verifier::new(check, provider.signature_verification_algorithms);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Tls {
                server: base.authority(),
                reason: error.to_string(),
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { cert, key }) => builder
                .with_client_auth_cert(certificates(cert, cancel)?, private_key(key, cancel)?)
                .map_err(|error| Error::File {
                    path: key.clone(),
                    reason: match error {
                        rustls::Error::InconsistentKeys(_) => {
                            format!("the key does not belong to the certificate in {}", cert.display())
                        }
                        _ => "the key is damaged, or of a kind that TLS does not use".to_owned(),
                    },
                })?,
        };
        Ok(Tls {
            config: Arc::new(config),
            name,
            trust: trust.to_string(),
            logged: Arc::default(),
        })
    }

    /// Writes a debug message about the first connection: version, cipher, and the server's certificate.
    fn log_once(&self, server: &str, conn: &ClientConnection) {
        if self.logged.swap(true, Ordering::Relaxed) {
            return;
        }
        let version = match conn.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS 1.3",
        };
        let cipher = conn
            .negotiated_cipher_suite()
            .map(|suite| suite.suite())
            .and_then(|suite| suite.as_str())
            .unwrap_or("an unnamed cipher");
        let cert = conn.peer_certificates().and_then(|all| all.first());
        let shown = cert.map(|cert| {
            let end = Certificate::parse(cert)
                .and_then(|cert| cert.end())
                .map(verify::date);
            let end = end.map(|end| format!(", valid until {end}")).unwrap_or_default();
            format!(
                "; the server's certificate is SHA256:{}{end}",
                Thumbprint::of(cert)
            )
        });
        let (trust, shown) = (&self.trust, shown.unwrap_or_default());
        log::debug!("{server}: {version}, {cipher}, trusted by {trust}{shown}");
    }

    /// Starts TLS on a connection.
    pub(super) fn start(
        &self,
        transport: Box<dyn Transport>,
        link: &Link,
        details: &ConnectionDetails<'_>,
    ) -> Result<Box<dyn Transport>, ureq::Error> {
        let server = link.server.as_str();
        let mut conn = ClientConnection::new(self.config.clone(), self.name.clone())
            .map_err(|error| failure::explain(server, &error))?;
        let mut sock = TransportAdapter::new(transport, details.current_time.clone());
        sock.set_timeout(time_left(details));
        conn.complete_io(&mut sock)
            .map_err(|error| not_started(link, error))?;
        self.log_once(server, &conn);
        Ok(Box::new(TlsTransport {
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            stream: StreamOwned::new(conn, sock),
            server: link.server.clone(),
        }))
    }
}

/// Why the handshake failed.
fn not_started(link: &Link, error: io::Error) -> ureq::Error {
    let server = link.server.clone();
    if let Some(error) = failure::within(&error) {
        return failure::explain(&server, error).into();
    }
    if is_cut(&error) {
        let reason = "the connection ended while TLS was being started; does this port speak TLS?".into();
        return Error::Unreachable { server, reason }.into();
    }
    match error.into() {
        ureq::Error::Timeout(Timeout::Connect) => {
            let limit = Limit::Tls(link.connect_limit);
            Error::Timeout { server, limit }.into()
        }
        error => error,
    }
}

/// A connection with TLS.
struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    server: String,
}

impl TlsTransport {
    /// Our error for one of TLS while reading or writing, such as an alert; others stay as they are.
    fn failed(&self, error: io::Error) -> ureq::Error {
        match failure::within(&error) {
            Some(error) => failure::explain(&self.server, error).into(),
            None => error.into(),
        }
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let written = self.stream.write_all(&self.buffers.output()[..amount]);
        written.map_err(|error| self.failed(error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf());
        let amount = read.map_err(|error| self.failed(error))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

/// The check for a kind of trust.
fn check(
    trust: &Trust,
    provider: &Arc<CryptoProvider>,
    environment: &Environment,
    cancel: &Cancel,
) -> Result<Check, Error> {
    let system = || system_certificates(environment, cancel);
    let own = match trust {
        Trust::Thumbprint(thumbprint) => return Ok(Check::Thumbprint(*thumbprint)),
        Trust::Insecure => return Ok(Check::Nothing),
        Trust::System => system()?,
        Trust::Authorities(file) => certificates(file, cancel)?,
        Trust::SystemAnd(files) => {
            let own: Result<Vec<_>, _> = files.iter().map(|file| certificates(file, cancel)).collect();
            let own = own?.concat();
            match system() {
                Ok(system) => [system, own].concat(),
                // The named files are enough if the system has no authorities.
                Err(Error::NoAuthorities { .. }) if !own.is_empty() => own,
                Err(error) => return Err(error),
            }
        }
    };
    Ok(authorities(own, provider))
}

/// Trusts what the authorities among these certificates have signed, and each of these certificates itself: administrators put a
/// self-signed certificate among the authorities, too. webpki alone would take any of them for an authority.
fn authorities(own: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Check {
    let mut roots = RootCertStore::empty();
    let is_authority =
        |cert: &&CertificateDer<'_>| Certificate::parse(cert).is_some_and(|cert| cert.is_authority());
    roots.add_parsable_certificates(own.iter().filter(is_authority).cloned());
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let chain = chain.ok();
    Check::Chain { chain, own }
}
