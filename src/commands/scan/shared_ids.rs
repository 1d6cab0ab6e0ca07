//! What a scan says about hosts and virtual machines that will be hard to tell apart.

/// How many ids are told, and how many are named of each.
const NAMED: usize = 10;

/// Warns of ids and of those that share each of them: `what` is as in `2 hosts have the id one: esx1, esx2`.
///
/// The first few are named, and all of them as debug messages.
pub(super) fn warn(what: &str, shared: &[(String, Vec<String>)]) {
    for (at, (id, names)) in shared.iter().enumerate() {
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
    let mut named = names.get(..most).unwrap_or(names).join(", ");
    if names.len() > most {
        named = format!("{named}, and {} more", names.len() - most);
    }
    format!("{} {what} {id}: {named}", names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_counted() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let text = |names, most| line("hosts have the id", "one", names, most);
        assert_eq!(text(&names[..2], 2), "2 hosts have the id one: a, b");
        assert_eq!(text(&names, 2), "3 hosts have the id one: a, b, and 1 more");
    }
}
