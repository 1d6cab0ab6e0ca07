//! Exchanges with servers, most of which do what servers should not do.

pub(super) mod der;
mod files;
mod identity;
mod server;
mod trust;
mod way;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::*;
use crate::cancel::{Cancelled, Signal};
use crate::error::{Classify as _, Kind};
use server::{HELLO, Server, Stream};

const SHORT: Duration = Duration::from_millis(150);

fn http(endpoint: &Endpoint) -> Http {
    Http::new(endpoint, &Cancel::default()).unwrap()
}

fn get(endpoint: &Endpoint) -> Result<String, Error> {
    let http = Http::new(endpoint, &Cancel::default())?;
    let body = http.send(&Request::get("/x"))?.success()?.read(1000)?;
    Ok(String::from_utf8(body).unwrap())
}

/// The server's name in messages.
fn name(server: &Server) -> String {
    server.address.to_string()
}

/// Serves one connection: reads a request, sends `text` and hangs up.
fn once(text: &'static str) -> Server {
    Server::start(move |_, mut stream, server| {
        server.note(stream.request().unwrap());
        stream.send(text);
    })
}

#[test]
fn an_answer_comes_with_status_header_and_body() {
    let server =
        Server::answering("HTTP/1.1 201 Created\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 5\r\n\r\nhello");
    let mut endpoint = server.plain();
    endpoint.base.path = "/api".into();
    let request = Request::post("/things?a=b", "text/xml", b"<x/>")
        .header("SOAPAction", "urn:x")
        .basic("me", &"pässword".to_owned().into());
    let response = http(&endpoint).send(&request).unwrap();
    assert_eq!((response.status(), response.header("x-a")), (201, Some("1")));
    assert_eq!(response.headers("X-A").collect::<Vec<_>>(), ["1", "2"]);
    let mut body = response.into_body();
    let mut text = String::new();
    body.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    let seen = server.seen().remove(0);
    assert!(seen.starts_with("POST /api/things?a=b HTTP/1.1\r\n"), "{seen}");
    for line in [
        format!("host: {}", server.address),
        format!("user-agent: vw/{}", env!("CARGO_PKG_VERSION")),
        "content-type: text/xml".into(),
        "soapaction: urn:x".into(),
        format!("authorization: Basic {}", BASE64_STANDARD.encode("me:pässword")),
        "content-length: 4".into(),
    ] {
        assert!(seen.lines().any(|seen| seen == line), "{line} in {seen}");
    }
    assert!(!seen.contains("accept-encoding"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n<x/>"), "{seen}");
}

#[test]
fn a_closed_port_and_an_unknown_name_are_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut endpoint = Endpoint::new(Base::parse(&format!("http://{address}"), 0, "").unwrap());
    endpoint.proxy = Proxy::none("the test");
    let error = get(&endpoint).unwrap_err();
    let wanted = format!("{address}: connection refused; is the server running and the port right?");
    assert_eq!((error.to_string(), error.kind()), (wanted, Kind::TempFail));

    endpoint.base.host = "no-such-host.invalid".into();
    let error = get(&endpoint).unwrap_err();
    assert_eq!(error.kind(), Kind::TempFail);
    assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
}

#[test]
fn silence_ends_at_its_limit_and_all_at_the_deadline() {
    let (keep, kept) = mpsc::channel::<TcpStream>();
    let keep = std::sync::Mutex::new(keep);
    let server = Server::start(move |_, stream, _| keep.lock().unwrap().send(stream).unwrap());
    for scheme in ["http", "https"] {
        let mut endpoint = server.endpoint(scheme, "127.0.0.1");
        endpoint.trust = Trust::Insecure;
        endpoint.silence_limit = SHORT;
        let error = get(&endpoint).unwrap_err();
        let wanted = format!("{}: the server was silent for 0.15 s", name(&server));
        assert_eq!((error.to_string(), error.kind()), (wanted, Kind::TempFail));

        endpoint.silence_limit = Duration::from_secs(60);
        endpoint.deadline = Some(Instant::now() + SHORT);
        let error = get(&endpoint).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Timeout {
                    limit: Limit::Deadline,
                    ..
                }
            ),
            "{error}"
        );
        let passed = get(&endpoint).unwrap_err();
        assert_eq!(passed, error);
    }
    let mut endpoint = server.endpoint("https", "127.0.0.1");
    endpoint.trust = Trust::Insecure;
    endpoint.connect_limit = SHORT;
    let error = get(&endpoint).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Timeout {
                limit: Limit::Tls(SHORT),
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("plain HTTP (http://)?"), "{error}");
    drop(kept);
}

