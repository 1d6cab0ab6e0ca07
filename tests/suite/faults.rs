//! One table of what goes wrong between a command and its server, and the commands that are walked through all of it.
//!
//! A fault lasts: each further request of the same kind meets it again. A command that retries what may pass does so until its
//! `--timeout`, and ends as one that does not.
mod candlepin;
mod satellite5;
mod scan;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use vw_sim::hostile::{answer, bomb, endless, endless_header, page, raw, redirect, retry_after, status};
use vw_sim::http::{Fault, Request};

use crate::support::{Outcome, Run, Used};

/// A debug build of a command without hostile input takes about a quarter of it.
const MEMORY: u64 = 60 << 20;
/// For what ends by `--timeout` only: seconds.
const SHORT: u32 = 2;
/// For what ends by itself.
const LONG: u32 = 60;
/// What a command may take beyond its `--timeout`, log-out included, on a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(20);
/// Part of a message that is no warning: vw-report-sat5 tells what it had to set up.
const DONE: &str = "created the channel";
/// Most of them wait.
const AT_ONCE: usize = 24;

/// One row: what happens, and what becomes of the command.
struct Row {
    name: &'static str,
    /// Made of the beginning of a good answer, down to where elements may be.
    fault: Arc<dyn Fn(&str) -> Fault + Send + Sync>,
    /// Any of them.
    statuses: &'static [i32],
    /// Somewhere on stderr; before a retry it is a warning.
    words: &'static str,
    /// What is read for as long as it comes costs time: it happens only where much is read.
    costly: bool,
}

fn row(
    name: &'static str,
    fault: impl Fn() -> Fault + Send + Sync + 'static,
    statuses: &'static [i32],
    words: &'static str,
) -> Row {
    from(name, move |_| fault(), statuses, words)
}

/// A row whose fault begins as a good answer.
fn from(
    name: &'static str,
    fault: impl Fn(&str) -> Fault + Send + Sync + 'static,
    statuses: &'static [i32],
    words: &'static str,
) -> Row {
    Row {
        name,
        fault: Arc::new(fault),
        statuses,
        words,
        costly: false,
    }
}

fn costly(row: Row) -> Row {
    Row { costly: true, ..row }
}

