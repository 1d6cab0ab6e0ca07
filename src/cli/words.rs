//! Counts and lists in messages.

use std::fmt::Display;

use crate::text;

/// The most names in one message, and the most warnings of one kind for one document. `--debug` shows all warnings.
const SOME: usize = 10;

/// A count with its noun, such as `1 hypervisor` or `2 hypervisors`.
pub fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// The counts that are not 0, such as `2 left out, 1 lost`.
pub fn counts(counts: &[(usize, &str)]) -> String {
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
    counts.join(", ")
}

/// The first ten names, and the number of the others.
pub fn first_ten<T: Display>(names: impl ExactSizeIterator<Item = T>) -> String {
    let is_cut = names.len() > SOME;
    let named = text::names(names, SOME);
    match is_cut && !log::log_enabled!(log::Level::Debug) {
        true => format!("{named} (-d names all)"),
        false => named,
    }
}

/// Warnings of one kind about one document. The first ten are printed; the others are counted, and printed only with `--debug`.
#[derive(Debug, Default)]
pub struct Warnings(usize);

impl Warnings {
    /// Prints or counts a warning.
    pub fn say(&mut self, message: impl Display) {
        self.0 += 1;
        if self.0 <= SOME || log::log_enabled!(log::Level::Debug) {
            log::warn!("{message}");
        }
    }

    /// Prints the number of warnings that were not printed.
    pub fn end(self) {
        if self.0 > SOME && !log::log_enabled!(log::Level::Debug) {
            log::warn!(
                "and {} like these (-d names all)",
                counted(self.0 - SOME, "warning")
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_agree_with_counts_and_long_lists_are_cut() {
        assert_eq!(
            (counted(1, "host"), counted(2, "host")),
            ("1 host".into(), "2 hosts".into())
        );
        assert_eq!(
            counts(&[(2, "lost"), (0, "refused"), (1, "left out")]),
            "2 lost, 1 left out"
        );
        assert_eq!(first_ten(["a", "b"].iter()), "a, b");
        assert_eq!(
            first_ten(0..12_usize),
            "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more (-d names all)"
        );
    }
}
