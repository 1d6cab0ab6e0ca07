//! Which id of a host becomes its hypervisor's id.

use std::fmt;
use std::str::FromStr;

use crate::error::{Classify, Kind};

/// Which id of a host becomes its hypervisor's id, under the names of virt-who's key `hypervisor_id`.
///
/// Which property of a host each one is depends on the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HypervisorId {
    /// The hardware's uuid.
    #[default]
    Uuid,
    /// The DNS name.
    Hostname,
    /// The source's own id of the host, such as the managed object id `host-9`.
    Hwuuid,
}

/// A hypervisor_id other than uuid, hostname and hwuuid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not one of uuid, hostname, hwuuid")]
pub struct UnknownHypervisorId(String);

impl Classify for UnknownHypervisorId {
    fn kind(&self) -> Kind {
        Kind::Config
    }
}

impl HypervisorId {
    /// Its name in options and keys.
    pub fn name(self) -> &'static str {
        match self {
            HypervisorId::Uuid => "uuid",
            HypervisorId::Hostname => "hostname",
            HypervisorId::Hwuuid => "hwuuid",
        }
    }
}

impl fmt::Display for HypervisorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for HypervisorId {
    type Err = UnknownHypervisorId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "uuid" => Ok(HypervisorId::Uuid),
            "hostname" => Ok(HypervisorId::Hostname),
            "hwuuid" => Ok(HypervisorId::Hwuuid),
            _ => Err(UnknownHypervisorId(text.to_owned())),
        }
    }
}

/// An id that several hosts, or several guests, have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedId {
    /// The id.
    pub id: String,
    /// The names of those that have it.
    pub names: Vec<String>,
}
