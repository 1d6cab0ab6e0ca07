//! The manual pages agree with the commands: they have the same options, and their examples do what they show.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::skipped;

/// The commands' names, from their sources.
pub(crate) fn commands() -> Vec<String> {
    names(&root().join("src/bin"), "rs")
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the built commands are.
pub(crate) fn built() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_vw-escape")).parent().unwrap()
}

/// The names of the files with an extension, without it.
fn names(folder: &Path, extension: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

pub(crate) fn page(name: &str, section: u8) -> String {
    let path = root().join(format!("man/{name}.{section}"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn help(command: &str) -> String {
    let output = Command::new(built().join(command))
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "{command} --help");
    String::from_utf8(output.stdout).unwrap()
}

/// The options that `--help` lists, as they are typed.
fn options_of_help(help: &str) -> BTreeSet<String> {
    let listed = help.lines().filter_map(|line| {
        let text = line.trim_start();
        (text.starts_with('-') && line.len() - text.len() <= 6).then_some(text)
    });
    listed
        .flat_map(|text| {
            let names = text.split("  ").next().unwrap_or("");
            names.split(", ").map(|name| {
                let name = name.split([' ', '=', '[', '<']).next().unwrap_or("");
                name.trim_end_matches('.').to_owned()
            })
        })
        .collect()
}

/// The options after each `Fl` of some lines of a page, as they are typed.
fn options_of_page<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut options = BTreeSet::new();
    for line in lines.filter(|line| line.starts_with('.')) {
        let mut flags = false;
        for word in line.trim_start_matches('.').split_whitespace() {
            let is_macro = word.len() == 2
                && word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.ends_with(|c: char| c.is_ascii_lowercase());
            if is_macro {
                flags = word == "Fl";
            } else if flags && word.starts_with(|c: char| c == '-' || c.is_ascii_alphanumeric()) {
                options.insert(format!("-{word}"));
            }
        }
    }
    options
}

/// The lines of a section, such as EXAMPLES.
fn section<'a>(page: &'a str, title: &str) -> Vec<&'a str> {
    let heading = format!(".Sh {title}");
    page.lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with(".Sh "))
        .collect()
}

#[test]
fn each_command_has_a_page_with_its_options_and_arguments() {
    let introduction = page("vw", 7);
    for command in commands() {
        let page = page(&command, 1);
        let help = help(&command);
        let known = options_of_help(&help);
        assert!(known.contains("--help"), "{command}: {help}");
        let described = options_of_page(page.lines().filter(|line| line.starts_with(".It ")));
        assert_eq!(
            described, known,
            "{command}: options that the page lists, and --help"
        );
        let named = options_of_page(page.lines());
        assert_eq!(named, known, "{command}: options that the page names, and --help");

        assert!(
            page.contains(&format!("\n.Dt {} 1\n", command.to_uppercase())),
            "{command}"
        );
        assert_eq!(section(&page, "NAME")[0], format!(".Nm {command}"));
        let synopsis = section(&page, "SYNOPSIS");
        assert_eq!(synopsis[0], ".Nm", "{command}");
        for argument in arguments_of_help(&help) {
            assert!(
                synopsis
                    .iter()
                    .any(|line| line.contains(&format!("Ar {argument}"))),
                "{command}: the synopsis lacks {argument}"
            );
        }
        for title in [
            "DESCRIPTION",
            "EXIT STATUS",
            "TROUBLESHOOTING",
            "EXAMPLES",
            "SEE ALSO",
        ] {
            assert!(!section(&page, title).is_empty(), "{command}: no {title}");
        }
        assert!(
            introduction.contains(&format!(".Xr {command} 1")),
            "vw.7 does not name {command}"
        );
    }
}

/// The arguments of the usage line, without the values of options, in lower case.
fn arguments_of_help(help: &str) -> Vec<String> {
    let usage = help.lines().find(|line| line.starts_with("Usage: ")).unwrap();
    let arguments = usage
        .split_whitespace()
        .skip(2)
        .filter(|word| *word != "[OPTIONS]");
    let mut names = Vec::new();
    let mut value = false;
    for word in arguments {
        if !value && !word.starts_with('-') {
            names.push(word.trim_matches(|c: char| "<>[].".contains(c)).to_lowercase());
        }
        value = word.starts_with('-');
    }
    names
}

