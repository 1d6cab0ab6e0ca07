//! What a long command shows while it works, to a person at a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line on the terminal that counts. It goes when it is dropped, before the next message.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Shows `PREFIX: COUNT WHAT` on stderr, if that is a terminal and the messages are the usual ones: not those of `--quiet`, and not
    /// those of `--debug`, which are progress enough.
    pub fn counting(prefix: &str, what: &'static str) -> Self {
        Progress::new(prefix, what, None, "{prefix}: {human_pos} {msg} {elapsed}")
    }

    /// The same as a bar that ends with `total`: `PREFIX: BAR COUNT of TOTAL WHAT`.
    pub fn toward(total: usize, prefix: &str, what: &'static str) -> Self {
        let template = "{prefix}: {bar:30} {human_pos} of {human_len} {msg}, {eta} left";
        Progress::new(prefix, what, Some(total as u64), template)
    }

    fn new(prefix: &str, what: &'static str, total: Option<u64>, template: &str) -> Self {
        if log::max_level() != log::LevelFilter::Info || !io::stderr().is_terminal() {
            return Progress(None);
        }
        let target = ProgressDrawTarget::stderr_with_hz(5);
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(prefix.to_owned());
        bar.set_message(what);
        // A server may think for a while: the clock shows that the command has not died.
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress(Some(bar))
    }

    /// One more.
    pub fn one(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// So many are done.
    pub fn reach(&self, done: usize) {
        if let Some(bar) = &self.0 {
            bar.set_position(done as u64);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