/// What can happen to any command.
fn common() -> Vec<Row> {
    let head = |head: &'static str| move || raw(head);
    let with_length = |length: &str| {
        let text =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n<?xml");
        move || raw(text.clone())
    };
    let chunked = |chunks: &str| {
        let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        move || raw(text.clone())
    };
    let gzip = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n";
    vec![
        row(
            "closed before the answer",
            || Fault::Close,
            &[75],
            "before the answer was complete",
        ),
        row(
            "closed after the body was sent",
            || Fault::Lose,
            &[75],
            "before the answer was complete",
        ),
        row("cut before the body", || Fault::Cut(0), &[75], ""),
        row("cut in the body", || Fault::Cut(20), &[75], ""),
        row(
            "cut in the header",
            head("HTTP/1.1 200 OK\r\nContent-"),
            &[75],
            "before the answer was complete",
        ),
        row("silent", || Fault::Silence, &[75], "--timeout"),
        row("silent in the body", || Fault::Stall(20), &[75], "--timeout"),
        row(
            "late",
            || Fault::Delay(Duration::from_secs(600)),
            &[75],
            "--timeout",
        ),
        row(
            "a byte at a time, slowly",
            || Fault::Trickle(Duration::from_millis(300)),
            &[75],
            "--timeout",
        ),
        row("a byte at a time", || Fault::Trickle(Duration::ZERO), &[0], ""),
        row("429", || retry_after(429, "1"), &[75], "429"),
        row(
            "429 with a date",
            || retry_after(429, "Wed, 21 Oct 2037 07:28:00 GMT"),
            &[75],
            "429",
        ),
        row(
            "429 with a date long ago",
            || retry_after(429, "Wed, 21 Oct 2015 07:28:00 GMT"),
            &[75],
            "429",
        ),
        row(
            "503 for ages",
            || retry_after(503, "18446744073709551615"),
            &[75],
            "503",
        ),
        row("503 for no time", || retry_after(503, "-1e9"), &[75], "503"),
        row("500", || status(500), &[75], "500"),
        row("502", || status(502), &[75], "502"),
        row("503", || status(503), &[75], "503"),
        row("504", || status(504), &[75], "504"),
        row("502 as a page", || page(502), &[75], "Please log in"),
        row("a page", || page(200), &[76], "page"),
        row("401", || status(401), &[77], "401"),
        row("403 as a page", || page(403), &[77], "Please log in"),
        row("410", || status(410), &[77], "410"),
        row("415", || status(415), &[76], "415"),
        row("an unknown status", || status(799), &[76], "799"),
        row("204", || status(204), &[76], ""),
        row(
            "redirected",
            || redirect(302, "https://sso.example.com/?secret=1"),
            &[76],
            "https://sso.example.com/",
        ),
        row("redirected for good", || redirect(308, "/here"), &[76], "/here"),
        row("redirected nowhere", || redirect(301, ""), &[76], "301"),
        row("nothing at all", || answer("text/xml", ""), &[76], ""),
        row(
            "not HTTP",
            head("SSH-2.0-OpenSSH_9.9\r\n\r\n"),
            &[76],
            "not valid HTTP",
        ),
        row(
            "a header that is no text",
            head("HTTP/1.1 200 OK\r\n\0\0\x01: \x02\r\n\r\n"),
            &[76],
            "not valid HTTP",
        ),
        row(
            "endless header fields",
            || endless_header("HTTP/1.1 200 OK", "X-Y: z\r\n"),
            &[76],
            "not valid HTTP",
        ),
        row(
            "an endless header field",
            || endless_header("HTTP/1.1 200 OK", "x"),
            &[76],
            "not valid HTTP",
        ),
        row(
            "an endless status line",
            || endless_header("HTTP/1.1 200 ", "OK "),
            &[76],
            "not valid HTTP",
        ),
        row(
            "endless interim answers",
            || endless_header("HTTP/1.1 100 Continue\r\n", "HTTP/1.1 100 Continue\r\n\r\n"),
            &[75, 76],
            "",
        ),
        row("a length that is too great", with_length("1000"), &[75], ""),
        row(
            "a length beyond all",
            with_length("18446744073709551616"),
            &[76],
            "not valid HTTP",
        ),
        row(
            "a length that is none",
            with_length("many"),
            &[76],
            "not valid HTTP",
        ),
        row("a length below zero", with_length("-5"), &[76], "not valid HTTP"),
        row("a length that is too small", with_length("3"), &[75, 76], ""),
        row(
            "two lengths",
            with_length("5\r\nContent-Length: 6"),
            &[75, 76],
            "",
        ),
        row(
            "a chunk without size",
            chunked("xyz\r\n<a/>\r\n0\r\n\r\n"),
            &[76],
            "not valid HTTP",
        ),
        row(
            "a chunk that is longer than it says",
            chunked("1\r\n<a/>\r\n0\r\n\r\n"),
            &[76],
            "not valid HTTP",
        ),
        row(
            "a chunk beyond all",
            chunked("fffffffffffffffff\r\n<a/>"),
            &[76],
            "not valid HTTP",
        ),
        row("a cut chunk", chunked("ffff\r\n<?xml"), &[75], ""),
        row("no last chunk", chunked("1\r\n<\r\n"), &[75], ""),
        row(
            "an endless chunk size",
            || endless_header("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "0"),
            &[76],
            "not valid HTTP",
        ),
        row(
            "an endless chunk extension",
            || endless_header("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x"),
            &[76],
            "not valid HTTP",
        ),
        row(
            "gzip that is none",
            move || raw(format!("{gzip}Content-Length: 20\r\n\r\nthis is not gzip....")),
            &[76],
            "not valid HTTP",
        ),
        row(
            "gzip that is cut",
            move || raw(format!("{gzip}Content-Length: 20\r\n\r\n")),
            &[75],
            "",
        ),
    ]
}

/// What can happen where XML is read.
fn xml() -> Vec<Row> {
    const KIND: &str = "text/xml; charset=utf-8";
    let whole = |text: &'static str| move || answer(KIND, text);
    let then = |text: &'static str| move |start: &str| answer(KIND, format!("{start}{text}"));
    let endless = |text: &'static str, piece: &'static str| {
        move |start: &str| endless(KIND, &format!("{start}{text}"), piece)
    };
    let bomb = |text: &'static str, piece: &'static str| {
        move |start: &str| bomb(KIND, &format!("{start}{text}"), piece)
    };
    let entities = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]><x>&b;</x>";
    let file = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>";
    let deep = |start: &str| answer(KIND, format!("{start}{}", "<a>".repeat(10_000)));
    let latin = |start: &str| answer(KIND, [start.as_bytes(), b"<a>\xff\xfe</a>"].concat());
    vec![
        row("XML that is none", whole("{\"an\":\"answer\"}"), &[76], ""),
        row("XML of another kind", whole("<a><b/></a>"), &[76], ""),
        row("malformed XML", whole("<a><b></a>"), &[76], ""),
        from(
            "XML that is cut though its length is right",
            then("<a>"),
            &[75, 76],
            "",
        ),
        row("entities", whole(entities), &[76], ""),
        row("an entity from a file", whole(file), &[76], ""),
        from("an unknown entity", then("<a>&b;</a>"), &[76], ""),
        from("deep XML", deep, &[76], ""),
        from("endless depth", endless("", "<a>"), &[76], ""),
        from("an endless text", endless("<a>", "x"), &[76], ""),
        from("an endless name", endless("<a", "x"), &[76], ""),
        from("an endless attribute", endless("<a b='", "x"), &[76], ""),
        from("endless attributes", endless("<a", " b='c'"), &[76], ""),
        from("an endless comment", endless("<!-- ", "x"), &[76], ""),
        from("endless white space", endless("<a>", " "), &[76], ""),
        from("no UTF-8", latin, &[76], ""),
        from("a gzip bomb", bomb("<a>", "x"), &[76], ""),
        costly(from("endless references", endless("<a>", "&#65;"), &[75, 76], "")),
        costly(from("endless siblings", endless("", "<a>b</a>"), &[75, 76], "")),
        costly(from(
            "a gzip bomb of siblings",
            bomb("", "<a>b</a>"),
            &[75, 76],
            "",
        )),
        costly(from("endless comments", endless("", "<!-- a -->"), &[75, 76], "")),
        costly(from(
            "endless pieces of a text",
            endless("<a>", "<![CDATA[]]>"),
            &[75, 76],
            "",
        )),
    ]
}

