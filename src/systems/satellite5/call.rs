//! A call of one of the server's methods.

use std::time::{Duration, Instant};

use super::method::Method;
use super::{Error, Satellite5};
use crate::backoff::Backoff;
use crate::error::Classify as _;
use crate::http::{self, Http, Request};
use crate::xmlrpc::{self, Datum};

/// The largest answer, in bytes; that of a registration has a few thousand.
const LARGEST_ANSWER: u64 = 4 << 20;

/// How often a call is repeated, if that is safe.
const REPEATS: usize = 4;
/// The first pause before a repetition. The others are longer.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause that a call waits if the server asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Satellite5 {
    /// Calls a method. A signal and the deadline interrupt the call.
    pub(super) fn call(&self, method: Method, params: &[Datum<'_>]) -> Result<Datum<'static>, Error> {
        self.repeated(method, || self.call_over(&self.http, method, params))
    }

    /// Makes an attempt at a call, and repeats it after growing pauses if the server is busy or the connection breaks. A call
    /// that must not be repeated is made once.
    fn repeated(
        &self,
        method: Method,
        attempt: impl Fn() -> Result<Datum<'static>, Error>,
    ) -> Result<Datum<'static>, Error> {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        for _ in 0..REPEATS {
            let error = match attempt() {
                Err(error) if method.repeatable && error.may_pass_soon() => error,
                done => return done,
            };
            let pause = backoff.pause(error.retry_after());
            let is_late = |deadline: Instant| deadline.saturating_duration_since(Instant::now()) <= pause;
            if pause > LONGEST_PAUSE || self.deadline.is_some_and(is_late) {
                return Err(error);
            }
            log::debug!(
                "{}; trying again in {} s",
                error.with_causes(),
                crate::text::seconds(pause)
            );
            self.cancel.sleep(pause).map_err(|cancelled| Error::Exchange {
                call: method.name,
                source: cancelled.into(),
            })?;
        }
        attempt()
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
            None => self.repeated(method, || self.call_over(&self.patient, method, params)),
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
