//! Which libvirt is scanned, and how: what the options and the section mean together.

use std::time::Duration;

use super::ServerOptions;
use crate::cancel::Cancel;
use crate::cli::{self, Context as _, Failure, args, password};
use crate::commands::kind::LIBVIRT;
use crate::commands::scan::options::ScanOptions;
use crate::commands::scan::settings::ScanSettings;
use crate::commands::section;
use crate::config::{self, Section};
use crate::error::Kind;
use crate::secret::Secret;
use crate::systems::libvirt::{Connection, Uri, UriError};

/// A scan of one libvirt.
#[derive(Debug)]
pub(super) struct Settings {
    /// Which libvirt is asked.
    pub connection: Connection,
    /// `--timeout`.
    pub time: Option<Duration>,
    /// What is in force in any scan.
    pub scan: ScanSettings,
}

impl Settings {
    /// The scan that the options and the section ask for. A signal ends the process at once.
    pub(super) fn new(options: &ServerOptions, scan: &ScanOptions, cancel: &Cancel) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        let section = find_section(options, &scan.section)?;
        let username = match &options.account.username {
            Some(username) => Some(username.clone()),
            None => section.text("username")?,
        };
        let uri = uri_of(options, &section, username.as_deref())?;
        let password = password_of(&options.account, &section, cancel)?;
        if uri.as_ref().is_some_and(Uri::is_ssh) && password.is_some() {
            log::warn!("the password is not used: ssh needs a key");
        }
        let name = uri.as_ref().map(Uri::name);
        log::debug!(
            "libvirt {}",
            uri.as_ref().map_or("of this machine".to_owned(), Uri::to_string)
        );
        let settings = ScanSettings::new(&LIBVIRT, scan, section, name)?;
        Ok(Settings {
            connection: Connection::new(uri, username.as_deref(), password.as_ref())?,
            time: options.limit.timeout,
            scan: settings,
        })
    }
}

/// The section in use. Without any, this machine itself is scanned, because no key is needed.
fn find_section(options: &ServerOptions, section: &args::Section) -> cli::Result<Section> {
    let key_file = options.account.key_file.as_deref();
    let is_given = options.server.is_some();
    let found = section::find(section, key_file, LIBVIRT.name, ("server", true), is_given);
    Ok(found?)
}

/// The URI of the server; none for this machine itself.
fn uri_of(options: &ServerOptions, section: &Section, username: Option<&str>) -> cli::Result<Option<Uri>> {
    if let Some(server) = &options.server {
        let uri = Uri::parse(server, username);
        let refused = |error: UriError| Failure::new(Kind::Config, format!("--server: {}", problem(&error)));
        return Ok(Some(uri.map_err(refused)?));
    }
    Ok(server_of(section, username)?)
}

/// The URI of the section's server; none for this machine itself.
pub(crate) fn server_of(section: &Section, username: Option<&str>) -> Result<Option<Uri>, config::Error> {
    let Some(server) = section.text("server")? else {
        return Ok(None);
    };
    let uri = Uri::parse(&server, username);
    Ok(Some(
        uri.map_err(|error| section.wrong("server", &problem(&error)))?,
    ))
}

/// What is wrong with the server, and what to do.
fn problem(error: &UriError) -> String {
    match error {
        UriError::Vmware { .. } => format!("{error}; use vw-scan-esx, with type=esx in a section"),
        UriError::Password { .. } => format!("{error}; use the key password, or --password-file"),
        UriError::Malformed { .. } => error.to_string(),
    }
}

/// The password for SASL, if there is one. Nobody is asked, because most libvirts need none.
fn password_of(
    account: &args::Credentials,
    section: &Section,
    cancel: &Cancel,
) -> cli::Result<Option<Secret>> {
    match &account.password_file {
        Some(file) => Ok(Some(password::of_file(file, "--password-file", cancel)?)),
        None => Ok(section.secret("password").context("the password")?),
    }
}
