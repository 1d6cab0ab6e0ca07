use super::super::sysconfig::Variables;
use super::*;

pub(super) fn of(variables: &[(&str, &str)]) -> Variables {
    Variables::from_environment(
        variables
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into())),
    )
}

/// The file of the slides, where virt-who was first presented with it.
const SLIDES: &str = "# General options\nVIRTWHO_DEBUG=1\nVIRTWHO_INTERVAL=60\n# Following is deprecated\n\
                      VIRTWHO_SATELLITE6=1\nVIRTWHO_SATELLITE5=0\nVIRTWHO_ESX=1\nVIRTWHO_ESX_SERVER=esx.example.com\n\
                      VIRTWHO_ESX_USERNAME=admin\nVIRTWHO_ESX_PASSWORD=password\nVIRTWHO_ESX_OWNER=owner\n\
                      VIRTWHO_ESX_ENV=env\n";

fn text(section: &Section, key: &str) -> Option<String> {
    section.text(key).unwrap()
}

#[test]
fn the_first_configuration_is_a_section_of_its_own() {
    let machine = Machine::new(&[("virt-who", SLIDES)]);
    let variables = Variables::read(&machine.path("virt-who")).unwrap();
    assert_eq!(variables.notes(), []);
    assert_eq!(variables.unknown(), []);
    let config = Config::load_with(&machine.files, &variables).unwrap();
    let section = config.environment().unwrap();
    assert!(section.is_variables());
    assert_eq!(section.name(), None);
    for (key, value) in [
        ("type", "esx"),
        ("sm_type", "sam"),
        ("server", "esx.example.com"),
        ("username", "admin"),
        ("owner", "owner"),
        ("env", "env"),
    ] {
        assert_eq!(text(section, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(section.secret("password").unwrap().unwrap().expose(), "password");
    assert_eq!(text(section, "sat_server"), None);
    let error = section.wrong_value("server", "is odd");
    assert_eq!(
        machine.said(error),
        "virt-who:8: VIRTWHO_ESX_SERVER: 'esx.example.com' is odd"
    );
    assert_eq!(config.global().number("interval").unwrap(), Some(60));
    assert_eq!(section.global().flag("debug").unwrap(), Some(true));
}

#[test]
fn variables_override_global_and_defaults_are_below_them() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[global]\nreporter_id=file\nlog_file=f\n[defaults]\nowner=default\nenv=default\n[a]\nserver=a\n",
    )]);
    let variables = of(&[
        ("VIRTWHO_REPORTER_ID", "me"),
        ("VIRTWHO_ESX", "1"),
        ("VIRTWHO_ESX_OWNER", "own"),
        ("VIRTWHO_ESX_SERVER", ""),
        ("HOME", "/"),
    ]);
    let config = Config::load_with(&machine.files, &variables).unwrap();
    let named = config.named("a").unwrap();
    assert_eq!(text(&named.global(), "reporter_id").as_deref(), Some("me"));
    assert_eq!(text(&named.global(), "log_file").as_deref(), Some("f"));
    assert_eq!(text(&named, "owner").as_deref(), Some("default"));
    let environment = config.environment().unwrap();
    assert_eq!(text(environment, "owner").as_deref(), Some("own"));
    assert_eq!(text(environment, "env").as_deref(), Some("default"));
    assert_eq!(
        environment.need("server").unwrap_err().to_string(),
        "VIRTWHO_ESX_SERVER: is missing"
    );
}

#[test]
fn values_are_not_expanded() {
    let section = of(&[
        ("VIRTWHO_ESX_SERVER", "'%(x)s'%%"),
        ("VIRTWHO_ESX_PASSWORD", "\"100%\""),
    ]);
    let section = section.section().unwrap();
    assert_eq!(text(&section, "server").as_deref(), Some("'%(x)s'%%"));
    assert_eq!(section.secret("password").unwrap().unwrap().expose(), "\"100%\"");
}

