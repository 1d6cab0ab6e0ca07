//! What is shown: result lines on stdout, failures on stderr, and the progress on a terminal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::line::Line;
use super::{COMMAND, lock};
use crate::cli::Exit;
use crate::cli::progress::Progress;
use crate::cli::result::{Form, Results};
use crate::error::Kind;
use crate::systems::vsphere::TaskInfo;

/// How many virtual machines the progress names.
const NAMED: usize = 3;

/// Results and progress. Threads share it.
pub(super) struct Show {
    results: Mutex<Results>,
    progress: Progress,
    pending: Arc<Mutex<Pending>>,
}

/// The work that is not done.
#[derive(Debug, Default)]
struct Pending {
    done: usize,
    /// How much of each task is done, in percent, by the name of the virtual machine.
    running: BTreeMap<String, Option<u8>>,
}

/// A virtual machine in work. Dropping it removes it from the progress.
pub(super) struct Begun<'s> {
    pending: &'s Mutex<Pending>,
    name: &'s str,
}

impl Show {
    pub(super) fn new(form: Form) -> Self {
        let pending = Arc::<Mutex<Pending>>::default();
        let shown = Arc::clone(&pending);
        Show {
            results: Mutex::new(Results::new(form)),
            progress: Progress::describing(move || format!("{COMMAND}: {}", lock(&shown).line())),
            pending,
        }
    }

    /// Shows that the work on a virtual machine begins.
    pub(super) fn begin<'s>(&'s self, name: &'s str) -> Begun<'s> {
        lock(&self.pending).running.insert(name.to_owned(), None);
        let pending = &*self.pending;
        Begun { pending, name }
    }

    /// Prints a result, and its error on stderr. `kind` is that of the failure, if it is one.
    pub(super) fn print(&self, line: &Line, kind: Option<Kind>) {
        self.progress.hidden(|| {
            let mut results = lock(&self.results);
            if let Some(kind) = kind {
                results.failed(kind);
            }
            results.print(line);
            if let Some(error) = &line.error {
                log::error!("{}: {}: {error}", line.vm, line.action);
            }
        });
    }

    /// The exit status of all results.
    pub(super) fn exit(self) -> Exit {
        let results = self.results.into_inner();
        results.unwrap_or_else(std::sync::PoisonError::into_inner).exit()
    }
}

impl Begun<'_> {
    /// Shows what the server says about the task.
    pub(super) fn progress(&self, info: &TaskInfo) {
        let mut pending = lock(self.pending);
        pending.running.insert(self.name.to_owned(), info.progress);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut pending = lock(self.pending);
        pending.running.remove(self.name);
        pending.done += 1;
    }
}

impl Pending {
    /// Such as `3 done, web1 42 %, web2`.
    fn line(&self) -> String {
        let one = |(name, percent): (&String, &Option<u8>)| match percent {
            Some(percent) => format!("{name} {percent} %"),
            None => name.clone(),
        };
        let named = self.running.iter().take(NAMED).map(one);
        let more = self.running.len().saturating_sub(NAMED);
        let done = format!("{} done", self.done);
        let more = (more > 0).then(|| format!("{more} more"));
        let parts: Vec<String> = std::iter::once(done).chain(named).chain(more).collect();
        crate::text::line(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_names_a_few_machines() {
        let mut pending = Pending {
            done: 3,
            ..Pending::default()
        };
        assert_eq!(pending.line(), "3 done");
        for (name, percent) in [("a", Some(42)), ("b\n", None), ("c", None), ("d", None)] {
            pending.running.insert(name.to_owned(), percent);
        }
        assert_eq!(pending.line(), "3 done, a 42 %, b , c, 1 more");
    }
}
