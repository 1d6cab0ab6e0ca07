use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde::Deserialize;

use crate::config::format::{self, ParsedFile};
use crate::config::interpolation;

/// A row of the table that tests/odd_files.py makes. `None` is a section that can't be used, or a value that is an error.
#[derive(Deserialize)]
struct Row {
    name: String,
    file: Option<String>,
    hex: Option<String>,
    python: Option<Sections>,
    ours: Option<Sections>,
}

type Sections = BTreeMap<String, Option<BTreeMap<String, Option<String>>>>;

impl Row {
    fn bytes(&self) -> Vec<u8> {
        match (&self.file, &self.hex) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(hex)) => {
                let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                (0..hex.len()).step_by(2).map(byte).collect()
            }
            (None, None) => panic!("{} has no file", self.name),
        }
    }
}

fn parse(bytes: &[u8]) -> ParsedFile {
    format::parse(&Arc::from(Path::new("odd.conf")), bytes)
}

fn sections(bytes: &[u8]) -> Sections {
    let section = |block: format::Block| {
        let values = block.broken.is_none().then(|| {
            let keys = block.assignments.keys().chain(block.default.keys());
            let value = |key: &String| {
                let entry = block.assignment(key).unwrap();
                interpolation::expand(key, &entry.value, &block)
                    .ok()
                    .map(|value| value.text.to_string())
            };
            keys.map(|key| (key.clone(), value(key))).collect()
        });
        (block.name, values)
    };
    parse(bytes).blocks.into_iter().map(section).collect()
}

#[test]
fn odd_files_are_read_as_python_reads_them() {
    let table = include_str!("../../../tests/data/odd_files.json");
    let rows: Vec<Row> = serde_json::from_str(table).unwrap();
    assert!(rows.len() > 70);
    for row in rows {
        let expected = row.ours.as_ref().or(row.python.as_ref());
        assert_eq!(Some(&sections(&row.bytes())), expected, "{}", row.name);
    }
}

/// A variable of the environment is in no file, so a note about it has neither place nor section.
#[test]
fn a_note_about_a_variable_has_no_place() {
    let of = |is_variables: bool, line: usize| {
        let mut document = parse(b"\n[a]\nk=v\n");
        let mut block = document.blocks.remove(0);
        block.is_variables = is_variables;
        let note = block.note(line, Some("k"), "is odd".to_owned());
        (note.place.map(|place| place.line), note.section)
    };
    let a = Some("a".to_owned());
    assert_eq!(of(false, 3), (Some(3), a.clone()));
    assert_eq!(of(false, 0), (Some(0), a));
    assert_eq!(of(true, 0), (None, None));
    // It may be a line of a file like /etc/sysconfig/virt-who.
    assert_eq!(of(true, 3), (Some(3), None));
}

#[test]
fn the_debug_form_of_a_section_shows_no_value() {
    let document = parse(b"[a]\nserver=vc\npassword=s3cret\n");
    assert_eq!(
        format!("{:?}", document.blocks),
        r#"[[a] ["password", "server"]]"#
    );
}

#[test]
fn lines_in_no_section_are_noted_once() {
    let notes = |text: &str| -> Vec<String> {
        let notes = parse(text.as_bytes()).notes.into_iter();
        notes
            .map(|note| format!("{}: {}", note.place.unwrap().line, note.message))
            .collect()
    };
    let before = "the line is before the first [section], so it is ignored";
    assert_eq!(notes("#\nk=v\nl=w\n[a]\nk=v\n"), [format!("2: {before}")]);
    let invalid = notes("[a]\nk=v\n[ b ]\nk=v\nl=w\n");
    assert_eq!(invalid.len(), 1, "{invalid:?}");
    assert!(
        invalid[0].starts_with("3: the line is not a valid section header"),
        "{invalid:?}"
    );
    assert!(notes("[a]\nk=v\n").is_empty());
}

#[test]
fn garbage_yields_few_notes() {
    let garbage: String = (0..10_000).map(|n| format!("[{n}\n[a]\nk=v\nk=w\n")).collect();
    assert_eq!(parse(garbage.as_bytes()).notes.len(), 100);
}

