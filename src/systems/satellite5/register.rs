//! The registration of a hypervisor. Each call makes one more profile, so the server is asked for the profile first, and an answer
//! must not be lost.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::adopt::ProfileName;
use super::method::{HARDWARE, REGISTER};
use super::plan::profile_name;
use super::summary::Arrival;
use super::{ARCH, Credentials, Error, OS, RELEASE, Registrant, Satellite5};
use crate::error::Classify as _;
use crate::secret::Secret;
use crate::xmlrpc::Datum;

/// The fault of a registration for which no base channel is mapped.
const NO_BASE_CHANNEL: i64 = -70;

/// So many registrations fail one after the other because the server is away, before no more are tried.
const MANY: usize = 10;

impl Satellite5 {
    /// The systemid of a hypervisor that has none: that of its profile on the server, or else that of a new one.
    pub(super) fn register(&self, registrant: &Registrant<'_>) -> Result<(Secret, Arrival), Error> {
        self.check_readiness()?;
        let registered = self.obtain_and_keep(registrant);
        match &registered {
            Ok(_) => self.lost_registrations.store(0, Ordering::Relaxed),
            Err(error) if error.refuses_login() => return registered.map_err(|error| self.block(error)),
            Err(error) if error.is_of_absence() => {
                let attempts = self.lost_registrations.fetch_add(1, Ordering::Relaxed) + 1;
                if attempts >= MANY {
                    return registered.map_err(|error| self.block_after(attempts, error));
                }
            }
            Err(_) => {}
        }
        let (systemid, arrival) = registered?;
        if arrival != Arrival::Created {
            return Ok((systemid, arrival));
        }
        let hardware = [Datum::text(systemid.expose()), Datum::Array(Vec::new())];
        match self.call(HARDWARE, &hardware) {
            Ok(_) => {}
            Err(error) if error.ends_report() => return Err(error),
            // A new profile has no hardware anyway.
            Err(error) => log::warn!(
                "{}: its hardware list is not refreshed, but stays empty: {}",
                registrant.id,
                error.with_causes()
            ),
        }
        Ok((systemid, arrival))
    }

    /// Prevents further registrations in this report. Returns the error, for the hypervisor that met it.
    fn block_after(&self, attempts: usize, error: Error) -> Error {
        let source = Arc::new(error);
        self.block(Error::NotTried {
            attempts,
            source: source.clone(),
        });
        Error::Shared(source)
    }

    /// Finds or makes a profile, and stores its systemid before anything else is done.
    fn obtain_and_keep(&self, registrant: &Registrant<'_>) -> Result<(Secret, Arrival), Error> {
        let id = registrant.id;
        let profile = ProfileName::new(&profile_name(registrant.kind, id));
        // Two hypervisors whose cut names are the same must not find the same profile.
        let _one_at_a_time = profile
            .is_cut
            .then(|| self.cut_names.lock().unwrap_or_else(PoisonError::into_inner));
        let was_begun = self.registrations.is_in_doubt(id);
        // If the systemid could not be stored each run would look for it again, or make one more profile. On a full disk an
        // empty file can still be created, so room is reserved.
        let reserved = match self.registrations.begin(id) {
            Ok(reserved) => reserved,
            Err(error) => return Err(self.block(Error::NotStorable(error))),
        };
        let (answer, arrival) = match self.obtain(registrant, &profile, was_begun) {
            Ok(obtained) => obtained,
            Err(error) => {
                if was_begun || matches!(error, Error::InDoubt { .. }) {
                    reserved.leave();
                }
                return Err(error);
            }
        };
        let systemid = answer.member("system_id").and_then(Datum::as_text);
        let systemid = Secret::from(systemid.unwrap_or_default().to_owned());
        if let Err(source) = self.registrations.keep(reserved, &answer) {
            let profile = profile.text;
            return Err(self.block(Error::NotStored { profile, source }));
        }
        Ok((systemid, arrival))
    }