#[test]
fn switches_choose_source_and_destination() {
    // Variables, and the values of type, sm_type and sat_server; no section where there are none.
    let server = ("VIRTWHO_ESX_SERVER", "vc");
    let satellite = ("VIRTWHO_SATELLITE_SERVER", "sat");
    type Keys = Option<[Option<&'static str>; 3]>;
    let table: [(&[(&str, &str)], Keys); 13] = [
        (&[], None),
        (&[("VIRTWHO_ESX_PASSWORD", "p")], None),
        (&[server], Some([Some("esx"), None, None])),
        (&[("VIRTWHO_ESX", "true")], Some([Some("esx"), None, None])),
        (&[("VIRTWHO_ESX", "0"), server], None),
        (&[("VIRTWHO_ESX", "maybe"), server], None),
        (&[("VIRTWHO_ESX", ""), server], Some([Some("esx"), None, None])),
        (&[satellite], Some([None, Some("satellite"), Some("sat")])),
        (
            &[server, satellite, ("VIRTWHO_SATELLITE", "1")],
            Some([Some("esx"), Some("satellite"), Some("sat")]),
        ),
        (
            &[server, satellite, ("VIRTWHO_SATELLITE5", "0")],
            Some([Some("esx"), None, None]),
        ),
        (
            &[server, satellite, ("VIRTWHO_SATELLITE6", "1")],
            Some([Some("esx"), Some("sam"), None]),
        ),
        (
            &[server, ("VIRTWHO_SAM", "on")],
            Some([Some("esx"), Some("sam"), None]),
        ),
        (&[("VIRTWHO_SAM", "1")], None),
    ];
    for (variables, keys) in table {
        let section = of(variables).section();
        let found = section.map(|section| ["type", "sm_type", "sat_server"].map(|key| text(&section, key)));
        let expected = keys.map(|keys| keys.map(|key| key.map(str::to_owned)));
        assert_eq!(found, expected, "{variables:?}");
    }
}

#[test]
fn unsupported_sources_are_noted() {
    let said = |variables: &[(&str, &str)]| -> Vec<String> {
        let notes = of(variables).notes();
        notes.iter().map(ToString::to_string).collect()
    };
    for name in ["LIBVIRT", "XEN", "RHEVM", "VDSM", "HYPERV", "KUBEVIRT"] {
        let name = format!("VIRTWHO_{name}");
        assert_eq!(
            said(&[(&name, "1")]),
            [format!(
                "{name}: is not supported; write a section with the type of the source instead"
            )]
        );
        assert_eq!(said(&[(&name, "0")]), [""; 0]);
        assert_eq!(said(&[(&name, "")]), [""; 0]);
    }
    assert_eq!(
        said(&[("VIRTWHO_ESX", "2")]),
        ["VIRTWHO_ESX: is neither 0 nor 1, so it counts as 0"]
    );
    let contradiction = said(&[("VIRTWHO_SAM", "1"), ("VIRTWHO_SATELLITE5", "1")]);
    assert!(contradiction[0].contains("contradicts"), "{contradiction:?}");
    let unknown = of(&[("VIRTWHO_ESX_HOST", "1"), ("VIRTWHO_RHSM_PASSWORD", "p")]).unknown();
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].key.as_deref(), Some("VIRTWHO_ESX_HOST"));
    let unknown = |variables: &[(&str, &str)]| -> Vec<String> {
        let notes = of(variables).unknown();
        notes.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        unknown(&[("VIRTWHO_ESX_PASWORD", "s3cret"), ("VIRTWHO_BACKGROUND", "1")]),
        [
            "VIRTWHO_BACKGROUND: is ignored: systemd or cron runs the commands",
            "VIRTWHO_ESX_PASWORD: unknown variable, so it is ignored (did you mean VIRTWHO_ESX_PASSWORD?)",
        ]
    );
    assert_eq!(unknown(&[("VIRTWHO_BACKGROUND", "0")]), [""; 0]);
}

#[test]
fn proxies_in_a_file_are_kept_and_unused_variables_noted() {
    let machine = Machine::new(&[(
        "virt-who",
        "HTTP_PROXY=http://old:1\nexport http_proxy='http://u:p%40ss@proxy:3128'\nHTTPS_PROXY=http://secure:1 # x\n\
         no_proxy=\"localhost,.example.com\"\nall_proxy=\nLANG=C\nVIRTWHO_BACKGROUND=yes\nNO_PROXY=$LIST\n",
    )]);
    let variables = Variables::read(&machine.path("virt-who")).unwrap();
    let [global, exported, section] = variables.migrated();
    assert!(global.is_empty() && section.is_empty());
    let exported: Vec<(&str, &str)> = exported.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(
        exported,
        [
            ("http_proxy", "http://u:p%40ss@proxy:3128"),
            ("https_proxy", "http://secure:1"),
            ("no_proxy", "localhost,.example.com"),
        ]
    );
    assert!(variables.has_password());
    let notes = [variables.notes(), variables.unknown()].concat();
    let notes: Vec<String> = notes.iter().map(|note| machine.said(note)).collect();
    assert!(
        notes[0].starts_with("virt-who:8: NO_PROXY: has a $ or `"),
        "{notes:?}"
    );
    assert_eq!(
        notes[1..],
        [
            "virt-who:6: LANG: is ignored: no command uses it",
            "virt-who:7: VIRTWHO_BACKGROUND: is ignored: systemd or cron runs the commands",
        ]
    );
}

