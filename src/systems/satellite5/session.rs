//! The session of `/rpc/api`: one for a report, opened by the first call that needs it, and shared by all threads.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::method::{LOGIN, LOGOUT, Method, USER};
use super::{Credentials, Error, Satellite5};
use crate::cancel::Cancel;
use crate::error::Classify as _;
use crate::secret::Secret;
use crate::xmlrpc::{Datum, Fault};

/// How long the logout may take, even after a signal or the deadline.
const LOGOUT_TIME: Duration = Duration::from_secs(5);

/// The fault of a login with a wrong user name or password, or of a deactivated user.
const WRONG_LOGIN: i64 = 2950;

/// The fault of a call whose session has expired, and of many others.
const GENERAL: i64 = -1;

/// The state of a report's session.
#[derive(Debug, Default)]
pub(super) enum Session {
    /// No call has needed one yet, or it is closed.
    #[default]
    Closed,
    /// Its key.
    Open(Arc<Secret>),
    /// The login failed. It is not tried again in this report, because servers lock accounts.
    Failed(Arc<Error>),
}

impl Satellite5 {
    /// Calls a method of `/rpc/api`; `params` are those after the session's key. Logs in if nobody has.
    ///
    /// If the session has expired, logs in again and repeats the call, once. The server has no fault of its own for this: if it
    /// answers its general one, it is asked for the user's details, which it never refuses in a session.
    pub(super) fn call_in_session(
        &self,
        method: Method,
        params: &[Datum<'_>],
    ) -> Result<Datum<'static>, Error> {
        let key = self.session_key()?;
        let in_session = |key: &Arc<Secret>, method, params: &[Datum<'_>]| {
            let key = Datum::text(key.expose());
            let params: Vec<Datum<'_>> = std::iter::once(key).chain(params.iter().cloned()).collect();
            self.call(method, &params)
        };
        let refused = match in_session(&key, method, params) {
            Err(error) if error.is_fault(GENERAL) => error,
            done => return done,
        };
        if method != USER {
            let user = in_session(&key, USER, &[self.username()]);
            if !user.is_err_and(|error| error.is_fault(GENERAL)) {
                return Err(refused);
            }
        }
        let key = self.renew_session(&key)?;
        in_session(&key, method, params)
    }

    /// The user's name, as a parameter.
    pub(super) fn username(&self) -> Datum<'_> {
        Datum::text(self.credentials.username.as_str())
    }

    /// The key of the session, which is opened if it is closed.
    fn session_key(&self) -> Result<Arc<Secret>, Error> {
        // Whoever else needs the session waits for the login.
        let mut session = self.session();
        match &*session {
            Session::Open(key) => Ok(key.clone()),
            Session::Failed(error) => Err(Error::Shared(error.clone())),
            Session::Closed => self.open(&mut session),
        }
    }

    /// A new session, unless another thread has renewed it already.
    fn renew_session(&self, expired: &Arc<Secret>) -> Result<Arc<Secret>, Error> {
        let mut session = self.session();
        match &*session {
            Session::Open(key) if !Arc::ptr_eq(key, expired) => Ok(key.clone()),
            Session::Failed(error) => Err(Error::Shared(error.clone())),
            _ => {
                log::info!("the session has expired; logging in again");
                self.open(&mut session)
            }
        }
    }

    fn open(&self, session: &mut Session) -> Result<Arc<Secret>, Error> {
        match self.log_in() {
            Ok(key) => {
                let key = Arc::new(key);
                *session = Session::Open(key.clone());
                Ok(key)
            }
            Err(error) => {
                let error = Arc::new(error);
                *session = Session::Failed(error.clone());
                Err(Error::Shared(error))
            }
        }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Closes the session if it is open, over a new connection: after a signal the other one is closed.
    pub(super) fn log_out(&self) {
        let Session::Open(key) = std::mem::take(&mut *self.session()) else {
            return;
        };
        let http = self
            .http
            .reconnect(&Cancel::default(), Some(Instant::now() + LOGOUT_TIME));
        let logout = self.call_over(&http, LOGOUT, &[Datum::text(key.expose())]);
        match logout {
            Ok(_) => {}
            Err(error) if error.is_fault(GENERAL) => log::debug!("the session has expired already"),
            Err(error) => log::warn!(
                "the session stays open on the server until it expires: {}",
                error.with_causes()
            ),
        }
    }
}
