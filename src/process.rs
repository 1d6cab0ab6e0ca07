//! Programs that we run: the stages of a pipeline, and other systems' tools.
//!
//! A program is a path and a list of arguments, never a line for a shell. It runs in a process group of its own, so that a signal
//! reaches all that it has started. At a deadline or a signal it gets SIGTERM, and SIGKILL if it has not ended [`GRACE`] later.
//! Nothing of its group is left when it has been waited for.

mod error;
mod running;
mod streams;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub use self::error::Error;
pub use self::running::{GRACE, Limits, Running, end_of};
use self::streams::{in_thread, kept, lines_of, read_lines};

/// The variable that tells our own commands the process id of the one that started them, with whom they end.
pub const STARTED_BY: &str = "VW_STARTED_BY";

/// How long the streams are read after the program has ended. A daemon that it left behind may keep them open.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program and its arguments. It is shown as a shell would read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    /// Variables of the environment that it does not inherit.
    without: &'static [&'static str],
    /// Variables that it gets.
    variables: Vec<(&'static str, OsString)>,
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

/// What a program printed on stderr, and how it ended. Its stdout has been read line by line.
#[derive(Debug)]
pub struct Ended {
    /// The lines of stderr, the last ones if there are many.
    pub stderr: Vec<String>,
    /// How it ended.
    pub status: ExitStatus,
}

/// A line of a program that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// It is from stdout.
    Out(&'a str),
    /// It is from stderr.
    Err(&'a str),
}

impl Program {
    /// The program at this path. A path without a slash is looked up in PATH.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Program {
            path: path.into(),
            arguments: Vec::new(),
            without: &[],
            variables: Vec::new(),
        }
    }

    /// Sets a variable of its environment. It is not shown, so it may be a secret.
    pub fn variable(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name, value.as_ref().to_owned()));
        self
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
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        let mut child = command.spawn().map_err(failed)?;
        let lines = match child.stderr.take().map(lines_of) {
            Some(Ok(lines)) => Some(lines),
            Some(Err(source)) => {
                // It has started, so it must end; dropping it sees to that.
                drop(Running::new(self.name(), child, None));
                return Err(failed(source));
            }
            None => None,
        };
        Ok(Running::new(self.name(), child, lines))
    }

    /// Runs it with this input to its end, and returns what it printed, at most `most` bytes.
    pub fn output(&self, input: &[u8], most: u64, limits: Limits<'_>) -> Result<Output, Error> {
        // Reading stops one byte beyond the limit. Then the pipe is closed, and the next write ends the program.
        let read = move |stdout: ChildStdout| {
            let mut bytes = Vec::new();
            stdout.take(most + 1).read_to_end(&mut bytes).map(|_| bytes)
        };
        let (stdout, Ended { stderr, status }) = self.run(input, limits, read, |_| {})?;
        match stdout.len() as u64 > most {
            true => Err(Error::TooLarge {
                program: self.name(),
                limit: most,
            }),
            false => Ok(Output {
                stdout,
                stderr,
                status,
            }),
        }
    }

    /// Runs it without input to its end, which may never come, and gives each line that it prints to `each`, as it comes.
    ///
    /// A line longer than 64 KiB comes in pieces; invalid UTF-8 is replaced. `each` is called in other threads.
    pub fn follow(
        &self,
        limits: Limits<'_>,
        each: impl Fn(Line<'_>) + Send + Sync + 'static,
    ) -> Result<Ended, Error> {
        let each = Arc::new(each);
        let out = Arc::clone(&each);
        let read = move |stdout| {
            let each_of = |line: &str| {
                out(Line::Out(line));
                true
            };
            read_lines(&mut BufReader::new(stdout), each_of);
            Ok(())
        };
        let ((), ended) = self.run(b"", limits, read, move |line| each(Line::Err(line)))?;
        Ok(ended)
    }

    /// Runs it with this input to its end. Returns what `read` makes of its stdout; its lines on stderr are also given to `each`.
    pub fn run<T: Send + 'static>(
        &self,
        input: &[u8],
        limits: Limits<'_>,
        read: impl FnOnce(ChildStdout) -> io::Result<T> + Send + 'static,
        each: impl Fn(&str) + Send + 'static,
    ) -> Result<(T, Ended), Error> {
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
        let stdout = stdout.ok_or_else(|| stream(io::ErrorKind::BrokenPipe.into()))?;
        let result = in_thread("stdout", move || read(stdout)).map_err(stream)?;
        let lines = in_thread("messages", move || kept(lines, each)).map_err(stream)?;
        let input = input.to_vec();
        // A program need not read all of its input.
        let writing = in_thread("stdin", move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let _writing = writing.map_err(stream)?;
        let status = running.wait(limits)?;
        let open = |_| stream(io::Error::other("another process keeps its stdout open"));
        let result = result.recv_timeout(LAST_WORDS).map_err(open)?.map_err(stream)?;
        let stderr = lines.recv_timeout(LAST_WORDS).unwrap_or_default();
        Ok((result, Ended { stderr, status }))
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
    use std::sync::Mutex;
    use std::thread;

    use super::streams::LINES;
    use super::*;
    use crate::cancel::{self, Cancel};
    use crate::error::{Classify as _, Kind};

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
    fn a_program_gets_variables_which_are_not_shown() {
        let program = sh("echo $LC_ALL $A $B")
            .variable("A", "secret")
            .variable("LC_ALL", "C");
        let program = program.without(&["B"]);
        assert!(!program.to_string().contains("secret"), "{program}");
        let output = program.output(b"", 100, Limits::until(&Cancel::default()));
        assert_eq!(output.unwrap().stdout, b"C secret\n");
    }

    #[test]
    fn lines_of_a_program_come_while_it_runs() {
        let (cancel, heard) = (Cancel::default(), Arc::new(Mutex::new(Vec::new())));
        let (ends, lines) = (cancel.clone(), Arc::clone(&heard));
        let script = "echo one; echo two >&2; trap 'echo bye; exit 143' TERM; sleep 1000 & wait";
        let followed = sh(script).follow(Limits::until(&cancel), move |line| {
            let mut lines = lines.lock().unwrap();
            lines.push(match line {
                Line::Out(line) => format!("out {line}"),
                Line::Err(line) => format!("err {line}"),
            });
            if lines.len() == 2 {
                ends.cancel(cancel::Signal::Terminate);
            }
        });
        assert_eq!(
            followed.unwrap_err().kind(),
            Kind::Signal(cancel::Signal::Terminate)
        );
        let mut heard = heard.lock().unwrap().clone();
        heard.truncate(2);
        heard.sort();
        assert_eq!(heard, ["err two", "out one"]);

        let ended = sh("echo why >&2; exit 1").follow(Limits::until(&Cancel::default()), |_| {});
        let Ended { stderr, status } = ended.unwrap();
        assert_eq!(
            (stderr.join(" "), end_of(status)),
            ("why".to_owned(), "exit status 1".to_owned())
        );
    }

    #[test]
    fn a_program_that_wants_the_terminal_is_ended() {
        // The system does this to a program in the background that reads from the terminal.
        let error = run("kill -TTIN $$; echo never", b"", 10, MINUTE).unwrap_err();
        assert_eq!(error.kind(), Kind::Config, "{error}");
        // Another stop is not ours. Whoever stopped it may continue it.
        let script = "(kill -STOP $$; kill -CONT $$) & wait; echo done";
        let output = run(script, b"", 10, MINUTE).unwrap();
        assert_eq!(output.stdout, b"done\n");
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
        assert_eq!(error.to_string(), "sh did not end within 1 s");
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
