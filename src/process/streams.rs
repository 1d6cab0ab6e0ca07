//! What a program prints, read in threads.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// The longest line that is read in one piece, in bytes.
const LONGEST_LINE: u64 = 64 * 1024;

/// How many lines may wait to be read, and how many lines of stderr are kept.
pub(super) const LINES: usize = 256;

/// Does work in a thread that may outlive the caller's interest, and returns where its result arrives.
pub(super) fn in_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Receiver<T>> {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new().name(name.into());
    thread.spawn(move || _ = sender.send(work()))?;
    Ok(receiver)
}

/// The last lines of stderr. Each is also given to `each`, as it comes.
pub(super) fn kept(lines: Option<Receiver<String>>, mut each: impl FnMut(&str)) -> Vec<String> {
    let mut kept = VecDeque::new();
    for line in lines.into_iter().flatten() {
        each(&line);
        if kept.len() == LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    kept.into()
}

/// Reads lines in a thread.
pub(super) fn lines_of(stderr: impl Read + Send + 'static) -> io::Result<Receiver<String>> {
    let (sender, receiver) = mpsc::sync_channel(LINES);
    let read = move || {
        let mut stderr = BufReader::new(stderr);
        read_lines(&mut stderr, |line| sender.send(line.to_owned()).is_ok());
        // Nobody reads, but the program must not be stopped by a full pipe.
        let _ = io::copy(&mut stderr, &mut io::sink());
    };
    thread::Builder::new().name("stderr".into()).spawn(read)?;
    Ok(receiver)
}

/// Gives each line to `each` until that returns false. A line that is too long comes in pieces.
pub(super) fn read_lines(stream: &mut impl BufRead, mut each: impl FnMut(&str) -> bool) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match stream.take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        if !each(text.trim_end_matches(['\n', '\r'])) {
            return;
        }
    }
}
