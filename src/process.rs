//! Programs that we run: the stages of a pipeline, and other systems' tools.
//!
//! A program is a path and a list of arguments, never a line for a shell. It runs in a process group of its own, so that a signal
//! reaches all that it has started. At a deadline or a signal it gets SIGTERM, and SIGKILL if it has not ended [`GRACE`] later.
//! Nothing of its group is left when it has been waited for.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::cancel::{Cancel, Cancelled};
use crate::error::{Classify, Kind};

/// How long a program may take to end after SIGTERM, in which it logs out.
pub const GRACE: Duration = Duration::from_secs(8);

/// The variable that tells our own commands the process id of the one that started them, with whom they end.
pub const STARTED_BY: &str = "VW_STARTED_BY";

/// The longest line of stderr that is kept, in bytes.
const LONGEST_LINE: u64 = 64 * 1024;

/// How many lines of stderr may wait to be read, and how many [`Program::output`] keeps.
const LINES: usize = 256;

/// How long stderr is read after the program has ended. A daemon that it left behind may keep it open.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be started.
    #[error("starting {program}")]
    Start {
        /// Its name.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// Its streams can't be read or written.
    #[error("running {program}")]
    Stream {
        /// Its name.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// It did not end in time.
    #[error("{program} did not end within {} s", limit.as_secs())]
    Late {
        /// Its name.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// It printed more than the limit.
    #[error("{program} printed more than {limit} bytes")]
    TooLarge {
        /// Its name.
        program: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A signal came while it ran.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::Start { .. } => Kind::Config,
            Error::Stream { .. } => Kind::Io,
            Error::Late { .. } => Kind::TempFail,
            Error::TooLarge { .. } => Kind::Protocol,
            Error::Cancelled(cancelled) => cancelled.kind(),
        }
    }
}

/// A program and its arguments. It is shown as a shell would read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    /// Variables of the environment that it does not inherit.
    without: &'static [&'static str],
}

/// The limits of a run.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// How long it may take.
    pub time: Duration,
    /// The token that ends it.
    pub cancel: &'a Cancel,
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// What it printed on stdout.
    pub stdout: Vec<u8>,
    /// The lines of stderr.
    pub stderr: Vec<String>,
    /// How it ended.
    pub status: ExitStatus,
}

impl Program {
    /// The program at this path. A path without a slash is looked up in PATH.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Program {
            path: path.into(),
            arguments: Vec::new(),
            without: &[],
        }
    }

    /// Variables of the environment that it does not inherit.
    pub fn without(self, variables: &'static [&'static str]) -> Self {
        Program {
            without: variables,
            ..self
        }
    }

    /// Adds an argument.
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds an option and its value.
    pub fn option(self, option: &str, value: impl AsRef<OsStr>) -> Self {
        self.argument(option).argument(value)
    }

    /// Its name: the last part of the path.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Starts it. Its lines on stderr arrive in [`Running::lines`].
    ///
    /// If one of our own commands is started, it ends when the calling *thread* ends. So that thread must also wait for it.
    pub fn start(&self, stdin: Stdio, stdout: Stdio) -> Result<Running, Error> {
        let failed = |source| Error::Start {
            program: self.name(),
            source,
        };
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env(STARTED_BY, std::process::id().to_string())
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .process_group(0);
        for variable in self.without {
            command.env_remove(variable);
        }
        let mut child = command.spawn().map_err(failed)?;
        let lines = match child.stderr.take().map(lines_of) {
            Some(Ok(lines)) => Some(lines),
            // It has started, so it must end; nobody waits for it but this.
            Some(Err(source)) => {
                let mut running = Running::new(self.name(), child, None);
                running.signal(Signal::KILL);
                let _ = running.child.wait();
                return Err(failed(source));
            }
            None => None,
        };
        Ok(Running::new(self.name(), child, lines))
    }

    /// Runs it with this input to its end, and returns what it printed, at most `most` bytes.
    pub fn output(&self, input: &[u8], most: u64, limits: Limits<'_>) -> Result<Output, Error> {
        let stdin = match input.is_empty() {
            true => Stdio::null(),
            false => Stdio::piped(),
        };
        let mut running = self.start(stdin, Stdio::piped())?;
        let stream = |source| Error::Stream {
            program: self.name(),
            source,
        };
        let (stdout, lines, stdin) = (running.stdout(), running.lines(), running.stdin());
        // Reading stops one byte beyond the limit. Then the pipe is closed, and the next write ends the program.
        let bytes = in_thread("stdout", move || {
            let mut bytes = Vec::new();
            let read = stdout.map_or(Ok(0), |stdout| stdout.take(most + 1).read_to_end(&mut bytes));
            read.map(|_| bytes)
        });
        let lines = in_thread("messages", move || kept(lines));
        let input = input.to_vec();
        // A program need not read all of its input.
        let writing = in_thread("stdin", move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let (bytes, lines, _writing) = (
            bytes.map_err(stream)?,
            lines.map_err(stream)?,
            writing.map_err(stream)?,
        );
        let status = running.wait(limits)?;
        let open = |_| stream(io::Error::other("another process keeps its stdout open"));
        let bytes = bytes.recv_timeout(LAST_WORDS).map_err(open)?.map_err(stream)?;
        let stderr = lines.recv_timeout(LAST_WORDS).unwrap_or_default();
        match bytes.len() as u64 > most {
            true => Err(Error::TooLarge {
                program: self.name(),
                limit: most,
            }),
            false => Ok(Output {
                stdout: bytes,
                stderr,
                status,
            }),
        }
    }
}

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    lines: Option<Receiver<String>>,
    /// Whether it has been waited for.
    is_over: bool,
}

