//! Prompts for passwords, on a real terminal.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use vw_sim::http::Fault;
use vw_sim::simulation::Simulation;
use vw_sim::vcenter::Inventory;

use crate::support::terminal::Terminal;
use crate::support::until;

const SECRET: &str = "sim-secret";

/// The simulated servers, and a configuration without any password.
struct Site {
    servers: Simulation,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let servers = Simulation::start(Inventory::new(2, 4), false).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let site = Site { servers, folder };
        let all = fs::read_to_string(site.servers.configuration()).unwrap();
        let lines = all.lines().filter(|line| !line.contains("password="));
        fs::write(site.configuration(), lines.collect::<Vec<_>>().join("\n")).unwrap();
        site
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("virt-who.conf")
    }

    /// Runs a script in which $SCAN, $FILTER, $CANDLEPIN, $SAT5 and $PASSWORD are commands.
    fn run(&self, script: &str) -> Option<Terminal> {
        let (configuration, authority) = (self.configuration(), self.servers.authority());
        let folder = self.folder.path().to_str().unwrap().to_owned();
        let variables = [
            ("VW_CONFIG", configuration.to_str().unwrap()),
            ("SSL_CERT_FILE", authority.to_str().unwrap()),
            ("SCAN", env!("CARGO_BIN_EXE_vw-scan-esx")),
            ("FILTER", env!("CARGO_BIN_EXE_vw-filter")),
            ("CANDLEPIN", env!("CARGO_BIN_EXE_vw-report-candlepin")),
            ("SAT5", env!("CARGO_BIN_EXE_vw-report-sat5")),
            ("PASSWORD", env!("CARGO_BIN_EXE_vw-password")),
            ("FOLDER", &folder),
        ];
        Terminal::run(script, &variables)
    }
}

