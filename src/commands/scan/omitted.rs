//! What a command says about hosts and guests that it leaves out.

use crate::cli::Failure;
use crate::error::Kind;
use crate::mapping::LeftOut;

/// How many are named in one line.
const NAMED: usize = 5;

/// Says how much is left out; where the mapping does not name it, each by itself.
pub(super) fn warn(left_out: &[LeftOut], named_in_mapping: bool) {
    if !named_in_mapping {
        for one in left_out {
            log::info!("{} is left out: {}", name_of(one), one.reason);
        }
    } else if !left_out.is_empty() {
        log::warn!("left out {} (see \"omitted\")", count(left_out));
    }
}

/// Fails if anything is left out, and names the first of it (`--strict`).
pub(super) fn refuse(left_out: &[LeftOut]) -> Result<(), Failure> {
    if left_out.is_empty() {
        return Ok(());
    }
    let first = left_out.iter().take(NAMED);
    let mut named: Vec<String> = first
        .map(|one| format!("{} ({})", name_of(one), one.reason))
        .collect();
    if left_out.len() > NAMED {
        named.push(format!("and {} more", left_out.len() - NAMED));
    }
    let named = named.join(", ");
    let problem = format!("--strict: {} would be left out: {named}", count(left_out));
    Err(Failure::new(Kind::Data, problem))
}

/// How many of each kind there are, such as `2 hosts and 1 guest`.
pub(super) fn count(left_out: &[LeftOut]) -> String {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for one in left_out {
        match kinds.iter_mut().find(|(kind, _)| *kind == one.kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((&one.kind, 1)),
        }
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let counts = kinds
        .iter()
        .map(|(kind, count)| format!("{count} {kind}{}", plural(*count)));
    counts.collect::<Vec<_>>().join(" and ")
}

/// Such as `guest vm-42 "web1"`.
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
