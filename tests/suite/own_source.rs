//! The script in vw(7) that makes a source of a site's own.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Run, write_program};

/// The script as a reader of the page sees it.
fn script() -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/vw.7")).unwrap();
    let begin = page.find("#!/bin/sh\n# vw-scan-export").unwrap();
    let (script, _) = page[begin..].split_once(".Ed\n").unwrap();
    script.replace("\\e", "\\")
}

#[test]
fn the_script_in_vw_7_is_a_source() {
    let script = script();
    assert!(script.lines().count() <= 12, "{script}");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(file("bin")).unwrap();
    let own = script.replace("/var/lib/export", folder.path().to_str().unwrap());
    write_program(file("bin/vw-scan-export").as_ref(), &own);
    fs::write(file("lab.txt"), "h1 2 g1 1\nh2 4 g2 5\nh1 2 g3 1\n").unwrap();
    let config = file("virt-who.conf");
    fs::write(&config, "[lab]\ntype=export\nowner=o\n").unwrap();
    let path = format!("{}:{}", file("bin"), std::env::var("PATH").unwrap());
    let run = |program: &str, options: &[&str]| Run::new(program).env("PATH", &path).args(options).run();
    let printed = run(env!("CARGO_BIN_EXE_vw-run"), &["-c", &config, "-p"]);
    assert_eq!(printed.status, 0, "{printed:?}");
    let document: Value = serde_json::from_str(&printed.stdout).unwrap();
    let expected = json!([
        {"uuid": "h1", "guests": [{"guestId": "g1", "state": 1}, {"guestId": "g3", "state": 1}],
         "facts": {"cpu.cpu_socket(s)": "2"}},
        {"uuid": "h2", "guests": [{"guestId": "g2", "state": 5}], "facts": {"cpu.cpu_socket(s)": "4"}},
    ]);
    assert_eq!(document["hypervisors"], expected);
    let checked = run(env!("CARGO_BIN_EXE_vw-config"), &["check", "-c", &config]);
    assert_eq!(checked.status, 0, "{checked:?}");
    // Without a file the script prints nothing, and so does its pipeline.
    fs::remove_file(file("lab.txt")).unwrap();
    let failed = run(env!("CARGO_BIN_EXE_vw-run"), &["-c", &config, "-p"]);
    assert!(failed.status != 0 && failed.stdout.is_empty(), "{failed:?}");
}
