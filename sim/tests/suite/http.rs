//! The server under the simulators.

use std::net::TcpStream;
use std::sync::Arc;

use vw_sim::http::{Authority, Certificate, Fault, Request, Response, Server, Service};

use crate::client::Client;

/// Answers with what it was asked; /stream in many writes.
struct Echo;

impl Service for Echo {
    fn answer(&self, request: &Request) -> Response {
        match request.path.as_str() {
            "/stream" => Response::stream(200, "text/plain", |out| {
                (0..20_000).try_for_each(|n| writeln!(out, "line {n}"))
            }),
            "/empty" => Response {
                status: 204,
                headers: Vec::new(),
                body: vw_sim::http::Body::Bytes(Vec::new()),
            },
            _ => {
                let head = format!("{} {} {}\n", request.method, request.path, request.query);
                let mut body = head.into_bytes();
                body.extend_from_slice(&request.body);
                Response::new(200, "text/plain", body)
            }
        }
    }
}

fn plain() -> Server {
    Server::start(Arc::new(Echo), None).unwrap()
}

#[test]
fn one_connection_carries_many_requests() {
    let server = plain();
    let mut client = Client::plain(&server.url());
    let first = client.send("POST", "/a%20b?c=d", "SOAPAction: \"x\"\r\n", b"hello");
    assert_eq!((first.status, first.text()), (200, "POST /a%20b c=d\nhello"));
    let second = client.send("GET", "/stream", "", b"");
    assert!(second.head.contains("Transfer-Encoding: chunked"));
    assert_eq!(second.text().lines().count(), 20_000);
    assert!(second.text().ends_with("line 19999\n"));
    let third = client.send("GET", "/", "Connection: close\r\n", b"");
    assert!(third.head.contains("Connection: close"));
    assert!(client.closed());
    let requests = server.requests();
    let seen: Vec<_> = requests.iter().map(|r| r.request.path.as_str()).collect();
    assert_eq!(seen, ["/a%20b", "/stream", "/"]);
    assert_eq!(requests[0].request.header("soapaction"), Some("\"x\""));
    assert_eq!(requests[0].body_length, 5);
}

#[test]
fn bodies_in_chunks_and_after_100_continue_are_read() {
    let server = plain();
    let mut client = Client::plain(&server.url());
    client.write(b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: t\r\n\r\n");
    assert_eq!(client.answer().unwrap().text(), "PUT /x \nabc0123456789");
    client.write(b"PUT /y HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 100);
    client.write(b"ok");
    assert_eq!(client.answer().unwrap().text(), "PUT /y \nok");
}

#[test]
fn answers_to_head_have_no_body() {
    let server = plain();
    let mut head = Client::plain(&server.url());
    head.write(b"HEAD /stream HTTP/1.0\r\n\r\n");
    assert!(head.answer().unwrap().body.is_empty());
    let mut none = Client::plain(&server.url());
    none.write(b"GET /empty HTTP/1.1\r\nConnection: close\r\n\r\n");
    let none = none.answer().unwrap();
    assert_eq!((none.status, none.body.len()), (204, 0));
    assert!(!none.head.contains("Content-Length"));
}

#[test]
fn http_1_0_clients_get_no_chunks() {
    let server = plain();
    let mut client = Client::plain(&server.url());
    client.write(b"GET /stream HTTP/1.0\r\n\r\n");
    let answer = client.answer().unwrap();
    assert!(!answer.head.contains("chunked"));
    assert_eq!(answer.text().lines().count(), 20_000);
}

#[test]
fn invalid_requests_are_refused() {
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(101));
    let cases: [(&[u8], u16); 6] = [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
        ),
        (long.as_bytes(), 431),
        (many.as_bytes(), 431),
    ];
    let server = plain();
    for (bytes, status) in cases {
        let mut client = Client::plain(&server.url());
        client.write(bytes);
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
        assert_eq!(client.answer().unwrap().status, status, "{start:?}");
        assert!(client.closed(), "{start:?}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_certificate_is_trusted_by_its_authority_and_name_only() {
    let authority = Authority::new().unwrap();
    let other = Authority::new().unwrap();
    let serve = |certificate| {
        let tls = authority.issue(&certificate).unwrap();
        Server::start(Arc::new(Echo), Some(tls)).unwrap()
    };
    let good = serve(Certificate::Good);
    for name in ["localhost", "127.0.0.1"] {
        let mut client = Client::tls(&good.url(), &authority.pem(), name).unwrap();
        let answer = client.send("GET", "/stream", "", b"");
        assert_eq!(answer.text().lines().count(), 20_000);
    }
    let problem = |server: &Server, pem: &str| match Client::tls(&server.url(), pem, "localhost") {
        Ok(_) => "trusted".to_owned(),
        Err(error) => error,
    };
    assert!(problem(&good, &other.pem()).contains("UnknownIssuer"));
    let named = serve(Certificate::For(vec!["vc.example.com".into()]));
    assert!(problem(&named, &authority.pem()).contains("not valid for name"));
    let expired = serve(Certificate::Expired);
    assert!(problem(&expired, &authority.pem()).contains("expired"));
    let own = serve(Certificate::SelfSigned);
    assert!(problem(&own, &authority.pem()).contains("UnknownIssuer"));
}

#[test]
fn each_fault_of_the_server_happens_as_planned() {
    let authority = Authority::new().unwrap();
    let tls = authority.issue(&Certificate::Good).unwrap();
    for server in [plain(), Server::start(Arc::new(Echo), Some(tls)).unwrap()] {
        server.misbehave(|number, request| match (number, request.path.as_str()) {
            (_, "/page") => Some(Fault::Answer(Response::new(502, "text/html", "<html>"))),
            (2, _) => Some(Fault::Close),
            (3, _) => Some(Fault::Cut(4)),
            (4, _) => Some(Fault::Cut(50_000)),
            _ => None,
        });
        let connect = || match server.url().starts_with("https") {
            true => Client::tls(&server.url(), &authority.pem(), "localhost").unwrap(),
            false => Client::plain(&server.url()),
        };
        let page = connect().send("GET", "/page", "", b"");
        assert_eq!((page.status, page.text()), (502, "<html>"));
        let get = |path: &str| {
            let mut client = connect();
            client.write(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes());
            client.answer()
        };
        assert!(get("/").is_err());
        assert!(get("/").is_err());
        assert!(get("/stream").is_err());
        assert!(get("/stream").is_ok());
        server.behave();
        assert_eq!(get("/page").unwrap().status, 200);
    }
}

#[test]
fn a_dropped_server_leaves_nothing_open() {
    let server = plain();
    let address = server.address();
    server.misbehave(|_, request| match request.path.as_str() {
        "/silent" => Some(Fault::Silence),
        "/stream" => Some(Fault::Stall(40_000)),
        _ => None,
    });
    let mut idle = Client::plain(&server.url());
    idle.send("GET", "/", "", b"");
    let mut silent = Client::plain(&server.url());
    silent.write(b"GET /silent HTTP/1.1\r\n\r\n");
    let mut stalled = Client::plain(&server.url());
    stalled.write(b"GET /stream HTTP/1.0\r\n\r\n");
    assert!(stalled.body_start(40_000).starts_with(b"line 0\nline 1\n"));
    let mut halfway = Client::plain(&server.url());
    halfway.write(b"GET / HT");
    while server.requests().len() < 3 || server.connections() < 4 {
        std::thread::yield_now();
    }
    drop(server);
    assert!(idle.closed() && silent.closed() && halfway.closed());
    assert!(TcpStream::connect(address).is_err());
}
