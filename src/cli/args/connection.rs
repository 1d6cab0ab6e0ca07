//! Options for the connection to a server, and the keys that replace them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

use super::duration::TimeLimit;
use crate::cancel::Cancel;
use crate::cli::error::Failure;
use crate::cli::password;
use crate::config::{self, TrustKeys};
use crate::environment::{ALL_PROXY, Environment, HTTP_PROXY, HTTPS_PROXY, NO_PROXY};
use crate::error::Kind;
use crate::http::{
    self, BadThumbprint, Base, Endpoint, NoProxy, Proxy, ProxyUrl, Thumbprint, Trace, Trust, Way,
};
use crate::secret::Secret;
use crate::text;

/// Options for the connection to a server.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Connection {
    /// Trust the CA or server certificate in the PEM file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["thumbprint", "insecure"])]
    pub cacert: Option<PathBuf>,
    /// Trust the server's certificate if it has this SHA-256
    #[arg(long, value_name = "SHA256", conflicts_with = "insecure")]
    pub thumbprint: Option<Thumbprint>,
    /// Do not verify the server's certificate
    #[arg(long)]
    pub insecure: bool,
    /// Use this HTTP proxy; an empty URL means none
    #[arg(long, value_name = "URL", value_parser = ProxyParser)]
    pub proxy: Option<Proxy>,
    /// Read the proxy's password from FILE, which may be a pipe
    #[arg(long, value_name = "FILE")]
    pub proxy_password_file: Option<PathBuf>,
    /// How long the work may take.
    #[command(flatten)]
    pub limit: TimeLimit,
    /// Save each HTTP exchange in DIR, without secrets
    #[arg(long, value_name = "DIR")]
    pub trace: Option<Trace>,
}

impl Connection {
    /// The time of `--timeout`.
    pub fn time(&self) -> Option<Duration> {
        self.limit.timeout
    }

    /// Returns the endpoint for the server at `base`. Of each setting the first of these counts: the option, `overrides`, the
    /// section's key, `[system_environment]`, the environment.
    ///
    /// The time of `--timeout` does not start yet; see [`Connection::apply`]. Debug messages say which settings are used,
    /// and where they come from.
    pub fn endpoint(
        &self,
        base: Base,
        section: &config::Section,
        keys: &Keys,
        overrides: Overrides,
    ) -> crate::cli::Result<Endpoint> {
        let mut endpoint = Endpoint::new(base);
        endpoint.environment = Environment::new(|name| std::env::var_os(name));
        let server = endpoint.base.authority();
        let (trust, origin) = match (self.trust()?, overrides.trust) {
            (Some(trust), _) | (None, Some(trust)) => trust,
            (None, None) => match trust_of(section, keys)? {
                Some(trust) => trust,
                None => (overrides.default_trust, "the default".to_owned()),
            },
        };
        if endpoint.base.https {
            log::debug!("the certificate of {server} is verified by {trust} ({origin})");
        }
        endpoint.trust = trust;
        endpoint.proxy = match (&self.proxy, overrides.proxy) {
            (Some(proxy), _) => proxy.clone(),
            (None, Some(proxy)) => proxy,
            (None, None) => proxy_of(section, keys, endpoint.base.https)?,
        };
        let no_proxy = match overrides.no_proxy {
            Some(hosts) => Some(hosts),
            None => exported(section, &NO_PROXY)?.map(|(list, origin)| NoProxy { list, origin }),
        };
        if let Some(hosts) = no_proxy {
            endpoint.proxy = endpoint.proxy.with_no_proxy(hosts);
        }
        log_way(&server, &endpoint.way()?);
        Ok(endpoint)
    }

    /// Sets the proxy's password from `--proxy-password-file`, or from the section's file if the proxy is the section's.
    ///
    /// The file may be a pipe, so it is read only once; `cancel` ends the wait. A proxy with an `https://` URL causes a warning,
    /// because TLS to a proxy is not supported.
    pub fn proxy_password(
        &self,
        endpoint: &mut Endpoint,
        section: &config::Section,
        keys: &Keys,
        cancel: &Cancel,
    ) -> crate::cli::Result<()> {
        const OPTION: &str = "--proxy-password-file";
        let way = endpoint.way()?;
        if let Some(warning) = https_proxy(&way) {
            log::warn!("{warning}");
        }
        let (file, named) = match (&self.proxy_password_file, own_password_file(section, keys, &way)?) {
            (Some(file), _) => (file.clone(), OPTION.to_owned()),
            (None, Some(own)) => own,
            (None, None) => return Ok(()),
        };
        let Some(proxy) = way.proxy else {
            if !way.exempt {
                let server = endpoint.base.authority();
                log::warn!(
                    "{named} is not used: {server} is reached without a proxy ({})",
                    way.why
                );
            }
            return Ok(());
        };
        let proxy = proxy.with_password(password::of_file(&file, &named, cancel)?)?;
        let no_proxy = match &endpoint.proxy {
            Proxy::Through { no_proxy, .. } | Proxy::Environment { no_proxy } => no_proxy.clone(),
            Proxy::None { .. } => None,
        };
        endpoint.proxy = Proxy::Through { proxy, no_proxy };
        Ok(())
    }

