//! How a section's servers are reached: certificates and proxies.

use std::fs::File;
use std::io::Read as _;

use super::{Check, elsewhere};
use crate::cli::args::{self, Keys};
use crate::config::{Error, Section};
use crate::http::{self, Endpoint, Proxy, Thumbprint};

/// What is read of a file of certificates to see whether it is one.
const ENOUGH: u64 = 1 << 20;

impl Check {
    /// The keys' values, one by one and beside each other.
    pub(super) fn connection(&mut self, section: &Section, keys: &Keys) {
        let trust = keys.trust;
        if let Some(Some(file)) = self.take(section.text(trust.cacert))
            && let Err(reason) = certificates(&file)
        {
            self.fail(section, trust.cacert, &format!("{file} {reason}"));
        }
        if let Some(Some(text)) = self.take(section.text(trust.thumbprint))
            && let Err(error) = text.parse::<Thumbprint>()
        {
            let error = section.wrong_value(trust.thumbprint, &format!("is no thumbprint: {error}"));
            self.take::<()>(Err(error));
        }
        if let Some(Some(true)) = self.take(section.flag(trust.insecure)) {
            let reason = format!(
                "the server's certificate is not verified; {} or {} would make it safe",
                trust.cacert, trust.thumbprint
            );
            self.warn(section, trust.insecure, &reason);
        }
        self.take(section.trust(&trust));
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

    /// Tells why a server can't be reached as the section has it: `key` is the server's. A proxy may also be the environment's.
    pub(super) fn way(&mut self, section: &Section, key: &str, endpoint: crate::cli::Result<Endpoint>) {
        let error = match endpoint.and_then(|endpoint| Ok(endpoint.way()?)) {
            Err(error) => error,
            Ok(way) => {
                if let Some(warning) = args::https_proxy(&way) {
                    self.tell(false, elsewhere(&warning));
                }
                return;
            }
        };
        match error.downcast::<Error>() {
            Ok(error) => _ = self.take::<()>(Err(error)),
            Err(error) => match error.downcast_ref() {
                Some(http::Error::Proxy { .. }) => self.tell(true, elsewhere(&format!("{error:#}"))),
                _ => self.fail(section, key, &error.to_string()),
            },
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
