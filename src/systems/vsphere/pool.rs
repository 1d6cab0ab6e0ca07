//! Sessions that several threads use in turn.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Error;
use super::session::{Credentials, Session};
use crate::cancel::Cancel;
use crate::http::Endpoint;

/// How long all logouts together may take.
const LOGOUT_LIMIT: Duration = Duration::from_secs(10);

/// Opens sessions as they are needed, and keeps those that are not in use.
#[derive(Debug)]
pub struct Pool<'p> {
    endpoint: &'p Endpoint,
    credentials: &'p Credentials,
    cancel: &'p Cancel,
    idle: Mutex<Vec<Session>>,
}

impl<'p> Pool<'p> {
    /// A pool without sessions. The endpoint's deadline is not used.
    pub fn new(endpoint: &'p Endpoint, credentials: &'p Credentials, cancel: &'p Cancel) -> Self {
        Pool {
            endpoint,
            credentials,
            cancel,
            idle: Mutex::default(),
        }
    }

    /// The server.
    pub fn endpoint(&self) -> &'p Endpoint {
        self.endpoint
    }

    /// The token that ends the work.
    pub fn cancel(&self) -> &'p Cancel {
        self.cancel
    }

    /// A session for work until this deadline: an idle one, or a new one.
    pub fn take(&self, deadline: Option<Instant>) -> Result<Session, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut session) = idle {
            session.set_deadline(deadline);
            return Ok(session);
        }
        let endpoint = Endpoint {
            deadline,
            ..self.endpoint.clone()
        };
        Session::open(&endpoint, self.credentials, self.cancel)
    }

    /// Keeps a session whose work is done. A session that has failed is dropped instead.
    pub fn put(&self, session: Session) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(session);
    }

    /// Logs out of all sessions. They must not be in use.
    pub fn close(self) {
        let idle = self.idle.into_inner().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + LOGOUT_LIMIT;
        for mut session in idle {
            // The deadline of the last work is not that of the logout.
            session.set_deadline(Some(deadline));
            session.close();
        }
    }
}
