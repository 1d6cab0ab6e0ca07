mod effective;
mod format;
mod interpolation;
mod rhsm;
mod sections;
mod sysconfig;
mod trust;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// Files in a folder of their own, named as virt-who's.
struct Machine {
    folder: TempDir,
    files: Files,
}

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("virt-who.d")).unwrap();
        let files_of = Files {
            main: folder.path().join("virt-who.conf"),
            folder: folder.path().join("virt-who.d"),
            ..Files::default()
        };
        let machine = Machine {
            folder,
            files: files_of,
        };
        for (name, text) in files {
            machine.write(name, text.as_bytes());
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn load(&self) -> Config {
        Config::load(&self.files).unwrap()
    }

    /// A message without the folder's name.
    fn said(&self, message: impl std::fmt::Display) -> String {
        let folder = format!("{}/", self.folder.path().display());
        message.to_string().replace(&folder, "")
    }

    fn notes(&self) -> Vec<String> {
        self.load().notes().iter().map(|note| self.said(note)).collect()
    }
}

/// A section of one file, `a.conf`.
fn section(lines: &str) -> (Machine, Section) {
    let machine = Machine::new(&[("virt-who.d/a.conf", &format!("[a]\n{lines}\n"))]);
    let section = machine.load().named("a").unwrap();
    (machine, section)
}

