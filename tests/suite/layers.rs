//! Holds the layers of the crate: each room names only rooms that stand below it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from below; the rooms of one layer do not know each other, except where `FRIENDS` says so.
const LAYERS: [&[&str]; 5] = [
    &["error", "secret", "cancel", "xml", "escape", "list", "backoff"],
    &["mapping", "state"],
    &["filter", "config", "http"],
    &["vsphere", "candlepin", "satellite5"],
    &["cli"],
];

/// In the lowest layer all may name an error's kind; the kind names the signal that it stands for.
const FRIENDS: [(&str, &str); 4] = [
    ("error", "cancel"),
    ("xml", "error"),
    ("escape", "error"),
    ("list", "error"),
];

/// Each `crate::ROOM` path in the source, use lines and others alike; comments may look up.
fn rooms_named_in(source: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    for after in code.split("crate::").skip(1) {
        let names = match after.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or(""),
            None => after,
        };
        let listed = after.starts_with('{');
        for name in names.split(',').take(if listed { usize::MAX } else { 1 }) {
            let name: String = name
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            rooms.push(name);
        }
    }
    rooms
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_room_names_only_rooms_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layer: BTreeMap<&str, usize> = (0..)
        .zip(LAYERS)
        .flat_map(|(n, rooms)| rooms.iter().map(move |room| (*room, n)))
        .collect();
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let path = file.strip_prefix(&src).unwrap();
        let room = path
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        if room == "lib" || room == "bin" {
            continue;
        }
        let Some(own) = layer.get(room) else {
            wrong.push(format!("{room} stands in no layer"));
            continue;
        };
        for named in rooms_named_in(&fs::read_to_string(&file).unwrap()) {
            let fine = named == room
                || FRIENDS.contains(&(room, named.as_str()))
                || layer.get(named.as_str()).is_some_and(|layer| layer < own);
            if !fine {
                wrong.push(format!("{} names {named}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn paths_are_found_outside_use_lines_and_in_groups() {
    let source = "use crate::{error::Kind, xml};\nfn f(x: crate::http::Error) {}";
    assert_eq!(rooms_named_in(source), ["error", "xml", "http"]);
}
