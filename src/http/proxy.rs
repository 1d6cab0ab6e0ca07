//! Which way leads to a server: straight, or through a proxy.
//!
//! The choice is curl's (its man page, "Environment" and `--noproxy`): an option or key, else `http_proxy` (lower case only, for
//! a CGI's client sets `HTTP_PROXY`), `https_proxy` or `HTTPS_PROXY`, then `all_proxy` or `ALL_PROXY`; in each case not for the
//! hosts in `no_proxy` or `NO_PROXY`. An empty variable is an unset one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine as _;
use percent_encoding::percent_decode_str;

use super::{Base, Error, base};
use crate::secret::Secret;

/// Whether a proxy is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// None, whatever the environment says.
    None,
    /// As the environment says.
    #[default]
    Environment,
    /// This one, except for the hosts of `no_proxy`.
    Through {
        /// The proxy.
        proxy: ProxyUrl,
        /// Hosts that are reached without it, as `NO_PROXY` lists them; `None` takes the environment's list.
        no_proxy: Option<String>,
    },
}

impl Proxy {
    /// Reads a proxy's URL as [`ProxyUrl::parse`] does; an empty one means that none is used, as with curl's `--proxy ""`.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        if text.trim().is_empty() {
            return Ok(Proxy::None);
        }
        let proxy = ProxyUrl::parse(text, origin)?;
        Ok(Proxy::Through {
            proxy,
            no_proxy: None,
        })
    }

    /// The way to `base`, in an environment that `variable` looks up.
    pub(super) fn route(
        &self,
        base: &Base,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Route, Error> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.is_empty())?;
                Some((*name, value))
            })
        };
        let listed = || first(&["no_proxy", "NO_PROXY"]).map(|(_, list)| list);
        let (proxy, no_proxy) = match self {
            Proxy::None => return Ok(Route::Direct),
            Proxy::Through { proxy, no_proxy } => (Ok(proxy.clone()), no_proxy.clone().or_else(listed)),
            Proxy::Environment => {
                let names: &[&'static str] = match base.https {
                    true => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
                    false => &["http_proxy", "all_proxy", "ALL_PROXY"],
                };
                match first(names) {
                    Some((name, value)) => (ProxyUrl::parse(&value, name), listed()),
                    None => return Ok(Route::Direct),
                }
            }
        };
        if no_proxy.is_some_and(|list| exempts(&list, &base.host, base.port)) {
            return Ok(Route::Direct);
        }
        Ok(match base.https {
            true => Route::Tunnel(proxy?),
            false => Route::Forward(proxy?),
        })
    }
}

/// An HTTP proxy: where it is, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    pub(super) host: String,
    pub(super) port: u16,
    credentials: Option<(String, Secret)>,
}

impl ProxyUrl {
    /// Reads `[http://][USER[:PASSWORD]@]HOST[:PORT]`, user and password percent-encoded; the default port is curl's, 1080.
    ///
    /// `origin` tells in messages where it was found: an option, a key or a variable.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        let fail = |reason| Error::Proxy {
            origin: origin.to_owned(),
            reason,
        };
        let text = text.trim();
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(fail("only http:// proxies are spoken to")),
            None => text,
        };
        let rest = rest.trim_end_matches('/');
        let (user, authority) = match rest.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, rest),
        };
        let (host, port) = base::split_port(authority).map_err(fail)?;
        let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
            Ok(text) if !text.contains(char::is_control) => Ok(text.into_owned()),
            _ => Err(fail("user name or password are not percent-encoded text")),
        };
        let credentials = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((user, password)) => Some((decoded(user)?, Secret::from(decoded(password)?))),
            None => None,
        };
        Ok(ProxyUrl {
            host: host.to_owned(),
            port: port.unwrap_or(1080),
            credentials,
        })
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        base::authority(&self.host, self.port)
    }

    /// The header field that says who we are, with its line end; empty without credentials.
    pub(super) fn authorization(&self) -> Secret {
        let Some((user, password)) = &self.credentials else {
            return Secret::from(String::new());
        };
        let pair = Secret::from(format!("{user}:{}", password.expose()));
        let encoded = base64::prelude::BASE64_STANDARD.encode(pair.expose());
        Secret::from(format!("Proxy-Authorization: Basic {encoded}\r\n"))
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

/// The way to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Straight.
    Direct,
    /// The proxy gets the whole request, its line naming the server (for `http://`).
    Forward(ProxyUrl),
    /// The proxy connects us (for `https://`).
    Tunnel(ProxyUrl),
}

/// Whether a `NO_PROXY` list names this host.
///
/// As curl reads it: names between commas or blanks, each with its subdomains, a leading dot ignored; addresses and CIDR blocks;
/// `*` alone for all. Beyond curl a name or address may carry a port, and then stands for that port only.
fn exempts(list: &str, host: &str, port: u16) -> bool {
    if list.trim() == "*" {
        return true;
    }
    let host = host.trim_end_matches('.');
    let address: Option<IpAddr> = host.parse().ok();
    let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
    entries.into_iter().any(|entry| {
        if let (Some(address), Some((block, bits))) = (address, entry.split_once('/')) {
            return in_block(address, block, bits);
        }
        let Ok((name, own_port)) = base::split_port(entry) else {
            return false;
        };
        if own_port.is_some_and(|own_port| own_port != port) {
            return false;
        }
        if let Some(address) = address {
            return name.parse() == Ok(address);
        }
        let name = name.trim_start_matches('.').trim_end_matches('.');
        let Some(start) = host.len().checked_sub(name.len()) else {
            return false;
        };
        let (before, end) = host.as_bytes().split_at(start);
        !name.is_empty() && end.eq_ignore_ascii_case(name.as_bytes()) && matches!(before, [] | [.., b'.'])
    })
}

