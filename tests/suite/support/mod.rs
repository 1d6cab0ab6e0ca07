//! Runs a command as its users do: arguments and stdin in, stdout, stderr and status out.

mod candlepin;
pub(crate) mod kubectl;
mod rhevm;
mod screen;
pub(crate) mod signals;
pub(crate) mod terminal;

use std::fs;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use self::candlepin::candlepin;
pub(crate) use self::rhevm::Engine;

/// A command to run, in an environment without the user's own settings.
pub(crate) struct Run {
    command: Command,
    stdin: Vec<u8>,
}

/// The result of a command.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The time and memory that a command used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// From its start to its end.
    pub(crate) time: Duration,
    /// The peak of its memory in bytes. The last few milliseconds are missing.
    pub(crate) memory: u64,
}

impl Run {
    /// The program at `path`, as `env!("CARGO_BIN_EXE_vw-filter")` gives it.
    pub(crate) fn new(path: &str) -> Self {
        let mut command = Command::new(path);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let ours = text.starts_with("VIRTWHO_") || text.starts_with("VW_");
            let proxy = text.to_ascii_lowercase().ends_with("_proxy");
            let trust = text.starts_with("SSL_CERT_");
            if ours || proxy || trust {
                command.env_remove(name);
            }
        }
        Run {
            command,
            stdin: Vec::new(),
        }
    }

    pub(crate) fn args<A: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn folder(mut self, folder: &std::path::Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs it to its end. It need not read all of its stdin.
    pub(crate) fn run(self) -> Outcome {
        self.run_with_stdout(Stdio::piped())
    }

    /// The same with another stdout, such as /dev/full.
    pub(crate) fn run_with_stdout(self, stdout: impl Into<Stdio>) -> Outcome {
        self.watched(stdout, |_| {})
    }

    /// Runs it with a terminal of this width as stdout and stderr. It need not read all of its stdin. The outcome's stdout has the
    /// output of both.
    pub(crate) fn run_on_terminal(mut self, columns: u16) -> Outcome {
        let (end, screen) = screen::Screen::open(columns);
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(end.try_clone().unwrap())
            .stderr(end)
            .spawn()
            .unwrap();
        // The command has its own copies of the terminal. If another one stayed open, the output would never end.
        drop(self.command);
        feed(child.stdin.take().unwrap(), &self.stdin);
        let status = child.wait().unwrap();
        Outcome {
            status: status.code().expect("ended by a signal"),
            stdout: screen.shown(),
            stderr: String::new(),
        }
    }

    /// Starts it, gives it its input, and keeps its stdin open. Stdout is a pipe.
    pub(crate) fn start(mut self, stderr: impl Into<Stdio>) -> (Child, ChildStdin) {
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let mut child = self.command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&self.stdin).unwrap();
        (child, stdin)
    }

    /// Runs it, and returns how much time and memory it used.
    pub(crate) fn measured(self) -> (Outcome, Used) {
        let started = Instant::now();
        let (ended, end) = mpsc::channel::<()>();
        let mut watching = None;
        let outcome = self.watched(Stdio::piped(), |id| {
            watching = Some(thread::spawn(move || peak_memory(id, &end)));
        });
        drop(ended);
        let used = Used {
            time: started.elapsed(),
            memory: watching.unwrap().join().unwrap(),
        };
        (outcome, used)
    }

    /// Calls `watch` with the id of the process before anything is written to its stdin.
    fn watched(mut self, stdout: impl Into<Stdio>, watch: impl FnOnce(u32)) -> Outcome {
        self.command
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        watch(child.id());
        let input = child.stdin.take().unwrap();
        let bytes = self.stdin;
        let writer = thread::spawn(move || feed(input, &bytes));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Outcome {
            status: output.status.code().expect("ended by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs all cases at the same time, because most of them wait.
pub(crate) fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, run: impl Fn(T) + Sync) {
    let run = &run;
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || run(case));
        }
    });
}

