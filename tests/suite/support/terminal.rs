//! A script of sh on a terminal of its own, as a user's shell runs it, and the user who types.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// A terminal on which a script runs.
pub(crate) struct Terminal {
    screen: File,
    shown: Arc<(Mutex<String>, Condvar)>,
    reading: JoinHandle<()>,
    /// Closed so that the reading ends.
    quit: PipeWriter,
    child: Child,
}

impl Terminal {
    /// Starts the script, as the leader of the terminal's session. None, and a word on stderr, where setsid(1) is missing.
    pub(crate) fn run(script: &str, variables: &[(&str, &str)]) -> Option<Self> {
        super::signals::not_ignored();
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let device = ioctl_tiocgptpeer(&screen, flags).unwrap();
        let stream = || Stdio::from(device.try_clone().unwrap());
        let mut command = Command::new("setsid");
        command.args(["--ctty", "sh", "-c", script]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("VIRTWHO_") {
                command.env_remove(name);
            }
        }
        command.envs(variables.iter().copied());
        let child = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn();
        let Ok(child) = child else {
            super::skipped("a terminal: setsid of util-linux is not installed");
            return None;
        };
        drop(device);
        let shown = Arc::<(Mutex<String>, Condvar)>::default();
        let (has_quit, quit) = std::io::pipe().unwrap();
        let reading = read(screen.try_clone().unwrap(), has_quit, shown.clone());
        Some(Terminal {
            screen: screen.into(),
            shown,
            reading,
            quit,
            child,
        })
    }

    /// Waits until the text is on the screen so many times.
    #[track_caller]
    pub(crate) fn sees(&self, text: &str, times: usize) {
        let (screen, changed) = &*self.shown;
        let missing = |screen: &mut String| screen.matches(text).count() < times;
        let screen = screen.lock().unwrap();
        let (screen, waited) = changed
            .wait_timeout_while(screen, super::PATIENCE, missing)
            .unwrap();
        assert!(
            !waited.timed_out(),
            "{text:?} is not {times} times on the screen: {screen}"
        );
    }

    /// Types, as a user who sees the prompt.
    pub(crate) fn types(&self, text: &str) {
        (&self.screen).write_all(text.as_bytes()).unwrap();
    }

    /// Whether the terminal shows what is typed.
    pub(crate) fn has_echo(&self) -> bool {
        tcgetattr(&self.screen)
            .unwrap()
            .local_modes
            .contains(LocalModes::ECHO)
    }

    /// What is on the screen by now.
    pub(crate) fn screen(&self) -> String {
        self.shown.0.lock().unwrap().clone()
    }

    /// Closes the terminal, as a connection that drops does.
    pub(crate) fn hang_up(self) -> Child {
        drop((self.quit, self.screen));
        self.reading.join().unwrap();
        self.child
    }

    /// Waits for the end of the script, and returns its status and the whole screen.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        // All copies of the device are closed by now, so the screen has an end.
        self.reading.join().unwrap();
        let screen = self.shown.0.lock().unwrap().clone();
        (status.code(), screen)
    }
}

fn read(screen: OwnedFd, quit: PipeReader, shown: Arc<(Mutex<String>, Condvar)>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut screen = File::from(screen);
        let mut bytes = [0; 4096];
        loop {
            let mut polled = [
                PollFd::new(&screen, PollFlags::IN),
                PollFd::new(&quit, PollFlags::IN),
            ];
            if poll(&mut polled, None).is_err() || !polled[1].revents().is_empty() {
                return;
            }
            // The end of a terminal is an error, EIO.
            let Ok(length @ 1..) = screen.read(&mut bytes) else {
                return;
            };
            let text = String::from_utf8_lossy(&bytes[..length]);
            shown.0.lock().unwrap().push_str(&text);
            shown.1.notify_all();
        }
    })
}
