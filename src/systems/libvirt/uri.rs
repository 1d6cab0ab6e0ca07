//! How people write which libvirt is asked: libvirt's connection URIs, and virt-who's short forms of them.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Classify, Kind};
use crate::secret::redact;

/// A connection URI in libvirt's form: `DRIVER[+TRANSPORT]://[USER@][HOST[:PORT]]/PATH[?PARAMETERS]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    scheme: String,
    /// Percent-encoded.
    user: Option<String>,
    /// The host, an IPv6 address in brackets, and the port.
    host: String,
    path: String,
    /// After the `?`, if there is one.
    parameters: Option<String>,
}

/// A text that names no libvirt that can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// It is VMware's, which [`vsphere`](crate::systems) reads.
    #[error("{scheme}:// is a vCenter or an ESX host")]
    Vmware {
        /// The scheme, esx or vpx.
        scheme: String,
    },
    /// It has a password, which would be shown in the list of processes.
    #[error("{text:?} contains a password")]
    Password {
        /// The text without the password.
        text: String,
    },
    /// It is neither a host nor a URI.
    #[error("{text:?}: {reason}")]
    Malformed {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Classify for UriError {
    fn kind(&self) -> Kind {
        Kind::Config
    }
}

/// What may stand in the user of a URI as it is (RFC 3986, unreserved).
const USER: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl Uri {
    /// Reads a URI, or a host as virt-who takes it: without a scheme it is `qemu+ssh`, without a path `/system`.
    ///
    /// A host of a URI without a user is asked as `username`. ssh gets `no_tty=1`, so that it fails where it would ask.
    /// virt-who loses ports, brackets and parameters; here they are kept.
    ///
    /// ```
    /// use vw::systems::libvirt::Uri;
    /// let uri = Uri::parse("kvm1.example.com:2222", Some("virtwho"))?;
    /// assert_eq!(uri.to_string(), "qemu+ssh://virtwho@kvm1.example.com:2222/system?no_tty=1");
    /// assert_eq!(Uri::parse("qemu:///session", None)?.to_string(), "qemu:///session");
    /// # Ok::<(), vw::systems::libvirt::UriError>(())
    /// ```
    pub fn parse(text: &str, username: Option<&str>) -> Result<Self, UriError> {
        let text = text.trim();
        let malformed = |reason| UriError::Malformed {
            text: redact::value(text),
            reason,
        };
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(malformed("a URI has no white space"));
        }
        let (scheme, rest) = scheme_of(text);
        let has_scheme = rest.len() < text.len();
        if let "esx" | "vpx" | "gsx" = scheme.to_ascii_lowercase().as_str() {
            let scheme = scheme.to_ascii_lowercase();
            return Err(UriError::Vmware { scheme });
        }
        let (place, parameters) = match rest.split_once('?') {
            Some((place, parameters)) => (place, Some(parameters.to_owned())),
            None => (rest, None),
        };
        let (authority, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(UriError::Password {
                text: redact::value(text),
            });
        }
        let host = host_of(host).map_err(malformed)?;
        if !has_scheme && (host.is_empty() || host.starts_with(':')) {
            return Err(malformed("it names no host"));
        }
        let username = username.filter(|_| !host.is_empty());
        let encoded = |name| utf8_percent_encode(name, USER).to_string();
        let mut uri = Uri {
            user: user.map(str::to_owned).or_else(|| username.map(encoded)),
            path: match path {
                "" | "/" if !scheme.starts_with("test") => "/system".to_owned(),
                path => path.to_owned(),
            },
            scheme: scheme.to_owned(),
            host,
            parameters,
        };
        if uri.is_ssh() {
            uri.ask_nothing();
        }
        Ok(uri)
    }

    /// Whether libvirt runs the program ssh, which ignores a password.
    pub fn is_ssh(&self) -> bool {
        self.scheme.ends_with("+ssh")
    }

    /// The URI without the user and the parameters: the name of the server in a mapping.
    pub fn name(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.path)
    }

    /// Adds `no_tty=1`, unless the parameters say something about it.
    fn ask_nothing(&mut self) {
        const NO_TTY: &str = "no_tty=1";
        let parameters = self.parameters.get_or_insert_default();
        let is_set = |parameter: &str| parameter.starts_with("no_tty=");
        if parameters.split(['&', ';']).any(is_set) {
            return;
        }
        if !parameters.is_empty() {
            parameters.push('&');
        }
        parameters.push_str(NO_TTY);
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        write!(f, "{}{}", self.host, self.path)?;
        match &self.parameters {
            Some(parameters) => write!(f, "?{parameters}"),
            None => Ok(()),
        }
    }
}

/// The scheme and what follows its slashes. `qemu:/system` is a URI, too; `host:22` is a host.
fn scheme_of(text: &str) -> (&str, &str) {
    let is_scheme = |text: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_part)
    };
    match text.split_once(":/") {
        Some((scheme, rest)) if is_scheme(scheme) => match rest.strip_prefix('/') {
            Some(rest) => (scheme, rest),
            None => (scheme, &text[scheme.len() + 1..]),
        },
        _ => ("qemu+ssh", text),
    }
}

