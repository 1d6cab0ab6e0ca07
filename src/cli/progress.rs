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
        if log::max_level() != log::LevelFilter::Info || !io::stderr().is_terminal() {
            return Progress(None);
        }
        let style = ProgressStyle::with_template("{prefix}: {human_pos} {msg}, {elapsed}");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5))
            .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
            .with_prefix(prefix.to_owned())
            .with_message(what);
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
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
