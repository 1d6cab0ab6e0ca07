//! The connections to a section's servers: certificates and proxies.

use std::fs::File;
use std::io::Read as _;

use super::{Check, elsewhere};
use crate::cli::args::{self, Keys};
use crate::config::{Error, Section};
use crate::http::{self, Endpoint, Proxy, Thumbprint};

/// How much of a file is searched for a certificate, in bytes.
const SEARCHED: u64 = 1 << 20;

impl Check {
    /// Checks the keys of one server, each by itself and for contradictions.
    pub(super) fn connection(&mut self, section: &Section, keys: &Keys) {
        let trust = keys.trust;
        if let Some(Some(file)) = self.ok(section.text(trust.cacert))
            && let Err(reason) = certificates(&file)
        {
            self.fail(section, trust.cacert, &format!("{file} {reason}"));
        }
        if let Some(Some(text)) = self.ok(section.text(trust.thumbprint))
            && let Err(error) = text.parse::<Thumbprint>()
        {
            let error = section.wrong_value(trust.thumbprint, &format!("is not a thumbprint: {error}"));
            self.ok::<()>(Err(error));
        }
        if let Some(Some(true)) = self.ok(section.flag(trust.insecure)) {
            let reason = format!(
                "the server's certificate is not verified; use {} or {} instead",
                trust.cacert, trust.thumbprint
            );
            self.warn(section, trust.insecure, &reason);
        }
        self.ok(section.verification(&trust));
        let proxy = keys
            .proxy
            .and_then(|key| Some((key, self.ok(section.text(key))??)));
        if let Some((key, url)) = &proxy
            && let Err(error) = Proxy::parse(url, "the proxy")
        {
            self.fail(section, key, &error.to_string());
        }
        if let Some(key) = keys.proxy_password_file
            && let Some(Some(file)) = self.ok(section.text(key))
        {
            if let Err(error) = File::open(&file) {
                self.fail(section, key, &format!("{file} can't be read: {error}"));
            }
            if proxy.is_none() {
                self.warn(section, key, "has no effect without the key proxy");
            }
        }
    }

    /// Adds the error of an endpoint, or a warning about its proxy. `key` names the server. A proxy may come from the environment.
    pub(super) fn way(&mut self, section: &Section, key: &str, endpoint: crate::cli::Result<Endpoint>) {
        let error = match endpoint.and_then(|endpoint| Ok(endpoint.way()?)) {
            Err(error) => error,
            Ok(way) => {
                if let Some(warning) = args::https_proxy(&way) {
                    self.add(false, elsewhere(&warning));
                }
                return;
            }
        };
        match error.downcast::<Error>() {
            Ok(error) => _ = self.ok::<()>(Err(error)),
            Err(error) => match error.downcast_ref() {
                Some(http::Error::Proxy { .. }) => self.add(true, elsewhere(&format!("{error:#}"))),
                _ => self.fail(section, key, &error.to_string()),
            },
        }
    }
}

/// Why a file can't be used as a file of certificates in PEM form.
fn certificates(file: &str) -> Result<(), String> {
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|file| file.take(SEARCHED).read_to_end(&mut bytes));
    opened.map_err(|error| format!("can't be read: {error}"))?;
    let marker = b"-----BEGIN CERTIFICATE-----";
    match memchr::memmem::find(&bytes, marker) {
        Some(_) => Ok(()),
        None => Err("has no certificate in PEM format".to_owned()),
    }
}
