//! README.md: each command in it is run, in order, as a newcomer would, and its picture is what its script draws.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::man::{Example, built, commands, fits, root, simulators};
use crate::support::write_program;

/// What is not run here, with the reason.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "make demo",
        ".ci/run runs it; here it would build all commands again",
    ),
    ("make", ".ci/run runs it; it compiles for minutes"),
    (
        "sudo make install",
        ".ci/run installs into a folder; here the commands are not built for installation",
    ),
    ("sudo make uninstall", ".ci/run does it in the same folder"),
    (
        "make packages",
        ".ci/run builds, installs and removes both; here are no commands to pack",
    ),
    ("make static", ".ci/run builds them; it compiles for minutes"),
    (
        "make packages BUILT=$PWD/target/x86_64-unknown-linux-musl/release",
        "as make packages",
    ),
    ("make image", ".ci/run builds it; here are no static commands"),
    (
        "man ./man/vw.7",
        "the tests of the manual pages read it with mandoc; it opens a pager",
    ),
];

/// Takes only what a machine with virt-who and vw has: their units.
const SYSTEMCTL: &str = r#"#!/bin/sh
case "$*" in
"disable --now virt-who") ;;
"enable --now "*) test -e "$ROOT/contrib/systemd/$3.service" ;;
*) echo "systemctl: unexpected: $*" >&2; exit 1 ;;
esac
"#;

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// The commands of the text: the lines after `$ ` in displays, with the output shown below them, and those within a sentence.
fn examples(text: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let display = line.strip_prefix("    ");
        match (display, found.last_mut()) {
            (Some(line), _) if line.starts_with("$ ") => {
                found.push(example(&line[2..]));
                open = true;
            }
            (Some(line), Some(example)) if open => example.output.push(line.to_owned()),
            (Some(_), _) => (),
            (None, _) => {
                open = false;
                let quoted = line.split('`').skip(1).step_by(2);
                found.extend(quoted.filter(|text| is_command(text)).map(example));
            }
        }
    }
    found
}

fn example(command: &str) -> Example {
    Example {
        command: command.to_owned(),
        output: Vec::new(),
    }
}

/// A command with arguments. A name alone only names the command.
fn is_command(text: &str) -> bool {
    let mut words = text.split(' ');
    let program = words.next().unwrap_or("");
    let known = ["cargo", "make", "man", "sh", "sudo", "systemctl"].contains(&program);
    (known || program.starts_with("vw-")) && words.next().is_some()
}

/// The displays without a command, by their first lines, such as a file's name.
fn files(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with("    ") {
            continue;
        }
        let mut display = vec![&line[4..]];
        while let Some(line) = lines.next_if(|line| line.starts_with("    ")) {
            display.push(&line[4..]);
        }
        if !display[0].starts_with("$ ") {
            found.push((display[0].to_owned(), display[1..].join("\n") + "\n"));
        }
    }
    found
}

