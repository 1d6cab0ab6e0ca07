//! What kubectl, the server and the user may do wrong.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use super::{recorded, small};
use crate::support::kubectl::{Kubectl, SECRETS, node};
use crate::support::{at_once, ended, signals, skipped, until, with_longer_times, with_time};

/// A call of kubectl that failed, as it was recorded.
struct Failure {
    call: String,
    stdout: String,
    stderr: String,
    status: i32,
}

/// The recorded failures. Of a long stdout or stderr only the beginning was recorded.
fn failures() -> Vec<Failure> {
    let text = recorded("kubectl-errors.txt");
    let calls = text.split("$ kubectl ").skip(1).map(|call| {
        let (head, stderr) = call.split_once("stderr:\n").unwrap_or((call, ""));
        let mut lines = head.lines();
        let call = lines.next().unwrap().to_owned();
        let status = lines
            .next()
            .unwrap()
            .strip_prefix("rc=")
            .unwrap()
            .parse()
            .unwrap();
        let stdout: Vec<&str> = lines.skip(1).collect();
        Failure {
            call,
            stdout: stdout.join("\n"),
            stderr: stderr.to_owned(),
            status,
        }
    });
    calls.filter(|call| call.status != 0).collect()
}

/// What a message says, and the exit status that it should have.
const STATUSES: [(&str, i32); 12] = [
    ("(BadRequest)", 69),
    ("(NotFound)", 69),
    ("resource type \"nosuchkind\"", 69),
    ("resource type \"virtualmachineinstances\"", 69),
    ("(Unauthorized)", 77),
    ("(Forbidden)", 77),
    ("failed to verify certificate", 77),
    ("connection refused", 75),
    ("context deadline exceeded", 75),
    ("no such file", 78),
    ("context was not found", 78),
    ("server was refused", 75),
];

#[test]
fn each_recorded_failure_has_its_status_and_prints_no_document() {
    let mut failures = failures();
    assert_eq!(failures.len(), 11);
    // The end of this one, which the recording lacks.
    let refused = failures
        .iter()
        .find(|failure| failure.stderr.contains("connection refused"))
        .unwrap();
    let whole = Failure {
        call: "the whole of it".to_owned(),
        stdout: String::new(),
        stderr: format!(
            "{}\"\nThe connection to the server was refused - did you specify the right host or port?\n",
            refused.stderr.trim_end()
        ),
        status: 1,
    };
    failures.push(whole);
    at_once(failures, |failure| {
        let Failure {
            call,
            stdout,
            stderr,
            status,
        } = failure;
        let expected = STATUSES.iter().rev().find(|(words, _)| stderr.contains(words));
        let (_, expected) = expected.unwrap_or_else(|| panic!("{call}: {stderr}"));
        with_longer_times(|limit| {
            let kubectl = small();
            kubectl.fail(&stdout, &stderr, status);
            let outcome = kubectl.scan(&["--timeout", limit]).run();
            assert_eq!(
                (outcome.status, &*outcome.stdout),
                (*expected, ""),
                "{call}: {outcome:?}"
            );
            // One message, and if it is tried again, one warning for each attempt.
            outcome.failed_at_last(*expected, "https://k8s.example.com:6443: ");
            assert!(!outcome.stderr.contains("memcache.go"), "{outcome:?}");
        });
    });
}

#[test]
fn advice_says_what_to_do() {
    for (stderr, status, words) in [
        (
            "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
            78,
            "--kubeconfig",
        ),
        (
            "Error from server (Forbidden): nodes is forbidden: User \"bob\" cannot list resource \"nodes\"",
            77,
            "list and watch",
        ),
        (
            "error: the server doesn't have a resource type \"virtualmachineinstances\"",
            69,
            "KubeVirt is not installed in this cluster, or kubeversion",
        ),
        (
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
            77,
            "--insecure",
        ),
    ] {
        let kubectl = small();
        kubectl.fail("", stderr, 1);
        kubectl.scan(&[]).run().failed(status, words);
    }
}

#[test]
fn a_section_is_named_in_its_errors() {
    let kubectl = small();
    kubectl.write("a.conf", "[cluster]\ntype=kubevirt\nkubeconfig=kubeconfig\n");
    kubectl.fail("", "error: You must be logged in to the server (Unauthorized)", 1);
    let outcome = kubectl.scan(&[]).env("VW_CONFIG", "a.conf").run();
    outcome.failed(
        77,
        "vw-scan-kubevirt: section [cluster]: https://k8s.example.com:6443: kubectl: You must be logged in to the server (Unauthorized)",
    );
}

#[test]
fn no_secret_of_the_kubeconfig_is_shown() {
    let kubectl = small();
    let told = SECRETS.join(" ");
    for (stderr, status) in [
        (
            format!("error: host must be a URL or a host:port pair: {told}\n"),
            78,
        ),
        (format!("{told}\n"), 69),
        (format!("I0101 00:00:00.0 1 x.go:1] {told}\nerror: stat x\n"), 78),
    ] {
        kubectl.fail(&told, &stderr, 1);
        for args in [&[][..], &["-d"]] {
            let outcome = kubectl.scan(args).run();
            assert_eq!(outcome.status, status, "{outcome:?}");
            for secret in SECRETS {
                assert!(!outcome.stderr.contains(secret), "{secret}: {outcome:?}");
            }
            let shows_lines = !args.is_empty() || !stderr.starts_with('I');
            assert_eq!(outcome.stderr.contains("(redacted)"), shows_lines, "{outcome:?}");
        }
    }
}