#[test]
fn each_symptom_of_the_pages_is_a_message_of_the_commands() {
    let mut source = String::new();
    append_sources(&root().join("src"), &mut source);
    let source = joined_literals(&source);
    let mut unknown = Vec::new();
    for section in [1, 5, 7] {
        for name in names(&root().join("man"), &section.to_string()) {
            for symptom in symptoms(&page(&name, section)) {
                let mut words = symptom.split("...").map(str::trim);
                if !words.all(|words| source.contains(words)) {
                    unknown.push(format!("{name}: {symptom}"));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "no message has these words: {unknown:#?}");
}

/// The messages that a page's TROUBLESHOOTING quotes; `...` stands for what differs from case to case.
fn symptoms(page: &str) -> Vec<String> {
    let quoted = section(page, "TROUBLESHOOTING")
        .into_iter()
        .filter_map(|line| line.strip_prefix(".It Ql "));
    quoted.map(plain).collect()
}

fn append_sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            append_sources(&path, text);
        } else {
            *text += &fs::read_to_string(&path).unwrap();
        }
    }
}

/// Rust's source with its string literals on one line each, and without their escapes.
fn joined_literals(source: &str) -> String {
    let lines = source.split("\\\n").enumerate();
    let joined: String = lines
        .map(|(number, part)| if number == 0 { part } else { part.trim_start() })
        .collect();
    joined.replace("\\\"", "\"")
}

/// A command of a page's EXAMPLES, and the output that the page shows.
#[derive(Debug, PartialEq)]
pub(crate) struct Example {
    pub(crate) command: String,
    pub(crate) output: Vec<String>,
}

/// The examples of a page: the lines after a `$ ` in a literal display. Nothing else is run.
fn examples(page: &str) -> Vec<Example> {
    examples_in(page, "EXAMPLES")
}

/// The same of another section of the page.
pub(crate) fn examples_in(page: &str, title: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut shown = false;
    let mut open = false;
    for line in section(page, title) {
        if line.starts_with(".Bd") || line.starts_with(".Ed") {
            shown = line.starts_with(".Bd -literal");
            open = false;
            continue;
        }
        if !shown {
            continue;
        }
        let line = plain(line);
        let goes_on = found.last().is_some_and(|e| open && e.command.ends_with('\\'));
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => {
                open = true;
                found.push(Example {
                    command: command.to_owned(),
                    output: Vec::new(),
                });
            }
            (None, Some(example)) if goes_on => {
                example.command.push('\n');
                example.command.push_str(&line);
            }
            (None, Some(example)) if open => example.output.push(line),
            _ => (),
        }
    }
    found
}

/// A line of a display without roff's escapes.
fn plain(line: &str) -> String {
    assert!(!line.starts_with('.'), "a macro within an example: {line}");
    let escapes = [
        ("\\e", "\\"),
        ("\\-", "-"),
        ("\\&", ""),
        ("\\(dq", "\""),
        ("\\(aq", "'"),
        ("\\(:u", "ü"),
    ];
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        text += &rest[..at];
        let (escape, stands_for) = escapes
            .iter()
            .find(|(escape, _)| rest[at..].starts_with(escape))
            .unwrap_or_else(|| panic!("an escape that this test does not know: {line}"));
        text += stands_for;
        rest = &rest[at + escape.len()..];
    }
    text + rest
}

/// Whether the output is as shown. `...` matches anything in a line and, alone on a line, any lines.
pub(crate) fn fits(output: &str, shown: &[String]) -> bool {
    let mut pattern = "(?s)\\A".to_owned();
    for line in shown {
        if line.trim() == "..." {
            pattern += "(?:.*\n)?";
        } else {
            pattern += &fancy_regex::escape(line).replace(r"\.\.\.", "[^\n]*");
            pattern += "\n";
        }
    }
    pattern += "\\z";
    fancy_regex::Regex::new(&pattern)
        .unwrap()
        .is_match(output)
        .unwrap()
}

