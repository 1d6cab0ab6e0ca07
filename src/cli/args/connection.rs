//! How a server is reached.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

use crate::cancel::Cancel;
use crate::cli::{Failure, password};
use crate::config::{self, TrustKeys};
use crate::environment::{ALL_PROXY, Environment, HTTP_PROXY, HTTPS_PROXY, NO_PROXY};
use crate::error::Kind;
use crate::http::{
    self, BadThumbprint, Base, Endpoint, NoProxy, Proxy, ProxyUrl, Thumbprint, Trace, Trust, Way,
};
use crate::secret::Secret;

/// How a server is reached.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Connection {
    /// Trust the authorities or the certificate in the PEM file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["thumbprint", "insecure"])]
    pub cacert: Option<PathBuf>,
    /// Trust the certificate with this SHA-256
    #[arg(long, value_name = "SHA256", conflicts_with = "insecure")]
    pub thumbprint: Option<Thumbprint>,
    /// Trust any server
    #[arg(long)]
    pub insecure: bool,
    /// Use the HTTP proxy at URL, none if it is empty
    #[arg(long, value_name = "URL", value_parser = ProxyParser)]
    pub proxy: Option<Proxy>,
    /// Read the password for the proxy from FILE, which may be a pipe
    #[arg(long, value_name = "FILE")]
    pub proxy_password_file: Option<PathBuf>,
    /// Give up after this time, such as 90, 5m or 1h
    #[arg(long, value_name = "SECONDS", value_parser = super::limit)]
    pub timeout: Option<Duration>,
    /// Save each HTTP exchange in DIR, without secrets
    #[arg(long, value_name = "DIR")]
    pub trace: Option<Trace>,
}

impl Connection {
    /// The time that `--timeout` allows.
    pub fn time(&self) -> Option<Duration> {
        self.timeout
    }

    /// How the server at `base` is reached: as the options say, else as `said` does, else by the section's keys, else by
    /// `[system_environment]` and the environment.
    ///
    /// The time that `--timeout` allows does not begin yet, see [`Connection::apply`]. Debug messages say what is in force,
    /// and why.
    pub fn endpoint(
        &self,
        base: Base,
        section: &config::Section,
        keys: &Keys,
        said: Said,
    ) -> crate::cli::Result<Endpoint> {
        let mut endpoint = Endpoint::new(base);
        endpoint.environment = Environment::new(|name| std::env::var_os(name));
        let server = endpoint.base.authority();
        let (trust, origin) = match (self.trust()?, said.trust) {
            (Some(trust), _) | (None, Some(trust)) => trust,
            (None, None) => match trust_of(section, keys)? {
                Some(trust) => trust,
                None => (said.usual_trust, "the default".to_owned()),
            },
        };
        if endpoint.base.https {
            log::debug!("the certificate of {server} is verified by {trust} ({origin})");
        }
        endpoint.trust = trust;
        endpoint.proxy = match (&self.proxy, said.proxy) {
            (Some(proxy), _) => proxy.clone(),
            (None, Some(proxy)) => proxy,
            (None, None) => proxy_of(section, keys, endpoint.base.https)?,
        };
        let no_proxy = match said.no_proxy {
            Some(hosts) => Some(hosts),
            None => exported(section, &NO_PROXY)?.map(|(list, origin)| NoProxy { list, origin }),
        };
        if let Some(hosts) = no_proxy {
            endpoint.proxy = endpoint.proxy.with_no_proxy(hosts);
        }
        tell(&server, &endpoint.way()?);
        Ok(endpoint)
    }

    /// Gives the endpoint's proxy the password of `--proxy-password-file`, or of the section's file for the section's proxy.
    ///
    /// It is read here, once, because it may be a pipe; `cancel` ends the wait for one. Warns of a proxy that gets no TLS though
    /// its URL says so.
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

    /// Starts the time that `--timeout` allows, and sets where exchanges are saved.
    pub fn apply(&self, endpoint: &mut Endpoint) {
        if let Some(time) = self.time() {
            endpoint.deadline = Instant::now().checked_add(time);
        }
        if let Some(trace) = &self.trace {
            endpoint.trace = Some(trace.clone());
        }
    }

    /// What the options say about trust, and which one does.
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

/// The keys of a section that say how one of its servers is reached.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// How its certificate is verified.
    pub trust: TrustKeys,
    /// The proxy's URL.
    pub proxy: Option<&'static str>,
    /// The file with the password for that proxy.
    pub proxy_password_file: Option<&'static str>,
}

