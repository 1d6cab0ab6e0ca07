//! The exit status.

use crate::cancel::Signal;
use crate::error::Kind;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything succeeded.
    Ok,
    /// Everything succeeded, and the answer to the user's question is no: not found, not the same.
    No,
    /// It failed, and has already reported the failure.
    Failed(Kind),
}

impl From<()> for Exit {
    fn from((): ()) -> Self {
        Exit::Ok
    }
}

/// The exit status if the answer is no, as that of grep(1) and diff(1).
pub(super) const NO: u8 = 1;

/// The exit status for a kind of failure, as in sysexits(3) and in the shell.
pub(super) fn status(kind: Kind) -> u8 {
    match kind {
        Kind::ReaderGone | Kind::Signal(Signal::Pipe) => 0,
        Kind::Usage => 64,
        Kind::Data => 65,
        Kind::NoInput => 66,
        Kind::Unavailable => 69,
        Kind::Software => 70,
        Kind::Io => 74,
        Kind::TempFail => 75,
        Kind::Protocol => 76,
        Kind::NoPerm => 77,
        Kind::Config => 78,
        Kind::Signal(Signal::Hangup) => 129,
        Kind::Signal(Signal::Interrupt) => 130,
        Kind::Signal(Signal::Quit) => 131,
        Kind::Signal(Signal::Terminate) => 143,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers and the text of each row in the table of statuses in vw(7).
    fn documented() -> Vec<(Vec<u8>, String)> {
        let page = include_str!("../../man/vw.7");
        let section = page.split(".Sh EXIT STATUS\n").nth(1).unwrap();
        let table = section.split("\n.El").next().unwrap();
        let rows = table.split("\n.It ").filter_map(|row| row.split_once(" Ta "));
        rows.filter(|(numbers, _)| numbers.starts_with(|c: char| c.is_ascii_digit()))
            .map(|(numbers, text)| {
                let numbers = numbers.split(", ").map(|number| number.parse().unwrap());
                (numbers.collect(), text.replace("\\\n", " "))
            })
            .collect()
    }

    #[test]
    fn the_status_of_each_kind_is_the_one_in_the_manual_page() {
        // The word by which the entry of a kind is found.
        let kinds = [
            (Kind::ReaderGone, "Everything worked"),
            (Kind::Usage, "options"),
            (Kind::Data, "in part"),
            (Kind::NoInput, "ended before a document"),
            (Kind::Unavailable, "unknown owner"),
            (Kind::Software, "defect"),
            (Kind::Io, "read or written"),
            (Kind::TempFail, "later"),
            (Kind::Protocol, "server's answer"),
            (Kind::NoPerm, "redentials"),
            (Kind::Config, "configuration"),
            (Kind::Signal(Signal::Hangup), "SIGHUP"),
            (Kind::Signal(Signal::Interrupt), "SIGINT"),
            (Kind::Signal(Signal::Quit), "SIGQUIT"),
            (Kind::Signal(Signal::Terminate), "SIGTERM"),
        ];
        let documented = documented();
        for (kind, word) in kinds {
            let found: Vec<_> = documented
                .iter()
                .filter(|(_, text)| text.contains(word))
                .collect();
            let [(numbers, text)] = found[..] else {
                panic!("{kind:?}: {} entries have {word:?}", found.len());
            };
            assert!(numbers.contains(&status(kind)), "{kind:?}: {numbers:?} {text}");
        }
        let mut used = kinds.map(|(kind, _)| status(kind)).to_vec();
        used.push(NO);
        used.sort_unstable();
        let all: Vec<u8> = documented.into_iter().flat_map(|(numbers, _)| numbers).collect();
        assert_eq!(
            used, all,
            "each status stands for one kind, and the page lists no other"
        );
    }

    #[test]
    fn the_kind_of_a_failure_is_known_from_the_status() {
        let kinds = (0..=255).filter_map(Kind::of_status);
        for kind in kinds.filter(|kind| *kind != Kind::Software) {
            assert_eq!(Kind::of_status(status(kind)), Some(kind));
        }
        for (number, kind) in [
            (0, None),
            (1, Some(Kind::Software)),
            (127, Some(Kind::Config)),
            (78, Some(Kind::Config)),
        ] {
            assert_eq!(Kind::of_status(number), kind);
        }
    }

    #[test]
    fn a_signal_ends_a_command_with_128_and_its_number() {
        for (signal, number) in [
            (Signal::Hangup, signal_hook::consts::SIGHUP),
            (Signal::Interrupt, signal_hook::consts::SIGINT),
            (Signal::Quit, signal_hook::consts::SIGQUIT),
            (Signal::Terminate, signal_hook::consts::SIGTERM),
        ] {
            assert_eq!(i32::from(status(Kind::Signal(signal))), 128 + number);
        }
    }
}
