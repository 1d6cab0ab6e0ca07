//! rhsm.conf: the address of Candlepin, and how this machine reaches it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::effective::{EffectiveKey, Origin};
use super::format::{self, Assignment, Block};
use super::section::Section;
use super::{Error, Place};
use crate::secret::Secret;

/// subscription-manager's defaults for keys that rhsm.conf does not have: section, key, value.
const DEFAULTS: [(&str, &str, &str); 6] = [
    ("server", "hostname", "subscription.rhsm.redhat.com"),
    ("server", "port", "443"),
    ("server", "prefix", "/subscription"),
    ("rhsm", "ca_cert_dir", "/etc/rhsm/ca/"),
    ("rhsm", "repo_ca_cert", "%(ca_cert_dir)sredhat-uep.pem"),
    ("rhsm", "consumercertdir", "/etc/pki/consumer"),
];

/// A section's keys and the keys of `[server]` that they override.
const OVERRIDES: [(&str, &str); 9] = [
    ("rhsm_hostname", "hostname"),
    ("rhsm_port", "port"),
    ("rhsm_prefix", "prefix"),
    ("rhsm_insecure", "insecure"),
    ("rhsm_proxy_hostname", "proxy_hostname"),
    ("rhsm_proxy_port", "proxy_port"),
    ("rhsm_proxy_user", "proxy_user"),
    ("rhsm_proxy_password", "proxy_password"),
    ("rhsm_no_proxy", "no_proxy"),
];

/// The default port of a proxy in subscription-manager.
const PROXY_PORT: u16 = 3128;

/// How a section reaches the subscription service. Each value comes from its `rhsm_*` key, else from rhsm.conf, else from
/// subscription-manager's defaults.
#[derive(Debug, Clone)]
pub struct Rhsm {
    /// Host name or address.
    pub hostname: String,
    /// TCP port.
    pub port: u16,
    /// The first part of the path, as in `/subscription`.
    pub prefix: String,
    /// Whether the server's certificate is not verified (`insecure=1`).
    pub insecure: bool,
    /// The name of a user of the organisation (`rhsm_username`). With it, this machine need not be registered.
    pub username: Option<String>,
    /// How long the server may be silent, in seconds (`server_timeout` of rhsm.conf).
    pub server_timeout: Option<u32>,
    /// The proxy, if there is one.
    pub proxy: Option<RhsmProxy>,
    /// Hosts that are reached without the proxy, between commas, and the key that lists them with its place, for messages.
    pub no_proxy: Option<(String, String)>,
    /// The folder with certificates of authorities for the service's servers.
    pub ca_cert_dir: PathBuf,
    /// The certificate of the service's own authority.
    pub repo_ca_cert: PathBuf,
    /// The folder with the identity of this machine, `cert.pem` and `key.pem`.
    pub consumer_cert_dir: PathBuf,
}

/// An HTTP proxy between this machine and the service.
#[derive(Debug, Clone)]
pub struct RhsmProxy {
    /// The key that names it with its place, for messages.
    pub origin: String,
    /// Host name or address. If it is empty, the section says that no proxy is used, not even that of the environment.
    pub hostname: String,
    /// TCP port.
    pub port: u16,
    /// The user name, if the proxy needs one.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
}

impl Rhsm {
    /// Where subscription-manager keeps its configuration.
    pub const FILE: &str = "/etc/rhsm/rhsm.conf";

    /// The values of rhsm.conf, or subscription-manager's defaults, for the keys that `section` does not override.
    pub fn effective_keys(file: Option<&Path>, section: &Section) -> Result<Vec<EffectiveKey>, Error> {
        let (server, rhsm) = read_or_default(file, Path::new(Rhsm::FILE))?;
        let mut shown = Vec::new();
        let keys = OVERRIDES.iter().filter(|(above, _)| !section.has(above));
        let keys = keys.map(|(above, below)| (&server, *above, *below));
        let folders = ["ca_cert_dir", "repo_ca_cert", "consumercertdir"].map(|key| (&rhsm, key, key));
        for (below, name, key) in keys.chain(folders) {
            if let Some(found) = below
                .effective_key(key)
                .filter(|found| found.value != Some(Ok(String::new())))
            {
                let origin = match found.place.as_ref().map(|place| place.line) {
                    Some(0) => Origin::BuiltIn,
                    _ => Origin::Rhsm,
                };
                shown.push(EffectiveKey {
                    key: name.to_owned(),
                    origin,
                    place: found.place.filter(|_| origin == Origin::Rhsm),
                    ..found
                });
            }
        }
        Ok(shown)
    }

