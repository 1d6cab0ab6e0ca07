//! The rows of the table: what a server or a proxy may do wrong, and what the command must do then.

use std::sync::Arc;
use std::time::Duration;

use vw_sim::hostile::{answer, bomb, endless, endless_header, page, raw, redirect, retry_after, status};
use vw_sim::http::Fault;

/// Parts of messages, of which a user must see one.
pub(super) type Words = &'static [&'static str];

const CUT: Words = &["before the answer was complete"];
const OUT_OF_TIME: Words = &["--timeout"];
const NOT_HTTP: Words = &["not valid HTTP"];
const TOO_LONG: Words = &["longer than"];
/// It depends on the machine which limit is met first.
const ENDLESS: Words = &["longer than", "in one piece", "--timeout"];
/// XML-RPC has no such elements, so the first one is refused.
const ENDLESS_SIBLINGS: Words = &["longer than", "--timeout", "not XML-RPC"];
/// Each command in its own words: the server is not the one that it expects.
const NOT_ITS_OWN: Words = &[
    "not one of Candlepin",
    "not one of Prism",
    "not XML-RPC",
    "not the vSphere API's",
    "not the oVirt API's",
];
const NO_CONTENT: Words = &["204", "not one of Candlepin", "not XML-RPC"];
/// The text ends within an element or value, although the answer is complete.
const SHORTENED: Words = &[
    "not one of Candlepin",
    "not one of Prism",
    "not XML-RPC",
    "not the oVirt API's",
    "the XML was cut",
];
const MALFORMED: Words = &["malformed XML", "not XML-RPC", "not the vSphere API's"];
/// What reads XML-RPC knows each element that may be in another, and refuses the first that may not.
const DEEP: Words = &["nested deeper", "not XML-RPC", "longer than"];

/// One row: what happens, and what becomes of the command.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Made of the beginning of a good answer, down to where elements may be.
    pub(super) fault: Arc<dyn Fn(&str) -> Fault + Send + Sync>,
    /// Any of them.
    pub(super) statuses: &'static [i32],
    /// One of them is on stderr; a retry says it in a warning.
    pub(super) words: Words,
    /// What is read for as long as it comes costs time: it happens only where much is read.
    pub(super) costly: bool,
}

pub(super) fn row(
    name: &'static str,
    fault: impl Fn() -> Fault + Send + Sync + 'static,
    statuses: &'static [i32],
    words: Words,
) -> Row {
    from(name, move |_| fault(), statuses, words)
}