/// How long a test waits for what must come, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that another process brings about.
#[track_caller]
pub(crate) fn until(happened: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < end, "nothing happened");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for the end of a process; None, after killing it, if it goes on.
pub(crate) fn ended(child: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a command that its `--timeout` ends, until stderr has all of the words, with a longer limit each time.
///
/// On a busy machine a short limit may be over before the command gets as far as the test wants. The outcome with the longest one
/// counts. `run` gets the limit in seconds.
pub(crate) fn with_time(words: &[&str], run: impl Fn(&str) -> Outcome) -> Outcome {
    for limit in ["1", "5"] {
        let outcome = run(limit);
        if words.iter().all(|words| outcome.stderr.contains(words)) {
            return outcome;
        }
    }
    run("30")
}

/// Runs a test of a command that its `--timeout` ends, with a longer limit each time, until it passes. What happens with the longest
/// one counts, for the same reason as in [`with_time`]. `test` gets the limit in seconds.
pub(crate) fn with_longer_times(test: impl Fn(&str)) {
    for limit in ["2", "10"] {
        if catch_unwind(AssertUnwindSafe(|| test(limit))).is_ok() {
            return;
        }
    }
    test("40");
}

/// Gives a command its whole input. One that fails early does not read the rest.
fn feed(mut input: ChildStdin, bytes: &[u8]) {
    match input.write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => panic!("writing to stdin: {error}"),
        _ => {}
    }
}

/// A new folder in memory, or on the disk if the system has none there. For tests that run commands thousands of times: these wait
/// until each file that they write is on the disk.
pub(crate) fn folder_in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Writes a program that tests start. Another process writes it: while a file is open for writing here, a command that another test
/// starts in that moment inherits it for an instant, and the kernel refuses to start the program ("Text file busy").
pub(crate) fn write_program(file: &std::path::Path, text: &str) {
    let mut install = Command::new("install");
    install
        .args(["-m", "755", "/dev/stdin"])
        .arg(file)
        .stdin(Stdio::piped());
    let mut install = install.spawn().unwrap();
    install.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(install.wait().unwrap().success());
}

/// Says on stderr what could not be tested. It does not use `eprintln!`, because the harness hides that if the test passes.
pub(crate) fn skipped(what: &str) {
    io::stderr()
        .write_all(format!("skipped: {what}\n").as_bytes())
        .unwrap();
}

/// Reads the kernel's high-water mark every few milliseconds, because it is gone when the process has ended.
fn peak_memory(id: u32, end: &mpsc::Receiver<()>) -> u64 {
    let mut peak = 0;
    let pause = Duration::from_millis(10);
    while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(pause) {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = mark.and_then(|mark| mark.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = kib.map_or(peak, |kib| kib << 10);
    }
    peak
}

/// Whether this is a time in UTC within an hour of now.
pub(crate) fn is_utc(text: &str) -> bool {
    let date = |format: &str| {
        let date = Command::new("date")
            .args(["-u", "-d", format, "+%FT%TZ"])
            .output()
            .unwrap();
        String::from_utf8(date.stdout).unwrap().trim().to_owned()
    };
    let (early, late) = (date("-1 hour"), date("+1 hour"));
    text.len() == early.len() && *early <= *text && *text <= *late
}

impl Outcome {
    /// The stdout of a command that must have succeeded with an empty stderr.
    #[track_caller]
    pub(crate) fn quiet_success(self) -> String {
        assert_eq!((self.status, &*self.stderr), (0, ""));
        self.stdout
    }

    /// Like [`Outcome::failed`], for a command that warned of retries before.
    #[track_caller]
    pub(crate) fn failed_at_last(&self, status: i32, words: &str) {
        let mut lines: Vec<&str> = self.stderr.lines().collect();
        let last = lines.pop().unwrap_or_default();
        let retries = lines
            .iter()
            .all(|line| line.contains(": warning: ") && line.contains("; trying again in "));
        assert!(
            retries && last.contains(words) && !last.contains(": warning: "),
            "{self:?}"
        );
        assert_eq!(self.status, status, "{self:?}");
    }

    /// Fails unless the command failed with this status, the last line on stderr has the words, and all before it are warnings.
    #[track_caller]
    pub(crate) fn failed_after_warnings(&self, status: i32, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let mut lines: Vec<&str> = self.stderr.lines().collect();
        let last = lines.pop().unwrap_or_default();
        let is_warning = |line: &str| line.contains(": warning: ");
        let only_warnings = lines.iter().all(|line| is_warning(line));
        assert!(
            only_warnings && last.contains(words) && !is_warning(last),
            "{self:?}"
        );
    }

    /// Fails unless the command ended with this status and one line on stderr that contains `words`.
    #[track_caller]
    pub(crate) fn failed(&self, status: i32, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.contains(words), "{self:?}");
    }
}
