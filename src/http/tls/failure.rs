//! Errors of TLS, as ours.

use std::io;

use rustls::{AlertDescription, CertificateError};

use super::verify::Distrust;
use crate::http::Error;

/// The error of TLS inside an error of reading or writing.
pub(super) fn within(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Our error for one of TLS.
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
            "the server and this client have no version, cipher or kind of key in common; supported are TLS 1.3, and 1.2 with \
             ECDHE and AES-GCM or ChaCha20, with keys of RSA, P-256, P-384 and Ed25519"
                .to_owned()
        }
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port; is the port right, or does it speak plain HTTP (http://)?"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            "the server does not have the key of its certificate, or the key is RSA with less than 2048 bits, which is not \
             supported"
                .to_owned()
        }
        error => error.to_string(),
    };
    Error::Tls { server, reason }
}
