//! What a signal does to a command, at each moment of its life: it ends with the signal's status, and leaves nothing open.

mod shell;

use std::fs;
use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tempfile::TempDir;
use vw_sim::candlepin::{self, Candlepin, JobTime};
use vw_sim::http::{Fault, Server};
use vw_sim::satellite5::{self, Satellite5};
use vw_sim::vcenter::{Inventory, VCenter};

use crate::support::signals::{self, catches};
use crate::support::{at_once, ended, until};

const SCAN: &str = env!("CARGO_BIN_EXE_vw-scan-esx");
const CANDLEPIN: &str = env!("CARGO_BIN_EXE_vw-report-candlepin");
const SAT5: &str = env!("CARGO_BIN_EXE_vw-report-sat5");
const PASSWORD: &str = env!("CARGO_BIN_EXE_vw-password");
const FILTER: &str = env!("CARGO_BIN_EXE_vw-filter");

const MAPPING: &str = r#"{"hypervisors":[{"uuid":"h1","name":"esx1","guests":[
    {"guestId":"564dae86-0000-1000-8000-00000000000a","state":1,"attributes":{"active":1,"virtWhoType":"esx"}}]}]}"#;

/// Signals, with the status of what they end: the first one's.
const SIGNALS: [(&[&str], i32); 6] = [
    (&["HUP"], 129),
    (&["INT"], 130),
    (&["QUIT"], 131),
    (&["TERM"], 143),
    // As timeout(1) and a terminal that closes send them.
    (&["TERM", "TERM"], 143),
    (&["HUP", "HUP", "TERM"], 129),
];

/// The servers, over plain HTTP, and files.
struct Site {
    vcenter: VCenter,
    candlepin: Arc<Candlepin>,
    candlepin_server: Server,
    satellite: Arc<Satellite5>,
    satellite_server: Server,
    folder: TempDir,
    /// The bodies of the requests that came while a server misbehaved, answered or not.
    asked: Arc<Mutex<String>>,
}