/// A small answer may be large after decompression, and is then read for a long time without a read from the connection.
#[test]
fn the_deadline_ends_the_reading_of_what_has_arrived() {
    let server = Server::answering(HELLO);
    let mut endpoint = server.plain();
    // A busy machine may need longer until the answer begins.
    let begun = [1, 5, 30].into_iter().find_map(|seconds| {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        endpoint.deadline = Some(deadline);
        let answer = http(&endpoint).send(&Request::get("/")).ok()?;
        Some((deadline, answer.into_body()))
    });
    let (deadline, mut body) = begun.unwrap();
    std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
    let error = body.read_to_end(&mut Vec::new()).unwrap_err();
    let wanted = Error::Timeout {
        server: name(&server),
        limit: Limit::Deadline,
    };
    assert_eq!(body.error(error), wanted);
}

#[test]
fn silence_within_a_body_is_an_error_of_its_reader() {
    let (done, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Server::start(move |_, mut stream, _| {
        stream.request();
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        let _ = wait.lock().unwrap().recv();
    });
    let request = Request::get("/").silence(SHORT);
    let mut body = http(&server.plain()).send(&request).unwrap().into_body();
    let error = body.read_to_end(&mut Vec::new()).unwrap_err();
    let wanted = Error::Timeout {
        server: name(&server),
        limit: Limit::Silence(SHORT),
    };
    assert_eq!(Error::within(&error), Some(&wanted));
    assert_eq!(body.error(error), wanted);
    drop(done);
}

#[test]
fn an_answer_that_is_cut_is_an_error() {
    for text in [
        "",
        "HTTP/1.1 200 OK\r\nContent-",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhel",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n\x1f",
    ] {
        let server = once(text);
        let error = get(&server.plain()).unwrap_err();
        assert_eq!(
            error,
            Error::Cut {
                server: name(&server),
                unanswered: text.is_empty(),
            },
            "{text}"
        );
        let asks = error
            .to_string()
            .ends_with("does this port speak TLS (https://)?");
        assert_eq!(asks, text.is_empty(), "{error}");
        assert_eq!(error.kind(), Kind::TempFail);
        assert_eq!(
            server.connections(),
            1,
            "a new connection's failure is no reason to try again"
        );
    }
}

#[test]
fn what_is_not_http_is_a_protocol_error() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let long: &'static str = long.leak();
    for text in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\nthis is not gzip....",
        long,
    ] {
        let error = get(&once(text).plain()).unwrap_err();
        assert!(matches!(error, Error::NotHttp { .. }), "{text}: {error:?}");
        assert_eq!(error.kind(), Kind::Protocol);
    }
}

