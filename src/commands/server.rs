//! The options of a command that uses a source over HTTP, and what they mean together with a section.

use std::time::{Duration, Instant};

use super::kind::Service;
use super::{section, way};
use crate::cancel::Cancel;
use crate::cli::{self, Failure, args, password};
use crate::config::Section;
use crate::error::Kind;
use crate::http::{Base, Endpoint};
use crate::retry::Patience;
use crate::secret::Secret;

/// Which server is used, as whom, and how it is reached.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ServerOptions {
    /// Use SERVER: a name, NAME:PORT, an address or a URL
    #[arg(long, value_name = "SERVER")]
    pub server: Option<String>,
    #[command(flatten)]
    pub account: args::Credentials,
    #[command(flatten)]
    pub connection: args::Connection,
}

/// The help of `--server` for vSphere, where libvirt's URIs are accepted too.
pub(super) const WITH_URIS: &str =
    "Use SERVER: a host name, an address, a URL or a libvirt URI (esx://, vpx://)";

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

/// A server over HTTP, and who logs in.
pub(super) struct Server {
    /// The server. Its time limit, if there is one, begins now.
    pub endpoint: Endpoint,
    /// The account.
    pub login: Login,
    /// The section in use; it may be nameless.
    pub section: Section,
}

impl Server {
    /// The server that the options and the section name, for a scan of this type. It may ask for the password.
    pub(super) fn find(
        kind: &str,
        service: &Service,
        options: &ServerOptions,
        section: &args::Section,
        cancel: &Cancel,
    ) -> cli::Result<Self> {
        let ServerOptions {
            server,
            account,
            connection,
        } = options;
        let given = server.as_deref().map(|server| service.parse(server)).transpose();
        let given = given.map_err(|error| Failure::new(Kind::Usage, format!("--server: {error}")))?;
        let (is_given, named) = (given.is_some(), section.name.is_some());
        let complete = is_given && account.username.is_some();
        let key_file = account.key_file.as_deref();
        let section = section::find(section, key_file, kind, ("server", is_given), complete);
        let section = section.map_err(|error| match is_given {
            true => args::beside_server(error, &["--username"]),
            false => error.into(),
        })?;
        let base = match given {
            Some(base) => base,
            None => service.base(&section)?,
        };
        let mut endpoint = way::https_source(connection, &section, base)?;
        connection.proxy_password(&mut endpoint, &section, &args::Keys::SOURCE, cancel)?;
        let named_server = (&endpoint.base, service.password);
        let login = Login::find(account, (None, None), &section, named, named_server, cancel)?;
        connection.apply(&mut endpoint);
        if let Some(trace) = &endpoint.trace {
            trace.hide(&login.password);
        }
        Ok(Server {
            endpoint,
            login,
            section,
        })
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
