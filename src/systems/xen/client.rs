//! XenAPI's calls and answers.

use std::io::BufRead;
use std::time::{Duration, Instant};

use super::Credentials;
use super::error::{self, Error, Refusal};
use crate::cancel::Cancel;
use crate::http::{Body, Endpoint, Http, Request, Response};
use crate::secret::{Secret, redact};
use crate::xml;
use crate::xmlrpc::{self, Datum, Value};

/// A method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) name: &'static str,
    /// Whether calling it twice has the same effect as calling it once.
    repeatable: bool,
}

impl Method {
    const fn reading(name: &'static str) -> Self {
        let repeatable = true;
        Method { name, repeatable }
    }
}

/// Its answer is the session's reference, which is a secret.
pub(super) const LOGIN: Method = Method {
    name: error::LOGIN,
    repeatable: false,
};
pub(super) const LOGOUT: Method = Method::reading("session.logout");
pub(super) const HOSTS: Method = Method::reading("host.get_all_records");
pub(super) const VMS: Method = Method::reading("VM.get_all_records");
pub(super) const EVENTS: Method = Method::reading("event.from");

/// The connections to one server, and the session's reference once there is one.
#[derive(Clone)]
pub(super) struct Client {
    http: Http,
    password: Secret,
    session: Option<Secret>,
}

/// What an answer says.
enum Outcome<T> {
    Success(T),
    Failure(Refusal),
    /// Neither, because this is missing.
    Incomplete(&'static str),
}

impl Client {
    /// Prepares a connection. Nothing is sent yet.
    pub(super) fn new(
        endpoint: &Endpoint,
        credentials: &Credentials,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        Ok(Client {
            http: Http::new(endpoint, cancel).map_err(Error::Connection)?,
            password: credentials.password.clone(),
            session: None,
        })
    }

    /// The server's host and port.
    pub(super) fn server(&self) -> String {
        self.http.base().authority()
    }

    /// The same session over new connections and with another deadline, if any.
    pub(super) fn reconnected(&self, cancel: &Cancel, deadline: Option<Instant>) -> Self {
        Client {
            http: self.http.reconnect(cancel, deadline),
            ..self.clone()
        }
    }

    /// The same connections within the session that has this reference.
    pub(super) fn in_session(self, reference: String) -> Self {
        Client {
            session: Some(Secret::from(reference)),
            ..self
        }
    }

    /// Calls a method; `read` reads the value that it returns. The session's reference, if there is one, becomes the first
    /// parameter.
    pub(super) fn call<T>(
        &self,
        method: Method,
        params: &[Datum<'_>],
        read: impl FnOnce(Value<'_, Body>) -> Result<T, xml::Error>,
    ) -> Result<T, Error> {
        self.call_within(method, params, None, read)
    }

    /// [`Client::call`] of a method during which the server may be silent for this time, if it is not the usual one.
    pub(super) fn call_within<T>(
        &self,
        method: Method,
        params: &[Datum<'_>],
        silence: Option<Duration>,
        read: impl FnOnce(Value<'_, Body>) -> Result<T, xml::Error>,
    ) -> Result<T, Error> {
        let Method { name: call, .. } = method;
        log::debug!("calling {call}");
        let session = self.session.iter().map(|session| Datum::text(session.expose()));
        let params: Vec<Datum<'_>> = session.chain(params.iter().cloned()).collect();
        let body = xmlrpc::call(call, &params).map_err(Error::Unsendable)?;
        let request = self.request(method, body.as_bytes(), silence);
        let response = self.http.send(&request).and_then(Response::success);
        let response = response.map_err(|source| Error::of_exchange(call, source))?;
        let hide = |text: &str| self.hide(text);
        let answer = xmlrpc::answer_with(response.into_body(), |value| read_outcome(value, read, hide));
        let server = self.server();
        match answer {
            Err(error) => Err(Error::of_answer(server, call, error)),
            Ok(Err(mut fault)) => {
                fault.text = self.hide(&fault.text);
                Err(Error::Fault { server, call, fault })
            }
            Ok(Ok(Outcome::Success(value))) => Ok(value),
            Ok(Ok(Outcome::Failure(refusal))) => Err(Error::Refused {
                server,
                call,
                refusal,
            }),
            Ok(Ok(Outcome::Incomplete(missing))) => Err(self.incomplete(method, missing)),
        }
    }

    /// The error of an answer that lacks something.
    pub(super) fn incomplete(&self, method: Method, missing: &'static str) -> Error {
        Error::Incomplete {
            server: self.server(),
            call: method.name,
            missing,
        }
    }

    fn request<'b>(&self, method: Method, body: &'b [u8], silence: Option<Duration>) -> Request<'b> {
        let mut request = Request::post("", "text/xml", body).label(method.name);
        request = request.secret(self.password.expose());
        if let Some(session) = &self.session {
            request = request.secret(session.expose());
        }
        if method == LOGIN {
            request = request.secret_answer();
        }
        if method.repeatable {
            request = request.repeatable();
        }
        match silence {
            Some(silence) => request.silence(silence),
            None => request,
        }
    }

    /// A text of the server without the secrets that it was sent.
    fn hide(&self, text: &str) -> String {
        let secrets = self.session.iter().chain([&self.password]);
        let secrets = secrets.map(Secret::expose).filter(|secret| !secret.is_empty());
        secrets.fold(text.to_owned(), |text, secret| {
            text.replace(secret, redact::REDACTED)
        })
    }
}

/// Reads the struct that every answer is.
fn read_outcome<R: BufRead, T>(
    value: Value<'_, R>,
    read: impl FnOnce(Value<'_, R>) -> Result<T, xml::Error>,
    hide: impl Fn(&str) -> String,
) -> Result<Outcome<T>, xml::Error> {
    let mut read = Some(read);
    let (mut status, mut result, mut refusal) = (None, None, None);
    value.members(|name, value| {
        match name {
            "Status" => status = value.read()?.into_text(),
            "Value" => match read.take() {
                Some(read) => result = Some(read(value)?),
                None => return Err(value.refuse("a second member \"Value\"")),
            },
            "ErrorDescription" => refusal = Some(Refusal::read(value, &hide)?),
            _ => value.skip()?,
        }
        Ok(())
    })?;
    Ok(match (status.as_deref(), result, refusal) {
        (Some("Success"), Some(value), _) => Outcome::Success(value),
        (Some("Success"), None, _) => Outcome::Incomplete("Value"),
        (Some("Failure"), _, Some(refusal)) if !refusal.code.is_empty() => Outcome::Failure(refusal),
        (Some("Failure"), ..) => Outcome::Incomplete("ErrorDescription"),
        _ => Outcome::Incomplete("Status"),
    })
}
