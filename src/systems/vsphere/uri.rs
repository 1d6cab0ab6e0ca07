//! How people write a server's address: what [`Base`] reads, and libvirt's URIs of ESX hosts and vCenters (libvirt's
//! documentation, "VMware ESX hypervisor driver", URI format).

use percent_encoding::percent_decode_str;

use crate::error::{Classify, Kind};
use crate::http::{self, Base, Proxy};
use crate::secret::{Secret, redact};

/// A server's address, and what a libvirt URI says besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The server.
    pub base: Base,
    /// The user before the `@`.
    pub username: Option<String>,
    /// The password after the user's `:`.
    pub password: Option<Secret>,
    /// `no_verify=1`: any certificate is trusted.
    pub insecure: bool,
    /// `proxy=`, empty for none.
    pub proxy: Option<Proxy>,
    /// `auto_answer=`: whether questions that block tasks are answered with their defaults.
    pub auto_answer: Option<bool>,
    /// Parameters that neither this crate nor libvirt knows.
    pub unknown: Vec<String>,
}

/// A text that is not the address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is neither an address nor a URI, or a parameter has an invalid value.
    #[error(transparent)]
    Malformed(#[from] http::Error),
    /// It names a vCenter beside the server.
    #[error("{text:?}: vcenter= is not supported")]
    Vcenter {
        /// The text without a password.
        text: String,
    },
}

impl Classify for AddressError {
    fn kind(&self) -> Kind {
        match self {
            AddressError::Malformed(error) => error.kind(),
            AddressError::Vcenter { .. } => Kind::Config,
        }
    }
}

impl Address {
    /// Reads a host name, an address or a URL as [`Base::parse`] does, or a libvirt URI:
    /// `esx://` or `vpx://`, then `[USER[:PASSWORD]@]HOST[:PORT][/PATH][?PARAMETERS]`.
    ///
    /// The defaults are port 443 and the path `/sdk`. libvirt's path chooses one host of a vCenter. It is ignored here,
    /// because the whole inventory is read.
    ///
    /// ```
    /// use vw::systems::vsphere::Address;
    /// let address = Address::parse("vpx://root@vc.example.com/dc1/esx1?no_verify=1")?;
    /// assert_eq!(address.base.to_string(), "https://vc.example.com/sdk");
    /// assert_eq!((address.username.as_deref(), address.insecure), (Some("root"), true));
    /// # Ok::<(), vw::systems::vsphere::AddressError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let read = match libvirt_uri(text) {
            Some(rest) => Uri::new(rest).and_then(Uri::address),
            None => Base::parse(text, 443, "/sdk")
                .map(Address::of)
                .map_err(Flaw::Http),
        };
        read.map_err(|flaw| flaw.of(text))
    }

    /// An address that says nothing but where the server is.
    fn of(base: Base) -> Self {
        Address {
            base,
            username: None,
            password: None,
            insecure: false,
            proxy: None,
            auto_answer: None,
            unknown: Vec::new(),
        }
    }
}

/// What is wrong with an address, before the text is put into the message.
enum Flaw {
    Vcenter,
    Reason(&'static str),
    Http(http::Error),
}

impl Flaw {
    /// The error about this text, which is redacted because it may contain a password.
    fn of(self, text: &str) -> AddressError {
        let text = redact::value(text);
        match self {
            Flaw::Vcenter => AddressError::Vcenter { text },
            Flaw::Reason(reason) | Flaw::Http(http::Error::Address { reason, .. }) => {
                http::Error::Address { text, reason }.into()
            }
            Flaw::Http(error) => error.into(),
        }
    }
}

/// The rest of a libvirt URI after the scheme, if the text is one.
fn libvirt_uri(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let mut schemes = ["esx", "vpx"].into_iter();
    let is_known = schemes.any(|known| scheme.eq_ignore_ascii_case(known));
    is_known.then_some(rest)
}

/// A libvirt URI in its parts.
struct Uri<'t> {
    username: Option<String>,
    password: Option<Secret>,
    /// The host and the port.
    host: &'t str,
    parameters: &'t str,
}

