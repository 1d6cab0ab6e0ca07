//! The token that a signal sets and that long work obeys.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The signal that asked the command to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: a service manager stops us.
    Terminate,
    /// What SIGPIPE stands for: nobody reads stdout any more.
    Pipe,
}

/// Work was given up because a signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", match .0 { Signal::Interrupt => "interrupted", Signal::Terminate => "terminated", Signal::Pipe => "nobody reads stdout" })]
pub struct Cancelled(pub Signal);

impl Cancelled {
    /// The kind of this failure.
    pub fn kind(&self) -> crate::error::Kind {
        match self.0 {
            Signal::Pipe => crate::error::Kind::ReaderGone,
            signal => crate::error::Kind::Signal(signal),
        }
    }
}

/// A token shared by the one who may cancel and those who work.
///
/// Clones are the same token. [`Cancel::default`] is a token that nobody cancels, as log-out needs it after a signal.
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
    /// Sets the token, wakes sleepers and runs the registered hooks. Only the first call counts.
    pub fn cancel(&self, signal: Signal) {
        let mut state = self.lock();
        if state.signal.is_some() {
            return;
        }
        state.signal = Some(signal);
        let hooks = std::mem::take(&mut state.hooks);
        drop(state);
        self.0.changed.notify_all();
        for (_, hook) in hooks {
            hook();
        }
    }

    /// Fails once the token has been set.
    pub fn check(&self) -> Result<(), Cancelled> {
        match self.lock().signal {
            Some(signal) => Err(Cancelled(signal)),
            None => Ok(()),
        }
    }

    /// Has this token be set when `leader` is, as long as the returned guard lives.
    pub fn follow(&self, leader: &Cancel) -> HookGuard {
        let (follower, leader_too) = (self.clone(), leader.clone());
        leader.on_cancel(move || {
            if let Err(Cancelled(signal)) = leader_too.check() {
                follower.cancel(signal);
            }
        })
    }

    /// Has this token be set `grace` after `leader` is, as long as the returned guard lives.
    ///
    /// It serves a call whose answer must not be lost: the signal that ends all other work leaves it some time.
    pub fn follow_after(&self, leader: &Cancel, grace: Duration) -> HookGuard {
        let (follower, leader_too) = (self.clone(), leader.clone());
        leader.on_cancel(move || {
            let Err(Cancelled(signal)) = leader_too.check() else {
                return;
            };
            let late = follower.clone();
            let wait = move || {
                if late.sleep(grace).is_ok() {
                    late.cancel(signal);
                }
            };
            // A hook must not block: other hooks wait for it.
            let thread = std::thread::Builder::new().name("grace".into());
            if thread.spawn(wait).is_err() {
                follower.cancel(signal);
            }
        })
    }

    /// Sleeps, or fails as soon as the token is set.
    pub fn sleep(&self, duration: Duration) -> Result<(), Cancelled> {
        let end = Instant::now() + duration;
        let mut state = self.lock();
        loop {
            if let Some(signal) = state.signal {
                return Err(Cancelled(signal));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has `hook` run when the token is set, at once if it is set already, as long as the returned guard lives.
    ///
    /// It serves work that blocks where no flag is looked at: the hook closes the connection.
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

impl Drop for HookGuard {
    fn drop(&mut self) {
        self.cancel.lock().hooks.retain(|(id, _)| *id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_sleeper_wakes_when_the_token_is_set() {
        let cancel = Cancel::default();
        let other = cancel.clone();
        let sleeper = std::thread::spawn(move || other.sleep(Duration::from_secs(60)));
        cancel.cancel(Signal::Terminate);
        cancel.cancel(Signal::Interrupt);
        assert_eq!(sleeper.join().unwrap(), Err(Cancelled(Signal::Terminate)));
        assert_eq!(cancel.check(), Err(Cancelled(Signal::Terminate)));
    }

    #[test]
    fn what_follows_after_a_time_ends_then_and_not_before() {
        let (leader, follower, patient) = (Cancel::default(), Cancel::default(), Cancel::default());
        let _soon = follower.follow_after(&leader, Duration::from_millis(1));
        let _late = patient.follow_after(&leader, Duration::from_secs(3600));
        assert!(follower.check().is_ok());
        leader.cancel(Signal::Interrupt);
        let slept = follower.sleep(Duration::from_secs(60));
        assert_eq!(slept, Err(Cancelled(Signal::Interrupt)));
        assert!(patient.check().is_ok());
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
}
