//! A session at a pool's coordinator: login, and logout on every path.

use std::time::{Duration, Instant};

use super::Credentials;
use super::client::{Client, LOGIN, LOGOUT};
use super::error::{Error, Refusal};
use super::record::{Records, read_records};
use crate::cancel::{Cancel, HookGuard};
use crate::error::Classify as _;
use crate::http::{self, Base, Endpoint, Limit};
use crate::retry::Retryable as _;
use crate::text;
use crate::xmlrpc::Datum;

/// How long a logout over a new connection may take, and how long the server may be silent in any.
const LOGOUT_LIMIT: Duration = Duration::from_secs(5);

/// The least time that a login has, after a signal or shortly before the deadline.
const LOGIN_LIMIT: Duration = Duration::from_secs(5);

/// The version of the API that we know. Servers accept any text.
const API_VERSION: &str = "1.0";

/// Who uses the session. A server closes the oldest session of the same originator if it has too many.
const ORIGINATOR: &str = "vw-scan-xen";

/// A session that is logged in.
///
/// [`Session::close`] logs out. A session that is dropped because of an error logs out too, over a new connection and within five
/// seconds. A logout that fails causes a warning.
pub(super) struct Session {
    pub(super) client: Client,
    open: bool,
    _interrupts: HookGuard,
}

impl Session {
    /// Logs in at the endpoint's server, or at the coordinator that it names. The coordinator is reached in the same way, and its
    /// certificate is verified in the same way.
    ///
    /// A signal and the endpoint's deadline give a login that has begun five seconds: without its answer nobody could close the
    /// session.
    pub(super) fn open(
        endpoint: &Endpoint,
        credentials: &Credentials,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let error = match Session::open_at(endpoint, credentials, cancel) {
            Err(error) if error.is_refusal(Refusal::HOST_IS_SLAVE) => error,
            done => return done,
        };
        let named = error.refusal().and_then(|refusal| refusal.parameters.first());
        let coordinator = named.cloned().unwrap_or_default();
        log::debug!(
            "{} is a member of a pool, and {coordinator} is its coordinator",
            endpoint.base.authority()
        );
        let opened = coordinator_of(endpoint, &coordinator)
            .and_then(|endpoint| Session::open_at(&endpoint, credentials, cancel));
        opened.map_err(|error| match error {
            Error::Cancelled(_) => error,
            error => Error::Coordinator {
                member: endpoint.base.authority(),
                coordinator,
                source: Box::new(error),
            },
        })
    }

    fn open_at(endpoint: &Endpoint, credentials: &Credentials, cancel: &Cancel) -> Result<Self, Error> {
        cancel.check()?;
        let begun = Instant::now();
        let connection = Cancel::default();
        let client = Client::new(endpoint, credentials, &connection)?;
        let unhurried = with_time(&client, endpoint, &connection, begun)?;
        let late = connection.follow_late(cancel, LOGIN_LIMIT);
        let reference = log_in(&unhurried, credentials)?;
        drop(late);
        log::debug!(
            "logged in to {} as {:?} in {} s",
            client.server(),
            credentials.username,
            text::seconds(begun.elapsed())
        );
        Ok(Session {
            client: client.in_session(reference),
            open: true,
            _interrupts: connection.follow(cancel),
        })
    }

    /// Reads all records of a class, and calls `seen` for each.
    pub(super) fn read_all<K: Records>(&self, seen: impl FnMut()) -> Result<Vec<K::Kept>, Error> {
        let begun = Instant::now();
        let records = self
            .client
            .call(K::METHOD, &[], |value| read_records::<K, _>(value, seen))?;
        let records = records.ok_or_else(|| self.client.incomplete(K::METHOD, "records"))?;
        log::debug!(
            "{}: kept {} in {} s",
            K::METHOD.name,
            records.len(),
            text::seconds(begun.elapsed())
        );
        Ok(records)
    }

    /// Logs out. If that fails, it logs a warning.
    pub(super) fn close(mut self) {
        self.open = false;
        if log_out(&self.client).is_err() {
            self.close_over_new_connection();
        }
    }

    fn close_over_new_connection(&self) {
        let deadline = Some(Instant::now() + LOGOUT_LIMIT);
        if let Err(error) = log_out(&self.client.reconnected(&Cancel::default(), deadline)) {
            let error = error.with_causes();
            log::warn!("{error}; the logout failed, so the session stays open until it expires");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.open {
            // The connection may be broken, or contain half an answer.
            self.close_over_new_connection();
        }
    }
}

/// The coordinator at an address without a scheme: everything but the host is the same.
fn coordinator_of(endpoint: &Endpoint, address: &str) -> Result<Endpoint, Error> {
    let base = &endpoint.base;
    let host = Base::parse(address, base.port, "").map_err(Error::Address)?.host;
    Ok(Endpoint {
        base: Base { host, ..base.clone() },
        ..endpoint.clone()
    })
}

/// The client for a login that begins now: at least [`LOGIN_LIMIT`] is left until its deadline. Fails if the endpoint's deadline is
/// over.
fn with_time(
    client: &Client,
    endpoint: &Endpoint,
    connection: &Cancel,
    now: Instant,
) -> Result<Client, Error> {
    let soon = now + LOGIN_LIMIT;
    match endpoint.deadline {
        Some(deadline) if deadline <= now => Err(Error::Exchange {
            call: LOGIN.name,
            source: http::Error::Timeout {
                server: client.server(),
                limit: Limit::Deadline,
            },
        }),
        Some(deadline) if deadline < soon => Ok(client.reconnected(connection, Some(soon))),
        _ => Ok(client.clone()),
    }
}

/// Logs in; returns the session's reference.
fn log_in(client: &Client, credentials: &Credentials) -> Result<String, Error> {
    let Credentials { username, password } = credentials;
    let params = [username.as_str(), password.expose(), API_VERSION, ORIGINATOR].map(Datum::text);
    let reference = client.call(LOGIN, &params, |value| Ok(value.read()?.into_text()));
    let reference = reference.map_err(|error| match error {
        Error::Refused { server, refusal, .. } if refusal.code == Refusal::AUTHENTICATION_FAILED => {
            Error::Login {
                server,
                user: username.clone(),
                refusal,
            }
        }
        error => error,
    })?;
    let reference = reference.filter(|reference| !reference.is_empty());
    reference.ok_or_else(|| client.incomplete(LOGIN, "session"))
}

fn log_out(client: &Client) -> Result<(), Error> {
    let begun = Instant::now();
    match client.call_within(LOGOUT, &[], Some(LOGOUT_LIMIT), |value| value.skip()) {
        Err(error) if error.is_end_of_session() => {}
        done => done?,
    }
    log::debug!("logged out in {} s", text::seconds(begun.elapsed()));
    Ok(())
}
