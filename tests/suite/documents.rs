//! Documents that several people extend at once: what a merge easily breaks.

use std::fs;

use crate::man::root;

#[test]
fn the_changelog_has_the_headings_of_keep_a_changelog_once_for_each_version() {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let mut versions = text.split("\n## ").skip(1);
    assert!(versions.clone().next().unwrap().starts_with("[Unreleased]\n"));
    let wrong: Vec<&str> = versions
        .by_ref()
        .filter(|version| {
            let mut order = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"].iter();
            let headings: Vec<&str> = version
                .lines()
                .filter_map(|line| line.strip_prefix("### "))
                .collect();
            !headings.iter().all(|heading| order.any(|known| known == heading))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "unknown or repeated headings, or another order: {wrong:?}"
    );
    let mut lines: Vec<&str> = text.lines().filter(|line| line.starts_with("- ")).collect();
    let all = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), all, "a line is in CHANGELOG.md twice");
}

#[test]
fn each_page_refers_to_others_once_in_the_order_of_sections_and_names() {
    for entry in fs::read_dir(root().join("man")).unwrap() {
        let path = entry.unwrap().path();
        let page = fs::read_to_string(&path).unwrap();
        let references = page
            .lines()
            .skip_while(|line| *line != ".Sh SEE ALSO")
            .skip(1)
            .take_while(|line| !line.starts_with(".Sh "))
            .filter_map(|line| line.strip_prefix(".Xr "));
        let listed: Vec<(&str, &str)> = references
            .map(|reference| {
                let (name, section) = reference.trim_end_matches(" ,").split_once(' ').unwrap();
                (section, name)
            })
            .collect();
        assert!(!listed.is_empty(), "{}", path.display());
        assert!(
            listed.is_sorted_by(|one, next| one < next),
            "{}: {listed:?}",
            path.display()
        );
    }
}