impl<'t> Uri<'t> {
    /// Takes apart what follows the scheme.
    fn new(rest: &'t str) -> Result<Self, Flaw> {
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = place.split('/').next().unwrap_or_default();
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let (user, password) = match user.unwrap_or_default().split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (user.unwrap_or_default(), None),
        };
        let username = match user {
            "" if password.is_some() => return Err(Flaw::Reason("it has a password but no user name")),
            "" => None,
            user => {
                let invalid = Flaw::Reason("the user name is not percent-encoded text");
                Some(decoded(user).ok_or(invalid)?)
            }
        };
        let invalid = || Flaw::Reason("the password is not percent-encoded text");
        let password = password.map(|password| decoded(password).ok_or_else(invalid));
        Ok(Uri {
            username,
            password: password.transpose()?.map(Secret::from),
            host,
            parameters,
        })
    }

    fn address(self) -> Result<Address, Flaw> {
        let mut address = Address {
            username: self.username.clone(),
            password: self.password.clone(),
            ..Address::of(self.base(Transport::Https)?)
        };
        let parameters = self.parameters.split(['&', ';']);
        let mut transport = Transport::Https;
        for parameter in parameters.filter(|parameter| !parameter.is_empty()) {
            if let Some(given) = address.set(parameter)? {
                transport = given;
            }
        }
        if transport == Transport::Http {
            address.base = self.base(transport)?;
        }
        Ok(address)
    }

    fn base(&self, transport: Transport) -> Result<Base, Flaw> {
        let (scheme, port) = match transport {
            Transport::Https => ("https", 443),
            Transport::Http => ("http", 80),
        };
        Base::parse(&format!("{scheme}://{}", self.host), port, "/sdk").map_err(Flaw::Http)
    }
}

/// The value of `transport=`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Https,
    Http,
}

impl Address {
    /// Applies one parameter of a URI; returns the transport if the parameter names one.
    fn set(&mut self, parameter: &str) -> Result<Option<Transport>, Flaw> {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = decoded(value).ok_or(Flaw::Reason("a parameter is not percent-encoded text"))?;
        match name {
            "transport" => match &*value {
                "http" => return Ok(Some(Transport::Http)),
                "https" => return Ok(Some(Transport::Https)),
                _ => return Err(Flaw::Reason("transport= is http or https")),
            },
            "no_verify" => self.insecure = switch(&value).ok_or(Flaw::Reason("no_verify= is 0 or 1"))?,
            "auto_answer" => {
                let answer = switch(&value).ok_or(Flaw::Reason("auto_answer= is 0 or 1"))?;
                self.auto_answer = Some(answer);
            }
            "proxy" => {
                let proxy = Proxy::parse(&value, "proxy= of the server's URI");
                self.proxy = Some(proxy.map_err(Flaw::Http)?);
            }
            // libvirt asks this vCenter to move the host's guests, which this crate never does. Someone who names one may
            // expect that it is used.
            "vcenter" => return Err(Flaw::Vcenter),
            _ => self.unknown.push(name.chars().take(40).collect()),
        }
        Ok(None)
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
    fn every_form_of_an_address_is_read() {
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
        let uri = "vpx://adm%40vsphere.local@vc/dc/esx1?no_verify=1&auto_answer=1&proxy=http%3A%2F%2Fp:3128;debug=9&x";
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
    fn a_password_in_a_uri_is_used_and_not_shown() {
        for (text, password) in [
            ("esx://root:s3cret@h", "s3cret"),
            ("esx://root:s3c%2Fr%40t@h?no_verify=1", "s3c/r@t"),
            ("esx://root:s3c@ret@h", "s3c@ret"),
            ("esx://root:@h", ""),
        ] {
            let address = parsed(text);
            assert_eq!(address.username.as_deref(), Some("root"));
            assert_eq!(address.password.as_ref().map(Secret::expose), Some(password));
            assert!(!format!("{address:?}").contains("s3c"), "{address:?}");
        }
    }

    #[test]
    fn an_invalid_address_is_refused_without_showing_a_password() {
        for text in [
            "esx://",
            "esx:///dc",
            "gsx://h",
            "esx://:s3cret@h",
            "esx://root:s3c%ff@h",
            "esx://root:s3cret@h?vcenter=*",
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
