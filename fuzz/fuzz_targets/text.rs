//! Text for people: no character of it controls a terminal, and no password is shown, in a message and in the files of a trace.

use std::fs;

use vw::http::Trace;
use vw::secret::Secret;
use vw::secret::redact::{self, REDACTED};
use vw::text;

const PASSWORD: &str = "s3cret-Passw0rd";
/// A secret that is only hidden where it is a word.
const SHORT: &str = "short";

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
    static TRACE: Trace = trace();
}

pub fn run(bytes: &[u8]) {
    let any = String::from_utf8_lossy(bytes);
    if any.contains("s3cret") {
        return;
    }
    shown(&any);
    let middle = (0..=any.len() / 2).rev().find(|at| any.is_char_boundary(*at));
    let (before, after) = any.split_at(middle.unwrap_or_default());
    urls(before, after);
    traced(before, after);
}

fn shown(any: &str) {
    let controls = |text: &str| text.chars().any(text::is_control);
    for line in [text::line(any), text::message(any), text::first_line(any, 20)] {
        assert!(!controls(&line), "{line:?}");
    }
    let lines = text::printable(any);
    assert!(!lines.lines().any(controls), "{lines:?}");
    assert_eq!(
        lines.lines().count(),
        any.split('\n').count() - usize::from(any.is_empty() || any.ends_with('\n'))
    );
    assert!(text::first_line(any, 20).chars().count() <= 21);
    assert!(text::cut(any, 20).chars().count() <= 21);
    assert_eq!(text::line(&text::line(any)), text::line(any));
}

/// The password of a URL, in a value and in a message.
fn urls(before: &str, after: &str) {
    let url = |rest: &str| format!("esx://root:{PASSWORD}@{rest}");
    for shown in [
        redact::value(&url(after)),
        redact::value(&format!("root:{PASSWORD}@{after}")),
        redact::value(&format!("{before} root:{PASSWORD}@vc")),
        redact::value(&format!("{before}password={PASSWORD}{after}")),
        redact::value(&format!("{before}\npassword: {PASSWORD}{after}")),
        redact::message(&format!("{before} {}", url(after))),
        redact::urls(&format!("{before} {}", url(after))),
        text::message(&format!("{before} {}", url(after))),
    ] {
        assert!(!shown.contains(PASSWORD), "{shown:?}");
    }
}

/// A trace in a new folder.
fn trace() -> Trace {
    let trace = FOLDER.with(|folder| Trace::new(folder.path()));
    for secret in [PASSWORD, SHORT] {
        trace.hide(&Secret::from(secret.to_owned()));
    }
    trace
}

fn traced(before: &str, after: &str) {
    let content = format!("{before}{PASSWORD}{after}");
    TRACE.with(|trace| {
        trace
            .save("x", content.as_bytes())
            .expect("a file that can be written")
    });
    let path = FOLDER.with(|folder| folder.path().join("x"));
    let saved = fs::read_to_string(&path).expect("text");
    fs::remove_file(path).expect("a file that can be removed");
    assert!(!saved.contains("s3cret") && saved.contains(REDACTED), "{saved:?}");
    let has_other = |text: &&str| text.contains("<password>") || text.contains(SHORT);
    if ![before, after].iter().any(has_other) {
        assert_eq!(saved, content.replace(PASSWORD, REDACTED));
    }
}
