//! How a section says that a server's certificate is verified, and where a key is.

use std::path::PathBuf;

use super::{Error, Note, Section};

/// The keys that say how one server's certificate is verified.
#[derive(Debug, Clone, Copy)]
pub struct TrustKeys {
    /// The file with authorities, or with the server's own certificate.
    pub cacert: &'static str,
    /// The certificate's SHA-256.
    pub thumbprint: &'static str,
    /// Whether it is not verified at all.
    pub insecure: &'static str,
}

/// How a server's certificate is verified, as a section says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// By the certificates in a file.
    Authorities(PathBuf),
    /// By its SHA-256, which is not checked here.
    Thumbprint(String),
    /// Not at all.
    Insecure,
}

impl Section {
    /// How the certificate of a server is verified, and the key that says so. `None` if no key says anything, or if it is only
    /// said that the certificate is verified.
    ///
    /// One key says it: two of them in the section are an error. What the section says counts more than what `[defaults]` does,
    /// by whichever key.
    pub fn trust(&self, keys: &TrustKeys) -> Result<Option<(&'static str, Trust)>, Error> {
        let insecure = self.flag(keys.insecure)?;
        for defaults in [false, true] {
            let said = |key: &&str| self.is_set(key) && self.is_of_defaults(key) == defaults;
            let mut said: Vec<&'static str> = [keys.cacert, keys.thumbprint, keys.insecure]
                .into_iter()
                .filter(said)
                .collect();
            // That the certificate is verified contradicts nothing.
            said.retain(|key| *key != keys.insecure || insecure == Some(true));
            let (first, others) = match said.split_first() {
                None => continue,
                Some(split) => split,
            };
            if let Some(other) = others.first() {
                let reason = format!("contradicts {}; remove one of them", self.origin(first));
                return Err(self.wrong(other, &reason));
            }
            let trust = match self.text(first)? {
                _ if *first == keys.insecure => Trust::Insecure,
                Some(text) if *first == keys.cacert => Trust::Authorities(text.into()),
                Some(text) => Trust::Thumbprint(text),
                None => continue,
            };
            return Ok(Some((first, trust)));
        }
        Ok(None)
    }

    /// Has the key a value that is not empty?
    pub fn is_set(&self, key: &str) -> bool {
        self.find(key)
            .is_some_and(|(_, entry)| !entry.value.trim().is_empty())
    }

    /// Does the value of the key come from `[defaults]`?
    pub fn is_of_defaults(&self, key: &str) -> bool {
        self.find(key).is_some_and(|(block, _)| block.name == "defaults")
    }

    /// The key and its place, for messages: `proxy in a.conf:3`, or its variable.
    pub fn origin(&self, key: &str) -> String {
        let Note { place, key: name, .. } = self.note(key, "");
        let name = name.unwrap_or_else(|| key.to_owned());
        match place.filter(|_| self.has(key)) {
            Some(place) => format!("{name} in {place}"),
            None => name,
        }
    }

    /// A variable that `[system_environment]` sets, and where, for messages. Its name counts in the case of `name`.
    pub fn exported_from(&self, name: &str) -> Result<Option<(String, String)>, Error> {
        let Some(value) = self.exported(name)? else {
            return Ok(None);
        };
        let section = Section {
            name: Some("system_environment".to_owned()),
            blocks: self.exported.clone(),
            ..Section::default()
        };
        let origin = match section.find(&name.to_lowercase()) {
            Some((block, entry)) => match block.note(entry.line, None, String::new()).place {
                Some(place) => format!("{name} in [system_environment] ({place})"),
                None => format!("{name} in [system_environment]"),
            },
            None => format!("{name} in [system_environment]"),
        };
        Ok(Some((value, origin)))
    }
}
