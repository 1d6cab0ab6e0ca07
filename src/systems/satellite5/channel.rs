//! The channel in which hypervisors are registered.

use std::sync::{Arc, MutexGuard, PoisonError};

use super::method::{CHANNEL, CREATE_CHANNEL, SET_MAP, USER};
use super::{ARCH, Error, OS, RELEASE, Satellite5};
use crate::xmlrpc::{Datum, Fault};

/// The fault of a channel that does not exist or is not visible to the user.
const NO_CHANNEL: i64 = -210;

/// Whether hypervisors can be registered.
#[derive(Debug, Default)]
pub(super) enum Readiness {
    /// No hypervisor had to be registered yet.
    #[default]
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
    label: String,
    /// Whether this report has set its map.
    is_mapped: bool,
}

/// The label of an organisation's channel for hypervisors, as in virt-who.
pub(super) fn channel_label(org: i64) -> String {
    format!("hypervisor-base-{org}")
}

impl Satellite5 {
    /// The number of the user's organisation; None unless a hypervisor had to be registered.
    pub fn organisation(&self) -> Option<i64> {
        match &*self.readiness() {
            Readiness::Ready(channel) => Some(channel.org),
            _ => None,
        }
    }

    /// Fails if nothing more can be registered in this report.
    pub(super) fn check_readiness(&self) -> Result<(), Error> {
        match &*self.readiness() {
            Readiness::Blocked(error) => Err(Error::Shared(error.clone())),
            _ => Ok(()),
        }
    }

    /// The channel for hypervisors. It is looked up, and created if it is missing, only once; other threads wait meanwhile.
    pub(super) fn channel(&self) -> Result<Channel, Error> {
        let mut readiness = self.readiness();
        match &*readiness {
            Readiness::Ready(channel) => return Ok(channel.clone()),
            Readiness::Blocked(error) => return Err(Error::Shared(error.clone())),
            Readiness::Unknown => {}
        }
        match self.prepare_channel() {
            Ok(channel) => {
                *readiness = Readiness::Ready(channel.clone());
                Ok(channel)
            }
            Err(error) => Err(readiness.block(error)),
        }
    }

    /// Maps the channel if a registration has found no map, unless another thread has done it since the caller got `channel`.
    /// Fails if it is not allowed, or if there was a map.
    pub(super) fn map_missing(&self, channel: &Channel) -> Result<(), Error> {
        let mut readiness = self.readiness();
        match &*readiness {
            Readiness::Blocked(error) => return Err(Error::Shared(error.clone())),
            Readiness::Ready(current) if current.is_mapped => {
                return match channel.is_mapped {
                    true => Err(readiness.block(Error::NoBaseChannel { map: None })),
                    false => Ok(()),
                };
            }
            _ => {}
        }
        match self.set_map(&channel.label)? {
            Some(fault) => Err(readiness.block(Error::NoBaseChannel { map: Some(fault) })),
            None => {
                log::info!("mapped the channel {}", channel.label);
                *readiness = Readiness::Ready(Channel {
                    is_mapped: true,
                    ..channel.clone()
                });
                Ok(())
            }
        }
    }

    /// Records that nothing more can be registered in this report, and why. Returns the error, to be shared by all hypervisors
    /// that are not registered.
    pub(super) fn block(&self, error: Error) -> Error {
        self.readiness().block(error)
    }

    fn readiness(&self) -> MutexGuard<'_, Readiness> {
        self.readiness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks the channel up. Creates and maps it if it is missing.
    fn prepare_channel(&self) -> Result<Channel, Error> {
        let (org, _) = self.user()?;
        let label = channel_label(org);
        let is_new = match self.has_channel(&label)? {
            true => false,
            false => self.create_channel(org, &label)?,
        };
        // A user who may create channels need not be allowed to map them. It matters only if a registration finds no map.
        let is_mapped = is_new && self.set_map(&label)?.is_none();
        Ok(Channel {
            org,
            label,
            is_mapped,
        })
    }

    /// The number of the user's organisation, and all that the server says about the user.
    pub(super) fn user(&self) -> Result<(i64, Datum<'static>), Error> {
        let user = self.call_in_session(USER, &[self.username()])?;
        let Some(&Datum::Int(org)) = user.member("org_id") else {
            return Err(Error::Unexpected {
                call: USER.name,
                missing: "org_id",
            });
        };
        log::debug!("the user's organisation is {org}");
        Ok((org, user))
    }

    /// Whether there is a channel with this label that the user can see.
    pub(super) fn has_channel(&self, label: &str) -> Result<bool, Error> {
        match self.call_in_session(CHANNEL, &[Datum::text(label)]) {
            Err(error) if error.is_fault(NO_CHANNEL) => Ok(false),
            answer => answer.map(|_| true),
        }
    }

    /// Creates the channel as virt-who does. Returns false if somebody else has created it meanwhile.
    fn create_channel(&self, org: i64, label: &str) -> Result<bool, Error> {
        let channel = [
            Datum::text(label),
            Datum::text(format!("Hypervisor Base - {org}")),
            Datum::text("Channel used by virt-who for hypervisor registration"),
            Datum::text("channel-x86_64"),
            Datum::text(""),
        ];
        match self.call_in_session(CREATE_CHANNEL, &channel) {
            Ok(_) => {
                log::info!("created the channel {label}");
                Ok(true)
            }
            // Its name is taken, or the answer was lost after it was created.
            Err(error) => match self.has_channel(label) {
                Ok(true) => {
                    log::info!("the channel {label} exists now, although creating it failed");
                    Ok(error.may_be_done())
                }
                _ => Err(error),
            },
        }
    }

    /// Maps the channel, so that hypervisors get it as their base channel. Returns the server's refusal, if it refuses.
    fn set_map(&self, label: &str) -> Result<Option<Fault>, Error> {
        let map = [
            Datum::text(OS),
            Datum::text(RELEASE),
            Datum::text(ARCH),
            Datum::text(label),
        ];
        match self.call_in_session(SET_MAP, &map) {
            Err(Error::Refused { fault, .. }) => {
                log::debug!("{}: {fault}", SET_MAP.name);
                Ok(Some(fault))
            }
            answer => answer.map(|_| None),
        }
    }
}

impl Readiness {
    /// See [`Satellite5::block`].
    fn block(&mut self, error: Error) -> Error {
        let error = error.into_shared();
        *self = Readiness::Blocked(error.clone());
        Error::Shared(error)
    }
}
