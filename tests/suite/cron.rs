//! The examples for cron, run as cron does: with a minimal environment, and from the folder of `make install`. The tests change
//! only their folders and the name of the section.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::man::{built, commands, page, root, simulators};
use crate::support::write_program;

/// The PATH and the job of a crontab, without time and user.
fn crontab(text: &str) -> (String, String) {
    let mut lines = text.lines().map(str::trim);
    let path = lines.find_map(|line| line.strip_prefix("PATH=")).unwrap();
    let job = lines
        .find_map(|line| line.strip_prefix("17 * * * * root "))
        .unwrap();
    (path.to_owned(), job.to_owned())
}

/// A folder in which the commands are installed with the default PREFIX.
struct Machine {
    folder: tempfile::TempDir,
    simulators: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let machine = Machine {
            folder: tempfile::tempdir().unwrap(),
            simulators: simulators(),
        };
        let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
        assert!(makefile.contains("\nPREFIX ?= /usr/local\nBINDIR ?= $(PREFIX)/bin\n"));
        for folder in ["usr/local/bin", "var/log", "var/lib", "run/lock"] {
            fs::create_dir_all(machine.folder.path().join(folder)).unwrap();
        }
        for command in commands() {
            symlink(built().join(&command), machine.bin().join(command)).unwrap();
        }
        machine
    }

    fn bin(&self) -> PathBuf {
        self.folder.path().join("usr/local/bin")
    }

    /// Runs a job with cron's environment and the variables of the simulators. Its PATH has only the installed commands.
    fn run(&self, path: &str, job: &str) -> Output {
        let folder = self.folder.path().to_str().unwrap();
        let path = path.replace("/usr/local/bin", &format!("{folder}/usr/local/bin"));
        let job = job.replace("/var/log", &format!("{folder}/var/log"));
        let job = job.replace("/run/lock", &format!("{folder}/run/lock"));
        let job = job.replace(
            "vw-run -o",
            &format!("vw-run -o --state-dir {folder}/var/lib/virt-who"),
        );
        let cron = "exec env -i HOME=/root LOGNAME=root SHELL=/bin/sh VW_CONFIG=\"$VW_CONFIG\" SSL_CERT_FILE=\"$SSL_CERT_FILE\" \
                    PATH=\"$1\" /bin/sh -c \"$2\"";
        Command::new(&self.simulators)
            .args(["--", "/bin/sh", "-c", cron, "cron", &path, &job])
            .env_remove("VW_CONFIG")
            .output()
            .unwrap()
    }

    fn result(&self) -> String {
        fs::read_to_string(self.folder.path().join("var/log/vw-run.json")).unwrap_or_default()
    }
}

fn install(script: &str, file: &Path) {
    write_program(file, &script.replace("-n prod", "-n sim"));
}

#[test]
fn the_script_of_the_introduction_names_the_stage_that_failed() {
    let page = page("vw", 7);
    let script = page
        .split("#!/bin/bash\n")
        .nth(1)
        .unwrap()
        .split(".Ed")
        .next()
        .unwrap();
    let machine = Machine::new();
    install(&format!("#!/bin/bash\n{script}"), &machine.bin().join("vw-prod"));
    let path = "/usr/local/bin:/usr/bin:/bin";
    let job = "vw-prod >> /var/log/vw-run.json";
    let done = machine.run(path, job);
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    assert!(
        machine.result().contains(r#""state":"finished""#),
        "{}",
        machine.result()
    );
    fs::remove_file(machine.bin().join("vw-filter")).unwrap();
    let failed = machine.run(path, job);
    let mail = String::from_utf8(failed.stderr).unwrap();
    assert!(
        mail.contains("scan, filter and report ended with") && mail.contains(" 127 66"),
        "{mail}"
    );
}

#[test]
fn the_crontab_works_with_the_default_prefix_and_is_the_same_everywhere() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (path, job) = crontab(readme.split("# /etc/cron.d/vw\n").nth(1).unwrap());
    let page = page("vw", 7);
    let of_page = crontab(page.split(".Pa /etc/cron.d/vw").nth(1).unwrap());
    let of_contrib = crontab(&fs::read_to_string(root().join("contrib/cron/vw")).unwrap());
    assert_eq!([&of_page, &of_contrib], [&(path.clone(), job.clone()); 2]);

    let machine = Machine::new();
    let done = machine.run(&path, &job);
    assert!(done.status.success(), "{done:?}");
    let results = machine.result();
    let sections = machine.run("/usr/bin:/bin", "grep -c '^\\[' \"$VW_CONFIG\"");
    let sections = String::from_utf8(sections.stdout).unwrap();
    let finished = results.matches(r#""state":"finished""#).count();
    assert_eq!(finished.to_string(), sections.trim(), "{results}");
    // Without the PATH line it fails, and the mail says so.
    let failed = machine.run("/usr/bin:/bin", &job);
    assert!(
        !failed.status.success() && !failed.stderr.is_empty(),
        "{failed:?}"
    );
    // While a round runs, the next one does nothing.
    let lock = machine.folder.path().join("run/lock/vw-cron");
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let busy = machine.run(&path, &job);
    assert_eq!(busy.status.code(), Some(75), "{busy:?}");
    assert_eq!(machine.result(), results);
}
