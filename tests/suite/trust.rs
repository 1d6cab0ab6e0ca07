//! Whom a command trusts, and by which way it reaches its server: each row of the table in vw-scan-esx(1), as a process.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use tempfile::TempDir;
use vw_sim::hostile;
use vw_sim::http::{Authority, Certificate, Fault, Tls};
use vw_sim::proxy::Proxy;
use vw_sim::vcenter::{Inventory, VCenter};

use crate::support::{Outcome, Run};

/// A vCenter, and the files that a scan of it needs.
pub(crate) struct Site {
    pub(crate) vcenter: VCenter,
    folder: TempDir,
}

impl Site {
    pub(crate) fn new(tls: Option<Tls>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        Site {
            vcenter: VCenter::start(Inventory::new(1, 1), tls).unwrap(),
            folder,
        }
    }

    /// A server with a certificate of an authority whose own stands in the file `ca.pem`, the server's in `own.pem`.
    pub(crate) fn with(certificate: &Certificate) -> Self {
        let authority = Authority::new().unwrap();
        let tls = authority.issue(certificate).unwrap();
        let own = tls.pem();
        let site = Site::new(Some(tls));
        site.write("ca.pem", &authority.pem());
        site.write("own.pem", &own);
        site
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.folder.path().join(name), text).unwrap();
        self.file(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.vcenter.server().address().port()
    }

    /// A scan of the server, called by this name or URL.
    fn scan(&self, server: &str, options: &[&str]) -> Run {
        scan(server, &self.file("password")).args(options)
    }

    /// By the name that its certificates have.
    fn run(&self, options: &[&str]) -> Outcome {
        self.scan(&format!("localhost:{}", self.port()), options).run()
    }

    /// Fails unless a scan with these options is refused for this reason, and nothing was sent to the server.
    #[track_caller]
    fn refuses(&self, options: &[&str], reason: &str) -> String {
        let outcome = self.run(options);
        outcome.failed(77, reason);
        assert_eq!(self.vcenter.calls(), Vec::<String>::new());
        outcome.stderr
    }
}

fn scan(server: &str, password: &str) -> Run {
    scan_within("30", server, password)
}

fn scan_within(seconds: &str, server: &str, password: &str) -> Run {
    let run = Run::new(env!("CARGO_BIN_EXE_vw-scan-esx"));
    run.args(["--server", server, "-u", "sim", "--password-file", password])
        .args(["--timeout", seconds])
}

