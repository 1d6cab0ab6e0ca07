//! The connection to the subscription service and the login there, from options, section and rhsm.conf.

pub(super) mod advice;
mod owner;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) use self::owner::{OwnerOptions, is_for_candlepin, nameable, owner};
use crate::cancel::Cancel;
use crate::cli::password::{self, Password};
use crate::cli::{self, Failure, args};
use crate::config::{self, Rhsm, Section};
use crate::error::Kind;
use crate::http::{self, Base, Endpoint, Identity, NoProxy, Proxy, ProxyUrl, Trust};
use crate::systems::candlepin::{self, Login};

/// The server that section and rhsm.conf name. `server`, from an option, replaces it, and needs no port and no path.
///
/// Besides the system's authorities, those of the service are trusted, which subscription-manager installs.
pub(super) fn endpoint(
    rhsm: &Rhsm,
    section: &Section,
    server: Option<&str>,
    connection: &args::Connection,
) -> cli::Result<Endpoint> {
    let prefix = match rhsm.prefix.trim_matches('/') {
        "" => String::new(),
        prefix => format!("/{prefix}"),
    };
    let base = Base::parse(server.unwrap_or(&rhsm.hostname), rhsm.port, &prefix);
    let base = match server {
        Some(_) => base.map_err(|error| Failure::new(Kind::Usage, format!("--server: {error}")))?,
        None => base?,
    };
    let said = args::Overrides {
        trust: None,
        proxy: rhsm.proxy.as_ref().map(proxy).transpose()?,
        no_proxy: rhsm
            .no_proxy
            .clone()
            .map(|(list, origin)| NoProxy { list, origin }),
        default_trust: match rhsm.insecure {
            true => Trust::Insecure,
            false => Trust::SystemAnd(authorities(rhsm)?),
        },
    };
    let mut endpoint = connection.endpoint(base, section, &args::Keys::CANDLEPIN, said)?;
    if let Some(seconds) = rhsm.server_timeout.filter(|seconds| *seconds > 0) {
        endpoint.silence_limit = Duration::from_secs(seconds.into());
    }
    Ok(endpoint)
}

/// The proxy of the section or of rhsm.conf; no proxy if the section says so.
fn proxy(proxy: &config::RhsmProxy) -> Result<Proxy, http::Error> {
    if proxy.hostname.is_empty() {
        return Ok(Proxy::none(&proxy.origin));
    }
    let host = match proxy.hostname.contains(':') {
        true => &format!("[{}]", proxy.hostname),
        false => &proxy.hostname,
    };
    let mut url = ProxyUrl::new(host, proxy.port, &proxy.origin)?;
    if let Some(user) = &proxy.user {
        url = url.with_user(user.clone());
        if let Some(password) = &proxy.password {
            url = url.with_password(password.clone())?;
        }
    }
    Ok(Proxy::Through {
        proxy: url,
        no_proxy: None,
    })
}

/// The files of authorities in the folder that rhsm.conf names, and that of the service. Not every system has them.
fn authorities(rhsm: &Rhsm) -> Result<Vec<PathBuf>, Failure> {
    let unreadable =
        |path: &Path, error: &io::Error| Failure::new(Kind::Config, format!("{}: {error}", path.display()));
    let mut files = Vec::new();
    match std::fs::read_dir(&rhsm.ca_cert_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unreadable(&rhsm.ca_cert_dir, &error)),
        Ok(entries) => {
            for entry in entries {
                let path = entry
                    .map_err(|error| unreadable(&rhsm.ca_cert_dir, &error))?
                    .path();
                if path.extension().is_some_and(|extension| extension == "pem") {
                    files.push(path);
                }
            }
        }
    }
    files.sort();
    if !files.contains(&rhsm.repo_ca_cert) && rhsm.repo_ca_cert.exists() {
        files.push(rhsm.repo_ca_cert.clone());
    }
    Ok(files)
}

/// The options about the login.
#[derive(Debug)]
pub(super) struct LoginOptions<'a> {
    /// `--username`, `--password-file` and `--key-file`.
    pub options: &'a args::Credentials,
    /// `--cert` and `--key`.
    pub identity: Option<Identity>,
    /// Whether the section was named by `-n`.
    pub named: bool,
}

