//! The address of a server.

use std::fmt;
use std::net::Ipv6Addr;

use super::Error;
use crate::secret::redact;

/// The address of a server: scheme, host, port, and the path that its services share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Base {
    /// Whether the scheme is `https`.
    pub https: bool,
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Empty, or a path that begins with `/` and does not end with it.
    pub path: String,
}

impl Base {
    /// Reads a server's address as people write it: a name, `NAME:PORT`, an IPv4 address, an IPv6 address in brackets or bare, or
    /// an `http://` or `https://` URL, with a path or without.
    ///
    /// `port` is the default if the text has neither a port nor a scheme, and `path` if it has no path.
    ///
    /// ```
    /// use vw::http::Base;
    /// assert_eq!(Base::parse("vc.example.com", 443, "/sdk")?.to_string(), "https://vc.example.com/sdk");
    /// assert_eq!(Base::parse("http://[::1]:8080/a/", 443, "/sdk")?.to_string(), "http://[::1]:8080/a");
    /// # Ok::<(), vw::http::Error>(())
    /// ```
    pub fn parse(text: &str, port: u16, path: &str) -> Result<Self, Error> {
        let text = text.trim();
        let fail = |reason| Error::Address {
            text: redact::value(text),
            reason,
        };
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let (https, default_port) = match scheme.as_deref() {
            None => (true, port),
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            Some(_) => return Err(fail("only http:// and https:// are supported")),
        };
        let (authority, own_path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(fail(
                "user name and password are not part of it; they have options and keys of their own",
            ));
        }
        if own_path.contains(['?', '#']) {
            return Err(fail("it may have a path, but no query (?) and no fragment (#)"));
        }
        if !own_path.chars().all(|c| c.is_ascii_graphic()) {
            return Err(fail("the path must be percent-encoded ASCII"));
        }
        let (host, own_port) = split_port(authority).map_err(fail)?;
        let own_path = own_path.trim_end_matches('/');
        Ok(Base {
            https,
            host: host.to_owned(),
            port: own_port.unwrap_or(default_port),
            path: if own_path.is_empty() {
                path.trim_end_matches('/')
            } else {
                own_path
            }
            .to_owned(),
        })
    }

    /// Host and port, as in messages and URLs.
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// The URL without a path.
    pub fn origin(&self) -> String {
        let (scheme, default_port) = if self.https { ("https", 443) } else { ("http", 80) };
        match self.port == default_port {
            true => format!("{scheme}://{}", bracketed(&self.host)),
            false => format!("{scheme}://{}", self.authority()),
        }
    }
}

/// The URL, without the default port of its scheme.
impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

/// Host and port, an IPv6 address in brackets.
pub(super) fn authority(host: &str, port: u16) -> String {
    format!("{}:{port}", bracketed(host))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// Splits `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT` or a bare IPv6 address into host and port.
pub(super) fn split_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or("the bracket ] is missing")?;
        host.parse::<Ipv6Addr>()
            .map_err(|_| "the brackets do not contain an IPv6 address")?;
        return match port.strip_prefix(':') {
            Some(port) => Ok((host, Some(number(port)?))),
            None if port.is_empty() => Ok((host, None)),
            None => Err("only a port may follow the brackets"),
        };
    }
    if authority.matches(':').count() > 1 {
        authority
            .parse::<Ipv6Addr>()
            .map_err(|_| "it has too many colons for a name, and is not an IPv6 address")?;
        return Ok((authority, None));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(number(port)?)),
        None => (authority, None),
    };
    if host.is_empty() {
        return Err("the host name is missing");
    }
    if !host.is_ascii() {
        return Err("the name must be in its ASCII form (xn--…)");
    }
    if !host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    {
        return Err("the name has a character that is not allowed in host names");
    }
    Ok((host, port))
}

fn number(port: &str) -> Result<u16, &'static str> {
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err("a port is a number from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_as_people_write_them() {
        for (text, wanted) in [
            ("vc", "https://vc/sdk"),
            (" vc.example.com ", "https://vc.example.com/sdk"),
            ("vc:8443", "https://vc:8443/sdk"),
            ("vc/", "https://vc/sdk"),
            ("vc/other/", "https://vc/other"),
            ("10.0.0.1", "https://10.0.0.1/sdk"),
            ("10.0.0.1:444", "https://10.0.0.1:444/sdk"),
            ("[::1]", "https://[::1]/sdk"),
            ("[::1]:444/x", "https://[::1]:444/x"),
            ("fe80::1", "https://[fe80::1]/sdk"),
            ("https://vc", "https://vc/sdk"),
            ("HTTPS://vc:443/", "https://vc/sdk"),
            ("http://vc", "http://vc/sdk"),
            ("http://vc:443", "http://vc:443/sdk"),
            ("http://[2001:db8::1]:80/", "http://[2001:db8::1]/sdk"),
        ] {
            assert_eq!(
                Base::parse(text, 443, "/sdk").unwrap().to_string(),
                wanted,
                "{text}"
            );
        }
        assert_eq!(
            Base::parse("vc", 8443, "").unwrap().to_string(),
            "https://vc:8443"
        );
        assert_eq!(
            Base::parse("https://vc", 8443, "").unwrap().to_string(),
            "https://vc"
        );
    }

    #[test]
    fn an_invalid_address_is_refused_and_shows_no_password() {
        for text in [
            "",
            "https://",
            ":443",
            "vc:",
            "vc:70000",
            "vc:0",
            "vc:+5",
            "vc:port",
            "[::1",
            "[vc]",
            "[::1]443",
            "1:2:3",
            "fe80::1%eth0",
            "ftp://vc",
            "esx://vc",
            "vc?x",
            "vc/sdk#x",
            "v c",
            "vc/a b",
            "bücher.example",
            "https://user:s3cret@vc",
            "user:s3c/ret@vc",
        ] {
            let error = Base::parse(text, 443, "").unwrap_err();
            assert!(!error.to_string().contains("s3c"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_address_can_be_read_again(text in "(https?://)?([a-z0-9.]{1,9}|\\[::[0-9a-f]{1,4}\\])(:[0-9]{1,5})?(/[a-z/]{0,5})?") {
            if let Ok(base) = Base::parse(&text, 443, "") {
                prop_assert_eq!(Base::parse(&base.to_string(), 1, "").unwrap(), base);
            }
        }
    }
}
