//! What a person should know of a report: what is in force, and what to do about a failure.

use super::{Destination, Report};
use crate::candlepin;
use crate::cli::rhsm::Who;
use crate::cli::{documents, way};
use crate::config::Rhsm;
use crate::http;

impl Report {
    /// Debug messages that say what options, section and rhsm.conf come to.
    pub(super) fn tell_what_is_in_force(&self, rhsm: &Rhsm) {
        let missing = match self.rhsm_conf.exists() {
            true => "",
            false => " (missing: subscription-manager's defaults)",
        };
        log::debug!("rhsm.conf: {}{missing}", self.rhsm_conf.display());
        let Some(destination) = &self.destination else {
            return log::debug!("sending nothing");
        };
        let (base, owner) = (&destination.endpoint.base, &destination.owner);
        log::debug!(
            "reporting to {base}, owner {owner:?}, as reporter {:?}",
            destination.reporter_id
        );
        match &self.login {
            Some(Who::User { username, .. }) => log::debug!("logging in as user {username:?}"),
            Some(Who::System { uuid }) => {
                let file = match &destination.endpoint.identity {
                    Some(identity) => &identity.cert,
                    None => &self.certificate,
                };
                log::debug!("logging in as consumer {uuid} with {}", file.display());
            }
            None => log::debug!("logging in nowhere"),
        }
        let silence = destination.endpoint.silence_limit.as_secs();
        let from = match rhsm.server_timeout {
            Some(_) => " (server_timeout)",
            None => "",
        };
        let (connect, job) = (
            destination.endpoint.connect_limit.as_secs(),
            self.delivery.limit.as_secs(),
        );
        let whole = match self.connection.time() {
            Some(time) => format!("{} s for an attempt (--timeout)", time.as_secs()),
            None => format!("{} s for a document", documents::LONGEST.as_secs()),
        };
        log::debug!("limits: connecting {connect} s, silence {silence} s{from}, a job {job} s, {whole}");
    }

    /// A failure with what has to be known to mend it: the server, the section, and what to look at.
    pub fn explain(&self, error: crate::cli::Error) -> crate::cli::Error {
        let Some(destination) = &self.destination else {
            return error;
        };
        let base = &destination.endpoint.base;
        let error = match error
            .downcast_ref()
            .and_then(|known| self.advice(known, destination))
        {
            Some(advice) => error.context(advice),
            None => error,
        };
        let is_local = error
            .downcast_ref()
            .is_some_and(candlepin::Error::is_about_this_machine);
        way::placed(error, self.whence.as_deref(), (!is_local).then_some(base))
    }

    fn advice(&self, error: &candlepin::Error, destination: &Destination) -> Option<String> {
        let (base, owner) = (&destination.endpoint.base, &destination.owner);
        Some(match (error, &self.login) {
            (candlepin::Error::Refused { source, .. }, Some(Who::User { username, .. })) => {
                match is_answer(source, 401) {
                    true => format!(
                        "login to {base} as {username:?} failed: wrong user name or password (repeated failures may lock the \
                         account)"
                    ),
                    false => format!(
                        "{base} does not let user {username:?} report; check the user's role for owner {owner:?}"
                    ),
                }
            }
            (candlepin::Error::Refused { .. }, _) => format!(
                "{base} refuses the certificate {}; check that this system is registered with this server",
                self.certificate.display()
            ),
            (error, _) if error.is_about_the_path() => format!(
                "no Candlepin answers at {base}; check the path, which is that of --server, rhsm_prefix or prefix in rhsm.conf"
            ),
            _ => return None,
        })
    }
}

fn is_answer(error: &http::Error, wanted: u16) -> bool {
    matches!(error, http::Error::Status { status, .. } if *status == wanted)
}
