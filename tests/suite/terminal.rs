//! What people see: nothing from a server or a file steers their terminal, and a pipe gets the bytes as they are.

use std::fs;

use serde_json::{Value, json};
use vw_sim::hostile;
use vw_sim::vcenter::{Host, Inventory, Vm};

use crate::support::{Outcome, Run};
use crate::vw_scan_esx_options::{PROGRAM as SCAN, Site};

const FILTER: &str = env!("CARGO_BIN_EXE_vw-filter");
const CANDLEPIN: &str = env!("CARGO_BIN_EXE_vw-report-candlepin");
const SATELLITE5: &str = env!("CARGO_BIN_EXE_vw-report-sat5");
const FAKE: &str = env!("CARGO_BIN_EXE_vw-scan-fake");
const CONFIG: &str = env!("CARGO_BIN_EXE_vw-config");
const ESCAPE: &str = env!("CARGO_BIN_EXE_vw-escape");

/// Characters that XML, JSON and configuration files may hold, and that a terminal must not get: DEL, CSI, the right-to-left
/// override, a line separator, an isolate.
const STEERING: &str = "\u{7f}\u{85}\u{9b}2J\u{202e}\u{2028}\u{2066}";

/// Fails if what was printed on a terminal steers it.
#[track_caller]
fn is_harmless(outcome: &Outcome) {
    let bad = |c: char| c.is_control() && c != '\n' || STEERING.contains(c) && !c.is_ascii_graphic();
    let found = outcome.stdout.chars().find(|c| bad(*c));
    assert_eq!(found, None, "{outcome:?}");
}

fn mapping() -> Value {
    json!({
        "hypervisors": [
            {"uuid": format!("a{STEERING}"), "name": format!("esx{STEERING}"), "guests": [],
             "facts": {"hypervisor.type": format!("type{STEERING}")}, "unknown": {format!("k{STEERING}"): STEERING}},
            {"uuid": "", "name": format!("empty{STEERING}"), "guests": []},
        ],
        "source": {"server": format!("vc{STEERING}")},
    })
}

#[test]
fn json_is_escaped_on_a_terminal_and_unchanged_in_a_pipe() {
    let input = mapping().to_string();
    let filter = |options: &[&str]| Run::new(FILTER).args(options).stdin(input.clone());
    for options in [&[][..], &["--compact"], &["--layout", "checkin"]] {
        let shown = filter(options).run_on_terminal(80);
        is_harmless(&shown);
        assert_eq!(shown.status, 0, "{shown:?}");
        assert!(
            shown.stdout.contains(r"\u007f\u0085\u009b2J\u202e\u2028\u2066"),
            "{shown:?}"
        );
        let document = shown.stdout.split_once('{').unwrap().1;
        let read: Value = serde_json::from_str(&format!("{{{document}")).unwrap();
        let piped = filter(options).run();
        assert_eq!(read, serde_json::from_str::<Value>(&piped.stdout).unwrap());
        assert!(piped.stdout.contains(STEERING), "{piped:?}");
        assert!(!piped.stderr.contains('\u{202e}'), "{piped:?}");
    }
}

#[test]
fn bodies_and_plans_on_a_terminal_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    for (program, options) in [(CANDLEPIN, &[][..]), (SATELLITE5, &["--state-dir", state])] {
        let run = || {
            let run = Run::new(program)
                .env("VW_CONFIG", "/dev/null")
                .args(["--dry-run"]);
            run.args(options).stdin(mapping().to_string())
        };
        let shown = run().run_on_terminal(80);
        is_harmless(&shown);
        assert!(run().run().stderr.contains("left out"), "{program}");
    }
}

