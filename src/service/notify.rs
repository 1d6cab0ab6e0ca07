//! Messages to systemd, see sd_notify(3). Without systemd they do nothing.

use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

/// The variables by which systemd addresses its service. A child must not inherit them, because it would answer in our place.
pub const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// Reports that the service is ready, at the start and after a reload.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// Reports that the configuration is being read again. [`ready`] ends this.
pub fn reloading() {
    // From systemd 253 on, and only with Type=notify-reload, the time is required. Older versions ignore it.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

/// Reports that the service is ending.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Sets the line that `systemctl status` shows.
pub fn status(line: &str) {
    send(&[NotifyState::Status(&crate::text::message(line))]);
}

/// Reports that the service is alive.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How often [`alive`] must be called: twice in the time that the unit's `WatchdogSec` allows. `None` if there is no watchdog.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
        .map(|limit| limit / 2)
        .filter(|pause| !pause.is_zero())
}

/// Reports that the service is ready, and, as long as the process runs, that it is alive. It is for work that has no loop.
pub fn ready_and_alive() {
    ready();
    let Some(pulse) = watchdog() else { return };
    let beat = move || {
        loop {
            thread::sleep(pulse);
            alive();
        }
    };
    if let Err(error) = thread::Builder::new().name("watchdog".into()).spawn(beat) {
        log::debug!("no thread for the watchdog of systemd: {error}");
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("systemd was not notified: {}", crate::text::reason(&error));
    }
}
