//! What a look at the configuration shows.

use super::*;
use crate::config::effective::{EffectiveKey, Origin};

fn shown(machine: &Machine, keys: Vec<EffectiveKey>) -> Vec<(String, Option<String>, Origin, String)> {
    let keys = keys.into_iter().map(|shown| {
        let value = shown
            .value
            .map(|value| value.unwrap_or_else(|wrong| format!("wrong: {wrong}")));
        let place = shown.place.map(|place| machine.said(place)).unwrap_or_default();
        (shown.key, value, shown.origin, place)
    });
    keys.collect()
}

fn row(key: &str, value: &str, origin: Origin, place: &str) -> (String, Option<String>, Origin, String) {
    (key.to_owned(), Some(value.to_owned()), origin, place.to_owned())
}

#[test]
fn each_value_in_force_has_its_origin() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[global]\ninterval=60\n[defaults]\nenv=e\nowner=o\n[a]\nserver=u:s3cret@vc\nowner=own\nfilter_host_uuids=x\nsm_type=\n\
         sat_server=%(gone)s\n[DEFAULT]\ntype=esx\n",
    )]);
    let variables = sysconfig::of(&[("VIRTWHO_ESX_SERVER", "vc"), ("VIRTWHO_DEBUG", "1")]);
    let config = Config::load_with(&machine.files, &variables).unwrap();
    let of = |section: &Section| shown(&machine, section.effective_keys());
    let wrong = "wrong: %(gone)s names a key that the section does not have; write %% for a percent sign";
    assert_eq!(
        of(&config.named("a").unwrap()),
        [
            row("env", "e", Origin::Defaults, "virt-who.conf:4"),
            row("filter_hosts", "x", Origin::Section, "virt-who.conf:9"),
            row("owner", "own", Origin::Section, "virt-who.conf:8"),
            row("sat_server", wrong, Origin::Section, "virt-who.conf:11"),
            row("server", "u:(redacted)@vc", Origin::Section, "virt-who.conf:7"),
            row("type", "esx", Origin::Section, "virt-who.conf:13"),
        ]
    );
    assert_eq!(
        of(config.environment().unwrap())[2..],
        [
            row("server", "vc", Origin::Environment, ""),
            row("type", "esx", Origin::Environment, "")
        ]
    );
    assert_eq!(
        of(config.global())[..2],
        [
            row("debug", "1", Origin::Environment, ""),
            row("interval", "60", Origin::Global, "virt-who.conf:2")
        ]
    );
}

#[test]
fn the_values_of_passwords_and_of_unknown_keys_are_not_shown() {
    let (machine, section) = section(
        "password=p\nencrypted_password=00\nrhsm_password=p\npasswort=p\nsat_password=p\nsat_encrypted_password=",
    );
    let keys = shown(&machine, section.effective_keys());
    let keys: Vec<_> = keys
        .iter()
        .map(|(key, value, ..)| (key.as_str(), value.as_deref()))
        .collect();
    assert_eq!(
        keys,
        [
            ("encrypted_password", None),
            ("passwort", None),
            ("rhsm_password", None),
            ("sat_password", None)
        ]
    );
}

#[test]
fn unknown_keys_and_mistaken_sections_are_noted() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[global]\nintervall=1\nserver=x\n[defaults]\nonwer=o\ninterval=1\n[a]\ntype=esx\nsevrer=x\n[defualts]\nowner=o\n\
         [globl]\ntype=esx\n",
    )]);
    let variables = sysconfig::of(&[("VIRTWHO_REPORTER_ID", "me")]);
    let config = Config::load_with(&machine.files, &variables).unwrap();
    let notes: Vec<String> = config.unknown().iter().map(|note| machine.said(note)).collect();
    assert_eq!(
        notes,
        [
            "virt-who.conf:2: [global] intervall: unknown key, so it is ignored (did you mean interval?)",
            "virt-who.conf:3: [global] server: unknown key, so it is ignored",
            "virt-who.conf:6: [defaults] interval: unknown key, so it is ignored",
            "virt-who.conf:5: [defaults] onwer: unknown key, so it is ignored (did you mean owner?)",
            "virt-who.conf:9: [a] sevrer: unknown key, so it is ignored (did you mean server?)",
            "virt-who.conf:10: [defualts] is the section of a source; did you mean [defaults]?",
        ]
    );
}