#[test]
fn a_status_is_shown_with_the_servers_message() {
    for (text, wanted, kind) in [
        (
            "503 Service Unavailable\r\nRetry-After: 7\r\n\r\n\n out of memory \nat line 1",
            "answered 503 Service Unavailable: out of memory (the server asks to wait 7 s)",
            Kind::TempFail,
        ),
        (
            "502 X\r\nContent-Type: Text/HTML; charset=x\r\n\r\n<title>Bad\nGateway</title>",
            "answered 502 Bad Gateway: a web page, perhaps a proxy's: \"Bad Gateway\"",
            Kind::TempFail,
        ),
        ("401 X\r\n\r\n", "answered 401 Unauthorized", Kind::NoPerm),
        (
            "404 X\r\n\r\n<!DOCTYPE HTML><p>",
            "answered 404 Not Found: a web page, perhaps a proxy's",
            Kind::Unavailable,
        ),
        (
            "418 X\r\n\r\ntea",
            "answered 418 I'm a teapot: tea",
            Kind::Protocol,
        ),
        ("799 X\r\n\r\n\x1b[2J", "answered 799: [2J", Kind::Protocol),
        ("302 X\r\n\r\n", "answered 302 Found", Kind::Protocol),
    ] {
        let server = once(format!("HTTP/1.1 {text}").leak());
        let error = get(&server.plain()).unwrap_err();
        assert_eq!(
            (error.to_string(), error.kind()),
            (format!("{}: {wanted}", name(&server)), kind)
        );
        assert_eq!(
            error.retry_after(),
            wanted.contains("503").then_some(Duration::from_secs(7))
        );
    }
    let server =
        once("HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n{\"displayMessage\":\"no\"} cut");
    let response = http(&server.plain()).send(&Request::get("/")).unwrap();
    let error = response.into_error(|body| body.starts_with(b"{").then(|| "no\nreally".into()));
    assert_eq!(
        error.to_string(),
        format!("{}: answered 400 Bad Request: no", name(&server))
    );
}

#[test]
fn a_redirect_is_reported_and_not_followed() {
    let cut = format!("http://vc/{}…", "x".repeat(290));
    for (location, wanted) in [
        (
            "https://user:s3cret@vc.example.com:444/new?token=s3cret",
            "https://vc.example.com:444/new",
        ),
        ("/login?s3cret", "http://ADDRESS/login"),
        ("http://", "an invalid URL"),
        (&format!("http://vc/{}", "x".repeat(5000)), &cut),
    ] {
        let server =
            once(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").leak());
        let error = get(&server.plain()).unwrap_err();
        let wanted = wanted.replace("ADDRESS", &name(&server));
        assert_eq!(
            error.to_string(),
            format!("{}: answered 302 Found to {wanted}", name(&server))
        );
        assert_eq!((error.kind(), server.connections()), (Kind::Protocol, 1));
    }
}

#[test]
fn an_answer_has_a_limit_after_decompression() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 100_000];
    (0..200).for_each(|_| bomb.write_all(&zeros).unwrap());
    let bomb = bomb.finish().unwrap();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    answer.extend_from_slice(&bomb);
    assert!(answer.len() < 200_000);
    let server = Server::answering(answer);
    let http = http(&server.plain());

    let request = Request::get("/").gzip().limit(1_000_000);
    let mut body = http.send(&request).unwrap().into_body();
    let mut bytes = Vec::new();
    let error = body.read_to_end(&mut bytes).unwrap_err();
    let wanted = Error::TooLarge {
        server: name(&server),
        limit: 1_000_000,
    };
    assert_eq!((Error::within(&error), bytes.len()), (Some(&wanted), 1_000_000));
    assert_eq!(wanted.kind(), Kind::Protocol);
    let whole = http.send(&Request::get("/").gzip()).unwrap();
    assert!(matches!(
        whole.read(19_999_999),
        Err(Error::TooLarge {
            limit: 19_999_999,
            ..
        })
    ));
    let whole = http.send(&Request::get("/").gzip()).unwrap();
    assert_eq!(whole.read(20_000_000).unwrap().len(), 20_000_000);
    assert!(
        server.seen()[0].contains("accept-encoding: gzip\r\n"),
        "{:?}",
        server.seen()
    );
}

#[test]
fn a_connection_is_kept_and_a_closed_one_replaced() {
    let server = Server::answering(HELLO);
    let http = http(&server.plain());
    for _ in 0..3 {
        let body = http.send(&Request::post("/", "text/plain", b"x")).unwrap();
        body.into_body().finish().unwrap();
    }
    assert_eq!((server.connections(), server.seen().len()), (1, 3));

    // The server closes the idle connection. That is noticed before the next request is sent, so even a POST is safe.
    let (sender, closed) = mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let server = Server::start(move |number, mut stream, server| {
        server.note(stream.request().unwrap());
        stream.send(HELLO);
        if number == 0 {
            stream.shutdown(std::net::Shutdown::Both).unwrap();
            sender.lock().unwrap().send(()).unwrap();
        }
    });
    let http = self::http(&server.plain());
    let post = Request::post("/", "text/plain", b"x");
    assert_eq!(http.send(&post).unwrap().read(5).unwrap(), b"hello");
    closed.recv().unwrap();
    assert_eq!(http.send(&post).unwrap().read(5).unwrap(), b"hello");
    assert_eq!((server.connections(), server.seen().len()), (2, 2));
}

