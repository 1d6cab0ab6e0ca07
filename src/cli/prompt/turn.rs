//! The turn to ask on a terminal: a lock on the terminal's device file.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{FlockOperation, fcntl_lock, fstat, major, minor};
use rustix::io::Errno;

use crate::cancel::{Cancel, Cancelled};

/// The right to ask. It ends when it is dropped, or with the process.
///
/// The lock belongs to the process and to the device, such as /dev/pts/3. A lock on /dev/tty would not work, because it is one
/// file for all terminals.
#[derive(Debug)]
pub(super) struct Turn {
    /// All descriptors of the device. Closing any of them would release the process's lock (fcntl(2)).
    _devices: Vec<Arc<OwnedFd>>,
}

impl Turn {
    /// Waits until no other process asks on this terminal.
    pub(super) fn wait(cancel: &Cancel) -> Result<Self, Cancelled> {
        let devices = candidates();
        for device in &devices {
            let done = match fcntl_lock(device, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::AGAIN | Errno::ACCESS) => {
                    let device = device.clone();
                    cancel.unblocked(move || lock(&device))?
                }
                done => done.map_err(io::Error::from),
            };
            match done {
                Ok(()) => return Ok(Turn { _devices: devices }),
                // The descriptor may be read-only, or the file system may not support locks.
                Err(error) => log::debug!("the terminal can't be locked: {error}"),
            }
        }
        log::debug!("another command may ask on the terminal at the same time");
        Ok(Turn { _devices: devices })
    }
}

fn lock(device: &OwnedFd) -> io::Result<()> {
    loop {
        match fcntl_lock(device, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            done => return done.map_err(io::Error::from),
        }
    }
}

/// Descriptors of the terminal's device. The standard streams come first, because opening the device by its path fails if it
/// belongs to another user (`sudo -u`).
fn candidates() -> Vec<Arc<OwnedFd>> {
    let status = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let Some((major, minor)) = terminal_of(&status) else {
        return Vec::new();
    };
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let own = [stderr.as_fd(), stdin.as_fd(), stdout.as_fd()];
    let own = own.into_iter().filter(|fd| is_device(*fd, (major, minor)));
    let mut found: Vec<OwnedFd> = own.filter_map(|fd| fd.try_clone_to_owned().ok()).collect();
    if let Some(path) = path_of(major, minor)
        && let Ok(device) = File::options().read(true).write(true).open(path)
        && is_device(device.as_fd(), (major, minor))
    {
        found.push(device.into());
    }
    found.into_iter().map(Arc::new).collect()
}

fn is_device(fd: BorrowedFd<'_>, device: (u32, u32)) -> bool {
    fstat(fd).is_ok_and(|about| (major(about.st_rdev), minor(about.st_rdev)) == device)
}

/// Major and minor number of the controlling terminal: `tty_nr` in proc_pid_stat(5).
fn terminal_of(status: &str) -> Option<(u32, u32)> {
    // The second field, the name in brackets, may contain any characters. tty_nr is the seventh field.
    let (_, fields) = status.rsplit_once(')')?;
    let number: i32 = fields.split_whitespace().nth(4)?.parse().ok()?;
    let number = number.cast_unsigned();
    (number != 0).then_some((
        (number >> 8) & 0xfff,
        (number & 0xff) | ((number >> 12) & 0xf_ff00),
    ))
}

/// The path of a pseudo terminal or console with these numbers (devices.txt of the kernel).
fn path_of(major: u32, minor: u32) -> Option<String> {
    match major {
        136..=143 => Some(format!("/dev/pts/{}", minor + ((major - 136) << 8))),
        4 if minor < 64 => Some(format!("/dev/tty{minor}")),
        4 => Some(format!("/dev/ttyS{}", minor - 64)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_is_found_by_its_numbers() {
        let table = [
            (34816, Some((136, 0)), "/dev/pts/0"),
            (34819, Some((136, 3)), "/dev/pts/3"),
            (1_083_392, Some((136, 256)), "/dev/pts/256"),
            (1025, Some((4, 1)), "/dev/tty1"),
            (1088, Some((4, 64)), "/dev/ttyS0"),
            (0, None, ""),
        ];
        for (number, device, path) in table {
            let status = format!("77 (a) b) c) S 1 77 77 {number} 77 4194304 0 0");
            assert_eq!(terminal_of(&status), device, "{number}");
            if let Some((major, minor)) = device {
                assert_eq!(path_of(major, minor).as_deref(), Some(path));
            }
        }
        assert_eq!(terminal_of(""), None);
        assert_eq!(terminal_of("1 (x) S 1"), None);
    }
}
