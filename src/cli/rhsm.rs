//! The way to the subscription service, and who we are to it, from what the configuration says.

use std::io;
use std::path::Path;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::{self, Rhsm, Section};
use crate::http::{Base, Endpoint, Error, Proxy, ProxyUrl, Trust};

/// The server that the section and rhsm.conf name, or `server` in its place, which may do without port and path.
pub fn endpoint(rhsm: &Rhsm, server: Option<&str>) -> Result<Endpoint, Error> {
    let prefix = match rhsm.prefix.trim_matches('/') {
        "" => String::new(),
        prefix => format!("/{prefix}"),
    };
    let mut endpoint = Endpoint::new(Base::parse(server.unwrap_or(&rhsm.hostname), rhsm.port, &prefix)?);
    if let Some(seconds) = rhsm.server_timeout.filter(|seconds| *seconds > 0) {
        endpoint.silence_limit = Duration::from_secs(seconds.into());
    }
    if rhsm.insecure {
        endpoint.trust = Trust::Insecure;
    }
    if let Some(proxy) = &rhsm.proxy {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let password = proxy.password.as_ref().map_or("", |password| password.expose());
        let account = match &proxy.user {
            Some(user) => format!("{}:{}@", encoded(user), encoded(password)),
            None => String::new(),
        };
        let host = match proxy.hostname.contains(':') {
            true => format!("[{}]", proxy.hostname.trim_matches(['[', ']'])),
            false => proxy.hostname.clone(),
        };
        endpoint.proxy = Proxy::Through {
            proxy: ProxyUrl::parse(&format!("{account}{host}:{}", proxy.port), "rhsm_proxy_hostname")?,
            no_proxy: rhsm.no_proxy.clone(),
        };
    }
    Ok(endpoint)
}

/// Who reports unless an option says otherwise: `reporter_id` of `[global]`, or `VIRTWHO_REPORTER_ID`, else the machine's
/// name and its id, as virt-who has it.
pub fn reporter_id(section: &Section) -> Result<String, config::Error> {
    let told = section.global().text("reporter_id")?;
    Ok(told.unwrap_or_else(this_machine))
}

fn this_machine() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match machine_id(Path::new("/etc/machine-id")) {
        Ok(id) => format!("{host}-{id}"),
        Err(error) => {
            log::debug!("/etc/machine-id: {error}");
            host
        }
    }
}

fn machine_id(file: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(file)?;
    match text.trim() {
        "" => Err(io::Error::other("is empty")),
        id => Ok(id.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn rhsm() -> Rhsm {
        Rhsm {
            hostname: "sub.example.com".to_owned(),
            port: 8443,
            prefix: "candlepin/".to_owned(),
            insecure: false,
            username: None,
            password: None,
            server_timeout: Some(180),
            proxy: None,
            no_proxy: None,
            ca_cert_dir: "/".into(),
            repo_ca_cert: "/".into(),
            consumer_cert_dir: "/".into(),
        }
    }

    #[test]
    fn a_server_that_is_named_takes_the_place_of_the_configured_one() {
        let base = |server| endpoint(&rhsm(), server).unwrap().base.to_string();
        assert_eq!(base(None), "https://sub.example.com:8443/candlepin");
        assert_eq!(base(Some("other")), "https://other:8443/candlepin");
        assert_eq!(base(Some("other:1/rhsm")), "https://other:1/rhsm");
        assert_eq!(base(Some("http://[::1]:8080/x/")), "http://[::1]:8080/x");
    }

    #[test]
    fn trust_and_proxy_are_taken_over() {
        let mut rhsm = rhsm();
        rhsm.insecure = true;
        rhsm.no_proxy = Some("a,b".to_owned());
        rhsm.proxy = Some(config::Proxy {
            hostname: "::1".to_owned(),
            port: 3128,
            user: Some("me".to_owned()),
            password: Some(Secret::from("p@ss:/word%".to_owned())),
        });
        let endpoint = endpoint(&rhsm, None).unwrap();
        assert_eq!(endpoint.trust, Trust::Insecure);
        assert_eq!(endpoint.silence_limit, Duration::from_secs(180));
        let expected = Proxy::Through {
            proxy: ProxyUrl::parse("me:p%40ss%3A%2Fword%25@[::1]:3128", "").unwrap(),
            no_proxy: Some("a,b".to_owned()),
        };
        assert_eq!(endpoint.proxy, expected);
    }

    #[test]
    fn the_machine_id_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("machine-id");
        assert!(machine_id(&file).is_err());
        std::fs::write(&file, "\n").unwrap();
        assert!(machine_id(&file).is_err());
        std::fs::write(&file, "0123abcd\n").unwrap();
        assert_eq!(machine_id(&file).unwrap(), "0123abcd");
        assert!(!reporter_id(&Section::default()).unwrap().is_empty());
    }
}