#[test]
fn control_characters_from_a_server_are_escaped_on_a_terminal() {
    let mut inventory = Inventory::empty();
    let host = inventory.add_standalone(Host::new(&format!("esx{STEERING}")));
    let mut blank = Vm::new(&format!("blank{STEERING}"));
    blank.uuid = None;
    inventory.add_vm(host, blank);
    let site = Site::new(inventory);
    let on_terminal = |options: &[&str]| site.run(options).run_on_terminal(80);
    let scanned = on_terminal(&[]);
    assert_eq!(scanned.status, 0, "{scanned:?}");
    // The progress line, which is the command's own, comes before the document.
    let document = &scanned.stdout[scanned.stdout.find('{').unwrap()..];
    is_harmless(&Outcome {
        stdout: document.to_owned(),
        ..scanned.clone()
    });
    assert!(scanned.stdout.contains(r"esx\u007f"), "{scanned:?}");

    site.vcenter.server().misbehave(|_, request| {
        let text = String::from_utf8_lossy(&request.body);
        text.contains("<RetrieveServiceContent").then(|| {
            let answer = format!(
                "<Envelope><Body><RetrieveServiceContentResponse><returnval><rootFolder type=\"Folder\">group-d1</rootFolder>\
                 <propertyCollector type=\"PropertyCollector\">propertyCollector</propertyCollector>\
                 <viewManager type=\"ViewManager\">ViewManager</viewManager><about><fullName>Evil{STEERING}\nforged</fullName>\
                 <apiType>VirtualCenter</apiType><apiVersion>8.0.2.0</apiVersion></about>\
                 <sessionManager type=\"SessionManager\">SessionManager</sessionManager></returnval>\
                 </RetrieveServiceContentResponse></Body></Envelope>"
            );
            hostile::answer("text/xml", answer)
        })
    });
    let checked = on_terminal(&["--check"]);
    is_harmless(&checked);
    assert!(
        checked.stdout.starts_with("Evil") && checked.stdout.contains(" forged, API"),
        "{checked:?}"
    );
    let piped = site.run(&["--check"]).run().quiet_success();
    assert_eq!(piped.lines().count(), 1, "{piped:?}");
    assert!(!piped.contains('\u{9b}'), "{piped:?}");
}

#[test]
fn control_characters_in_a_configuration_are_escaped_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.conf");
    let text = format!(
        "[prod{STEERING}]\ntype=esx\nserver=vc{STEERING}\nusername=u{STEERING}\nodd{STEERING}=x\n[none]\ntype=fake\nfile=/nowhere{STEERING}\n"
    );
    fs::write(&file, text).unwrap();
    let run = |program: &str| Run::new(program).env("VW_CONFIG", file.to_str().unwrap());
    let name = format!("prod{STEERING}");
    for options in [&["list"][..], &["list", "--names"], &["show", &name], &["check"]] {
        for json in [&[][..], &["--json"]] {
            let shown = run(CONFIG).args(options).args(json).run_on_terminal(80);
            is_harmless(&shown);
            assert!(!shown.stdout.is_empty(), "{options:?}");
        }
    }
    let migrated = folder.path().join("sysconfig");
    fs::write(&migrated, "VIRTWHO_ESX=1\nVIRTWHO_ESX_OWNER=o\u{202e}\u{9b}x\n").unwrap();
    let migrate = || run(CONFIG).args(["migrate", migrated.to_str().unwrap()]);
    is_harmless(&migrate().run_on_terminal(80));
    assert!(migrate().run().stdout.contains("o\u{202e}\u{9b}x"));
    is_harmless(&run(FAKE).args(["-n", "none"]).run_on_terminal(80));
    is_harmless(
        &run(SCAN)
            .args(["-n", &format!("no{STEERING}")])
            .run_on_terminal(80),
    );
}

#[test]
fn vw_escape_writes_control_characters_to_a_terminal() {
    for words in [&["a|1B[2Jb"][..], &["a|1B[2Jb", "c"]] {
        let run = Run::new(ESCAPE).args(["--decode", "vmx-name"]).args(words);
        let decoded = run.run_on_terminal(80);
        assert_eq!(decoded.status, 0);
        assert!(decoded.stdout.starts_with("a\u{1b}[2Jb\n"), "{decoded:?}");
    }
}
