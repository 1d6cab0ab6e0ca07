use super::*;

#[test]
fn values_are_converted_to_their_types() {
    let (machine, section) = section(
        "server=vc\nempty=\nyes=On\nno=FALSE\nmaybe=2\nn=7\nbig=99999\nzero=0\nlist=a, 'b c',\nopen='a\ntwo=a\n b\n\
         bomb=%(bomb)s\nfilter_hosts=",
    );
    let message = |error: Error| machine.said(error);
    assert_eq!(
        section.text("SERVER".to_lowercase().as_str()).unwrap().as_deref(),
        Some("vc")
    );
    assert_eq!(section.text("empty").unwrap(), None);
    assert!(section.has("server") && !section.has("empty") && !section.has("gone"));
    assert_eq!(section.flag("yes").unwrap(), Some(true));
    assert_eq!(section.flag("no").unwrap(), Some(false));
    assert_eq!(section.flag("gone").unwrap(), None);
    assert_eq!(section.number::<u8>("n").unwrap(), Some(7));
    assert_eq!(section.port("n").unwrap(), Some(7));
    assert_eq!(section.list("list").unwrap().unwrap(), ["a", "b c"]);
    assert_eq!(section.list("filter_hosts").unwrap().unwrap(), [""; 0]);
    assert_eq!(section.list("empty").unwrap(), None);
    assert_eq!(section.list("gone").unwrap(), None);
    assert_eq!(
        message(section.flag("maybe").unwrap_err()),
        "virt-who.d/a.conf:6: [a] maybe: '2' is neither yes nor no (true, on, 1; false, off, 0)"
    );
    assert_eq!(
        message(section.number::<u8>("server").unwrap_err()),
        "virt-who.d/a.conf:2: [a] server: 'vc' is not a number, or too large"
    );
    for port in ["big", "zero", "server"] {
        let said = message(section.port(port).unwrap_err());
        assert!(
            said.ends_with("is not a port, a number from 1 to 65535"),
            "{said}"
        );
    }
    assert_eq!(
        message(section.list("open").unwrap_err()),
        "virt-who.d/a.conf:11: [a] open: the ' is never closed; close it, or write \\' for a quote that is part of \
         an item"
    );
    assert_eq!(
        message(section.text("two").unwrap_err()),
        "virt-who.d/a.conf:12: [a] two: has more than one line, because an indented line continues the value before it; \
         begin each key at the start of its line"
    );
    assert_eq!(
        message(section.text("bomb").unwrap_err()),
        "virt-who.d/a.conf:14: [a] bomb: its %(key)s refer to each other, or are nested deeper than 10; write %% for a percent \
         sign"
    );
    assert_eq!(
        message(section.need("empty").unwrap_err()),
        "virt-who.d/a.conf:3: [a] empty: is empty"
    );
    assert_eq!(
        message(section.need("owner").unwrap_err()),
        "virt-who.d/a.conf:1: [a] owner: is missing"
    );
    assert_eq!(
        message(section.wrong_value("server", "is no host")),
        "virt-who.d/a.conf:2: [a] server: 'vc' is no host"
    );
}

#[test]
fn old_names_of_keys_still_work() {
    let (machine, section) = section("filter_host_uuids=a\nexclude_hosts=b\nexclude_host_uuids='c");
    assert_eq!(section.list("filter_hosts").unwrap().unwrap(), ["a"]);
    assert_eq!(section.list("exclude_hosts").unwrap().unwrap(), ["b"]);
    assert_eq!(
        machine.notes(),
        [
            "virt-who.d/a.conf:4: [a] exclude_host_uuids: is the old name of exclude_hosts, which is there too; only \
          exclude_hosts is used"
        ]
    );
    let error = section.wrong_value("filter_hosts", "is odd");
    assert_eq!(
        machine.said(error),
        "virt-who.d/a.conf:2: [a] filter_host_uuids: 'a' is odd"
    );
}

#[test]
fn a_value_that_seems_to_end_with_a_comment_is_noted() {
    let (machine, section) = section(
        "hypervisor_id=uuid # or hostname\npassword=s3cret #b\nowner=a#b\nenv=e ; f\nrhsm_password=\"s3cret #b\"",
    );
    let mark = "and the text after it are part of the value";
    assert_eq!(
        machine.notes(),
        [
            format!(
                "virt-who.d/a.conf:2: [a] hypervisor_id: ' #' {mark}; put a comment on a line of its own"
            ),
            format!(
                "virt-who.d/a.conf:3: [a] password: ' #' {mark}; put a comment on a line of its own, or the whole value in quotes \
                 if this is no comment"
            ),
            format!(
                "virt-who.d/a.conf:5: [a] env: ' ;' {mark} (virt-who on Python 2 cut it off); put a comment on a line of its own"
            ),
        ]
    );
    assert_eq!(
        section.secret("rhsm_password").unwrap().unwrap().expose(),
        "s3cret #b"
    );
}

