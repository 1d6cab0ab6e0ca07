//! Where a server is, in every way that people write it: what [`Base`] reads, and libvirt's URIs of ESX hosts and vCenters
//! (libvirt's documentation, "VMware ESX hypervisor driver", URI format).

use percent_encoding::percent_decode_str;

use crate::http::{Base, Error, Proxy};
use crate::secret::redact;

/// Where a server is, and what a libvirt URI says beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Where it is.
    pub base: Base,
    /// The user before the `@`.
    pub username: Option<String>,
    /// `no_verify=1`: any certificate is trusted.
    pub insecure: bool,
    /// `proxy=`, empty for none.
    pub proxy: Option<Proxy>,
    /// `auto_answer=`: whether questions that block tasks are answered with their defaults.
    pub auto_answer: Option<bool>,
    /// Parameters that are not known here, nor to libvirt.
    pub unknown: Vec<String>,
}

impl Address {
    /// Reads a host name, an address or a URL as [`Base::parse`] does, with 443 and `/sdk` where they are not given, or
    /// `esx://` or `vpx://` `[USER@]HOST[:PORT][/PATH][?PARAMETERS]`.
    ///
    /// libvirt's path chooses one host of a vCenter. It means nothing here, where the whole inventory is read.
    ///
    /// ```
    /// use vw::systems::vsphere::Address;
    /// let address = Address::parse("vpx://root@vc.example.com/dc1/esx1?no_verify=1")?;
    /// assert_eq!(address.base.to_string(), "https://vc.example.com/sdk");
    /// assert_eq!((address.username.as_deref(), address.insecure), (Some("root"), true));
    /// # Ok::<(), vw::http::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, Error> {
        // Its parts, as an error about one names them, may be parts of a password.
        Address::read(text.trim()).map_err(|error| match error {
            Error::Address { reason, .. } => Error::Address {
                text: redact::value(text.trim()),
                reason,
            },
            error => error,
        })
    }

    fn read(text: &str) -> Result<Self, Error> {
        let plain = |base| Address {
            base,
            username: None,
            insecure: false,
            proxy: None,
            auto_answer: None,
            unknown: Vec::new(),
        };
        let rest = match text.split_once("://") {
            Some((scheme, rest))
                if ["esx", "vpx"]
                    .iter()
                    .any(|known| scheme.eq_ignore_ascii_case(known)) =>
            {
                rest
            }
            _ => return Ok(plain(Base::parse(text, 443, "/sdk")?)),
        };
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = place.split('/').next().unwrap_or_default();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let fail = |reason| Error::Address {
            text: format!("{}://{host}", &text[..3]),
            reason,
        };
        let username = match user {
            None | Some("") => None,
            Some(user) if user.contains(':') => {
                return Err(fail(
                    "a password does not belong here; use --password-file or the key password",
                ));
            }
            Some(user) => {
                Some(decoded(user).ok_or_else(|| fail("the user name is not percent-encoded text"))?)
            }
        };
        let mut address = Address {
            username,
            ..plain(Base::parse(&format!("https://{host}"), 443, "/sdk")?)
        };
        let mut http = false;
        for parameter in parameters
            .split(['&', ';'])
            .filter(|parameter| !parameter.is_empty())
        {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = decoded(value).ok_or_else(|| fail("a parameter is not percent-encoded text"))?;
            match name {
                "transport" => {
                    http = match &*value {
                        "http" => true,
                        "https" => false,
                        _ => return Err(fail("transport= is http or https")),
                    }
                }
                "no_verify" => {
                    address.insecure = switch(&value).ok_or_else(|| fail("no_verify= is 0 or 1"))?
                }
                "auto_answer" => {
                    address.auto_answer = Some(switch(&value).ok_or_else(|| fail("auto_answer= is 0 or 1"))?);
                }
                "proxy" => address.proxy = Some(Proxy::parse(&value, "proxy= of the server's URI")?),
                // The vCenter that moves guests of the host, which we never do.
                "vcenter" => {}
                _ => address.unknown.push(name.chars().take(40).collect()),
            }
        }
        if http {
            address.base = Base::parse(&format!("http://{host}"), 80, "/sdk")?;
        }
        Ok(address)
    }
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn decoded(text: &str) -> Option<String> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    (!text.contains(char::is_control)).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_form_of_an_address() {
        for (text, wanted) in [
            ("vc.example.com", "https://vc.example.com/sdk"),
            ("vc:8443", "https://vc:8443/sdk"),
            ("10.0.0.1", "https://10.0.0.1/sdk"),
            ("[fe80::1]:444", "https://[fe80::1]:444/sdk"),
            ("fe80::1", "https://[fe80::1]/sdk"),
            ("https://vc/", "https://vc/sdk"),
            ("https://vc/sdk/", "https://vc/sdk"),
            ("vc/sdk", "https://vc/sdk"),
            ("http://vc:8989/sdk", "http://vc:8989/sdk"),
            ("esx://esx1", "https://esx1/sdk"),
            ("ESX://esx1:444/", "https://esx1:444/sdk"),
            ("vpx://vc/folder/dc1/cluster/esx1", "https://vc/sdk"),
            ("vpx://[::1]:444/dc1/esx1?no_verify=0", "https://[::1]:444/sdk"),
            ("esx://esx1?transport=http", "http://esx1/sdk"),
            (
                "esx://esx1:8080/?transport=http&no_verify=1",
                "http://esx1:8080/sdk",
            ),
            ("esx://esx1/?transport=https", "https://esx1/sdk"),
        ] {
            assert_eq!(parsed(text).base.to_string(), wanted, "{text}");
        }
    }

    #[test]
    fn a_libvirt_uri_says_more_than_where() {
        let uri = "vpx://adm%40vsphere.local@vc/dc/esx1?no_verify=1&auto_answer=1&vcenter=*&proxy=http%3A%2F%2Fp:3128;debug=9&x";
        let address = parsed(uri);
        assert_eq!(address.username.as_deref(), Some("adm@vsphere.local"));
        assert_eq!((address.insecure, address.auto_answer), (true, Some(true)));
        let proxy = Proxy::parse("p:3128", "proxy= of the server's URI").unwrap();
        assert_eq!(address.proxy, Some(proxy));
        assert_eq!(address.unknown, ["debug", "x"]);
        assert!(matches!(parsed("esx://h?proxy=").proxy, Some(Proxy::None { .. })));
        assert_eq!(parsed("esx://@h").username, None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_shows_no_password() {
        for text in [
            "esx://",
            "esx:///dc",
            "gsx://h",
            "esx://root:s3cret@h",
            "esx://root:s3c@ret@h",
            "esx://root:s3c/ret@h",
            "https://root:s3c/ret@h",
            "esx://h?no_verify=2",
            "esx://h?no_verify",
            "esx://h?auto_answer=yes",
            "esx://h?transport=ssh",
            "esx://h?proxy=socks5://u:s3cret@p",
            "esx://%ff@h",
            "esx://h:0",
            "esx://h#x",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(!error.to_string().contains("s3c"), "{error}");
        }
    }
}
