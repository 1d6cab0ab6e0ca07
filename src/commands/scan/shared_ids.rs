//! Warnings about hosts and virtual machines that share an id.

use crate::cli::words::counted;
use crate::mapping::SharedId;
use crate::text;

/// How many ids get a warning, and how many names a warning has.
const NAMED: usize = 10;

/// Warns of ids that several hosts or virtual machines share, as in `2 hosts have the id one: esx1, esx2`.
///
/// Warnings name the first few, and debug messages name all.
pub(super) fn warn(holders: Holders, shared: &[SharedId]) {
    for (at, id) in shared.iter().enumerate() {
        if at < NAMED {
            log::warn!("{}", line(holders, id, NAMED));
        }
        if at >= NAMED || id.names.len() > NAMED {
            log::debug!("{}", line(holders, id, usize::MAX));
        }
    }
    if let Some(more @ 1..) = shared.len().checked_sub(NAMED) {
        let (those, id) = holders.words();
        let ids = counted(more, &format!("more {id}"));
        let share = if more == 1 { "is" } else { "are" };
        log::warn!("{ids} {share} shared by several {those} (-d names them)");
    }
}

/// Those that share an id.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holders {
    Hosts,
    VirtualMachines,
}

impl Holders {
    /// How messages call them, and their id.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Holders::Hosts => ("hosts", "id"),
            Holders::VirtualMachines => ("virtual machines", "guest id"),
        }
    }
}

fn line(holders: Holders, SharedId { id, names }: &SharedId, most: usize) -> String {
    let (those, what) = holders.words();
    let named = text::names(names.iter(), most);
    format!("{} {those} have the {what} {id}: {named}", names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_limit_are_counted() {
        let text = |names: &[&str]| {
            let id = SharedId {
                id: "one".to_owned(),
                names: names.iter().map(|name| name.to_string()).collect(),
            };
            line(Holders::Hosts, &id, 2)
        };
        assert_eq!(text(&["a", "b"]), "2 hosts have the id one: a, b");
        assert_eq!(text(&["a", "b", "c"]), "3 hosts have the id one: a, b and 1 more");
    }
}
