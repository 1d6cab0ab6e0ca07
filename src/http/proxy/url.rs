//! A proxy's address, and our credentials for it.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::super::request::basic;
use super::super::{Error, base};
use crate::secret::Secret;
use crate::text::cut;

/// The most authentication schemes of a proxy that an error lists, and the most characters of each.
const MOST_SCHEMES: usize = 10;
const LONGEST_SCHEME: usize = 40;

/// An HTTP proxy: its address, our credentials for it, and what names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    pub(in super::super) host: String,
    pub(in super::super) port: u16,
    user: Option<String>,
    password: Option<Secret>,
    /// The option, key or variable that names it.
    origin: String,
    /// The URL said `https://`.
    said_https: bool,
}

impl ProxyUrl {
    /// The default port, as in curl.
    const PORT: u16 = 1080;

    /// Reads `[http://][USER[:PASSWORD]@]HOST[:PORT]`, with user and password percent-encoded. The default port is curl's, 1080.
    ///
    /// `origin` is what names it, for messages: an option, a key or a variable.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        let proxy = ProxyUrl::parse_variable(text, origin)?;
        match proxy.said_https {
            true => Err(proxy.unusable("only http:// proxies are supported")),
            false => Ok(proxy),
        }
    }

    /// Reads the value of a variable such as `https_proxy`. In it people write `https://` and mean a proxy for https; so that is
    /// read as `http://`, unless it would send a password in clear. See [`ProxyUrl::said_https`].
    pub fn parse_variable(text: &str, origin: &str) -> Result<Self, Error> {
        let fail = |reason| unusable(origin, reason);
        let text = text.trim();
        let (said_https, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some(_) => return Err(fail("only http:// proxies are supported")),
            None => (false, text),
        };
        let rest = rest.trim_end_matches('/');
        let (account, authority) = match rest.rsplit_once('@') {
            Some((account, authority)) => (Some(account), authority),
            None => (None, rest),
        };
        let (user, password) = match account.map(|account| account.split_once(':')) {
            None => (None, None),
            Some(None) => (account, None),
            Some(Some((user, password))) => (Some(user), Some(password)),
        };
        let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
            Ok(text) if !text.contains(char::is_control) => Ok(text.into_owned()),
            _ => Err(fail("user name or password are not percent-encoded text")),
        };
        let proxy = ProxyUrl::new(authority, ProxyUrl::PORT, origin)?;
        let proxy = ProxyUrl {
            said_https,
            user: user.map(decoded).transpose()?,
            ..proxy
        };
        match password {
            Some(password) => proxy.with_password(Secret::from(decoded(password)?)),
            None => Ok(proxy),
        }
    }

    /// The proxy at `HOST` or `HOST:PORT`.
    pub fn new(authority: &str, port: u16, origin: &str) -> Result<Self, Error> {
        let (host, own_port) = base::split_port(authority).map_err(|reason| unusable(origin, reason))?;
        Ok(ProxyUrl {
            host: host.to_owned(),
            port: own_port.unwrap_or(port),
            user: None,
            password: None,
            origin: origin.to_owned(),
            said_https: false,
        })
    }

    /// The same proxy with a user.
    pub fn with_user(self, user: String) -> Self {
        ProxyUrl {
            user: Some(user),
            ..self
        }
    }

    /// The same proxy with the password of its user.
    pub fn with_password(self, password: Secret) -> Result<Self, Error> {
        if self.said_https {
            return Err(self.unusable(
                "the connection to an https:// proxy has no TLS, so its password would be sent in clear; write http:// \
                 if you accept that",
            ));
        }
        if self.user.is_none() {
            return Err(self.unusable("a password needs a user name; write http://USER@HOST:PORT"));
        }
        if self.password.is_some() {
            return Err(
                self.unusable("it has a password already, and there is a password file too; remove one")
            );
        }
        Ok(ProxyUrl {
            password: Some(password),
            ..self
        })
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        base::authority(&self.host, self.port)
    }

    /// The option, key or variable that names it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The user that we log in as.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether its URL says `https://`, although we speak to it without TLS.
    pub fn said_https(&self) -> bool {
        self.said_https
    }

    /// The value of the header field `Proxy-Authorization`; `None` without credentials.
    pub(in super::super) fn authorization(&self) -> Option<Secret> {
        let password = self.password.as_ref().map_or("", Secret::expose);
        Some(basic(self.user.as_ref()?, password))
    }

    /// The error for an answer that refuses us; `offered` are the values of `Proxy-Authenticate`.
    pub(in super::super) fn refused<'a>(&self, status: u16, offered: impl Iterator<Item = &'a str>) -> Error {
        let schemes = offered.filter_map(|value| value.split_whitespace().next());
        let schemes: Vec<String> = schemes
            .map(|scheme| cut(scheme.trim_end_matches(','), LONGEST_SCHEME).into_owned())
            .take(MOST_SCHEMES)
            .collect();
        let offers_basic = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("Basic"));
        Error::ProxyRefused {
            proxy: self.authority(),
            status,
            user: self.user.clone(),
            wants: if offers_basic { Vec::new() } else { schemes },
        }
    }

    fn unusable(&self, reason: &'static str) -> Error {
        unusable(&self.origin, reason)
    }
}

