//! Exchanges through a proxy.

use super::*;
use crate::error::Classify as _;

/// A proxy that connects every name with `behind` if the user is `u@s` and the password `p:w`.
fn connecting(behind: &Server) -> Server {
    let address = behind.address;
    Server::start(move |_, mut stream, proxy| {
        let request = stream.request().unwrap();
        let known = request.contains("Proxy-Authorization: Basic dUBzOnA6dw==\r\n");
        proxy.note(request);
        if !known {
            return stream.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        }
        let mut server = TcpStream::connect(address).unwrap();
        stream.send("HTTP/1.1 200 Connection established\r\n\r\n");
        let (mut from, mut to) = (stream.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut server, &mut stream);
    })
}

fn listed(list: &str) -> NoProxy {
    NoProxy {
        list: list.into(),
        origin: "the test".into(),
    }
}

fn through(proxy: &Server, user: &str, mut endpoint: Endpoint) -> Endpoint {
    endpoint.proxy = Proxy::Through {
        proxy: format!("http://{user}{}", proxy.address).parse().unwrap(),
        no_proxy: Some(listed("direct.example.com")),
    };
    endpoint
}

#[test]
fn https_goes_through_a_tunnel() {
    let (config, authority) = trust::named("vc.example.com");
    let server = Server::with_tls(config);
    let proxy = connecting(&server);
    let mut endpoint = server.endpoint("https", "vc.example.com");
    endpoint.trust = Trust::Authorities(authority.path().to_owned());
    let with = through(&proxy, "u%40s:p%3Aw@", endpoint.clone());
    assert_eq!(get(&with).unwrap(), "hello");
    let asked = proxy.seen().remove(0);
    assert!(asked.starts_with(&format!(
        "CONNECT vc.example.com:{} HTTP/1.1\r\nHost: vc",
        server.address.port()
    )));
    assert!(!server.seen()[0].contains("Proxy-"), "{:?}", server.seen());

    let error = get(&through(&proxy, "", endpoint)).unwrap_err();
    let wanted = format!(
        "the proxy {} answered 407 Proxy Authentication Required",
        proxy.address
    );
    assert_eq!((error.to_string(), error.kind()), (wanted, Kind::NoPerm));
}

#[test]
fn a_refusal_of_a_proxy_says_why() {
    let server = Server::answering(HELLO);
    for (user, fields, wanted) in [
        (
            "",
            "Proxy-Authenticate: Basic realm=\"x\"\r\n",
            "answered 407 Proxy Authentication Required",
        ),
        (
            "u:s3cret@",
            "proxy-authenticate: basic\r\n",
            "it does not accept the user \"u\" with the given password",
        ),
        (
            "u:s3cret@",
            "",
            "it does not accept the user \"u\" with the given password",
        ),
        (
            "u:s3cret@",
            "Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM TlRMTVNTUAAB\r\n",
            "it wants Negotiate, NTLM, and only Basic authentication is supported",
        ),
        (
            "u:s3cret@",
            "Proxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic\r\n",
            "does not accept the user",
        ),
    ] {
        let answer: &'static str = format!("HTTP/1.1 407 X\r\n{fields}Content-Length: 0\r\n\r\n").leak();
        for endpoint in [
            server.endpoint("https", "vc.example.com"),
            server.endpoint("http", "vc.example.com"),
        ] {
            let error = get(&through(&once(answer), user, endpoint)).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
            assert_eq!(error.kind(), Kind::NoPerm);
        }
    }
}

#[test]
fn a_proxy_that_is_not_there_is_called_a_proxy() {
    let server = Server::answering(HELLO);
    for scheme in ["https", "http"] {
        let mut endpoint = server.endpoint(scheme, "vc.example.com");
        endpoint.proxy = Proxy::parse("no-such-proxy.invalid:3128", "--proxy").unwrap();
        let error = get(&endpoint).unwrap_err();
        let wanted = "the address of the proxy no-such-proxy.invalid:3128 was not found";
        assert!(error.to_string().starts_with(wanted), "{error}");
        assert_eq!(error.kind(), Kind::TempFail);
    }
    // A proxy that accepts the connection and then sends nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let mut endpoint = server.endpoint("https", "vc.example.com");
    endpoint.proxy = Proxy::parse(&address.to_string(), "--proxy").unwrap();
    endpoint.connect_limit = SHORT;
    let error = get(&endpoint).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the proxy {address}: no connection within 0.15 s")
    );
    endpoint.connect_limit = Duration::from_secs(60);
    // Long enough for a busy machine to connect to the proxy before the deadline.
    endpoint.trust = Trust::Insecure;
    endpoint.deadline = Some(Instant::now() + Duration::from_secs(2));
    let error = get(&endpoint).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the proxy {address}: not done within the time limit")
    );
}

