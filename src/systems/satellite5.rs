//! Satellite 5 and Spacewalk: hypervisors are registered with it, and their guests reported, by XML-RPC.
//!
//! A [`Roster`] is what of a mapping is reported. [`Satellite5::report`] registers the hypervisors that are not yet, keeps
//! their systemids, and sends each hypervisor's [`plan::Plan`].
//!
//! The server answers at two endpoints, which are two programs: `/rpc/api` (Java; a session) prepares the channel that a
//! registration needs, `/XMLRPC` (Python; a systemid) registers and takes plans. A session lives only as long as the
//! preparation, and only where something is to be registered.

mod adopt;
mod channel;
mod error;
mod method;
pub mod pickle;
pub mod plan;
mod register;
mod roster;
pub mod systemid;
pub mod xmlrpc;

use std::time::{Duration, Instant};

use self::channel::Readiness;
pub use self::error::Error;
use self::method::{Method, NOTIFY, Side};
use self::plan::Plan;
pub use self::roster::{Host, Roster};
use self::systemid::Registrations;
use self::xmlrpc::Datum;
use crate::cancel::{Cancel, LateGuard};
use crate::error::{Classify, Kind};
use crate::http::{self, Base, Endpoint, Http, Request};
use crate::mapping::LeftOut;
use crate::secret::Secret;

/// The largest answer, in bytes; a registration's has a few thousand.
const LARGEST_ANSWER: u64 = 4 << 20;
/// How long an answer that must not be lost is awaited after a signal, or after the end of the time that there was for all.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a hypervisor is registered as: its operating system, release and architecture. The server finds the base channel by
/// release and architecture.
const OS: &str = "Hypervisor OS";
const RELEASE: &str = "unknown";
const ARCH: &str = "x86_64";

/// The fault of a systemid that the server does not know, be its profile deleted or the text damaged.
const UNKNOWN_SYSTEM: i64 = -9;

/// Where a server answers: a name, an address or a URL, with or without the `/XMLRPC` that virt-who's `sat_server` may have.
///
/// ```
/// let base = vw::systems::satellite5::base("sat.example.com/XMLRPC/")?;
/// assert_eq!(base.to_string(), "https://sat.example.com");
/// # Ok::<(), vw::http::Error>(())
/// ```
pub fn base(server: &str) -> Result<Base, http::Error> {
    let mut base = Base::parse(server, 443, "")?;
    for endpoint in [Side::Registration.path(), Side::Api.path()] {
        if let Some(before) = base.path.strip_suffix(endpoint) {
            base.path = before.trim_end_matches('/').to_owned();
        }
    }
    Ok(base)
}

/// The user in whose organisation hypervisors are registered.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user's name; where the user is no administrator its case counts.
    pub username: String,
    /// The user's password.
    pub password: Secret,
}

/// What became of a roster.
#[derive(Debug, Default)]
pub struct Report {
    /// How many hypervisors were registered.
    pub created: usize,
    /// How many were registered before; their guests were told.
    pub updated: usize,
    /// Those that are not on the server as they should be.
    pub failed: Vec<LeftOut>,
    /// The kinds of failures that those are, each once, in the order of their first appearance.
    pub kinds: Vec<Kind>,
    /// What ended the report before its end.
    pub ended: Option<Error>,
    /// Whether the answer to a registration was lost, and so another attempt could make a second profile.
    pub doubtful: bool,
    /// Whether the server refused user name or password: each further attempt would be refused, too, and may lock the account.
    pub login_refused: bool,
}

impl Report {
    /// Adds a hypervisor that is not on the server as it should be.
    pub fn add(&mut self, failed: LeftOut, kind: Kind) {
        self.failed.push(failed);
        if !self.kinds.contains(&kind) {
            self.kinds.push(kind);
        }
    }

