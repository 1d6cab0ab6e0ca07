//! The keys of a section for certificates and proxies, of the source and of both destinations.

mod destinations;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;
use vw_sim::http::{Authority, Certificate, Tls};
use vw_sim::proxy::Proxy;

use crate::support::{Run, with_time};
use crate::trust::{Site, asked, behind_a_proxy, known};

const SCAN: &str = env!("CARGO_BIN_EXE_vw-scan-esx");
const CONFIG: &str = env!("CARGO_BIN_EXE_vw-config");

/// The thumbprint as openssl prints it.
fn fingerprint(tls: &Tls) -> String {
    use std::fmt::Write as _;
    let digest = ring::digest::digest(&ring::digest::SHA256, tls.certificate());
    let mut text = String::new();
    for byte in digest.as_ref() {
        let _ = write!(text, "{}{byte:02X}", if text.is_empty() { "" } else { ":" });
    }
    text
}

impl Site {
    /// A scan of `[prod]`, which also has these lines.
    fn section(&self, lines: &str) -> Run {
        let server = match lines.starts_with("server=") || lines.contains("\nserver=") {
            true => String::new(),
            false => format!("server=localhost:{}\n", self.port()),
        };
        let text = format!("[prod]\ntype=esx\n{server}username=sim\n{lines}\n");
        self.configured(&text)
    }

    /// A scan of `[prod]` in this configuration.
    fn configured(&self, text: &str) -> Run {
        let file = self.write("a.conf", text);
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        let run = Run::new(SCAN).args(["-n", "prod", "--password-file", "password"]);
        run.env("VW_CONFIG", "a.conf").folder(self.folder())
    }
}

#[test]
fn a_section_sets_how_the_certificate_of_its_source_is_verified() {
    let authority = Authority::new().unwrap();
    let tls = authority.issue(&Certificate::Good).unwrap();
    let (own, thumbprint) = (tls.pem(), fingerprint(&tls));
    let site = Site::new(Some(tls));
    site.write("ca.pem", &authority.pem());
    site.write("own.pem", &own);
    site.write("other.pem", &Authority::new().unwrap().pem());
    let wrong = "ab".repeat(32);
    // A relative path starts at the working directory.
    let absolute = site.file("ca.pem");
    for lines in [
        "cacert=ca.pem".to_owned(),
        format!("cacert={absolute}"),
        "cacert=own.pem\ninsecure=no".to_owned(),
        format!("thumbprint={thumbprint}"),
        format!("thumbprint=sha256 Fingerprint={thumbprint}"),
        "insecure=1".to_owned(),
    ] {
        site.section(&lines).run().quiet_success();
    }
    for (lines, words) in [
        (
            "cacert=other.pem".to_owned(),
            "no trusted authority has signed it",
        ),
        (format!("thumbprint={wrong}"), "not the one given"),
        ("insecure=0".to_owned(), "its certificate is not trusted"),
    ] {
        site.section(&lines).run().failed(77, words);
        // Options beat the section.
        for options in [
            &["--cacert", "ca.pem"][..],
            &["--thumbprint", &thumbprint],
            &["--insecure"],
        ] {
            site.section(&lines).args(options).run().quiet_success();
        }
    }
    site.section("insecure=1")
        .args(["--cacert", "other.pem"])
        .run()
        .failed(77, "not trusted");
    let defaults = format!(
        "[defaults]\ncacert=other.pem\n[prod]\ntype=esx\nserver=localhost:{}\nusername=sim\n",
        site.port()
    );
    site.configured(&defaults).run().failed(77, "not trusted");
    site.configured(&format!("{defaults}thumbprint={thumbprint}\n"))
        .run()
        .quiet_success();
}

