//! TLS under HTTP: whom to trust, who we are, and a transport for ureq.
//!
//! | server's certificate | by authority | by thumbprint | insecure |
//! |---|---|---|---|
//! | with subjectAltName | accepted | accepted | accepted |
//! | a CN only, or another name | refused | accepted | accepted |
//! | self-signed, and itself among the authorities | accepted | accepted | accepted |
//! | X.509 version 1 | refused | accepted | accepted |
//!
//! TLS 1.2 with ECDHE and TLS 1.3 are spoken, by rustls with ring.

mod der;
mod files;
mod verify;

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, ProtocolVersion, RootCertStore,
    StreamOwned,
};
use ureq::Timeout;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::connect::{carried, time_left};
use super::{Base, Error, Limit, Link};
use files::{certificates, private_key, system_certificates};
use verify::{Check, Distrust, Verifier};

use crate::cancel::Cancel;
use crate::text::hex;

/// How the server's certificate is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    #[default]
    System,
    /// The authorities that the system trusts, and those in these PEM files.
    SystemAnd(Vec<PathBuf>),
    /// The authorities in this PEM file, or the server whose own certificate is in it. A certificate that is not an
    /// authority's (CA:TRUE) is trusted for itself only.
    Authorities(PathBuf),
    /// The server that has this certificate, whatever name, dates and authority it shows.
    Thumbprint(Thumbprint),
    /// Anyone: the connection is secret, but nobody knows with whom.
    Insecure,
}

/// For messages: by what the server is trusted.
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

/// What is wrong with a certificate that is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// No trusted authority has signed it.
    Issuer,
    /// It is for another name.
    Name,
    /// It has expired, or is not valid yet.
    Date,
    /// Its thumbprint is not the given one.
    Thumbprint,
    /// Something else.
    Other,
}

/// A certificate and key that say who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate in PEM, and after it those of its authorities, if the server needs them.
    pub cert: PathBuf,
    /// Its private key in PEM (PKCS#8, PKCS#1 or SEC1), not encrypted. It may be the same file.
    pub key: PathBuf,
}

/// The SHA-256 of a certificate, written as `openssl x509 -fingerprint -sha256` prints it.
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

/// The text is not a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a thumbprint is a SHA-256: 64 hex digits, with or without colons (40 digits are a SHA-1, which is not enough)"
)]
pub struct BadThumbprint;

/// Reads 64 hex digits in either case, with colons or blanks between the pairs or without. `SHA256:` may stand before them, or
/// `sha256 Fingerprint=`, as openssl prints it.
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

/// The first certificate in a PEM file, in DER: that of a server or client, with its authorities behind it.
pub fn first_certificate(path: &Path, cancel: &Cancel) -> Result<Vec<u8>, Error> {
    let first = certificates(path, cancel)?.into_iter().next();
    Ok(first.map(|cert| cert.to_vec()).unwrap_or_default())
}

/// Starts TLS on connections to one server.
#[derive(Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// By what the server is trusted, for debug messages.
    trust: String,
    /// Whether the first connection was told of.
    told: Arc<AtomicBool>,
}

