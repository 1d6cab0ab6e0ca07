//! The server's certificates, for each row of the table in [`tls`](super::super::tls).

use crate::error::Classify as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SigningKey as _,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tempfile::NamedTempFile;

use super::der::{element, fields, name as subject, validity};
use super::*;

pub(super) const VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];

pub(super) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(super) fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub(super) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

pub(super) fn file(text: impl AsRef<[u8]>) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_ref()).unwrap();
    file
}

pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

fn config(
    cert: &CertificateDer<'_>,
    key: &KeyPair,
    version: &'static SupportedProtocolVersion,
) -> ServerConfig {
    chain(vec![cert.clone().into_owned()], key, version)
}

/// A server that shows several certificates, the first of which is its own.
fn chain(
    certs: Vec<CertificateDer<'static>>,
    key: &KeyPair,
    version: &'static SupportedProtocolVersion,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // A resolver takes any certificate, even one that rustls can't read.
    let signing = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(certs, signing);
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)))
}

/// A server's settings for a name, and a file with its authority.
pub(super) fn named(name: &str) -> (ServerConfig, NamedTempFile) {
    let (authority, key) = (authority("ours"), KeyPair::generate().unwrap());
    let cert = params(&[name]).signed_by(&key, &authority).unwrap();
    (
        config(cert.der(), &key, &rustls::version::TLS13),
        file(authority.pem()),
    )
}

fn sha256(der: &[u8]) -> Thumbprint {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    Thumbprint(digest.as_ref().try_into().unwrap())
}

/// The results of connecting with each kind of trust: a file of authorities, the thumbprint, none.
fn by_each(cert: &CertificateDer<'_>, key: &KeyPair, trusted: &str) -> Vec<Result<String, Error>> {
    let authorities = file(trusted);
    let mut outcomes = Vec::new();
    for version in VERSIONS {
        let server = Server::with_tls(config(cert, key, version));
        let mut endpoint = server.endpoint("https", "127.0.0.1");
        for trust in [
            Trust::Authorities(authorities.path().to_owned()),
            Trust::Thumbprint(sha256(cert)),
            Trust::Insecure,
        ] {
            endpoint.trust = trust;
            outcomes.push(get(&endpoint));
        }
    }
    outcomes
}

/// All three kinds accept it, with TLS 1.2 and 1.3.
fn accepted(cert: &CertificateDer<'_>, key: &KeyPair, trusted: &str) {
    assert_eq!(by_each(cert, key, trusted), vec![Ok("hello".to_owned()); 6]);
}

/// The file of authorities refuses it for this reason; the others accept it.
fn refused(cert: &CertificateDer<'_>, key: &KeyPair, trusted: &str, wanted: &str) {
    for outcomes in by_each(cert, key, trusted).chunks(3) {
        match &outcomes[0] {
            Err(
                error @ Error::Untrusted {
                    reason, thumbprint, ..
                },
            ) => {
                assert_eq!(
                    (reason.as_str(), *thumbprint, error.kind()),
                    (wanted, sha256(cert), Kind::NoPerm)
                );
            }
            other => panic!("{wanted}: {other:?}"),
        }
        assert_eq!(outcomes[1..], vec![Ok("hello".to_owned()); 2]);
    }
}

