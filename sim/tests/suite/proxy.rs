//! The proxy, and what servers do that they should not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vw_sim::hostile;
use vw_sim::http::{Fault, Request, Response, Server, Service};
use vw_sim::proxy::Proxy;

use crate::client::Client;

/// Answers with what it was asked, with or without a length.
struct Echo;

impl Service for Echo {
    fn answer(&self, request: &Request) -> Response {
        let host = request.header("Host").unwrap_or("-");
        let known = request.header("Proxy-Authorization").is_some();
        let body = String::from_utf8_lossy(&request.body);
        let text = format!(
            "{} {} {} {host} {known} {body}",
            request.method, request.path, request.query
        );
        match request.path.ends_with("/stream") {
            true => Response::stream(201, "text/plain", move |out| out.write_all(text.as_bytes())),
            false => Response::new(201, "text/plain", text),
        }
    }
}

fn server() -> Server {
    Server::start(Arc::new(Echo), None).unwrap()
}

/// All that comes for some bytes.
fn exchange(proxy: &Proxy, bytes: &str) -> String {
    let mut stream = TcpStream::connect(proxy.server().address()).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn the_proxy_passes_requests_to_its_server() {
    let server = server();
    let proxy = Proxy::before(server.address()).unwrap();
    let mut client = Client::plain(&proxy.url());
    let first = client.send("POST", "/a?b=c", "", b"hello");
    assert_eq!((first.status, first.text()), (201, "POST /a b=c sim false hello"));
    let second = client.send("GET", "/stream", "", b"");
    assert_eq!(second.text(), "GET /stream  sim false ");
    drop(server);
    assert_eq!(client.send("GET", "/", "", b"").status, 502);
}

#[test]
fn the_proxy_serves_only_known_targets() {
    let server = server();
    let proxy = Proxy::with_credentials(server.address(), "me", "s3cret").unwrap();
    let known = "Proxy-Authorization: Basic bWU6czNjcmV0\r\n";
    let forward = |field: &str| {
        exchange(
            &proxy,
            &format!("GET http://vc/a?b HTTP/1.1\r\nHost: vc\r\nConnection: close\r\n{field}\r\n"),
        )
    };
    assert!(
        forward(known).ends_with("\r\n\r\nGET /a b vc false "),
        "{}",
        forward(known)
    );
    assert!(forward("").starts_with("HTTP/1.1 407 "));
    assert!(forward("Proxy-Authorization: Basic eDp5\r\n").starts_with("HTTP/1.1 407 "));
    let within = "GET /in HTTP/1.1\r\nHost: vc\r\nConnection: close\r\n\r\n";
    let tunnel = |field: &str| {
        let mut stream = TcpStream::connect(proxy.server().address()).unwrap();
        write!(stream, "CONNECT vc:443 HTTP/1.1\r\nHost: vc:443\r\n{field}\r\n").unwrap();
        let mut head = [0; 39];
        stream.read_exact(&mut head).unwrap();
        let mut rest = String::new();
        let _ = stream.write_all(within.as_bytes());
        let _ = stream.read_to_string(&mut rest);
        (String::from_utf8(head.to_vec()).unwrap(), rest)
    };
    let (head, rest) = tunnel(known);
    assert_eq!(head, "HTTP/1.1 200 Connection established\r\n\r\n");
    assert!(rest.ends_with("\r\n\r\nGET /in  vc false "), "{rest}");
    assert!(tunnel("").0.starts_with("HTTP/1.1 407 "));
    assert_eq!(server.requests().len(), 2, "{:?}", server.requests());
}

#[test]
fn each_fault_of_the_proxy_happens_as_planned() {
    let server = server();
    let proxy = Proxy::before(server.address()).unwrap();
    let with = |fault: Fault| {
        let mut fault = Some(fault);
        proxy.server().misbehave(move |_, _| fault.take());
        let since = Instant::now();
        let text = exchange(&proxy, "GET /a HTTP/1.1\r\nConnection: close\r\n\r\n");
        (text, server.requests().len(), since.elapsed())
    };
    let whole = |text: &str| text.starts_with("HTTP/1.1 201 ") && text.ends_with("\r\n\r\nGET /a  - false ");
    assert_eq!(with(Fault::Close).0, "");
    let (lost, asked, _) = with(Fault::Lose);
    assert_eq!((lost.as_str(), asked), ("", 1));
    let pause = Duration::from_millis(50);
    let (late, _, time) = with(Fault::Delay(pause));
    assert!(whole(&late) && time >= pause, "{late} {time:?}");
    let (slow, _, time) = with(Fault::Trickle(Duration::from_millis(1)));
    assert!(
        whole(&slow) && time >= Duration::from_millis(100),
        "{slow} {time:?}"
    );
    assert_eq!(with(hostile::raw("no HTTP")).0, "no HTTP");
    assert!(
        with(hostile::retry_after(429, "7"))
            .0
            .contains("\r\nRetry-After: 7\r\n")
    );
    assert!(
        with(hostile::redirect(302, "/b"))
            .0
            .contains("\r\nLocation: /b\r\n")
    );
    assert!(with(Fault::Cut(3)).0.ends_with("\r\n\r\nGET"));
    assert_eq!(server.requests().len(), 4, "{:?}", server.requests());
}

#[test]
fn endless_answers_end_with_the_connection() {
    let server = server();
    let proxy = Proxy::before(server.address()).unwrap();
    let faults: [fn() -> Fault; 3] = [
        || hostile::endless("text/xml", "<a>", "x"),
        || hostile::bomb("text/xml", "<a>", "x"),
        || hostile::endless_header("HTTP/1.1 200 OK", "X: y\r\n"),
    ];
    for fault in faults {
        proxy.server().misbehave(move |_, _| Some(fault()));
        let mut stream = TcpStream::connect(proxy.server().address()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut much = vec![0; 1 << 20];
        stream.read_exact(&mut much).unwrap();
        drop(stream);
    }
    // It waits for all of its connections.
    drop(proxy);
}