/// The host and port with an IPv6 address in brackets, or what is wrong with them.
fn host_of(text: &str) -> Result<String, &'static str> {
    let in_brackets = text.strip_prefix('[');
    let host = in_brackets.unwrap_or(text);
    // libvirt hands the host to ssh, without the brackets.
    if host.starts_with('-') {
        return Err("a host does not begin with -");
    }
    if host.contains('[') || in_brackets.is_none() && host.contains(']') {
        return Err("a bracket is missing");
    }
    let port = match in_brackets {
        Some(rest) => {
            let (_, port) = rest.split_once(']').ok_or("the bracket is not closed")?;
            port.strip_prefix(':').or((!port.is_empty()).then_some(port))
        }
        None if text.matches(':').count() > 1 => return Ok(format!("[{text}]")),
        None => text.split_once(':').map(|(_, port)| port),
    };
    match port {
        Some(port) if port.parse::<u16>().is_err() => Err("the port is not a number"),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_becomes_libvirts_uri() {
        for (text, username, expected) in [
            ("kvm1", None, "qemu+ssh://kvm1/system?no_tty=1"),
            (
                " kvm1/session ",
                Some("root"),
                "qemu+ssh://root@kvm1/session?no_tty=1",
            ),
            ("kvm1:2222", None, "qemu+ssh://kvm1:2222/system?no_tty=1"),
            (
                "2001:db8::1",
                Some("a"),
                "qemu+ssh://a@[2001:db8::1]/system?no_tty=1",
            ),
            (
                "[2001:db8::1]:22",
                None,
                "qemu+ssh://[2001:db8::1]:22/system?no_tty=1",
            ),
            ("me@kvm1", Some("other"), "qemu+ssh://me@kvm1/system?no_tty=1"),
            ("qemu:///system", Some("root"), "qemu:///system"),
            ("qemu:///session", None, "qemu:///session"),
            ("qemu:/system", None, "qemu:///system"),
            ("qemu://", None, "qemu:///system"),
            (
                "qemu+tcp://kvm1",
                Some("a b@C\\d"),
                "qemu+tcp://a%20b%40C%5Cd@kvm1/system",
            ),
            (
                "qemu+tls://kvm1:16515/system?pkipath=/x",
                None,
                "qemu+tls://kvm1:16515/system?pkipath=/x",
            ),
            (
                "qemu+ssh://kvm1/system?keyfile=/k&no_tty=0",
                None,
                "qemu+ssh://kvm1/system?keyfile=/k&no_tty=0",
            ),
            (
                "qemu+ssh://kvm1/?keyfile=/k",
                None,
                "qemu+ssh://kvm1/system?keyfile=/k&no_tty=1",
            ),
            ("qemu+libssh://kvm1/system", None, "qemu+libssh://kvm1/system"),
            ("xen://xen1", None, "xen://xen1/system"),
            ("lxc:///", None, "lxc:///system"),
            ("test:///default", None, "test:///default"),
            ("test:///srv/node.xml", None, "test:///srv/node.xml"),
        ] {
            let uri = Uri::parse(text, username).unwrap();
            assert_eq!(uri.to_string(), expected, "{text}");
        }
        let uri = Uri::parse("qemu+ssh://me@kvm1:22/system?keyfile=/k", None).unwrap();
        assert_eq!(uri.name(), "qemu+ssh://kvm1:22/system");
    }

    #[test]
    fn what_is_not_libvirts_is_refused() {
        for (text, expected) in [
            (
                "esx://root@esx1/?no_verify=1",
                "esx:// is a vCenter or an ESX host",
            ),
            ("VPX://vc/dc", "vpx:// is a vCenter or an ESX host"),
            (
                "qemu+ssh://a:hunter2@kvm1/system",
                "\"qemu+ssh://a:(redacted)@kvm1/system\" contains a password",
            ),
            ("ho st", "\"ho st\": a URI has no white space"),
            ("kvm1:ssh", "\"kvm1:ssh\": the port is not a number"),
            (
                "qemu+ssh://[::1/system",
                "\"qemu+ssh://[::1/system\": the bracket is not closed",
            ),
            ("[::1]x", "\"[::1]x\": the port is not a number"),
            ("", "\"\": it names no host"),
            ("root@", "\"root@\": it names no host"),
            (":22", "\":22\": it names no host"),
            ("/system", "\"/system\": it names no host"),
            (
                "-oProxyCommand=x",
                "\"-oProxyCommand=x\": a host does not begin with -",
            ),
            (
                "qemu+ssh://a@-x/system",
                "\"qemu+ssh://a@-x/system\": a host does not begin with -",
            ),
            (
                "qemu+ssh://[-x]/system",
                "\"qemu+ssh://[-x]/system\": a host does not begin with -",
            ),
            ("::1]:22", "\"::1]:22\": a bracket is missing"),
            ("[[::1]]", "\"[[::1]]\": a bracket is missing"),
            ("-oX=a:b:c", "\"-oX=a:b:c\": a host does not begin with -"),
        ] {
            let error = Uri::parse(text, None).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