/// A script that runs each example in one folder and leaves its output and status there.
///
/// The simulators' section `sim` gets the name `prod`, which the pages use.
fn script(examples: &[Example]) -> String {
    let mut script = String::from(
        "set -u\n\
         umask 077\n\
         if [ -n \"${VW_CONFIG-}\" ]; then\n\
             sed 's/^\\[sim/[prod/' \"$VW_CONFIG\" > prod.conf\n\
             VW_CONFIG=$VW_CONFIG:$PWD/prod.conf\n\
         fi\n",
    );
    for (number, example) in examples.iter().enumerate() {
        let command = example.command.replace('\'', r"'\''");
        writeln!(
            script,
            "sh -c '{command}' </dev/null >{number}.out 2>&1; echo $? >{number}.status"
        )
        .unwrap();
    }
    script
}

#[test]
fn the_examples_of_the_pages_do_what_they_show() {
    for section in [1, 5, 7] {
        for name in names(&root().join("man"), &section.to_string()) {
            let examples = runnable(&name, examples(&page(&name, section)));
            match commands_missing_for(&examples).as_slice() {
                [] => run_examples(&name, &examples),
                missing => skipped(&format!("the examples of {name}: there is no {missing:?}")),
            }
        }
    }
}

/// The examples that this machine can run: those with jq only where it is installed.
fn runnable(page: &str, examples: Vec<Example>) -> Vec<Example> {
    let has_jq = Command::new("jq").arg("--version").output().is_ok();
    let (with_jq, without): (Vec<_>, Vec<_>) = examples
        .into_iter()
        .partition(|example| !has_jq && example.command.contains("jq "));
    if !with_jq.is_empty() {
        let count = with_jq.len();
        skipped(&format!(
            "{count} examples of {page} that need jq: it is not installed"
        ));
    }
    without
}

/// The commands in examples that have no source yet. A command that vw.7 does not name is a mistake in the page.
fn commands_missing_for(examples: &[Example]) -> Vec<String> {
    let introduction = page("vw", 7);
    let words = examples.iter().flat_map(|example| {
        example
            .command
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
    });
    let called: BTreeSet<&str> = words.filter(|word| word.starts_with("vw-")).collect();
    for name in &called {
        assert!(
            introduction.contains(&format!(".Xr {name} 1")) || *name == "vw-sim",
            "an example calls {name}, which vw.7 does not name"
        );
    }
    let known = commands();
    called
        .into_iter()
        .filter(|name| *name != "vw-sim" && !known.iter().any(|command| command == name))
        .map(str::to_owned)
        .collect()
}

fn run_examples(page: &str, examples: &[Example]) {
    let folder = tempfile::tempdir().unwrap();
    let servers = examples.iter().any(|example| {
        ["vw-scan-", "vw-report-", "vw-task-", "vw-run"]
            .iter()
            .any(|name| example.command.contains(name))
    });
    let mut run = if servers {
        let mut run = Command::new(simulators());
        run.args(["--", "sh"]);
        run
    } else {
        Command::new("sh")
    };
    let mut path = vec![built().to_path_buf()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let ended = run
        .args(["-c", &script(examples)])
        .current_dir(&folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env_remove("VW_CONFIG")
        .output()
        .unwrap();
    assert!(ended.status.success(), "{page}: {ended:?}");
    for (number, example) in examples.iter().enumerate() {
        let read = |kind: &str| fs::read_to_string(folder.path().join(format!("{number}.{kind}"))).unwrap();
        let output = read("out");
        assert_eq!(read("status"), "0\n", "{page}: {}\n{output}", example.command);
        assert!(
            example.output.is_empty() || fits(&output, &example.output),
            "{page}: {}\n--- printed\n{output}--- the page shows\n{}",
            example.command,
            example.output.join("\n")
        );
    }
}

/// The simulators' program. It is built if necessary, because cargo builds only the programs of the tested package.
pub(crate) fn simulators() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build_simulators).clone()
}

fn build_simulators() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut build = Command::new(cargo);
    // Together with the tests, so that the same features apply and their build is used. Otherwise cargo would rebuild all
    // commands while the tests run them.
    build.args([
        "build",
        "--quiet",
        "--workspace",
        "--bin",
        "vw-sim",
        "--test",
        "suite",
        "--locked",
    ]);
    // Cargo sets these variables for the tests of this package. Dependencies that read them, such as ring, would be rebuilt.
    for (name, _) in std::env::vars_os() {
        let of_package = ["CARGO_MANIFEST_", "CARGO_PKG_", "OUT_DIR"];
        if of_package
            .iter()
            .any(|begin| name.to_string_lossy().starts_with(begin))
        {
            build.env_remove(name);
        }
    }
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    build.arg("--target-dir").arg(built().parent().unwrap());
    assert!(build.current_dir(root()).status().unwrap().success());
    built().join("vw-sim")
}

