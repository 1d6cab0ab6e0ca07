//! This machine itself as a registered system: its uuid, and its own guests.

use std::path::Path;

use percent_encoding::utf8_percent_encode;

use super::{Candlepin, Error, PLAIN};
use crate::cancel::Cancel;
use crate::http::{self, Request};

/// The uuid by which the server knows a registered system: the common name in its certificate, in the PEM file `path`.
pub fn consumer(path: &Path, cancel: &Cancel) -> Result<String, Error> {
    let fail = |reason: String| Error::Certificate {
        path: path.to_owned(),
        reason,
    };
    let name = http::common_name(path, cancel).map_err(|error| match error {
        http::Error::File { reason, .. } => fail(reason),
        error => Error::Connection(Box::new(error)),
    })?;
    match name {
        Some(name) if !name.is_empty() => Ok(name),
        _ => Err(fail(
            "its certificate has no common name, and so is not that of a registered system".to_owned(),
        )),
    }
}

impl Candlepin {
    /// Sends the guests of the registered system `uuid`. `body` is that of
    /// [`CheckIn::local_body`](super::CheckIn::local_body).
    pub fn put_guests(&mut self, uuid: &str, body: &[u8]) -> Result<(), Error> {
        let path = format!("/consumers/{}", utf8_percent_encode(uuid, PLAIN));
        let doing = format!("reporting the guests of consumer {uuid}");
        self.exchange(&doing, Request::put(path, "application/json", body))
            .map(drop)
    }

    /// Proves that the registered system `uuid` can be reached, and so its guests can be sent.
    pub fn find_consumer(&mut self, uuid: &str) -> Result<(), Error> {
        let path = format!("/consumers/{}", utf8_percent_encode(uuid, PLAIN));
        self.exchange(&format!("looking for consumer {uuid}"), Request::get(path))
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Classify as _;
    use crate::error::Kind;

    fn read(names: &[&str]) -> Result<String, Error> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::OrganizationName, "org");
        for name in names {
            params.distinguished_name.push(rcgen::DnType::CommonName, *name);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            key.serialize_pem() + &params.self_signed(&key).unwrap().pem(),
        )
        .unwrap();
        consumer(file.path(), &Cancel::default())
    }

    #[test]
    fn the_common_name_is_the_consumer() {
        assert_eq!(read(&["56e21143-bda1-47a2"]).unwrap(), "56e21143-bda1-47a2");
        let error = read(&[]).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains("no common name"), "{error}");
        assert!(read(&[""]).is_err());
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [
            "",
            "x",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(file.path(), text).unwrap();
            let error = consumer(file.path(), &Cancel::default()).unwrap_err().to_string();
            assert!(error.starts_with(file.path().to_str().unwrap()), "{error}");
        }
        assert!(consumer(Path::new("/no/such"), &Cancel::default()).is_err());
    }
}
