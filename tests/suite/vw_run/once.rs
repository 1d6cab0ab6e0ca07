//! Every section once, or only looked at: `-o`, `-p`, `--dry-run`.

use std::fs;
use std::process::{Command, Stdio};

use super::{Machine, assert_states, mapping, results};
use crate::support::Run;

/// Waits for a file, and gives up after a minute.
const WAIT: &str =
    "wait_for() { n=0; until [ -e $1 ]; do sleep 0.02; n=$((n+1)); [ $n -lt 3000 ] || exit 70; done; }";

#[test]
fn a_broken_section_does_not_stop_the_others_which_run_side_by_side() {
    let machine = Machine::new();
    // Each waits for the other: one after the other they would wait for ever.
    machine.scan("slow", &format!("{WAIT}\n>slow; wait_for fine"));
    machine.scan("fine", &format!("{WAIT}\n>fine; wait_for slow"));
    let broken =
        "echo vw-scan-broken: warning: odd >&2; echo vw-scan-broken: vc: no route to host >&2; exit 75";
    machine.script("vw-scan-broken", broken);
    machine.sections(&["broken", "slow", "fine"]);
    let outcome = machine.once();
    assert_eq!(outcome.status, 75, "{outcome:?}");
    assert_states(
        &outcome.stdout,
        &[("broken", "failed"), ("fine", "finished"), ("slow", "finished")],
    );
    // The true cause, and nothing about stages that would have had no input.
    assert_eq!(
        outcome.stderr,
        "vw-run: warning: [broken] vw-scan-broken: odd\nvw-run: [broken] vw-scan-broken: vc: no route to host\n"
    );
    let failed = &results(&outcome.stdout)[0];
    assert_eq!(failed["error"], "vw-scan-broken: vc: no route to host");
    assert_eq!(failed["server"], machine.simulation.candlepin_url());
    assert_eq!(
        (&failed["owner"], &failed["hypervisors"]),
        (&"sim".into(), &0.into())
    );
    let stored = machine.simulation.candlepin().hypervisors("sim");
    assert_eq!(stored.keys().collect::<Vec<_>>(), ["fine", "slow"]);
}

#[test]
fn a_failed_scan_sends_nothing_not_even_a_heartbeat() {
    let machine = Machine::new();
    machine.script("vw-scan-cut", "echo '{\"hypervisors\":['; exit 75");
    machine.script("vw-scan-mute", "exit 0");
    machine.script(
        "vw-scan-liar",
        "echo 'vw-scan-liar: refused' >&2; echo '{\"hypervisors\":[]}'; exit 77",
    );
    machine.sections(&["cut", "mute", "liar"]);
    let outcome = machine.once();
    assert_eq!(outcome.status, 77, "{outcome:?}");
    assert_eq!(machine.simulation.candlepin().request_count(), 0);
    let errors: Vec<_> = results(&outcome.stdout)
        .into_iter()
        .map(|line| line["error"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        errors,
        [
            "vw-scan-cut: exit status 75",
            "vw-scan-liar: refused",
            "vw-run: vw-scan-mute ended with status 0, but printed nothing"
        ]
    );
}

#[test]
fn a_scan_that_prints_no_whole_mapping_has_failed_whatever_its_status() {
    let machine = Machine::new();
    let whole = mapping("a");
    let scans = [
        ("cut", whole[..20].to_owned(), "before a document was complete"),
        (
            "garbage",
            "Traceback: no module".to_owned(),
            "the input is not JSON",
        ),
        ("more", format!("{whole} and more"), "the input is not JSON"),
        ("other", "{\"hosts\":[]}".to_owned(), "the input is not a mapping"),
    ];
    for (kind, prints, _) in &scans {
        machine.script(&format!("vw-scan-{kind}"), &format!("printf '%s' '{prints}'"));
    }
    machine.sections(&scans.each_ref().map(|(kind, ..)| *kind));
    let outcome = machine.vw_run(&["-o", "--metrics", "m.prom"]).run();
    assert_eq!(outcome.status, 65, "{outcome:?}");
    assert_eq!(machine.simulation.candlepin().request_count(), 0);
    let mut lines = results(&outcome.stdout);
    lines.sort_by_key(|line| line["section"].to_string());
    let status: serde_json::Value = serde_json::from_str(&machine.read("state/vw-run.json")).unwrap();
    for ((kind, _, reason), line) in scans.iter().zip(&lines) {
        let error = line["error"].as_str().unwrap();
        let begin = format!("vw-run: vw-scan-{kind} printed no whole mapping: ");
        assert!(error.starts_with(&begin) && error.contains(reason), "{error}");
        assert!(
            error.ends_with("; vw-run --dry-run says how to run it alone"),
            "{error}"
        );
        // It may be anything, also a secret.
        assert!(!outcome.stdout.contains("Traceback") && !outcome.stderr.contains("Traceback"));
        assert_eq!(line["state"], "failed");
        let source = &status["sections"][kind]["source"];
        assert!(source["last_successful_retrieve"].is_null(), "{status}");
    }
    assert_eq!(
        machine.vw_run(&["-p"]).run().stdout,
        "",
        "nothing is printed either"
    );
    assert!(
        !machine.read("m.prom").contains("vw_last_scan_timestamp_seconds{"),
        "{}",
        machine.read("m.prom")
    );
}

#[test]
fn a_watch_that_prints_no_mapping_has_failed() {
    let machine = Machine::new();
    machine.script("vw-scan-other", "echo '{\"hosts\":[]}'; exec sleep 1000");
    machine.sections(&["other"]);
    let mut service = machine.service(&["--watch"]);
    let result = service.result();
    assert_eq!(result["state"], "failed");
    let error = result["error"].as_str().unwrap();
    assert!(
        error.starts_with("vw-run: vw-scan-other printed no whole mapping: "),
        "{error}"
    );
    assert_eq!(service.end(), Some(143));
}

#[test]
fn a_reporter_without_a_result_has_failed_whatever_its_status() {
    let machine = Machine::new();
    let program = machine.with_reporter("cat >/dev/null; echo nonsense");
    machine.scan("a", "");
    machine.sections(&["a"]);
    let outcome = machine.vw_run_at(&program, &["-o"]).run();
    assert_eq!(outcome.status, 76, "{outcome:?}");
    let error = "vw-run: vw-report-candlepin ended with status 0, but printed no result";
    assert_eq!(results(&outcome.stdout)[0]["error"], error);
}

#[test]
fn a_section_without_a_command_is_named_and_the_others_go_on() {
    let machine = Machine::new();
    machine.scan("fine", "");
    machine.sections(&["fine", "hyperv"]);
    let outcome = machine.once();
    assert_eq!(outcome.status, 78);
    assert_states(&outcome.stdout, &[("fine", "finished"), ("hyperv", "failed")]);
    let words = "[hyperv] type: is 'hyperv', and there is no command vw-scan-hyperv beside vw-run or in PATH";
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1);
    machine.configure("");
    machine.once().failed(78, "there is no section in ");
    machine.sections(&["fine"]);
    machine
        .vw_run(&["-o", "-n", "fien"])
        .run()
        .failed(78, "there is no section [fien]");
}