/// The thumbprint that the error about trust shows.
pub(crate) fn thumbprint(refused: &Outcome) -> String {
    let (_, shown) = refused.stderr.split_once("--thumbprint ").unwrap();
    shown.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn each_certificate_is_trusted_by_authority_by_itself_or_by_thumbprint() {
    let other = || Certificate::For(vec!["vc.example.com".into(), "10.0.0.1".into()]);
    // What its authority's certificate, and what its own one as --cacert, have to say about it.
    let table = [
        (Certificate::Good, Ok(()), Ok(())),
        (
            other(),
            Err("it is for vc.example.com, 10.0.0.1, not for localhost"),
            Err("not for localhost"),
        ),
        (
            Certificate::CommonName,
            Err("only the CN \"localhost\", and a CN does not count"),
            Err("only the CN \"localhost\", and a CN does not count"),
        ),
        (
            Certificate::Expired,
            Err("it expired on Mon, 01 Jan 2001 00:00:00 GMT"),
            Err("it expired on Mon, 01 Jan 2001 00:00:00 GMT"),
        ),
        (
            Certificate::NotYet,
            Err("it is not valid before Sat, 01 Jan 4000 00:00:00 GMT"),
            Err("it is not valid before Sat, 01 Jan 4000 00:00:00 GMT"),
        ),
        (
            Certificate::SelfSigned,
            Err("no trusted authority has signed it"),
            Ok(()),
        ),
        (
            Certificate::SelfSignedAuthority,
            Err("it is self-signed, or an authority's own"),
            Ok(()),
        ),
        (
            Certificate::Version1,
            Err("X.509 version 1"),
            Err("X.509 version 1"),
        ),
    ];
    for (certificate, by_authority, by_itself) in table {
        let site = Site::with(&certificate);
        for (file, expected) in [("ca.pem", by_authority), ("own.pem", by_itself)] {
            let options = ["--cacert", &site.file(file)];
            match expected {
                Err(reason) => {
                    let error = site.refuses(&options, reason);
                    // No authority's file helps against a wrong name or date.
                    let issuer = reason.contains("signed");
                    assert_eq!(
                        error.contains("pass its authority with --cacert"),
                        issuer,
                        "{error}"
                    );
                }
                Ok(()) => _ = site.run(&options).quiet_success(),
            }
        }
        // The system's authorities know none of them.
        let unknown = site.write("unknown.pem", &Authority::new().unwrap().pem());
        let address = format!("localhost:{}", site.port());
        let refused = site.scan(&address, &[]).env("SSL_CERT_FILE", &unknown).run();
        refused.failed(77, "its certificate is not trusted");
        let shown = thumbprint(&refused);
        for form in [
            shown.clone(),
            format!("SHA256:{}", shown.replace(':', "").to_lowercase()),
            format!("sha256 Fingerprint={shown}"),
        ] {
            site.run(&["--thumbprint", &form]).quiet_success();
        }
        site.run(&["--insecure"]).quiet_success();
        assert_eq!(site.vcenter.open().sessions, 0);
        let wrong = site.run(&["--thumbprint", &"ab".repeat(32)]);
        wrong.failed(77, "not the one given");
    }
}

/// Whoever has the key of an ordinary certificate in the file could otherwise speak for any server.
#[test]
fn only_an_authority_can_vouch_for_another_certificate() {
    let pretended = Authority::pretended().unwrap();
    let tls = pretended.issue(&Certificate::Good).unwrap();
    let own = tls.pem();
    let site = Site::new(Some(tls));
    let alone = site.write("alone.pem", &pretended.pem());
    let with_authority = site.write("both.pem", &(Authority::new().unwrap().pem() + &pretended.pem()));
    site.refuses(
        &["--cacert", &alone],
        "none of the given certificates is an authority's (CA:TRUE)",
    );
    site.refuses(
        &["--cacert", &with_authority],
        "is not an authority's (CA:TRUE is missing)",
    );
    let address = format!("localhost:{}", site.port());
    let by_system = site
        .scan(&address, &[])
        .env("SSL_CERT_FILE", &with_authority)
        .run();
    by_system.failed(77, "CA:TRUE is missing");
    let own = site.write("own.pem", &(pretended.pem() + &own));
    site.run(&["--cacert", &own]).quiet_success();
}

#[test]
fn an_endless_file_of_certificates_is_refused() {
    let site = Site::with(&Certificate::Good);
    let conf = site.write(
        "a.conf",
        &format!(
            "[prod]\ntype=esx\nserver=localhost:{}\nusername=sim\ncacert=/dev/zero\n",
            site.port()
        ),
    );
    let password = site.file("password");
    let section = ["-n", "prod", "-c", &conf, "--password-file", &password];
    let candlepin = |options: &[&str]| {
        let run = Run::new(env!("CARGO_BIN_EXE_vw-report-candlepin"));
        let run = run.args([
            "--check",
            "--owner",
            "sim",
            "--server",
            "https://127.0.0.1:1/candlepin",
        ]);
        run.args(options).env("VW_CONFIG", &site.write("empty.conf", ""))
    };
    let good = site.file("own.pem");
    let runs = [
        site.scan("localhost", &["--cacert", "/dev/zero"]),
        site.scan("localhost", &[]).env("SSL_CERT_FILE", "/dev/zero"),
        Run::new(env!("CARGO_BIN_EXE_vw-scan-esx")).args(section),
        candlepin(&["--cert", "/dev/zero"]),
        candlepin(&["--cert", &good, "--key", "/dev/zero"]),
    ];
    for run in runs {
        let (outcome, used) = run.measured();
        outcome.failed(78, "/dev/zero: it is larger than 8 MiB");
        assert!(used.memory < 60 << 20, "{used:?}");
    }
    // A pipe that always has more.
    let script = "yes | exec \"$0\" --server localhost -u sim --password-file \"$1\" --cacert /dev/stdin";
    let piped = Run::new("/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_vw-scan-esx"), &password]);
    piped.run().failed(78, "/dev/stdin: it is larger than 8 MiB");
}

