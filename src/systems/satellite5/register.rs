//! The registration of a hypervisor. Each call makes one more profile, so its answer must not be lost.

use super::method::{HARDWARE, REGISTER};
use super::plan::profile_name;
use super::xmlrpc::Datum;
use super::{ARCH, Credentials, Error, OS, RELEASE, Registrant, Satellite5};
use crate::error::Classify as _;
use crate::secret::Secret;
use crate::state::Reserved;

/// The longest name of a profile, in characters; the server cuts it there.
const LONGEST_PROFILE: usize = 128;

/// The fault of a registration for which no base channel is mapped.
const NO_BASE_CHANNEL: i64 = -70;

impl Satellite5 {
    /// Registers a hypervisor and returns its systemid. If the answer to an earlier registration was lost its profile is used,
    /// unless there is none.
    pub(super) fn register(&mut self, registrant: &Registrant<'_>) -> Result<Secret, Error> {
        self.check_readiness()?;
        let systemid = match self.adopt(registrant) {
            Ok(Some(systemid)) => systemid,
            Ok(None) => self.make_profile(registrant)?,
            Err(error @ Error::Login { .. }) => return Err(self.block(error)),
            Err(error) => return Err(error),
        };
        let hardware = [Datum::text(systemid.expose()), Datum::Array(Vec::new())];
        match self.call(HARDWARE, &hardware) {
            // A new profile has no hardware anyway.
            Err(error @ Error::Refused { .. }) => log::warn!("{}: {}", registrant.id, error.with_causes()),
            answer => drop(answer?),
        }
        Ok(systemid)
    }

    /// Looks for the profile of an earlier registration whose answer was lost, and stores its systemid. None if no answer was
    /// lost, or the registration had not arrived.
    fn adopt(&self, registrant: &Registrant<'_>) -> Result<Option<Secret>, Error> {
        let id = registrant.id;
        if !self.registrations.is_in_doubt(id)? {
            return Ok(None);
        }
        let profile = profile_name(registrant.kind, id);
        if profile.chars().count() > LONGEST_PROFILE {
            log::warn!(
                "{id}: an earlier registration may have made a profile already, but its name is too long to look for it; \
                 registering again"
            );
            return Ok(None);
        }
        let Some(systemid) = self.find_profile(&profile)? else {
            log::info!("{id}: an earlier registration did not arrive; registering");
            return Ok(None);
        };
        self.registrations.adopt(id, systemid.expose())?;
        log::info!(
            "{id}: an earlier registration, whose answer was lost, had made the profile {profile:?}; using it"
        );
        Ok(Some(systemid))
    }

    /// Makes a profile, and stores its systemid before anything else is done.
    fn make_profile(&mut self, registrant: &Registrant<'_>) -> Result<Secret, Error> {
        // If the systemid could not be stored each run would make one more profile. On a full disk an empty file can still be
        // created, so room is reserved.
        let reserved = match self.registrations.begin(registrant.id) {
            Ok(reserved) => reserved,
            Err(error) => return Err(self.block(Error::NotStorable(error))),
        };
        let profile = stored_profile_name(registrant);
        let (answer, reserved) = self.call_register(&profile, reserved)?;
        let systemid = answer.member("system_id").and_then(Datum::as_text);
        let Some(systemid) = systemid.map(|text| Secret::from(text.to_owned())) else {
            let lost = Error::Unexpected {
                call: REGISTER.name,
                missing: "systemid",
            };
            return Err(Error::in_doubt(profile, lost, reserved));
        };
        if let Err(source) = self.registrations.keep(reserved, &answer) {
            return Err(self.block(Error::NotStored { profile, source }));
        }
        log::debug!("{}: registered as {profile:?}", registrant.id);
        Ok(systemid)
    }

    /// Calls the method that makes a profile. Returns the answer, with the room that is reserved for it.
    fn call_register(
        &mut self,
        profile: &str,
        reserved: Reserved,
    ) -> Result<(Datum<'static>, Reserved), Error> {
        let channel = self.channel()?;
        let Credentials { username, password } = &self.credentials;
        let params = [
            Datum::text(profile),
            Datum::text(OS),
            Datum::text(RELEASE),
            Datum::text(ARCH),
            Datum::text(username.as_str()),
            Datum::text(password.expose()),
            Datum::members([]),
        ];
        match self.call_patiently(REGISTER, &params) {
            Ok(answer) => Ok((answer, reserved)),
            Err(Error::Refused { fault, .. }) if fault.code == NO_BASE_CHANNEL => {
                let map = channel.refused_map;
                Err(self.block(Error::NoBaseChannel { map }))
            }
            Err(Error::Refused { fault, .. }) if refuses_login(fault.code) => {
                let error = self.wrong_login(fault);
                Err(self.block(error))
            }
            Err(lost) if lost.may_be_done() => Err(Error::in_doubt(profile.to_owned(), lost, reserved)),
            Err(error) => Err(error),
        }
    }
}

/// The name of the profile as the server stores it.
fn stored_profile_name(registrant: &Registrant<'_>) -> String {
    let name = profile_name(registrant.kind, registrant.id);
    name.chars().take(LONGEST_PROFILE).collect()
}

/// Whether a registration's fault says that user name or password are wrong: the account is unknown or disabled, the password
/// is another, or no account can have them (too short, too long, or with characters that no name has).
fn refuses_login(code: i64) -> bool {
    matches!(code, -2 | -701..=-700 | -15..=-11)
}