#[test]
fn sections_with_one_source_are_scanned_once_and_filtered_each_by_itself() {
    let machine = Machine::new();
    let two =
        r#"{"hypervisors":[{"uuid":"a","guests":[]},{"uuid":"b","guests":[]}],"source":{"section":"one"}}"#;
    machine.script("vw-scan-two", &format!("echo scan >>scans; echo '{two}'"));
    machine.configure(
        "[one]\ntype=two\nowner=sim\nfilter_hosts=a\n@\n[two]\ntype=two\nowner=sim\nexclude_hosts=a\n@\n\
         [three]\ntype=two\nserver=x\nowner=sim\n@\n",
    );
    for state in ["finished", "unchanged"] {
        let outcome = machine.once();
        assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
        assert_states(
            &outcome.stdout,
            &[("one", state), ("three", state), ("two", state)],
        );
        let hypervisors: Vec<_> = results(&outcome.stdout)
            .into_iter()
            .map(|line| line["hypervisors"].clone())
            .collect();
        assert_eq!(hypervisors, [1, 2, 1]);
    }
    assert_eq!(
        machine.read("scans").lines().count(),
        4,
        "two sources, two rounds"
    );
}

#[test]
fn reports_to_one_owner_are_sent_one_after_the_other() {
    let machine = Machine::new();
    let program = machine.with_reporter(
        "cat >/dev/null; mkdir one || exit 70; sleep 0.05; rmdir one; echo '{\"state\":\"finished\"}'",
    );
    let kinds = ["a", "b", "c", "d"];
    kinds.iter().for_each(|kind| machine.scan(kind, ""));
    machine.sections(&kinds);
    let outcome = machine.vw_run_at(&program, &["-o"]).run();
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
    // Other owners need not wait: all must be there at the same time.
    let all = format!(
        "{WAIT}\ncat >/dev/null; >here-$$; while [ $(ls here-* | wc -l) -lt 4 ]; do sleep 0.02; done; echo '{{}}'"
    );
    machine.script("vw-report-candlepin", &all);
    let section = |kind: &&str| format!("[{kind}]\ntype={kind}\nowner={kind}\n@\n");
    machine.configure(&kinds.iter().map(section).collect::<String>());
    let outcome = machine.vw_run_at(&program, &["-o"]).run();
    assert_eq!(
        (outcome.status, outcome.stdout.lines().count()),
        (0, 4),
        "{outcome:?}"
    );
}