#[test]
fn files_override_each_other_as_in_virt_who() {
    let mut machine = Machine::new(&[
        (
            "virt-who.conf",
            "[global]\ninterval=60\n[defaults]\nowner=main\nenv=e\n[a]\nserver=main\n[b]\nserver=b\n",
        ),
        (
            "virt-who.d/10.conf",
            "[a]\nserver=ten\nowner=own\n[global]\ninterval=99\n",
        ),
        ("virt-who.d/20.conf", "[c]\nserver=c\n"),
        ("virt-who.d/.hidden.conf", "[d]\ntype=esx\n"),
        ("virt-who.d/e.conf.rpmsave", "[e]\ntype=esx\n"),
        ("virt-who.d/README", "[f]\nno sources here\n"),
        ("given.conf", "[g]\nserver=g\n[defaults]\nowner=given\n"),
    ]);
    let server = |config: &Config, name: &str| config.named(name).unwrap().text("server").unwrap();
    let config = machine.load();
    assert_eq!(config.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(server(&config, "a").as_deref(), Some("ten"));
    assert_eq!(
        config.named("a").unwrap().text("owner").unwrap().as_deref(),
        Some("own")
    );
    assert_eq!(
        config.named("c").unwrap().text("owner").unwrap().as_deref(),
        Some("main")
    );
    assert_eq!(config.global().number::<u64>("interval").unwrap(), Some(60));
    assert_eq!(
        machine.notes(),
        [
            "virt-who.d/.hidden.conf: looks like configuration but is ignored, because its name begins with a dot or does \
             not end in .conf; rename it",
            "virt-who.d/10.conf:1: [a] replaces the section of this name in virt-who.conf:6",
            "virt-who.d/10.conf:4: [global] is ignored here; it belongs in virt-who.conf",
            "virt-who.d/e.conf.rpmsave: looks like configuration but is ignored, because its name begins with a dot or does \
             not end in .conf; rename it",
        ]
    );

    machine.files.given = vec![machine.path("given.conf")];
    let config = machine.load();
    assert_eq!(config.names().collect::<Vec<_>>(), ["g"]);
    let given = config.named("g").unwrap();
    assert_eq!(given.text("owner").unwrap().as_deref(), Some("given"));
    assert_eq!(given.text("env").unwrap().as_deref(), Some("e"));
    assert_eq!(config.global().number::<u64>("interval").unwrap(), Some(60));

    machine.files.listed = Some(vec![
        machine.path("virt-who.d/10.conf"),
        machine.path("virt-who.d/20.conf"),
    ]);
    let config = machine.load();
    assert_eq!(config.names().collect::<Vec<_>>(), ["g"]);
    assert_eq!(config.named("g").unwrap().text("env").unwrap(), None);
    assert_eq!(config.global().number::<u64>("interval").unwrap(), Some(99));

    machine.files.given.clear();
    assert_eq!(machine.load().names().collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn the_variable_lists_files_between_colons() {
    let listed = |value: &str| Files::new(Vec::new(), Some(value.into())).listed;
    assert_eq!(
        listed("/a:b c::/d"),
        Some(vec!["/a".into(), "b c".into(), "/d".into()])
    );
    assert_eq!(listed(""), None);
    assert_eq!(Files::new(Vec::new(), None).listed, None);
}

#[test]
fn an_ignored_file_with_a_section_is_named_if_a_section_is_missing() {
    let machine = Machine::new(&[("virt-who.d/prod.conf.bak", "[prod]\ntype=esx\n")]);
    assert_eq!(
        machine.said(machine.load().named("prod").unwrap_err()),
        "there is no section [prod]: there is no section in virt-who.conf and virt-who.d/*.conf; \
         virt-who.d/prod.conf.bak: looks like configuration but is ignored, because its name begins with a dot \
         or does not end in .conf; rename it"
    );
}

#[test]
fn no_file_is_no_error() {
    let machine = Machine::new(&[]);
    let section = machine.load().only(|_| Ok(true)).unwrap();
    assert_eq!(section.name(), None);
    assert_eq!(section.text("server").unwrap(), None);
    let nowhere = "there is no configuration file (looked for virt-who.conf and virt-who.d/*.conf)";
    assert_eq!(
        machine.said(section.need("server").unwrap_err()),
        format!("server: is missing, and {nowhere}")
    );
    assert_eq!(
        machine.said(machine.load().named("prod").unwrap_err()),
        format!("there is no section [prod]: {nowhere}")
    );
}

#[test]
fn a_mistyped_section_is_suggested() {
    let config = Machine::new(&[("virt-who.conf", "[prod]\n[lab]\n")]).load();
    assert_eq!(
        config.named("prd").unwrap_err().to_string(),
        "there is no section [prd] (did you mean prod?); there are prod, lab"
    );
}

#[test]
fn a_variable_that_lists_nothing_names_no_file() {
    let mut machine = Machine::new(&[("virt-who.conf", "[a]\nserver=a\n")]);
    machine.files.listed = Some(Vec::new());
    assert_eq!(
        machine.load().named("prod").unwrap_err().to_string(),
        "there is no section [prod]: no configuration file was named"
    );
}

/// A check of the configuration lists it with the other notes.
#[test]
fn an_error_about_a_key_has_its_note() {
    let (machine, section) = section("port=x\nencrypted_password=0");
    let line = |error: Error| {
        let place = error.note().map(|note| note.place.clone().unwrap().line);
        (
            error.to_string() == error.note().map(Note::to_string).unwrap_or_default(),
            place,
        )
    };
    assert_eq!(line(section.need("server").unwrap_err()), (true, Some(1)));
    assert_eq!(line(section.port("port").unwrap_err()), (true, Some(2)));
    assert_eq!(line(section.secret("password").unwrap_err()), (true, Some(3)));
    assert_eq!(line(machine.load().named("b").unwrap_err()), (false, None));
}

#[test]
fn a_named_folder_means_its_conf_files() {
    let mut machine = Machine::new(&[
        ("virt-who.d/20.conf", "[b]\nserver=b\n[a]\nserver=twenty\n"),
        (
            "virt-who.d/10.conf",
            "[a]\nserver=ten\n[defaults]\nowner=folder\n",
        ),
        ("virt-who.d/.hidden.conf", "[d]\ntype=esx\n"),
        ("virt-who.d/README", "[f]\nno sources here\n"),
    ]);
    let ignored = "virt-who.d/.hidden.conf: looks like configuration but is ignored, because its name begins with a dot or does \
                   not end in .conf; rename it";
    let replaced = "virt-who.d/20.conf:3: [a] replaces the section of this name in virt-who.d/10.conf:1";
    machine.files.main = machine.path("gone");
    machine.files.folder = machine.path("gone.d");
    let given = (vec![machine.path("virt-who.d")], None);
    let listed = (Vec::new(), Some(vec![machine.path("virt-who.d")]));
    for (given, listed) in [given, listed] {
        machine.files.given = given;
        machine.files.listed = listed;
        let config = machine.load();
        assert_eq!(config.names().collect::<Vec<_>>(), ["a", "b"]);
        let section = config.named("a").unwrap();
        assert_eq!(section.text("server").unwrap().as_deref(), Some("twenty"));
        assert_eq!(section.text("owner").unwrap().as_deref(), Some("folder"));
        assert_eq!(machine.notes(), [ignored, replaced]);
    }
    fs::create_dir(machine.path("empty")).unwrap();
    machine.files.given = vec![machine.path("empty")];
    machine.files.listed = None;
    assert_eq!(
        machine.said(machine.load().no_section()),
        "there is no configuration file (looked for empty/*.conf)"
    );
}

#[test]
fn a_named_file_must_be_readable() {
    let mut machine = Machine::new(&[]);
    machine.write("large.conf", &vec![b'#'; MAX_FILE_SIZE + 1]);
    machine.write("largest.conf", &vec![b'#'; MAX_FILE_SIZE]);
    machine.files.given = vec![machine.path("largest.conf")];
    assert!(Config::load(&machine.files).is_ok());
    let mut message = |name: &str| {
        machine.files.given = vec![machine.path(name)];
        let error = Config::load(&machine.files).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Config);
        machine.said(error)
    };
    assert_eq!(message("gone.conf"), "reading gone.conf");
    assert_eq!(
        message("large.conf"),
        "large.conf: is larger than 4 MiB, the limit for a configuration file"
    );
}

#[test]
fn a_usual_file_may_be_missing_but_other_errors_are_noted() {
    let mut machine = Machine::new(&[("file", "")]);
    machine.files.main = machine.path("gone");
    machine.files.folder = machine.path("gone.d");
    assert_eq!(machine.notes(), [""; 0]);
    machine.files.main = machine.path("file/virt-who.conf");
    machine.files.folder = machine.path("file");
    let notes = machine.notes();
    assert!(
        notes[0].starts_with("file/virt-who.conf: can't be read: "),
        "{notes:?}"
    );
    assert!(notes[1].starts_with("file: can't be read: "), "{notes:?}");
}

#[test]
fn a_look_at_the_configuration_goes_on_without_an_unreadable_file() {
    let mut machine = Machine::new(&[
        ("virt-who.conf", "[global]\ninterval=60\n"),
        ("a.conf", "[a]\nserver=a\nno delimiter\n"),
    ]);
    let (gone, a) = (machine.path("gone.conf"), machine.path("a.conf"));
    machine.files.given = vec![gone.clone(), a.clone()];
    let config = Config::load_what_is_readable(&machine.files, &Default::default()).unwrap();
    assert_eq!(config.names().collect::<Vec<_>>(), ["a"]);
    assert_eq!(config.files(), [machine.path("virt-who.conf"), gone, a]);
    let said = |notes: &[Note]| -> Vec<String> { notes.iter().map(|note| machine.said(note)).collect() };
    assert_eq!(
        said(config.unreadable()),
        ["gone.conf: can't be read: No such file or directory (os error 2)"]
    );
    assert!(said(config.notes())[0].starts_with("gone.conf: can't be read"));
    let broken: Vec<Note> = config.broken().cloned().collect();
    assert!(said(&broken)[0].starts_with("a.conf:3: [a] the line is neither"));
}

#[test]
fn a_command_without_a_section_has_all_other_sections() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[global]\ninterval=60\n[defaults]\nowner=o\n[system_environment]\nNO_PROXY=*\n",
    )]);
    let config = machine.load();
    assert_eq!(config.defaults().need("owner").unwrap(), "o");
    let nameless = config.nameless();
    assert_eq!(nameless.name(), None);
    assert_eq!(nameless.need("owner").unwrap(), "o");
    assert_eq!(nameless.global().number("interval").unwrap(), Some(60));
    assert_eq!(nameless.exported_variable("NO_PROXY").unwrap().unwrap().0, "*");
}

