//! Messages about the hosts and guests that a scan leaves out.

use crate::cli::Failure;
use crate::cli::words::counted;
use crate::error::Kind;
use crate::mapping::LeftOut;
use crate::text;

/// How many one message names.
const NAMED: usize = 5;

/// Warns how many are left out. If the mapping does not name them, there is an info message for each instead.
pub(super) fn warn(left_out: &[LeftOut], named_in_mapping: bool) {
    if !named_in_mapping {
        for one in left_out {
            log::info!("{} is left out: {}", name_of(one), one.reason);
        }
    } else if !left_out.is_empty() {
        log::warn!("left out {} (see \"omitted\")", count(left_out));
    }
}

/// Fails if anything is left out, and names the first few (`--strict`).
pub(super) fn refuse(left_out: &[LeftOut]) -> Result<(), Failure> {
    if left_out.is_empty() {
        return Ok(());
    }
    let named = left_out
        .iter()
        .map(|one| format!("{} ({})", name_of(one), one.reason));
    let named = text::names(named, NAMED);
    let problem = format!("--strict: {} would be left out: {named}", count(left_out));
    Err(Failure::new(Kind::Data, problem))
}

/// The number of each kind, such as `2 hosts and 1 guest`.
fn count(left_out: &[LeftOut]) -> String {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for one in left_out {
        match kinds.iter_mut().find(|(kind, _)| *kind == one.kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((&one.kind, 1)),
        }
    }
    let counts = kinds.iter().map(|(kind, count)| counted(*count, kind));
    counts.collect::<Vec<_>>().join(" and ")
}

/// The kind, id and name, such as `guest vm-42 "web1"`.
fn name_of(left_out: &LeftOut) -> String {
    let id = left_out.id.as_deref().unwrap_or_default();
    match &left_out.name {
        Some(name) => format!("{} {id} {name:?}", left_out.kind),
        None => format!("{} {id}", left_out.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree() {
        let of = |kinds: &[&'static str]| {
            let one = |kind: &&'static str| LeftOut {
                kind: (*kind).into(),
                ..LeftOut::default()
            };
            count(&kinds.iter().map(one).collect::<Vec<_>>())
        };
        assert_eq!(of(&["host"]), "1 host");
        assert_eq!(of(&["guest", "guest"]), "2 guests");
        assert_eq!(of(&["host", "guest", "host"]), "2 hosts and 1 guest");
    }
}
