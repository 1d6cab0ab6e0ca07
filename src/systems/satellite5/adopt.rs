//! The search for the profile that a registration made whose answer was lost, so that it is not made twice.

use super::method::{FIND, SYSTEMID};
use super::xmlrpc::Datum;
use super::{Error, Satellite5};
use crate::secret::Secret;

impl Satellite5 {
    /// The systemid of the only profile with this name; None if there is no such profile.
    ///
    /// The name must be exact and complete: if the server has cut it, it may be that of another hypervisor's profile.
    pub(super) fn find_profile(&self, profile: &str) -> Result<Option<Secret>, Error> {
        self.in_session(|session| {
            let found = self.call(FIND, &[Datum::text(session), Datum::text(profile)])?;
            let number = match ids(&found)?[..] {
                [] => return Ok(None),
                [only] => only,
                ref several => {
                    return Err(Error::SeveralProfiles {
                        profile: profile.to_owned(),
                        systems: several.to_vec(),
                    });
                }
            };
            log::debug!("system {number} has the profile {profile:?}");
            let answer = self.call(SYSTEMID, &[Datum::text(session), Datum::Int(number)])?;
            let systemid = answer.as_text().filter(|text| !text.trim().is_empty());
            let systemid = systemid.ok_or(Error::Unexpected {
                call: SYSTEMID.name,
                missing: "systemid",
            })?;
            Ok(Some(Secret::from(systemid.to_owned())))
        })
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
