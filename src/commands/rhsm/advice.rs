//! What a failure at Candlepin means for the login, the owner and the path, and its line with the ids in the server's log.

use std::path::Path;

use super::PendingLogin;
use crate::cli;
use crate::error::Kind;
use crate::http::{self, Base};
use crate::systems::candlepin::{Correlation, Error};

/// Who talks to which server, for the words about a failure.
#[derive(Debug)]
pub(in crate::commands) struct Attempt<'a> {
    /// The server.
    pub base: &'a Base,
    /// The owner; none for this machine's own guests.
    pub owner: Option<&'a str>,
    /// Who logs in.
    pub login: Option<&'a PendingLogin>,
    /// The certificate of this system, used or not.
    pub certificate: &'a Path,
    /// What the user needs a role for: `report` or `read`.
    pub purpose: &'a str,
}

impl Attempt<'_> {
    /// What it means that the server refuses us, or that no Candlepin answers.
    pub(in crate::commands) fn refusal(&self, error: &Error) -> Option<String> {
        let (base, owner, purpose) = (self.base, self.owner, self.purpose);
        Some(match (error, self.login) {
            (Error::Refused { source, .. }, Some(PendingLogin::User { username, .. }))
                if is_status(source, 401) =>
            {
                format!(
                    "login to {base} as {username:?} failed: wrong user name or password (repeated failures may lock the \
                     account)"
                )
            }
            (Error::Refused { .. }, Some(PendingLogin::User { username, .. })) => {
                let advice = match owner {
                    Some(owner) => format!("check the user's role for owner {owner:?}"),
                    None => "check the user's role for the owner of this machine".to_owned(),
                };
                format!("{base} does not let user {username:?} {purpose}; {advice}")
            }
            (Error::Refused { .. }, _) => format!(
                "{base} refuses the certificate {}; check that this system is registered with this server",
                self.certificate.display()
            ),
            (error, _) if error.is_about_the_path() => format!(
                "no Candlepin answers at {base}; check the path (--server, rhsm_prefix, or prefix in rhsm.conf)"
            ),
            _ => return None,
        })
    }
}

/// Logs an error in one line, with the ids that find it in the server's log.
pub(in crate::commands) fn log_error(error: &cli::Error, correlation: Option<&Correlation>) {
    let ids = error.downcast_ref().and_then(Error::log_ids);
    match (ids, correlation) {
        (Some(ids), _) => log::error!("{error:#} ({ids})"),
        (None, Some(correlation)) if error.kind() == Kind::Unavailable => {
            log::error!("{error:#} (correlation id {correlation})");
        }
        _ => log::error!("{error:#}"),
    }
}

/// Whether the server answered with this status.
pub(in crate::commands) fn is_status(error: &http::Error, wanted: u16) -> bool {
    matches!(error, http::Error::Status { status, .. } if *status == wanted)
}
