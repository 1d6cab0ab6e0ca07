//! The search for a hypervisor's profile on the server, so that none is made twice.

use super::method::{FIND, SYSTEMID};
use super::{Error, Satellite5};
use crate::secret::Secret;
use crate::xmlrpc::Datum;

/// The name of a profile, as the server stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProfileName {
    pub(super) text: String,
    /// Whether the server cuts it. Then other hypervisors may have the same name.
    pub(super) is_cut: bool,
}

impl ProfileName {
    /// The longest name of a profile, in characters; the server cuts it there.
    const LONGEST: usize = 128;

    pub(super) fn new(name: &str) -> Self {
        let end = name.char_indices().nth(Self::LONGEST).map(|(end, _)| end);
        ProfileName {
            text: name[..end.unwrap_or(name.len())].to_owned(),
            is_cut: end.is_some(),
        }
    }
}

impl Satellite5 {
    /// The systemid of the only profile that has this name of the hypervisor `id`; None if there is no such profile.
    ///
    /// If the server has cut the name, profiles whose systemids are stored for other hypervisors don't count.
    pub(super) fn find_profile(&self, id: &str, profile: &ProfileName) -> Result<Option<Secret>, Error> {
        let found = self.call_in_session(FIND, &[Datum::text(profile.text.as_str())])?;
        let mut systems = ids(&found)?;
        if profile.is_cut {
            let mut free = Vec::new();
            for number in systems {
                if !self.registrations.has_system(number, id)? {
                    free.push(number);
                }
            }
            systems = free;
        }
        let number = match systems[..] {
            [] => return Ok(None),
            [only] => only,
            _ => {
                return Err(Error::SeveralProfiles {
                    profile: profile.text.clone(),
                    systems,
                });
            }
        };
        log::debug!("system {number} has the profile {:?}", profile.text);
        let answer = self.call_in_session(SYSTEMID, &[Datum::Int(number)])?;
        let systemid = answer.as_text().filter(|text| !text.trim().is_empty());
        let systemid = systemid.ok_or(Error::Unexpected {
            call: SYSTEMID.name,
            missing: "systemid",
        })?;
        Ok(Some(Secret::from(systemid.to_owned())))
    }
}

/// The numbers of the systems in the answer of `system.getId`.
fn ids(found: &Datum<'_>) -> Result<Vec<i64>, Error> {
    let unexpected = || Error::Unexpected {
        call: FIND.name,
        missing: "list of systems with their id",
    };
    let Datum::Array(systems) = found else {
        return Err(unexpected());
    };
    let id = |system: &Datum<'_>| match system.member("id") {
        Some(&Datum::Int(number)) => Ok(number),
        _ => Err(unexpected()),
    };
    systems.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_as_the_server_cuts_it() {
        for (name, cut, is_cut) in [
            ("x".repeat(128), "x".repeat(128), false),
            ("é".repeat(129), "é".repeat(128), true),
        ] {
            let profile = ProfileName::new(&name);
            assert_eq!((profile.text, profile.is_cut), (cut, is_cut));
        }
    }

    #[test]
    fn only_an_empty_list_means_that_there_are_no_systems() {
        let system = |id| Datum::members([("id", id), ("name", Datum::text("x"))]);
        assert!(ids(&Datum::Array(Vec::new())).unwrap().is_empty());
        let two = Datum::Array(vec![system(Datum::Int(1)), system(Datum::Int(2))]);
        assert_eq!(ids(&two).unwrap(), [1, 2]);
        for wrong in [
            Datum::text("void"),
            Datum::Array(vec![Datum::Int(1)]),
            Datum::Array(vec![system(Datum::text("1"))]),
        ] {
            assert!(ids(&wrong).is_err(), "{wrong:?}");
        }
    }
}