#[test]
fn the_pages_pass_mandoc_lint() {
    let folder = root().join("man");
    let pages = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let checked = Command::new("mandoc")
        .args(["-T", "lint", "-W", "warning"])
        .args(pages)
        .output();
    match checked {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            skipped("mandoc's check of the manual pages: it is not installed");
        }
        checked => {
            let checked = checked.unwrap();
            let messages = String::from_utf8_lossy(&checked.stdout);
            assert!(checked.status.success(), "{messages}");
        }
    }
}

#[test]
fn the_options_in_help_and_pages_are_recognised() {
    let help = "Usage: vw-x [OPTIONS] --owner <OWNER> <ACTION> [VM]...\n\nOptions:\n  -c, --config <FILE>  text\n  \
                    -o, --owner <OWNER>\n          - no option\n      --why=<TEXT>\n";
    let typed = |words: &[&str]| words.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let expected = typed(&["-c", "--config", "-o", "--owner", "--why"]);
    assert_eq!(options_of_help(help), expected);
    assert_eq!(arguments_of_help(help), ["action", "vm"]);
    let page =
        ".It Fl c , -config Ar FILE\n.Op Fl o | -owner Ar OWNER\n.Fl -why Ns = Ns Ar TEXT .\ntext Fl x";
    assert_eq!(options_of_page(page.lines()), expected);
}

#[test]
fn contributing_names_each_room_and_only_files_that_exist_on_two_screens() {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    assert!(text.lines().count() <= 100, "{} lines", text.lines().count());
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    let words: BTreeSet<&str> = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || "_-/.".contains(c)))
        .map(|word| word.trim_end_matches(['.', '/']))
        .collect();
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for room in map.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        let room = room.trim_end_matches(';');
        let path = format!("src/{room}");
        assert!(words.contains(room) || words.contains(&*path), "src/{room}");
    }
    let paths = words.iter().filter(|word| {
        ["src/", "tests/", "man/", "fuzz/"]
            .iter()
            .any(|folder| word.starts_with(folder))
    });
    for path in paths.filter(|path| !path.contains("NAME")) {
        assert!(root().join(path).exists(), "CONTRIBUTING.md names {path}");
    }
}

#[test]
fn symptoms_are_compared_with_literals_that_span_lines() {
    let page = ".Sh TROUBLESHOOTING\n.Bl -tag\n.It Ql has \\(dqx\\(dq, and ...\nCause.\n.It other\n.El\n.Sh EXAMPLES\n.It Ql no\n";
    assert_eq!(symptoms(page), [r#"has "x", and ..."#]);
    let source = "let text = \"it has \\\"x\\\", \\\n        and more\";";
    assert_eq!(joined_literals(source), r#"let text = "it has "x", and more";"#);
}

#[test]
fn examples_are_read_with_their_output() {
    let page = ".Sh EXAMPLES\n$ no display\n.Bd -literal -offset indent\nno prompt\n$ one \\e\n    two\n1\n\\&...\n\
                $ three\n.Ed\n.Bd -literal\nno output\n.Ed\n.Sh SEE ALSO\n.Bd -literal\n$ four\n.Ed\n";
    let example = |command: &str, output: &[&str]| Example {
        command: command.into(),
        output: output.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(
        examples(page),
        [example("one \\\n    two", &["1", "..."]), example("three", &[])]
    );

    let shown = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(fits("a.c\n", &shown(&["a.c"])));
    assert!(!fits("abc\n", &shown(&["a.c"])));
    assert!(!fits("a.c\nd\n", &shown(&["a.c"])));
    assert!(fits(
        "{\"n\":12,\"m\":3}\nx\ny\nlast\n",
        &shown(&["{...\"m\":3}", "...", "last"])
    ));
    assert!(fits("first\n", &shown(&["first", "..."])));
    assert!(
        !fits("1\nx 2\n", &shown(&["1...2"])),
        "within a line it stays there"
    );
}