#[test]
fn other_files_may_be_unreadable() {
    let mut machine = Machine::new(&[("virt-who.d/b.conf", "[b]\nserver=b\n")]);
    fs::create_dir(machine.path("virt-who.conf")).unwrap();
    fs::create_dir(machine.path("virt-who.d/a.conf")).unwrap();
    machine.write("virt-who.d/c.conf", &vec![b'#'; MAX_FILE_SIZE + 1]);
    let config = machine.load();
    assert_eq!(config.named("b").unwrap().need("server").unwrap(), "b");
    let unreadable: Vec<String> = config
        .unreadable()
        .iter()
        .map(|note| machine.said(note))
        .collect();
    assert_eq!(
        unreadable,
        [
            "virt-who.conf: is a folder, not a file",
            "virt-who.d/c.conf: is larger than 4 MiB, the limit for a configuration file",
        ]
    );
    assert_eq!(
        machine.said(config.named("prod").unwrap_err()),
        "there is no section [prod]; there is b; virt-who.conf: is a folder, not a file; \
         virt-who.d/a.conf: is not a regular file, so it is ignored; \
         virt-who.d/c.conf: is larger than 4 MiB, the limit for a configuration file"
    );
    machine.files.folder = machine.path("gone");
    assert_eq!(machine.load().names().count(), 0);
}

