//! `--watch`: a script in the place of virsh reports events when a file appears.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::{Machine, parse};
use crate::support::signals::{not_ignored, send};
use crate::support::{PATIENCE, ended, until};

/// The events end with the file `quit`, as when libvirtd ends.
const VIRSH: &str = "case \"$*\" in *event*)
    echo \"error: failed to get domain '/'\" >&2
    while :; do
        if [ -e stir ]; then
            rm stir; echo \"2026-11-26 14:15:24.262+0000: event 'lifecycle' for domain 'x': Suspended Paused\"
        fi
        if [ -e quit ]; then
            rm quit; echo 'error: Disconnected from qemu:///system due to end of file' >&2
            echo 'events received: 1'; echo 'error: internal error: client socket is closed' >&2; exit 1
        fi
        sleep 0.02
    done;;
esac
cat list";

/// A watch, with the documents and messages that it prints.
pub(super) struct Watch {
    pub(super) child: Child,
    _stdin: ChildStdin,
    documents: Receiver<String>,
    messages: Arc<Mutex<String>>,
    reading: thread::JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(run: crate::support::Run) -> Self {
        not_ignored();
        let (mut child, stdin) = run.start(Stdio::piped());
        let (sender, documents) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().try_for_each(|line| sender.send(line.unwrap())));
        let messages = Arc::<Mutex<String>>::default();
        let (stderr, said) = (child.stderr.take().unwrap(), messages.clone());
        let reading = thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                *said.lock().unwrap() += &(line.unwrap() + "\n");
            }
        });
        Watch {
            child,
            _stdin: stdin,
            documents,
            messages,
            reading,
        }
    }

    /// The next document.
    #[track_caller]
    pub(super) fn next(&self) -> Value {
        match self.documents.recv_timeout(PATIENCE) {
            Ok(document) => parse(&document),
            Err(error) => panic!("no document: {error}; {}", self.messages.lock().unwrap()),
        }
    }

    /// The ids and states of the guests in the next document, with their number.
    #[track_caller]
    pub(super) fn next_states(&self) -> Vec<(String, u64)> {
        let document = self.next();
        let guests = document["hypervisors"][0]["guests"].as_array().unwrap().iter();
        let state = |guest: &Value| {
            let id = guest["guestId"].as_str().unwrap();
            (id[id.len() - 2..].to_owned(), guest["state"].as_u64().unwrap())
        };
        guests.map(state).collect()
    }

    /// Waits for a message.
    #[track_caller]
    fn says(&self, words: &str) {
        until(|| self.messages.lock().unwrap().contains(words));
    }

    /// Ends it with a signal, and returns its status and messages.
    pub(super) fn end(mut self, signal: &str) -> (Option<i32>, String) {
        send(&self.child, signal);
        let status = ended(&mut self.child).expect("it goes on");
        self.reading.join().unwrap();
        (status.code(), self.messages.lock().unwrap().clone())
    }
}

/// The list of domains, and their state.
fn list(machine: &Machine, state: u8) {
    let uuid = "00000000-0000-4000-8000-000000000001";
    let text = format!("{uuid} x\nDomain: 'x'\n  state.state={state}\n\n");
    let path = machine.folder.path().join("list");
    fs::write(path.with_extension("new"), text).unwrap();
    fs::rename(path.with_extension("new"), path).unwrap();
}

#[test]
fn an_event_makes_another_scan_and_a_daemon_that_ends_is_outlived() {
    let machine = Machine::new(VIRSH);
    list(&machine, 1);
    let watch = Watch::start(machine.run().args(["--watch", "--settle", "0"]));
    let one = |state| vec![("01".to_owned(), state)];
    assert_eq!(watch.next_states(), one(1));
    let touch = |name: &str| fs::write(machine.folder.path().join(name), "").unwrap();
    let subscribed = || {
        machine
            .calls()
            .iter()
            .filter(|call| call.contains("event --event lifecycle --loop"))
            .count()
    };
    until(|| subscribed() == 1);
    list(&machine, 3);
    touch("stir");
    assert_eq!(watch.next_states(), one(3));

    // libvirtd ends and comes back. What changed meanwhile is found without an event.
    list(&machine, 5);
    touch("quit");
    assert_eq!(watch.next_states(), one(5));
    until(|| subscribed() == 2);
    list(&machine, 6);
    touch("stir");
    assert_eq!(watch.next_states(), one(6));

    let (status, messages) = watch.end("TERM");
    assert_eq!(status, Some(143));
    let warning = "warning: libvirt of this machine: Disconnected from qemu:///system due to end of file: \
        internal error: client socket is closed";
    assert!(
        messages.contains(warning) && messages.contains("trying again in "),
        "{messages}"
    );
    // virsh waits for events no more: nobody takes the file.
    touch("stir");
    assert!(machine.folder.path().join("stir").exists());
    assert_eq!(nothing_runs(&machine), Vec::<String>::new());
}

/// The processes that run in the folder of the machine.
fn nothing_runs(machine: &Machine) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let running = processes.filter(|process| {
        let folder = fs::read_link(process.path().join("cwd"));
        folder.is_ok_and(|folder| folder == machine.folder.path())
    });
    running
        .map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_failed_scan_is_repeated_until_it_works() {
    let machine = Machine::new(&format!(
        "case \"$*\" in *event*) ;; *) [ ! -e broken ] || {{ rm broken; echo 'error: no' >&2; exit 1; }};; esac\n{VIRSH}"
    ));
    list(&machine, 1);
    let watch = Watch::start(machine.run().args(["--watch", "--settle", "0"]));
    watch.next();
    until(|| machine.calls().iter().any(|call| call.contains("event --event")));
    let touch = |name: &str| fs::write(machine.folder.path().join(name), "").unwrap();
    touch("broken");
    touch("stir");
    watch.says("warning: libvirt of this machine: no; trying again in ");
    list(&machine, 3);
    touch("stir");
    assert_eq!(watch.next_states(), [("01".to_owned(), 3)]);
    assert_eq!(watch.end("INT").0, Some(130));
}
