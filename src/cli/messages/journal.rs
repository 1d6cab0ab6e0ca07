//! The journal's priorities: systemd reads `<3>` at the beginning of a line as the priority "error", see sd-daemon(3).

use std::os::fd::AsFd as _;
use std::sync::LazyLock;

use log::Level;

/// Whether stderr is a stream to the journal. Elsewhere a person would have to read the priorities.
static CONNECTED: LazyLock<bool> = LazyLock::new(|| {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let stderr = std::io::stderr();
    rustix::fs::fstat(stderr.as_fd()).is_ok_and(|about| is_named(&stream, about.st_dev, about.st_ino))
});

/// What a line of this level begins with: its priority if stderr is the journal, else nothing.
pub(super) fn priority(level: Level) -> &'static str {
    match *CONNECTED {
        true => number(level),
        false => "",
    }
}

fn number(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}

/// Whether the variable names this file. A program that redirects its stderr leaves the variable as it was, so systemd.exec(5)
/// says to compare.
fn is_named(stream: &str, device: u64, inode: u64) -> bool {
    stream == format!("{device}:{inode}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_names_one_file() {
        assert!(is_named("8:1234", 8, 1234));
        for other in ["", "8", "8:", "8:12345", "9:1234", "8:1234 ", "eight:1234"] {
            assert!(!is_named(other, 8, 1234), "{other}");
        }
    }

    #[test]
    fn each_level_has_the_priority_of_syslog() {
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        assert_eq!(levels.map(number), ["<3>", "<4>", "<6>", "<7>", "<7>"]);
    }
}