#[test]
fn a_certificate_of_an_authority() {
    let (other, namesake) = (authority("other"), authority("ours"));
    let (authority, key) = (authority("ours"), KeyPair::generate().unwrap());
    let issued = |params: CertificateParams| params.signed_by(&key, &authority).unwrap();
    let trusted = other.pem() + &authority.pem();
    accepted(issued(params(&["127.0.0.1"])).der(), &key, &trusted);
    let cert = issued(params(&["127.0.0.1"]));
    refused(
        cert.der(),
        &key,
        &other.pem(),
        "no trusted authority has signed it (its issuer is \"ours\")",
    );
    let wanted = "it is not signed by the trusted authority of that name, but by another";
    refused(cert.der(), &key, &namesake.pem(), wanted);
    refused(
        issued(params(&["a.example.com", "10.0.0.1"])).der(),
        &key,
        &trusted,
        "it is for a.example.com, 10.0.0.1, not for 127.0.0.1",
    );
    let mut only_cn = params(&[]);
    only_cn.distinguished_name.push(DnType::CommonName, "127.0.0.1");
    refused(
        issued(only_cn).der(),
        &key,
        &trusted,
        "it has no subjectAltName, only the CN \"127.0.0.1\", and a CN does not count",
    );
    let mut old = params(&["127.0.0.1"]);
    old.not_after = date_time_ymd(2020, 1, 1);
    refused(
        issued(old.clone()).der(),
        &key,
        &trusted,
        "it expired on Wed, 01 Jan 2020 00:00:00 GMT",
    );
    old.not_before = date_time_ymd(4000, 1, 1);
    old.not_after = date_time_ymd(4001, 1, 1);
    refused(
        issued(old).der(),
        &key,
        &trusted,
        "it is not valid before Sat, 01 Jan 4000 00:00:00 GMT",
    );
}

#[test]
fn a_certificate_that_is_trusted_for_itself() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    for is_ca in [
        IsCa::NoCa,
        IsCa::ExplicitNoCa,
        IsCa::Ca(BasicConstraints::Unconstrained),
    ] {
        let own = |params: CertificateParams| {
            let mut params = params;
            params.is_ca = is_ca;
            params.self_signed(&key).unwrap()
        };
        let cert = own(params(&["127.0.0.1"]));
        accepted(cert.der(), &key, &cert.pem());
        let cert = own(params(&["a.example.com"]));
        refused(
            cert.der(),
            &key,
            &cert.pem(),
            "it is for a.example.com, not for 127.0.0.1",
        );
        let mut old = params(&["127.0.0.1"]);
        old.not_after = date_time_ymd(2020, 1, 1);
        let cert = own(old);
        refused(
            cert.der(),
            &key,
            &cert.pem(),
            "it expired on Wed, 01 Jan 2020 00:00:00 GMT",
        );
    }
    let mut new = params(&["127.0.0.1"]);
    new.not_before = date_time_ymd(4000, 1, 1);
    new.not_after = date_time_ymd(4001, 1, 1);
    let cert = new.self_signed(&key).unwrap();
    refused(
        cert.der(),
        &key,
        &cert.pem(),
        "it is not valid before Sat, 01 Jan 4000 00:00:00 GMT",
    );
}

/// A self-signed certificate of X.509 version 1, as some appliances have it: no version, no extensions.
fn version_1(key: &KeyPair) -> CertificateDer<'static> {
    let newer = params(&["127.0.0.1"]).self_signed(key).unwrap();
    signed(&fields(newer.der())[1..7], key)
}

/// A certificate of these fields, signed by `key`.
fn signed(fields: &[Vec<u8>], key: &KeyPair) -> CertificateDer<'static> {
    let signed = element(0x30, &fields.concat());
    let algorithm = fields.iter().find(|field| field[0] == 0x30).unwrap();
    let signature = [&[0][..], &key.sign(&signed).unwrap()].concat();
    element(
        0x30,
        &[&signed[..], algorithm, &element(0x03, &signature)].concat(),
    )
    .into()
}

