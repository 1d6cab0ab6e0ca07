use std::path::Path;

use super::section;
use crate::config::effective::{EffectiveKey, Origin};
use crate::config::rhsm::read_or_default;
use crate::config::{Rhsm, Section};

fn rhsm(file: &str, lines: &str) -> Result<Rhsm, String> {
    let (machine, section) = section(lines);
    machine.write("rhsm.conf", file.as_bytes());
    Rhsm::load(Some(&machine.path("rhsm.conf")), &section).map_err(|error| machine.said(error))
}

#[test]
fn missing_keys_have_the_defaults_of_subscription_manager() {
    let found = rhsm("", "").unwrap();
    assert_eq!(found.hostname, "subscription.rhsm.redhat.com");
    assert_eq!(found.port, 443);
    assert_eq!(found.prefix, "/subscription");
    assert!(!found.insecure && found.proxy.is_none() && found.no_proxy.is_none());
    assert!(found.username.is_none());
    assert_eq!(found.ca_cert_dir, Path::new("/etc/rhsm/ca/"));
    assert_eq!(found.repo_ca_cert, Path::new("/etc/rhsm/ca/redhat-uep.pem"));
    assert_eq!(found.consumer_cert_dir, Path::new("/etc/pki/consumer"));
}

#[test]
fn a_section_overrides_rhsm_conf() {
    let file = "[server]\nhostname=sat\nport=8443\nprefix=/rhsm\ninsecure=0\nserver_timeout=90\nproxy_hostname=p\nproxy_port=\n\
                proxy_user=u\nproxy_password=50%\nno_proxy=.example.com\n\
                [rhsm]\nca_cert_dir=/ca/\nrepo_ca_cert=%(ca_cert_dir)skatello.pem\nconsumerCertDir=/id\n";
    let found = rhsm(file, "").unwrap();
    assert_eq!(
        (found.hostname.as_str(), found.port, found.prefix.as_str()),
        ("sat", 8443, "/rhsm")
    );
    assert!(!found.insecure);
    assert_eq!(found.server_timeout, Some(90));
    assert_eq!(found.repo_ca_cert, Path::new("/ca/katello.pem"));
    assert_eq!(found.consumer_cert_dir, Path::new("/id"));
    assert_eq!(found.no_proxy.unwrap().0, ".example.com");
    let proxy = found.proxy.unwrap();
    assert_eq!(
        (proxy.hostname.as_str(), proxy.port, proxy.user.as_deref()),
        ("p", 3128, Some("u"))
    );
    assert_eq!(proxy.password.unwrap().expose(), "50%");

    let found = rhsm(
        file,
        "rhsm_hostname=own\nrhsm_port=1\nrhsm_prefix=/own\nrhsm_insecure=1\nrhsm_username=me\n\
         rhsm_proxy_port=8\nrhsm_proxy_password=y\nrhsm_no_proxy=*",
    );
    let found = found.unwrap();
    assert_eq!(
        (found.hostname.as_str(), found.port, found.prefix.as_str()),
        ("own", 1, "/own")
    );
    assert!(found.insecure);
    assert_eq!(found.username.as_deref(), Some("me"));
    assert_eq!(found.no_proxy.unwrap().0, "*");
    let proxy = found.proxy.unwrap();
    assert_eq!((proxy.hostname.as_str(), proxy.port), ("p", 8));
    assert_eq!(proxy.password.unwrap().expose(), "y");

    // As in virt-who: no proxy, or none that gets a user; rhsm.conf's prefix and exceptions stay.
    let proxy = rhsm(file, "rhsm_proxy_hostname=").unwrap().proxy.unwrap();
    assert_eq!(proxy.hostname, "");
    assert!(
        proxy.origin.starts_with("rhsm_proxy_hostname in "),
        "{}",
        proxy.origin
    );
    let proxy = rhsm(file, "rhsm_proxy_user=").unwrap().proxy.unwrap();
    assert_eq!((proxy.hostname.as_str(), proxy.user), ("p", None));
    let found = rhsm(file, "rhsm_prefix=\nrhsm_no_proxy=").unwrap();
    assert_eq!(found.prefix, "/rhsm");
    assert_eq!(found.no_proxy.unwrap().0, ".example.com");
    let found = rhsm(
        file,
        "rhsm_hostname=\nrhsm_port=\nrhsm_encrypted_proxy_password=\nrhsm_insecure=",
    )
    .unwrap();
    assert_eq!((found.hostname.as_str(), found.port), ("sat", 8443));
    assert_eq!(found.proxy.unwrap().password.unwrap().expose(), "50%");

    let insecure = "[server]\ninsecure=1\n";
    assert!(rhsm(insecure, "").unwrap().insecure);
    assert!(!rhsm(insecure, "rhsm_insecure=0").unwrap().insecure);
    assert!(!rhsm(insecure, "rhsm_cacert=ca.pem").unwrap().insecure);
    assert!(!rhsm(insecure, "rhsm_thumbprint=00").unwrap().insecure);
}