/// What can happen where JSON is read.
fn json() -> Vec<Row> {
    let kind = "application/json";
    let whole = |text: &'static str| move || answer(kind, text);
    vec![
        row("JSON that is none", whole("<an><answer/></an>"), &[76], ""),
        row(
            "JSON of another kind",
            whole("[1, \"two\", {\"three\": null}]"),
            &[76],
            "",
        ),
        row(
            "JSON that is cut though its length is right",
            whole("{\"id\": \"a"),
            &[75, 76],
            "",
        ),
        row("deep JSON", move || answer(kind, "[".repeat(100_000)), &[76], ""),
        row(
            "deep objects",
            move || answer(kind, "{\"a\":".repeat(100_000)),
            &[76],
            "",
        ),
        row("endless depth", move || endless(kind, "", "[{\"a\":"), &[76], ""),
        row(
            "an endless string",
            move || endless(kind, "{\"id\":\"", "x"),
            &[76],
            "",
        ),
        row(
            "an endless number",
            move || endless(kind, "{\"id\":1", "0"),
            &[76],
            "",
        ),
        row(
            "an endless white space",
            move || endless(kind, "{", " "),
            &[76],
            "",
        ),
        row(
            "endless siblings",
            move || endless(kind, "{\"a\":[1", ",1"),
            &[76],
            "",
        ),
        row(
            "endless members",
            move || endless(kind, "{\"a\":1", ",\"a\":1"),
            &[76],
            "",
        ),
        row(
            "no UTF-8",
            move || answer(kind, &b"{\"id\":\"\xff\"}"[..]),
            &[76],
            "",
        ),
        row("a gzip bomb", move || bomb(kind, "{\"id\":\"", "x"), &[76], ""),
    ]
}

