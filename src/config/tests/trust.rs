use super::{Machine, section};
use crate::config::{TrustKeys, Verification};

const KEYS: TrustKeys = TrustKeys {
    cacert: "cacert",
    thumbprint: "thumbprint",
    insecure: "insecure",
};

#[test]
fn one_key_says_how_a_certificate_is_verified() {
    let thumbprint = || Verification::Thumbprint("ab".to_owned());
    for (lines, wanted) in [
        ("", None),
        ("insecure=no", None),
        ("cacert=\nthumbprint=\ninsecure=", None),
        ("cacert=%(none)s\nnone=", None),
        (
            "cacert=ca.pem",
            Some(("cacert", Verification::Authorities("ca.pem".into()))),
        ),
        ("thumbprint=ab\ninsecure=0", Some(("thumbprint", thumbprint()))),
        ("insecure=1\ncacert=", Some(("insecure", Verification::Insecure))),
    ] {
        assert_eq!(section(lines).1.verification(&KEYS).unwrap(), wanted, "{lines}");
    }
}

#[test]
fn contradicting_keys_are_an_error_with_both_lines() {
    for (lines, wanted) in [
        (
            "cacert=x\n\nthumbprint=y",
            "virt-who.d/a.conf:4: [a] thumbprint: contradicts cacert in virt-who.d/a.conf:2; remove one of them",
        ),
        (
            "insecure=yes\nthumbprint=y",
            "virt-who.d/a.conf:2: [a] insecure: contradicts thumbprint in virt-who.d/a.conf:3; remove one of them",
        ),
        (
            "insecure=maybe",
            "virt-who.d/a.conf:2: [a] insecure: 'maybe' is neither yes nor no",
        ),
    ] {
        let (machine, section) = section(lines);
        let error = machine.said(section.verification(&KEYS).unwrap_err());
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn any_key_of_the_section_overrides_the_defaults() {
    let trust = |defaults: &str, own: &str| {
        let machine = Machine::new(&[
            ("virt-who.conf", &format!("[defaults]\n{defaults}\n")),
            ("virt-who.d/a.conf", &format!("[a]\ntype=esx\n{own}\n")),
        ]);
        let found = machine.load().named("a").unwrap().verification(&KEYS).unwrap();
        found.map(|(key, _)| key)
    };
    assert_eq!(trust("cacert=ca.pem", ""), Some("cacert"));
    assert_eq!(trust("cacert=ca.pem", "thumbprint=ab"), Some("thumbprint"));
    assert_eq!(trust("insecure=1", "cacert=ca.pem"), Some("cacert"));
    assert_eq!(trust("insecure=1", "insecure=0"), None);
    assert_eq!(trust("cacert=ca.pem", "insecure=0"), Some("cacert"));
    assert_eq!(trust("cacert=ca.pem", "insecure=1"), Some("insecure"));
}

#[test]
fn a_key_of_the_section_is_not_from_the_defaults() {
    let machine = Machine::new(&[("virt-who.conf", "[defaults]\nowner=o\nenv=e\n[a]\nowner=own\n")]);
    let section = machine.load().named("a").unwrap();
    let of = |key| section.is_from_defaults(key);
    assert_eq!((of("owner"), of("env"), of("server")), (false, true, false));
}

#[test]
fn the_environment_of_the_files_is_known_by_exact_names() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[system_environment]\nHTTPS_PROXY=http://p:1\n[a]\ntype=esx\n",
    )]);
    let section = machine.load().named("a").unwrap();
    let (value, origin) = section.exported_variable("HTTPS_PROXY").unwrap().unwrap();
    assert_eq!(value, "http://p:1");
    assert_eq!(
        machine.said(origin),
        "HTTPS_PROXY in [system_environment] (virt-who.conf:2)"
    );
    assert_eq!(section.exported_variable("https_proxy").unwrap(), None);
    assert_eq!(section.exported_variable("NO_PROXY").unwrap(), None);
}