#[test]
fn what_all_stages_warn_of_is_said_once() {
    let machine = Machine::new();
    fs::write(machine.path("m.json"), mapping("a")).unwrap();
    machine.configure("[a]\ntype=fake\nfile=m.json\nowner=sim\ncacert=\n@\n");
    let outcome = machine.once();
    assert_eq!(outcome.status, 0);
    let [line] = outcome.stderr.lines().collect::<Vec<_>>()[..] else {
        panic!("{}", outcome.stderr);
    };
    assert!(
        line.starts_with("vw-run: warning: [a] vw-scan-fake: ") && line.contains("cacert: is empty"),
        "{line}"
    );
}

#[test]
fn a_hundred_sections_are_reported() {
    let machine = Machine::new();
    let (user, password) = machine.simulation.account();
    let satellite = format!(
        "sat_server={}\nsat_username={user}\nsat_password={password}\n",
        machine.simulation.satellite5_url()
    );
    let mut text = String::new();
    for n in 0..100 {
        let file = machine.path(&format!("{n}.json"));
        fs::write(&file, mapping(&format!("host-{n}"))).unwrap();
        text += &format!("[s{n}]\ntype=fake\nfile={}\n", file.display());
        // Candlepin takes one report of an owner at a time, each with a job to wait for.
        text += match n % 10 {
            0 => "owner=sim\n@\n",
            _ => &satellite,
        };
    }
    machine.configure(&text);
    let outcome = machine.vw_run(&["-o", "-q", "--jobs", "8"]).run();
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
    assert_eq!(outcome.stdout.lines().count(), 100);
    assert_eq!(machine.simulation.candlepin().hypervisors("sim").len(), 10);
    assert_eq!(machine.simulation.satellite5().systems().len(), 90);
}

#[test]
fn the_pipelines_can_be_pasted_into_a_shell() {
    let machine = Machine::new();
    machine.scan("fine", "");
    machine.scan("it's odd", "");
    machine.configure("[it's odd]\ntype=fine\nowner=sim\n@\n[local]\ntype=libvirt\nowner=sim\n@\n");
    machine.script("vw-scan-libvirt", "exit 70");
    let shown = machine.vw_run(&["--dry-run"]).run().quiet_success();
    let pipelines: Vec<&str> = shown.lines().collect();
    assert!(
        pipelines[1].contains("vw-report-candlepin -n local --state-dir ")
            && pipelines[1].ends_with(" --local")
    );
    assert_eq!(machine.simulation.candlepin().request_count(), 0);
    let output = Command::new("/bin/sh")
        .args(["-c", pipelines[0]])
        .current_dir(machine.folder.path())
        .env("PATH", format!("{}:/usr/bin:/bin", machine.path("bin").display()))
        .env("VW_CONFIG", machine.path("virt-who.conf"))
        .output()
        .unwrap();
    assert_states(
        &String::from_utf8(output.stdout).unwrap(),
        &[("it's odd", "finished")],
    );
    machine.sections(&["fine", "hyperv"]);
    let outcome = machine.vw_run(&["--dry-run"]).run();
    assert_eq!((outcome.status, &*outcome.stderr), (78, ""));
    assert!(outcome.stdout.contains("\n# [hyperv] "), "{}", outcome.stdout);
}

