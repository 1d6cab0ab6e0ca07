//! A token that a signal sets, and that ends long work.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

/// A signal that ends a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: a service manager stops the command.
    Terminate,
    /// SIGHUP: the terminal or the ssh connection is gone.
    Hangup,
    /// SIGQUIT: Ctrl-\.
    Quit,
    /// Like SIGPIPE: the reader of stdout is gone.
    Pipe,
}

/// The error of work that a signal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", match .0 {
    Signal::Interrupt => "interrupted",
    Signal::Terminate => "terminated",
    Signal::Hangup => "ended by SIGHUP",
    Signal::Quit => "ended by SIGQUIT",
    Signal::Pipe => "nobody reads stdout",
})]
pub struct Cancelled(pub Signal);

/// A token shared by the code that may cancel and the code that works.
///
/// Clones are the same token. [`Cancel::default`] is a new token that is not set. Logging out after a signal needs one.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    signal: Option<Signal>,
    next_hook: u64,
    hooks: Vec<(u64, Hook)>,
}

type Hook = Box<dyn FnOnce() + Send>;

impl Cancel {
    /// Sets the token, wakes sleepers and runs the registered hooks, newest first. Later calls do nothing.
    pub fn cancel(&self, signal: Signal) {
        let mut state = self.lock();
        if state.signal.is_some() {
            return;
        }
        state.signal = Some(signal);
        let hooks = std::mem::take(&mut state.hooks);
        drop(state);
        self.0.changed.notify_all();
        for (_, hook) in hooks.into_iter().rev() {
            hook();
        }
    }

    /// Fails if the token is set.
    pub fn check(&self) -> Result<(), Cancelled> {
        match self.lock().signal {
            Some(signal) => Err(Cancelled(signal)),
            None => Ok(()),
        }
    }

    /// Cancels this token when `leader` is cancelled, as long as the returned guard lives.
    pub fn follow(&self, leader: &Cancel) -> HookGuard {
        let (follower, leader_too) = (self.clone(), leader.clone());
        leader.on_cancel(move || {
            if let Err(Cancelled(signal)) = leader_too.check() {
                follower.cancel(signal);
            }
        })
    }

    /// Like [`Cancel::follow`], but `delay` later. It gives a call time to finish whose answer must not be lost.
    pub fn follow_late(&self, leader: &Cancel, delay: Duration) -> LateGuard {
        let (follower, leader_too) = (self.clone(), leader.clone());
        let alive = Arc::new(());
        let still = Arc::downgrade(&alive);
        let hook = leader.on_cancel(move || {
            let late = move || {
                thread::sleep(delay);
                if still.upgrade().is_some()
                    && let Err(Cancelled(signal)) = leader_too.check()
                {
                    follower.cancel(signal);
                }
            };
            if let Err(error) = thread::Builder::new().name("delay".into()).spawn(late) {
                log::debug!("no thread to end the current call after {delay:?}: {error}");
            }
        });
        LateGuard {
            _hook: hook,
            _alive: alive,
        }
    }

    /// Runs `work` in a thread and returns its result, or fails as soon as the token is set.
    ///
    /// It is for work that may block although a signal comes, such as opening a FIFO or reading from a terminal. Abandoned work
    /// continues in its thread until the process ends.
    ///
    /// ```
    /// # use vw::cancel::Cancel;
    /// let content = Cancel::default().unblocked(|| std::fs::read("/dev/null"))??;
    /// assert!(content.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unblocked<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<io::Result<T>, Cancelled> {
        self.check()?;
        let (sender, receiver) = mpsc::channel();
        let cancelled = sender.clone();
        let _hook = self.on_cancel(move || _ = cancelled.send(None));
        let started = thread::Builder::new().name("blocking".into()).spawn(move || {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let done = done.unwrap_or_else(|_| Err(io::Error::other("the work ended without a result")));
            _ = sender.send(Some(done));
        });
        if let Err(error) = started {
            return Ok(Err(error));
        }
        // If the work has finished by now, its result counts although a signal came first.
        let done = receiver
            .recv()
            .ok()
            .flatten()
            .or_else(|| receiver.try_recv().ok()?);
        match done {
            Some(done) => Ok(done),
            None => self.check().map(|()| Err(io::ErrorKind::Interrupted.into())),
        }
    }

    /// Sleeps for `duration`, or fails as soon as the token is set. A time that the clock can't represent never ends.
    pub fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        let end = Instant::now().checked_add(duration);
        let mut state = self.lock();
        loop {
            if let Some(signal) = state.signal {
                return Err(Cancelled(signal));
            }
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return Ok(());
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Runs `hook` when the token is set, or immediately if it is set already. Dropping the returned guard removes the hook.
    ///
    /// A hook can end work that does not check the token, for example by closing its connection.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) -> HookGuard {
        let mut state = self.lock();
        let id = state.next_hook;
        state.next_hook += 1;
        if state.signal.is_some() {
            drop(state);
            hook();
        } else {
            state.hooks.push((id, Box::new(hook)));
        }
        HookGuard {
            cancel: self.clone(),
            id,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.lock().signal).finish()
    }
}

