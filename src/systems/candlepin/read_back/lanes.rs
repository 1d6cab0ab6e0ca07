//! Several connections that read at once, with the results in order and few of them in memory.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::{Listed, ReadBack};
use crate::cancel::{Cancel, Signal};
use crate::mapping::Hypervisor;
use crate::retry::retry;
use crate::systems::candlepin::Error;

/// How many hypervisors a connection may be ahead.
const AHEAD: usize = 8;

type Read = Result<Option<Hypervisor>, Error>;

/// Gives each listed hypervisor to `give`, in order.
///
/// With n connections, the first reads the hypervisors 1, n + 1, 2n + 1 and so on. Each waits if it is too far ahead.
pub(super) fn each<E: From<Error>>(
    read_back: &ReadBack,
    listed: &[Listed],
    cancel: &Cancel,
    give: impl FnMut(Hypervisor) -> Result<(), E>,
) -> Result<(), E> {
    let count = read_back.at_once.get().min(listed.len());
    // The first failure ends the other connections.
    let stop = Cancel::default();
    let _follows = stop.follow(cancel);
    thread::scope(|scope| {
        let mut lanes = Vec::with_capacity(count);
        for first in 0..count {
            let (out, lane) = sync_channel(AHEAD);
            lanes.push(lane);
            let (own, stopped) = (listed.iter().skip(first).step_by(count), stop.clone());
            let thread = thread::Builder::new().name(format!("reader-{first}"));
            let started = thread.spawn_scoped(scope, move || run(read_back, own, &out, &stopped));
            if let Err(error) = started {
                stop_all(&stop);
                return Err(Error::Threads(error).into());
            }
        }
        let given = gather(&lanes, listed.len(), cancel, give);
        if given.is_err() {
            stop_all(&stop);
        }
        given
    })
}

fn stop_all(stop: &Cancel) {
    stop.cancel(Signal::Terminate);
}

/// Reads one connection's hypervisors until one fails or nobody wants more.
fn run<'l>(
    read_back: &ReadBack,
    own: impl Iterator<Item = &'l Listed>,
    out: &SyncSender<Read>,
    stop: &Cancel,
) {
    let mut candlepin = match read_back.connect(stop) {
        Ok(candlepin) => candlepin,
        Err(error) => {
            // If nobody listens, another failure came first.
            let _ = out.send(Err(error));
            return;
        }
    };
    for listed in own {
        let read = retry(read_back.endpoint.deadline, read_back.patience, stop, || {
            candlepin.hypervisor(listed)
        });
        let is_last = read.is_err();
        if out.send(read).is_err() || is_last {
            return;
        }
    }
}

/// Takes the hypervisors from the connections in turn.
fn gather<E: From<Error>>(
    lanes: &[Receiver<Read>],
    count: usize,
    cancel: &Cancel,
    mut give: impl FnMut(Hypervisor) -> Result<(), E>,
) -> Result<(), E> {
    for lane in lanes.iter().cycle().take(count) {
        // A connection says why it ends, so its silence is a defect.
        let read = lane.recv().map_err(|_| Error::Lost)?;
        // After a signal, connections fail in many ways.
        cancel.check().map_err(Error::from)?;
        if let Some(hypervisor) = read? {
            give(hypervisor)?;
        }
    }
    Ok(())
}