#[test]
fn ssl_cert_file_replaces_the_systems_authorities() {
    let site = Site::with(&Certificate::Good);
    let by = |file: &str| {
        site.scan(&format!("127.0.0.1:{}", site.port()), &[])
            .env("SSL_CERT_FILE", file)
    };
    by(&site.file("ca.pem")).run().quiet_success();
    // Where nobody is trusted no server is asked: what is missing is named.
    for (file, words) in [("none.pem", "none.pem"), ("password", "password")] {
        let outcome = by(&site.file(file)).run();
        outcome.failed(78, words);
        assert!(outcome.stderr.contains("--cacert"), "{outcome:?}");
    }
    // --cacert stands in place of the system's authorities, not beside them.
    let unknown = site.write("unknown.pem", &Authority::new().unwrap().pem());
    let both = by(&site.file("ca.pem")).args(["--cacert", &unknown]).run();
    both.failed(77, "no trusted authority has signed it");
    let instead = by(&site.file("none.pem")).args(["--cacert", &site.file("ca.pem")]);
    instead.run().quiet_success();
}

#[test]
fn a_folder_of_authorities_is_read_as_well() {
    let site = Site::with(&Certificate::Good);
    let empty = site.folder.path().join("certs");
    fs::create_dir(&empty).unwrap();
    let run = site.scan(&format!("localhost:{}", site.port()), &[]);
    let run = run.env("SSL_CERT_FILE", &site.file("ca.pem"));
    run.env("SSL_CERT_DIR", empty.to_str().unwrap())
        .run()
        .quiet_success();
}

#[test]
fn http_to_a_tls_port_and_https_to_a_plain_port_say_so() {
    let site = Site::with(&Certificate::Good);
    let address = format!("localhost:{}", site.port());
    let plain = site.scan(&format!("http://{address}"), &[]).run();
    plain.failed(76, &format!("{address} speaks TLS on this port; use https://"));
    let site = Site::new(None);
    let refused = site.run(&["--insecure"]);
    refused.failed(76, "the server does not speak TLS on this port");
    assert!(refused.stderr.contains("(http://)"), "{refused:?}");
}

#[test]
fn a_server_without_a_common_tls_version_or_cipher_says_so() {
    // The alerts of servers that know only older versions, or other ciphers, and something that is no TLS at all.
    for (answer, words) in [
        (&b"\x15\x03\x01\x00\x02\x02\x46"[..], "no TLS connection"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "no TLS connection"),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "the server does not speak TLS on this port",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        fs::write(&password, "sim-secret").unwrap();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer);
            let _ = stream.read(&mut [0; 4096]);
        });
        let run = scan(&address, password.to_str().unwrap()).args(["--insecure"]);
        run.run().failed(76, words);
        serving.join().unwrap();
    }
}

/// A server by HTTP or HTTPS, and a proxy before it that wants credentials.
pub(crate) fn behind_a_proxy(https: bool) -> (Site, Proxy) {
    let site = match https {
        true => Site::with(&Certificate::For(vec![
            "vc.example.com".into(),
            "127.0.0.1".into(),
        ])),
        false => Site::new(None),
    };
    let proxy = Proxy::with_credentials(site.vcenter.server().address(), "us@er", "p:s3cret").unwrap();
    (site, proxy)
}

/// The proxy's URL with credentials, percent-encoded.
pub(crate) fn known(proxy: &Proxy) -> String {
    proxy.url().replace("http://", "http://us%40er:p%3As3cret@")
}

/// What the proxy was asked to do first.
pub(crate) fn asked(proxy: &Proxy) -> Option<String> {
    let first = proxy.server().requests().into_iter().next()?.request;
    Some(format!("{} {}", first.method, first.path))
}

