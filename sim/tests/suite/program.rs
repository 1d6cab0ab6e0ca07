//! The program vw-sim.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::client::Client;

fn vw_sim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vw-sim"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = vw_sim(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_command_finds_configuration_and_authority() {
    let script = "ls -l \"$VW_CONFIG\"; cat \"$VW_CONFIG\" \"$SSL_CERT_FILE\"; echo \"$VW_CONFIG\"; exit 7";
    let (status, out, err) = run(&["--hosts", "1", "--vms", "1", "--", "sh", "-c", script]);
    assert_eq!((status, err.as_str()), (Some(7), ""));
    assert!(out.starts_with("-rw------- "), "{out}");
    for line in [
        "[sim]",
        "[sim-sat5]",
        "[sim-ahv]",
        "[sim-prism]",
        "[sim-rhevm]",
        "type=esx",
        "type=ahv",
        "prism_central=true",
        "rhsm_prefix=/candlepin",
        "-----BEGIN CERTIFICATE-----",
    ] {
        assert!(out.lines().any(|l| l == line), "{line} in {out}");
    }
    let file = out.lines().last().unwrap();
    assert!(!Path::new(file).parent().unwrap().exists());
}

#[test]
fn a_command_finds_the_programs_beside_vw_sim() {
    let folder = Path::new(env!("CARGO_BIN_EXE_vw-sim")).parent().unwrap();
    let Output { stdout, .. } = vw_sim(&["--", "sh", "-c", "echo \"$PATH\""])
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    let path = String::from_utf8(stdout).unwrap();
    assert_eq!(path.trim_end(), format!("{}:/usr/bin:/bin", folder.display()));
    // vw-sim itself, by its name alone, which no other folder of PATH has.
    let inner = vw_sim(&["--", "vw-sim", "--version"])
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap();
    assert!(inner.status.success(), "{inner:?}");
    assert!(
        String::from_utf8_lossy(&inner.stdout).starts_with("vw-sim "),
        "{inner:?}"
    );
    let bare = vw_sim(&["--", "vw-sim", "--version"])
        .env_remove("PATH")
        .output()
        .unwrap();
    assert!(bare.status.success(), "{bare:?}");
}

#[test]
fn without_a_command_it_serves_until_interrupted() {
    let mut child = vw_sim(&["--plain"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines: Vec<String> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .take_while(|line| !line.starts_with("export SSL_CERT_FILE="))
        .collect();
    let config = lines
        .iter()
        .find_map(|l| l.strip_prefix("export VW_CONFIG='"))
        .unwrap()
        .trim_end_matches('\'');
    let vcenter = lines[0].rsplit(' ').next().unwrap().trim_end_matches("/sdk");
    assert!(
        fs::read_to_string(config)
            .unwrap()
            .contains(&format!("server={vcenter}\n"))
    );
    let versions = Client::plain(vcenter).send("GET", "/sdk/vimServiceVersions.xml", "", b"");
    assert_eq!(versions.status, 200);
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!Path::new(config).exists());
}

#[test]
fn sigterm_reaches_the_command() {
    let script = "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    let mut child = vw_sim(&["--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(lines.next().unwrap().unwrap(), "caught");
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn wrong_options_are_one_line() {
    let cases: [(&[&str], i32); 9] = [
        (&["--hosts", "many"], 64),
        (&["--unknown"], 64),
        (&["--sat5", "auth.login"], 64),
        (&["--sat5", "auth.logon:1=lose"], 64),
        (&["--sat5", "auth.login:0=lose"], 64),
        (&["--sat5", "auth.login:1=sulk"], 64),
        (&["--hosts", "0"], 64),
        (&["--", "/no/such/program"], 127),
        (&["--", "/"], 126),
    ];
    for (arguments, expected) in cases {
        let (status, out, err) = run(arguments);
        assert_eq!((status, out.as_str()), (Some(expected), ""), "{arguments:?}");
        assert!(err.starts_with("vw-sim: ") && err.lines().count() == 1, "{err}");
        assert!(!err.contains("os error"), "{err}");
    }
    let (status, out, _) = run(&["--help"]);
    assert_eq!(status, Some(0));
    assert!(out.contains("Examples:"));
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
}