#[test]
fn a_proxy_with_tls_is_reported() {
    let (config, _authority) = trust::named("127.0.0.1");
    let proxy = Server::with_tls(config);
    for scheme in ["https", "http"] {
        let error = get(&through(&proxy, "", proxy.endpoint(scheme, "vc.example.com"))).unwrap_err();
        let wanted = format!(
            "the proxy {} speaks TLS on this port, and only proxies without TLS are supported",
            proxy.address
        );
        assert_eq!((error.to_string(), error.kind()), (wanted, Kind::Protocol));
    }
}

#[test]
fn http_is_forwarded_by_the_proxy() {
    let proxy = Server::answering(HELLO);
    let endpoint = Endpoint::new(Base::parse("http://vc.example.com/api", 0, "").unwrap());
    let http = http(&through(&proxy, "u%40s:p%3Aw@", endpoint));
    let long = "y".repeat(300_000);
    for _ in 0..2 {
        let response = http
            .send(&Request::post("/x?y", "text/plain", long.as_bytes()))
            .unwrap();
        assert_eq!(response.read(5).unwrap(), b"hello");
    }
    assert_eq!(proxy.connections(), 1);
    for request in proxy.seen() {
        let line = "POST http://vc.example.com/api/x?y HTTP/1.1\r\n";
        assert!(request.starts_with(line), "{}", &request[..200]);
        for field in ["host: vc.example.com", "proxy-authorization: Basic dUBzOnA6dw=="] {
            let field = format!("\r\n{field}\r\n");
            assert_eq!(request.matches(&field).count(), 1, "{}", &request[..200]);
        }
        assert!(request.ends_with(&long));
    }
}

#[test]
fn a_host_in_no_proxy_is_reached_directly() {
    let server = Server::answering(HELLO);
    let proxy = Server::answering("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
    let mut endpoint = through(&proxy, "", server.plain());
    assert!(get(&endpoint).is_err());
    if let Proxy::Through { no_proxy, .. } = &mut endpoint.proxy {
        *no_proxy = Some(listed("10.0.0.0/8,127.0.0.0/8"));
    }
    assert_eq!(get(&endpoint).unwrap(), "hello");
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_proxy_that_fails_is_named() {
    let server = Server::answering(HELLO);
    let far = || server.endpoint("https", "vc.example.com");
    for (answer, wanted, kind) in [
        (
            "HTTP/1.1 403 Forbidden\r\n\r\n",
            "the proxy ADDRESS answered 403 Forbidden",
            Kind::NoPerm,
        ),
        (
            "HTTP/1.0 503\r\n\r\n",
            "the proxy ADDRESS answered 503 Service Unavailable",
            Kind::TempFail,
        ),
        (
            "SSH-2.0\r\n\r\n",
            "the proxy ADDRESS: the answer is not valid HTTP: it has no status line; is it an HTTP proxy?",
            Kind::Protocol,
        ),
        (
            "",
            "the proxy ADDRESS: the connection ended before the answer was complete",
            Kind::TempFail,
        ),
        (
            "HTTP/1.1 200 OK\r\nX",
            "the proxy ADDRESS: the connection ended before the answer was complete",
            Kind::TempFail,
        ),
    ] {
        let proxy = once(answer);
        let error = get(&through(&proxy, "", far())).unwrap_err();
        let wanted = wanted.replace("ADDRESS", &proxy.address.to_string());
        assert_eq!((error.to_string(), error.kind()), (wanted, kind));
    }
    let proxy = once("HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n");
    let error = get(&through(&proxy, "", server.plain())).unwrap_err();
    assert!(
        matches!(error, Error::ProxyRefused { status: 407, .. }),
        "{error}"
    );

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut endpoint = far();
    endpoint.proxy = Proxy::parse(&address.to_string(), "--proxy").unwrap();
    let error = get(&endpoint).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("the proxy {address}: connection refused")),
        "{error}"
    );
    assert_eq!(server.connections(), 0);
}
