use super::*;
use crate::service::{Failure, Outcome, ResultLine};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

fn section(outcomes: &[Outcome]) -> Section {
    let mut section = Section::default();
    outcomes.iter().for_each(|outcome| section.add(outcome));
    section
}

fn success() -> Outcome {
    Outcome {
        section: None,
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_785_585_600),
        duration: Duration::from_millis(250),
        is_scanned: true,
        line: ResultLine::parse(r#"{"state":"finished","hypervisors":5,"guests":25,"omitted":0}"#),
        failure: None,
    }
}

fn failure() -> Outcome {
    Outcome {
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(1_785_589_200),
        duration: Duration::from_secs(60),
        is_scanned: false,
        line: None,
        failure: Some(Failure {
            stage: "vw-scan-esx".to_owned(),
            kind: Kind::TempFail,
            message: "unreachable".to_owned(),
        }),
        ..success()
    }
}

/// The samples of a text, by name and labels, if the text has Prometheus' format: each metric has its help and type before its
/// samples, and no sample comes twice.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut current = String::new();
    let mut lines = text.strip_suffix('\n').unwrap().lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split(' ').next().unwrap().to_owned();
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, current);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(["counter", "gauge"].contains(&kind), "{kind}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap();
        assert_eq!(name, current, "{line}");
        is_labels(labels.strip_suffix('}').unwrap());
        let before = samples.insert(series.to_owned(), value.parse().unwrap());
        assert_eq!(before, None, "{line}");
    }
    samples
}

/// Fails unless the text is a list of `name="value"` with escaped values.
fn is_labels(text: &str) {
    let pattern = r#"^[a-z]+="(?:[^"\\\n]|\\[\\"n])*"(?:,[a-z]+="(?:[^"\\\n]|\\[\\"n])*")*$"#;
    assert!(
        fancy_regex::Regex::new(pattern).unwrap().is_match(text).unwrap(),
        "{text}"
    );
}

#[test]
fn each_section_has_its_numbers_and_its_failures_by_kind() {
    let (fine, broken, never) = (
        section(&[success()]),
        section(&[success(), failure()]),
        section(&[]),
    );
    let text = text([("fine", &fine), ("broken", &broken), ("never", &never)]);
    let samples = samples(&text);
    let of = |name: &str, section: &str| {
        samples
            .get(&format!("vw_{name}{{section=\"{section}\"}}"))
            .copied()
    };
    assert_eq!(of("hypervisors", "fine"), Some(5.0));
    assert_eq!(of("guests", "broken"), Some(25.0));
    assert_eq!(of("omitted", "fine"), Some(0.0));
    assert_eq!(of("last_round_success", "fine"), Some(1.0));
    assert_eq!(of("last_round_success", "broken"), Some(0.0));
    assert_eq!(
        of("last_success_timestamp_seconds", "broken"),
        Some(1_785_585_600.0)
    );
    assert_eq!(of("last_round_duration_seconds", "broken"), Some(60.0));
    assert_eq!(of("rounds_total", "broken"), Some(2.0));
    assert_eq!(of("hypervisors", "never"), None);
    assert_eq!(of("rounds_total", "never"), Some(0.0));
    let failures = |kind: &str| samples[&format!("vw_failures_total{{section=\"broken\",kind=\"{kind}\"}}")];
    assert_eq!((failures("tempfail"), failures("noperm")), (1.0, 0.0));
    // A time is a whole number, not 1.7e9.
    assert!(
        text.contains("\nvw_last_success_timestamp_seconds{section=\"fine\"} 1785585600\n"),
        "{text}"
    );
}

#[test]
fn names_of_sections_are_escaped() {
    let section = section(&[success()]);
    let name = "a\"b\\c\nd é{},=";
    let text = text([(name, &section)]);
    samples(&text);
    assert!(text.contains(r#"{section="a\"b\\c\nd é{},="} 5"#), "{text}");
}

#[test]
fn promtool_accepts_the_text() {
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        // Past the harness, which hides what a passing test prints.
        let _ = io::Write::write_all(&mut io::stderr(), b"skipped: promtool is not installed\n");
        return;
    };
    let (fine, broken) = (section(&[success()]), section(&[failure()]));
    let text = text([("fine", &fine), ("a\"b\\c\nd", &broken)]);
    io::Write::write_all(&mut tool.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let checked = tool.wait_with_output().unwrap();
    assert!(
        checked.status.success() && checked.stderr.is_empty(),
        "{checked:?}"
    );
}

#[test]
fn only_a_regular_file_in_an_existing_folder_is_replaced() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    for name in ["/dev/null", "/", ".."] {
        let error = File::new(Path::new(name)).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
    }
    let error = File::new(&path("gone/vw.prom")).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(
        error.with_causes().contains("/gone can't be used: No such file"),
        "{}",
        error.with_causes()
    );

    File::new(&path("vw.prom")).unwrap().write("1").unwrap();
    std::os::unix::fs::symlink(path("vw.prom"), path("link")).unwrap();
    File::new(&path("link")).unwrap().write("2").unwrap();
    assert_eq!(fs::read_to_string(path("vw.prom")).unwrap(), "2");
    assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
}