#[test]
fn an_answer_that_is_cut_or_no_list_prints_no_document() {
    let good = fs::read_to_string(small().folder().join("list")).unwrap();
    for (script, status, words) in [
        (
            format!("printf %s '{}'; exit 0", &good[..good.len() / 2]),
            75,
            "ended before it was complete",
        ),
        ("exit 0".into(), 75, "ended before it was complete"),
        (
            format!("printf %s '{}'; kill -9 $$", &good[..100]),
            75,
            "signal 9",
        ),
        ("cat $folder/list; kill -9 $$".into(), 75, "signal 9"),
        (
            "exit 3".into(),
            69,
            "kubectl ended with exit status 3 and no message",
        ),
        ("echo '<html>'; exit 0".into(), 76, "is not a list of objects"),
        (
            "echo '{\"kind\":\"Status\"}'; exit 0".into(),
            76,
            "is not a list of objects: missing field `items`",
        ),
        (
            "cat $folder/list; echo more; exit 0".into(),
            76,
            "is not a list of objects",
        ),
        (
            "printf '{\"items\":[\"'; exec cat /dev/zero".into(),
            76,
            "is not a list of objects",
        ),
        (
            "printf '{\"items\":[\"'; yes | tr -d '\\n'; exit 0".into(),
            76,
            "an object of more than 16 MiB",
        ),
    ] {
        let kubectl = small();
        kubectl.write("list.sh", &script);
        let outcome = with_time(&[words], |limit| kubectl.scan(&["--timeout", limit]).run());
        assert_eq!(
            (outcome.status, &*outcome.stdout),
            (status, ""),
            "{script:.80}: {outcome:?}"
        );
        outcome.failed_at_last(status, words);
    }
}

#[test]
fn a_kubectl_that_hangs_is_ended() {
    let kubectl = small();
    kubectl.write("list.sh", "exec sleep 1000");
    let outcome = with_time(&["did not end"], |limit| {
        kubectl.scan(&["--timeout", limit]).run()
    });
    outcome.failed(75, "kubectl did not end within ");
    assert!(outcome.stderr.contains("--timeout"), "{outcome:?}");
}

#[test]
fn a_temporary_failure_is_tried_again() {
    let kubectl = small();
    let script = "[ -e $folder/tried ] || { touch $folder/tried; echo 'Unable to connect to the server: EOF' >&2; exit 1; }";
    kubectl.write("list.sh", script);
    let outcome = kubectl.scan(&[]).run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    let warning = "warning: https://k8s.example.com:6443: kubectl: Unable to connect to the server: EOF; trying again in 0.";
    assert!(outcome.stderr.contains(warning), "{outcome:?}");
    assert!(outcome.stdout.contains("\"hypervisors\":["), "{outcome:?}");
}

#[test]
fn a_signal_in_the_middle_ends_kubectl_too() {
    signals::not_ignored();
    for (signal, status) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let kubectl = small();
        kubectl.write(
            "list.sh",
            "echo $$ > $folder/pid.new; mv $folder/pid.new $folder/pid; printf '{'; exec sleep 1000",
        );
        let (mut child, stdin) = kubectl.scan(&[]).start(Stdio::null());
        let pid = kubectl.folder().join("pid");
        until(|| pid.exists());
        signals::send(&child, signal);
        assert_eq!(ended(&mut child).and_then(|status| status.code()), Some(status));
        drop(stdin);
        let pid = fs::read_to_string(pid).unwrap();
        assert!(
            !fs::exists(format!("/proc/{}", pid.trim())).unwrap(),
            "kubectl goes on"
        );
    }
}

#[test]
fn a_reader_that_goes_away_and_a_full_disk() {
    let kubectl = small();
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    match full {
        Ok(full) => kubectl
            .scan(&[])
            .run_with_stdout(full)
            .failed(74, "No space left"),
        Err(error) => skipped(&format!("a full disk: /dev/full: {error}")),
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = kubectl.scan(&[]).run_with_stdout(writer);
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""));
}

#[test]
fn a_missing_kubectl_is_a_matter_of_configuration_and_oc_will_do() {
    let kubectl = small();
    let outcome = kubectl.scan(&[]).env("PATH", "/nonexistent").run();
    outcome.failed(78, "neither kubectl nor oc is in PATH: install kubectl");
    let oc = Kubectl::named("oc");
    oc.list(&[node("n", "aa")]);
    // Next to the usual tools there may be a real kubectl.
    let bin = oc.folder().join("bin");
    fs::create_dir(&bin).unwrap();
    for tool in ["sh", "dirname", "cat"] {
        symlink(format!("/bin/{tool}"), bin.join(tool)).unwrap();
    }
    let path = format!("{}:{}", oc.folder().display(), bin.display());
    let printed = oc.scan(&[]).env("PATH", &path).run().quiet_success();
    assert!(printed.contains("\"uuid\":\"aa\""), "{printed}");
}
