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

/// Runs in a process of its own, below, whose environment names the authorities.
#[test]
#[ignore = "is run by the_systems_authorities_are_those_of_the_environment"]
fn with_the_systems_authorities() {
    let base = Base::parse(&std::env::var("VW_TEST_SERVER").unwrap(), 0, "").unwrap();
    let mut endpoint = Endpoint::new(base);
    endpoint.proxy = Proxy::none("the test");
    let outcome = Http::new(&endpoint, &Cancel::default()).and_then(|http| http.send(&Request::get("/")));
    match outcome {
        Ok(response) => println!("outcome: {}", response.status()),
        Err(error) => println!("outcome: {error} {:?}", error.kind()),
    }
}

#[test]
fn the_systems_authorities_are_those_of_the_environment() {
    let (config, authority) = named("127.0.0.1");
    let server = Server::with_tls(config);
    let empty = file("");
    let name = "http::tests::files::with_the_systems_authorities";
    for (named, wanted) in [
        (authority.path(), "outcome: 200".to_owned()),
        (
            empty.path(),
            format!(
                "(SSL_CERT_FILE={}); name a file of them with --cacert Config",
                empty.path().display()
            ),
        ),
        (
            std::path::Path::new("no/such/file"),
            "(SSL_CERT_FILE=no/such/file; ".to_owned(),
        ),
    ] {
        let ran = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env_remove("SSL_CERT_DIR")
            .env("SSL_CERT_FILE", named)
            .env("VW_TEST_SERVER", format!("https://{}", server.address))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(said.contains(&wanted), "{said}");
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