    /// Reads rhsm.conf below `section`.
    ///
    /// If a `file` is named, it must exist. Without one, [`Rhsm::FILE`] is read, which may be missing.
    pub fn load(file: Option<&Path>, section: &Section) -> Result<Self, Error> {
        let (server, rhsm) = read_or_default(file, Path::new(Rhsm::FILE))?;
        let server = Layers {
            above: section,
            below: &server,
        };
        let folder = |key| rhsm.need(key).map(PathBuf::from);
        Ok(Rhsm {
            hostname: server.need("rhsm_hostname", "hostname")?,
            port: server.port("rhsm_port", "port")?.unwrap_or(443),
            prefix: server.text("rhsm_prefix", "prefix")?.unwrap_or_default(),
            // A section that says how to verify the certificate overrides insecure=1 of rhsm.conf.
            insecure: !["rhsm_cacert", "rhsm_thumbprint"]
                .iter()
                .any(|key| section.has(key))
                && server
                    .of("rhsm_insecure", "insecure", Section::flag)?
                    .unwrap_or(false),
            username: section.text("rhsm_username")?,
            server_timeout: server.below.number("server_timeout")?,
            proxy: server.proxy()?,
            no_proxy: server
                .text("rhsm_no_proxy", "no_proxy")?
                .map(|list| (list, server.origin("rhsm_no_proxy", "no_proxy"))),
            ca_cert_dir: folder("ca_cert_dir")?,
            repo_ca_cert: folder("repo_ca_cert")?,
            consumer_cert_dir: folder("consumercertdir")?,
        })
    }
}

/// A section's `rhsm_*` keys above those of rhsm.conf. An empty proxy or user overrides rhsm.conf; any other empty key counts as
/// not set.
struct Layers<'a> {
    above: &'a Section,
    below: &'a Section,
}

impl Layers<'_> {
    fn of<T>(
        &self,
        above: &str,
        below: &str,
        get: impl Fn(&Section, &str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.above.has(above) {
            true => get(self.above, above),
            false => get(self.below, below),
        }
    }

    fn text(&self, above: &str, below: &str) -> Result<Option<String>, Error> {
        self.of(above, below, Section::text)
    }

    fn need(&self, above: &str, below: &str) -> Result<String, Error> {
        self.of(above, below, Section::need)
    }

    fn port(&self, above: &str, below: &str) -> Result<Option<u16>, Error> {
        self.of(above, below, Section::port)
    }

    /// The section that a value comes from, and the name of its key there.
    fn source<'k>(&self, above: &'k str, below: &'k str) -> (&Section, &'k str) {
        match self.above.has(above) {
            true => (self.above, above),
            false => (self.below, below),
        }
    }

    /// The key of a value and its place, for messages.
    fn origin(&self, above: &str, below: &str) -> String {
        let (section, key) = self.source(above, below);
        section.origin(key)
    }

    fn proxy(&self) -> Result<Option<RhsmProxy>, Error> {
        const HOSTNAME: (&str, &str) = ("rhsm_proxy_hostname", "proxy_hostname");
        const PORT: (&str, &str) = ("rhsm_proxy_port", "proxy_port");
        let (section, key) = self.source(HOSTNAME.0, HOSTNAME.1);
        let Some(text) = section.text(key)? else {
            return Ok(self.above.has(HOSTNAME.0).then(|| RhsmProxy {
                origin: section.origin(key),
                hostname: String::new(),
                port: PROXY_PORT,
                user: None,
                password: None,
            }));
        };
        let (hostname, own_port) = host_and_port(&text).map_err(|reason| section.wrong(key, reason))?;
        let port = self.port(PORT.0, PORT.1)?;
        // The section's port overrides that of rhsm.conf, whichever key has it.
        let port = match (own_port, port) {
            (Some(own), Some(port))
                if self.above.has(HOSTNAME.0) == self.above.has(PORT.0) && own != port =>
            {
                let other = self.origin(PORT.0, PORT.1);
                let reason = format!("has the port {own}, but {other} is {port}; remove one of them");
                return Err(section.wrong(key, &reason));
            }
            (Some(own), _) if !self.above.has(PORT.0) => Some(own),
            (own, port) => port.or(own),
        };
        Ok(Some(RhsmProxy {
            origin: section.origin(key),
            hostname,
            port: port.unwrap_or(PROXY_PORT),
            user: self.text("rhsm_proxy_user", "proxy_user")?,
            password: self.secret("rhsm_proxy_password", "proxy_password")?,
        }))
    }

    /// Unlike in a section, the password in rhsm.conf may be empty, as it is in the file that comes with the system.
    fn secret(&self, above: &str, below: &str) -> Result<Option<Secret>, Error> {
        if let Some(secret) = self.above.secret(above)? {
            return Ok(Some(secret));
        }
        Ok(self.below.text(below)?.map(Secret::from))
    }
}

