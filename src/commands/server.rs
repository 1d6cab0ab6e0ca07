//! The options of a command that uses a source over HTTP, and what they mean together with a section.

use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::cli::{self, args, password};
use crate::config::Section;
use crate::http::Base;
use crate::retry::Patience;
use crate::secret::Secret;

/// Which server is used, as whom, and how it is reached.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ServerOptions {
    /// Use SERVER: a host name, an address, a URL or a libvirt URI (esx://, vpx://)
    #[arg(long, value_name = "SERVER")]
    pub server: Option<String>,
    #[command(flatten)]
    pub account: args::Credentials,
    #[command(flatten)]
    pub connection: args::Connection,
}

/// The account to log in with.
pub(super) struct Login {
    pub username: String,
    pub password: Secret,
}

impl Login {
    /// The account that the options, the server's address (`in_address`) and the section name, in this order.
    ///
    /// The password may also come from `variable` in the environment, unless the section was `named`, or from a prompt. The
    /// address's password belongs to the address's user only.
    pub(super) fn find(
        account: &args::Credentials,
        in_address: (Option<String>, Option<Secret>),
        section: &Section,
        named: bool,
        (base, variable): (&Base, &str),
        cancel: &Cancel,
    ) -> cli::Result<Self> {
        let (own_user, own_password) = in_address;
        let username = match account.username.clone().or_else(|| own_user.clone()) {
            Some(username) => username,
            None => section.need("username")?,
        };
        if let Some(password) = own_password
            && account.password_file.is_none()
            && own_user.as_ref() == Some(&username)
        {
            return Ok(Login { username, password });
        }
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

/// How long the work may take without `--timeout`.
pub(super) const USUAL_LIMIT: Duration = Duration::from_secs(3600);

/// When the work must have ended, and how long temporary failures are retried until then.
pub(super) fn limits(timeout: Option<Duration>, now: Instant) -> (Option<Instant>, Patience) {
    match timeout {
        // A time that the clock can't represent is no limit.
        Some(time) => (now.checked_add(time), Patience::UntilDeadline),
        None => (Some(now + USUAL_LIMIT), Patience::USUAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_after_an_hour_unless_there_is_a_timeout() {
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        assert_eq!(limits(None, now), (Some(now + hour), Patience::USUAL));
        let day = 24 * hour;
        assert_eq!(limits(Some(day), now), (Some(now + day), Patience::UntilDeadline));
        assert_eq!(limits(Some(Duration::MAX), now), (None, Patience::UntilDeadline));
    }

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