fn unusable(origin: &str, reason: &'static str) -> Error {
    Error::Proxy {
        origin: origin.to_owned(),
        reason,
    }
}

impl FromStr for ProxyUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        ProxyUrl::parse(text, "the proxy's URL")
    }
}

/// Without the credentials.
impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let proxy: ProxyUrl = "http://us%40er:p%3As3cret@p.example.com:3128/".parse().unwrap();
        assert_eq!(proxy.authority(), "p.example.com:3128");
        let pair = base64::prelude::BASE64_STANDARD.encode("us@er:p:s3cret");
        assert_eq!(proxy.authorization().unwrap().expose(), format!("Basic {pair}"));
        assert!(!format!("{proxy} {proxy:?}").contains("s3cret"));
        for text in [
            "",
            "https://p",
            "u:s3cret@",
            "u:%ff@p",
            "u:a%0d%0a@p",
            "p:0",
            "http://u:s3c/ret@p:x",
        ] {
            let error = text.parse::<ProxyUrl>().unwrap_err();
            assert!(!error.to_string().contains("s3c"), "{error}");
        }
    }

    #[test]
    fn a_password_comes_from_one_place_and_belongs_to_a_user() {
        let with = |text: &str| {
            let proxy = ProxyUrl::parse_variable(text, "x_proxy")?;
            proxy.with_password(Secret::from("s3cret".to_owned()))
        };
        let known = with("http://me@p:1").unwrap();
        assert_eq!(known.authorization(), with("me@p:1").unwrap().authorization());
        assert_eq!(
            known.authorization(),
            ProxyUrl::parse("me:s3cret@p:1", "").unwrap().authorization()
        );
        for (text, wanted) in [
            ("p:1", "needs a user name"),
            ("me:s3cret@p:1", "remove one"),
            ("https://me@p:1", "in clear"),
            ("https://me:s3cret@p:1", "in clear"),
        ] {
            let error = with(text).unwrap_err().to_string();
            assert!(
                error.starts_with("x_proxy is not usable: ") && error.contains(wanted),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn https_in_a_variable_means_for_https() {
        let proxy = ProxyUrl::parse_variable("HTTPS://p:3128/", "https_proxy").unwrap();
        assert_eq!(
            (proxy.to_string().as_str(), proxy.said_https()),
            ("http://p:3128", true)
        );
        assert!(!ProxyUrl::parse_variable("p:3128", "").unwrap().said_https());
        assert!(ProxyUrl::parse("https://p:3128", "--proxy").is_err());
    }
}
