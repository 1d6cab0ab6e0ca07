//! What a command says about hosts and guests that it leaves out.

use super::Failure;
use crate::error::Kind;
use crate::mapping::Omitted;

/// How many are named in one line.
const NAMED: usize = 5;

/// Says how much is left out; where the mapping does not name it, each by itself.
pub fn warn(omitted: &[Omitted], named_in_mapping: bool) {
    if !named_in_mapping {
        for one in omitted {
            log::info!("{} is left out: {}", name_of(one), one.reason);
        }
    } else if !omitted.is_empty() {
        log::warn!(
            "{} hosts and guests are left out: see \"omitted\" in the mapping",
            omitted.len()
        );
    }
}

/// Fails if anything is left out, and names the first of it (`--strict`).
pub fn refuse(omitted: &[Omitted]) -> Result<(), Failure> {
    let count = omitted.len();
    if count == 0 {
        return Ok(());
    }
    let first = omitted.iter().take(NAMED);
    let mut named: Vec<String> = first
        .map(|one| format!("{} ({})", name_of(one), one.reason))
        .collect();
    if count > NAMED {
        named.push(format!("and {} more", count - NAMED));
    }
    let named = named.join(", ");
    let problem = format!("--strict: {count} hosts and guests would be left out: {named}");
    Err(Failure::new(Kind::Data, problem))
}

/// Such as `guest vm-42 "web1"`.
fn name_of(omitted: &Omitted) -> String {
    let id = omitted.id.as_deref().unwrap_or_default();
    match &omitted.name {
        Some(name) => format!("{} {id} {name:?}", omitted.kind),
        None => format!("{} {id}", omitted.kind),
    }
}
