//! `make install` and `make uninstall`, and the completions as the shells load them from there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects in the shortest way"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The top folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The names of the files in a folder of the repository, such as `vw.1`.
fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn commands() -> Vec<String> {
    let files = names("src/bin");
    files
        .iter()
        .filter_map(|file| file.strip_suffix(".rs"))
        .map(str::to_owned)
        .collect()
}

/// A folder that looks like the one where `make` builds, and a folder to install into.
struct Place {
    folder: TempDir,
}

impl Place {
    /// The completions are real, the commands say what they got.
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let release = folder.path().join("target/release");
        fs::create_dir_all(&release).unwrap();
        for command in commands() {
            let file = release.join(command);
            fs::write(&file, "#!/bin/sh\necho \"got: $* got.\"\n").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let written = Command::new(env!("CARGO_BIN_EXE_vw-completions"))
            .arg(release.join("completions"))
            .output()
            .unwrap();
        assert!(written.status.success(), "{written:?}");
        Place { folder }
    }

    fn destination(&self) -> PathBuf {
        self.folder.path().join("installed here")
    }

    fn make(&self, target: &str, prefix: &str) -> Output {
        let destination = self.destination();
        fs::create_dir_all(&destination).unwrap();
        Command::new("make")
            .args(["--no-print-directory", target, &format!("PREFIX={prefix}")])
            .arg(format!("DESTDIR={}", destination.display()))
            .env("CARGO_TARGET_DIR", self.folder.path().join("target"))
            // Installing builds nothing and fetches nothing.
            .env("CARGO", "/nonexistent")
            .env_remove("MAKEFLAGS")
            .current_dir(root())
            .output()
            .unwrap()
    }

    fn install(&self, prefix: &str) -> PathBuf {
        let made = self.make("install", prefix);
        assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
        self.destination()
    }
}

/// Everything in a folder that is not a folder itself, relative to it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn everything_is_installed_and_nothing_starts() {
    let place = Place::new();
    let to = place.install("/usr");
    let installed = files(&to);
    let mut wanted: Vec<String> = Vec::new();
    for command in commands() {
        wanted.push(format!("usr/bin/{command}"));
        wanted.push(format!("usr/share/bash-completion/completions/{command}"));
        wanted.push(format!("usr/share/zsh/site-functions/_{command}"));
        wanted.push(format!("usr/share/fish/vendor_completions.d/{command}.fish"));
    }
    for page in names("man") {
        let (_, section) = page.rsplit_once('.').unwrap();
        wanted.push(format!("usr/share/man/man{section}/{page}"));
    }
    for unit in names("contrib/systemd") {
        match unit.ends_with(".conf") {
            true => wanted.push(format!("usr/share/doc/vw/examples/{unit}")),
            false => wanted.push(format!("usr/lib/systemd/system/{unit}")),
        }
    }
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        wanted.push(format!("usr/share/doc/vw/{file}"));
    }
    for file in ["cron", "Containerfile", "kubernetes/base/cronjob.yaml"] {
        wanted.push(format!("usr/share/doc/vw/examples/{file}"));
    }
    wanted.push("etc/logrotate.d/vw".to_owned());
    for file in wanted {
        assert!(installed.contains(&file), "{file} is missing: {installed:?}");
    }
    // Nothing starts by itself.
    let starts = |name: &String| name.contains("cron.d") || name.contains(".wants/");
    assert!(!installed.iter().any(starts), "{installed:?}");
    let unit = fs::read_to_string(to.join("usr/lib/systemd/system/vw.service")).unwrap();
    assert!(unit.contains("\nExecStart=/usr/bin/vw-run "), "{unit}");
    let cron = fs::read_to_string(to.join("usr/share/doc/vw/examples/cron")).unwrap();
    assert!(cron.contains("\nPATH=/usr/bin:"), "{cron}");
    for (file, mode) in [
        ("usr/bin/vw-run", 0o755),
        ("usr/lib/systemd/system/vw.service", 0o644),
    ] {
        let permissions = fs::metadata(to.join(file)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{file}");
    }
}

#[test]
fn a_prefix_of_ones_own_holds_everything() {
    let place = Place::new();
    let installed = files(&place.install("/home/me/.local"));
    let inside = |name: &String| name.starts_with("home/me/.local/");
    assert!(installed.iter().all(inside), "{installed:?}");
}

