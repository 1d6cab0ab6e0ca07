//! Holds the shape of the crates: each room names only rooms below it, and no modules of one room name each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from below. The rooms of one layer do not know each other, except for the `FRIENDS`. `systems` is not a room itself:
/// each system is one.
const LAYERS: [&[&str]; 6] = [
    &[
        "error",
        "secret",
        "cancel",
        "backoff",
        "pace",
        "xml",
        "escape",
        "kept",
        "list",
        "text",
        "environment",
    ],
    &["mapping", "state", "retry", "xmlrpc"],
    &["filter", "diff", "show", "config", "http", "process"],
    &[
        "systems::vsphere",
        "systems::libvirt",
        "systems::kubevirt",
        "systems::xen",
        "systems::ahv",
        "systems::rhevm",
        "systems::candlepin",
        "systems::satellite5",
    ],
    &["cli", "service"],
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

/// The folder of the systems.
const HALL: &str = "systems";

/// A path of modules and items from the root of its crate: `["http", "tls", "Trust"]`.
type CratePath = Vec<String>;

/// The room of a path, such as `config` or `systems::vsphere`.
fn room_of(path: &[String]) -> Option<String> {
    match path {
        [hall, system, ..] if hall == HALL => Some(format!("{HALL}::{system}")),
        [first, ..] => Some(first.clone()),
        [] => None,
    }
}

/// The paths in a use tree: `error::{Kind, Classify}` has two. `within` is the path before the tree.
fn paths_in_tree(tree: &str, within: &[String], paths: &mut Vec<CratePath>) {
    let mut rest = tree.trim_start();
    let mut path = within.to_vec();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            for branch in branches(group) {
                paths_in_tree(branch, &path, paths);
            }
            return;
        }
        let length = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        match &rest[..length] {
            "" | "self" => break,
            name => path.push(name.to_owned()),
        }
        match rest[length..].strip_prefix("::") {
            Some(next) => rest = next,
            None => break,
        }
    }
    paths.push(path);
}