#[test]
fn the_stages_of_a_pipeline_ask_one_after_the_other() {
    for (reporter, whose) in [
        ("$CANDLEPIN -n sim", "Password of sim at 127.0.0.1:"),
        (
            "$SAT5 -n sim-sat5 --state-dir $FOLDER/state",
            "Password of sim at 127.0.0.1:",
        ),
    ] {
        let site = Site::new();
        let script = format!("$SCAN -n sim | {reporter} >$FOLDER/result; echo status $?; read wait");
        let Some(terminal) = site.run(&script) else {
            return;
        };
        terminal.sees("Password of sim at 127.0.0.1", 1);
        assert!(!terminal.has_echo());
        terminal.types(&format!("{SECRET}\n"));
        // The second prompt appears only after the first was answered and the scan has succeeded.
        terminal.sees(whose, 1);
        terminal.sees("Password of", 2);
        assert!(!terminal.has_echo());
        assert!(site.servers.vcenter().calls().iter().any(|call| call == "Logout"));
        terminal.types(&format!("{SECRET}\n"));
        terminal.sees("status 0", 1);
        assert!(terminal.has_echo());
        terminal.types("\n");
        let (_, screen) = terminal.ended();
        assert!(!screen.contains(SECRET), "{screen}");
        let result = fs::read_to_string(site.folder.path().join("result")).unwrap();
        assert!(result.contains(r#""hypervisors":2"#), "{result}");
    }
}

#[test]
fn nobody_is_asked_for_a_password_if_nothing_is_sent() {
    let site = Site::new();
    let document = r#"{"hypervisors":[{"uuid":"h1","guests":[]}]}"#;
    fs::write(site.folder.path().join("document"), document).unwrap();
    let report = "$SAT5 -n sim-sat5 --state-dir $FOLDER/state <$FOLDER/document >$FOLDER/result";
    let script =
        format!("{report}; echo first $?; {report}; echo second $?; {report} --force; echo third $?");
    let Some(terminal) = site.run(&script) else {
        return;
    };
    terminal.sees("Password of", 1);
    terminal.types(&format!("{SECRET}\n"));
    terminal.sees("first 0", 1);
    terminal.sees("second 0", 1);
    terminal.sees("Password of", 2);
    assert!(
        fs::read_to_string(site.folder.path().join("result"))
            .unwrap()
            .is_empty()
    );
    terminal.types(&format!("{SECRET}\n"));
    terminal.sees("third 0", 1);
    terminal.ended();
    let satellite = site.servers.satellite5();
    assert_eq!(satellite.count("registration.virt_notify"), 2);
}

#[test]
fn commands_that_ask_at_once_take_turns() {
    let site = Site::new();
    let script =
        "{ $SCAN -n sim >$FOLDER/a; echo a $?; } & { $SCAN -n sim >$FOLDER/b; echo b $?; } & wait; read wait";
    let Some(terminal) = site.run(script) else {
        return;
    };
    terminal.sees("Password of", 1);
    // The other one waits for the lock.
    until(|| {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| {
            let mut words = line
                .split_whitespace()
                .skip_while(|word| *word != "WRITE")
                .skip(1);
            let waiter = words
                .next()
                .and_then(|id| fs::read_link(format!("/proc/{id}/exe")).ok());
            line.contains("->") && waiter.is_some_and(|program| program.ends_with("vw-scan-esx"))
        })
    });
    assert_eq!(terminal.screen().matches("Password of").count(), 1);
    terminal.types(&format!("{SECRET}\n"));
    terminal.sees("Password of", 2);
    assert!(!terminal.has_echo());
    terminal.types(&format!("{SECRET}\n"));
    terminal.sees("a 0", 1);
    terminal.sees("b 0", 1);
    assert!(terminal.has_echo());
    terminal.types("\n");
    let (_, screen) = terminal.ended();
    assert!(!screen.contains(SECRET), "{screen}");
}

#[test]
fn the_reporter_asks_for_no_password_if_the_scan_fails() {
    let site = Site::new();
    site.servers.vcenter().server().misbehave(|_, _| {
        Some(Fault::Answer(vw_sim::http::Response::new(
            404,
            "text/plain",
            "no",
        )))
    });
    for reporter in ["$CANDLEPIN -n sim", "$SAT5 -n sim-sat5 --state-dir $FOLDER/state"] {
        let script = format!(
            "$SCAN -n sim --password-file {} | {reporter}; echo status $?",
            site.password_file()
        );
        let Some(terminal) = site.run(&script) else {
            return;
        };
        let (_, screen) = terminal.ended();
        assert!(!screen.contains("Password of"), "{screen}");
        assert!(screen.contains("status 66"), "{screen}");
    }
}

#[test]
fn no_password_is_asked_for_a_document_that_is_refused() {
    let site = Site::new();
    let documents = [
        r#"{"hypervisors":[]}"#,
        r#"{"hypervisors":[{"uuid":"a","guests":[]}]}"#,
    ];
    let lists = ["", "| $FILTER --exclude-hosts a"];
    for reporter in ["$CANDLEPIN -n sim", "$SAT5 -n sim-sat5 --state-dir $FOLDER/state"] {
        for (document, filter) in documents.iter().zip(lists) {
            let script = format!("echo '{document}' {filter} | {reporter}; echo status $?");
            let Some(terminal) = site.run(&script) else {
                return;
            };
            let (_, screen) = terminal.ended();
            assert!(!screen.contains("Password of"), "{screen}");
            assert!(screen.contains("status 65"), "{screen}");
        }
    }
}

impl Site {
    fn password_file(&self) -> String {
        let file = self.folder.path().join("password");
        fs::write(&file, SECRET).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

/// The ways out of a prompt: what the user types or a signal, and the status.
const WAYS_OUT: [(&str, i32); 8] = [
    ("\x03", 130),
    ("\x1c", 131),
    ("\x04", 78),
    ("\n", 78),
    ("HUP", 129),
    ("INT", 130),
    ("QUIT", 131),
    ("TERM", 143),
];

#[test]
fn every_way_out_of_a_prompt_restores_the_terminal() {
    let site = Site::new();
    let mapping = site.folder.path().join("mapping");
    fs::write(&mapping, r#"{"hypervisors":[{"uuid":"h","guests":[]}]}"#).unwrap();
    for command in [
        "$SCAN -n sim",
        "$CANDLEPIN -n sim <$FOLDER/mapping",
        "$CANDLEPIN -n sim --check",
        "$SAT5 -n sim-sat5 --state-dir $FOLDER/state <$FOLDER/mapping",
        "$PASSWORD --key-file $FOLDER/key",
    ] {
        for (way, status) in WAYS_OUT {
            // The shell itself ignores signals from the terminal.
            let script = format!(
                "trap : INT QUIT; (trap - INT QUIT; echo $$ >$FOLDER/shell; exec sh -c 'echo $$ >$FOLDER/id; exec {command}'); \
                 echo status $?; read line; echo got=$line."
            );
            let Some(terminal) = site.run(&script) else {
                return;
            };
            terminal.sees("assword", 1);
            assert!(!terminal.has_echo());
            if way.len() > 1 {
                let id = fs::read_to_string(site.folder.path().join("id")).unwrap();
                let kill = std::process::Command::new("kill")
                    .args([&format!("-{way}"), id.trim()])
                    .status();
                assert!(kill.unwrap().success());
            } else {
                terminal.types(way);
            }
            let status = match (command.starts_with("$PASSWORD"), way) {
                (true, "\n") => 65,
                (true, "\x04") => 74,
                _ => status,
            };
            terminal.sees(&format!("status {status}"), 1);
            assert!(terminal.has_echo(), "{command} {way:?}");
            terminal.types("x\n");
            let (_, screen) = terminal.ended();
            assert!(screen.contains("got=x."), "{command} {way:?} {screen}");
        }
    }
    assert!(site.servers.vcenter().calls().is_empty());
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_the_command_goes_on() {
    let site = Site::new();
    let script = "set -m; $SCAN -n sim >$FOLDER/a; echo status $?; read line; fg >$FOLDER/job; echo status $?; read wait";
    let Some(terminal) = site.run(script) else {
        return;
    };
    terminal.sees("Password of", 1);
    terminal.types("half\x1a");
    // Stopped by SIGSTOP or SIGTSTP.
    terminal.sees("status 14", 1);
    assert!(terminal.has_echo());
    terminal.types("\n");
    terminal.sees("Password of", 2);
    assert!(!terminal.has_echo());
    terminal.types(&format!("{SECRET}\n"));
    terminal.sees("status 0", 1);
    assert!(terminal.has_echo());
    terminal.types("\n");
    let (_, screen) = terminal.ended();
    assert!(!screen.contains(SECRET) && !screen.contains("half"), "{screen}");
}

#[test]
fn a_stopped_prompt_does_not_keep_other_commands_from_asking() {
    let site = Site::new();
    let script = "set -m; $SCAN -n sim >$FOLDER/a; echo status $?; $SCAN -n sim >$FOLDER/b; echo second $?; \
                  fg >$FOLDER/job; echo third $?; read wait";
    let Some(terminal) = site.run(script) else {
        return;
    };
    terminal.sees("Password of", 1);
    terminal.types("\x1a");
    terminal.sees("status 14", 1);
    for (times, done) in [(2, "second 0"), (3, "third 0")] {
        terminal.sees("Password of", times);
        assert!(!terminal.has_echo());
        terminal.types(&format!("{SECRET}\n"));
        terminal.sees(done, 1);
    }
    assert!(terminal.has_echo());
    terminal.types("\n");
    terminal.ended();
}

#[test]
fn a_job_that_is_stopped_at_its_prompt_can_be_killed() {
    let site = Site::new();
    for reporter in ["", "| $CANDLEPIN -n sim"] {
        // As `kill %1` of bash does.
        let script = format!(
            "set -m; $SCAN -n sim {reporter} >$FOLDER/a; echo status $?; kill -TERM %1; kill -CONT %1; read line; \
             echo got=$line."
        );
        let Some(terminal) = site.run(&script) else {
            return;
        };
        terminal.sees("Password of", 1);
        terminal.types("\x1a");
        terminal.sees("status 14", 1);
        terminal.sees("vw-scan-esx: terminated", 1);
        assert!(terminal.has_echo());
        terminal.types("x\n");
        let (_, screen) = terminal.ended();
        assert!(screen.contains("got=x."), "{screen}");
        assert_eq!(screen.matches("Password of").count(), 1, "{screen}");
    }
}

#[test]
fn a_signal_ends_a_background_command_that_needs_the_terminal() {
    let site = Site::new();
    // timeout(1) starts the command as a separate job, which may not use the terminal, and sends it SIGTERM and SIGCONT.
    let Some(terminal) = site.run("timeout 1 $SCAN -n sim; echo status $?; read line; echo got=$line.")
    else {
        return;
    };
    terminal.sees("status 124", 1);
    assert!(terminal.has_echo());
    terminal.types("x\n");
    let (_, screen) = terminal.ended();
    assert!(
        screen.contains("vw-scan-esx: terminated") && !screen.contains("Password of"),
        "{screen}"
    );
    assert!(screen.contains("got=x."), "{screen}");
}

#[test]
fn a_terminal_that_hangs_up_leaves_no_session() {
    let site = Site::new();
    site.servers.vcenter().server().misbehave(|_, request| {
        let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
        wanted.then_some(Fault::Silence)
    });
    let password = site.password_file();
    let script = format!("$SCAN -n sim --password-file {password}; echo status $?");
    let Some(terminal) = site.run(&script) else {
        return;
    };
    until(|| site.servers.vcenter().open().sessions == 1);
    let mut shell = terminal.hang_up();
    until(|| site.servers.vcenter().open().sessions == 0);
    shell.wait().unwrap();
    assert!(site.servers.vcenter().calls().iter().any(|call| call == "Logout"));
}