    /// Starts the time of `--timeout`, and sets the folder of `--trace`.
    pub fn apply(&self, endpoint: &mut Endpoint) {
        if let Some(time) = self.time() {
            endpoint.deadline = Instant::now().checked_add(time);
        }
        if let Some(trace) = &self.trace {
            endpoint.trace = Some(trace.clone());
        }
    }

    /// How the options verify the server, and which option says so.
    fn trust(&self) -> Result<Option<(Trust, String)>, Failure> {
        Ok(match self {
            Connection {
                cacert: Some(file), ..
            } => {
                let reason = missing(file);
                if let Some(reason) = reason {
                    return Err(Failure::new(Kind::Config, format!("--cacert {reason}")));
                }
                Some((Trust::Authorities(file.clone()), "--cacert".to_owned()))
            }
            Connection {
                thumbprint: Some(thumbprint),
                ..
            } => Some((Trust::Thumbprint(*thumbprint), "--thumbprint".to_owned())),
            Connection { insecure: true, .. } => Some((Trust::Insecure, "--insecure".to_owned())),
            _ => None,
        })
    }
}

/// The keys of a section for the connection to one of its servers.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// The keys for the server's certificate.
    pub trust: TrustKeys,
    /// The key for the proxy's URL.
    pub proxy: Option<&'static str>,
    /// The key for the file with that proxy's password.
    pub proxy_password_file: Option<&'static str>,
}

/// Settings of a command for a connection, which take precedence over the section's keys.
#[derive(Debug, Default)]
pub struct Overrides {
    /// How the server's certificate is verified, and the origin of this setting.
    pub trust: Option<(Trust, String)>,
    /// The proxy.
    pub proxy: Option<Proxy>,
    /// Hosts that are reached without any proxy.
    pub no_proxy: Option<NoProxy>,
    /// How the server's certificate is verified if neither an option nor a key says so.
    pub default_trust: Trust,
}

fn log_way(server: &str, way: &Way) {
    let why = &way.why;
    match &way.proxy {
        None => log::debug!("{server} is reached without a proxy ({why})"),
        Some(proxy) => log::debug!("{server} is reached through the proxy {proxy} ({why})"),
    }
}

/// The warning about a proxy whose URL is `https://`, because TLS to a proxy is not supported.
pub fn https_proxy(way: &Way) -> Option<String> {
    let proxy = way.proxy.as_ref().filter(|proxy| proxy.said_https())?;
    Some(format!(
        "{} says https://, but the connection to the proxy {} does not use TLS; write http:// instead",
        way.why,
        proxy.authority()
    ))
}

/// How the section's keys verify the server, and which key says so.
fn trust_of(section: &config::Section, keys: &Keys) -> Result<Option<(Trust, String)>, config::Error> {
    let Some((key, trust)) = section.verification(&keys.trust)? else {
        return Ok(None);
    };
    let trust = match trust {
        config::Verification::Insecure => Trust::Insecure,
        config::Verification::Authorities(file) => match missing(&file) {
            None => Trust::Authorities(file),
            Some(reason) => return Err(section.wrong(key, &reason)),
        },
        config::Verification::Thumbprint(text) => {
            let parsed = text
                .parse()
                .map_err(|error: BadThumbprint| section.wrong(key, &error.to_string()));
            Trust::Thumbprint(parsed?)
        }
    };
    Ok(Some((trust, section.origin(key))))
}

/// Why a file that an option or a key names can't be found. Its content is checked when it is read.
fn missing(file: &Path) -> Option<String> {
    let error = std::fs::metadata(file).err()?;
    Some(format!("{}: {}", file.display(), text::reason(&error)))
}

/// The proxy of the section's key, otherwise of `[system_environment]`, otherwise of the environment.
fn proxy_of(section: &config::Section, keys: &Keys, https: bool) -> crate::cli::Result<Proxy> {
    if let Some(key) = keys.proxy
        && let Some(url) = section.text(key)?
    {
        let url = Secret::from(url);
        return Proxy::parse(url.expose(), &section.origin(key)).map_err(|error| match error {
            http::Error::Proxy { reason, .. } => section.wrong(key, reason).into(),
            error => crate::cli::Error::from(error),
        });
    }
    // virt-who uses the first of these for http and https, so people set only that one. In a file, HTTP_PROXY is safe: it
    // can't be a CGI request's header.
    let names = match https {
        true => [HTTPS_PROXY, ALL_PROXY, HTTP_PROXY].concat(),
        false => [HTTP_PROXY, ALL_PROXY].concat(),
    };
    let Some((url, origin)) = exported(section, &names)? else {
        return Ok(Proxy::default());
    };
    let url = Secret::from(url);
    Ok(Proxy::Through {
        proxy: ProxyUrl::parse_variable(url.expose(), &origin)?,
        no_proxy: None,
    })
}