#[test]
fn errors_in_rhsm_conf_have_their_line() {
    assert_eq!(
        rhsm("[server]\nport=70000\n", "").unwrap_err(),
        "rhsm.conf:2: [server] port: '70000' is not a port, a number from 1 to 65535"
    );
    assert_eq!(
        rhsm("[server]\nport=70000\n", "rhsm_port=0").unwrap_err(),
        "virt-who.d/a.conf:2: [a] rhsm_port: '0' is not a port, a number from 1 to 65535"
    );
    assert_eq!(
        rhsm("[server]\nhostname=\n", "").unwrap_err(),
        "rhsm.conf:2: [server] hostname: is empty"
    );
    assert!(
        rhsm("[server]\nhostname\n", "")
            .unwrap_err()
            .starts_with("rhsm.conf:2: [server] the line is neither")
    );
    let section = Section::default();
    let gone = Rhsm::load(Some(Path::new("/nonexistent/rhsm.conf")), &section).unwrap_err();
    assert_eq!(gone.to_string(), "reading /nonexistent/rhsm.conf");
}

#[test]
fn a_proxy_may_be_written_as_a_url_and_with_its_port() {
    for (text, host, port) in [
        ("p", "p", 3128),
        ("http://p", "p", 3128),
        ("HTTP://p:80/", "p", 80),
        ("p:80", "p", 80),
        ("10.0.0.1:80", "10.0.0.1", 80),
        ("::1", "::1", 3128),
        ("[::1]", "::1", 3128),
        ("http://[::1]:80", "::1", 80),
    ] {
        let own = rhsm("", &format!("rhsm_proxy_hostname={text}")).unwrap();
        let file = rhsm(&format!("[server]\nproxy_hostname={text}\n"), "").unwrap();
        for found in [own, file] {
            let proxy = found.proxy.unwrap();
            assert_eq!((proxy.hostname.as_str(), proxy.port), (host, port), "{text}");
        }
    }
    let port = |file: &str, lines: &str| rhsm(file, lines).unwrap().proxy.unwrap().port;
    assert_eq!(port("[server]\nproxy_port=8\n", "rhsm_proxy_hostname=p:80"), 80);
    assert_eq!(port("[server]\nproxy_hostname=p:80\n", "rhsm_proxy_port=8"), 8);
    assert_eq!(port("[server]\nproxy_hostname=p:80\nproxy_port=80\n", ""), 80);
}

#[test]
fn an_invalid_proxy_is_refused_with_file_line_and_key() {
    for (file, lines, wanted) in [
        (
            "",
            "rhsm_proxy_hostname=https://p",
            "virt-who.d/a.conf:2: [a] rhsm_proxy_hostname: is not an http:// proxy",
        ),
        (
            "[server]\nproxy_hostname=socks5://p\n",
            "",
            "rhsm.conf:2: [server] proxy_hostname: is not an http:// proxy",
        ),
        (
            "[server]\nproxy_hostname=http://u:s3cret@p\n",
            "",
            "rhsm.conf:2: [server] proxy_hostname: has a user name",
        ),
        (
            "[server]\nproxy_hostname=p/x\n",
            "",
            "rhsm.conf:2: [server] proxy_hostname: is not the name",
        ),
        (
            "[server]\nproxy_hostname=[::1]80\n",
            "",
            "rhsm.conf:2: [server] proxy_hostname: is not the name",
        ),
        (
            "[server]\nproxy_hostname=p:0\n",
            "",
            "rhsm.conf:2: [server] proxy_hostname: has a port",
        ),
        (
            "[server]\nproxy_hostname=p:80\nproxy_port=3128\n",
            "",
            "rhsm.conf:2: [server] proxy_hostname: has the port 80, but proxy_port in rhsm.conf:3 is 3128",
        ),
        (
            "",
            "rhsm_proxy_hostname=p:80\nrhsm_proxy_port=3128",
            "virt-who.d/a.conf:2: [a] rhsm_proxy_hostname: has the port 80",
        ),
    ] {
        let error = rhsm(file, lines).unwrap_err();
        assert!(error.starts_with(wanted) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn values_of_rhsm_conf_are_shown_below_a_section() {
    let (machine, section) = section("rhsm_port=1");
    machine.write(
        "rhsm.conf",
        b"[server]\nhostname=sat\nproxy_hostname=\nno_proxy=.lab\n",
    );
    let keys = Rhsm::effective_keys(Some(&machine.path("rhsm.conf")), &section).unwrap();
    let shown = |key: &EffectiveKey| {
        let place = key.place.as_ref().map(|place| machine.said(place));
        (
            key.key.clone(),
            key.value.clone().unwrap().unwrap(),
            key.origin,
            place,
        )
    };
    let of_file = |key: &str, value: &str, line: u8| {
        let place = Some(format!("rhsm.conf:{line}"));
        (key.to_owned(), value.to_owned(), Origin::Rhsm, place)
    };
    let built_in = |key: &str, value: &str| (key.to_owned(), value.to_owned(), Origin::BuiltIn, None);
    assert_eq!(
        keys.iter().map(shown).collect::<Vec<_>>(),
        [
            of_file("rhsm_hostname", "sat", 2),
            built_in("rhsm_prefix", "/subscription"),
            of_file("rhsm_no_proxy", ".lab", 4),
            built_in("ca_cert_dir", "/etc/rhsm/ca/"),
            built_in("repo_ca_cert", "/etc/rhsm/ca/redhat-uep.pem"),
            built_in("consumercertdir", "/etc/pki/consumer"),
        ]
    );
}

#[test]
fn the_usual_file_may_be_missing_but_not_unreadable() {
    let (machine, _) = section("");
    let (server, _) = read_or_default(None, &machine.path("gone")).unwrap();
    assert_eq!(server.need("port").unwrap(), "443");
    let below_a_file = machine.path("virt-who.d/a.conf/rhsm.conf");
    assert!(read_or_default(None, &below_a_file).is_err());
}
