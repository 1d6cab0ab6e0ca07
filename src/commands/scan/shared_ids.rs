//! Warnings about hosts and virtual machines that share an id.

use super::first;
use crate::mapping::SharedId;

/// How many ids get a warning, and how many names a warning has.
const NAMED: usize = 10;

/// Warns of shared ids; `what` is a part of the message, as in `2 hosts have the id one: esx1, esx2`.
///
/// Warnings name the first few, and debug messages name all.
pub(super) fn warn(what: &str, shared: &[SharedId]) {
    for (at, SharedId { id, names }) in shared.iter().enumerate() {
        if at < NAMED {
            log::warn!("{}", line(what, id, names, NAMED));
        }
        if at >= NAMED || names.len() > NAMED {
            log::debug!("{}", line(what, id, names, usize::MAX));
        }
    }
    if let Some(more @ 1..) = shared.len().checked_sub(NAMED) {
        let ids = if more == 1 { "id" } else { "ids" };
        log::warn!("several {what}, each of {more} more {ids} (-d names them)");
    }
}

fn line(what: &str, id: &str, names: &[String], most: usize) -> String {
    format!("{} {what} {id}: {}", names.len(), first(names.iter(), most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_limit_are_counted() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let text = |names, most| line("hosts have the id", "one", names, most);
        assert_eq!(text(&names[..2], 2), "2 hosts have the id one: a, b");
        assert_eq!(text(&names, 2), "3 hosts have the id one: a, b, and 1 more");
    }
}
