mod format;
mod rhsm;
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
        #[cfg(unix)]
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
fn files_beat_each_other_as_in_virt_who() {
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
            "virt-who.d/.hidden.conf: looks like configuration but is ignored, for its name begins with a dot or does \
             not end in .conf; rename it",
            "virt-who.d/10.conf:1: [a] takes the place of the section of this name in virt-who.conf:6",
            "virt-who.d/10.conf:4: [global] is ignored here; it belongs into virt-who.conf",
            "virt-who.d/e.conf.rpmsave: looks like configuration but is ignored, for its name begins with a dot or does \
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
fn a_section_in_an_ignored_file_is_told_where_it_is_missed() {
    let machine = Machine::new(&[("virt-who.d/prod.conf.bak", "[prod]\ntype=esx\n")]);
    assert_eq!(
        machine.said(machine.load().named("prod").unwrap_err()),
        "there is no section [prod]; no section was found; virt-who.d/prod.conf.bak: looks like configuration but is \
         ignored, for its name begins with a dot or does not end in .conf; rename it"
    );
}

#[test]
fn no_file_is_no_error() {
    let machine = Machine::new(&[]);
    let section = machine.load().only(|_| Ok(true)).unwrap();
    assert_eq!(section.name(), None);
    assert_eq!(section.text("server").unwrap(), None);
    assert_eq!(
        section.need("server", "--server").unwrap_err().to_string(),
        "server: is missing; give --server, or a section with it by -n: there is no configuration file"
    );
}

#[test]
fn a_file_that_was_named_must_be_readable() {
    let mut machine = Machine::new(&[]);
    machine.write("large.conf", &vec![b'#'; LARGEST_FILE + 1]);
    let mut message = |name: &str| {
        machine.files.given = vec![machine.path(name)];
        let error = Config::load(&machine.files).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Config);
        machine.said(error)
    };
    assert_eq!(message("gone.conf"), "reading gone.conf");
    assert_eq!(
        message("virt-who.d"),
        "virt-who.d: is a directory; name the files in it"
    );
    assert_eq!(
        message("large.conf"),
        "large.conf: is larger than 4 MiB, so it is no configuration"
    );
}