impl Site {
    fn new(machines: usize) -> Self {
        let settings = candlepin::Settings {
            job_time: JobTime::Polls(100_000),
            ..candlepin::Settings::default()
        };
        let candlepin = Arc::new(Candlepin::new(settings));
        let satellite = Arc::new(Satellite5::new(satellite5::Settings::default()));
        let site = Site {
            vcenter: VCenter::start(Inventory::new(2, machines), None).unwrap(),
            candlepin_server: Server::start(candlepin.clone(), None).unwrap(),
            candlepin,
            satellite_server: Server::start(satellite.clone(), None).unwrap(),
            satellite,
            folder: tempfile::tempdir().unwrap(),
            asked: Arc::default(),
        };
        fs::write(site.path("password"), "sim-secret\n").unwrap();
        fs::write(site.path("none.conf"), "").unwrap();
        let made = Command::new("mkfifo").arg(site.path("fifo")).status();
        assert!(made.unwrap().success());
        let encrypted = "[sim]\ntype=esx\nserver=127.0.0.1:1\nusername=a\nowner=sim\nrhsm_hostname=127.0.0.1\nrhsm_username=a\n\
                         encrypted_password=e3479dced51d8f33415fa527767f7af6\n\
                         rhsm_encrypted_password=e3479dced51d8f33415fa527767f7af6\n";
        fs::write(site.path("encrypted.conf"), encrypted).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The program with these words as its options; `@NAME` stands for a file.
    fn command(&self, program: &str, words: &str) -> Command {
        let mut command = Command::new(program);
        signals::not_ignored();
        for word in words.split_whitespace() {
            match word.strip_prefix('@') {
                Some(name) => command.arg(self.path(name)),
                None => command.arg(word),
            };
        }
        command.env("VW_CONFIG", self.path("none.conf"));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn spawn(&self, program: &str, words: &str) -> Child {
        self.command(program, words).spawn().unwrap()
    }

    fn scan(&self, more: &str) -> Child {
        let server = self.vcenter.url();
        self.spawn(
            SCAN,
            &format!("--server {server} -u sim --password-file @password {more}"),
        )
    }

    /// Has the vCenter never answer calls of this method.
    fn silence(&self, method: &'static str) {
        self.misbehave(move |text| text.contains(method).then_some(Fault::Silence));
    }

    /// Has the vCenter, or the Satellite, misbehave by what is in a request.
    fn misbehave(&self, fault: impl Fn(&str) -> Option<Fault> + Send + Clone + 'static) {
        for server in [self.vcenter.server(), &self.satellite_server] {
            let (asked, fault) = (self.asked.clone(), fault.clone());
            server.misbehave(move |_, request| {
                let text = String::from_utf8_lossy(&request.body);
                asked.lock().unwrap().push_str(&text);
                fault(&text)
            });
        }
    }

    /// Whether a misbehaving server was asked for this.
    fn was_asked(&self, what: &str) -> bool {
        self.asked.lock().unwrap().contains(what)
    }

    fn has_seen(&self, method: &str) -> bool {
        self.vcenter.calls().iter().any(|call| call == method)
    }

    #[track_caller]
    fn nothing_is_open(&self, at: &str) {
        assert_eq!(self.vcenter.open().sessions, 0, "{at}");
        assert_eq!(self.satellite.open_sessions(), 0, "{at}");
    }
}

/// Sends the signals, and waits for the end, which must have this status; returns what was said.
#[track_caller]
fn ends(mut child: Child, (signals, status): (&[&str], i32), at: &str) -> String {
    for signal in signals {
        signals::send(&child, signal);
    }
    // Its output is not read before its end: it must not need that.
    let ended = ended(&mut child).unwrap_or_else(|| panic!("{at}, {signals:?}: it goes on"));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(ended.code(), Some(status), "{at}, {signals:?}: {said}");
    let last = said.lines().last().unwrap_or_default();
    let words = match status {
        129 => "ended by SIGHUP",
        130 => "interrupted",
        131 => "ended by SIGQUIT",
        _ => "terminated",
    };
    assert!(last.contains(words), "{at}, {signals:?}: {said}");
    said
}

#[test]
fn a_signal_ends_the_wait_for_a_file() {
    let site = Site::new(0);
    let (vcenter, candlepin) = (site.vcenter.url(), site.candlepin_server.url());
    let satellite = site.satellite_server.url();
    let table = [
        (SCAN, format!("--server {vcenter} -u sim --password-file @fifo")),
        (SCAN, "-n sim -c @fifo".to_owned()),
        (SCAN, "-n sim -c @encrypted.conf --key-file @fifo".to_owned()),
        (
            SCAN,
            "--server https://127.0.0.1:1 -u sim --password-file @password --cacert @fifo".to_owned(),
        ),
        (
            CANDLEPIN,
            format!("--server {candlepin} --owner sim --username sim --password-file @fifo"),
        ),
        (CANDLEPIN, "-n sim -c @fifo".to_owned()),
        (CANDLEPIN, "-n sim -c @encrypted.conf --key-file @fifo".to_owned()),
        (
            CANDLEPIN,
            "-n sim -c @encrypted.conf --rhsm-conf @fifo".to_owned(),
        ),
        (
            CANDLEPIN,
            "--server 127.0.0.1:1 --owner sim --cert @fifo --check".to_owned(),
        ),
        (
            SAT5,
            format!("--server {satellite} --username sim --password-file @fifo --state-dir @state"),
        ),
        (SAT5, "-n sim -c @fifo".to_owned()),
        (PASSWORD, "--key-file @fifo".to_owned()),
        (PASSWORD, "--key-file @password".to_owned()),
    ];
    for (program, words) in table {
        for signal in SIGNALS {
            let mut child = site.spawn(program, &words);
            // The stdin of vw-password stays open and silent where the key is not the FIFO.
            let mut input = child.stdin.take().unwrap();
            if words.contains("fifo") {
                input.write_all(b"secret\n").unwrap();
            }
            // Whether the file has been opened by then makes no difference.
            until(|| catches(&child, "TERM"));
            let said = ends(child, signal, &format!("{program} {words}"));
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
    // The other end is there and silent.
    let writer = site.path("fifo");
    let writer = std::thread::spawn(|| fs::OpenOptions::new().write(true).open(writer).unwrap());
    let words = format!("--server {vcenter} -u sim --password-file @fifo");
    let child = site.spawn(SCAN, &words);
    let silent = writer.join().unwrap();
    ends(child, SIGNALS[0], &words);
    drop(silent);
}

#[test]
fn a_signal_ends_a_connection_attempt() {
    let site = Site::new(0);
    fs::write(site.path("mapping"), MAPPING).unwrap();
    at_once(SIGNALS, |signal| {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = silent.local_addr().unwrap();
        let password = "--password-file @password";
        let table = [
            (
                SCAN,
                format!("--server https://{server} -u sim {password} --insecure"),
            ),
            (SCAN, format!("--server http://{server} -u sim {password}")),
            (
                CANDLEPIN,
                format!("--server https://{server} --owner sim --username sim {password} --insecure"),
            ),
            (
                CANDLEPIN,
                format!("--server http://{server} --owner sim --username sim {password} --check"),
            ),
            (
                SAT5,
                format!(
                    "--server http://{server} --username sim {password} --state-dir @state-{}",
                    signal.0.concat()
                ),
            ),
        ];
        for (program, words) in table {
            let mut command = site.command(program, &words);
            command.stdin(fs::File::open(site.path("mapping")).unwrap());
            let child = command.spawn().unwrap();
            let connection = silent.accept().unwrap();
            ends(child, signal, &format!("connecting, {program} {words}"));
            drop(connection);
        }
    });
}

#[test]
fn a_signal_during_the_log_in_closes_the_new_session() {
    at_once(SIGNALS, |signal| {
        let site = Site::new(2);
        site.misbehave(|text| match text {
            text if text.contains("<Login") => Some(Fault::Delay(Duration::from_secs(1))),
            text if text.contains("<RetrievePropertiesEx") => Some(Fault::Silence),
            _ => None,
        });
        let child = site.scan("");
        until(|| site.was_asked("<Login"));
        ends(child, signal, "log-in");
        assert!(site.has_seen("Logout"), "{signal:?}");
        site.nothing_is_open("log-in");
    });
}

#[test]
fn a_signal_ends_a_log_in_that_is_never_answered() {
    let site = Site::new(2);
    site.silence("<Login");
    let child = site.scan("");
    until(|| site.was_asked("<Login"));
    ends(child, (&["TERM"], 143), "log-in");
}

#[test]
fn a_signal_ends_the_scan_and_the_watch_after_log_out() {
    at_once(SIGNALS, |signal| {
        let site = Site::new(2);
        site.silence("<RetrievePropertiesEx");
        let child = site.scan("");
        until(|| site.was_asked("<RetrievePropertiesEx"));
        // It means nothing here.
        signals::send(&child, "USR1");
        ends(child, signal, "reading");
        assert!(site.has_seen("Logout"));
        site.nothing_is_open("reading");

        let site = Site::new(2);
        let mut child = site.scan("--watch");
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        ends(child, signal, "watching");
        site.nothing_is_open("watching");
    });
}

#[test]
fn a_signal_ends_a_document_that_nobody_reads() {
    at_once(SIGNALS, |signal| {
        for watch in ["", "--watch"] {
            // More than a pipe holds.
            let site = Site::new(2000);
            let mut child = site.scan(watch);
            let mut output = child.stdout.take().unwrap();
            output.read_exact(&mut [0]).unwrap();
            ends(child, signal, &format!("printing {watch}"));
            assert!(site.has_seen("Logout"));
            site.nothing_is_open("printing");
            let mut rest = String::new();
            output.read_to_string(&mut rest).unwrap();
            assert!(!rest.ends_with("}\n"), "a document that was cut has no end");
        }
    });
}

#[test]
fn a_signal_ends_a_reporter_and_closes_its_session() {
    at_once(SIGNALS, |signal| {
        let site = Site::new(0);
        let (candlepin, satellite) = (site.candlepin_server.url(), site.satellite_server.url());
        let commands = [
            (
                CANDLEPIN,
                format!(
                    "--server {candlepin}/candlepin --owner sim --username sim --password-file @password"
                ),
            ),
            (
                SAT5,
                format!("--server {satellite} --username sim --password-file @password --state-dir @state"),
            ),
        ];
        for (program, words) in commands {
            let mut child = site.spawn(program, &words);
            let input = child.stdin.take();
            until(|| catches(&child, "TERM"));
            let said = ends(child, signal, &format!("waiting for a document, {program}"));
            assert_eq!(said.lines().count(), 1, "{said}");
            drop(input);

            site.silence("virt_notify");
            let mut child = site.spawn(program, &words);
            child.stdin.take().unwrap().write_all(MAPPING.as_bytes()).unwrap();
            let busy = |server: &Server, path: &str| {
                let requests = server.requests();
                requests.iter().any(|logged| logged.request.path.contains(path))
            };
            match program {
                CANDLEPIN => until(|| busy(&site.candlepin_server, "/jobs/")),
                _ => until(|| site.was_asked("virt_notify")),
            }
            let mut output = child.stdout.take().unwrap();
            ends(child, signal, &format!("reporting, {program}"));
            let mut result = String::new();
            output.read_to_string(&mut result).unwrap();
            assert_eq!(result.lines().count(), 1);
            assert!(result.contains(r#""state":"failed""#), "{result}");
            site.nothing_is_open("reporting");
            site.satellite_server.behave();
        }
        assert!(!site.candlepin.jobs().is_empty());
    });
}

/// The writing end of a pipe that is full, and the other end, which nobody reads.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

#[test]
fn a_signal_ends_a_result_line_that_nobody_reads() {
    at_once(SIGNALS, |signal| {
        let site = Site::new(0);
        fs::write(site.path("mapping"), MAPPING).unwrap();
        let server = site.satellite_server.url();
        let (reader, writer) = full_pipe();
        let words = format!("--server {server} --username sim --password-file @password --state-dir @state");
        let child = site
            .command(SAT5, &words)
            .stdin(fs::File::open(site.path("mapping")).unwrap())
            .stdout(writer)
            .spawn()
            .unwrap();
        until(|| site.satellite.count("auth.logout") > 0);
        ends(child, signal, "printing the result");
        drop(reader);
    });
}
