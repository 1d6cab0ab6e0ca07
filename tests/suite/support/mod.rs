//! Runs a command as its users do: arguments and stdin in, stdout, stderr and status out.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread;

/// A command about to be run, in an environment without the user's own settings.
pub(crate) struct Run {
    command: Command,
    stdin: Vec<u8>,
}

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The program at `path`, as `env!("CARGO_BIN_EXE_vw-filter")` gives it.
    pub(crate) fn new(path: &str) -> Self {
        let mut command = Command::new(path);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let ours = text.starts_with("VIRTWHO_") || text.starts_with("VW_");
            let proxy = text.to_ascii_lowercase().ends_with("_proxy");
            if ours || proxy {
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

    /// Runs it to its end; one that does not read all of its stdin is fine.
    pub(crate) fn run(self) -> Outcome {
        self.run_with_stdout(Stdio::piped())
    }

    /// The same with stdout going elsewhere, such as to /dev/full.
    pub(crate) fn run_with_stdout(mut self, stdout: impl Into<Stdio>) -> Outcome {
        self.command
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let bytes = self.stdin;
        let writer = thread::spawn(move || match input.write_all(&bytes) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => panic!("writing to stdin: {error}"),
            _ => {}
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Outcome {
            status: output.status.code().expect("ended by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Outcome {
    /// The stdout of a command that must have succeeded without a word.
    #[track_caller]
    pub(crate) fn quiet_success(self) -> String {
        assert_eq!((self.status, &*self.stderr), (0, ""));
        self.stdout
    }

    /// Fails unless the command failed with this status and one line on stderr that holds `words`.
    #[track_caller]
    pub(crate) fn failed(&self, status: i32, words: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.contains(words), "{self:?}");
    }
}