/// The parts of a group, which begins after its `{`; what follows its `}` is left out.
fn branches(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(&group[begin..at]);
                begin = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

/// The code of a file without its comments and without the tests at its end.
fn code(source: &str) -> String {
    let source = source
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(source);
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that a file names after `crate::`, after `super::`, and in use lines from its own module on. `module` is the
/// file's own path.
fn paths_named_in(source: &str, module: &[String]) -> Vec<CratePath> {
    let code = code(source);
    let mut paths = Vec::new();
    for after in code.split("crate::").skip(1) {
        paths_in_tree(after, &[], &mut paths);
    }
    let mut rest = code.as_str();
    while let Some((before, after)) = rest.split_once("super::") {
        let begins = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let (mut up, mut path) = (1, after);
        while let Some(next) = path.strip_prefix("super::") {
            (up, path) = (up + 1, next);
        }
        if begins && up <= module.len() {
            paths_in_tree(path, &module[..module.len() - up], &mut paths);
        }
        rest = path;
    }
    for tree in own_uses(&code) {
        paths_in_tree(tree, module, &mut paths);
    }
    paths
}

/// The trees of the use lines that begin neither with `crate` nor with `super`: with a module of the file's own, or another crate.
fn own_uses(code: &str) -> impl Iterator<Item = &str> {
    let lines = code.split_inclusive('\n').scan(0, |at, line| {
        *at += line.len();
        Some((*at - line.len(), line))
    });
    let uses = lines.filter_map(move |(at, line)| {
        let visible = line.split_once("use ")?.0;
        (visible.is_empty() || visible.starts_with("pub")).then(|| &code[at + visible.len() + 4..])
    });
    uses.map(|tree| tree.strip_prefix("self::").unwrap_or(tree))
        .filter(|tree| !tree.starts_with("crate::") && !tree.starts_with("super::"))
}

/// The modules of a crate by their paths, with their sources. Modules of tests are left out.
fn modules(src: &Path) -> BTreeMap<CratePath, String> {
    let mut files = Vec::new();
    rust_files(src, &mut files);
    let mut modules = BTreeMap::new();
    for file in files {
        let names = file.strip_prefix(src).unwrap().with_extension("");
        let path: CratePath = names
            .iter()
            .map(|name| name.to_str().unwrap().to_owned())
            .collect();
        if path[0] != "lib"
            && path[0] != "main"
            && path[0] != "bin"
            && !path.iter().any(|name| name == "tests")
        {
            modules.insert(path, fs::read_to_string(&file).unwrap());
        }
    }
    assert!(modules.len() > 10, "{} has hardly any modules", src.display());
    modules
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

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn each_room_names_only_rooms_below_it() {
    let layer: BTreeMap<&str, usize> = (0..)
        .zip(LAYERS)
        .flat_map(|(n, rooms)| rooms.iter().map(move |room| (*room, n)))
        .collect();
    let modules = modules(&src());
    let rooms: BTreeSet<String> = modules.keys().filter_map(|module| room_of(module)).collect();
    let mut wrong = Vec::new();
    for (module, source) in &modules {
        let room = room_of(module).unwrap();
        if room == HALL {
            continue;
        }
        let Some(own) = layer.get(room.as_str()) else {
            wrong.push(format!("{room} is in no layer"));
            continue;
        };
        for path in paths_named_in(source, module) {
            let Some(named) = room_of(&path).filter(|named| rooms.contains(named) && *named != room) else {
                continue;
            };
            let fine = FRIENDS.contains(&(room.as_str(), named.as_str()))
                || layer.get(named.as_str()).is_some_and(|layer| layer < own);
            if !fine {
                wrong.push(format!("{} names {named}", module.join("::")));
            }
        }
    }
    for room in layer.keys().filter(|room| !rooms.contains(**room)) {
        wrong.push(format!("{room} is in a layer, but there is no such room"));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Which siblings name which, by the path of their parent: if `http::tls::verify` names `http::connect`, `tls` names
/// `connect` in `http`. What a module re-exports counts as the module that it comes from.
fn siblings(
    modules: &BTreeMap<CratePath, String>,
) -> BTreeMap<CratePath, BTreeMap<String, BTreeSet<String>>> {
    let named: BTreeMap<&CratePath, Vec<CratePath>> = modules
        .iter()
        .map(|(module, source)| (module, paths_named_in(source, module)))
        .collect();
    let is_module = |path: &[String]| modules.contains_key(path);
    let origin = |path: &CratePath| -> CratePath {
        let (Some(name), holder) = (path.last(), &path[..path.len().saturating_sub(1)]) else {
            return path.clone();
        };
        let exported = named.get(&holder.to_vec()).into_iter().flatten();
        let mut from_child = exported.filter(|other| other.starts_with(holder) && other.last() == Some(name));
        let deeper = from_child.find(|other| other.len() > path.len() && is_module(&other[..path.len()]));
        deeper.unwrap_or(path).clone()
    };
    let mut edges: BTreeMap<CratePath, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (module, paths) in &named {
        for path in paths.iter().map(origin) {
            let common = module.iter().zip(&path).take_while(|(a, b)| a == b).count();
            if common < module.len() && common < path.len() && is_module(&path[..=common]) {
                let of_parent = edges.entry(module[..common].to_vec()).or_default();
                let of_sibling = of_parent.entry(module[common].clone()).or_default();
                of_sibling.insert(path[common].clone());
            }
        }
    }
    edges
}

/// The names that lead back to themselves.
fn in_circles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<&str> {
    let reaches_itself = |start: &String| {
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(name) = open.pop() {
            for next in edges.get(name).into_iter().flatten() {
                if next == start {
                    return true;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    };
    edges
        .keys()
        .filter(|name| reaches_itself(name))
        .map(String::as_str)
        .collect()
}

#[test]
fn no_modules_of_one_room_name_each_other_in_a_circle() {
    let mut wrong = Vec::new();
    for (root, src) in [("vw", src()), ("vw-sim", src().join("../sim/src"))] {
        for (parent, edges) in siblings(&modules(&src)) {
            // `each_room_names_only_rooms_below_it` holds the rooms themselves.
            let are_rooms = root == "vw" && (parent.is_empty() || parent == [HALL]);
            if are_rooms {
                continue;
            }
            let room = format!("{root}::{}", parent.join("::"));
            let circles = in_circles(&edges);
            for name in &circles {
                let named = edges[*name]
                    .iter()
                    .filter(|other| circles.contains(&other.as_str()));
                let named: Vec<&str> = named.map(String::as_str).collect();
                wrong.push(format!("{room}: {name} names {}", named.join(", ")));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn path(text: &str) -> CratePath {
    text.split("::").map(str::to_owned).collect()
}

#[test]
fn paths_are_found_in_code_in_groups_and_after_super() {
    let named = |source: &str, module: &str| -> Vec<String> {
        let paths = paths_named_in(source, &path(module));
        paths.iter().map(|path| path.join("::")).collect()
    };
    let source = "use crate::{error::Kind, xml, systems::{vsphere::Session, candlepin}};\nfn f(x: crate::http::Error) {}";
    assert_eq!(
        named(source, "cli::text"),
        [
            "error::Kind",
            "xml",
            "systems::vsphere::Session",
            "systems::candlepin",
            "http::Error"
        ]
    );
    let source =
        "use super::Error;\nuse super::super::satellite5::{self, Fault};\npub use part::Part;\n// crate::cli";
    assert_eq!(
        named(source, "systems::vsphere::retry"),
        [
            "systems::vsphere::Error",
            "systems::satellite5",
            "systems::satellite5::Fault",
            "systems::vsphere::retry::part::Part",
        ]
    );
    let source = "use super::x;\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\n";
    assert_eq!(named(source, "a::b"), ["a::x"]);
}

#[test]
fn circles_are_found_through_children_and_re_exports() {
    let circles = |files: &[(&str, &str)]| {
        let modules = files
            .iter()
            .map(|(module, source)| (path(module), (*source).to_owned()));
        let edges = siblings(&modules.collect());
        let found = edges.values().flat_map(|edges| in_circles(edges));
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    let parent = ("a", "mod b;\nmod c;\npub use b::Item;\nuse c::other;");
    let child = ("a::c::d", "use crate::a::b::Item;");
    assert_eq!(
        circles(&[parent, ("a::b", "use super::c;"), ("a::c", ""), child]),
        ["b", "c"]
    );
    let through_parent = ("a::c", "use super::Item;");
    assert_eq!(
        circles(&[parent, ("a::b", "use super::c::x;"), through_parent]),
        ["b", "c"]
    );
    assert_eq!(
        circles(&[parent, ("a::b", "use super::c::x;"), ("a::c", "use super::Own;")]),
        [""; 0]
    );
}