#[test]
fn a_key_that_repeats_is_noted() {
    let (machine, section) = section("server=a\npassword=s3cret\nServer=b\nPASSWORD=s4cret");
    assert_eq!(section.text("server").unwrap().as_deref(), Some("b"));
    assert_eq!(
        machine.notes(),
        [
            "virt-who.d/a.conf:4: [a] server: is also in line 2; the last one counts",
            "virt-who.d/a.conf:5: [a] password: is also in line 3; the last one counts",
        ]
    );
}

#[test]
fn either_form_of_a_password_overrides_both_in_defaults() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[defaults]\nencrypted_password=00\nrhsm_password=d\n[a]\npassword=a\nrhsm_encrypted_password=00\n\
         sat_encrypted_password=e3479dced51d8f33415fa527767f7af6\n[b]\npassword=%(none)s\nnone=\n",
    )]);
    let config = machine.load();
    let section = config.named("a").unwrap();
    assert_eq!(section.secret("password").unwrap().unwrap().expose(), "a");
    machine.write(
        "key",
        b"000102030405060708090a0b0c0d0e0f\nf0e0d0c0b0a090807060504030201000\n",
    );
    let section = section.with_key_file(Some(machine.path("key")));
    assert_eq!(
        machine.said(section.secret("rhsm_password").unwrap_err()),
        "virt-who.conf:6: [a] rhsm_encrypted_password: has 2 hexadecimal digits, but their number must be a multiple of 32"
    );
    assert_eq!(
        section.secret("sat_password").unwrap().unwrap().expose(),
        "s3cret"
    );
    assert_eq!(
        machine.said(config.named("b").unwrap().secret("password").unwrap_err()),
        "virt-who.conf:9: [b] password: is empty; give it a value, or remove the line"
    );
    assert_eq!(section.secret("rhsm_proxy_password").unwrap(), None);
}

#[test]
fn one_key_about_a_certificate_overrides_all_in_defaults() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[defaults]\ncacert=ca.pem\nrhsm_insecure=yes\nsat_thumbprint=00\n[a]\nthumbprint=11\nrhsm_cacert=own.pem\n\
         sat_insecure=yes\n[b]\ninsecure=no\nthumbprint=\nsat_insecure=no\n",
    )]);
    let config = machine.load();
    let text = |section: &str, key: &str| config.named(section).unwrap().text(key).unwrap();
    assert_eq!(text("a", "cacert"), None);
    assert_eq!(text("a", "thumbprint").as_deref(), Some("11"));
    assert_eq!(text("a", "rhsm_insecure"), None);
    assert_eq!(text("a", "sat_thumbprint"), None);
    assert_eq!(text("b", "cacert").as_deref(), Some("ca.pem"));
    assert_eq!(text("b", "sat_thumbprint").as_deref(), Some("00"));
    assert_eq!(text("b", "rhsm_insecure").as_deref(), Some("yes"));
}

#[test]
fn an_empty_key_counts_as_not_set_and_is_noted() {
    let meaningful = [
        "filter_hosts",
        "filter_host_uuids",
        "filter_host_parents",
        "rhsm_proxy_hostname",
        "rhsm_proxy_user",
    ];
    for key in keys::SECTION {
        for value in ["", "\"\"", "''"] {
            let machine = Machine::new(&[(
                "virt-who.conf",
                &format!("[defaults]\n{key}=default\n[a]\n{key}={value}\n"),
            )]);
            let section = machine.load().named("a").unwrap();
            let note = format!(
                "virt-who.conf:4: [a] {key}: is empty, so it counts as not set; give it a value, or remove the line"
            );
            match meaningful.contains(&key) {
                true => {
                    assert_eq!(machine.notes(), [""; 0], "{key}");
                    assert_eq!(section.text(key).unwrap(), None, "{key}");
                }
                false => {
                    assert_eq!(machine.notes(), [note], "{key}");
                    assert_eq!(section.text(key).unwrap().as_deref(), Some("default"), "{key}");
                }
            }
        }
    }
    let (_, section) = section("password=p\nencrypted_password=\nserver=");
    assert_eq!(section.secret("password").unwrap().unwrap().expose(), "p");
    assert!(!section.is_encrypted("password"));
    assert!(
        section
            .need("server")
            .unwrap_err()
            .to_string()
            .ends_with(":4: [a] server: is empty")
    );
}

