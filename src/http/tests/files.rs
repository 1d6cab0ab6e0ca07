//! The files with certificates and keys, and the system's store.

use crate::error::Classify as _;
use rcgen::KeyPair;
use tempfile::NamedTempFile;

use super::trust::{file, named, params, pem};
use super::*;

#[test]
fn files_that_can_not_be_used() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let cert = params(&["me"]).self_signed(&key).unwrap();
    let (good_cert, good_key) = (file(cert.pem()), file(key.serialize_pem()));
    let missing = std::path::Path::new("no/such/file");
    let mut endpoint = Endpoint::new(Base::parse("https://127.0.0.1:1", 0, "").unwrap());
    endpoint.proxy = Proxy::none("the test");
    let mut fails = |trust: Trust, identity: Option<(&NamedTempFile, &std::path::Path)>, wanted: &str| {
        endpoint.trust = trust;
        endpoint.identity = identity.map(|(cert, key)| Identity {
            cert: cert.path().to_owned(),
            key: key.to_owned(),
        });
        let error = Http::new(&endpoint, &Cancel::default()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!(error.kind(), Kind::Config);
    };
    let authorities = |path: &std::path::Path| Trust::Authorities(path.to_owned());
    fails(
        authorities(missing),
        None,
        "no/such/file: No such file or directory",
    );
    let empty = file("");
    fails(authorities(empty.path()), None, "it holds no certificate in PEM");
    fails(
        authorities(good_key.path()),
        None,
        "it holds no certificate in PEM",
    );
    let damaged = file(cert.pem().replace('M', "!"));
    fails(authorities(damaged.path()), None, "its PEM is damaged");

    let insecure = || Trust::Insecure;
    fails(
        insecure(),
        Some((&good_cert, missing)),
        "no/such/file: No such file",
    );
    fails(
        insecure(),
        Some((&empty, good_key.path())),
        "it holds no certificate in PEM",
    );
    fails(
        insecure(),
        Some((&good_cert, good_cert.path())),
        "it holds no private key in PEM",
    );
    let other = file(other.serialize_pem());
    fails(
        insecure(),
        Some((&good_cert, other.path())),
        "the key does not belong to the certificate in",
    );
    let encrypted = file(pem("ENCRYPTED PRIVATE KEY", b"x"));
    fails(
        insecure(),
        Some((&good_cert, encrypted.path())),
        "the key is encrypted",
    );
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    fails(
        insecure(),
        Some((&good_cert, file(old).path())),
        "the key is encrypted",
    );
    let garbage = file(pem("PRIVATE KEY", b"x"));
    fails(
        insecure(),
        Some((&good_cert, garbage.path())),
        "the key is damaged",
    );
}

#[test]
fn the_systems_authorities_are_those_of_the_environment() {
    let (config, authority) = named("127.0.0.1");
    let server = Server::with_tls(config);
    let empty = file("");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(authority.path(), folder.path().join("ours.pem")).unwrap();
    let mut endpoint = server.endpoint("https", "127.0.0.1");
    for (variable, path, wanted) in [
        ("SSL_CERT_FILE", authority.path(), None),
        ("SSL_CERT_DIR", folder.path(), None),
        (
            "SSL_CERT_FILE",
            empty.path(),
            Some(format!("(SSL_CERT_FILE={})", empty.path().display())),
        ),
        (
            "SSL_CERT_FILE",
            std::path::Path::new("no/such/file"),
            Some("(SSL_CERT_FILE=no/such/file; no/such/file: No such file or directory)".to_owned()),
        ),
    ] {
        endpoint.environment = Environment::new(|name| (name == variable).then(|| path.into()));
        match (get(&endpoint), wanted) {
            (Ok(answer), None) => assert_eq!(answer, "hello"),
            (Err(error), Some(wanted)) => {
                let wanted = format!("no trusted authorities were found on this system {wanted}");
                assert_eq!((error.to_string(), error.kind()), (wanted, Kind::Config));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_file_of_certificates_has_a_limit() {
    let mut endpoint = Endpoint::new(Base::parse("https://127.0.0.1:1", 0, "").unwrap());
    endpoint.proxy = Proxy::none("the test");
    let zero = || std::path::PathBuf::from("/dev/zero");
    let good = file(
        params(&["me"])
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .pem(),
    );
    let identity = |cert: &std::path::Path| Identity {
        cert: cert.to_owned(),
        key: zero(),
    };
    for (trust, identity) in [
        (Trust::Authorities(zero()), None),
        (Trust::SystemAnd(vec![zero()]), None),
        (Trust::Insecure, Some(identity(&zero()))),
        (Trust::Insecure, Some(identity(good.path()))),
    ] {
        endpoint.trust = trust;
        endpoint.identity = identity;
        let error = Http::new(&endpoint, &Cancel::default()).unwrap_err();
        let wanted = "/dev/zero: it is larger than 8 MiB, so it is not a file of certificates or keys";
        assert_eq!(
            (error.to_string(), error.kind()),
            (wanted.to_owned(), Kind::Config)
        );
    }
}