/// A server whose first connection answers one request, takes another one and closes without an answer.
fn crossing() -> Server {
    Server::start(|number, mut stream, server| {
        server.note(stream.request().unwrap());
        stream.send(HELLO);
        if let Some(request) = stream.request() {
            server.note(request);
            if number > 0 {
                stream.send(HELLO);
            }
        }
    })
}

#[test]
fn a_request_on_a_connection_that_closes_is_sent_again_only_if_it_is_repeatable() {
    let post = Request::post("/", "text/plain", b"x");
    for (request, harmless) in [
        (Request::get("/"), true),
        (Request::put("/", "text/plain", b"x"), true),
        (post.clone(), false),
        (post.repeatable(), true),
    ] {
        let server = crossing();
        let http = http(&server.plain());
        http.send(&request).unwrap().into_body().finish().unwrap();
        match http.send(&request) {
            Ok(response) if harmless => assert_eq!(response.read(5).unwrap(), b"hello"),
            Err(Error::Cut { .. }) if !harmless => {}
            other => panic!("{request:?}: {other:?}"),
        }
        assert_eq!(server.seen().len(), if harmless { 3 } else { 2 });
    }
}

#[test]
fn a_signal_ends_what_blocks() {
    let (sender, waiting) = mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let server = Server::start(move |_, mut stream, _| {
        let request = stream.request().unwrap();
        if request.starts_with("GET /body") {
            // Without a length: the end of the connection would be the end of the body.
            stream.send("HTTP/1.1 200 OK\r\n\r\nhello");
        }
        sender.lock().unwrap().send(()).unwrap();
        // Waits until the client closes the connection.
        let _ = stream.read(&mut [0]);
    });
    let wanted = Error::Cancelled(Cancelled(Signal::Terminate));
    for path in ["/header", "/body"] {
        let cancel = Cancel::default();
        let http = Http::new(&server.plain(), &cancel).unwrap();
        let asking = http.clone();
        let asked = std::thread::spawn(move || asking.send(&Request::get(path))?.read(1000));
        waiting.recv().unwrap();
        cancel.cancel(Signal::Terminate);
        assert_eq!(asked.join().unwrap(), Err(wanted.clone()), "{path}");
        assert_eq!(http.send(&Request::get("/")).unwrap_err(), wanted);
        let log_out = http
            .reconnect(&Cancel::default(), None)
            .send(&Request::get("/body"));
        assert_eq!(log_out.unwrap().status(), 200);
        waiting.recv().unwrap();
    }
    assert_eq!(wanted.kind(), Kind::Signal(Signal::Terminate));
}

#[test]
fn a_body_is_cancelled_even_after_its_client_was_dropped() {
    let (sender, waiting) = mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let server = Server::start(move |_, mut stream, _| {
        stream.request().unwrap();
        stream.send("HTTP/1.1 200 OK\r\n\r\nhello");
        sender.lock().unwrap().send(()).unwrap();
        let _ = stream.read(&mut [0]);
    });
    let cancel = Cancel::default();
    let response = Http::new(&server.plain(), &cancel)
        .unwrap()
        .send(&Request::get("/"))
        .unwrap();
    waiting.recv().unwrap();
    cancel.cancel(Signal::Interrupt);
    assert_eq!(
        response.read(1000),
        Err(Error::Cancelled(Cancelled(Signal::Interrupt)))
    );
}

#[test]
fn an_invalid_request_is_a_defect_of_ours() {
    let server = Server::answering(HELLO);
    for request in [
        Request::get("/a b"),
        Request::get("/").header("Cookie", "s3cret\r\nX: y"),
    ] {
        let error = http(&server.plain()).send(&request).unwrap_err();
        assert_eq!(error.kind(), Kind::Software);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    assert_eq!(server.connections(), 0);
}
