//! How a section's servers are reached: certificates and proxies.

use std::fs::File;
use std::io::Read as _;

use super::Check;
use crate::config::Section;
use crate::http::{Proxy, Thumbprint};

/// The keys that say how one server is reached.
pub(super) struct Keys {
    cacert: &'static str,
    thumbprint: &'static str,
    insecure: &'static str,
    proxy: Option<&'static str>,
    proxy_password_file: Option<&'static str>,
}

/// Those of the source.
pub(super) const SOURCE: Keys = Keys {
    cacert: "cacert",
    thumbprint: "thumbprint",
    insecure: "insecure",
    proxy: Some("proxy"),
    proxy_password_file: Some("proxy_password_file"),
};

/// Those of Candlepin, whose proxy is in keys that virt-who knows.
pub(super) const CANDLEPIN: Keys = Keys {
    cacert: "rhsm_cacert",
    thumbprint: "rhsm_thumbprint",
    insecure: "rhsm_insecure",
    proxy: None,
    proxy_password_file: None,
};

/// Those of Satellite 5.
pub(super) const SATELLITE: Keys = Keys {
    cacert: "sat_cacert",
    thumbprint: "sat_thumbprint",
    insecure: "sat_insecure",
    proxy: Some("sat_proxy"),
    proxy_password_file: None,
};

/// What is read of a file of certificates to see whether it is one.
const ENOUGH: u64 = 1 << 20;

impl Check {
    /// The keys' values, one by one and beside each other.
    pub(super) fn connection(&mut self, section: &Section, keys: &Keys) {
        let mut trust = Vec::new();
        if let Some(Some(file)) = self.take(section.text(keys.cacert)) {
            trust.push(keys.cacert);
            if let Err(reason) = certificates(&file) {
                self.fail(section, keys.cacert, &format!("{file} {reason}"));
            }
        }
        if let Some(Some(text)) = self.take(section.text(keys.thumbprint)) {
            trust.push(keys.thumbprint);
            if let Err(error) = text.parse::<Thumbprint>() {
                let error = section.wrong_value(keys.thumbprint, &format!("is no thumbprint: {error}"));
                self.take::<()>(Err(error));
            }
        }
        if let Some(Some(true)) = self.take(section.flag(keys.insecure)) {
            trust.push(keys.insecure);
            let reason = format!(
                "the server's certificate is not verified; {} or {} would make it safe",
                keys.cacert, keys.thumbprint
            );
            self.warn(section, keys.insecure, &reason);
        }
        if let [first, .., last] = trust.as_slice() {
            let reason = format!("contradicts {first}; keep one of the two");
            self.fail(section, last, &reason);
        }
        let proxy = keys
            .proxy
            .and_then(|key| Some((key, self.take(section.text(key))??)));
        if let Some((key, url)) = &proxy
            && let Err(error) = Proxy::parse(url, "the proxy")
        {
            self.fail(section, key, &error.to_string());
        }
        if let Some(key) = keys.proxy_password_file
            && let Some(Some(file)) = self.take(section.text(key))
        {
            if let Err(error) = File::open(&file) {
                self.fail(section, key, &format!("{file} can't be read: {error}"));
            }
            if proxy.is_none() {
                self.warn(section, key, "has no effect without the key proxy");
            }
        }
    }
}

/// Is it a file of certificates in PEM form?
fn certificates(file: &str) -> Result<(), String> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|file| file.take(ENOUGH).read_to_end(&mut bytes));
    opened.map_err(|error| format!("can't be read: {error}"))?;
    let marker = b"-----BEGIN CERTIFICATE-----";
    match memchr::memmem::find(&bytes, marker) {
        Some(_) => Ok(()),
        None => Err("has no certificate in PEM form".to_owned()),
    }
}
