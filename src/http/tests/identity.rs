//! Client certificates.

use rcgen::{DnType, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::NamedTempFile;

use super::der::elements;
use super::trust::{VERSIONS, authority, file, params, pem};
use super::*;
use crate::error::Classify as _;

/// The key in SEC1's form, which is the inner one of a PKCS#8 key for an elliptic curve (RFC 5208, 5; RFC 5915, 4).
fn sec1(key: &KeyPair) -> String {
    let der = key.serialize_der();
    let inner = elements(elements(&der)[0].1)[2].1;
    pem("EC PRIVATE KEY", inner)
}

#[test]
fn our_own_certificate() {
    let (authority, key, ours) = (
        authority("ours"),
        KeyPair::generate().unwrap(),
        KeyPair::generate().unwrap(),
    );
    let cert = params(&["127.0.0.1"]).signed_by(&key, &authority).unwrap();
    let mut about_us = params(&["me"]);
    about_us.distinguished_name.push(DnType::CommonName, "me");
    let our_cert = about_us.signed_by(&ours, &authority).unwrap();
    let stranger = about_us.self_signed(&ours).unwrap();
    let (cert_file, both) = (file(our_cert.pem()), file(sec1(&ours) + &our_cert.pem()));
    let (pkcs8, stranger) = (file(ours.serialize_pem()), file(stranger.pem()));
    for version in VERSIONS {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let asks = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(asks)
            .with_single_cert(
                vec![cert.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .unwrap();
        let server = Server::with_tls(config);
        let mut endpoint = server.endpoint("https", "127.0.0.1");
        let trusted = file(authority.pem());
        endpoint.trust = Trust::Authorities(trusted.path().to_owned());
        let mut with = |cert: &NamedTempFile, key: &NamedTempFile| {
            endpoint.identity = Some(Identity {
                cert: cert.path().to_owned(),
                key: key.path().to_owned(),
            });
            get(&endpoint)
        };
        assert_eq!(with(&cert_file, &pkcs8), Ok("hello".into()));
        assert_eq!(with(&both, &both), Ok("hello".into()));
        let error = with(&stranger, &pkcs8).unwrap_err();
        assert!(matches!(error, Error::ClientCertificate { .. }), "{error:?}");
        endpoint.identity = None;
        let error = get(&endpoint).unwrap_err();
        assert!(
            matches!(error, Error::ClientCertificate { .. } | Error::Tls { .. }),
            "{error:?}"
        );
        if *version == rustls::version::TLS13 {
            let wanted = format!(
                "{}: the server does not accept our certificate: it requires one",
                name(&server)
            );
            assert_eq!((error.to_string(), error.kind()), (wanted, Kind::NoPerm));
        }
    }
}
