//! How a section configures the verification of certificates, and where its values come from.

use std::path::PathBuf;

use super::{Error, Note, Section};

/// The keys that configure how one server's certificate is verified.
#[derive(Debug, Clone, Copy)]
pub struct TrustKeys {
    /// The file with certificates of authorities, or with the server's own.
    pub cacert: &'static str,
    /// The certificate's SHA-256.
    pub thumbprint: &'static str,
    /// The switch that turns verification off.
    pub insecure: &'static str,
}

/// How a section configures the verification of a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// By the certificates in a file.
    Authorities(PathBuf),
    /// By its SHA-256, as it was written.
    Thumbprint(String),
    /// Not at all.
    Insecure,
}

impl Section {
    /// How the certificate of a server is verified, and the key that says so. `None` if no key is set, or only `insecure=no`.
    ///
    /// Two keys in the section contradict each other, which is an error. Any key in the section overrides all keys in
    /// `[defaults]`: [`Section::has`] does not find these then.
    pub fn verification(&self, keys: &TrustKeys) -> Result<Option<(&'static str, Verification)>, Error> {
        let insecure = self.flag(keys.insecure)? == Some(true);
        let mut set = [keys.cacert, keys.thumbprint, keys.insecure]
            .into_iter()
            .filter(|key| self.is_set(key))
            // insecure=no contradicts nothing.
            .filter(|key| *key != keys.insecure || insecure);
        let Some(first) = set.next() else {
            return Ok(None);
        };
        if let Some(other) = set.next() {
            let reason = format!("contradicts {}; remove one of them", self.origin(first));
            return Err(self.wrong(other, &reason));
        }
        let trust = self.text(first)?.map(|text| match first {
            _ if first == keys.insecure => Verification::Insecure,
            _ if first == keys.cacert => Verification::Authorities(text.into()),
            _ => Verification::Thumbprint(text),
        });
        Ok(trust.map(|trust| (first, trust)))
    }

    /// Whether the key has a value that is not empty.
    pub fn is_set(&self, key: &str) -> bool {
        self.find(key)
            .is_some_and(|(_, assignment)| !assignment.value.trim().is_empty())
    }

    /// Whether the value of the key comes from `[defaults]`.
    pub fn is_from_defaults(&self, key: &str) -> bool {
        self.find(key).is_some_and(|(block, _)| block.name == "defaults")
    }

    /// The key and its place for messages, as in `proxy in a.conf:3`; for a variable its name.
    pub fn origin(&self, key: &str) -> String {
        let Note { place, key: name, .. } = self.note(key, "");
        let name = name.unwrap_or_else(|| key.to_owned());
        match place.filter(|_| self.has(key)) {
            Some(place) => format!("{name} in {place}"),
            None => name,
        }
    }

    /// The value of a variable that `[system_environment]` sets, and its place for messages. `name` must match in case.
    pub fn exported_variable(&self, name: &str) -> Result<Option<(String, String)>, Error> {
        let section = self.system_environment();
        let key = name.to_lowercase();
        let Some((block, assignment)) = section.find(&key).filter(|(_, found)| found.key == name) else {
            return Ok(None);
        };
        let origin = match block.place_of(assignment.line) {
            Some(place) => format!("{name} in [system_environment] ({place})"),
            None => format!("{name} in [system_environment]"),
        };
        Ok(section.text(&key)?.map(|value| (value, origin)))
    }
}
