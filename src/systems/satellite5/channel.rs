//! The channel that hypervisors are registered in: looked up, made and mapped within a session.

use std::time::{Duration, Instant};

use super::method::{CHANNEL, CREATE_CHANNEL, LOGIN, LOGOUT, SET_MAP, USER};
use super::xmlrpc::{Datum, Fault};
use super::{ARCH, Account, Error, OS, RELEASE, Satellite5};
use crate::cancel::Cancel;
use crate::error::{Classify, Kind};
use crate::secret::Secret;

/// How long the log-out may take, after all else has ended.
const LOG_OUT: Duration = Duration::from_secs(5);

/// The fault of a log-in with a wrong user name or password, or of a user who was deactivated.
const WRONG_LOGIN: i64 = 2950;
/// The fault of a channel that does not exist, or that the user may not see.
const NO_CHANNEL: i64 = -210;

/// Whether hypervisors can be registered.
#[derive(Debug)]
pub(super) enum Readiness {
    /// Nobody had to know yet.
    Unknown,
    /// There is a channel.
    Ready(Channel),
    /// It failed, and would fail again.
    Blocked { kind: Kind, reason: String },
}

/// The channel that hypervisors are registered in.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    /// The number of the user's organisation.
    pub(super) org: i64,
    /// What the server said against mapping the channel, if it did.
    pub(super) refused_map: Option<Fault>,
}

impl Satellite5 {
    /// The number of the user's organisation, known once something had to be registered.
    pub fn organisation(&self) -> Option<i64> {
        match &self.readiness {
            Readiness::Ready(channel) => Some(channel.org),
            _ => None,
        }
    }

    /// Fails if nothing can be registered any more in this run.
    pub(super) fn check_readiness(&self) -> Result<(), Error> {
        match &self.readiness {
            Readiness::Blocked { kind, reason } => Err(Error::Blocked {
                kind: *kind,
                reason: reason.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// The channel for hypervisors, which is looked up and made once for all.
    pub(super) fn channel(&mut self) -> Result<Channel, Error> {
        self.check_readiness()?;
        if let Readiness::Ready(channel) = &self.readiness {
            return Ok(channel.clone());
        }
        match self.prepare() {
            Ok(channel) => {
                self.readiness = Readiness::Ready(channel.clone());
                Ok(channel)
            }
            Err(error) => Err(self.blocked_by(error)),
        }
    }

    /// Notes that nothing can be registered any more in this run.
    pub(super) fn blocked_by(&mut self, error: Error) -> Error {
        self.readiness = Readiness::Blocked {
            kind: error.kind(),
            reason: error.with_causes(),
        };
        error
    }

    fn prepare(&self) -> Result<Channel, Error> {
        self.in_session(|session| self.prepare_channel(session))
    }

    /// Logs in, does what is to be done, and logs out however that ends.
    pub(super) fn in_session<T>(&self, work: impl FnOnce(&str) -> Result<T, Error>) -> Result<T, Error> {
        let session = self.log_in()?;
        let done = work(session.expose());
        self.log_out(session.expose());
        done
    }

    /// Logs in; returns the session's key.
    fn log_in(&self) -> Result<Secret, Error> {
        let Account { username, password } = &self.account;
        let credentials = [Datum::text(username.as_str()), Datum::text(password.expose())];
        let answer = self
            .call_unhurried(LOGIN, &credentials)
            .map_err(|error| match error {
                Error::Refused { fault, .. } if fault.code == WRONG_LOGIN => self.wrong_login(fault),
                error => error,
            })?;
        let session = answer.as_text().ok_or(Error::Unexpected {
            call: LOGIN.name,
            missing: "session key",
        })?;
        Ok(Secret::from(session.to_owned()))
    }

    /// The server does not accept the account.
    pub(super) fn wrong_login(&self, fault: Fault) -> Error {
        Error::Login {
            server: self.http.base().to_string(),
            user: self.account.username.clone(),
            fault,
        }
    }

    fn prepare_channel(&self, session: &str) -> Result<Channel, Error> {
        let user = self.call(
            USER,
            &[Datum::text(session), Datum::text(self.account.username.as_str())],
        )?;
        let Some(&Datum::Int(org)) = user.member("org_id") else {
            return Err(Error::Unexpected {
                call: USER.name,
                missing: "org_id",
            });
        };
        log::debug!("the user's organisation is {org}");
        let label = format!("hypervisor-base-{org}");
        match self.call(CHANNEL, &[Datum::text(session), Datum::text(label.as_str())]) {
            Err(Error::Refused { fault, .. }) if fault.code == NO_CHANNEL => {
                let name = format!("Hypervisor Base - {org}");
                let channel = [
                    Datum::text(session),
                    Datum::text(label.as_str()),
                    Datum::Text(name.into()),
                    Datum::text("Base channel of the hypervisors that vw and virt-who register"),
                    Datum::text("channel-x86_64"),
                    Datum::text(""),
                ];
                self.call(CREATE_CHANNEL, &channel)?;
                log::info!("created the channel {label}");
            }
            answered => drop(answered?),
        }
        let refused_map = self.map_channel(session, &label)?;
        Ok(Channel { org, refused_map })
    }

    /// Maps the channel for hypervisors. Returns what the server has against it, if it has.
    ///
    /// Not only for a new channel: whoever created it may not have been allowed to map it. Setting the map needs org_admin,
    /// registering does not. So a refusal counts only once a registration finds no map.
    fn map_channel(&self, session: &str, label: &str) -> Result<Option<Fault>, Error> {
        let map = [
            Datum::text(session),
            Datum::text(OS),
            Datum::text(RELEASE),
            Datum::text(ARCH),
            Datum::text(label),
        ];
        match self.call(SET_MAP, &map) {
            Err(Error::Refused { fault, .. }) => {
                log::debug!(
                    "{}: {fault}; this matters only if the map is missing",
                    SET_MAP.name
                );
                Ok(Some(fault))
            }
            answered => answered.map(|_| None),
        }
    }

    /// Ends a session, by a connection of its own: after a signal the other one is closed.
    fn log_out(&self, session: &str) {
        let http = self.http.anew(&Cancel::default(), Some(Instant::now() + LOG_OUT));
        let ended = self.call_over(&http, LOGOUT, &[Datum::text(session)]);
        if let Err(error) = ended {
            log::warn!(
                "the session stays open on the server until it expires: {}",
                error.with_causes()
            );
        }
    }
}
