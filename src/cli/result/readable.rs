//! A result line for people, followed by what failed.

use std::io::{self, IsTerminal};

use jiff::ZonedDateTime;

use super::{Line, State};
use crate::cli::width;
use crate::cli::words::{counted, counts};
use crate::text;

/// The most failed hypervisors that are named.
const NAMED: usize = 10;

/// A blank at which a line is not broken.
const NO_BREAK: char = '\u{a0}';

/// The result line for stdout, with the current time.
pub(super) fn here(line: &Line) -> String {
    let time = ZonedDateTime::now().strftime("%H:%M:%S").to_string();
    let columns = width::columns(io::stdout()).unwrap_or(width::DEFAULT);
    // If stderr is a terminal, the error is printed there.
    render(line, &time, columns, !io::stderr().is_terminal())
}

/// Lines for the terminal, broken between words; what follows a break is indented.
pub fn fitted(lines: &[String]) -> String {
    wrapped(lines, width::columns(io::stdout()).unwrap_or(width::DEFAULT))
}

fn wrapped(lines: &[String], columns: usize) -> String {
    let fit = |line: &String| {
        let wrapped = width::wrapped(&text::message(line), columns, 4);
        wrapped.replace(NO_BREAK, " ") + "\n"
    };
    lines.iter().map(fit).collect()
}

fn render(line: &Line, time: &str, columns: usize, with_error: bool) -> String {
    let mut lines = vec![summary(line, time)];
    let failed = line.failed.iter().take(NAMED);
    lines.extend(failed.map(|failed| format!("  {failed}")));
    let more = line.failed.len().saturating_sub(NAMED);
    if more > 0 {
        lines.push(format!("  and {more} more; --json has them all"));
    }
    if with_error && let Some(error) = &line.error {
        lines.push(format!("  {error}"));
    }
    wrapped(&lines, columns)
}

/// Such as `12:00:00 prod: finished, 5 hypervisors, 25 guests, 5 created (0.3 s)`.
fn summary(line: &Line, time: &str) -> String {
    let whose = line.section.as_deref().unwrap_or(&line.server);
    let state = match line.state {
        State::Finished => "finished",
        State::Partial => "PARTIAL",
        State::Unchanged => "unchanged",
        State::Heartbeat => "heartbeat",
        State::Sent => "sent",
        State::Failed => "FAILED",
    };
    let of_hypervisors = [
        (line.created, "created"),
        (line.updated, "updated"),
        (line.unchanged, "unchanged"),
        (line.deleted, "deleted"),
        (line.failed.len(), "failed"),
        (line.omitted, "left out"),
    ];
    let mut parts = vec![
        counted(line.hypervisors, "hypervisor"),
        counted(line.guests, "guest"),
    ];
    parts.extend(Some(counts(&of_hypervisors)).filter(|counts| !counts.is_empty()));
    format!(
        "{time} {whose}: {state}, {} ({:.1}{NO_BREAK}s)",
        parts.join(", "),
        line.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::LeftOut;

    fn line() -> Line {
        Line {
            time: "2026-08-01T10:00:00Z".to_owned(),
            section: Some("prod".to_owned()),
            server: "https://sub.example.com".to_owned(),
            owner: Some("org".to_owned()),
            state: State::Finished,
            error: None,
            hypervisors: 247,
            guests: 3012,
            created: 5,
            updated: 2,
            unchanged: 0,
            deleted: 0,
            omitted: 0,
            failed: Vec::new(),
            jobs: Vec::new(),
            retry_after: None,
            seconds: 12.44,
        }
    }

    #[test]
    fn success_is_one_line() {
        assert_eq!(
            render(&line(), "03:14:07", 100, true),
            "03:14:07 prod: finished, 247 hypervisors, 3012 guests, 5 created, 2 updated (12.4 s)\n"
        );
        assert_eq!(
            render(&line(), "03:14:07", 80, true),
            "03:14:07 prod: finished, 247 hypervisors, 3012 guests, 5 created, 2 updated\n    (12.4 s)\n"
        );
        for columns in 60..100 {
            let broken = render(&line(), "03:14:07", columns, true);
            assert!(broken.contains("(12.4 s)"), "{broken}");
        }
        let one = Line {
            section: None,
            state: State::Unchanged,
            hypervisors: 1,
            guests: 1,
            created: 0,
            updated: 0,
            unchanged: 1,
            ..line()
        };
        assert_eq!(
            render(&one, "03:14:07", 80, true),
            "03:14:07 https://sub.example.com: unchanged, 1 hypervisor, 1 guest, 1 unchanged\n    (12.4 s)\n"
        );
    }

    #[test]
    fn failed_hypervisors_are_listed_without_control_characters() {
        let fails = |n: usize| LeftOut {
            id: Some(format!("id{n}")),
            name: (n == 0).then(|| "esx\u{1b}[2J\nx".to_owned()),
            reason: "no (os error 2)".to_owned(),
            ..LeftOut::default()
        };
        let failed = Line {
            state: State::Partial,
            failed: (0..12).map(fails).collect(),
            error: Some("not all of it is reported".to_owned()),
            ..line()
        };
        let shown = render(&failed, "03:14:07", 200, true);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            lines[0].contains("prod: PARTIAL, ") && lines[0].contains(" 12 failed "),
            "{shown}"
        );
        assert_eq!(lines[1], "  esx [2J x (id0): no");
        assert_eq!(lines[10], "  id9: no");
        assert_eq!(lines[11], "  and 2 more; --json has them all");
        assert_eq!(lines[12], "  not all of it is reported");
        assert_eq!(lines.len(), 13);
        assert!(!render(&failed, "03:14:07", 200, false).contains("not all"));
    }
}