#[test]
fn contradictions_in_a_section_are_named_with_file_line_and_key() {
    let site = Site::new(None);
    site.write("ca.pem", &Authority::new().unwrap().pem());
    let thumbprint = format!("thumbprint={}", "ab".repeat(32));
    for (lines, words) in [
        (
            format!("cacert=ca.pem\n{thumbprint}"),
            "a.conf:6: [prod] thumbprint: contradicts cacert in a.conf:5",
        ),
        (
            format!("{thumbprint}\ninsecure=yes"),
            "a.conf:6: [prod] insecure: contradicts thumbprint in a.conf:5",
        ),
        (
            "server=esx://vc.example.com?no_verify=1\ncacert=ca.pem".to_owned(),
            "a.conf:5: [prod] cacert: contradicts no_verify=1 in server in a.conf:4",
        ),
        (
            "server=esx://vc.example.com?proxy=p\nproxy=q".to_owned(),
            "a.conf:5: [prod] proxy: contradicts proxy= in server in a.conf:4",
        ),
        (
            "cacert=nosuch.pem".to_owned(),
            "a.conf:5: [prod] cacert: nosuch.pem: No such file or directory",
        ),
        (
            "thumbprint=abcd".to_owned(),
            "a.conf:5: [prod] thumbprint: a thumbprint is a SHA-256",
        ),
        (
            "insecure=maybe".to_owned(),
            "a.conf:5: [prod] insecure: 'maybe' is neither yes nor no",
        ),
        (
            "proxy=socks5://u:s3cret@p".to_owned(),
            "a.conf:5: [prod] proxy: only http:// proxies",
        ),
    ] {
        let outcome = site.section(&lines).args(["-q"]).run();
        outcome.failed(78, words);
        assert!(!outcome.stderr.contains("s3cret"), "{outcome:?}");
        if words.contains("contradicts") {
            let check = Run::new(CONFIG).args(["check"]).env("VW_CONFIG", "a.conf");
            let check = check.folder(site.folder()).run();
            assert!(check.status == 78 && check.stdout.contains(words), "{check:?}");
        }
    }
    assert_eq!(site.vcenter.requests().len(), 0);
}

#[test]
fn the_proxy_of_a_source_comes_from_section_and_password_file() {
    let (site, proxy) = behind_a_proxy(true);
    site.write("secret", "p:s3cret\n");
    let url = proxy.url().replace("http://", "http://us%40er@");
    let section = |lines: &str| {
        let lines = format!("server=vc.example.com\ncacert=ca.pem\n{lines}");
        site.section(&lines).args(["-q"])
    };
    // Without credentials, with a user alone, and with both.
    section(&format!("proxy={}", proxy.url()))
        .run()
        .failed(77, "give its URL with a user name");
    section(&format!("proxy={url}"))
        .run()
        .failed(77, "does not accept the user \"us@er\"");
    section(&format!("proxy={}", known(&proxy))).run().quiet_success();
    section(&format!("proxy={url}\nproxy_password_file=secret"))
        .run()
        .quiet_success();
    let file = ["--proxy-password-file", "secret"];
    section(&format!("proxy={url}")).args(file).run().quiet_success();
    section("")
        .args(["--proxy", &url])
        .args(file)
        .run()
        .quiet_success();
    section("")
        .args(file)
        .env("https_proxy", &url)
        .run()
        .quiet_success();
    // It is read once, because a pipe can be read only once.
    let script = "printf p:s3cret | exec \"$0\" \"$@\" --proxy-password-file /dev/stdin";
    let piped = Run::new("/bin/sh").args(["-c", script, SCAN, "-n", "prod", "--password-file", "password"]);
    let piped = piped.env("VW_CONFIG", "a.conf").folder(site.folder());
    piped.env("https_proxy", &url).run().quiet_success();

    site.write("long", &"x".repeat(70_000));
    for (lines, options, status, words) in [
        (
            format!("proxy={}", known(&proxy)),
            &file[..],
            78,
            "it has a password already",
        ),
        (
            format!("proxy={}", proxy.url()),
            &file,
            78,
            "a password needs a user name",
        ),
        (
            format!("proxy={url}\nproxy_password_file=nosuch"),
            &[],
            78,
            "proxy_password_file in a.conf:7: nosuch: No such file",
        ),
        (
            format!("proxy={url}"),
            &["--proxy-password-file", "long"],
            78,
            "--proxy-password-file long: is longer than",
        ),
    ] {
        let outcome = section(&lines).args(options).run();
        outcome.failed(status, words);
        assert!(!outcome.stderr.contains("s3cret"), "{outcome:?}");
    }
    // The section's password file is for the section's proxy, not for the proxy of an option.
    let lines = "proxy=p:1\nproxy_password_file=secret";
    section(lines)
        .args(["--proxy", &known(&proxy)])
        .run()
        .quiet_success();
}

#[test]
fn a_proxy_password_without_a_proxy_is_warned_of() {
    let site = Site::with(&Certificate::Good);
    site.write("secret", "s3cret\n");
    let scan = |no_proxy: &str, url: &str| {
        let run = site
            .section("cacert=ca.pem")
            .args(["--proxy-password-file", "secret"]);
        run.env("https_proxy", url).env("no_proxy", no_proxy).run()
    };
    let unused = scan("", "");
    assert_eq!(unused.status, 0, "{unused:?}");
    assert!(
        unused.stderr.contains("--proxy-password-file is not used"),
        "{unused:?}"
    );
    // Nothing is wrong with the key if this server is reached without the proxy.
    scan("localhost", "http://me@p:1").quiet_success();
}

