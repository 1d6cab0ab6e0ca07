//! Whether two sections say the same, without keeping what they say.

use std::collections::BTreeSet;

use ring::digest::{Context, SHA256};

use super::keys::RENAMED;
use super::{Error, Section, interpolation};

/// The keys that say nothing about the source: what is reported of it, and where to.
const NOT_OF_SOURCE: [&str; 8] = [
    "owner",
    "env",
    "sm_type",
    "filter_hosts",
    "exclude_hosts",
    "filter_type",
    "filter_host_parents",
    "exclude_host_parents",
];

/// The beginnings of keys about destinations.
const DESTINATIONS: [&str; 2] = ["rhsm_", "sat_"];

impl Section {
    /// The SHA-256 of all that the section says, with `[defaults]`, `[global]` and `[system_environment]`.
    pub fn fingerprint(&self) -> Result<Vec<u8>, Error> {
        let exported = self.system_environment();
        let parts = [self, &self.global(), &exported];
        let mut context = Context::new(&SHA256);
        for part in parts {
            part.add_to(&mut context, |_| true)?;
        }
        Ok(context.finish().as_ref().to_vec())
    }

    /// The SHA-256 of what the section says about its source. Sections with the same one need only one scan.
    pub fn source_fingerprint(&self) -> Result<Vec<u8>, Error> {
        let mut context = Context::new(&SHA256);
        self.add_to(&mut context, |key| {
            let is_of_destination = DESTINATIONS.iter().any(|begin| key.starts_with(begin));
            !is_of_destination && !NOT_OF_SOURCE.contains(&key)
        })?;
        Ok(context.finish().as_ref().to_vec())
    }

    /// Adds the keys in force, and their values, each with its length.
    fn add_to(&self, context: &mut Context, counts: impl Fn(&str) -> bool) -> Result<(), Error> {
        let assigned = self.blocks.iter().flat_map(|block| {
            let own = block.assignments.keys();
            own.chain(block.default.keys()).map(String::as_str)
        });
        let today = |key| {
            let renamed = RENAMED.iter().find(|(old, _)| *old == key);
            renamed.map_or(key, |(_, today)| *today)
        };
        let keys: BTreeSet<&str> = assigned.map(today).filter(|key| counts(key)).collect();
        for key in keys {
            let Some((block, assignment)) = self.find(key) else {
                continue;
            };
            let value = interpolation::expand(key, &assignment.value, block);
            let value = value.map_err(|reason| Error::Wrong(self.note(key, &reason)))?;
            for text in [key, &value.text] {
                context.update(&text.len().to_le_bytes());
                context.update(text.as_bytes());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use crate::config::{Config, Files};

    #[test]
    fn sections_that_differ_in_filters_and_destinations_have_one_source() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = "[defaults]\nusername=u\n\
                    [a]\ntype=esx\nserver=vc\npassword=p\nowner=1\n\
                    [b]\ntype=esx\nserver=vc\nusername=u\npassword=p\nowner=2\nfilter_host_uuids=x\nrhsm_hostname=h\n\
                    [c]\ntype=esx\nserver=vc\npassword=q\nowner=1\n\
                    [d]\ntype=esx\nserver=vcp\nassword=\npassword=\nowner=1\n";
        file.write_all(text.as_bytes()).unwrap();
        let config = Config::load(&Files::new(vec![file.path().to_owned()], None)).unwrap();
        let of = |name| config.named(name).unwrap();
        let source = |name| of(name).source_fingerprint().unwrap();
        assert_eq!(source("a"), source("b"));
        assert_ne!(source("a"), source("c"));
        assert_ne!(source("a"), source("d"));
        assert_ne!(of("a").fingerprint().unwrap(), of("b").fingerprint().unwrap());
        assert_eq!(of("a").fingerprint().unwrap(), of("a").fingerprint().unwrap());
    }
}
