//! The options about an owner at Candlepin and the login there, which the commands share that talk to it.

use std::path::PathBuf;

use crate::config::{self, Section};
use crate::http::Identity;
use crate::systems::candlepin;

/// The owner, and a login by certificate.
#[derive(Debug, clap::Args)]
pub(in crate::commands) struct OwnerOptions {
    /// The owner (organisation) of the hypervisors
    #[arg(long, value_name = "OWNER", value_parser = nameable)]
    pub owner: Option<String>,
    /// Log in with this system's certificate in FILE
    #[arg(long, value_name = "FILE", conflicts_with = "username")]
    pub cert: Option<PathBuf>,
    /// The certificate's key [default: in the same file]
    #[arg(long, value_name = "FILE", requires = "cert", conflicts_with = "username")]
    pub key: Option<PathBuf>,
    /// Read FILE instead of /etc/rhsm/rhsm.conf
    #[arg(long, value_name = "FILE")]
    pub rhsm_conf: Option<PathBuf>,
}

/// The name of an owner or a job that can be part of a path.
pub(in crate::commands) fn nameable(text: &str) -> Result<String, &'static str> {
    match candlepin::can_be_named(text) {
        true => Ok(text.to_owned()),
        false => Err("it would change the path of the request"),
    }
}

/// The owner that a section names.
pub(in crate::commands) fn owner(section: &Section) -> Result<String, config::Error> {
    let owner = section.need("owner")?;
    match nameable(&owner) {
        Ok(owner) => Ok(owner),
        Err(reason) => Err(section.wrong("owner", &format!("is {owner:?}: {reason}"))),
    }
}

/// Whether a section is for Candlepin.
pub(in crate::commands) fn is_for_candlepin(section: &Section) -> Result<bool, config::Error> {
    Ok(section.has("owner") && !section.has("sat_server"))
}

impl OwnerOptions {
    /// `--cert` and `--key`.
    pub(in crate::commands) fn identity(&self) -> Option<Identity> {
        let cert = self.cert.clone()?;
        let key = self.key.clone().unwrap_or_else(|| cert.clone());
        Some(Identity { cert, key })
    }

    /// The owner of the option, otherwise that of the section.
    pub(in crate::commands) fn owner(&self, section: &Section) -> Result<String, config::Error> {
        match &self.owner {
            Some(owner) => Ok(owner.clone()),
            None => owner(section),
        }
    }

    /// The options without which a section is needed even if `--server` is given. `has_login` says that a
    /// user logs in, or that nobody needs to.
    pub(in crate::commands) fn missing(&self, has_login: bool) -> Vec<&'static str> {
        let owner = self.owner.is_none().then_some("--owner");
        let user = (!has_login && self.cert.is_none()).then_some("--username");
        owner.into_iter().chain(user).collect()
    }
}
