//! Listening to the cluster's events with `kubectl get --watch`, one process for each kind of object.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use serde_json::value::RawValue;

use super::answer::{self, Event};
use super::object::Object;
use super::{Cluster, Error};
use crate::cancel::{Cancel, Signal};
use crate::process::Limits;
use crate::retry::STEADY;

/// Listens to events until it fails or `cancel` is set, and calls `stir` for each that may change the inventory.
///
/// A watch begins with all objects there are, each as an event. So `stir` is called once it listens, and no change is missed that
/// came after an earlier scan. A server ends each watch after a while. Then another begins, with all objects again.
pub fn listen(
    cluster: &Cluster,
    cancel: &Cancel,
    stir: impl Fn() + Send + Sync + 'static,
) -> Result<Infallible, Error> {
    // If one of them fails, both end.
    let both = Cancel::default();
    let _follows = both.follow(cancel);
    let stir = Arc::new(stir);
    let machines = cluster.machines();
    let follow = |kind: &str| {
        let Err(error) = follow(cluster, kind, &both, Arc::clone(&stir));
        both.cancel(Signal::Terminate);
        error
    };
    thread::scope(|scope| {
        let nodes = scope.spawn(|| follow("nodes"));
        let of_machines = follow(&machines);
        let of_nodes = nodes.join();
        cancel.check()?;
        // The one that was ended because the other failed says only that.
        Err(match of_nodes {
            Ok(of_nodes) if !is_ended(&of_nodes) => of_nodes,
            _ => of_machines,
        })
    })
}

fn is_ended(error: &Error) -> bool {
    matches!(error, Error::Process(crate::process::Error::Cancelled(_)))
}

/// Follows the events of one kind, over one watch after another.
fn follow(
    cluster: &Cluster,
    kind: &str,
    cancel: &Cancel,
    stir: Arc<impl Fn() + Send + Sync + 'static>,
) -> Result<Infallible, Error> {
    let arguments = [kind, "-A", "-o", "json", "--watch", "--output-watch-events"];
    loop {
        let begun = Instant::now();
        let stir_here = Arc::clone(&stir);
        let ended = cluster.get(&arguments, Limits::until(cancel), move |stdout| {
            let mut seen = Seen::default();
            answer::events(stdout, |event| {
                if seen.is_news(&event) {
                    stir_here();
                }
            })
        });
        // What changes before another watch has begun, or was deleted, is in no event.
        stir();
        ended.map_err(|error| error.at(cluster.server.as_deref()))?;
        cancel.check()?;
        if begun.elapsed() < STEADY {
            let program = cluster.name();
            return Err(Error::Watch { program }.at(cluster.server.as_deref()));
        }
        log::debug!("the watch of {kind} has ended; beginning another");
    }
}

/// The objects as they were in their last event: a hash of the members that a scan reads, by a hash of the name.
///
/// A node reports itself every few minutes, and most such events change nothing that counts.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    objects: HashMap<u64, u64>,
}

impl Seen {
    /// Whether the event may change the inventory.
    fn is_news(&mut self, event: &Event) -> bool {
        let Ok(object) = Object::read(RawValue::get(&event.object)) else {
            return true;
        };
        let key = self.hasher.hash_one(object.key());
        match event.kind.as_str() {
            "ADDED" | "MODIFIED" => {
                let content = self.hasher.hash_one(&object);
                self.objects.insert(key, content) != Some(content)
            }
            _ => {
                self.objects.remove(&key);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_that_change_what_a_scan_reads_are_news() {
        let mut seen = Seen::default();
        let mut is_news = |kind: &str, object: &str| {
            seen.is_news(&Event {
                kind: kind.to_owned(),
                object: RawValue::from_string(object.to_owned()).unwrap(),
            })
        };
        let node = |cpu: u8, time: u8| {
            format!(
                r#"{{"kind":"Node","metadata":{{"name":"n","resourceVersion":"{time}"}},"status":{{"allocatable":{{"cpu":"{cpu}"}},
                    "conditions":[{{"type":"Ready","status":"True","lastHeartbeatTime":"{time}"}}]}}}}"#
            )
        };
        assert!(is_news("ADDED", &node(8, 1)));
        assert!(!is_news("MODIFIED", &node(8, 2)));
        assert!(is_news("MODIFIED", &node(9, 3)));
        assert!(
            !is_news("ADDED", &node(9, 4)),
            "another watch begins with what is known"
        );
        assert!(is_news("DELETED", &node(9, 5)));
        assert!(is_news("ADDED", &node(9, 6)));
        assert!(is_news("ERROR", r#"{"kind":"Status","code":410}"#));
        assert!(is_news("MODIFIED", "5"));
    }
}