impl Keys {
    /// For the source.
    pub const SOURCE: Keys = Keys {
        trust: TrustKeys {
            cacert: "cacert",
            thumbprint: "thumbprint",
            insecure: "insecure",
        },
        proxy: Some("proxy"),
        proxy_password_file: Some("proxy_password_file"),
    };
    /// For Candlepin, whose proxy is named by `rhsm_proxy_hostname` and its sisters.
    pub const CANDLEPIN: Keys = Keys {
        trust: TrustKeys {
            cacert: "rhsm_cacert",
            thumbprint: "rhsm_thumbprint",
            insecure: "rhsm_insecure",
        },
        proxy: None,
        proxy_password_file: None,
    };
    /// For Satellite 5.
    pub const SATELLITE5: Keys = Keys {
        trust: TrustKeys {
            cacert: "sat_cacert",
            thumbprint: "sat_thumbprint",
            insecure: "sat_insecure",
        },
        proxy: Some("sat_proxy"),
        proxy_password_file: None,
    };
}

/// What is said about the way to a server beside options and the section's keys for it.
#[derive(Debug, Default)]
pub struct Said {
    /// Instead of the section's keys: how its certificate is verified, and who says so.
    pub trust: Option<(Trust, String)>,
    /// Instead of the section's key.
    pub proxy: Option<Proxy>,
    /// Hosts that are reached without the proxy, whichever it is.
    pub no_proxy: Option<NoProxy>,
    /// How its certificate is verified if nobody says anything.
    pub usual_trust: Trust,
}

fn tell(server: &str, way: &Way) {
    let why = &way.why;
    match &way.proxy {
        None => log::debug!("{server} is reached without a proxy ({why})"),
        Some(proxy) => log::debug!("{server} is reached through the proxy {proxy} ({why})"),
    }
}

/// The warning about a proxy whose URL says more than is done.
pub fn https_proxy(way: &Way) -> Option<String> {
    let proxy = way.proxy.as_ref().filter(|proxy| proxy.said_https())?;
    Some(format!(
        "{} says https://, but the proxy {} is spoken to without TLS; write http:// instead",
        way.why,
        proxy.authority()
    ))
}

/// What the section's keys say about trust, and which one does.
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

/// Why a file that an option or a key names can't be there. What is wrong within it shows when it is read.
fn missing(file: &Path) -> Option<String> {
    let error = std::fs::metadata(file).err()?;
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or(&text);
    Some(format!("{}: {reason}", file.display()))
}

/// The proxy that the section's key names, else `[system_environment]`, else the environment.
fn proxy_of(section: &config::Section, keys: &Keys, https: bool) -> crate::cli::Result<Proxy> {
    if let Some(key) = keys.proxy
        && let Some(text) = section.text(key)?
    {
        let text = Secret::from(text);
        let proxy = Proxy::parse(text.expose(), &section.origin(key)).map_err(|error| match error {
            http::Error::Proxy { reason, .. } => section.wrong(key, reason).into(),
            error => crate::cli::Error::from(error),
        });
        return proxy;
    }
    // virt-who uses the first of these for both, and people write only that one. Names in either case: no CGI's client
    // writes into a file.
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

/// The section's file with the password for the section's proxy, if that is the one in force, and the key's place for messages.
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
        // In [defaults] it is there for those sections that name a proxy.
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

/// The first of these variables that `[system_environment]` sets, and its place.
fn exported(section: &config::Section, names: &[&str]) -> Result<Option<(String, String)>, config::Error> {
    for name in names {
        if let Some(found) = section.exported_variable(name)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Reads a proxy's URL, whose password clap's own messages would repeat.
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

    fn endpoint(options: &[&str]) -> Result<Endpoint, String> {
        let parsed = Options::try_parse_from([&["x"], options].concat());
        let parsed = parsed.map_err(|error| error.to_string())?;
        let base = Base::parse("vc", 443, "").unwrap();
        let section = config::Section::default();
        let built = parsed
            .connection
            .endpoint(base, &section, &Keys::SOURCE, Said::default());
        let mut endpoint = built.map_err(|error| error.to_string())?;
        parsed.connection.apply(&mut endpoint);
        Ok(endpoint)
    }

    #[test]
    fn options_set_what_they_name_and_nothing_else() {
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
    fn contradictions_and_nonsense_are_refused_without_showing_a_password() {
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