/// Runs a program of the simulators' machine, in a folder.
fn simulated(folder: &Path, program: &[&str]) -> Output {
    let mut path = vec![folder.join("bin"), built().to_path_buf()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    Command::new(simulators())
        .arg("--")
        .args(program)
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("ROOT", root())
        .env_remove("VW_CONFIG")
        .output()
        .unwrap()
}

#[test]
fn each_command_of_the_readme_does_what_it_shows() {
    let all = examples(&readme());
    for (command, reason) in ELSEWHERE {
        assert!(
            all.iter().any(|example| example.command == *command),
            "the README has no longer {command}, of which this test says: {reason}"
        );
    }
    let run: Vec<&Example> = all
        .iter()
        .filter(|example| !ELSEWHERE.iter().any(|(command, _)| *command == example.command))
        .collect();
    assert!(run.len() >= 12, "{run:#?}");

    // A machine with one section, whose state is not the real one.
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    fs::create_dir(folder.join("bin")).unwrap();
    write_program(&folder.join("bin/systemctl"), SYSTEMCTL);
    let service = format!(
        "#!/bin/sh\nexec {}/vw-run --state-dir {}/state \"$@\"\n",
        built().display(),
        folder.display()
    );
    write_program(&folder.join("bin/vw-run"), &service);
    // vw-sim puts its own folder first into PATH, so that the two scripts have to be put before it again.
    let mut script = String::from(
        "set -u -o pipefail\numask 077\nPATH=$PWD/bin:$PATH\n\
         sed -n '/^\\[sim\\]/,/^$/p' \"$VW_CONFIG\" | sed 's/^\\[sim/[prod/' > prod.conf\n\
         export VW_CONFIG=$PWD/prod.conf\n",
    );
    for (number, example) in run.iter().enumerate() {
        let command = &example.command;
        writeln!(
            script,
            "{{ {command}\n}} >{number}.out 2>{number}.err </dev/null; echo $? >{number}.status"
        )
        .unwrap();
    }
    let ended = simulated(folder, &["bash", "-c", &script]);
    assert!(ended.status.success(), "{ended:?}");
    for (number, example) in run.iter().enumerate() {
        let read = |kind: &str| fs::read_to_string(folder.join(format!("{number}.{kind}"))).unwrap();
        let (command, output) = (&example.command, read("out"));
        // vw-diff ends with 1 if there is a difference.
        let expected = if command.starts_with("vw-diff ") && !example.output.is_empty() {
            "1\n"
        } else {
            "0\n"
        };
        assert_eq!(read("status"), expected, "{command}\n{output}{}", read("err"));
        assert!(
            example.output.is_empty() || fits(&output, &example.output),
            "{command}\n--- printed\n{output}--- the README shows\n{}",
            example.output.join("\n")
        );
    }
}

#[test]
fn the_section_of_the_readme_passes_the_check_and_nothing_else_is_shown_without_a_test() {
    let files = files(&readme());
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    // The module `cron` runs the second.
    assert_eq!(names, ["# /etc/virt-who.d/prod.conf", "# /etc/cron.d/vw"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prod.conf");
    fs::write(&file, &files[0].1).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let checked = Command::new(built().join("vw-config"))
        .args(["check", "-c"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
    assert!(
        !said.contains("warning") && !said.contains("error"),
        "the section of the README: {said}"
    );
}

#[test]
fn the_table_of_the_readme_and_of_the_introduction_name_each_command_once_in_the_same_order() {
    let text = readme();
    let of_readme: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let introduction = crate::man::page("vw", 7);
    let of_page: Vec<&str> = introduction
        .lines()
        .filter(|line| line.contains(" Ta "))
        .filter_map(|line| line.strip_prefix(".It Xr ")?.split(" 1 ").next())
        .collect();
    assert_eq!(of_readme, of_page);
    let listed: BTreeSet<String> = of_readme.iter().map(ToString::to_string).collect();
    assert_eq!(
        listed.len(),
        of_readme.len(),
        "a command is listed twice: {of_readme:?}"
    );
    assert_eq!(listed, commands().into_iter().collect());
}

#[test]
fn the_picture_is_what_its_script_draws() {
    let committed = fs::read_to_string(root().join("demo/pipeline.svg")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = root().join("demo/picture.sh");
    let drawn = simulated(folder.path(), &["sh", script.to_str().unwrap()]);
    assert!(drawn.status.success() && drawn.stderr.is_empty(), "{drawn:?}");
    assert!(
        String::from_utf8(drawn.stdout).unwrap() == committed,
        "the picture is out of date: vw-sim -- sh demo/picture.sh > demo/pipeline.svg"
    );
    assert!(committed.len() < 60_000 && committed.contains("prefers-color-scheme: dark"));
    // Nothing is loaded from elsewhere: the only address is the name of the format.
    assert_eq!(committed.matches("http").count(), 1);
    assert!(!committed.contains("@import") && !committed.contains("url(h"));
    assert!(readme().contains("](demo/pipeline.svg)"));
}
