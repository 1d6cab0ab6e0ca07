//! A session of `/rpc/api`: login, work, logout.

use std::time::{Duration, Instant};

use super::method::{LOGIN, LOGOUT};
use super::xmlrpc::{Datum, Fault};
use super::{Credentials, Error, Satellite5};
use crate::cancel::Cancel;
use crate::error::Classify as _;
use crate::secret::Secret;

/// How long the logout may take, even after a signal or the deadline.
const LOGOUT_TIME: Duration = Duration::from_secs(5);

/// The fault of a login with a wrong user name or password, or of a deactivated user.
const WRONG_LOGIN: i64 = 2950;

impl Satellite5 {
    /// Logs in, calls `work` with the session's key, and logs out even if that fails.
    pub(super) fn in_session<T>(&self, work: impl FnOnce(&str) -> Result<T, Error>) -> Result<T, Error> {
        let session = self.log_in()?;
        let result = work(session.expose());
        self.log_out(session.expose());
        result
    }

    /// Logs in; returns the session's key.
    fn log_in(&self) -> Result<Secret, Error> {
        let Credentials { username, password } = &self.credentials;
        let credentials = [Datum::text(username.as_str()), Datum::text(password.expose())];
        let answer = self
            .call_patiently(LOGIN, &credentials)
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

    /// The error of credentials that the server does not accept.
    pub(super) fn wrong_login(&self, fault: Fault) -> Error {
        Error::Login {
            server: self.http.base().to_string(),
            user: self.credentials.username.clone(),
            fault,
        }
    }

    /// Ends a session, over a new connection: after a signal the other one is closed.
    fn log_out(&self, session: &str) {
        let http = self
            .http
            .reconnect(&Cancel::default(), Some(Instant::now() + LOGOUT_TIME));
        let logout = self.call_over(&http, LOGOUT, &[Datum::text(session)]);
        if let Err(error) = logout {
            log::warn!(
                "the session stays open on the server until it expires: {}",
                error.with_causes()
            );
        }
    }
}