fn in_block(address: IpAddr, block: &str, bits: &str) -> bool {
    let block = block.trim_start_matches('[').trim_end_matches(']');
    let (Ok(block), Ok(bits)) = (block.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    match (address, block) {
        (IpAddr::V4(address), IpAddr::V4(block)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == block.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(block)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == block.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(proxy: &Proxy, server: &str, variables: &[(&str, &str)]) -> String {
        let base = Base::parse(server, 443, "").unwrap();
        let look_up = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        match proxy.route(&base, look_up) {
            Ok(Route::Direct) => "direct".into(),
            Ok(Route::Forward(proxy)) => format!("forward {proxy}"),
            Ok(Route::Tunnel(proxy)) => format!("tunnel {proxy}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        let from = |server, variables: &[(&str, &str)]| route(&Proxy::Environment, server, variables);
        assert_eq!(from("vc", &[]), "direct");
        assert_eq!(from("vc", &[("https_proxy", "p:1")]), "tunnel http://p:1");
        assert_eq!(from("vc", &[("HTTPS_PROXY", "p")]), "tunnel http://p:1080");
        assert_eq!(
            from("vc", &[("https_proxy", ""), ("ALL_PROXY", "p:1")]),
            "tunnel http://p:1"
        );
        assert_eq!(from("vc", &[("http_proxy", "p:1")]), "direct");
        assert_eq!(from("http://vc", &[("http_proxy", "p:1")]), "forward http://p:1");
        assert_eq!(from("http://vc", &[("HTTP_PROXY", "p:1")]), "direct");
        assert_eq!(
            from("vc", &[("https_proxy", "p:1"), ("no_proxy", "vc")]),
            "direct"
        );
        assert_eq!(
            from("vc", &[("https_proxy", "p:1"), ("NO_PROXY", "x,*")]),
            "tunnel http://p:1"
        );
        assert!(
            from("vc", &[("https_proxy", "socks5://u:s3cret@p")]).starts_with("https_proxy is not usable")
        );
        assert_eq!(
            from("vc", &[("https_proxy", "socks5://p"), ("NO_PROXY", "*")]),
            "direct"
        );
    }

    #[test]
    fn an_option_comes_before_the_environment_and_its_own_list_before_no_proxy() {
        let through = |no_proxy: Option<&str>| Proxy::Through {
            proxy: "q:2".parse().unwrap(),
            no_proxy: no_proxy.map(Into::into),
        };
        let variables = [("https_proxy", "p:1"), ("NO_PROXY", "vc")];
        assert_eq!(route(&Proxy::None, "db", &variables), "direct");
        assert_eq!(route(&through(None), "db", &variables), "tunnel http://q:2");
        assert_eq!(route(&through(None), "vc", &variables), "direct");
        assert_eq!(route(&through(Some("")), "vc", &variables), "tunnel http://q:2");
        assert_eq!(route(&through(Some("db")), "db", &variables), "direct");
    }

    #[test]
    fn hosts_that_need_no_proxy() {
        for (list, host, wanted) in [
            ("example.com", "example.com", true),
            ("example.com", "VC.Example.Com", true),
            ("example.com", "vc.example.com.", true),
            ("example.com.", "example.com", true),
            ("example.com", "badexample.com", false),
            (".example.com", "vc.example.com", true),
            (".example.com", "example.com", true),
            ("a,example.com", "example.com", true),
            ("a  example.com", "example.com", true),
            ("vc.example.com", "example.com", false),
            ("*", "anything", true),
            ("*.example.com", "vc.example.com", false),
            ("", "vc", false),
            (",", "vc", false),
            (".", "vc", false),
            ("vc:443", "vc", true),
            ("vc:444", "vc", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.10", false),
            ("0.0.1", "10.0.0.1", false),
            ("10.0.0.0/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "11.0.0.1", true),
            ("10.0.0.0/33", "10.0.0.1", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.0/x", "10.0.0.1", false),
            ("10.0.0.0/8", "vc", false),
            ("::1", "::1", true),
            ("[::1]", "0:0:0:0:0:0:0:1", true),
            ("[::1]:443", "::1", true),
            ("2001:db8::/32", "2001:db8:1::5", true),
            ("2001:db8::/32", "2001:db9::5", false),
            ("::/0", "10.0.0.1", false),
        ] {
            assert_eq!(exempts(list, host, 443), wanted, "{list} {host}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let proxy: ProxyUrl = "http://us%40er:p%3As3cret@p.example.com:3128/".parse().unwrap();
        assert_eq!(proxy.authority(), "p.example.com:3128");
        let pair = base64::prelude::BASE64_STANDARD.encode("us@er:p:s3cret");
        assert_eq!(
            proxy.authorization().expose(),
            format!("Proxy-Authorization: Basic {pair}\r\n")
        );
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
}
