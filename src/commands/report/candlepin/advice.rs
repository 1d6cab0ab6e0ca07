//! What a user should know about a report: the settings, and what to do about a failure.

use super::{CandlepinReporter, Destination};
use crate::cli;
use crate::commands::rhsm::advice::Attempt;
use crate::commands::rhsm::{self, PendingLogin};
use crate::config::Rhsm;
use crate::systems::candlepin;

impl CandlepinReporter {
    /// Debug messages that say what options, section and rhsm.conf come to.
    pub(super) fn log_settings(&self, rhsm: &Rhsm) {
        let missing = match self.rhsm_conf.exists() {
            true => "",
            false => " (missing: subscription-manager's defaults)",
        };
        log::debug!("rhsm.conf: {}{missing}", self.rhsm_conf.display());
        let Some(Destination {
            endpoint,
            owner,
            reporter_id,
            ..
        }) = &self.destination
        else {
            return log::debug!("sending nothing");
        };
        log::debug!(
            "reporting to {}, owner {:?}, as reporter {reporter_id:?}",
            endpoint.base,
            owner.as_deref().unwrap_or_default()
        );
        match &self.login {
            Some(PendingLogin::User { username, .. }) => log::debug!("logging in as user {username:?}"),
            Some(PendingLogin::System { uuid }) => {
                let file = endpoint.identity.as_ref().map(|identity| &identity.cert);
                let file = file.unwrap_or(&self.certificate);
                log::debug!("logging in as consumer {uuid} with {}", file.display());
            }
            None => log::debug!("not logging in"),
        }
        let from = match rhsm.server_timeout {
            Some(_) => " (server_timeout)",
            None => "",
        };
        log::debug!(
            "limits: connecting {} s, silence {} s{from}, a job {} s, {}",
            endpoint.connect_limit.as_secs(),
            endpoint.silence_limit.as_secs(),
            self.delivery.limit.as_secs(),
            self.settings.whole_limit()
        );
    }

    /// Logs an error in one line, with the ids that find it in the server's log.
    pub(super) fn log_error(&self, error: &cli::Error) {
        let destination = self.destination.as_ref();
        rhsm::advice::log_error(error, destination.map(|destination| &destination.correlation));
    }

    /// Adds to an error what the user needs to mend it: advice, the section, and the server.
    pub(super) fn explain(&self, error: cli::Error) -> cli::Error {
        let Some(destination) = &self.destination else {
            return error;
        };
        let known: Option<&candlepin::Error> = error.downcast_ref();
        let is_local = known.is_some_and(candlepin::Error::is_about_this_machine);
        let advice = known.and_then(advice);
        let error = match known.and_then(|known| self.attempt(destination).refusal(known)) {
            Some(refusal) => error.context(refusal),
            None => error,
        };
        let server = (!is_local).then_some(&destination.endpoint.base);
        let error = self.settings.placed(error, server);
        match advice {
            Some(advice) => error.advise(advice),
            None => error,
        }
    }

    /// Who reports to which server.
    fn attempt<'a>(&'a self, destination: &'a Destination) -> Attempt<'a> {
        Attempt {
            base: &destination.endpoint.base,
            owner: destination.owner.as_deref(),
            login: self.login.as_ref(),
            certificate: &self.certificate,
            purpose: "report",
        }
    }
}

/// What to do about an error whose own text says what happened.
fn advice(error: &candlepin::Error) -> Option<&'static str> {
    use candlepin::Error;
    match error {
        Error::Gone { .. } => Some("register it again, or log in as a user (--username)"),
        Error::NoHeartbeat { .. } => Some("report the mapping itself, without --heartbeat"),
        Error::JobTimeout { .. } => Some("see --job-timeout"),
        _ => None,
    }
}