#[test]
fn secrets_are_in_no_message() {
    let (machine, section) = section(
        "password=s3cret %(s3cret)s\nowner=%(other)s\nother=%(sat_password)s\nsat_password=s3cret\n s3cret\n\
         rhsm_password='s3cret\nenv=%(password)s\nserver=esx://u:s3cret@h\npasword=s3cret\nother_thing=s3cret\n\
         proxy=http://u:%(s3cret)s@p\nusername=root\n rhsm_pass: s3cret",
    );
    let password = section.secret("password").unwrap_err();
    assert_eq!(
        machine.said(&password),
        "virt-who.d/a.conf:2: [a] password: %(…)s names a key that the section does not have; write %% for a percent sign"
    );
    let errors = [
        password,
        section.flag("owner").unwrap_err(),
        section.list("rhsm_password").unwrap_err(),
        section.text("sat_password").unwrap_err(),
        section.text("env").unwrap_err(),
        section.wrong_value("owner", "is odd"),
        section.wrong_value("server", "is odd"),
        section.wrong_value("username", "is odd"),
        section.wrong("server", "esx://u:s3cret@h is odd"),
        section.port("server").unwrap_err(),
        section.text("proxy").unwrap_err(),
    ];
    for error in &errors {
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    let config = machine.load();
    let shown: String = section
        .effective_keys()
        .iter()
        .map(|shown| format!("{shown:?}"))
        .collect();
    assert!(!format!("{config:?} {section:?} {shown}").contains("s3cret"));
    assert!(
        config
            .notes()
            .iter()
            .all(|note| !note.to_string().contains("s3cret"))
    );
}

#[test]
fn an_expansion_that_explodes_is_an_error() {
    let mut wide = String::from("a=%(b)s\nc=x\nb=");
    wide.extend(std::iter::repeat_n("%(c)s", 20_000));
    let (_, section) = self::section(&wide);
    assert!(
        section
            .text("a")
            .unwrap_err()
            .to_string()
            .contains("longer than 1 MiB")
    );
    let mut deep: String = (0..9)
        .map(|n| format!("k{n}={}\n", format!("%(k{})s", n + 1).repeat(50)))
        .collect();
    deep += "k9=";
    let (_, section) = self::section(&deep);
    assert!(
        section
            .text("k0")
            .unwrap_err()
            .to_string()
            .contains("longer than 1 MiB")
    );
}

#[test]
fn only_a_fake_source_may_describe_this_machine() {
    let is_local = |lines: &str| section(lines).1.is_local().unwrap();
    assert!(is_local("type=fake\nis_hypervisor=no"));
    assert!(!is_local("type=fake\nis_hypervisor=yes"));
    assert!(!is_local("type=fake"));
    assert!(!is_local("type=esx\nis_hypervisor=no"));
}

#[test]
fn a_missing_key_says_what_is_missing() {
    let lack = |section: &Section, key: &str| match section.need(key) {
        Err(Error::Missing(missing)) => missing.lack,
        other => panic!("{other:?}"),
    };
    let (_, file) = section("server=");
    assert!(matches!(lack(&file, "server"), Lack::Empty));
    assert!(matches!(lack(&file, "username"), Lack::Absent));
    let variables = sysconfig::of(&[("VIRTWHO_ESX_USERNAME", "u")]);
    assert!(matches!(
        lack(&variables.section().unwrap(), "server"),
        Lack::Unset
    ));
    assert!(matches!(
        lack(&Section::default(), "server"),
        Lack::NoSection(None)
    ));
}

#[test]
fn each_password_is_encrypted_on_its_own() {
    let (_, section) = section("encrypted_password=00\nrhsm_password=p");
    assert!(section.is_encrypted("password"));
    assert!(!section.is_encrypted("rhsm_password") && !section.is_encrypted("sat_password"));
}

#[test]
fn a_password_with_a_blank_is_in_no_message() {
    let (machine, section) = section("server=esx://u:s3 cret@h");
    assert_eq!(
        machine.said(section.wrong("server", "esx://u:s3 cret@h is odd")),
        "virt-who.d/a.conf:2: [a] server: esx://u:(redacted)@h is odd"
    );
}

#[test]
fn a_note_concerns_its_section_or_all_or_the_variables() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[defaults]\nowner=o\n[a]\nserver=a\n[b]\nserver=b\n",
    )]);
    let variables = sysconfig::of(&[("VIRTWHO_ESX_SERVER", "vc")]);
    let config = Config::load_with(&machine.files, &variables).unwrap();
    let (a, b) = (config.named("a").unwrap(), config.named("b").unwrap());
    let environment = config.environment().unwrap();
    let concerns = |note: Note| [&a, &b, environment].map(|section| section.is_subject_of(&note));
    assert_eq!(concerns(a.note("server", "is odd")), [true, false, false]);
    assert_eq!(concerns(a.note("owner", "is odd")), [true, true, true]);
    assert_eq!(
        concerns(environment.note("server", "is odd")),
        [false, false, true]
    );
}

#[test]
fn a_key_that_global_lacks_is_missing_there() {
    let machine = Machine::new(&[("virt-who.conf", "[global]\ndebug=1\n[a]\nserver=a\n")]);
    let section = machine.load().named("a").unwrap();
    assert_eq!(
        machine.said(section.global().need("reporter_id").unwrap_err()),
        "virt-who.conf:1: [global] reporter_id: is missing"
    );
}