/// A row whose fault begins as a good answer.
pub(super) fn from(
    name: &'static str,
    fault: impl Fn(&str) -> Fault + Send + Sync + 'static,
    statuses: &'static [i32],
    words: Words,
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
pub(super) fn common() -> Vec<Row> {
    [broken_connections(), refusals(), odd_http()]
        .into_iter()
        .flatten()
        .collect()
}

/// The answer does not come, or not as a whole.
fn broken_connections() -> Vec<Row> {
    let head = |head: &'static str| move || raw(head);
    vec![
        row("closed before the answer", || Fault::Close, &[75], CUT),
        row("closed after the body was sent", || Fault::Lose, &[75], CUT),
        row("cut before the body", || Fault::Cut(0), &[75], CUT),
        row("cut in the body", || Fault::Cut(20), &[75], CUT),
        row(
            "cut in the header",
            head("HTTP/1.1 200 OK\r\nContent-"),
            &[75],
            CUT,
        ),
        row("silent", || Fault::Silence, &[75], OUT_OF_TIME),
        row("silent in the body", || Fault::Stall(20), &[75], OUT_OF_TIME),
        row(
            "late",
            || Fault::Delay(Duration::from_secs(600)),
            &[75],
            OUT_OF_TIME,
        ),
        row(
            "a byte at a time, slowly",
            || Fault::Trickle(Duration::from_millis(300)),
            &[75],
            OUT_OF_TIME,
        ),
        row("a byte at a time", || Fault::Trickle(Duration::ZERO), &[0], &[]),
    ]
}

/// The answer is HTTP as it should be, but not what was asked for.
fn refusals() -> Vec<Row> {
    vec![
        row("429", || retry_after(429, "1"), &[75], &["429"]),
        row(
            "429 with a date",
            || retry_after(429, "Wed, 21 Oct 2037 07:28:00 GMT"),
            &[75],
            &["429"],
        ),
        row(
            "429 with a date long ago",
            || retry_after(429, "Wed, 21 Oct 2015 07:28:00 GMT"),
            &[75],
            &["429"],
        ),
        row(
            "503 for ages",
            || retry_after(503, "18446744073709551615"),
            &[75],
            &["503"],
        ),
        row("503 for no time", || retry_after(503, "-1e9"), &[75], &["503"]),
        row("500", || status(500), &[75], &["500"]),
        row("502", || status(502), &[75], &["502"]),
        row("503", || status(503), &[75], &["503"]),
        row("504", || status(504), &[75], &["504"]),
        row("502 as a page", || page(502), &[75], &["Please log in"]),
        row("a page", || page(200), &[76], &["page"]),
        row("401", || status(401), &[77], &["401"]),
        row("403 as a page", || page(403), &[77], &["Please log in"]),
        row("410", || status(410), &[77], &["410"]),
        row("415", || status(415), &[76], &["415"]),
        row("an unknown status", || status(799), &[76], &["799"]),
        row("204", || status(204), &[76], NO_CONTENT),
        row(
            "redirected",
            || redirect(302, "https://sso.example.com/?secret=1"),
            &[76],
            &["https://sso.example.com/"],
        ),
        row(
            "redirected for good",
            || redirect(308, "/here"),
            &[76],
            &["/here"],
        ),
        row("redirected nowhere", || redirect(301, ""), &[76], &["301"]),
        row("nothing at all", || answer("text/xml", ""), &[76], NOT_ITS_OWN),
    ]
}

/// The answer is not HTTP as it should be.
fn odd_http() -> Vec<Row> {
    [odd_heads(), odd_lengths(), odd_chunks(), odd_gzip()]
        .into_iter()
        .flatten()
        .collect()
}

fn odd_heads() -> Vec<Row> {
    let head = |head: &'static str| move || raw(head);
    vec![
        row("not HTTP", head("SSH-2.0-OpenSSH_9.9\r\n\r\n"), &[76], NOT_HTTP),
        row(
            "a header that is no text",
            head("HTTP/1.1 200 OK\r\n\0\0\x01: \x02\r\n\r\n"),
            &[76],
            NOT_HTTP,
        ),
        row(
            "endless header fields",
            || endless_header("HTTP/1.1 200 OK", "X-Y: z\r\n"),
            &[76],
            NOT_HTTP,
        ),
        row(
            "an endless header field",
            || endless_header("HTTP/1.1 200 OK", "x"),
            &[76],
            NOT_HTTP,
        ),
        row(
            "an endless status line",
            || endless_header("HTTP/1.1 200 ", "OK "),
            &[76],
            NOT_HTTP,
        ),
        row(
            "endless interim answers",
            || endless_header("HTTP/1.1 100 Continue\r\n", "HTTP/1.1 100 Continue\r\n\r\n"),
            &[75, 76],
            NOT_HTTP,
        ),
    ]
}

fn odd_lengths() -> Vec<Row> {
    let with_length = |length: &str| {
        let text =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n<?xml");
        move || raw(text.clone())
    };
    vec![
        row("a length that is too great", with_length("1000"), &[75], CUT),
        row(
            "a length beyond all",
            with_length("18446744073709551616"),
            &[76],
            NOT_HTTP,
        ),
        row("a length that is none", with_length("many"), &[76], NOT_HTTP),
        row("a length below zero", with_length("-5"), &[76], NOT_HTTP),
        row(
            "a length that is too small",
            with_length("3"),
            &[75, 76],
            SHORTENED,
        ),
        row(
            "two lengths",
            with_length("5\r\nContent-Length: 6"),
            &[75, 76],
            NOT_HTTP,
        ),
    ]
}

fn odd_chunks() -> Vec<Row> {
    let chunked = |chunks: &str| {
        let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        move || raw(text.clone())
    };
    vec![
        row(
            "a chunk without size",
            chunked("xyz\r\n<a/>\r\n0\r\n\r\n"),
            &[76],
            NOT_HTTP,
        ),
        row(
            "a chunk that is longer than it says",
            chunked("1\r\n<a/>\r\n0\r\n\r\n"),
            &[76],
            NOT_HTTP,
        ),
        row(
            "a chunk beyond all",
            chunked("fffffffffffffffff\r\n<a/>"),
            &[76],
            NOT_HTTP,
        ),
        row("a cut chunk", chunked("ffff\r\n<?xml"), &[75], CUT),
        row("no last chunk", chunked("1\r\n<\r\n"), &[75], CUT),
        row(
            "an endless chunk size",
            || endless_header("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "0"),
            &[76],
            NOT_HTTP,
        ),
        row(
            "an endless chunk extension",
            || endless_header("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x"),
            &[76],
            NOT_HTTP,
        ),
    ]
}

fn odd_gzip() -> Vec<Row> {
    let gzip = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n";
    vec![
        row(
            "gzip that is none",
            move || raw(format!("{gzip}Content-Length: 20\r\n\r\nthis is not gzip....")),
            &[76],
            NOT_HTTP,
        ),
        row(
            "gzip that is cut",
            move || raw(format!("{gzip}Content-Length: 20\r\n\r\n")),
            &[75],
            CUT,
        ),
    ]
}

/// What can happen where XML is read.
pub(super) fn xml() -> Vec<Row> {
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
        row(
            "XML that is none",
            whole("{\"an\":\"answer\"}"),
            &[76],
            NOT_ITS_OWN,
        ),
        row("XML of another kind", whole("<a><b/></a>"), &[76], NOT_ITS_OWN),
        row("malformed XML", whole("<a><b></a>"), &[76], MALFORMED),
        from(
            "XML that is cut though its length is right",
            then("<a>"),
            &[75, 76],
            SHORTENED,
        ),
        row("entities", whole(entities), &[76], &["a document type"]),
        row("an entity from a file", whole(file), &[76], &["a document type"]),
        from("an unknown entity", then("<a>&b;</a>"), &[76], &["entity"]),
        from("deep XML", deep, &[76], DEEP),
        from("endless depth", endless("", "<a>"), &[76], DEEP),
        from("an endless text", endless("<a>", "x"), &[76], TOO_LONG),
        from("an endless name", endless("<a", "x"), &[76], TOO_LONG),
        from("an endless attribute", endless("<a b='", "x"), &[76], TOO_LONG),
        from("endless attributes", endless("<a", " b='c'"), &[76], TOO_LONG),
        from("an endless comment", endless("<!-- ", "x"), &[76], TOO_LONG),
        from("endless white space", endless("<a>", " "), &[76], TOO_LONG),
        from("no UTF-8", latin, &[76], &["UTF-8"]),
        from("a gzip bomb", bomb("<a>", "x"), &[76], TOO_LONG),
        costly(from(
            "endless references",
            endless("<a>", "&#65;"),
            &[75, 76],
            ENDLESS,
        )),
        costly(from(
            "endless siblings",
            endless("", "<a>b</a>"),
            &[75, 76],
            ENDLESS_SIBLINGS,
        )),
        costly(from(
            "a gzip bomb of siblings",
            bomb("", "<a>b</a>"),
            &[75, 76],
            ENDLESS_SIBLINGS,
        )),
        costly(from(
            "endless comments",
            endless("", "<!-- a -->"),
            &[75, 76],
            ENDLESS,
        )),
        costly(from(
            "endless pieces of a text",
            endless("<a>", "<![CDATA[]]>"),
            &[75, 76],
            ENDLESS,
        )),
    ]
}

/// What can happen where JSON is read.
pub(super) fn json() -> Vec<Row> {
    let kind = "application/json";
    let whole = |text: &'static str| move || answer(kind, text);
    vec![
        row(
            "JSON that is none",
            whole("<an><answer/></an>"),
            &[76],
            NOT_ITS_OWN,
        ),
        row(
            "JSON of another kind",
            whole("[1, \"two\", {\"three\": null}]"),
            &[76],
            NOT_ITS_OWN,
        ),
        row(
            "JSON that is cut though its length is right",
            whole("{\"id\": \"a"),
            &[75, 76],
            NOT_ITS_OWN,
        ),
        row(
            "deep JSON",
            move || answer(kind, "[".repeat(100_000)),
            &[76],
            NOT_ITS_OWN,
        ),
        row(
            "deep objects",
            move || answer(kind, "{\"a\":".repeat(100_000)),
            &[76],
            NOT_ITS_OWN,
        ),
        row(
            "endless depth",
            move || endless(kind, "", "[{\"a\":"),
            &[76],
            TOO_LONG,
        ),
        row(
            "an endless string",
            move || endless(kind, "{\"id\":\"", "x"),
            &[76],
            TOO_LONG,
        ),
        row(
            "an endless number",
            move || endless(kind, "{\"id\":1", "0"),
            &[76],
            TOO_LONG,
        ),
        row(
            "an endless white space",
            move || endless(kind, "{", " "),
            &[76],
            TOO_LONG,
        ),
        row(
            "endless siblings",
            move || endless(kind, "{\"a\":[1", ",1"),
            &[76],
            TOO_LONG,
        ),
        row(
            "endless members",
            move || endless(kind, "{\"a\":1", ",\"a\":1"),
            &[76],
            TOO_LONG,
        ),
        row(
            "no UTF-8",
            move || answer(kind, &b"{\"id\":\"\xff\"}"[..]),
            &[76],
            NOT_ITS_OWN,
        ),
        row(
            "a gzip bomb",
            move || bomb(kind, "{\"id\":\"", "x"),
            &[76],
            TOO_LONG,
        ),
    ]
}
