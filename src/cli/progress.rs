//! The progress of long work, shown on a terminal.

use std::fmt;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::width;

/// The length of a bar in columns.
const BAR: usize = 20;

/// A line on the terminal with a count. Dropping it removes the line.
#[derive(Debug)]
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// Shows `PREFIX: COUNT WHAT` on stderr, if that is a terminal. It shows nothing with `--quiet`, nor with `--debug`, whose
    /// messages show the progress.
    pub fn counting(prefix: &str, what: &'static str) -> Self {
        let prefix = prefix.to_owned();
        Progress::new(None, move |state| {
            let elapsed = HumanDuration(state.elapsed());
            format!("{prefix}: {} {what} {elapsed:#}", HumanCount(state.pos()))
        })
    }

    /// Shows what `line` returns, such as `PREFIX: 3 done, web1 42 %`.
    pub fn describing(line: impl Fn() -> String + Clone + Send + Sync + 'static) -> Self {
        Progress::new(None, move |_| line())
    }

    /// Runs `print` while the line is hidden, so that it prints below nothing.
    pub fn hidden<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Like [`Progress::counting`], with the total, the remaining time and a bar.
    pub fn toward(total: usize, prefix: &str, what: &'static str) -> Self {
        let prefix = prefix.to_owned();
        Progress::new(Some(total as u64), move |state| {
            let of = HumanCount(total as u64);
            let (done, left) = (HumanCount(state.pos()), HumanDuration(state.eta()));
            format!(
                "{prefix}: {done} of {of} {what}, {left:#} left {}",
                bar(state.fraction())
            )
        })
    }

    fn new(
        total: Option<u64>,
        line: impl Fn(&ProgressState) -> String + Clone + Send + Sync + 'static,
    ) -> Self {
        if log::max_level() != log::LevelFilter::Info || !io::stderr().is_terminal() {
            return Progress(None);
        }
        let target = ProgressDrawTarget::stderr_with_hz(5);
        let bar = ProgressBar::with_draw_target(total, target);
        // The window may have become smaller, and a line that wraps can't be removed.
        let fit = move |state: &ProgressState, out: &mut dyn fmt::Write| {
            let columns = width::columns(io::stderr()).unwrap_or(width::DEFAULT);
            let _ = out.write_str(fitted(&line(state), columns));
        };
        if let Ok(style) = ProgressStyle::with_template("{line}") {
            bar.set_style(style.with_key("line", fit));
        }
        // While a server is slow, the running clock shows that the command is alive.
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress(Some(bar))
    }

    /// Counts one more.
    pub fn one(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Sets the count.
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

/// The part of a line that fits the terminal. The last column stays empty, because some terminals wrap after it.
fn fitted(line: &str, columns: usize) -> &str {
    width::cut(line, columns.saturating_sub(1)).trim_end()
}

/// A bar that is filled to this share, from 0 to 1.
fn bar(share: f32) -> String {
    let done = (share.clamp(0.0, 1.0) * BAR as f32) as usize;
    "█".repeat(done) + &"░".repeat(BAR.saturating_sub(done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shorter_than_the_terminal_is_wide() {
        let line = format!(
            "vw-report-candlepin: 1,000 of 9,999 hypervisors, 5s left {}",
            bar(0.5)
        );
        for columns in [1, 2, 20, 60, 80, 200] {
            let shown = fitted(&line, columns).chars().count();
            assert!(shown < columns, "{columns}: {shown}");
        }
        assert_eq!(fitted(&line, 200), line);
        assert!(line.starts_with(fitted(&line, 50)), "the end is cut off");
    }

    #[test]
    fn a_bar_always_has_the_same_length() {
        for share in [-1.0, 0.0, 0.33, 1.0, 2.0, f32::NAN] {
            assert_eq!(bar(share).chars().count(), BAR, "{share}");
        }
        assert_eq!(bar(0.0), "░".repeat(BAR));
        assert_eq!(bar(1.0), "█".repeat(BAR));
    }
}