#[test]
fn the_proxy_of_system_environment_is_used_as_in_virt_who() {
    let (site, proxy) = behind_a_proxy(true);
    let scan = |lines: &str| {
        let text = format!(
            "[system_environment]\n{lines}\n[prod]\ntype=esx\nserver=vc.example.com\nusername=sim\ncacert=ca.pem\n"
        );
        site.configured(&text)
    };
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"] {
        scan(&format!("{name}={}", known(&proxy))).run().quiet_success();
    }
    // https_proxy comes first, and the section's variables before those of the process.
    let lines = format!("http_proxy=http://127.0.0.1:1\nhttps_proxy={}", known(&proxy));
    scan(&lines)
        .env("https_proxy", "http://127.0.0.1:2")
        .run()
        .quiet_success();
    // The environment of the process is read as in curl.
    let words = "vc.example.com:443 is reached without a proxy (no proxy is set)";
    let straight = with_time(&[words], |limit| {
        let run = scan("x=y").env("http_proxy", &known(&proxy));
        run.args(["-d", "--timeout", limit]).run()
    });
    assert!(straight.stderr.contains(words), "{straight:?}");
    // no_proxy there also applies to a proxy of the process's environment.
    let words =
        "is reached without a proxy (no_proxy in [system_environment] (a.conf:2) lists \"*.example.com\"";
    let exempt = with_time(&[words], |limit| {
        let run = scan("no_proxy=*.example.com").env("https_proxy", &known(&proxy));
        run.args(["-d", "--timeout", limit]).run()
    });
    assert!(exempt.stderr.contains(words), "{exempt:?}");
}

#[test]
fn an_https_proxy_is_used_over_http_unless_that_would_show_a_password() {
    let site = Site::with(&Certificate::For(vec!["vc.example.com".into()]));
    let proxy = Proxy::before(site.vcenter.server().address()).unwrap();
    let https = proxy.url().replace("http://", "https://");
    let secret = https.replace("https://", "https://me:s3cret@");
    let scan = |system: &str, process: &str| {
        let text = format!(
            "[system_environment]\n{system}\n[prod]\ntype=esx\nserver=vc.example.com\nusername=sim\ncacert=ca.pem\n"
        );
        site.configured(&text).env("https_proxy", process).run()
    };
    for (outcome, place) in [
        (
            scan(&format!("https_proxy={https}"), ""),
            "https_proxy in [system_environment] (a.conf:2)",
        ),
        (scan("x=y", &https), "https_proxy in the environment"),
    ] {
        assert_eq!(outcome.status, 0, "{outcome:?}");
        let warning = format!("vw-scan-esx: warning: {place} says https://");
        assert!(outcome.stderr.contains(&warning), "{outcome:?}");
        assert_eq!(outcome.stderr.matches("says https://").count(), 1, "{outcome:?}");
    }
    assert_eq!(asked(&proxy).as_deref(), Some("CONNECT vc.example.com:443"));
    let before = proxy.server().requests().len();
    for (outcome, place) in [
        (
            scan(&format!("https_proxy={secret}"), ""),
            "https_proxy in [system_environment] (a.conf:2)",
        ),
        (scan("x=y", &secret), "https_proxy in the environment"),
    ] {
        assert_eq!(outcome.status, 78, "{outcome:?}");
        let error = format!("{place} is not usable: the connection to an https:// proxy has no TLS");
        assert!(
            outcome.stderr.contains(&error) && !outcome.stderr.contains("s3cret"),
            "{outcome:?}"
        );
    }
    assert_eq!(proxy.server().requests().len(), before);
}

#[test]
fn an_unreachable_proxy_is_named_as_a_proxy() {
    let site = Site::new(None);
    // Nobody listens on this port. A port that was free a moment ago may belong to another test now.
    let closed = "127.0.0.1:1";
    for server in ["https://vc.example.com", "http://vc.example.com"] {
        let lines = format!("server={server}\nproxy={closed}");
        let words = format!("the proxy {closed}: connection refused");
        let outcome = with_time(&[&words], |limit| {
            site.section(&lines).args(["--timeout", limit]).run()
        });
        assert_eq!(outcome.status, 75, "{outcome:?}");
        assert!(outcome.stderr.contains(&words), "{outcome:?}");
    }
}

