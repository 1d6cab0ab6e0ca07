//! A call of one of the server's methods.

use std::time::Instant;

use super::method::Method;
use super::xmlrpc::{self, Datum};
use super::{Error, Satellite5};
use crate::http::{self, Http, Request};

/// The largest answer, in bytes; that of a registration has a few thousand.
const LARGEST_ANSWER: u64 = 4 << 20;

impl Satellite5 {
    /// Calls a method. A signal and the deadline interrupt the call.
    pub(super) fn call(&self, method: Method, params: &[Datum<'_>]) -> Result<Datum<'static>, Error> {
        self.call_over(&self.http, method, params)
    }

    /// Calls a method whose answer must not be lost: after a signal or the deadline it still has [`PATIENCE`](super::PATIENCE).
    pub(super) fn call_patiently(
        &self,
        method: Method,
        params: &[Datum<'_>],
    ) -> Result<Datum<'static>, Error> {
        let call = method.name;
        let is_late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let stopped = match self.cancel.check() {
            Err(cancelled) => Some(cancelled.into()),
            Ok(()) => is_late.then(|| http::Error::Timeout {
                server: self.http.base().authority(),
                limit: http::Limit::Deadline,
            }),
        };
        match stopped {
            Some(source) => Err(Error::NotBegun { call, source }),
            None => self.call_over(&self.patient, method, params),
        }
    }

    /// Calls a method over a connection.
    pub(super) fn call_over(
        &self,
        http: &Http,
        method: Method,
        params: &[Datum<'_>],
    ) -> Result<Datum<'static>, Error> {
        let call = method.name;
        log::debug!("calling {call}");
        let since = Instant::now();
        let body = xmlrpc::call(call, params).map_err(|source| Error::Unsendable { call, source })?;
        let request = self.request(method, params, body.as_bytes());
        let response = http.send(&request).and_then(http::Response::success);
        let response = response.map_err(|source| Error::Exchange { call, source })?;
        let answer = xmlrpc::answer(response.into_body()).map_err(|error| Error::of_answer(call, error))?;
        log::debug!("{call}: answered after {} ms", since.elapsed().as_millis());
        answer.map_err(|mut fault| {
            // A server may quote what it was sent.
            let password = self.credentials.password.expose();
            if !password.is_empty() {
                fault.text = fault.text.replace(password, "(redacted)");
            }
            Error::Refused { call, fault }
        })
    }

    /// The request of a call, with what a trace must not show.
    fn request<'a>(&'a self, method: Method, params: &'a [Datum<'_>], body: &'a [u8]) -> Request<'a> {
        let mut request = Request::post(method.side.path(), "text/xml", body)
            .limit(LARGEST_ANSWER)
            .label(method.name)
            .secret(self.credentials.password.expose());
        if method.gives_key() {
            request = request.secret_answer();
        } else if let Some(key) = params.first().and_then(Datum::as_text) {
            request = request.secret(key);
        }
        if method.repeatable {
            request = request.repeatable();
        }
        request
    }
}
