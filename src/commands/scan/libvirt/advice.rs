//! What the user can do about libvirt's refusals.

use crate::cli;
use crate::systems::libvirt::{Error, Reason};

/// The advice about this error.
pub(super) fn of(error: &cli::Error) -> Option<&'static str> {
    let known = error.chain().find_map(|cause| cause.downcast_ref::<Error>())?;
    of_known(known)
}

fn of_known(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::NoVirsh => "install libvirt-client (RHEL, Fedora) or libvirt-clients (Debian, Ubuntu)",
        Error::NoUuid => "set hypervisor_id=hostname, or give --hypervisor-id hostname",
        Error::NoHostname => "set hypervisor_id=uuid, or give --hypervisor-id uuid",
        Error::GaveUp { last, .. } => return of_known(last),
        Error::Process(crate::process::Error::WantsTerminal { .. }) => {
            "set username and password for SASL; ssh needs a key and a known host"
        }
        Error::Failed { reason, .. } => return of_reason(*reason),
        _ => return None,
    })
}

fn of_reason(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::NoDaemon => Some("is libvirtd running there?"),
        Reason::SshKey => {
            Some("ssh uses no password: install a key for this user (ssh-copy-id), or name it with ?keyfile=")
        }
        Reason::HostKey => Some("log in once with ssh as this user, and compare the host's key"),
        Reason::Access => Some("check username, password and who may use libvirt there"),
        Reason::OldVirsh => Some("virsh 2.1.0 or newer is needed"),
        Reason::Trust | Reason::Configuration | Reason::Unsupported | Reason::Other => None,
    }
}