/// One kind of request of a command.
struct Call {
    name: String,
    /// Many elements may be in its answer.
    large: bool,
}

/// Walks through all rows at all calls, and fails with all of what is wrong.
fn walk(rows: &[Row], calls: &[Call], run: impl Fn(&Row, &str) -> Result<(), String> + Sync) {
    let steps = rows
        .iter()
        .flat_map(|row| calls.iter().map(move |call| (row, call)))
        .filter(|(row, call)| call.large || !row.costly);
    let (steps, wrong) = (Mutex::new(steps), Mutex::new(Vec::new()));
    let next = || steps.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((row, call)) = next() {
                    if let Err(error) = run(row, &call.name) {
                        wrong
                            .lock()
                            .unwrap()
                            .push(format!("{} at {}: {error}", row.name, call.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Has each request that is of the kind meet the row's fault; `start` begins a good answer to it.
fn meets(
    row: &Row,
    start: String,
    of_the_kind: impl Fn(&Request) -> bool + Send + 'static,
) -> impl FnMut(usize, &Request) -> Option<Fault> + Send + 'static {
    let fault = Arc::clone(&row.fault);
    move |_, request| of_the_kind(request).then(|| fault(&start))
}

/// Runs a command, named `program` in its messages, that should end with one of the statuses, and as the row says.
fn ended(row: &Row, expected: &[i32], program: &str, run: Run) -> Result<Outcome, String> {
    let limit = if row.statuses.contains(&75) { SHORT } else { LONG };
    let (outcome, used) = run.args(["--timeout", &limit.to_string()]).measured();
    let verdict = judged(row, expected, program, &outcome, used, limit);
    verdict.map(|()| outcome)
}

fn judged(
    row: &Row,
    expected: &[i32],
    program: &str,
    outcome: &Outcome,
    used: Used,
    limit: u32,
) -> Result<(), String> {
    let show = |what: &str| Err(format!("{what}: {used:?} {outcome:?}"));
    if !expected.contains(&outcome.status) {
        return show("status");
    }
    let mut lines: Vec<&str> = outcome.stderr.lines().collect();
    if outcome.status != 0 {
        let last = lines.pop().unwrap_or_default();
        let told = last
            .strip_prefix(program)
            .and_then(|rest| rest.strip_prefix(": "));
        if told.is_none_or(|told| told.starts_with("warning: ") || told.len() > 1500) {
            return show("no error line");
        }
        if !last.contains("127.0.0.1:") {
            return show("the error line does not name the server");
        }
    }
    let warning = format!("{program}: warning: ");
    let said = |line: &&str| line.starts_with(&warning) || line.contains(DONE);
    if !lines.iter().all(said) {
        return show("more than one error line");
    }
    if outcome.status != 0 && !outcome.stderr.contains(row.words) {
        return show("words");
    }
    if outcome.stderr.contains("sim-secret") || outcome.stderr.contains("secret=1") {
        return show("a secret");
    }
    if used.memory > MEMORY {
        return show("memory");
    }
    if used.time > Duration::from_secs(limit.into()) + SLACK {
        return show("time");
    }
    Ok(())
}