/// A login whose password may still have to be asked for.
#[derive(Debug)]
pub(super) enum PendingLogin {
    /// This system logs in, with its certificate.
    System {
        /// The system's uuid.
        uuid: String,
    },
    /// A user logs in.
    User {
        /// The name.
        username: String,
        /// The password.
        password: Password,
    },
}

impl PendingLogin {
    /// Asks for the password, unless it is known.
    pub(super) fn ask(&self, cancel: &Cancel) -> cli::Result<()> {
        match self {
            PendingLogin::System { .. } => Ok(()),
            PendingLogin::User { password, .. } => password.ask(cancel),
        }
    }

    /// The login for the server. The password must be known, see [`PendingLogin::ask`].
    pub(super) fn login(&self) -> Result<Login, Failure> {
        Ok(match self {
            PendingLogin::System { uuid } => Login::Consumer { uuid: uuid.clone() },
            PendingLogin::User { username, password } => Login::User {
                username: username.clone(),
                password: password.secret()?,
            },
        })
    }
}

impl LoginOptions<'_> {
    /// The login of a user, if one is named, else of this system. The endpoint gets this system's certificate.
    pub(super) fn login(
        self,
        section: &Section,
        rhsm: &Rhsm,
        endpoint: &mut Endpoint,
        cancel: &Cancel,
    ) -> cli::Result<PendingLogin> {
        let username = match (&self.identity, &self.options.username) {
            (Some(_), _) => None,
            (None, Some(username)) => Some(username.clone()),
            (None, None) => rhsm.username.clone(),
        };
        let Some(username) = username else {
            let identity = match self.identity {
                Some(identity) => identity,
                None => registered(rhsm, section, &endpoint.base.authority())?,
            };
            if !endpoint.base.https {
                let problem =
                    "a certificate can only be used over https://; give --username, or another --server";
                return Err(Failure::new(Kind::Config, problem).into());
            }
            let uuid = candlepin::consumer(&identity.cert, cancel)?;
            endpoint.identity = Some(identity);
            return Ok(PendingLogin::System { uuid });
        };
        let sources = password::Sources {
            file: self.options.password_file.as_deref(),
            section,
            key: "rhsm_password",
            variable: "VIRTWHO_RHSM_PASSWORD",
            named: self.named,
            whose: &format!("{username} at {}", endpoint.base.authority()),
        };
        let password = Password::look_up(&sources, cancel)?;
        Ok(PendingLogin::User { username, password })
    }
}

/// The file with the certificate of a registered system.
pub(super) fn certificate(rhsm: &Rhsm) -> PathBuf {
    rhsm.consumer_cert_dir.join("cert.pem")
}

/// The certificate and key of this system, if it is registered.
fn registered(rhsm: &Rhsm, section: &Section, server: &str) -> Result<Identity, Failure> {
    let cert = certificate(rhsm);
    if cert.try_exists().is_ok_and(|there| !there) {
        let advice = match section.name() {
            Some(name) if section.has("sat_server") => {
                format!("use vw-report-sat5, because section [{name}] has sat_server; or give --username")
            }
            Some(name) => format!("set rhsm_username in section [{name}], give --username"),
            None => "give --username, or set rhsm_username in a section".to_owned(),
        };
        let problem = format!(
            "no login configured for {server}: {advice}, or register this system ({} is missing)",
            cert.display()
        );
        return Err(Failure::new(Kind::Config, problem));
    }
    let key = rhsm.consumer_cert_dir.join("key.pem");
    Ok(Identity { cert, key })
}

/// The default reporter: `VIRTWHO_REPORTER_ID`, else `reporter_id` of `[global]`, else host name and machine id, as in virt-who.
pub(super) fn reporter_id(section: &Section) -> Result<String, config::Error> {
    let configured = section.global().text("reporter_id")?;
    Ok(configured.unwrap_or_else(this_machine))
}

/// Host name and machine id; the host name alone if there is no machine id.
fn this_machine() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match machine_id(Path::new("/etc/machine-id")) {
        Ok(id) => format!("{host}-{id}"),
        Err(error) => {
            log::debug!("/etc/machine-id: {error}");
            host
        }
    }
}

