//! Whether both ends of every section can be reached: `-s`.

use std::fs;

use serde_json::{Value, json};

use super::Machine;

fn machine() -> Machine {
    let machine = Machine::new();
    let (user, password) = machine.simulation.account();
    let server = machine.simulation.vcenter().url();
    let esx = format!("type=esx\nserver={server}\nusername={user}\nowner=sim\n");
    machine.configure(&format!(
        "[good]\n{esx}password={password}\n@\n[bad]\n{esx}password=wrong\n@\n"
    ));
    machine
}

#[test]
fn virt_whos_json_says_what_is_up_and_what_was() {
    let machine = machine();
    let json = |args: &[&str]| {
        let outcome = machine.vw_run(args).run();
        assert_eq!(outcome.stderr, "");
        let json: Value = serde_json::from_str(&outcome.stdout).unwrap();
        (outcome.status, json["configurations"].clone(), outcome.stdout)
    };
    let (status, configurations, text) = json(&["-s", "-j"]);
    assert_eq!(status, 77);
    assert!(
        text.starts_with("{\n    \"configurations\": [\n        {\n            "),
        "{text}"
    );
    assert_eq!(configurations[0]["name"], "good");
    assert_eq!(
        configurations[0]["source"],
        json!({"connection": machine.simulation.vcenter().url(), "status": "success",
            "last_successful_retrieve": null, "hypervisors": null, "guests": null})
    );
    let bad = &configurations[1]["source"];
    assert_eq!(bad["status"], "failure");
    assert!(
        bad["message"]
            .as_str()
            .unwrap()
            .contains("wrong user name or password"),
        "{bad}"
    );
    assert_eq!(machine.simulation.vcenter().open().sessions, 0);

    assert_eq!(machine.vw_run(&["-o", "-n", "good"]).run().status, 0);
    let (status, configurations, _) = json(&["-s", "-j", "-n", "good"]);
    assert_eq!(status, 0);
    let [source, destination] = [&configurations[0]["source"], &configurations[0]["destination"]];
    assert_eq!(
        (&source["hypervisors"], &source["guests"]),
        (&json!(2), &json!(4))
    );
    let sent = destination["last_successful_send"].as_str().unwrap();
    assert!(
        sent.ends_with(" UTC") && sent.len() == "2020-02-28 07:25:25 UTC".len(),
        "{sent}"
    );
    assert_eq!(destination["connection"], machine.simulation.candlepin_url());
    assert_eq!(destination["last_successful_send_job_status"], "finished");
}

#[test]
fn the_table_names_both_ends_and_why_one_is_down() {
    let machine = machine();
    let outcome = machine.vw_run(&["-s"]).run();
    assert_eq!((outcome.status, &*outcome.stderr), (77, ""));
    let lines: Vec<Vec<&str>> = outcome
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let starts = |line: usize, words: &[&str]| assert_eq!(&lines[line][..words.len()], words);
    starts(0, &["SECTION", "END", "STATUS", "LAST", "SUCCESS", "SERVER"]);
    starts(1, &["good", "source", "ok", "never"]);
    starts(2, &["good", "destination", "ok", "never"]);
    starts(3, &["bad", "source", "FAILED", "never"]);
    starts(4, &["bad", "destination", "ok", "never"]);
    starts(6, &["bad:", "vw-scan-esx:"]);
}

#[test]
fn the_table_fits_the_terminal_and_no_word_is_broken() {
    let machine = Machine::new();
    let (user, password) = machine.simulation.account();
    let server = machine.simulation.vcenter().url();
    let esx = format!("type=esx\nserver={server}\nusername={user}\nowner=sim\n");
    machine.configure(&format!(
        "[production-vcenter-1]\n{esx}password={password}\n@\n[bad]\n{esx}password=wrong\n@\n"
    ));
    assert_eq!(
        machine.vw_run(&["-o", "-n", "production-vcenter-1"]).run().status,
        0
    );
    let colourful = machine.vw_run(&["-s"]).run_on_terminal(80).stdout;
    assert!(colourful.starts_with("\u{1b}[1mSECTION"), "{colourful}");
    for columns in [80, 60] {
        let outcome = machine
            .vw_run(&["-s"])
            .env("NO_COLOR", "1")
            .run_on_terminal(columns);
        assert_eq!(outcome.status, 77, "{}", outcome.stdout);
        for line in outcome.stdout.lines() {
            let is_long_word = !line.trim().contains(' ');
            let is_short = line.chars().count() <= columns.into();
            assert!(is_short || is_long_word, "{columns}: {}", outcome.stdout);
        }
        let words: Vec<&str> = outcome.stdout.split_whitespace().collect();
        let count = |wanted: &str| words.iter().filter(|word| **word == wanted).count();
        for (word, times) in [
            ("destination", 2),
            ("source", 2),
            ("FAILED", 1),
            ("never", 2),
            ("UTC", 2),
        ] {
            assert_eq!(count(word), times, "{columns}, {word}: {}", outcome.stdout);
        }
        assert!(
            count("production-") >= 2 || count("production-vcenter-1") >= 2,
            "{}",
            outcome.stdout
        );
        let is_date = |word: &&&str| word.len() == 10 && word.starts_with("20") && word.contains('-');
        assert_eq!(words.iter().filter(is_date).count(), 2, "{}", outcome.stdout);
    }
}

#[test]
fn a_status_file_that_can_not_be_read_hides_no_login() {
    let machine = machine();
    fs::create_dir_all(machine.path("state/vw-run.json")).unwrap();
    let outcome = machine.vw_run(&["-s", "-n", "good"]).run();
    assert_eq!(outcome.status, 0);
    let warning = "vw-run.json is not a regular file; the earlier successes are unknown\n";
    assert!(outcome.stderr.ends_with(warning), "{}", outcome.stderr);
    assert_eq!(outcome.stdout.matches("never").count(), 2, "{}", outcome.stdout);
}
