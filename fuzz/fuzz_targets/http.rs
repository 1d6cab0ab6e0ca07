//! Any bytes in place of what a server answers, what a proxy answers to CONNECT, and a saved exchange. What is read is bounded, and
//! no error shows a password or a long text.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use vw::cancel::Cancel;
use vw::error::Classify as _;
use vw::http::{Base, Endpoint, Error, Http, LONGEST_PAUSE, Proxy, Replay, Request, Trust};
use vw::secret::Secret;

const PASSWORD: &str = "s3cret-Passw0rd";

/// The most bytes of a body that are read.
const LIMIT: u64 = 2000;

/// The most characters of an error: two of the longest texts that a server may have in one, and our own words.
const LONGEST: usize = 1500;

/// What the server answers, whatever it is asked.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

thread_local! {
    static PORT: u16 = serve();
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

pub fn run(bytes: &[u8]) {
    let Some((way, bytes)) = bytes.split_first() else {
        return;
    };
    if bytes
        .windows(PASSWORD.len())
        .any(|part| part == PASSWORD.as_bytes())
    {
        return;
    }
    match way % 4 {
        0 => over_the_network(bytes, "http", ""),
        1 => over_the_network(bytes, "http", PASSWORD),
        2 => over_the_network(bytes, "https", PASSWORD),
        _ => FOLDER.with(|folder| saved(bytes, folder.path())),
    }
}

/// Asks a server, through a proxy if there is a password for the proxy.
fn over_the_network(answer: &[u8], scheme: &str, password: &str) {
    answer.clone_into(&mut ANSWER.lock().unwrap_or_else(PoisonError::into_inner));
    let here = format!("127.0.0.1:{}", PORT.with(|port| *port));
    let mut endpoint =
        Endpoint::new(Base::parse(&format!("{scheme}://{here}/api"), 80, "").expect("an address"));
    endpoint.proxy = match password.is_empty() {
        true => Proxy::none("the fuzzer"),
        false => Proxy::parse(&format!("http://me:{password}@{here}"), "--proxy").expect("a proxy"),
    };
    endpoint.trust = Trust::Insecure;
    endpoint.silence_limit = Duration::from_secs(10);
    ask(&endpoint, answer);
}

/// A saved exchange: its answer, or the whole of its request.
fn saved(bytes: &[u8], folder: &std::path::Path) {
    let write = |name: &str, content: &[u8]| {
        fs::write(folder.join(name), content).expect("a file that can be written");
    };
    let mut endpoint =
        Endpoint::new(Base::parse("http://server.example.com/api", 80, "").expect("an address"));
    for (request, answer) in [
        (&b"GET /api/x HTTP/1.1\r\nHost: h\r\n\r\n"[..], bytes),
        (bytes, &b"HTTP/1.1 200\r\n\r\nbody"[..]),
    ] {
        write("1-request.http", request);
        write("1-response.http", answer);
        match Replay::open(folder) {
            Ok(replay) => endpoint.replay = Some(replay),
            Err(error) => {
                is_short(&error);
                continue;
            }
        }
        ask(&endpoint, bytes);
    }
}

fn ask(endpoint: &Endpoint, answer: &[u8]) {
    let http = Http::new(endpoint, &Cancel::default()).expect("good settings");
    let secret = Secret::from(PASSWORD.to_owned());
    let request = Request::get("/x").basic("me", &secret).gzip().limit(LIMIT * 2);
    let read = http.send(&request).and_then(|response| {
        let _ = (response.is_html(), response.header("Location").map(str::len));
        response.success()?.read(LIMIT)
    });
    match read {
        Ok(body) => assert!(body.len() as u64 <= LIMIT),
        Err(error) => {
            is_short(&error);
            assert!(error.retry_after().is_none_or(|pause| pause <= LONGEST_PAUSE));
            let shown = format!("{} {error:?}", error.with_causes());
            assert!(
                !shown.contains(PASSWORD),
                "{shown}, {:?}",
                String::from_utf8_lossy(answer)
            );
        }
    }
}

fn is_short(error: &Error) {
    let shown = error.with_causes().to_string();
    assert!(shown.chars().count() <= LONGEST, "{shown}");
}

/// Starts the server, and returns its port.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            // What has not been read when a connection is closed makes it break instead of end.
            let (mut asked, mut piece) = (Vec::new(), [0; 4096]);
            while !asked.ends_with(b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => asked.extend_from_slice(&piece[..length]),
                }
            }
            let answer = ANSWER.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let _ = stream.write_all(&answer);
        }
    });
    port
}
