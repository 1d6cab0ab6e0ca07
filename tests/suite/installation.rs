//! `make install` and `make uninstall`, with scripts in the place of the built commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::man::{commands, root};

/// A place to install from and to.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
        };
        for command in commands() {
            place.write(&format!("built/{command}"));
            place.write(&format!("built/completions/bash/{command}.bash"));
            place.write(&format!("built/completions/zsh/_{command}"));
            place.write(&format!("built/completions/fish/{command}.fish"));
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
    }

    fn make(&self, what: &str, built: &str, variables: &[(&str, &Path)]) -> Output {
        let mut make = Command::new("make");
        make.current_dir(root()).args(["--silent", what]);
        // This test may itself be run by make.
        make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
        make.arg(format!("BUILT={}", self.path(built).display()));
        for (name, value) in variables {
            make.arg(format!("{name}={}", value.display()));
        }
        make.output().unwrap()
    }

    /// The variables' action succeeds and says nothing.
    fn works(&self, what: &str, variables: &[(&str, &Path)]) {
        let output = self.make(what, "built", variables);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b""[..], &b""[..]),
            "{output:?}"
        );
    }

    /// The action fails with one line, apart from make's own.
    fn fails(&self, what: &str, built: &str, variables: &[(&str, &Path)]) -> String {
        let output = self.make(what, built, variables);
        assert!(!output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("make")).collect();
        let [line] = lines[..] else { panic!("{text}") };
        line.to_owned()
    }
}

#[test]
fn a_user_installs_twice_and_removes_everything_but_the_home() {
    let place = Place::new();
    let home = place.path("vw");
    fs::create_dir(&home).unwrap();
    let prefix = home.join(".local");
    place.works("install", &[("PREFIX", &prefix)]);
    place.works("install", &[("PREFIX", &prefix)]);
    assert!(prefix.join("bin/vw-run").is_file());
    assert!(prefix.join("share/man/man7/vw.7").is_file());
    let unit = fs::read_to_string(prefix.join("lib/systemd/system/vw.service")).unwrap();
    let start = format!("\nExecStart={}/bin/vw-run ", prefix.display());
    assert!(unit.contains(&start), "{unit}");
    place.works("uninstall", &[("PREFIX", &prefix)]);
    place.works("uninstall", &[("PREFIX", &prefix)]);
    assert!(home.is_dir() && !prefix.exists());
}

#[test]
fn files_of_others_stay() {
    let place = Place::new();
    place.write("prefix/bin/other");
    let prefix = place.path("prefix");
    place.works("install", &[("PREFIX", &prefix)]);
    place.works("uninstall", &[("PREFIX", &prefix)]);
    let left: Vec<_> = walk(&prefix);
    assert_eq!(left, [prefix.join("bin/other")]);
}

#[test]
fn spaces_in_the_destination() {
    let place = Place::new();
    let destination = place.path("a b/c  d");
    let variables: [(&str, &Path); 2] = [("DESTDIR", &destination), ("PREFIX", Path::new("/usr"))];
    place.works("install", &variables);
    let unit = fs::read_to_string(destination.join("usr/lib/systemd/system/vw@.service")).unwrap();
    assert!(unit.contains("\nExecStart=/usr/bin/vw-run "), "{unit}");
    assert!(destination.join("etc/logrotate.d/vw").is_file());
    place.works("uninstall", &variables);
    assert!(walk(&destination).is_empty());
}

#[test]
fn spaces_in_the_prefix_would_break_the_units() {
    let place = Place::new();
    let prefix = place.path("a b");
    let line = place.fails("install", "built", &[("PREFIX", &prefix)]);
    assert!(line.contains("use a PREFIX without spaces"), "{line}");
    assert!(!prefix.exists());
}

#[test]
fn what_is_not_built_is_named_and_nothing_is_installed() {
    let place = Place::new();
    let prefix = place.path("prefix");
    let line = place.fails("install", "elsewhere", &[("PREFIX", &prefix)]);
    assert!(
        line.ends_with("/elsewhere/vw-config has not been built: run make first"),
        "{line}"
    );
    assert!(!prefix.exists());
}

/// Root may write everywhere, so a file is in the way instead of a folder's mode.
#[test]
fn a_folder_that_cannot_be_made() {
    let place = Place::new();
    place.write("prefix/share/man");
    let prefix = place.path("prefix");
    let line = place.fails("install", "built", &[("PREFIX", &prefix)]);
    let folder = prefix.join("share/man");
    assert!(
        line.starts_with("mkdir: ") && line.contains(&*folder.to_string_lossy()),
        "{line}"
    );
}

#[test]
fn a_file_that_cannot_be_removed() {
    let place = Place::new();
    let prefix = place.path("prefix");
    place.works("install", &[("PREFIX", &prefix)]);
    let page = prefix.join("share/man/man7/vw.7");
    fs::remove_file(&page).unwrap();
    fs::create_dir(&page).unwrap();
    let line = place.fails("uninstall", "built", &[("PREFIX", &prefix)]);
    assert!(line.starts_with("rm: ") && line.contains("vw.7"), "{line}");
}

/// All files below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let found = paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] });
    found.collect()
}
