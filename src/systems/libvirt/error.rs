//! What can go wrong between us, virsh and libvirt.

use std::io;
use std::time::Duration;

use crate::error::{Classify, Kind};
use crate::retry::Retryable;
use crate::{process, xml};

/// A failed call of virsh, or an answer that can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no virsh.
    #[error("virsh not found in PATH")]
    NoVirsh,
    /// virsh can't be run, or does not end.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A temporary failure lasted too long.
    #[error("gave up after {} s: last error", crate::text::seconds(*after))]
    GaveUp {
        /// How long it was tried.
        after: Duration,
        /// What went wrong the last time.
        #[source]
        last: Box<Error>,
    },
    /// The password can't be handed to virsh.
    #[error("writing the password for virsh")]
    Password(#[source] io::Error),
    /// virsh failed, with these words.
    #[error("{server}: {text}")]
    Failed {
        /// Which libvirt it asked.
        server: String,
        /// Its errors in one line, without the word `error`.
        text: String,
        /// What they mean.
        reason: Reason,
    },
    /// virsh printed something else than expected.
    #[error("virsh printed {0}")]
    Unexpected(&'static str),
    /// The host's capabilities are unreadable.
    #[error("the capabilities that virsh printed")]
    Capabilities(#[source] xml::Error),
    /// The host has no uuid. libvirt's test driver has none.
    #[error("libvirt does not know the host's uuid")]
    NoUuid,
    /// The host has no name.
    #[error("libvirt does not know the host's name")]
    NoHostname,
    /// A signal came.
    #[error(transparent)]
    Cancelled(#[from] crate::cancel::Cancelled),
}

/// Why virsh failed, as far as its words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No daemon listens at the socket, or it does not answer.
    NoDaemon,
    /// ssh was refused, because the key is missing or wrong.
    SshKey,
    /// ssh does not know the host's key.
    HostKey,
    /// libvirt refused the login or the access.
    Access,
    /// The server's certificate is not trusted.
    Trust,
    /// The URI or the files that it needs are wrong.
    Configuration,
    /// virsh does not know a command or an option: it is older than 2.1.0.
    OldVirsh,
    /// The driver can't do it.
    Unsupported,
    /// Anything else, which may pass.
    Other,
}

/// Parts of virsh's messages in lower case, the first that is found counts. Most were recorded with virsh 9.0
/// (`/var/run/libvirt/libvirt-sock-ro': Permission denied` too); those about certificates and polkit are from its source.
const REASONS: [(&str, Reason); 34] = [
    ("host key verification failed", Reason::HostKey),
    ("remote host identification has changed", Reason::HostKey),
    ("permission denied (", Reason::SshKey),
    ("too many authentication failures", Reason::SshKey),
    ("permission denied", Reason::Access),
    ("authentication failed", Reason::Access),
    ("authentication unavailable", Reason::Access),
    ("authentication cancelled", Reason::Access),
    ("failed to start sasl", Reason::Access),
    ("sasl mechanism", Reason::Access),
    ("access denied", Reason::Access),
    ("operation forbidden", Reason::Access),
    ("cannot read ca certificate", Reason::Configuration),
    ("cannot read certificate", Reason::Configuration),
    ("unable to import server certificate", Reason::Configuration),
    ("certificate", Reason::Trust),
    ("unknown command", Reason::OldVirsh),
    ("doesn't support option", Reason::OldVirsh),
    ("not supported by the connection driver", Reason::Unsupported),
    ("no connection driver available", Reason::Configuration),
    ("unexpected qemu uri path", Reason::Configuration),
    ("unable to parse uri", Reason::Configuration),
    ("invalid argument", Reason::Configuration),
    ("cannot execute binary", Reason::Configuration),
    ("failed to parse", Reason::Configuration),
    ("xml error", Reason::Configuration),
    ("no such file or directory", Reason::NoDaemon),
    ("connection refused", Reason::NoDaemon),
    ("could not resolve", Reason::NoDaemon),
    ("unable to connect", Reason::NoDaemon),
    ("connection reset", Reason::NoDaemon),
    ("end of file", Reason::NoDaemon),
    ("socket is closed", Reason::NoDaemon),
    ("failed to connect socket", Reason::NoDaemon),
];

impl Error {
    /// The failure that virsh describes in these words; `server` is which libvirt it asked.
    pub(super) fn failed(server: String, text: String) -> Self {
        let lower = text.to_ascii_lowercase();
        let known = REASONS.iter().find(|(part, _)| lower.contains(part));
        let reason = known.map_or(Reason::Other, |(_, reason)| *reason);
        Error::Failed { server, text, reason }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Error::NoVirsh | Error::NoUuid | Error::NoHostname => Kind::Config,
            Error::Process(error) => error.kind(),
            Error::GaveUp { .. } => Kind::TempFail,
            Error::Password(_) => Kind::Io,
            Error::Failed { reason, .. } => reason.kind(),
            Error::Unexpected(_) | Error::Capabilities(_) => Kind::Protocol,
            Error::Cancelled(cancelled) => cancelled.kind(),
        }
    }
}

/// There is no session: each run of virsh logs in for itself.
impl Retryable for Error {
    fn is_deadline(&self) -> bool {
        // A run of virsh has a limit of its own, so its end says nothing about the deadline.
        false
    }

    fn retry_after(&self) -> Option<Duration> {
        None
    }

    fn gave_up(after: Duration, last: Box<Self>) -> Self {
        Error::GaveUp { after, last }
    }
}

impl Reason {
    fn kind(self) -> Kind {
        match self {
            Reason::NoDaemon | Reason::Other => Kind::TempFail,
            Reason::SshKey | Reason::HostKey | Reason::Access | Reason::Trust => Kind::NoPerm,
            Reason::Configuration | Reason::OldVirsh => Kind::Config,
            Reason::Unsupported => Kind::Unavailable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virshs_words_have_a_reason() {
        for (text, reason) in [
            (
                "Failed to connect socket to '/var/run/libvirt/libvirt-sock-ro': No such file or directory",
                Reason::NoDaemon,
            ),
            (
                "Failed to connect socket to '/var/run/libvirt/libvirt-sock-ro': Connection refused",
                Reason::NoDaemon,
            ),
            (
                "Failed to connect socket to '/var/run/libvirt/libvirt-sock-ro': Permission denied",
                Reason::Access,
            ),
            (
                "unable to connect to server at '127.0.0.1:16509': Connection refused",
                Reason::NoDaemon,
            ),
            (
                "Cannot recv data: ssh: Could not resolve hostname h: Name or service not known: Connection reset by peer",
                Reason::NoDaemon,
            ),
            (
                "Cannot recv data: ssh: connect to host 127.0.0.1 port 22: Connection refused: Connection reset by peer",
                Reason::NoDaemon,
            ),
            (
                "Cannot recv data: Permission denied (publickey,password).: Connection reset by peer",
                Reason::SshKey,
            ),
            (
                "Cannot recv data: Host key verification failed.: Connection reset by peer",
                Reason::HostKey,
            ),
            (
                "Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file or directory",
                Reason::Configuration,
            ),
            (
                "no connection driver available for foo:///x",
                Reason::Configuration,
            ),
            (
                "internal error: unexpected qemu URI path '/nosuch', try qemu:///system",
                Reason::Configuration,
            ),
            (
                "internal error: Unable to parse URI qemu+ssh://ho st/system",
                Reason::Configuration,
            ),
            (
                "XML error: failed to parse xml document '/nofile'",
                Reason::Configuration,
            ),
            (
                "authentication failed: authentication failed, see test XML for the correct username/password",
                Reason::Access,
            ),
            ("command 'list' doesn't support option --uuid", Reason::OldVirsh),
            (
                "Disconnected from qemu:///system due to end of file",
                Reason::NoDaemon,
            ),
            ("internal error: client socket is closed", Reason::NoDaemon),
            (
                "invalid argument: remote_open: transport in URL not recognised (should be tls|unix|…)",
                Reason::Configuration,
            ),
            (
                "Cannot recv data: libvirt:  error : cannot execute binary ssh: No such file or directory: Connection reset by peer",
                Reason::Configuration,
            ),
            ("something new", Reason::Other),
        ] {
            let Error::Failed { reason: found, .. } = Error::failed(String::new(), text.to_owned()) else {
                panic!("another error");
            };
            assert_eq!(found, reason, "{text}");
        }
    }
}
