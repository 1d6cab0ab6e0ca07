//! A terminal of a given width for a command that only prints, and what was written to it.

use std::fs::File;
use std::io::Read;
use std::thread::{self, JoinHandle};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// The far end of a terminal, which keeps what is written to the near end.
pub(super) struct Screen(JoinHandle<Vec<u8>>);

impl Screen {
    /// A terminal with this number of columns: the end for a command, and the end that reads.
    pub(super) fn open(columns: u16) -> (File, Self) {
        let far = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&far).unwrap();
        unlockpt(&far).unwrap();
        let size = Winsize {
            ws_row: 80,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&far, size).unwrap();
        let name = ptsname(&far, Vec::new()).unwrap();
        let near = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let mut far = File::from(far);
        let read = move || {
            let mut shown = Vec::new();
            // When the near end is closed, Linux reports an error, and other systems an end of file.
            let _ = far.read_to_end(&mut shown);
            shown
        };
        (near, Screen(thread::spawn(read)))
    }

    /// Everything that was written, after the near end is closed everywhere.
    pub(super) fn shown(self) -> String {
        let bytes = self.0.join().unwrap();
        String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
    }
}