    /// Whether hypervisors were to be reported, and the server has none of them.
    pub fn arrived_nowhere(&self) -> bool {
        self.created + self.updated == 0 && !self.failed.is_empty()
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Satellite5 {
    http: Http,
    /// For calls whose answers must not be lost.
    unhurried: Http,
    _patience: LateGuard,
    cancel: Cancel,
    deadline: Option<Instant>,
    account: Account,
    registrations: Registrations,
    readiness: Readiness,
}

impl Satellite5 {
    /// Makes ready to talk to a server, whose endpoint has a [`base`] of this room; nothing is sent yet.
    pub fn new(
        endpoint: &Endpoint,
        account: Account,
        registrations: Registrations,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let http = Http::new(endpoint, cancel).map_err(Error::Connection)?;
        let late = Cancel::default();
        let patience = late.follow_late(cancel, PATIENCE);
        let deadline = endpoint.deadline;
        Ok(Satellite5 {
            unhurried: http.anew(
                &late,
                deadline.and_then(|deadline| deadline.checked_add(PATIENCE)),
            ),
            _patience: patience,
            http,
            cancel: cancel.clone(),
            deadline,
            account,
            registrations,
            readiness: Readiness::Unknown,
        })
    }

    /// Reports one hypervisor after the other. What the server has against one does not keep the others back.
    ///
    /// A report may be sent twice: it only says how things are. While another process reports with the same registrations
    /// it waits: both would register what is new.
    pub fn report(&mut self, roster: &Roster<'_>) -> Report {
        let mut report = Report::default();
        let mut hosts = roster.hosts.iter();
        let _lock = match self.registrations.lock(self.deadline, &self.cancel) {
            Ok(lock) => Some(lock),
            Err(systemid::Error::File(error)) if error.is_of_waiting() => {
                report.ended = Some(systemid::Error::File(error).into());
                None
            }
            // What is registered can be reported all the same.
            Err(error) => {
                self.blocked_by(Error::NoRoom(error));
                None
            }
        };
        while report.ended.is_none()
            && let Some(host) = hosts.next()
        {
            let Err(error) = self.report_host(host, &mut report) else {
                continue;
            };
            report.doubtful |= matches!(error, Error::InDoubt { .. });
            report.login_refused |= error.refuses_login();
            report.add(host.left_out(error.with_causes()), error.kind());
            if error.ends_report() {
                report.ended = Some(error);
            }
        }
        if let Some(error) = &report.ended {
            let kind = error.kind();
            let reason = match report.failed.is_empty() {
                true => error.with_causes(),
                false => "not reached, because the report ended before".to_owned(),
            };
            for unsent in hosts {
                report.add(unsent.left_out(reason.clone()), kind);
            }
        }
        report
    }

    fn report_host(&mut self, host: &Host<'_>, report: &mut Report) -> Result<(), Error> {
        let plan = Plan::new(host.kind, host.id, &host.hypervisor.guests);
        let known = self.registrations.systemid(host.id)?;
        let mut created = known.is_none();
        let systemid = match known {
            Some(systemid) => systemid,
            None => self.register(host)?,
        };
        match self.notify(&systemid, &plan) {
            Err(Error::Refused { fault, .. }) if fault.code == UNKNOWN_SYSTEM && !created => {
                // It looks the same for a profile that was deleted, a file from another server and one that was damaged.
                log::warn!(
                    "{}: the server does not know its systemid; registering it anew ({fault})",
                    host.id
                );
                created = true;
                let systemid = self.register(host)?;
                self.notify(&systemid, &plan)?;
            }
            sent => sent?,
        }
        *(if created {
            &mut report.created
        } else {
            &mut report.updated
        }) += 1;
        log::debug!(
            "{}: reported, guests: {}",
            host.id,
            host.hypervisor.guests.len() - plan.omitted.len()
        );
        if let Some(incomplete) = plan.incomplete(host) {
            report.add(incomplete, Kind::Data);
        }
        Ok(())
    }

    fn notify(&self, systemid: &Secret, plan: &Plan<'_>) -> Result<(), Error> {
        let params = [Datum::text(systemid.expose()), plan.events.clone()];
        self.call(NOTIFY, &params).map(drop)
    }

    /// Calls a method; a signal and the end of the time interrupt it.
    fn call(&self, method: Method, params: &[Datum<'_>]) -> Result<Datum<'static>, Error> {
        self.call_over(&self.http, method, params)
    }

    /// Calls a method whose answer must not be lost: after a signal, or the end of the time, it still has [`PATIENCE`].
    fn call_unhurried(&self, method: Method, params: &[Datum<'_>]) -> Result<Datum<'static>, Error> {
        let call = method.name;
        let over = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        let stopped = match self.cancel.check() {
            Err(cancelled) => Some(cancelled.into()),
            Ok(()) => over.then(|| http::Error::Timeout {
                server: self.http.base().authority(),
                limit: http::Limit::Deadline,
            }),
        };
        match stopped {
            Some(source) => Err(Error::NotBegun { call, source }),
            None => self.call_over(&self.unhurried, method, params),
        }
    }

    fn call_over(&self, http: &Http, method: Method, params: &[Datum<'_>]) -> Result<Datum<'static>, Error> {
        let call = method.name;
        log::debug!("calling {call}");
        let since = Instant::now();
        let body = xmlrpc::call(call, params).map_err(|source| Error::Unsendable { call, source })?;
        let mut request =
            Request::post(method.side.path(), "text/xml", body.as_bytes()).limit(LARGEST_ANSWER);
        request = request.label(call).secret(self.account.password.expose());
        if method.gives_key() {
            request = request.secret_answer();
        } else if let Some(key) = params.first().and_then(Datum::as_text) {
            request = request.secret(key);
        }
        if method.repeatable {
            request = request.repeatable();
        }
        let response = http.send(&request).and_then(http::Response::success);
        let response = response.map_err(|source| Error::Exchange { call, source })?;
        let answer = xmlrpc::answer(response.into_body()).map_err(|error| Error::of_answer(call, error))?;
        log::debug!("{call}: answered after {} ms", since.elapsed().as_millis());
        match answer {
            Ok(value) => Ok(value),
            Err(mut fault) => {
                // A server may quote what it was sent.
                let password = self.account.password.expose();
                if !password.is_empty() {
                    fault.text = fault.text.replace(password, "(redacted)");
                }
                Err(Error::Refused { call, fault })
            }
        }
    }
}
