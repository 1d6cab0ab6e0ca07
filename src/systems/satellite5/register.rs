//! The registration of a hypervisor, which makes one more profile each time: so its answer is not to be lost.

use super::method::{HARDWARE, REGISTER};
use super::plan::profile_name;
use super::xmlrpc::Datum;
use super::{ARCH, Account, Error, Host, OS, RELEASE, Satellite5};
use crate::error::Classify as _;
use crate::secret::Secret;

/// The longest name of a profile, in characters; the server cuts it there.
const LONGEST_PROFILE: usize = 128;

/// The fault of a registration for which no base channel is mapped.
const NO_BASE_CHANNEL: i64 = -70;

impl Satellite5 {
    /// Registers a hypervisor, unless an earlier attempt, whose answer was lost, has done it; returns its systemid.
    pub(super) fn register(&mut self, host: &Host<'_>) -> Result<Secret, Error> {
        self.check_readiness()?;
        let systemid = match self.adopt(host) {
            Ok(Some(systemid)) => systemid,
            Ok(None) => self.make_profile(host)?,
            Err(error @ Error::Login { .. }) => return Err(self.blocked_by(error)),
            Err(error) => return Err(error),
        };
        let hardware = [Datum::text(systemid.expose()), Datum::Array(Vec::new())];
        match self.call(HARDWARE, &hardware) {
            // A new profile has no hardware anyway.
            Err(error @ Error::Refused { .. }) => log::warn!("{}: {}", host.id, error.with_causes()),
            answered => drop(answered?),
        }
        Ok(systemid)
    }

    /// Looks for the profile of a registration whose answer was lost, and keeps its systemid. None if there is neither.
    fn adopt(&self, host: &Host<'_>) -> Result<Option<Secret>, Error> {
        if !self.registrations.is_in_doubt(host.id)? {
            return Ok(None);
        }
        let profile = profile_name(host.kind, host.id);
        if profile.chars().count() > LONGEST_PROFILE {
            log::warn!(
                "{}: an earlier registration may have made a profile already, but its name is too long to look for it; \
                 registering again",
                host.id
            );
            return Ok(None);
        }
        match self.find_profile(&profile)? {
            Some(systemid) => {
                self.registrations.adopt(host.id, systemid.expose())?;
                log::info!(
                    "{}: an earlier registration, whose answer was lost, had made the profile {profile:?}; using it",
                    host.id
                );
                Ok(Some(systemid))
            }
            None => {
                log::info!("{}: an earlier registration did not arrive; registering", host.id);
                Ok(None)
            }
        }
    }

    /// Registers a hypervisor, and keeps its systemid before anything else.
    fn make_profile(&mut self, host: &Host<'_>) -> Result<Secret, Error> {
        // On a full disk an empty file can be made, but a systemid not be kept: each run would register once more.
        let begun = match self.registrations.begin(host.id) {
            Ok(begun) => begun,
            Err(error) => return Err(self.blocked_by(Error::NoRoom(error))),
        };
        let channel = self.channel()?;
        let profile = profile(host);
        let answer = match self.call_unhurried(REGISTER, &self.registration(&profile)) {
            Err(Error::Refused { fault, .. }) if fault.code == NO_BASE_CHANNEL => {
                let map = channel.refused_map;
                return Err(self.blocked_by(Error::NoBaseChannel { map }));
            }
            Err(Error::Refused { fault, .. }) if refuses_login(fault.code) => {
                let error = self.wrong_login(fault);
                return Err(self.blocked_by(error));
            }
            Err(lost) if lost.may_be_done() => return Err(Error::in_doubt(profile, lost, begun)),
            answered => answered?,
        };
        let systemid = answer.member("system_id").and_then(Datum::as_text);
        let Some(systemid) = systemid.map(|text| Secret::from(text.to_owned())) else {
            let lost = Error::Unexpected {
                call: REGISTER.name,
                missing: "systemid",
            };
            return Err(Error::in_doubt(profile, lost, begun));
        };
        if let Err(source) = self.registrations.keep(begun, &answer) {
            return Err(self.blocked_by(Error::Unkept { profile, source }));
        }
        log::debug!("{}: registered as {profile:?}", host.id);
        Ok(systemid)
    }

    /// The parameters of a registration.
    fn registration<'a>(&'a self, profile: &'a str) -> [Datum<'a>; 7] {
        let Account { username, password } = &self.account;
        [
            Datum::text(profile),
            Datum::text(OS),
            Datum::text(RELEASE),
            Datum::text(ARCH),
            Datum::text(username.as_str()),
            Datum::text(password.expose()),
            Datum::members([]),
        ]
    }
}

/// The name of the profile as the server keeps it.
fn profile(host: &Host<'_>) -> String {
    let name = profile_name(host.kind, host.id);
    name.chars().take(LONGEST_PROFILE).collect()
}

/// Whether a registration's fault says that user name or password are not those of an account: unknown, disabled or wrong, or
/// such that no account has them (too short or long, with characters that no name has).
fn refuses_login(code: i64) -> bool {
    matches!(code, -2 | -701..=-700 | -15..=-11)
}
