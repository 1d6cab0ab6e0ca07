//! How a server is reached.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};

use crate::config;
use crate::http::{Base, Endpoint, Proxy, ProxyUrl, Thumbprint, Trace, Trust};

/// How a server is reached.
#[derive(Debug, Default, clap::Args)]
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

    /// Sets what the options say; what they do not mention stays. The time that `--timeout` allows begins now.
    pub fn apply(&self, endpoint: &mut Endpoint) {
        if let Some(file) = &self.cacert {
            endpoint.trust = Trust::Authorities(file.clone());
        }
        if let Some(thumbprint) = self.thumbprint {
            endpoint.trust = Trust::Thumbprint(thumbprint);
        }
        if self.insecure {
            endpoint.trust = Trust::Insecure;
        }
        if let Some(proxy) = &self.proxy {
            endpoint.proxy = proxy.clone();
        }
        if let Some(time) = self.time() {
            endpoint.deadline = Instant::now().checked_add(time);
        }
        if let Some(trace) = &self.trace {
            endpoint.trace = Some(trace.clone());
        }
    }
}

/// The endpoint of `base` with the proxy that `[system_environment]` names, if it does: as if the environment had its
/// variables, which win over those that it has.
pub fn endpoint(base: Base, section: &config::Section) -> anyhow::Result<Endpoint> {
    let first = |names: &[&'static str]| -> Result<Option<(&'static str, String)>, config::Error> {
        for name in names {
            if let Some(value) = section.exported(name)? {
                return Ok(Some((name, value)));
            }
        }
        Ok(None)
    };
    let proxy = match base.https {
        true => first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
        false => first(&["http_proxy", "all_proxy", "ALL_PROXY"])?,
    };
    let mut endpoint = Endpoint::new(base);
    if let Some((name, url)) = proxy {
        endpoint.proxy = Proxy::Through {
            proxy: ProxyUrl::parse(&url, &format!("{name} in [system_environment]"))?,
            no_proxy: first(&["no_proxy", "NO_PROXY"])?.map(|(_, list)| list),
        };
    }
    Ok(endpoint)
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
        let mut endpoint = Endpoint::new(Base::parse("vc", 443, "").unwrap());
        parsed.connection.apply(&mut endpoint);
        Ok(endpoint)
    }

    #[test]
    fn options_set_what_they_name_and_nothing_else() {
        let thumbprint = "ab".repeat(32);
        let usual = Endpoint::new(Base::parse("vc", 443, "").unwrap());
        assert_eq!(endpoint(&[]).unwrap(), usual);
        let trust = |options: &[&str]| endpoint(options).unwrap().trust;
        assert_eq!(
            trust(&["--cacert", "ca.pem"]),
            Trust::Authorities("ca.pem".into())
        );
        assert_eq!(
            trust(&["--thumbprint", &thumbprint]),
            Trust::Thumbprint(thumbprint.parse().unwrap())
        );
        assert_eq!(trust(&["--insecure"]), Trust::Insecure);
        assert_eq!(endpoint(&["--proxy", ""]).unwrap().proxy, Proxy::None);
        let proxy = Proxy::Through {
            proxy: "p:3128".parse().unwrap(),
            no_proxy: None,
        };
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
        ] {
            let error = endpoint(options).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
