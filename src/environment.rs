//! The variables of the environment that say how servers are reached.
//!
//! The one list of their names, for the process's environment, virt-who's section `[system_environment]` and its sysconfig file.
//! Libraries do not read the environment: a command passes them the values.

use std::ffi::{OsStr, OsString};
use std::fmt;

/// A variable's names, in the order in which they count.
pub type Names = [&'static str; 2];

/// The proxy for `https://` servers.
pub const HTTPS_PROXY: Names = ["https_proxy", "HTTPS_PROXY"];
/// The proxy for `http://` servers. From the process's own environment only the first one counts: the client of a CGI program
/// sets the second.
pub const HTTP_PROXY: Names = ["http_proxy", "HTTP_PROXY"];
/// The proxy for all servers without one of their own.
pub const ALL_PROXY: Names = ["all_proxy", "ALL_PROXY"];
/// The servers that are reached without a proxy.
pub const NO_PROXY: Names = ["no_proxy", "NO_PROXY"];
/// A file of trusted authorities, instead of the system's.
pub const CERT_FILE: &str = "SSL_CERT_FILE";
/// Folders of such files, separated by colons.
pub const CERT_DIR: &str = "SSL_CERT_DIR";

const PROXIES: [Names; 4] = [HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY];

/// Whether this is the name of a variable about proxies, in lower case, upper case or both.
pub fn is_about_proxies(name: &str) -> bool {
    PROXIES.iter().any(|[lower, _]| name.eq_ignore_ascii_case(lower))
}

/// The values of these variables. An empty variable counts as unset.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(Vec<(&'static str, OsString)>);

impl Environment {
    /// Looks each variable up, such as by [`std::env::var_os`].
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let names = PROXIES.into_iter().flatten().chain([CERT_FILE, CERT_DIR]);
        let values = names.filter_map(|name| Some((name, variable(name)?)));
        Environment(values.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of one variable.
    pub fn value(&self, name: &str) -> Option<&OsStr> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_os_str())
    }

    /// The first of these variables whose value is text, and that value.
    pub fn first(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        let found = names
            .iter()
            .filter_map(|name| Some((*name, self.value(name)?.to_str()?)));
        found.into_iter().next()
    }
}

/// Names only: a proxy's URL may hold a password.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_values_that_are_not_shown() {
        let environment = Environment::new(|name| match name {
            "https_proxy" => Some(OsString::new()),
            "HTTPS_PROXY" => Some("http://u:s3cret@p".into()),
            "SSL_CERT_FILE" => Some("/a".into()),
            _ => None,
        });
        assert_eq!(
            environment.first(&HTTPS_PROXY),
            Some(("HTTPS_PROXY", "http://u:s3cret@p"))
        );
        assert_eq!(environment.value(CERT_FILE), Some(OsStr::new("/a")));
        assert_eq!(
            (environment.value(CERT_DIR), environment.first(&NO_PROXY)),
            (None, None)
        );
        assert!(!format!("{environment:?}").contains("s3cret"));
    }

    #[test]
    fn names_in_either_case_are_about_proxies() {
        for (name, wanted) in [
            ("no_proxy", true),
            ("All_Proxy", true),
            ("SSL_CERT_FILE", false),
            ("proxy", false),
        ] {
            assert_eq!(is_about_proxies(name), wanted, "{name}");
        }
    }
}
