//! Messages, on stderr and in log files.

use std::fs;
use std::path::Path;
use std::process::Command;

use fancy_regex::Regex;
use tempfile::TempDir;

use crate::support::Run;

const SCAN: &str = env!("CARGO_BIN_EXE_vw-scan-esx");
const FAKE: &str = env!("CARGO_BIN_EXE_vw-scan-fake");
const FILTER: &str = env!("CARGO_BIN_EXE_vw-filter");
const CANDLEPIN: &str = env!("CARGO_BIN_EXE_vw-report-candlepin");
const SATELLITE5: &str = env!("CARGO_BIN_EXE_vw-report-sat5");
const CONFIG: &str = env!("CARGO_BIN_EXE_vw-config");
const PASSWORD: &str = env!("CARGO_BIN_EXE_vw-password");

/// A zone that needs no files, at half an hour.
const ZONE: &str = "IST-5:30";

/// What a log file's line says, if it is one.
fn parts(line: &str) -> Option<[String; 5]> {
    let pattern =
        r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} \+0530 \[([A-Z]+)\] (vw-[a-z0-9-]+):(\d+):(.+?) - (.+)$";
    let found = Regex::new(pattern).unwrap().captures(line).unwrap()?;
    let part = |at| found.get(at).unwrap().as_str().to_owned();
    assert!(part(4).parse::<u32>().unwrap() > 1, "{line}");
    Some([part(1), part(2), part(3), part(5), part(6)])
}

/// The local time by another program.
fn local_time() -> String {
    let date = Command::new("date")
        .env("TZ", ZONE)
        .arg("+%F %T")
        .output()
        .unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

struct Place(TempDir);

impl Place {
    fn new(configuration: &str) -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.path().join("a.conf"), configuration).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, program: &str) -> Run {
        let run = Run::new(program).env("VW_CONFIG", "a.conf").env("TZ", ZONE);
        run.folder(self.path())
    }

    fn log(&self, name: &str) -> Vec<[String; 5]> {
        let text = fs::read_to_string(self.path().join(name)).unwrap();
        text.lines()
            .map(|line| parts(line).unwrap_or_else(|| panic!("{line}")))
            .collect()
    }
}

#[test]
fn a_line_in_a_log_file_has_time_process_and_section() {
    let place =
        Place::new("[prod]\ntype=fake\nfile=m.json\nodd=1\n[broken section]\ntype=fake\nfile=m.json\n");
    let document = r#"{"hypervisors":[{"uuid":"","name":"a\nb","guests":[]}]}"#;
    fs::write(place.path().join("m.json"), document).unwrap();
    let before = local_time();
    let run = place
        .run(FAKE)
        .args(["-n", "prod", "--debug", "--log-file", "all.log"])
        .run();
    let after = local_time();
    assert_eq!(run.status, 0, "{run:?}");
    let log = place.log("all.log");
    // Stderr stays as it was: a line for each of the file's, without time.
    assert_eq!(run.stderr.lines().count(), log.len());
    for ([time, level, name, section, message], said) in log.iter().zip(run.stderr.lines()) {
        assert!(before <= *time && *time <= after, "{before} {time} {after}");
        assert_eq!((&**name, &**section), ("vw-scan-fake", "prod"));
        let prefix = match &**level {
            "WARNING" => "warning: ",
            "DEBUG" => "debug: ",
            _ => "",
        };
        assert_eq!(format!("vw-scan-fake: {prefix}{message}"), said);
    }
    assert!(
        log.iter()
            .any(|line| line[1] == "WARNING" && line[4].contains("left out")),
        "{log:?}"
    );

    // The stages of a pipeline share the file; a name in it can't be taken for another line.
    let run = place.run(FILTER).args(["--log-file", "all.log"]).stdin("{").run();
    assert_eq!(run.status, 66, "{run:?}");
    let run = place.run(FAKE).args([
        "-n",
        "broken section",
        "--file",
        "gone\nx",
        "--log-file",
        "all.log",
    ]);
    assert_eq!(run.run().status, 78);
    let all = place.log("all.log");
    let last = &all[log.len()..];
    let about = |line: &[String; 5]| line[1..4].join(" ");
    assert_eq!(about(&last[0]), "ERROR vw-filter -");
    assert_eq!(about(&all[all.len() - 1]), "ERROR vw-scan-fake broken section");
}

#[test]
fn log_lines_name_the_section_once_it_is_chosen() {
    let place = Place::new("[global]\nlog_dir=.\nlog_file=all.log\n[only]\ntype=fake\nfile=gone\n");
    let run = place.run(FAKE).run();
    assert_eq!(run.status, 78, "{run:?}");
    let log = place.log("all.log");
    assert_eq!(log[0][3], "only", "{log:?}");
}