    /// Finds the profile of a hypervisor, or makes one. Returns the server's answer to the registration.
    fn obtain(
        &self,
        registrant: &Registrant<'_>,
        profile: &ProfileName,
        was_begun: bool,
    ) -> Result<(Datum<'static>, Arrival), Error> {
        let (id, name) = (registrant.id, &profile.text);
        if let Some(systemid) = self.find_profile(id, profile)? {
            let arrival = match was_begun {
                true => {
                    log::info!(
                        "{id}: an earlier registration, whose answer was lost, had made the profile {name:?}; using it"
                    );
                    Arrival::Created
                }
                false => {
                    log::debug!("{id}: the server has the profile {name:?} already; using it");
                    Arrival::Updated
                }
            };
            return Ok((answer_with(&systemid), arrival));
        }
        if was_begun {
            log::info!("{id}: an earlier registration did not arrive; registering");
        }
        let answer = self.make_profile(id, profile)?;
        log::debug!("{id}: registered as {name:?}");
        Ok((answer, Arrival::Created))
    }

    /// Makes a profile. Returns the server's answer, which has a systemid.
    fn make_profile(&self, id: &str, profile: &ProfileName) -> Result<Datum<'static>, Error> {
        let channel = self.channel()?;
        let mut answer = self.call_register(profile);
        if answer
            .as_ref()
            .is_err_and(|error| error.is_fault(NO_BASE_CHANNEL))
        {
            self.map_missing(&channel)?;
            answer = self.call_register(profile);
        }
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) if error.is_fault(NO_BASE_CHANNEL) => {
                Err(self.block(Error::NoBaseChannel { map: None }))
            }
            Err(Error::Refused { fault, .. }) if refuses_login(fault.code) => {
                let error = self.wrong_login(fault);
                Err(self.block(error))
            }
            Err(lost) if lost.may_be_done() => self.find_lost(id, profile, lost),
            Err(error) => Err(error),
        }
    }

    /// Looks for the profile of a registration whose answer was just lost. Before it there was none of this name.
    fn find_lost(&self, id: &str, profile: &ProfileName, lost: Error) -> Result<Datum<'static>, Error> {
        let found = match lost.ends_report() {
            true => None,
            false => self.find_profile(id, profile).unwrap_or_else(|error| {
                log::debug!("{id}: {}", error.with_causes());
                None
            }),
        };
        match found {
            Some(systemid) => {
                log::info!(
                    "{id}: the answer to its registration was lost ({}), but its profile was found",
                    lost.with_causes()
                );
                Ok(answer_with(&systemid))
            }
            None => Err(Error::InDoubt {
                profile: profile.text.clone(),
                source: Box::new(lost),
            }),
        }
    }

    /// Calls the method that makes a profile. Fails if the answer has no systemid.
    fn call_register(&self, profile: &ProfileName) -> Result<Datum<'static>, Error> {
        let Credentials { username, password } = &self.credentials;
        let params = [
            Datum::text(profile.text.as_str()),
            Datum::text(OS),
            Datum::text(RELEASE),
            Datum::text(ARCH),
            Datum::text(username.as_str()),
            Datum::text(password.expose()),
            Datum::members([]),
        ];
        let answer = self.call_patiently(REGISTER, &params)?;
        let systemid = answer.member("system_id").and_then(Datum::as_text);
        match systemid.is_some_and(|text| !text.trim().is_empty()) {
            true => Ok(answer),
            false => Err(Error::Unexpected {
                call: REGISTER.name,
                missing: "systemid",
            }),
        }
    }
}

/// The part that is kept of an answer to a registration, if only the systemid is known.
fn answer_with(systemid: &Secret) -> Datum<'static> {
    let systemid = Datum::text(systemid.expose().to_owned());
    Datum::Struct(vec![("system_id".into(), systemid)])
}

/// Whether a registration's fault says that user name or password are wrong: the account is unknown or disabled, the password
/// is another, or no account can have them (too short, too long, or with characters that no name has).
fn refuses_login(code: i64) -> bool {
    matches!(code, -2 | -701..=-700 | -15..=-11)
}