/// Keeps a hook of [`Cancel::on_cancel`] registered.
#[derive(Debug)]
pub struct HookGuard {
    cancel: Cancel,
    id: u64,
}

impl HookGuard {
    /// Unregisters the hook. Returns false if it was not registered any more, because it runs or has run.
    pub fn withdraw(&self) -> bool {
        let mut state = self.cancel.lock();
        let before = state.hooks.len();
        state.hooks.retain(|(id, _)| *id != self.id);
        state.hooks.len() < before
    }
}

impl Drop for HookGuard {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// Keeps a follower of [`Cancel::follow_late`] registered.
#[derive(Debug)]
pub struct LateGuard {
    _hook: HookGuard,
    _alive: Arc<()>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn setting_the_token_wakes_a_sleeper() {
        let cancel = Cancel::default();
        let other = cancel.clone();
        let sleeper = std::thread::spawn(move || other.sleep(Duration::from_secs(60)));
        cancel.cancel(Signal::Terminate);
        cancel.cancel(Signal::Interrupt);
        assert_eq!(sleeper.join().unwrap(), Err(Cancelled(Signal::Terminate)));
        assert_eq!(cancel.check(), Err(Cancelled(Signal::Terminate)));
    }

    #[test]
    fn an_endless_sleep_ends_only_with_the_token() {
        let cancel = Cancel::default();
        let other = cancel.clone();
        let sleeper = std::thread::spawn(move || other.sleep(Duration::MAX));
        cancel.cancel(Signal::Terminate);
        assert_eq!(sleeper.join().unwrap(), Err(Cancelled(Signal::Terminate)));
    }

    #[test]
    fn a_hook_runs_once_and_only_while_its_guard_lives() {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = || {
            let runs = runs.clone();
            move || {
                runs.fetch_add(1, Ordering::SeqCst);
            }
        };
        let cancel = Cancel::default();
        let _kept = cancel.on_cancel(count());
        drop(cancel.on_cancel(count()));
        cancel.cancel(Signal::Interrupt);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        let _late = cancel.on_cancel(count());
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn hooks_run_newest_first() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |n| {
            let order = order.clone();
            move || order.lock().unwrap().push(n)
        };
        let cancel = Cancel::default();
        let _guards = [1, 2, 3].map(|n| cancel.on_cancel(note(n)));
        cancel.cancel(Signal::Hangup);
        assert_eq!(*order.lock().unwrap(), [3, 2, 1]);
    }

    #[test]
    fn a_late_follower_follows_as_long_as_its_guard_lives() {
        let (leader, late, free) = (Cancel::default(), Cancel::default(), Cancel::default());
        let _guard = late.follow_late(&leader, Duration::from_millis(1));
        drop(free.follow_late(&leader, Duration::ZERO));
        let waits = Cancel::default();
        let patient = waits.follow_late(&leader, Duration::from_secs(3600));
        leader.cancel(Signal::Quit);
        let woken = late.sleep(Duration::from_secs(60));
        assert_eq!(woken, Err(Cancelled(Signal::Quit)));
        assert_eq!(free.check(), Ok(()));
        assert_eq!(waits.check(), Ok(()));
        drop(patient);
    }

    #[test]
    fn setting_the_token_abandons_blocking_work() {
        let cancel = Cancel::default();
        assert_eq!(cancel.unblocked(|| Ok(7)).unwrap().unwrap(), 7);
        let (_never_written, mut silent) = {
            let (reader, writer) = io::pipe().unwrap();
            (writer, reader)
        };
        let (begun, has_begun) = mpsc::channel();
        let worker = thread::spawn({
            let cancel = cancel.clone();
            move || {
                cancel.unblocked(move || {
                    begun.send(()).unwrap();
                    io::Read::read(&mut silent, &mut [0])
                })
            }
        });
        has_begun.recv().unwrap();
        cancel.cancel(Signal::Terminate);
        assert_eq!(worker.join().unwrap().unwrap_err(), Cancelled(Signal::Terminate));
        assert!(cancel.unblocked(|| Ok(())).is_err());
    }
}
