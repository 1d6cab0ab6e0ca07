//! vw-scan-esx --watch as its users meet it, against a simulated vCenter that changes, ends sessions and breaks down.

mod load;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use vw_sim::http::{Fault, Response};
use vw_sim::vcenter::{Host, Inventory, Open, Vm};

use crate::support::{ended, signals, until};
use crate::vw_scan_esx::{PROGRAM, Site, answer, small, soap_fault};

/// How long a test waits for what must come.
const LIMIT: Duration = Duration::from_secs(60);

/// A watch and its output, line by line.
pub(crate) struct Watch {
    child: Child,
    documents: Receiver<String>,
    messages: Receiver<String>,
}

fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines
            .take_while(|line| sender.send(line.clone()).is_ok())
            .for_each(drop);
    });
    receiver
}

impl Watch {
    pub(crate) fn of(site: &Site, more: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(site.options());
        Watch::start(command.args(more))
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.arg("--watch").stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        Watch {
            documents: lines(child.stdout.take().unwrap()),
            messages: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    /// The next document.
    #[track_caller]
    pub(crate) fn document(&self) -> String {
        match self.documents.recv_timeout(LIMIT) {
            Ok(document) => document + "\n",
            Err(error) => panic!(
                "no document: {error}; {:?}",
                self.messages.try_iter().collect::<Vec<_>>()
            ),
        }
    }

    /// Waits for a message with these words.
    #[track_caller]
    pub(crate) fn message(&self, words: &str) -> String {
        loop {
            let message = self.messages.recv_timeout(LIMIT).unwrap();
            if message.contains(words) {
                return message;
            }
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        signals::send(&self.child, signal);
    }

    /// Its exit status, once it has ended.
    pub(crate) fn status(&mut self) -> Option<i32> {
        ended(&mut self.child).and_then(|status| status.code())
    }

    /// Ends it by SIGTERM, and returns the messages since. Fails if it has printed another document.
    pub(crate) fn end(self) -> Vec<String> {
        let (documents, messages) = self.end_anyhow();
        assert_eq!(documents, Vec::<String>::new());
        messages
    }

    /// Ends it by SIGTERM, and returns the documents, the last of which may be cut, and the messages since.
    pub(crate) fn end_anyhow(mut self) -> (Vec<String>, Vec<String>) {
        self.signal("TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(143));
        let documents = self.documents.iter().collect();
        let messages: Vec<String> = self.messages.iter().collect();
        assert!(messages.last().is_some_and(|last| last.ends_with(": terminated")));
        (documents, messages)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_change_makes_a_document_that_equals_a_fresh_scan() {
    let site = Site::new(small());
    let watch = Watch::of(&site, &["--settle", "0"]);
    let with_names = Watch::of(&site, &["--settle", "0", "--guest-names"]);
    let mut last = watch.document();
    assert_eq!(last, site.scan(&[]).quiet_success());
    assert_eq!(
        with_names.document(),
        site.scan(&["--guest-names"]).quiet_success()
    );
    type Change = fn(&mut Inventory);
    let changes: [(&str, Change); 10] = [
        ("a machine is switched off", |inventory| {
            let vm = inventory.vms().next().unwrap().0;
            inventory.vm_mut(vm).power = Some("poweredOff".into());
        }),
        ("one moves", |inventory| {
            let vm = inventory.vms().next().unwrap().0;
            let host = inventory.hosts().last().unwrap().0;
            inventory.move_vm(vm, host);
        }),
        ("one appears", |inventory| {
            let host = inventory.hosts().last().unwrap().0;
            inventory.add_vm(host, Vm::new("new"));
        }),
        ("one gets a newer hardware version", |inventory| {
            let vm = inventory.vms().last().unwrap().0;
            inventory.vm_mut(vm).version = Some("vmx-12".into());
        }),
        ("one loses its uuid", |inventory| {
            let vm = inventory.vms().last().unwrap().0;
            inventory.vm_mut(vm).uuid = None;
        }),
        ("one vanishes", |inventory| {
            let vm = inventory.vms().last().unwrap().0;
            inventory.remove_vm(vm);
        }),
        ("a host appears with a machine", |inventory| {
            let cluster = inventory.add_cluster("Cluster B");
            let host = inventory.add_host(cluster, Host::new("esx4.example.com"));
            inventory.add_vm(host, Vm::new("newer"));
        }),
        ("a host moves to another cluster", |inventory| {
            let (first, _) = inventory.hosts().next().unwrap();
            let (last, _) = inventory.hosts().last().unwrap();
            inventory.move_host(first, inventory.compute_of(last));
        }),
        ("a cluster is renamed", |inventory| {
            let (host, _) = inventory.hosts().next().unwrap();
            let cluster = inventory.compute_of(host);
            inventory.compute_mut(cluster).name = Some("Cluster %2f C".into());
        }),
        ("a host gets another DNS name", |inventory| {
            let (host, _) = inventory.hosts().next().unwrap();
            inventory.host_mut(host).dns_domain = Some("example.org".into());
        }),
    ];
    for (what, change) in changes {
        site.vcenter.change(change);
        let document = watch.document();
        assert_ne!(document, last, "{what}");
        assert_eq!(document, site.scan(&[]).stdout, "{what}");
        last = document;
        let named = site.scan(&["--guest-names"]).stdout;
        assert_eq!(with_names.document(), named, "{what}");
    }
    site.vcenter.change(|inventory| {
        let vm = inventory.vms().next().unwrap().0;
        inventory.vm_mut(vm).name = Some("a %2f b".into());
    });
    let renamed = with_names.document();
    assert!(renamed.contains("\"a / b\""), "{renamed}");
    with_names.end();
    let messages = watch.end();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("left out 1 guest"), "{messages:?}");
    assert_eq!(site.vcenter.open(), Open::default());
}

#[test]
fn an_inventory_of_many_pages_is_watched() {
    let site = Site::new(Inventory::new(20, 730));
    // SIGUSR1 may cancel the wait between two pages. The first page alone must not become a document.
    answer(&site, "WaitForUpdatesEx", |count| {
        (count == 3).then(|| soap_fault("RequestCanceled", ""))
    });
    let watch = Watch::of(&site, &["--settle", "1"]);
    assert_eq!(watch.document(), site.scan(&[]).quiet_success());
    site.vcenter.change(|inventory| {
        let vms: Vec<_> = inventory.vms().map(|(key, _)| key).collect();
        for (number, vm) in vms.into_iter().enumerate() {
            inventory.vm_mut(vm).power = Some("suspended".into());
            if number % 3 == 0 {
                inventory.remove_vm(vm);
            }
        }
    });
    assert_eq!(watch.document(), site.scan(&[]).quiet_success());
    watch.end();
    assert_eq!(site.vcenter.open(), Open::default());
}

#[test]
fn an_esx_host_is_watched_into_a_file() {
    let site = Site::new(Inventory::new_esx(3));
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(site.options())
        .args(["--watch", "--settle", "0"])
        .stdout(file.reopen().unwrap())
        .spawn()
        .unwrap();
    let text = || std::fs::read_to_string(file.path()).unwrap();
    let wait_for = |lines: usize| {
        until(|| text().ends_with('\n') && text().lines().count() == lines);
        text()
    };
    assert_eq!(wait_for(1), site.scan(&[]).quiet_success());
    site.vcenter.change(|inventory| {
        let vm = inventory.vms().next().unwrap().0;
        inventory.remove_vm(vm);
    });
    assert!(wait_for(2).ends_with(&site.scan(&[]).quiet_success()));
    signals::send(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(site.vcenter.open(), Open::default());
}

#[test]
fn changes_that_undo_each_other_make_no_document() {
    let site = Site::new(small());
    let watch = Watch::of(&site, &["--settle", "0"]);
    let first = watch.document();
    let switch = |to: &str| {
        site.vcenter.change(|inventory| {
            let vm = inventory.vms().next().unwrap().0;
            inventory.vm_mut(vm).power = Some(to.into());
            // A scan does not read the names of machines.
            inventory.vm_mut(vm).name = Some(to.into());
        });
    };
    switch("poweredOn");
    switch("poweredOff");
    let second = watch.document();
    assert_ne!(second, first);
    switch("poweredOff");
    switch("poweredOn");
    assert_eq!(watch.document(), first);
    watch.end();
}

#[test]
fn sigusr1_and_repeat_print_the_unchanged_document() {
    let site = Site::new(small());
    let watch = Watch::of(&site, &["--repeat", "0"]);
    let first = watch.document();
    let since = Instant::now();
    for _ in 0..3 {
        watch.signal("USR1");
        assert_eq!(watch.document(), first);
    }
    // A wait for updates takes 30 seconds.
    assert!(since.elapsed() < Duration::from_secs(25));
    watch.end();
    let watch = Watch::of(&site, &["--repeat", "1"]);
    for _ in 0..3 {
        assert_eq!(watch.document(), first);
    }
    assert_eq!(watch.end().len(), 1);
    assert_eq!(site.vcenter.open(), Open::default());
}

#[test]
fn sigusr1_prints_a_change_that_has_not_settled() {
    let site = Site::new(small());
    let watch = Watch::of(&site, &["--settle", "600"]);
    let first = watch.document();
    site.vcenter.change(|inventory| {
        let vm = inventory.vms().next().unwrap().0;
        inventory.remove_vm(vm);
    });
    watch.signal("USR1");
    let document = watch.document();
    assert_ne!(document, first);
    assert_eq!(document, site.scan(&[]).quiet_success());
}

#[test]
fn a_watch_survives_the_end_of_its_session_and_an_outage() {
    let site = Site::new(small());
    let watch = Watch::of(&site, &["--settle", "0"]);
    watch.document();
    // Nothing has changed, so the inventory that is read again makes no document.
    site.vcenter.expire_sessions();
    let lost = watch.message("warning");
    assert!(lost.contains("NotAuthenticated"), "{lost}");
    watch.message("the whole inventory was read again");
    let change = |name: &str| {
        site.vcenter.change(|inventory| {
            let host = inventory.hosts().next().unwrap().0;
            inventory.add_vm(host, Vm::new(name));
        });
        site.scan(&[]).quiet_success()
    };
    assert_eq!(change("one"), watch.document());
    // A restart: the connection breaks, then a proxy answers, then the sessions are gone.
    let mut count = 0;
    site.vcenter.server().misbehave(move |_, request| {
        let body = String::from_utf8_lossy(&request.body);
        count += 1;
        match count {
            1 | 2 => Some(Fault::Close),
            3 => Some(Fault::Answer(Response::new(
                404,
                "text/html",
                "<html><title>Starting</title>",
            ))),
            4 => Some(Fault::Answer(Response::new(
                200,
                "text/html",
                "<html><title>Starting</title>",
            ))),
            5 => Some(Fault::Answer(Response::new(503, "text/plain", "starting"))),
            _ => body.contains("<Logout").then_some(Fault::Close),
        }
    });
    site.vcenter.expire_sessions();
    watch.message("a web page");
    watch.message("the whole inventory was read again");
    site.vcenter.server().behave();
    assert_eq!(change("two"), watch.document());
    // A refused log-in ends the watch, because further attempts might lock the account.
    let calls = |name: &str| site.vcenter.calls().iter().filter(|call| *call == name).count();
    let logins = calls("Login");
    site.vcenter.server().misbehave(|_, request| {
        let body = String::from_utf8_lossy(&request.body);
        let fault = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault><detail>\
                     <InvalidLoginFault/></detail></s:Fault></s:Body></s:Envelope>";
        let refused = || Fault::Answer(Response::new(500, "text/xml", fault));
        body.contains("<Login").then(refused)
    });
    site.vcenter.expire_sessions();
    watch.message("InvalidLogin");
    let mut watch = watch;
    assert_eq!(watch.child.wait().unwrap().code(), Some(77));
    assert_eq!(calls("Login"), logins);
}

#[test]
fn the_timeout_limits_each_reading_but_not_the_wait_for_changes() {
    let site = Site::new(small());
    let started = Instant::now();
    let watch = Watch::of(&site, &["--settle", "0", "--timeout", "5"]);
    let first = watch.document();
    // The limit passes and nothing happens: the watch goes on. No event shows that, so the test has to wait.
    thread::sleep(Duration::from_millis(5200).saturating_sub(started.elapsed()));
    site.vcenter.change(|inventory| {
        let vm = inventory.vms().next().unwrap().0;
        inventory.remove_vm(vm);
    });
    assert_ne!(watch.document(), first);
    assert_eq!(watch.end().len(), 1);
    site.vcenter.server().misbehave(|_, _| Some(Fault::Silence));
    let outcome = site.scan(&["--watch", "--timeout", "1"]);
    outcome.failed_at_last(75, "--timeout");
}

#[test]
fn a_reading_that_hangs_in_a_watch_is_given_up_and_repeated() {
    let site = Site::new(small());
    let watch = Watch::of(&site, &["--settle", "0", "--timeout", "5"]);
    watch.document();
    site.vcenter.server().misbehave(|_, request| {
        let is_login = String::from_utf8_lossy(&request.body).contains("<Login");
        is_login.then_some(Fault::Silence)
    });
    site.vcenter.expire_sessions();
    watch.message("not done within the time limit");
    site.vcenter.server().behave();
    watch.message("the whole inventory was read again");
    watch.end();
}

/// The reader goes away, as `head` does.
#[test]
fn a_watch_ends_when_its_reader_is_gone() {
    let site = Site::new(small());
    let mut child = Command::new(PROGRAM)
        .args(site.options())
        .arg("--watch")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output: BufReader<ChildStdout> = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    // Nothing is written any more, so no write can fail. A wait for updates takes 30 seconds.
    let since = Instant::now();
    drop(output);
    let output = child.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(25), "{:?}", since.elapsed());
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
    assert_eq!(site.vcenter.open(), Open::default());
}

#[test]
fn a_filter_passes_each_document_on_and_ends_with_its_reader() {
    let site = Site::new(small());
    let script = format!(
        "'{PROGRAM}' \"$@\" | '{}' --exclude-hosts 'esx3*' --match-names",
        env!("CARGO_BIN_EXE_vw-filter")
    );
    let mut shell = Command::new("sh")
        .args(["-c", &script, "sh"])
        .args(site.options())
        .args(["--watch", "--settle", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut documents = BufReader::new(shell.stdout.take().unwrap());
    let mut document = || {
        let mut line = String::new();
        documents.read_line(&mut line).unwrap();
        assert_eq!(line.matches("\"guests\":").count(), 2, "{line}");
        line
    };
    let first = document();
    for name in ["one", "two"] {
        site.vcenter.change(|inventory| {
            let host = inventory.hosts().next().unwrap().0;
            inventory.add_vm(host, Vm::new(name));
        });
        assert_ne!(document(), first);
    }
    drop(documents);
    let output = shell.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
    assert_eq!(site.vcenter.open(), Open::default());
}