#[test]
fn the_section_is_named_or_the_only_one_that_fits() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[defaults]\nowner=o\n[a]\ntype=esx\n[b]\ntype=esx\n[c]\ntype=hyperv\n[d]\n",
    )]);
    let config = machine.load();
    let of_type = |name: &'static str| move |section: &Section| Ok(section.source_type()? == name);
    assert_eq!(config.only(of_type("hyperv")).unwrap().name(), Some("c"));
    assert_eq!(config.only(of_type("libvirt")).unwrap().name(), Some("d"));
    assert_eq!(
        config.only(of_type("esx")).unwrap_err().to_string(),
        "several sections fit: a, b"
    );
    assert_eq!(
        config.named("prod").unwrap_err().to_string(),
        "there is no section [prod]; there are a, b, c, d"
    );
    let none = config.only(of_type("ahv")).unwrap();
    assert_eq!(none.name(), None);
    assert_eq!(none.text("owner").unwrap().as_deref(), Some("o"));
    assert_eq!(
        none.need("server").unwrap_err().to_string(),
        "server: is missing, and none of a, b, c, d fits"
    );
    let machine = Machine::new(&[("virt-who.conf", "[a]\ntype=%(kind)s\n[b]\ntype=esx\n")]);
    let config = machine.load();
    assert_eq!(config.only(of_type("esx")).unwrap().name(), Some("b"));
    assert_eq!(
        machine.said(config.only(of_type("ahv")).unwrap_err()),
        "virt-who.conf:2: [a] type: %(kind)s names a key that the section does not have; write %% for a percent sign"
    );
}

#[test]
fn a_broken_section_leaves_the_others_usable() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[a]\ntype=esx\nserver vc s3cret\n[b]\ntype=esx\n",
    )]);
    let config = machine.load();
    let broken = "virt-who.conf:3: [a] the line is neither a [section] nor 'key = value'; give the key a value, or begin \
                  the line with #";
    assert_eq!(config.only(|_| Ok(true)).unwrap().name(), Some("b"));
    assert_eq!(machine.said(config.named("a").unwrap_err()), broken);
    assert_eq!(machine.said(config.only(|_| Ok(false)).unwrap_err()), broken);
    assert_eq!(machine.notes(), [broken]);
}

#[test]
fn passwords_that_everyone_may_read_are_noted() {
    use std::os::unix::fs::PermissionsExt as _;
    let machine = Machine::new(&[
        ("virt-who.conf", "[a]\npassword=x\n"),
        ("virt-who.d/b.conf", "[b]\npassword=x\n"),
        ("virt-who.d/c.conf", "[c]\nencrypted_password=00\n"),
    ]);
    for (name, mode) in [
        ("virt-who.conf", 0o644),
        ("virt-who.d/b.conf", 0o640),
        ("virt-who.d/c.conf", 0o644),
    ] {
        fs::set_permissions(machine.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(
        machine.notes(),
        ["virt-who.conf: contains passwords and is readable by everyone; chmod 600 it"]
    );
    let config = machine.load();
    let note = &config.notes()[0];
    assert!(config.named("a").unwrap().is_subject_of(note));
    assert!(!config.named("b").unwrap().is_subject_of(note));
}

#[test]
fn variables_for_the_environment_keep_their_case() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[system_environment]\nHTTPS_PROXY=p\nno_proxy=*\n",
    )]);
    let variables = machine.load().system_environment().unwrap();
    assert_eq!(
        variables,
        [
            ("HTTPS_PROXY".into(), "p".into()),
            ("no_proxy".into(), "*".into())
        ]
    );
}

#[test]
fn a_thousand_sections_are_no_trouble() {
    let text: String = (0..1000)
        .map(|n| format!("[s{n}]\ntype=esx\nserver=vc{n}\n"))
        .collect();
    let machine = Machine::new(&[("virt-who.conf", &text)]);
    let config = machine.load();
    assert_eq!(config.names().count(), 1000);
    assert_eq!(
        config.named("s999").unwrap().text("server").unwrap().as_deref(),
        Some("vc999")
    );
    let error = machine.load().named("prod").unwrap_err().to_string();
    assert!(
        error.ends_with(
            "there are s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16, s17, s18, \
                         s19 and 980 more"
        ),
        "{error}"
    );
}