fn machine_id(file: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(file)?;
    match text.trim() {
        "" => Err(io::Error::other("is empty")),
        id => Ok(id.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Classify as _;
    use crate::secret::Secret;

    fn rhsm() -> Rhsm {
        Rhsm {
            hostname: "sub.example.com".to_owned(),
            port: 8443,
            prefix: "candlepin/".to_owned(),
            insecure: false,
            username: None,
            server_timeout: Some(180),
            proxy: None,
            no_proxy: None,
            ca_cert_dir: "/no/such".into(),
            repo_ca_cert: "/no/such/ca.pem".into(),
            consumer_cert_dir: "/".into(),
        }
    }

    #[test]
    fn a_named_server_replaces_the_configured_one() {
        let base = |server| {
            endpoint(&rhsm(), &Section::default(), server, &args::Connection::default())
                .unwrap()
                .base
                .to_string()
        };
        assert_eq!(base(None), "https://sub.example.com:8443/candlepin");
        assert_eq!(base(Some("other")), "https://other:8443/candlepin");
        assert_eq!(base(Some("other:1/rhsm")), "https://other:1/rhsm");
        assert_eq!(base(Some("http://[::1]:8080/x/")), "http://[::1]:8080/x");
    }

    #[test]
    fn verification_and_proxy_come_from_rhsm_conf() {
        let mut rhsm = rhsm();
        rhsm.insecure = true;
        rhsm.no_proxy = Some(("a,b".to_owned(), "no_proxy in rhsm.conf:3".to_owned()));
        rhsm.proxy = Some(config::RhsmProxy {
            origin: "proxy_hostname in rhsm.conf:2".to_owned(),
            hostname: "::1".to_owned(),
            port: 3128,
            user: Some("me".to_owned()),
            password: Some(Secret::from("p@ss:/word%".to_owned())),
        });
        let endpoint = endpoint(&rhsm, &Section::default(), None, &args::Connection::default()).unwrap();
        assert_eq!(endpoint.trust, Trust::Insecure);
        assert_eq!(endpoint.silence_limit, Duration::from_secs(180));
        let expected = Proxy::Through {
            proxy: ProxyUrl::parse(
                "me:p%40ss%3A%2Fword%25@[::1]:3128",
                "proxy_hostname in rhsm.conf:2",
            )
            .unwrap(),
            no_proxy: Some(NoProxy {
                list: "a,b".to_owned(),
                origin: "no_proxy in rhsm.conf:3".to_owned(),
            }),
        };
        assert_eq!(endpoint.proxy, expected);
    }

    #[test]
    fn the_authorities_of_the_service_are_trusted_besides_the_systems() {
        let folder = tempfile::tempdir().unwrap();
        let mut rhsm = rhsm();
        assert_eq!(
            endpoint(&rhsm, &Section::default(), None, &args::Connection::default())
                .unwrap()
                .trust,
            Trust::SystemAnd(vec![])
        );
        for name in ["b.pem", "a.pem", "a.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        rhsm.ca_cert_dir = folder.path().to_owned();
        rhsm.repo_ca_cert = folder.path().join("a.pem");
        let files = ["a.pem", "b.pem"].map(|name| folder.path().join(name)).to_vec();
        assert_eq!(
            endpoint(&rhsm, &Section::default(), None, &args::Connection::default())
                .unwrap()
                .trust,
            Trust::SystemAnd(files)
        );
        rhsm.ca_cert_dir = folder.path().join("a.txt");
        assert!(endpoint(&rhsm, &Section::default(), None, &args::Connection::default()).is_err());
    }

    #[test]
    fn a_system_that_is_not_registered_needs_a_user() {
        let error = registered(&rhsm(), &Section::default(), "sub.example.com:443").unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert_eq!(
            error.to_string(),
            "no login configured for sub.example.com:443: give --username, or set rhsm_username in a section, or register \
             this system (/cert.pem is missing)"
        );
    }

    #[test]
    fn an_empty_machine_id_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("machine-id");
        assert!(machine_id(&file).is_err());
        std::fs::write(&file, "\n").unwrap();
        assert!(machine_id(&file).is_err());
        std::fs::write(&file, "0123abcd\n").unwrap();
        assert_eq!(machine_id(&file).unwrap(), "0123abcd");
        assert!(!reporter_id(&Section::default()).unwrap().is_empty());
    }
}