/// Parses `HOST`, `HOST:PORT` or `http://HOST:PORT`. The errors quote nothing of the text, because it may contain a password.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), &'static str> {
    const NO_HOST: &str = "is not the name or address of a proxy; write HOST or HOST:PORT";
    let text = match text.split_once("://") {
        None => text,
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest.trim_end_matches('/'),
        Some(_) => {
            return Err("is not an http:// proxy, and no other kind is supported; write HOST or HOST:PORT");
        }
    };
    if text.contains('@') {
        return Err("has a user name; put user name and password into their own keys");
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(NO_HOST)?;
            match port.strip_prefix(':') {
                None if port.is_empty() => (host, None),
                None => return Err(NO_HOST),
                port => (host, port),
            }
        }
        // Text with more than one colon is an IPv6 address.
        None => match text.split_once(':').filter(|(_, port)| !port.contains(':')) {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    if host.is_empty() || !host.chars().all(fits) {
        return Err(NO_HOST);
    }
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port)) if port > 0 => Some(port),
        Some(_) => return Err("has a port that is not a number from 1 to 65535"),
    };
    Ok((host.to_owned(), port))
}

/// `[server]` and `[rhsm]` of the file, or of the usual one, which may be missing.
pub(super) fn read_or_default(file: Option<&Path>, usual: &Path) -> Result<(Section, Section), Error> {
    match (file, read(file.unwrap_or(usual))) {
        (None, Err(Error::Unreadable { source, .. })) if source.kind() == std::io::ErrorKind::NotFound => {
            parse(usual, b"")
        }
        (_, read) => read,
    }
}

fn read(file: &Path) -> Result<(Section, Section), Error> {
    let content = super::read(file)?;
    parse(file, &content.bytes)
}

/// `[server]` and `[rhsm]`, with subscription-manager's defaults for what is missing.
fn parse(file: &Path, bytes: &[u8]) -> Result<(Section, Section), Error> {
    let file: Arc<Path> = Arc::from(file);
    let mut document = format::parse(&file, bytes);
    let mut section = |name: &str| {
        let found = document.blocks.iter().position(|block| block.name == name);
        let mut block = match found {
            Some(at) => document.blocks.swap_remove(at),
            None => {
                let file = file.clone();
                Block::empty(name, Place { file, line: 0 })
            }
        };
        if let Some(broken) = block.broken {
            return Err(Error::Wrong(broken));
        }
        for (_, key, value) in DEFAULTS.iter().filter(|(section, ..)| *section == name) {
            let (key, value) = ((*key).to_owned(), Zeroizing::new((*value).to_owned()));
            block
                .assignments
                .entry(key.clone())
                .or_insert(Assignment { key, value, line: 0 });
        }
        Ok(Section::new(block))
    };
    Ok((section("server")?, section("rhsm")?))
}
