//! The options of a scan that reads a server over HTTP, and what they mean together with a section.

use std::path::PathBuf;

use crate::cancel::Cancel;
use crate::cli::{self, args, password};
use crate::config::Section;
use crate::http::Base;
use crate::secret::Secret;

/// The options of a scan that reads a server over HTTP.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ServerOptions {
    /// Scan SERVER: a host name, an address, a URL or a libvirt URI (esx://, vpx://)
    #[arg(long, value_name = "SERVER")]
    pub server: Option<String>,
    #[command(flatten)]
    pub account: args::Account,
    /// Scan what --trace saved in DIR, without a server
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "server", "username", "password_file", "key_file", "config", "name", "watch",
        "cacert", "thumbprint", "insecure", "proxy", "proxy_password_file", "timeout", "trace",
    ])]
    pub replay: Option<PathBuf>,
    #[command(flatten)]
    pub connection: args::Connection,
}

/// The account of a scan.
pub(super) struct Login {
    pub username: String,
    pub password: Secret,
}

impl Login {
    /// The account that the options, the server's address (`in_address`) and the section name, in this order.
    ///
    /// The password may also come from `variable` in the environment, unless the section was `named`, or from a prompt.
    pub(super) fn find(
        account: &args::Account,
        in_address: Option<String>,
        section: &Section,
        named: bool,
        (base, variable): (&Base, &str),
        cancel: &Cancel,
    ) -> cli::Result<Self> {
        let username = match account.username.clone().or(in_address) {
            Some(username) => username,
            None => section.need("username")?,
        };
        let sources = password::Sources {
            file: account.password_file.as_deref(),
            section,
            key: "password",
            variable,
            named,
            whose: &format!("{username} at {}", base.authority()),
        };
        let password = password::find(&sources, cancel)?;
        Ok(Login { username, password })
    }
}

/// The server as a mapping names it: its host, with a port that is not the scheme's.
pub(super) fn name_of(base: &Base) -> String {
    let usual = if base.https { 443 } else { 80 };
    match base.port == usual {
        true => base.host.clone(),
        false => base.authority(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_not_the_schemes_belongs_to_the_server() {
        for (text, expected) in [
            ("vc.example.com", "vc.example.com"),
            ("vc.example.com:443", "vc.example.com"),
            ("vc.example.com:8443", "vc.example.com:8443"),
            ("http://vc", "vc"),
            ("http://vc:443", "vc:443"),
            ("fe80::1", "fe80::1"),
            ("[fe80::1]:8443", "[fe80::1]:8443"),
        ] {
            let base = Base::parse(text, 443, "/sdk").unwrap();
            assert_eq!(name_of(&base), expected, "{text}");
        }
    }
}