#[test]
fn the_mappings_are_printed_in_the_order_of_the_sections() {
    let machine = Machine::new();
    machine.scan("b", &format!("{WAIT}\nwait_for a-printed"));
    machine.scan("a", ">a-printed");
    machine.script("vw-scan-c", "echo vw-scan-c: down >&2; exit 75");
    machine.sections(&["b", "c", "a"]);
    let outcome = machine.vw_run(&["-p"]).run();
    let ids = |text: &str| {
        let documents = text.lines().map(|line| serde_json::from_str(line).unwrap());
        documents
            .map(|document: serde_json::Value| {
                document["hypervisors"][0]["uuid"].as_str().unwrap().to_owned()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&outcome.stdout), ["b", "a"]);
    assert_eq!(
        (outcome.status, &*outcome.stderr),
        (75, "vw-run: [c] vw-scan-c: down\n")
    );
    assert_eq!(machine.simulation.candlepin().request_count(), 0);
    // [global] says the same as the options.
    machine.configure("[global]\nprint_=yes\n[a]\ntype=a\nowner=sim\n@\n");
    assert_eq!(ids(&machine.vw_run(&[]).run().quiet_success()), ["a"]);
    machine.configure("[global]\noneshot=on\ninterval=5\n[a]\ntype=a\nowner=sim\n@\n");
    let outcome = machine.vw_run(&[]).run();
    assert_states(&outcome.stdout, &[("a", "finished")]);
    let words =
        "virt-who.conf:3: [global] interval: 5 s is too short, the least is 60 s; the interval is 3600 s";
    assert!(
        outcome.stderr.contains(words) && outcome.status == 0,
        "{outcome:?}"
    );
}

#[test]
fn the_variables_are_a_section_beside_the_others() {
    let machine = Machine::new();
    machine.scan("fine", "");
    machine.sections(&["fine"]);
    let (user, password) = machine.simulation.account();
    let run = |args: &[&str]| {
        machine
            .vw_run(args)
            .env("VIRTWHO_ESX", "1")
            .env("VIRTWHO_ESX_SERVER", &machine.simulation.vcenter().url())
            .env("VIRTWHO_ESX_USERNAME", user)
            .env("VIRTWHO_ESX_PASSWORD", password)
            .env("VIRTWHO_SATELLITE5", "1")
            .env("VIRTWHO_SATELLITE_SERVER", &machine.simulation.satellite5_url())
            .env("VIRTWHO_SATELLITE_USERNAME", user)
            .env("VIRTWHO_SATELLITE_PASSWORD", password)
            .run()
    };
    let outcome = run(&["-o", "-q"]);
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
    assert_states(&outcome.stdout, &[("fine", "finished"), ("-", "finished")]);
    assert_eq!(machine.simulation.satellite5().systems().len(), 2);
    let outcome = run(&["-o", "-q", "-n", "fine"]);
    assert_states(&outcome.stdout, &[("fine", "unchanged")]);
}

#[test]
fn the_work_is_finished_if_nobody_reads_the_results() {
    let machine = Machine::new();
    ["a", "b", "c"].iter().for_each(|kind| machine.scan(kind, ""));
    machine.script("vw-scan-c", "exit 75");
    machine.sections(&["a", "b", "c"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = machine.vw_run(&["-o"]).run_with_stdout(writer);
    assert_eq!(outcome.status, 75, "{outcome:?}");
    assert_eq!(machine.simulation.candlepin().hypervisors("sim").len(), 2);
}

#[test]
fn a_full_disk_is_an_error_that_stops_no_report() {
    let machine = Machine::new();
    machine.scan("fine", "");
    machine.sections(&["fine"]);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let outcome = machine.vw_run(&["-o"]).run_with_stdout(Stdio::from(full));
    assert_eq!(outcome.status, 74);
    assert!(
        outcome.stderr.contains("writing to stdout: No space left"),
        "{}",
        outcome.stderr
    );
    assert_eq!(machine.simulation.candlepin().hypervisors("sim").len(), 1);
}

#[test]
fn a_password_is_never_asked_for() {
    let machine = Machine::new();
    let server = machine.simulation.vcenter().url();
    machine.configure(&format!(
        "[a]\ntype=esx\nserver={server}\nusername=u\nowner=sim\n@\n"
    ));
    // On a terminal the scan alone would ask, and wait.
    let outcome = machine.vw_run(&["-o"]).run_on_terminal(200);
    assert_eq!(outcome.status, 78);
    assert!(
        outcome.stdout.contains("vw-run does not ask"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stdout.contains(" a: FAILED, 0 hypervisors"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_signal_ends_the_scans_which_may_clean_up() {
    let machine = Machine::new();
    let body = "trap 'echo bye >>bye; exit 143' TERM; >begun; sleep 1000 & wait";
    machine.script("vw-scan-slow", body);
    machine.sections(&["slow"]);
    let mut service = machine.service(&["-o"]);
    crate::support::until(|| machine.has("begun"));
    assert_eq!(service.end(), Some(143));
    assert_eq!(machine.read("bye"), "bye\n");
    assert_eq!(machine.read("stderr"), "vw-run: terminated\n");
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let run = |args: &[&str]| Run::new(env!("CARGO_BIN_EXE_vw-run")).args(args).run();
    for args in [
        &["-o", "--watch"][..],
        &["-o", "-i", "60"],
        &["-p", "-s"],
        &["--jobs", "0"],
    ] {
        assert_eq!(run(args).status, 64, "{args:?}");
    }
}

#[test]
fn a_section_may_have_a_name_like_an_option() {
    let machine = Machine::new();
    machine.scan("a", "");
    machine.configure("[-o]\ntype=a\nowner=sim\n@\n");
    let outcome = machine.vw_run(&["-o", "-n", "-o"]).run();
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
    assert_states(&outcome.stdout, &[("-o", "finished")]);
}

#[test]
fn a_scan_that_can_not_write_its_document_is_told_from_a_lack_of_space_elsewhere() {
    let machine = Machine::new();
    machine.script(
        "vw-scan-a",
        "echo vw-scan-a: writing to stdout: No space left on device >&2; exit 74",
    );
    machine.sections(&["a"]);
    let outcome = machine.once();
    assert_eq!(outcome.status, 74);
    assert!(
        outcome
            .stderr
            .contains("[a] the scan prints to a temporary file in /"),
        "{outcome:?}"
    );
}