#[test]
fn debug_messages_name_proxy_trust_and_tls_version() {
    let (site, proxy) = behind_a_proxy(true);
    let url = known(&proxy);
    let lines = format!("server=vc.example.com\ncacert=ca.pem\nproxy={url}");
    let outcome = site.section(&lines).args(["-d"]).run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let place = url.rsplit('@').next().unwrap();
    for words in [
        "debug: the certificate of vc.example.com:443 is verified by the certificates in ca.pem (cacert in a.conf:5)".to_owned(),
        format!("debug: vc.example.com:443 is reached through the proxy http://{place} (proxy in a.conf:6)"),
        "debug: vc.example.com:443: TLS 1.3, TLS13_AES_256_GCM_SHA384, trusted by the certificates in ca.pem".to_owned(),
        "the server's certificate is SHA256:".to_owned(),
    ] {
        assert!(outcome.stderr.contains(&words), "{words}: {outcome:?}");
    }
    assert!(!outcome.stderr.contains("s3cret"), "{outcome:?}");
    for (options, words) in [
        (
            &["--insecure"][..],
            "is verified by no verification at all (--insecure)",
        ),
        (&["--proxy", ""], "is reached without a proxy (--proxy is empty)"),
    ] {
        let outcome = with_time(&[words], |limit| {
            let run = site.section(&lines).args(["-d", "--timeout", limit]);
            run.args(options).run()
        });
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    }
}

#[test]
fn vw_config_shows_the_proxy_in_force_and_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let show = |text: &str, options: &[&str], environment: &[(&str, &str)]| {
        fs::write(folder.path().join("a.conf"), text).unwrap();
        let mut run = Run::new(CONFIG).args(["show", "prod"]).args(options);
        for (name, value) in environment {
            run = run.env(name, value);
        }
        run.env("VW_CONFIG", "a.conf").folder(folder.path()).run()
    };
    let prod = "[prod]\ntype=esx\nserver=vc.example.com\nrhsm_hostname=sat.lan\nproxy=http://me:s3cret@p:1\n";
    let exported = format!("{prod}rhsm_no_proxy=.lan\n[system_environment]\nhttp_proxy=q:2\n");
    let shown = show(&exported, &["--json"], &[]);
    assert_eq!(shown.status, 0, "{shown:?}");
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(
        shown["proxies"],
        json!([
            {"end": "source", "server": "vc.example.com:443", "proxy": "http://p:1", "why": "proxy in a.conf:5", "error": null},
            {"end": "destination", "server": "sat.lan:443", "proxy": null,
             "why": "rhsm_no_proxy in a.conf:6 lists \".lan\"; unused: http_proxy in [system_environment] (a.conf:8)",
             "error": null},
        ])
    );
    let environment = [
        ("https_proxy", "http://u:s3cret@e:3"),
        ("NO_PROXY", "example.com"),
    ];
    let direct = show(
        &format!("{prod}rhsm_proxy_hostname=\n"),
        &["--json"],
        &environment,
    );
    let direct: serde_json::Value = serde_json::from_str(&direct.stdout).unwrap();
    assert_eq!(
        direct["proxies"][1]["why"],
        "rhsm_proxy_hostname in a.conf:6 is empty"
    );
    let text = show(
        "[prod]\ntype=esx\nserver=vc.example.com\nsat_server=sat5\n",
        &[],
        &environment,
    )
    .stdout;
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = text.lines().map(words).collect();
    for wanted in [
        "source vc.example.com:443 no proxy NO_PROXY in the environment lists \"example.com\"; unused: https_proxy in the environment",
        "destination sat5:443 http://e:3 https_proxy in the environment",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
    // A setting that cannot be determined is shown with the reason.
    let text = show("[prod]\ntype=esx\nserver=esx://vc?proxy=q\nproxy=p\n", &[], &[]).quiet_success();
    assert!(
        text.contains("(error: a.conf:4: [prod] proxy: contradicts proxy= in server in a.conf:3"),
        "{text}"
    );
}

/// A FIFO without a writer does not block signals.
#[test]
fn a_signal_ends_the_wait_for_a_file_of_certificates() {
    let site = Site::new(None);
    let fifo = site.file("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let child = Command::new(SCAN)
        .args(["--server", "localhost", "-u", "sim", "--password-file"])
        .args([&site.file("password"), "--cacert", &fifo])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // When both ends are open, the command has begun to read. Our end stays open, so the read does not end.
    let writer = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    let killed = Command::new("kill").arg(child.id().to_string()).status();
    assert!(killed.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    drop(writer);
}