/// Why the wait for a program goes on.
enum Event {
    /// It has ended.
    Ended,
    /// A signal has come.
    Cancelled,
}

impl Running {
    fn new(name: String, child: Child, lines: Option<Receiver<String>>) -> Self {
        Running {
            name,
            child,
            lines,
            is_over: false,
        }
    }

    /// Its stdin, once, if that is a pipe.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its stdout, once, if that is a pipe.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its lines on stderr, once. They end soon after it has ended.
    pub fn lines(&mut self) -> Option<Receiver<String>> {
        self.lines.take()
    }

    /// Waits for its end. At the time limit or a signal it is ended, and the error says so.
    pub fn wait(mut self, limits: Limits<'_>) -> Result<ExitStatus, Error> {
        let (sender, events) = mpsc::channel();
        let cancelled = sender.clone();
        let _hook = limits
            .cancel
            .on_cancel(move || _ = cancelled.send(Event::Cancelled));
        self.tell_end(sender).map_err(|source| self.stream(source))?;
        let mut end = Instant::now() + limits.time;
        let (mut is_told, mut is_late) = (false, false);
        loop {
            match events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Event::Cancelled) if is_told => continue,
                Err(RecvTimeoutError::Timeout) if is_told => {
                    self.signal(Signal::KILL);
                    // Nothing survives SIGKILL, though it may take a while.
                    end = Instant::now() + GRACE;
                    continue;
                }
                Ok(Event::Cancelled) => {}
                Err(RecvTimeoutError::Timeout) => is_late = true,
            }
            is_told = true;
            self.signal(Signal::TERM);
            end = Instant::now() + GRACE;
        }
        let status = self.reap()?;
        match is_late {
            true => Err(Error::Late {
                program: self.name.clone(),
                limit: limits.time,
            }),
            // If it has done its work although a signal came, its result counts.
            false if is_told && !status.success() => Err(limits.cancel.check().err().map_or_else(
                || self.stream(io::ErrorKind::Interrupted.into()),
                Error::Cancelled,
            )),
            false => Ok(status),
        }
    }

    /// Sends an event when it has ended, without reaping it, so that its process id stays its own.
    fn tell_end(&self, sender: Sender<Event>) -> io::Result<()> {
        let pid = Pid::from_child(&self.child);
        let wait = move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while waitid(WaitId::Pid(pid), options).is_err_and(|error| error == Errno::INTR) {}
            _ = sender.send(Event::Ended);
        };
        thread::Builder::new().name("child".into()).spawn(wait).map(drop)
    }

    fn signal(&self, signal: Signal) {
        // Its group may have ended meanwhile.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }

    /// Ends what is left of its group, and takes its exit status.
    fn reap(&mut self) -> Result<ExitStatus, Error> {
        self.signal(Signal::KILL);
        self.is_over = true;
        self.child.wait().map_err(|source| self.stream(source))
    }

    fn stream(&self, source: io::Error) -> Error {
        Error::Stream {
            program: self.name.clone(),
            source,
        }
    }
}

impl Drop for Running {
    /// Ends a program that nobody waits for.
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.reap();
        }
    }
}