impl Tls {
    /// Reads all files that the settings name.
    pub(super) fn new(
        base: &Base,
        trust: &Trust,
        identity: Option<&Identity>,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let name = ServerName::try_from(base.host.clone()).map_err(|_| Error::Address {
            text: base.host.clone(),
            reason: "TLS knows no such name",
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let check = match trust {
            Trust::System => authorities(system_certificates(cancel)?, &provider),
            Trust::SystemAnd(files) => {
                let own: Result<Vec<_>, _> = files.iter().map(|file| certificates(file, cancel)).collect();
                let own = own?.concat();
                match system_certificates(cancel) {
                    Ok(system) => authorities([system, own].concat(), &provider),
                    Err(error) if own.is_empty() => return Err(error),
                    Err(error @ Error::Cancelled(_)) => return Err(error),
                    // What was named suffices, where the system has nothing.
                    Err(_) => authorities(own, &provider),
                }
            }
            Trust::Authorities(file) => authorities(certificates(file, cancel)?, &provider),
            Trust::Thumbprint(thumbprint) => Check::Thumbprint(*thumbprint),
            Trust::Insecure => Check::Nothing,
        };
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
        let config = Arc::new(config);
        Ok(Tls {
            config,
            name,
            trust: trust.to_string(),
            told: Arc::default(),
        })
    }

    /// Says by a debug message, once, what was agreed on with the server.
    fn tell(&self, server: &str, conn: &ClientConnection) {
        if self.told.swap(true, Ordering::Relaxed) {
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
            let end = der::Certificate::parse(cert).map(|cert| verify::moment(cert.validity.1));
            let end = end.map(|end| format!(", valid until {end}")).unwrap_or_default();
            format!(
                "; the server's certificate is SHA256:{}{end}",
                verify::thumbprint(cert)
            )
        });
        let (trust, shown) = (&self.trust, shown.unwrap_or_default());
        log::debug!("{server}: {version}, {cipher}, trusted by {trust}{shown}");
    }

    /// Speaks TLS on a connection from now on.
    pub(super) fn start(
        &self,
        transport: Box<dyn Transport>,
        link: &Link,
        details: &ConnectionDetails<'_>,
    ) -> Result<Box<dyn Transport>, ureq::Error> {
        let server = link.server.as_str();
        let mut conn = ClientConnection::new(self.config.clone(), self.name.clone())
            .map_err(|error| carried(explain(server, &error)))?;
        let mut sock = TransportAdapter::new(transport, details.current_time.clone());
        sock.set_timeout(time_left(details));
        conn.complete_io(&mut sock)
            .map_err(|error| match rustls_error(&error) {
                Some(error) => carried(explain(server, error)),
                None if super::is_cut(&error) => carried(Error::Unreachable {
                    server: server.to_owned(),
                    reason: "the connection ended while TLS was being started; does this port speak TLS?"
                        .into(),
                }),
                None => match error.into() {
                    ureq::Error::Timeout(Timeout::Connect) => carried(Error::Timeout {
                        server: server.to_owned(),
                        limit: Limit::Tls(link.connect_limit),
                    }),
                    error => error,
                },
            })?;
        self.tell(server, &conn);
        Ok(Box::new(TlsTransport {
            buffers: LazyBuffers::new(
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            stream: StreamOwned::new(conn, sock),
        }))
    }
}

/// A connection within which TLS is spoken.
struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
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

/// The error of TLS within an error of reading or writing.
pub(super) fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What an error of TLS means for the user.
pub(super) fn explain(server: &str, error: &rustls::Error) -> Error {
    let server = server.to_owned();
    if let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error
        && let Some(distrust) = other.0.downcast_ref::<Distrust>()
    {
        return Error::Untrusted {
            server,
            flaw: distrust.flaw,
            reason: distrust.reason.clone(),
            thumbprint: distrust.thumbprint,
        };
    }
    use AlertDescription as Alert;
    let reason = match error {
        rustls::Error::AlertReceived(
            alert @ (Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied),
        ) => {
            return Error::ClientCertificate {
                server,
                reason: match alert {
                    Alert::CertificateRequired => "it requires one".into(),
                    alert => format!("{alert:?}"),
                },
            };
        }
        rustls::Error::AlertReceived(Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity)
        | rustls::Error::PeerIncompatible(_) => {
            "the server has no version, cipher or kind of key in common with us; we speak TLS 1.3, and 1.2 with ECDHE and \
             AES-GCM or ChaCha20, and know keys of RSA, P-256, P-384 and Ed25519"
                .to_owned()
        }
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port; is the port right, or does it speak plain HTTP (http://)?"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            "the server does not have the key of the certificate that it shows, or that is RSA with less than 2048 bits, which \
             is not supported"
                .to_owned()
        }
        error => error.to_string(),
    };
    Error::Tls { server, reason }
}

/// Trusts what the authorities among these have signed, and each of these itself: an administrator puts a self-signed
/// certificate among the authorities, too. webpki would take any of them for an authority.
fn authorities(own: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Check {
    let mut roots = RootCertStore::empty();
    let is_authority =
        |cert: &&CertificateDer<'_>| der::Role::parse(cert).is_some_and(|role| role.is_authority);
    roots.add_parsable_certificates(own.iter().filter(is_authority).cloned());
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let chain = chain.ok();
    Check::Chain { chain, own }
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
