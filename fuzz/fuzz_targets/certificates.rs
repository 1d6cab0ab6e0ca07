//! Files of certificates and keys: PEM or, in PEM, any bytes as DER.

use std::fs;
use std::path::Path;

use vw::cancel::Cancel;
use vw::http::{Base, Endpoint, Http, Identity, Proxy, Trust, common_name};
use vw::systems::candlepin;

thread_local! {
    static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().expect("a file");
}

pub fn run(bytes: &[u8]) {
    FILE.with(|file| {
        let path = file.path();
        fs::write(path, bytes).expect("a file that can be written");
        read(path);
        fs::write(path, pem(bytes)).expect("a file that can be written");
        let name = read(path);
        // What stands before and after a certificate is text for people.
        fs::write(path, format!("subject=/CN=x\n{}\nmore text\n", pem(bytes)))
            .expect("a file that can be written");
        assert_eq!(read(path), name);
    });
}

/// The common name in the first certificate.
fn read(path: &Path) -> Option<String> {
    let cancel = Cancel::default();
    let name = common_name(path, &cancel).ok()?;
    let consumer = candlepin::consumer(path, &cancel).ok();
    assert_eq!(consumer, name.clone().filter(|name| !name.is_empty()));
    // A file with a certificate can be an authority or an identity, or the error says why not.
    let mut endpoint = Endpoint::new(Base::parse("server.example.com", 443, "").expect("an address"));
    endpoint.proxy = Proxy::none("the fuzzer");
    endpoint.trust = Trust::Authorities(path.to_owned());
    endpoint.identity = Some(Identity {
        cert: path.to_owned(),
        key: path.to_owned(),
    });
    if let Err(error) = Http::new(&endpoint, &cancel) {
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    }
    name
}

fn pem(der: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for three in der.chunks(3) {
        let number = three
            .iter()
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() as u32 {
                digit.into()
            } else {
                '='
            });
        }
    }
    text + "\n-----END CERTIFICATE-----\n"
}