#[test]
fn a_file_is_read_as_a_shell_reads_it() {
    let machine = Machine::new(&[(
        "virt-who",
        "export VIRTWHO_ESX_SERVER=vc.example.com # the vCenter\n  VIRTWHO_ESX_USERNAME='DOM\\admin'\n\
         VIRTWHO_ESX_PASSWORD=\"a \\\"b\\\" \\$c \\d\"\nVIRTWHO_ESX_OWNER=a\\ b'c d'\"e\"\nPATH=/bin:$PATH\n\
         VIRTWHO_ESX_ENV=$HOME\nVIRTWHO_LOG_DIR=a b\nVIRTWHO_LOG_FILE='a\nnonsense\nVIRTWHO_INTERVAL=\n",
    )]);
    let variables = Variables::read(&machine.path("virt-who")).unwrap();
    let section = variables.section().unwrap();
    assert_eq!(text(&section, "server").as_deref(), Some("vc.example.com"));
    assert_eq!(text(&section, "username").as_deref(), Some("DOM\\admin"));
    assert_eq!(
        section.secret("password").unwrap().unwrap().expose(),
        "a \"b\" $c \\d"
    );
    assert_eq!(text(&section, "owner").as_deref(), Some("a bc de"));
    assert_eq!(text(&section, "env"), None);
    let notes: Vec<String> = variables.notes().iter().map(|note| machine.said(note)).collect();
    let begin = |n: usize, text: &str| assert!(notes[n].starts_with(text), "{notes:?}");
    begin(0, "virt-who:6: VIRTWHO_ESX_ENV: has a $ or `");
    begin(1, "virt-who:7: VIRTWHO_LOG_DIR: has a blank outside quotes");
    begin(2, "virt-who:8: VIRTWHO_LOG_FILE: has a quote that is not closed");
    begin(3, "virt-who:9: the line is not NAME=value");
    assert_eq!(notes.len(), 4);
}

#[test]
fn a_line_with_an_odd_name_is_no_assignment() {
    let machine = Machine::new(&[("virt-who", "VIRTWHO ESX=1\n=1\n")]);
    let notes = Variables::read(&machine.path("virt-who")).unwrap().notes();
    let notes: Vec<String> = notes.iter().map(|note| machine.said(note)).collect();
    let ignored = "the line is not NAME=value, so it is ignored";
    assert_eq!(
        notes,
        [format!("virt-who:1: {ignored}"), format!("virt-who:2: {ignored}")]
    );
}

#[test]
fn the_last_proxy_counts_and_one_in_lower_case_before_it() {
    let machine = Machine::new(&[(
        "virt-who",
        "http_proxy=a\nHTTP_PROXY=b\nhttps_proxy=c\nhttps_proxy=d\nNO_PROXY=e\nNO_PROXY=f\n",
    )]);
    let [_, exported, _] = Variables::read(&machine.path("virt-who")).unwrap().migrated();
    let exported: Vec<(&str, &str)> = exported.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(
        exported,
        [("http_proxy", "a"), ("https_proxy", "d"), ("no_proxy", "f")]
    );
}

#[test]
fn only_a_file_with_a_password_must_be_kept_secret() {
    let has_password = |line: &str| {
        let machine = Machine::new(&[("virt-who", line)]);
        let variables = Variables::read(&machine.path("virt-who")).unwrap();
        assert!(!format!("{variables:?}").contains("s3cret"));
        variables.has_password()
    };
    assert!(has_password("VIRTWHO_ESX_PASSWORD=s3cret"));
    assert!(has_password("https_proxy=http://u:s3cret@p"));
    assert!(!has_password("VIRTWHO_ESX_PASSWORD="));
    assert!(!has_password("VIRTWHO_ESX_SERVER=vc\nhttps_proxy=http://p"));
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let machine = Machine::new(&[]);
        machine.write("virt-who", &[b"VIRTWHO_ESX_SERVER=", &bytes[..]].concat());
        if let Ok(variables) = Variables::read(&machine.path("virt-who")) {
            variables.notes();
            variables.section();
        }
    }
}