/// Some appliances make certificates that OpenSSL accepts and x509-cert refuses as a whole: a serial number that is negative or
/// too long, a name with characters that its type does not have, a date before 1970.
#[test]
fn odd_certificates() {
    const UTC_TIME: u8 = 0x17;
    let key = KeyPair::generate().unwrap();
    let newer = params(&["127.0.0.1"]).self_signed(&key).unwrap();
    let odd = |at: usize, field: Vec<u8>| {
        let mut fields = fields(newer.der());
        fields[at] = field;
        signed(&fields, &key)
    };
    let bmp = subject(&[(0x1e, b"\0v\0c")]);
    for (cert, wanted) in [
        (odd(1, element(0x02, &[0x80])), None),
        (odd(5, bmp), None),
        (odd(5, subject(&[])), None),
        (odd(5, subject(&[(0x14, b"Z\xfcrich")])), None),
        (odd(5, subject(&[(0x13, b"a*b"), (0x13, b"c@d")])), None),
        (odd(1, element(0x02, &[0x7f; 90])), None),
        (
            odd(
                4,
                validity((UTC_TIME, "600101000000Z"), (UTC_TIME, "491231235959Z")),
            ),
            None,
        ),
        (
            odd(
                4,
                validity((UTC_TIME, "700101000000Z"), (UTC_TIME, "4912312359Z")),
            ),
            Some("the date when it expires is unreadable"),
        ),
    ] {
        let trusted = pem("CERTIFICATE", &cert);
        match wanted {
            None => accepted(&cert, &key, &trusted),
            Some(wanted) => refused(&cert, &key, &trusted, wanted),
        }
    }
}

#[test]
fn a_certificate_of_version_1() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let cert = version_1(&key);
        refused(
            &cert,
            &key,
            &pem("CERTIFICATE", &cert),
            "it is of X.509 version 1",
        );
    }
}

/// As for curl and openssl: otherwise the owner of an ordinary certificate in the file could impersonate any server.
#[test]
fn only_an_authority_can_sign_others() {
    let issuer = |is_ca| {
        let mut params = params(&["127.0.0.1"]);
        params.distinguished_name.push(DnType::CommonName, "issuer");
        params.is_ca = is_ca;
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let key = KeyPair::generate().unwrap();
    let by = |issuer: &Authority| params(&["127.0.0.1"]).signed_by(&key, issuer).unwrap();
    let real = issuer(IsCa::Ca(BasicConstraints::Unconstrained));
    accepted(by(&real).der(), &key, &real.pem());
    let reason = "the trusted certificate that has signed it is not an authority's (CA:TRUE is missing)";
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        let leaf = issuer(is_ca);
        let forged = by(&leaf);
        let none = "none of the given certificates is an authority's (CA:TRUE), or the server's own";
        refused(forged.der(), &key, &leaf.pem(), none);
        let other = authority("other").pem();
        refused(forged.der(), &key, &(other + &leaf.pem()), reason);
        // It is trusted for itself.
        accepted(leaf.der(), leaf.key(), &leaf.pem());
    }
    // A certificate of version 1 can't say CA:TRUE.
    let leaf = issuer(IsCa::NoCa);
    let old = signed(&fields(leaf.der())[1..7], leaf.key());
    let trusted = authority("other").pem() + &pem("CERTIFICATE", &old);
    refused(by(&leaf).der(), &key, &trusted, reason);
}

