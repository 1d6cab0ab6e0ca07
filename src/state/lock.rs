//! Locks: only one process at a time holds a lock.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::{Error, Folder};
use crate::cancel::Cancel;

/// The pause between two attempts to take a lock. If the kernel waited for us, neither a signal nor a deadline would end the wait.
const PAUSE: Duration = Duration::from_millis(100);

/// A lock. Dropping it releases it.
///
/// Its file contains the process id, and is never removed, because two processes could hold a lock whose file was removed.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // The process id is only for messages. If it stayed, the next message might name a process that has ended.
        let _ = self.0.set_len(0);
        // Closing is not enough: a program that another thread is just starting has the file open, too, for an instant.
        let _ = self.0.unlock();
    }
}

/// The process that holds a lock, if it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "process {id}"),
            None => f.write_str("another process"),
        }
    }
}

impl Holder {
    fn of(path: &Path) -> Self {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(20).read_to_string(&mut text));
        Holder(read.ok().and_then(|_| text.trim_end().parse().ok()))
    }
}

/// Whether others may hold a lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Nobody else may hold it.
    Alone,
    /// Others that claim it like this may hold it, too.
    Beside,
}

impl Folder {
    /// Takes the lock with the file `name` if it is free; otherwise the error is [`Error::Locked`].
    pub fn claim(&self, name: &str, claim: Claim) -> Result<Lock, Error> {
        self.prepare()?;
        let path = self.path(name);
        match take(&path, claim) {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(Error::Locked {
                holder: Holder::of(&path),
                path,
                waited: Duration::ZERO,
            }),
            Err(source) => Err(Error::Write { path, source }),
        }
    }

    /// Takes the lock with the file `name`. Creates the file and the folder if they are missing.
    ///
    /// If another process holds the lock, a message says so, and this waits until it is free, until the moment `until`, or until a
    /// signal. Once it has the lock, it removes temporary files that killed processes left in the folder.
    pub fn lock(&self, name: &str, until: Option<Instant>, cancel: &Cancel) -> Result<Lock, Error> {
        self.prepare()?;
        let path = self.path(name);
        let failed = |source| Error::Write {
            path: path.clone(),
            source,
        };
        let since = Instant::now();
        let mut announced = false;
        loop {
            if let Some(lock) = take(&path, Claim::Alone).map_err(failed)? {
                self.remove_left_over();
                return Ok(lock);
            }
            let holder = Holder::of(&path);
            // A process writes its id a moment after it has taken the lock.
            let is_known = holder.0.is_some() || since.elapsed() >= PAUSE;
            if is_known && !std::mem::replace(&mut announced, true) {
                log::info!("waiting for {holder}, which holds the lock {}", path.display());
            }
            let left = until.map_or(PAUSE, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                let waited = since.elapsed();
                return Err(Error::Locked { path, holder, waited });
            }
            if let Err(source) = cancel.sleep(left.min(PAUSE)) {
                return Err(Error::Cancelled { path, holder, source });
            }
        }
    }
}

/// The lock, unless another process holds it.
fn take(path: &Path, claim: Claim) -> io::Result<Option<Lock>> {
    let mut options = File::options();
    let options = options.create(true).write(true).truncate(false).mode(0o600);
    // Opening a pipe would wait for its reader.
    let options = options.custom_flags(OFlags::NONBLOCK.bits() as i32);
    let mut file = options.open(path)?;
    let taken = match claim {
        Claim::Alone => file.try_lock(),
        Claim::Beside => file.try_lock_shared(),
    };
    match taken {
        Ok(()) => {
            // Only messages need the process id, so a full disk must not be an error.
            let _ = file
                .set_len(0)
                .and_then(|()| writeln!(file, "{}", std::process::id()));
            Ok(Some(Lock(file)))
        }
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Signal;
    use crate::error::Classify as _;
    use crate::error::Kind;
    use std::fs;

    #[test]
    fn a_lock_is_held_by_one_process_and_names_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("new"));
        let cancel = Cancel::default();
        let held = folder.lock("l", None, &cancel).unwrap();
        let me = std::process::id();
        assert_eq!(fs::read_to_string(folder.path("l")).unwrap(), format!("{me}\n"));
        let error = folder.lock("l", Some(Instant::now()), &cancel).unwrap_err();
        assert_eq!(error.kind(), Kind::TempFail);
        let words = format!("process {me} still holds the lock {}", folder.path("l").display());
        assert!(error.to_string().starts_with(&words), "{error}");
        // Another lock of the same folder is free.
        folder.lock("m", Some(Instant::now()), &cancel).unwrap();
        drop(held);
        folder.lock("l", Some(Instant::now()), &cancel).unwrap();
        assert_eq!(Holder::of(&folder.path("l")), Holder(None));
    }

    #[test]
    fn a_lock_is_claimed_by_one_alone_or_by_several_beside_each_other() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let claim = |claim| folder.claim("l", claim);
        let beside = [claim(Claim::Beside).unwrap(), claim(Claim::Beside).unwrap()];
        let error = claim(Claim::Alone).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        drop(beside);
        let _alone = claim(Claim::Alone).unwrap();
        let error = claim(Claim::Beside).unwrap_err();
        let words = format!("process {} still", std::process::id());
        assert!(error.to_string().starts_with(&words), "{error}");
    }

    #[test]
    fn a_lock_is_free_at_once_although_a_program_that_starts_has_its_file() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let held = folder.claim("l", Claim::Alone).unwrap();
        let _inherited = held.0.try_clone().unwrap();
        assert!(folder.claim("l", Claim::Alone).is_err());
        drop(held);
        folder.claim("l", Claim::Alone).unwrap();
    }

    #[test]
    fn a_pipe_in_place_of_a_lock_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.path("l"), rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(folder.claim("l", Claim::Alone).unwrap_err().kind(), Kind::Io);
    }

    #[test]
    fn a_wait_ends_with_the_lock_or_with_a_signal() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let cancel = Cancel::default();
        let held = folder.lock("l", None, &cancel).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| folder.lock("l", None, &Cancel::default()).map(drop));
            let stopped = scope.spawn(|| folder.lock("l", None, &cancel).map(drop));
            cancel.cancel(Signal::Terminate);
            let error = stopped.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), Kind::Signal(Signal::Terminate));
            assert!(!waiter.is_finished());
            drop(held);
            waiter.join().unwrap().unwrap();
        });
    }
}
