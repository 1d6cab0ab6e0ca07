//! Holds the layers of the crate: each room names only rooms that stand below it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from below; the rooms of one layer do not know each other, except where `FRIENDS` says so. `systems` is no room of its
/// own: each system is one.
const LAYERS: [&[&str]; 6] = [
    &[
        "error", "secret", "cancel", "backoff", "xml", "escape", "list", "text",
    ],
    &["mapping", "state"],
    &["filter", "config", "http"],
    &["systems::vsphere", "systems::candlepin", "systems::satellite5"],
    &["cli"],
    &["commands"],
];

/// Rooms of the lowest layer that may name another one: errors have a kind, a kind may name a signal, and a message hides passwords.
const FRIENDS: [(&str, &str); 5] = [
    ("error", "cancel"),
    ("xml", "error"),
    ("escape", "error"),
    ("list", "error"),
    ("text", "secret"),
];

/// What holds systems, and is no room itself.
const HALL: &str = "systems";

/// The room of a path below the crate's root, such as `systems::vsphere` or `config`.
fn room_of<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    let first = names.next()?;
    match (first == HALL, names.next()) {
        (true, Some(system)) => Some(format!("{HALL}::{system}")),
        _ => Some(first.to_owned()),
    }
}

/// The rooms in a path that may hold groups: `crate::{error::Kind, systems::vsphere}` names two. `within` is what stands before
/// the group.
fn rooms_in_tree(tree: &str, within: &[&str], rooms: &mut Vec<String>) {
    let mut rest = tree.trim_start();
    let mut path = within.to_vec();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut begin = 0;
            for (place, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth > 0 => depth -= 1,
                    ',' | '}' if depth == 0 => {
                        rooms_in_tree(&group[begin..place], &path, rooms);
                        begin = place + 1;
                        if c == '}' {
                            return;
                        }
                    }
                    _ => {}
                }
            }
            return;
        }
        let length = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        if length == 0 {
            break;
        }
        path.push(&rest[..length]);
        rest = match rest[length..].strip_prefix("::") {
            Some(next) => next,
            None => break,
        };
    }
    rooms.extend(room_of(path.into_iter()));
}

/// The rooms that a file names, by each `crate::ROOM` path, in use lines and elsewhere, and each `super::` path that leaves its
/// room; comments may look up. `module` is the file's own path in the crate.
fn rooms_named_in(source: &str, module: &[&str]) -> Vec<String> {
    let mut rooms = Vec::new();
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    for after in code.split("crate::").skip(1) {
        rooms_in_tree(after, &[], &mut rooms);
    }
    let mut rest = code.as_str();
    while let Some((before, after)) = rest.split_once("super::") {
        let begins = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let mut up = 1;
        let mut path = after;
        while let Some(next) = path.strip_prefix("super::") {
            (up, path) = (up + 1, next);
        }
        // Within `mod tests` one more leads to the file's own module: what is left then counts.
        if begins && up <= module.len() {
            rooms_in_tree(path, &module[..module.len() - up], &mut rooms);
        }
        rest = path;
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
        let module: Vec<&str> = path
            .iter()
            .map(|name| name.to_str().unwrap().trim_end_matches(".rs"))
            .collect();
        let room = room_of(module.iter().copied()).unwrap();
        if room == "lib" || room == "bin" || room == HALL {
            continue;
        }
        let Some(own) = layer.get(room.as_str()) else {
            wrong.push(format!("{room} is in no layer"));
            continue;
        };
        for named in rooms_named_in(&fs::read_to_string(&file).unwrap(), &module) {
            // `super::*` in the tests of a system leads to the system itself.
            let fine = named == room
                || named == HALL
                || FRIENDS.contains(&(room.as_str(), named.as_str()))
                || layer.get(named.as_str()).is_some_and(|layer| layer < own);
            if !fine {
                wrong.push(format!("{} names {named}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn paths_are_found_outside_use_lines_in_groups_and_by_super() {
    let source = "use crate::{error::Kind, xml, systems::{vsphere::Session, candlepin}};\nfn f(x: crate::http::Error) {}";
    assert_eq!(
        rooms_named_in(source, &["cli", "text"]),
        ["error", "xml", "systems::vsphere", "systems::candlepin", "http"]
    );
    let source = "use super::Error;\nuse super::super::satellite5::Failed;";
    assert_eq!(
        rooms_named_in(source, &["systems", "vsphere", "retry"]),
        ["systems::vsphere", "systems::satellite5"]
    );
}