#[test]
fn a_file_that_was_only_found_may_be_unreadable() {
    let mut machine = Machine::new(&[("virt-who.d/b.conf", "[b]\nserver=b\n")]);
    fs::create_dir(machine.path("virt-who.conf")).unwrap();
    fs::create_dir(machine.path("virt-who.d/a.conf")).unwrap();
    machine.write("virt-who.d/c.conf", &vec![b'#'; LARGEST_FILE + 1]);
    let config = machine.load();
    assert_eq!(
        config.named("b").unwrap().need("server", "--server").unwrap(),
        "b"
    );
    assert_eq!(
        machine.said(config.named("prod").unwrap_err()),
        "there is no section [prod]; there are b; virt-who.conf: is a directory; name the files in it; \
         virt-who.d/a.conf: is no regular file, so it is ignored; \
         virt-who.d/c.conf: is larger than 4 MiB, so it is no configuration"
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
        "several sections fit: choose one with -n: a, b"
    );
    assert_eq!(
        config.named("prod").unwrap_err().to_string(),
        "there is no section [prod]; there are a, b, c, d"
    );
    let none = config.only(of_type("ahv")).unwrap();
    assert_eq!(none.name(), None);
    assert_eq!(none.text("owner").unwrap().as_deref(), Some("o"));
    assert_eq!(
        none.need("server", "--server").unwrap_err().to_string(),
        "server: is missing; give --server, or a section with it by -n: of a, b, c, d none fits"
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
fn a_value_is_of_the_type_that_is_asked_for() {
    let (machine, section) = section(
        "server=vc\nempty=\nyes=On\nno=FALSE\nmaybe=2\nn=7\nbig=99999\nzero=0\nlist=a, 'b c',\nopen='a\ntwo=a\n b\n\
         bomb=%(bomb)s",
    );
    let message = |error: Error| machine.said(error);
    assert_eq!(
        section.text("SERVER".to_lowercase().as_str()).unwrap().as_deref(),
        Some("vc")
    );
    assert_eq!(section.text("empty").unwrap(), None);
    assert!(section.has("empty") && !section.has("gone"));
    assert_eq!(section.flag("yes").unwrap(), Some(true));
    assert_eq!(section.flag("no").unwrap(), Some(false));
    assert_eq!(section.flag("gone").unwrap(), None);
    assert_eq!(section.number::<u8>("n").unwrap(), Some(7));
    assert_eq!(section.port("n").unwrap(), Some(7));
    assert_eq!(section.list("list").unwrap().unwrap(), ["a", "b c"]);
    assert_eq!(section.list("empty").unwrap().unwrap(), [""; 0]);
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
        "virt-who.d/a.conf:12: [a] two: has more than one line, for an indented line continues the value before it; \
         begin each key at the start of its line"
    );
    assert_eq!(
        message(section.text("bomb").unwrap_err()),
        "virt-who.d/a.conf:14: [a] bomb: its %(key)s stand for each other, or go deeper than 10; write %% for a percent \
         sign"
    );
    assert_eq!(
        message(section.need("empty", "--owner").unwrap_err()),
        "virt-who.d/a.conf:3: [a] empty: is empty; give it a value, or give --owner"
    );
    assert_eq!(
        message(section.need("owner", "--owner").unwrap_err()),
        "virt-who.d/a.conf:1: [a] owner: is missing; add it, or give --owner"
    );
    assert_eq!(
        message(section.wrong_value("server", "is no host")),
        "virt-who.d/a.conf:2: [a] server: 'vc' is no host"
    );
}

#[test]
fn old_names_of_keys_are_understood() {
    let (machine, section) = section("filter_host_uuids=a\nexclude_hosts=b\nexclude_host_uuids='c");
    assert_eq!(section.list("filter_hosts").unwrap().unwrap(), ["a"]);
    assert_eq!(section.list("exclude_hosts").unwrap().unwrap(), ["b"]);
    assert_eq!(
        machine.notes(),
        [
            "virt-who.d/a.conf:4: [a] exclude_host_uuids: is the old name of exclude_hosts, which is there too; only \
          exclude_hosts counts"
        ]
    );
    let error = section.wrong_value("filter_hosts", "is odd");
    assert_eq!(
        machine.said(error),
        "virt-who.d/a.conf:2: [a] filter_host_uuids: 'a' is odd"
    );
}

#[test]
fn what_looks_like_a_comment_in_a_value_is_noted() {
    let (machine, _) = section("hypervisor_id=uuid # or hostname\npassword=a #b\nowner=a#b");
    assert_eq!(
        machine.notes(),
        [
            "virt-who.d/a.conf:2: [a] hypervisor_id: ' #' and what follows it belong to the value; put a comment on a line \
          of its own"
        ]
    );
}

#[test]
fn a_key_that_repeats_is_noted() {
    let (machine, section) = section("server=a\npassword=s3cret\nServer=b\nPASSWORD=s4cret");
    assert_eq!(section.text("server").unwrap().as_deref(), Some("b"));
    assert_eq!(
        machine.notes(),
        [
            "virt-who.d/a.conf:4: [a] server: stands twice, also in line 2; the last one counts",
            "virt-who.d/a.conf:5: [a] password: stands twice, also in line 3; the last one counts",
        ]
    );
}

#[test]
fn one_form_of_a_password_in_a_section_beats_the_other_in_defaults() {
    let machine = Machine::new(&[(
        "virt-who.conf",
        "[defaults]\nencrypted_password=00\nrhsm_password=d\n[a]\npassword=a\nrhsm_encrypted_password=00\n\
         sat_encrypted_password=e3479dced51d8f33415fa527767f7af6\n[b]\npassword=\n",
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
        "virt-who.conf:6: [a] rhsm_encrypted_password: has 2 hexadecimal digits, but their number must be a multiple of 32; \
         copy all that virt-who-password or vw-password printed"
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
fn secrets_are_in_no_message() {
    let (machine, section) = section(
        "password=s3cret %(s3cret)s\nowner=%(other)s\nother=%(sat_password)s\nsat_password=s3cret\n s3cret\n\
         rhsm_password='s3cret\nenv=%(password)s",
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
    ];
    for error in &errors {
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
    let config = machine.load();
    assert!(!format!("{config:?} {section:?}").contains("s3cret"));
    assert!(
        config
            .notes()
            .iter()
            .all(|note| !note.to_string().contains("s3cret"))
    );
}

#[cfg(unix)]
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
        ["virt-who.conf: holds passwords and everyone may read it; chmod 600 it"]
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
fn a_bomb_ends_in_an_error() {
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
                         s19 and 980 more (vw-config list)"
        ),
        "{error}"
    );
}