/// The owner of an ordinary certificate of a trusted authority signs another certificate with it.
#[test]
fn an_intermediate_certificate_must_be_an_authoritys() {
    let trusted = authority("ours");
    let file = file(trusted.pem());
    let key = KeyPair::generate().unwrap();
    for (is_ca, wanted) in [
        (IsCa::Ca(BasicConstraints::Unconstrained), None),
        (
            IsCa::ExplicitNoCa,
            Some("it is signed by a certificate that is not an authority's (CA:TRUE is missing)"),
        ),
    ] {
        let mut between = params(&["127.0.0.1"]);
        between.is_ca = is_ca;
        let between = CertifiedIssuer::signed_by(between, KeyPair::generate().unwrap(), &trusted).unwrap();
        let cert = params(&["127.0.0.1"]).signed_by(&key, &between).unwrap();
        for version in VERSIONS {
            let certs = vec![cert.der().clone(), between.der().clone()];
            let server = Server::with_tls(chain(certs, &key, version));
            let mut endpoint = server.endpoint("https", "127.0.0.1");
            endpoint.trust = Trust::Authorities(file.path().to_owned());
            match (get(&endpoint), wanted) {
                (Ok(_), None) => {}
                (Err(Error::Untrusted { reason, .. }), Some(wanted)) => assert_eq!(reason, wanted),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn plain_http_to_a_port_with_tls() {
    let (config, _authority) = named("127.0.0.1");
    let server = Server::with_tls(config);
    let error = get(&server.plain()).unwrap_err();
    let wanted = format!("{} speaks TLS on this port", name(&server));
    assert_eq!((error.to_string(), error.kind()), (wanted, Kind::Protocol));
}

#[test]
fn a_thumbprint_of_another_certificate_and_a_server_without_the_key() {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let cert = params(&["127.0.0.1"]).self_signed(&key).unwrap();
    for version in VERSIONS {
        let mut endpoint = Server::with_tls(config(cert.der(), &key, version)).endpoint("https", "127.0.0.1");
        endpoint.trust = Trust::Thumbprint(Thumbprint([7; 32]));
        let error = get(&endpoint).unwrap_err();
        let wanted = format!(
            "{server}: its certificate is not trusted: its thumbprint is {}, not the one given",
            sha256(cert.der()),
            server = endpoint.base.authority(),
        );
        assert_eq!((error.to_string(), error.kind()), (wanted, Kind::NoPerm));

        // A server shows the certificate, which is public, but has another key.
        let mut endpoint =
            Server::with_tls(config(cert.der(), &other, version)).endpoint("https", "127.0.0.1");
        let authorities = file(cert.pem());
        for trust in [
            Trust::Thumbprint(sha256(cert.der())),
            Trust::Authorities(authorities.path().to_owned()),
        ] {
            endpoint.trust = trust;
            let error = get(&endpoint).unwrap_err();
            assert!(error.to_string().contains("does not have the key"), "{error}");
        }
    }
}

#[test]
fn a_port_without_tls() {
    let server = Server::start(|_, mut stream, _| {
        let _ = stream.read(&mut [0; 1000]);
        stream.send("HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = stream.read(&mut [0; 1000]);
    });
    let mut endpoint = server.endpoint("https", "127.0.0.1");
    endpoint.trust = Trust::Insecure;
    let error = get(&endpoint).unwrap_err();
    let wanted = format!(
        "{}: no TLS connection: the server does not speak TLS on this port; is the port right, or does it speak plain HTTP \
         (http://)?",
        name(&server)
    );
    assert_eq!((error.to_string(), error.kind()), (wanted, Kind::Protocol));

    let mut endpoint =
        Server::start(|_, mut stream, _| drop(stream.read(&mut [0; 1000]))).endpoint("https", "127.0.0.1");
    endpoint.trust = Trust::Insecure;
    let error = get(&endpoint).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("does this port speak TLS?"), "{error}");
}

#[test]
fn a_connection_with_tls_is_kept_and_its_cut_is_noticed() {
    let (server, authority) = named("localhost");
    let server = Server::with_tls(server);
    let mut endpoint = server.endpoint("https", "127.0.0.1");
    endpoint.trust = Trust::Insecure;
    let client = http(&endpoint);
    for _ in 0..3 {
        let response = client.send(&Request::post("/", "text/plain", b"x")).unwrap();
        assert_eq!(response.read(5).unwrap(), b"hello");
    }
    assert_eq!((server.connections(), server.seen().len()), (1, 3));
    let mut by_name = server.endpoint("https", "localhost");
    by_name.trust = Trust::Authorities(authority.path().to_owned());
    assert_eq!(get(&by_name).unwrap(), "hello");

    let config = Arc::new(named("localhost").0);
    let server = Server::start(move |_, stream, _| {
        let mut stream = server::tls(stream, &config);
        stream.request();
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    });
    let mut endpoint = server.endpoint("https", "127.0.0.1");
    endpoint.trust = Trust::Insecure;
    assert_eq!(
        get(&endpoint),
        Err(Error::Cut {
            server: name(&server),
            unanswered: false,
        })
    );
}
