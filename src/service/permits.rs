//! Limits on what happens at the same time.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A number of permits: as many holders at the same time.
#[derive(Debug)]
pub(super) struct Permits {
    left: Mutex<usize>,
    returned: Condvar,
}

/// A permit, which is returned when it is dropped.
#[derive(Debug)]
pub(super) struct Permit<'a>(&'a Permits);

impl Permits {
    /// As many permits.
    pub(super) fn new(number: usize) -> Self {
        Permits {
            left: Mutex::new(number),
            returned: Condvar::new(),
        }
    }

    /// Waits for a permit.
    pub(super) fn take(&self) -> Permit<'_> {
        let left = self.lock();
        let left = self.returned.wait_while(left, |left| *left == 0);
        *left.unwrap_or_else(PoisonError::into_inner) -= 1;
        Permit(self)
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.lock() += 1;
        self.0.returned.notify_one();
    }
}

/// Doors by their names: each has room for one at a time.
#[derive(Debug)]
pub(super) struct Doors<K> {
    taken: Mutex<HashSet<K>>,
    left: Condvar,
}

/// The one in a door, which leaves when this is dropped.
#[derive(Debug)]
pub(super) struct InDoor<'a, K: Hash + Eq + Clone> {
    doors: &'a Doors<K>,
    key: K,
}

impl<K> Default for Doors<K> {
    fn default() -> Self {
        Doors {
            taken: Mutex::default(),
            left: Condvar::new(),
        }
    }
}

impl<K: Hash + Eq + Clone> Doors<K> {
    /// Waits until the door is free.
    pub(super) fn enter(&self, key: &K) -> InDoor<'_, K> {
        let taken = self.lock();
        let taken = self.left.wait_while(taken, |taken| taken.contains(key));
        taken.unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        InDoor {
            doors: self,
            key: key.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone> Drop for InDoor<'_, K> {
    fn drop(&mut self) {
        self.doors.lock().remove(&self.key);
        self.doors.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn no_more_than_the_permitted_number_works_at_once() {
        let (permits, doors) = (Permits::new(3), Doors::default());
        let (working, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let in_door = [(); 2].map(|()| AtomicUsize::new(0));
        thread::scope(|scope| {
            for n in 0..20 {
                let (permits, doors, working, most, in_door) = (&permits, &doors, &working, &most, &in_door);
                scope.spawn(move || {
                    let _in = doors.enter(&(n % 2));
                    assert_eq!(in_door[n % 2].fetch_add(1, Ordering::SeqCst), 0);
                    let permit = permits.take();
                    most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    working.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                    in_door[n % 2].fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!(most.into_inner() <= 3);
    }
}