/// How a program ended, in words: `exit status 75` or `killed by signal 9`.
pub fn end_of(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

/// Does work in a thread that may outlive the caller's interest, and returns where its result arrives.
fn in_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Receiver<T>> {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().name(name.into());
    thread.spawn(move || _ = sender.send(work()))?;
    Ok(receiver)
}

/// The last lines of stderr.
fn kept(lines: Option<Receiver<String>>) -> Vec<String> {
    let mut kept = VecDeque::new();
    for line in lines.into_iter().flatten() {
        if kept.len() == LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    kept.into()
}

/// Reads lines in a thread. A line that is too long is cut.
fn lines_of(stderr: impl Read + Send + 'static) -> io::Result<Receiver<String>> {
    let (sender, receiver) = mpsc::sync_channel(LINES);
    let read = move || read_lines(BufReader::new(stderr), &sender);
    thread::Builder::new().name("stderr".into()).spawn(read)?;
    Ok(receiver)
}

fn read_lines(mut stderr: impl BufRead, sender: &SyncSender<String>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stderr).take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        if sender
            .send(text.trim_end_matches(['\n', '\r']).to_owned())
            .is_err()
        {
            // Nobody reads, but the program must not be stopped by a full pipe.
            let _ = io::copy(&mut stderr, &mut io::sink());
            return;
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(self.path.as_os_str()))?;
        let mut arguments = self.arguments.iter();
        arguments.try_for_each(|argument| write!(f, " {}", quoted(argument)))
    }
}

/// A word as a shell reads it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Finds a program in the folder of the running one, then in PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let own = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = own.into_iter().chain(std::env::split_paths(&path));
    match name.contains('/') {
        true => None,
        false => folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel;

    const MINUTE: Duration = Duration::from_secs(60);

    fn sh(script: &str) -> Program {
        Program::new("/bin/sh").option("-c", script)
    }

    fn run(script: &str, input: &[u8], most: u64, time: Duration) -> Result<Output, Error> {
        let cancel = Cancel::default();
        let limits = Limits {
            time,
            cancel: &cancel,
        };
        sh(script).output(input, most, limits)
    }

    #[test]
    fn a_program_reads_its_input_and_its_output_is_kept_apart() {
        let output = run("cat; echo one >&2; printf two >&2; exit 3", b"in", 10, MINUTE).unwrap();
        assert_eq!(output.stdout, b"in");
        assert_eq!(output.stderr, ["one", "two"]);
        assert_eq!(end_of(output.status), "exit status 3");
        let output = run("exit 0", &[0; 1 << 20], 10, MINUTE).unwrap();
        assert!(output.status.success(), "input that nobody reads is no failure");
    }

    #[test]
    fn endless_output_is_cut_off() {
        let error = run("yes", b"", 1000, MINUTE).unwrap_err();
        assert_eq!(error.kind(), Kind::Protocol, "{error}");
        let output = run("yes | head -c 10000000 >&2; echo end >&2", b"", 10, MINUTE).unwrap();
        assert_eq!(output.stderr.len(), LINES);
        assert_eq!(output.stderr.last().unwrap(), "end");
    }

    #[test]
    fn a_program_that_is_late_is_ended_with_all_that_it_started() {
        let mark = tempfile::tempdir().unwrap();
        let file = mark.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", file.display());
        let error = run(&script, b"", 10, Duration::from_millis(300)).unwrap_err();
        assert_eq!(error.to_string(), "sh did not end within 0 s");
        let id = std::fs::read_to_string(file).unwrap_or_default();
        let stat = format!("/proc/{}/stat", id.trim());
        // Killed, it may be a zombie for as long as nobody reaps it.
        let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        while !id.is_empty() && lives() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_signal_ends_a_program_which_may_clean_up() {
        let cancel = Cancel::default();
        let limits = Limits {
            time: MINUTE,
            cancel: &cancel,
        };
        let script = "trap 'echo bye >&2; exit 143' TERM; echo ready >&2; sleep 1000 & wait";
        let mut running = sh(script).start(Stdio::null(), Stdio::null()).unwrap();
        let lines = running.lines().unwrap();
        assert_eq!(lines.recv().unwrap(), "ready");
        cancel.cancel(cancel::Signal::Terminate);
        let error = running.wait(limits).unwrap_err();
        assert_eq!(error.kind(), Kind::Signal(cancel::Signal::Terminate));
        assert_eq!(lines.recv().unwrap(), "bye");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let limits = Limits {
            time: MINUTE,
            cancel: &Cancel::default(),
        };
        let error = Program::new("/no/such").output(b"", 1, limits).unwrap_err();
        assert!(
            error.with_causes().starts_with("starting such: No such file"),
            "{error}"
        );
    }

    #[test]
    fn a_program_is_shown_as_a_shell_reads_it() {
        let program = Program::new("vw-filter")
            .option("-n", "Zürich's")
            .argument("")
            .argument("a=b,c");
        assert_eq!(program.to_string(), r"vw-filter -n 'Zürich'\''s' '' a=b,c");
    }
}
