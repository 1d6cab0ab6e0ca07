//! The keys of a section for certificates and proxies of Candlepin and Satellite 5.

use std::fs;
use std::sync::Arc;

use vw_sim::candlepin::Candlepin;
use vw_sim::http::{Authority, Certificate, Server, Service};
use vw_sim::proxy::Proxy;
use vw_sim::satellite5::Satellite5;

use super::fingerprint;
use crate::support::Run;
use crate::trust::asked;

const MAPPING: &str = r#"{"hypervisors":[{"uuid":"h1","guests":[]}]}"#;

/// A destination with TLS, and its section.
struct Destination {
    server: Server,
    folder: tempfile::TempDir,
    thumbprint: String,
}

impl Destination {
    fn new(service: Arc<dyn Service>) -> Self {
        let authority = Authority::new().unwrap();
        let tls = authority.issue(&Certificate::Good).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", &authority.pem());
        write("other.pem", &Authority::new().unwrap().pem());
        write("password", "sim-secret\n");
        write("secret", "p:s3cret\n");
        let thumbprint = fingerprint(&tls);
        let server = Server::start(service, Some(tls)).unwrap();
        Destination {
            server,
            folder,
            thumbprint,
        }
    }

    fn address(&self) -> String {
        format!("localhost:{}", self.server.address().port())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// A report of `[prod]`, which also has these lines.
    fn report(&self, program: &str, lines: &str) -> Run {
        self.write("a.conf", &format!("[prod]\ntype=esx\n{lines}\n"));
        let run = Run::new(program).args([
            "-n",
            "prod",
            "-q",
            "--timeout",
            "20",
            "--password-file",
            "password",
        ]);
        let run = match program.ends_with("sat5") {
            true => run.args(["--state-dir", "state"]),
            false => run.args(["--rhsm-conf", "rhsm.conf"]),
        };
        run.env("VW_CONFIG", "a.conf")
            .folder(self.folder.path())
            .stdin(MAPPING)
    }
}

/// Fails unless the report is accepted.
#[track_caller]
fn accepted(run: Run) {
    let outcome = run.run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(outcome.stdout.contains("\"finished\""), "{outcome:?}");
}

/// Fails unless the report fails with this status and these words.
#[track_caller]
fn failed(run: Run, status: i32, words: &str) {
    let outcome = run.run();
    assert_eq!(outcome.status, status, "{outcome:?}");
    assert!(outcome.stderr.contains(words), "{outcome:?}");
}

#[test]
fn the_rhsm_keys_of_a_section_set_proxy_and_trust() {
    const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-report-candlepin");
    let settings = vw_sim::candlepin::Settings {
        job_time: vw_sim::candlepin::JobTime::Polls(0),
        ..Default::default()
    };
    let site = Destination::new(Arc::new(Candlepin::new(settings)));
    site.write("rhsm.conf", "[rhsm]\nca_cert_dir=/nonexistent\n");
    let address = site.address();
    let (host, port) = address.split_once(':').unwrap();
    let thumbprint = site.thumbprint.clone();
    let section = |lines: &str| {
        let text = format!(
            "owner=sim\nrhsm_hostname={host}\nrhsm_port={port}\nrhsm_prefix=/candlepin\nrhsm_username=sim\n{lines}"
        );
        site.report(PROGRAM, &text)
    };
    for lines in [
        "rhsm_cacert=ca.pem".to_owned(),
        format!("rhsm_thumbprint=SHA256:{thumbprint}"),
        "rhsm_insecure=1".to_owned(),
    ] {
        accepted(section(&lines));
    }
    failed(
        section("cacert=ca.pem"),
        77,
        "vw-report-candlepin: section [prod] (a.conf:1): asking for the status",
    );
    failed(
        section("rhsm_cacert=other.pem"),
        77,
        "no trusted authority has signed it",
    );
    accepted(section("rhsm_cacert=other.pem").args(["--thumbprint", &thumbprint]));
    failed(
        section("rhsm_insecure=1\nrhsm_cacert=ca.pem"),
        78,
        "a.conf:8: [prod] rhsm_insecure: contradicts rhsm_cacert in a.conf:9",
    );
    // The section's key overrides that of rhsm.conf.
    site.write(
        "rhsm.conf",
        "[server]\ninsecure=1\n[rhsm]\nca_cert_dir=/nonexistent\n",
    );
    accepted(section(""));
    failed(section("rhsm_cacert=other.pem"), 77, "not trusted");
    failed(section("rhsm_insecure=0"), 77, "not trusted");

    // The proxy of both files, with its password from an option.
    let proxy = Proxy::with_credentials(site.server.address(), "me", "p:s3cret").unwrap();
    let place = proxy.url().replace("http://", "");
    let (_, proxy_port) = place.split_once(':').unwrap();
    for lines in [
        format!(
            "rhsm_proxy_hostname={}\nrhsm_proxy_user=me\nrhsm_proxy_password=p:s3cret",
            proxy.url()
        ),
        format!("rhsm_proxy_hostname={place}\nrhsm_proxy_user=me\nrhsm_proxy_password=p:s3cret"),
        format!(
            "rhsm_proxy_hostname=127.0.0.1\nrhsm_proxy_port={proxy_port}\nrhsm_proxy_user=me\nrhsm_proxy_password=p:s3cret"
        ),
    ] {
        let before = proxy.server().requests().len();
        accepted(section(&format!("rhsm_cacert=ca.pem\n{lines}")));
        assert!(proxy.server().requests().len() > before, "{lines}");
    }
    let user = format!("rhsm_cacert=ca.pem\nrhsm_proxy_hostname={place}\nrhsm_proxy_user=me");
    accepted(section(&user).args(["--proxy-password-file", "secret"]));
    failed(
        section(&user),
        77,
        "does not accept the user \"me\" with the given password",
    );
    failed(
        section("rhsm_proxy_hostname=https://p"),
        78,
        "a.conf:8: [prod] rhsm_proxy_hostname: is not an http:// proxy",
    );
    site.write("rhsm.conf", "[server]\nproxy_hostname=p:1\nproxy_port=2\n");
    failed(
        section(""),
        78,
        "rhsm.conf:2: [server] proxy_hostname: has the port 1, but proxy_port in rhsm.conf:3 is 2",
    );
}

#[test]
fn the_sat_keys_of_a_section_set_proxy_and_trust() {
    const PROGRAM: &str = env!("CARGO_BIN_EXE_vw-report-sat5");
    let site = Destination::new(Arc::new(Satellite5::new(Default::default())));
    let address = site.address();
    let section = |lines: &str| {
        site.report(
            PROGRAM,
            &format!("sat_server=https://{address}\nsat_username=sim\n{lines}"),
        )
        .args(["--force"])
    };
    for lines in [
        "sat_cacert=ca.pem".to_owned(),
        format!("sat_thumbprint={}", site.thumbprint),
        "sat_insecure=yes".to_owned(),
    ] {
        accepted(section(&lines));
    }
    failed(
        section("cacert=ca.pem\nrhsm_cacert=ca.pem"),
        77,
        "vw-report-sat5: section [prod] (a.conf:1): registration.virt_notify",
    );
    failed(section("sat_cacert=other.pem"), 77, "not trusted");
    accepted(section("sat_cacert=other.pem").args(["--insecure"]));
    failed(
        section("sat_insecure=1\nsat_cacert=ca.pem"),
        78,
        "a.conf:5: [prod] sat_insecure: contradicts sat_cacert in a.conf:6",
    );
    let proxy = Proxy::with_credentials(site.server.address(), "me", "p:s3cret").unwrap();
    let with_user = proxy.url().replace("http://", "http://me@");
    let lines = format!("sat_cacert=ca.pem\nsat_proxy={with_user}");
    failed(section(&lines), 77, "does not accept the user \"me\"");
    accepted(section(&lines).args(["--proxy-password-file", "secret"]));
    accepted(section(&lines).args(["--proxy", ""]));
    assert!(asked(&proxy).is_some_and(|first| first.starts_with("CONNECT localhost:")));
    failed(
        section("sat_proxy=https://p"),
        78,
        "a.conf:5: [prod] sat_proxy: only http:// proxies",
    );
}