/// A file whose lines are as odd as Python's configparser accepts them.
fn odd_file() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        Just(" "),
        Just("\t"),
        Just("="),
        Just(":"),
        Just("\\"),
        Just("\\n"),
        Just("\\x0041"),
        Just("#"),
        Just(" ;"),
        Just("\""),
        Just("'"),
        Just("]"),
        Just("k"),
        Just("V"),
        Just("\u{a0}"),
        Just("ä"),
        Just("\u{2028}"),
        Just("\x0b"),
        Just("\x1c"),
    ];
    let text = proptest::collection::vec(words, 0..8).prop_map(|words| words.concat());
    let line = prop_oneof![
        4 => ("[ \t]{0,2}", "[klmKLM\\\\]{1,2}", "[ \x1c]?[=:]", text.clone())
            .prop_map(|(indent, key, delimiter, value)| format!("{indent}{key}{delimiter}{value}")),
        2 => ("[ \t]{1,3}", text.clone()).prop_map(|(indent, text)| format!("{indent}{text}")),
        1 => text.prop_map(|text| format!("#{text}")),
        1 => "[ \t\x0b]{0,2}",
        1 => "\\[(a|b|b\\\\n|DEFAULT)\\]( x| #)?",
    ];
    let end = prop_oneof![4 => Just("\n"), 1 => Just("\r\n"), 1 => Just("\r")];
    let lines = proptest::collection::vec((line, end), 0..12);
    lines.prop_map(|lines| {
        let lines = lines.into_iter().map(|(line, end)| line + end);
        format!("[a]\n{}", lines.collect::<String>())
    })
}

/// What Python's configparser reads in each file; none without Python.
fn python(files: &[String]) -> Option<Vec<Option<Sections>>> {
    use std::process::{Command, Stdio};
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/odd_files.py");
    let mut command = Command::new("python3");
    command.args(["-B", script, "--read"]);
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = match spawned {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        spawned => spawned.unwrap(),
    };
    serde_json::to_writer(child.stdin.take().unwrap(), files).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn random_files_are_read_as_python_reads_them() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let count = std::env::var("VW_ODD_FILES").map_or(300, |count| count.parse().unwrap());
    let files: Vec<String> = (0..count)
        .map(|_| odd_file().new_tree(&mut runner).unwrap().current())
        .collect();
    let Some(expected) = python(&files) else {
        return eprintln!("skipped: there is no python3");
    };
    let mut accepted = 0;
    for (file, expected) in files.iter().zip(expected) {
        if let Some(expected) = expected {
            accepted += 1;
            assert_eq!(sections(file.as_bytes()), expected, "{file:?}");
        }
    }
    assert!(accepted > count / 4, "Python accepts only {accepted} of {count}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        sections(&bytes);
    }

    /// Text that is made of what the format knows comes nearer to its corners than bytes at random.
    #[test]
    fn no_text_makes_it_panic_or_lose_a_line(
        words in proptest::collection::vec(
            prop_oneof![
                Just("\n"), Just("\r\n"), Just(" "), Just("\t"), Just("["), Just("]"), Just("[a]\n"), Just("="), Just(":"),
                Just("\\"), Just("#"), Just(";"), Just("\""), Just("'"), Just("%(k)s"), Just("%"), Just("k"), Just("k=v\n"),
                Just("\u{a0}"), Just("ä"), Just("\u{feff}"), Just("\x0b"), Just("[DEFAULT]\n"),
            ],
            0..60,
        )
    ) {
        let text = words.concat();
        sections(text.as_bytes());
        let document = parse(text.as_bytes());
        let lines: Vec<&str> = text.split(['\n']).collect();
        for block in &document.blocks {
            prop_assert!(lines[block.place.line - 1].contains('['));
            for (key, entry) in &block.assignments {
                // The number beside an entry is that of the line with its key.
                prop_assert!(lines[entry.line - 1].to_lowercase().contains(key.as_str()), "{text:?}");
            }
        }
    }

    #[test]
    fn a_plain_value_comes_back(value in "[^\\s%'\"\0\u{feff}\u{1c}-\u{1f}]([^\\p{C}\\p{Z}%]*[^\\s%'\"\0\u{1c}-\u{1f}])?") {
        let found = sections(format!("[a]\nk={value}\n").as_bytes());
        prop_assert_eq!(found["a"].as_ref().unwrap()["k"].as_deref(), Some(value.as_str()));
    }
}