/// The section's file with the password of the section's proxy, if that proxy is used, and the key's place for messages.
fn own_password_file(
    section: &config::Section,
    keys: &Keys,
    way: &Way,
) -> Result<Option<(PathBuf, String)>, config::Error> {
    let (Some(key), Some(proxy)) = (keys.proxy_password_file, keys.proxy) else {
        return Ok(None);
    };
    let Some(file) = section.text(key)? else {
        return Ok(None);
    };
    if !section.is_set(proxy) {
        // In [defaults] the key is for the sections that set a proxy.
        if !section.is_from_defaults(key) {
            log::warn!(
                "{}",
                section.note(key, &format!("has no effect without the key {proxy}"))
            );
        }
        return Ok(None);
    }
    let in_force = way
        .proxy
        .as_ref()
        .is_some_and(|used| used.origin() == section.origin(proxy));
    Ok(in_force.then(|| (file.into(), format!("{}:", section.origin(key)))))
}

/// The value of the first of these variables that `[system_environment]` sets, and its place.
fn exported(section: &config::Section, names: &[&str]) -> Result<Option<(String, String)>, config::Error> {
    for name in names {
        if let Some(found) = section.exported_variable(name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Parses a proxy's URL. clap's own messages would repeat the password in it.
#[derive(Clone)]
struct ProxyParser;

impl TypedValueParser for ProxyParser {
    type Value = Proxy;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Proxy, clap::Error> {
        let value = value.to_str().unwrap_or("\u{fffd}");
        Proxy::parse(value, "--proxy").map_err(|error| {
            command
                .clone()
                .error(ErrorKind::ValueValidation, error.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Options {
        #[command(flatten)]
        connection: Connection,
    }

    const KEYS: Keys = Keys {
        trust: TrustKeys {
            cacert: "cacert",
            thumbprint: "thumbprint",
            insecure: "insecure",
        },
        proxy: None,
        proxy_password_file: None,
    };

    fn endpoint(options: &[&str]) -> Result<Endpoint, String> {
        let parsed = Options::try_parse_from([&["x"], options].concat());
        let parsed = parsed.map_err(|error| error.to_string())?;
        let base = Base::parse("vc", 443, "").unwrap();
        let section = config::Section::default();
        let built = parsed
            .connection
            .endpoint(base, &section, &KEYS, Overrides::default());
        let mut endpoint = built.map_err(|error| error.to_string())?;
        parsed.connection.apply(&mut endpoint);
        Ok(endpoint)
    }

    #[test]
    fn each_option_changes_only_its_own_setting() {
        let thumbprint = "ab".repeat(32);
        let mut usual = Endpoint::new(Base::parse("vc", 443, "").unwrap());
        usual.environment = endpoint(&[]).unwrap().environment;
        assert_eq!(endpoint(&[]).unwrap(), usual);
        let trust = |options: &[&str]| endpoint(options).unwrap().trust;
        assert_eq!(
            trust(&["--cacert", "Cargo.toml"]),
            Trust::Authorities("Cargo.toml".into())
        );
        assert_eq!(
            trust(&["--thumbprint", &thumbprint]),
            Trust::Thumbprint(thumbprint.parse().unwrap())
        );
        assert_eq!(trust(&["--insecure"]), Trust::Insecure);
        assert_eq!(endpoint(&["--proxy", ""]).unwrap().proxy, Proxy::none("--proxy"));
        let proxy = Proxy::parse("p:3128", "--proxy").unwrap();
        assert_eq!(endpoint(&["--proxy", "http://p:3128"]).unwrap().proxy, proxy);
        let deadline = endpoint(&["--timeout", "5"]).unwrap().deadline.unwrap();
        assert!(deadline <= Instant::now() + Duration::from_secs(5));
        let minutes = endpoint(&["--timeout", "5m"]).unwrap().deadline.unwrap();
        assert!(minutes > Instant::now() + Duration::from_secs(240));
    }

    #[test]
    fn invalid_options_are_refused_without_showing_a_password() {
        let thumbprint = "ab".repeat(32);
        for options in [
            &["--cacert", "x", "--insecure"][..],
            &["--cacert", "x", "--thumbprint", &thumbprint],
            &["--thumbprint", &thumbprint, "--insecure"],
            &["--thumbprint", "abcd"],
            &["--timeout", "0"],
            &["--timeout", "soon"],
            &["--proxy", "socks5://u:s3cret@p"],
            &["--proxy", "http://u:s3cret@p:0"],
            &["--proxy", "https://u:s3cret@p"],
            &["--proxy", "https://p"],
            &["--cacert", "no/such/file"],
        ] {
            let error = endpoint(options).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