#[test]
fn a_read_only_stdout_is_an_error_before_anything_is_done() {
    let closed = || fs::File::open("/dev/null").unwrap();
    for command in crate::man::commands() {
        let program = crate::man::built().join(&command);
        let run = Run::new(program.to_str().unwrap()).args(["--help"]);
        run.run_with_stdout(closed()).failed(74, "reading only");
    }
    let run = || Run::new(FILTER).stdin(r#"{"hypervisors":[]}"#);
    run().run_with_stdout(closed()).failed(74, "stdout");
    let open = fs::File::options().write(true).open("/dev/null").unwrap();
    assert_eq!(run().run_with_stdout(open).status, 0);
}

#[test]
fn no_message_shows_an_os_error_number() {
    let place = Place::new(
        "[global]\nlog_dir=a.conf/dir\n[fake]\ntype=fake\nfile=gone\n\
         [esx]\ntype=esx\nserver=vc.invalid\nusername=u\npassword=p\nowner=o\nrhsm_hostname=cp.invalid\nrhsm_username=u\n\
         rhsm_password=p\n[sat]\ntype=fake\nfile=gone\nsat_server=sat.invalid\nsat_username=u\nsat_password=p\n\
         [locked]\ntype=esx\nserver=vc.invalid\nusername=u\nencrypted_password=40aff3e4e9a5ff46e7ac7a84ba1d6bb8\n",
    );
    let document = r#"{"hypervisors":[{"uuid":"a","guests":[]}]}"#;
    let cases: [(&str, &[&str], i32); 14] = [
        (FAKE, &["-n", "fake"], 78),
        (FAKE, &["--file", "gone"], 78),
        (FAKE, &["--file", "/"], 74),
        (FAKE, &["-c", "gone"], 78),
        (FILTER, &["--log-file", "gone/log"], 78),
        (FILTER, &["-c", "gone"], 78),
        (SCAN, &["-n", "esx", "--password-file", "gone"], 78),
        (SCAN, &["-n", "esx", "--cacert", "gone"], 78),
        (SCAN, &["-n", "locked", "--key-file", "gone"], 78),
        (SCAN, &["--replay", "gone"], 78),
        (CANDLEPIN, &["-n", "esx", "--rhsm-conf", "gone"], 78),
        (CANDLEPIN, &["-n", "esx", "--cert", "gone"], 78),
        (CONFIG, &["migrate", "gone"], 78),
        (PASSWORD, &["--decrypt", "--key-file", "gone"], 78),
    ];
    for (program, options, status) in cases {
        let input = match program {
            PASSWORD => "40aff3e4e9a5ff46e7ac7a84ba1d6bb8",
            _ => document,
        };
        let run = place.run(program).args(options).stdin(input).run();
        assert_eq!(run.status, status, "{options:?} {run:?}");
        assert!(!run.stderr.contains("os error"), "{options:?} {run:?}");
        assert!(
            run.stderr.to_lowercase().contains("no such file")
                || run.stderr.contains("does not exist")
                || options.contains(&"/"),
            "{options:?} {run:?}"
        );
    }
    for options in [&["check"][..], &["check", "--json"], &["show", "fake", "--json"]] {
        let run = place.run(CONFIG).args(options).run();
        assert!(!(run.stdout + &run.stderr).contains("os error"), "{options:?}");
    }
    // What a reporter says of its hypervisors, too.
    let state = place.path().join("state");
    fs::write(&state, "").unwrap();
    let run = place
        .run(SATELLITE5)
        .args(["-n", "sat", "--state-dir", "state"])
        .stdin(document)
        .run();
    assert!(
        run.status != 0 && !(run.stdout.clone() + &run.stderr).contains("os error"),
        "{run:?}"
    );
}

#[test]
fn debug_messages_say_in_every_command_what_is_in_force() {
    let place = Place::new(
        "[prod]\ntype=fake\nfile=m.json\nexclude_hosts=lab*\nfilter_type=wildcards\nowner=o\nrhsm_hostname=cp.invalid\n\
         [sat]\ntype=fake\nfile=m.json\nsat_server=sat.invalid\nsat_username=u\nsat_password=s3cret\n",
    );
    let document = r#"{"hypervisors":[{"uuid":"a","guests":[]}]}"#;
    fs::write(place.path().join("m.json"), document).unwrap();
    let files = "configuration files: a.conf";
    let section = "using section [prod] (a.conf:1)";
    let filters = "filters (wildcards): exclude_hosts: lab*";
    let cases: [(&str, &[&str], &[&str]); 9] = [
        (FAKE, &["-n", "prod"], &[files, section, "reading m.json"]),
        (FILTER, &["-n", "prod"], &[files, section, filters]),
        (
            FILTER,
            &["--filter-hosts", "a"],
            &["using no section", ": filter_hosts: a\n"],
        ),
        (
            CANDLEPIN,
            &["-n", "prod", "--dry-run"],
            &[files, section, filters, "sending nothing"],
        ),
        (
            SATELLITE5,
            &["-n", "sat", "--dry-run", "--state-dir", "s"],
            &[files, "using section [sat] (a.conf:8)", "no filter is set"],
        ),
        (CONFIG, &["list"], &[files]),
        (CONFIG, &["check"], &[files]),
        (CONFIG, &["show", "prod"], &[files]),
        (PASSWORD, &["--key-file", "key"], &["the key is in key"]),
    ];
    for (program, options, words) in cases {
        let run = place
            .run(program)
            .args(options)
            .args(["-d"])
            .stdin(document)
            .run();
        for words in words {
            assert!(run.stderr.contains(words), "{words}: {options:?} {run:?}");
        }
        assert!(!run.stderr.contains("s3cret"), "{options:?} {run:?}");
    }
}
