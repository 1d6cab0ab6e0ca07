//! The channel in which hypervisors are registered.

use std::sync::Arc;

use super::method::{CHANNEL, CREATE_CHANNEL, SET_MAP, USER};
use super::xmlrpc::{Datum, Fault};
use super::{ARCH, Error, OS, RELEASE, Satellite5};

/// The fault of a channel that does not exist or is not visible to the user.
const NO_CHANNEL: i64 = -210;

/// Whether hypervisors can be registered.
#[derive(Debug)]
pub(super) enum Readiness {
    /// No hypervisor had to be registered yet.
    Unknown,
    /// There is a channel.
    Ready(Channel),
    /// It failed, and would fail again.
    Blocked(Arc<Error>),
}

/// The channel in which hypervisors are registered.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    /// The number of the user's organisation.
    pub(super) org: i64,
    /// Why the server refused to map the channel, if it did.
    pub(super) refused_map: Option<Fault>,
}

/// The label of an organisation's channel for hypervisors, as in virt-who.
pub(super) fn channel_label(org: i64) -> String {
    format!("hypervisor-base-{org}")
}

impl Satellite5 {
    /// The number of the user's organisation; None unless a hypervisor had to be registered.
    pub fn organisation(&self) -> Option<i64> {
        match &self.readiness {
            Readiness::Ready(channel) => Some(channel.org),
            _ => None,
        }
    }

    /// Fails if nothing more can be registered in this run.
    pub(super) fn check_readiness(&self) -> Result<(), Error> {
        match &self.readiness {
            Readiness::Blocked(error) => Err(Error::Shared(error.clone())),
            _ => Ok(()),
        }
    }

    /// The channel for hypervisors. It is looked up, and created if it is missing, only once.
    pub(super) fn channel(&mut self) -> Result<Channel, Error> {
        self.check_readiness()?;
        if let Readiness::Ready(channel) = &self.readiness {
            return Ok(channel.clone());
        }
        match self.in_session(|session| self.prepare_channel(session)) {
            Ok(channel) => {
                self.readiness = Readiness::Ready(channel.clone());
                Ok(channel)
            }
            Err(error) => Err(self.block(error)),
        }
    }

    /// Records that nothing more can be registered in this run, and why. Returns the error, to be shared by all hypervisors
    /// that are not registered.
    pub(super) fn block(&mut self, error: Error) -> Error {
        let error = Arc::new(error);
        self.readiness = Readiness::Blocked(error.clone());
        Error::Shared(error)
    }

    /// Looks the channel up, creates it if it is missing, and maps it.
    fn prepare_channel(&self, session: &str) -> Result<Channel, Error> {
        let (org, _) = self.user(session)?;
        let label = channel_label(org);
        if !self.has_channel(session, &label)? {
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
        let refused_map = self.map_channel(session, &label)?;
        Ok(Channel { org, refused_map })
    }

    /// The number of the user's organisation, and what else the server says about the user.
    pub(super) fn user(&self, session: &str) -> Result<(i64, Datum<'static>), Error> {
        let username = Datum::text(self.credentials.username.as_str());
        let user = self.call(USER, &[Datum::text(session), username])?;
        let Some(&Datum::Int(org)) = user.member("org_id") else {
            return Err(Error::Unexpected {
                call: USER.name,
                missing: "org_id",
            });
        };
        log::debug!("the user's organisation is {org}");
        Ok((org, user))
    }

    /// Whether there is a channel of this label that the user can see.
    pub(super) fn has_channel(&self, session: &str, label: &str) -> Result<bool, Error> {
        match self.call(CHANNEL, &[Datum::text(session), Datum::text(label)]) {
            Err(Error::Refused { fault, .. }) if fault.code == NO_CHANNEL => Ok(false),
            answer => answer.map(|_| true),
        }
    }

    /// Maps the channel, so that hypervisors get it as their base channel. Returns the server's refusal, if it refuses.
    ///
    /// An existing channel is mapped, too: whoever created it may not have been allowed to. Mapping needs the role org_admin,
    /// and a registration does not. So a refusal matters only if a registration finds no map.
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
            answer => answer.map(|_| None),
        }
    }
}