#[test]
fn a_proxy_is_used_by_option_and_by_environment() {
    const OPTION: &str = "--proxy";
    let table: [(bool, &[&str]); 2] = [
        (
            true,
            &[OPTION, "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        ),
        (false, &[OPTION, "http_proxy", "all_proxy", "ALL_PROXY"]),
    ];
    for (https, ways) in table {
        for way in ways {
            let (site, proxy) = behind_a_proxy(https);
            // Only the proxy knows this name.
            let server = if https {
                "https://vc.example.com"
            } else {
                "http://vc.example.com"
            };
            let by = |url: &str| {
                let mut run = site.scan(server, &[]);
                if https {
                    run = run.args(["--cacert", &site.file("ca.pem")]);
                }
                match *way {
                    OPTION => run.args([OPTION, url]).run(),
                    variable => run.env(variable, url).run(),
                }
            };
            by(&known(&proxy)).quiet_success();
            let wanted = match https {
                true => "CONNECT vc.example.com:443",
                false => "GET http://vc.example.com/sdk/vimServiceVersions.xml",
            };
            assert_eq!(asked(&proxy).as_deref(), Some(wanted), "{way}");
            assert_eq!(site.vcenter.open().sessions, 0);
            let before = site.vcenter.requests().len();
            for (wrong, advice) in [
                (proxy.url(), "give its URL with a user name"),
                (
                    proxy.url().replace("http://", "http://us%40er:wr0ng@"),
                    "it does not accept the user \"us@er\" with the given password",
                ),
            ] {
                let refused = by(&wrong);
                refused.failed(77, "407");
                refused.failed(77, advice);
                assert!(!refused.stderr.contains("wr0ng"), "{refused:?}");
            }
            assert_eq!(site.vcenter.requests().len(), before, "{way}");
        }
    }
    // HTTP_PROXY is a CGI's client's, not the environment's.
    let (site, proxy) = behind_a_proxy(false);
    let straight = site
        .scan(&site.vcenter.url(), &[])
        .env("HTTP_PROXY", &known(&proxy));
    straight.run().quiet_success();
    assert_eq!(asked(&proxy), None);
}

#[test]
fn no_proxy_and_an_empty_option_switch_the_proxy_off() {
    let (site, proxy) = behind_a_proxy(true);
    let port = site.port();
    let here = format!("127.0.0.1:{port}");
    let listed = format!("localhost,127.0.0.1:{port}");
    // With the proxy a scan would succeed, too: who was asked tells them apart.
    let table: [(&str, &[&str], bool); 9] = [
        ("", &[], true),
        ("127.0.0.1", &[], false),
        ("example.com, 127.0.0.0/8", &[], false),
        ("*", &[], false),
        (&listed, &[], false),
        ("127.0.0.1:1", &[], true),
        ("0.0.1", &[], true),
        ("127.0.0.1", &["--proxy", ""], false),
        ("", &["--proxy", ""], false),
    ];
    for name in ["no_proxy", "NO_PROXY"] {
        for (list, options, through) in table {
            let before = proxy.server().requests().len();
            let run = site
                .scan(&here, &["--cacert", &site.file("ca.pem")])
                .args(options);
            let run = run.env("https_proxy", &known(&proxy)).env(name, list);
            run.run().quiet_success();
            assert_eq!(
                proxy.server().requests().len() > before,
                through,
                "{name}={list} {options:?}"
            );
        }
    }
    // A proxy that is asked for by option bows to the list as well.
    let before = proxy.server().requests().len();
    let run = site.scan(
        &here,
        &["--cacert", &site.file("ca.pem"), "--proxy", &known(&proxy)],
    );
    run.env("NO_PROXY", "127.0.0.1").run().quiet_success();
    assert_eq!(proxy.server().requests().len(), before);
}

#[test]
fn a_failing_proxy_is_named_and_not_the_server() {
    let (site, proxy) = behind_a_proxy(true);
    type Trouble = fn() -> Fault;
    let table: [(Trouble, i32, &str); 5] = [
        (|| hostile::status(503), 75, "503"),
        (|| hostile::page(403), 77, "403"),
        (|| Fault::Close, 75, "before the answer was complete"),
        (|| hostile::raw("SSH-2.0\r\n\r\n"), 76, "is it an HTTP proxy?"),
        (
            || hostile::endless_header("HTTP/1.1 200 OK", "X: y\r\n"),
            76,
            "header",
        ),
    ];
    for (fault, status, words) in table {
        proxy.server().misbehave(move |_, _| Some(fault()));
        let options = ["--cacert", &site.file("ca.pem"), "--proxy", &known(&proxy)];
        // What may pass is tried again.
        let seconds = if status == 75 { "3" } else { "30" };
        let run = scan_within(seconds, "vc.example.com", &site.file("password"));
        let outcome = run.args(options).run();
        assert_eq!(outcome.status, status, "{outcome:?}");
        let last = outcome.stderr.lines().last().unwrap();
        assert!(
            last.contains("the proxy 127.0.0.1:") && last.contains(words),
            "{outcome:?}"
        );
        assert!(!outcome.stderr.contains("s3cret"), "{outcome:?}");
    }
    assert_eq!(site.vcenter.requests().len(), 0);
}