#[test]
fn uninstalling_leaves_nothing_but_what_others_have() {
    for prefix in ["/usr", "/usr/local", "/home/me/.local"] {
        let place = Place::new();
        let to = place.install(prefix);
        let others = to.join(&prefix[1..]).join("share/man/man1/other.1");
        fs::write(&others, "").unwrap();
        let made = place.make("uninstall", prefix);
        assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
        let left = files(&to);
        assert_eq!(left.len(), 1, "{left:?}");
        fs::remove_file(others).unwrap();
        // Again, after an uninstallation: what is already gone is no error, and now the folders are empty.
        place.make("uninstall", prefix);
        let left: Vec<_> = fs::read_dir(&to).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn nothing_is_installed_before_all_is_built() {
    let place = Place::new();
    let missing = place.folder.path().join("target/release/completions/zsh/_vw-run");
    fs::remove_file(missing).unwrap();
    let made = place.make("install", "/usr");
    assert!(!made.status.success(), "{made:?}");
    let said = String::from_utf8(made.stderr).unwrap();
    assert!(
        said.contains("_vw-run has not been built: run make first"),
        "{said}"
    );
    assert!(files(&place.destination()).is_empty());
}

#[test]
fn help_names_each_target() {
    let help = Command::new("make")
        .arg("help")
        .current_dir(root())
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let phony = makefile
        .lines()
        .find_map(|line| line.strip_prefix(".PHONY:"))
        .unwrap();
    for target in phony
        .split_whitespace()
        .filter(|target| !["all", "help"].contains(target))
    {
        assert!(help.contains(&format!("make {target} ")), "{target}: {help}");
    }
    assert!(help.lines().all(|line| line.len() <= 110), "{help}");
}

/// Runs a program that may be missing, with the place's data folder and its commands.
fn run(program: &str, arguments: &[&str], installed: &Path) -> Option<String> {
    let share = installed.join("usr/share");
    let path = format!(
        "{}:{}",
        installed.join("usr/bin").display(),
        std::env::var("PATH").unwrap()
    );
    let run = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .env("XDG_DATA_DIRS", &share)
        .env("SHARE", &share)
        .env("HOME", installed)
        .env("TERM", "dumb")
        .output();
    let Ok(output) = run else {
        // Not by eprintln!, which the harness hides if the test passes.
        let line = format!("skipped: completions for {program}: it is not installed\n");
        io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    };
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Loads the completions as bash-completion does at the first Tab, and asks for all that begins with $2.
const BASH: &str = r#"
file=$SHARE/bash-completion/completions/$1
if [ -e /usr/share/bash-completion/bash_completion ]; then
    . /usr/share/bash-completion/bash_completion
    _completion_loader "$1"
else
    . "$file"
fi
read -ra how <<< "$(complete -p "$1")"
for at in "${!how[@]}"; do [ "${how[at]}" != -F ] || function=${how[at + 1]}; done
COMP_WORDS=("$1" "$2") COMP_CWORD=1
"$function" "$1" "$2" "$1"
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
fn bash_completes_each_option_of_each_command() {
    let place = Place::new();
    let installed = place.install("/usr");
    for command in commands() {
        let Some(words) = run(
            "bash",
            &["--norc", "-c", BASH, "bash", &command, "--"],
            &installed,
        ) else {
            return;
        };
        let completed: BTreeSet<&str> = words.lines().collect();
        let page = fs::read_to_string(root().join("man").join(format!("{command}.1"))).unwrap();
        let entries = page.lines().filter_map(|line| line.strip_prefix(".It Fl "));
        for option in entries
            .flat_map(str::split_whitespace)
            .filter(|word| word.starts_with('-'))
        {
            assert!(
                completed.contains(format!("-{option}").as_str()),
                "{command} {option}: {words}"
            );
        }
        assert!(completed.contains("--version"), "{command}: {words}");
    }
}

#[test]
fn bash_completes_one_option_and_the_words_of_another() {
    let place = Place::new();
    let installed = place.install("/usr");
    let complete =
        |command: &str, word: &str| run("bash", &["--norc", "-c", BASH, "bash", command, word], &installed);
    if let Some(words) = complete("vw-scan-esx", "--wat") {
        assert_eq!(words, "--watch\n");
        assert_eq!(complete("vw-escape", "vmx").unwrap(), "vmx-name\n");
    }
}

/// Types on a terminal of its own: the beginning of an option, Tab and Enter. The command says what it got.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1="rea""dy> "; fpath=($SHARE/zsh/site-functions $fpath); autoload -U compinit; compinit -u -D'
zpty -r shell output '*ready> *'
zpty -w shell $'vw-scan-esx --wat\t'
zpty -r shell output '*got: *got.*'
print -r -- $output
zpty -d shell
"#;

#[test]
fn zsh_completes_an_option() {
    let place = Place::new();
    let installed = place.install("/usr");
    if let Some(typed) = run("zsh", &["-f", "-c", ZSH], &installed) {
        assert!(typed.contains("got: --watch got."), "{typed}");
    }
}

#[test]
fn fish_completes_an_option() {
    let place = Place::new();
    let installed = place.install("/usr");
    let ask = "complete --do-complete 'vw-scan-esx --wat'";
    if let Some(words) = run("fish", &["-c", ask], &installed) {
        assert!(words.starts_with("--watch"), "{words}");
    }
}
