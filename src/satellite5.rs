//! Satellite 5 and Spacewalk: hypervisors are registered with it, and their guests reported, by XML-RPC.
//!
//! A [`Roster`] is what of a mapping is reported. [`Satellite5::report`] registers the hypervisors that are not yet, keeps
//! their systemids, and sends each hypervisor's [`plan::Plan`].
//!
//! The server answers at two endpoints, which are two programs: `/rpc/api` (Java; a session) prepares the channel that a
//! registration needs, `/XMLRPC` (Python; a systemid) registers and takes plans. A session lives only as long as the
//! preparation, and only where something is to be registered.

mod error;
pub mod pickle;
pub mod plan;
mod roster;
pub mod systemid;
pub mod xmlrpc;

use std::time::{Duration, Instant};

pub use self::error::Error;
use self::plan::{Plan, profile_name};
pub use self::roster::{Host, Roster};
use self::systemid::Registrations;
use self::xmlrpc::{Fault, Value};
use crate::cancel::Cancel;
use crate::error::Kind;
use crate::http::{self, Base, Endpoint, Http, Request};
use crate::secret::Secret;

/// The largest answer, in bytes; a registration's has a few thousand.
const LARGEST_ANSWER: u64 = 4 << 20;
/// How long the log-out may take, after all else has ended.
const LOG_OUT: Duration = Duration::from_secs(5);

/// What a hypervisor is registered as: its operating system, release and architecture. The server finds the base channel by
/// release and architecture.
const OS: &str = "Hypervisor OS";
const RELEASE: &str = "unknown";
const ARCH: &str = "x86_64";

/// The fault of a systemid that the server does not know, be its profile deleted or the text damaged.
const UNKNOWN_SYSTEM: i64 = -9;
/// The fault of a registration for which no base channel is mapped.
const NO_BASE_CHANNEL: i64 = -70;
/// The fault of a channel that does not exist, or that the user may not see.
const NO_CHANNEL: i64 = -210;

/// Where a server answers: a name, an address or a URL, with or without the `/XMLRPC` that virt-who's `sat_server` may have.
///
/// ```
/// let base = vw::satellite5::base("sat.example.com/XMLRPC/")?;
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

/// One of the two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Api,
    Registration,
}

impl Side {
    fn path(self) -> &'static str {
        match self {
            Side::Api => "/rpc/api",
            Side::Registration => "/XMLRPC",
        }
    }
}

/// A method, and whether it does no more when it arrives twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Method {
    side: Side,
    name: &'static str,
    repeatable: bool,
}

impl Method {
    const fn new(side: Side, name: &'static str, repeatable: bool) -> Self {
        Method {
            side,
            name,
            repeatable,
        }
    }

    /// Whether the answer holds the session key or systemid that is the first parameter of the other methods.
    fn gives_key(self) -> bool {
        self == LOGIN || self == REGISTER
    }
}

const LOGIN: Method = Method::new(Side::Api, "auth.login", true);
const LOGOUT: Method = Method::new(Side::Api, "auth.logout", true);
const USER: Method = Method::new(Side::Api, "user.getDetails", true);
const CHANNEL: Method = Method::new(Side::Api, "channel.software.getDetails", true);
const CREATE_CHANNEL: Method = Method::new(Side::Api, "channel.software.create", false);
const SET_MAP: Method = Method::new(Side::Api, "distchannel.setMapForOrg", true);
const REGISTER: Method = Method::new(Side::Registration, "registration.new_system_user_pass", false);
const HARDWARE: Method = Method::new(Side::Registration, "registration.refresh_hw_profile", true);
const NOTIFY: Method = Method::new(Side::Registration, "registration.virt_notify", true);

/// A hypervisor that is not on the server as it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Failed {
    /// Its id, unless it has none.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Why.
    pub error: String,
    /// What kind of failure that is.
    #[serde(skip)]
    pub kind: Kind,
}

/// What became of a roster.
#[derive(Debug, Default)]
pub struct Report {
    /// How many hypervisors were registered.
    pub created: usize,
    /// How many were registered before; their guests were told.
    pub updated: usize,
    /// Those that are not on the server as they should be.
    pub failed: Vec<Failed>,
    /// What ended the report before its end.
    pub ended: Option<Error>,
    /// Whether the answer to a registration was lost, and so another attempt could make a second profile.
    pub doubtful: bool,
}

impl Report {
    /// Whether hypervisors were to be reported, and the server has none of them.
    pub fn arrived_nowhere(&self) -> bool {
        self.created + self.updated == 0 && !self.failed.is_empty()
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Satellite5 {
    http: Http,
    account: Account,
    registrations: Registrations,
    readiness: Readiness,
}

/// Whether hypervisors can be registered.
#[derive(Debug)]
enum Readiness {
    /// Nobody had to know yet.
    Unknown,
    /// There is a channel.
    Ready(Channel),
    /// It failed, and would fail again.
    Blocked { kind: Kind, reason: String },
}

/// The channel that hypervisors are registered in.
#[derive(Debug, Clone)]
struct Channel {
    /// The number of the user's organisation.
    org: i64,
    /// What the server said against mapping the channel, if it did.
    refused_map: Option<Fault>,
}

impl Satellite5 {
    /// Makes ready to talk to a server, whose endpoint has a [`base`] of this room; nothing is sent yet.
    pub fn new(
        endpoint: &Endpoint,
        account: Account,
        registrations: Registrations,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        Ok(Satellite5 {
            http: Http::new(endpoint, cancel).map_err(Error::Connection)?,
            account,
            registrations,
            readiness: Readiness::Unknown,
        })
    }

    /// Reports one hypervisor after the other. What the server has against one does not keep the others back.
    ///
    /// A report may be sent twice: it only says how things are.
    pub fn report(&mut self, roster: &Roster<'_>) -> Report {
        let mut report = Report::default();
        let mut hosts = roster.hosts.iter();
        for host in hosts.by_ref() {
            let reported = self.report_host(host, &mut report);
            report.doubtful |= reported.as_ref().is_err_and(Error::may_have_registered);
            match reported {
                Ok(()) => {}
                Err(error) if error.ends_report() => {
                    report.failed.push(host.failed(error.line(), error.kind()));
                    report.ended = Some(error);
                    break;
                }
                Err(error) => report.failed.push(host.failed(error.line(), error.kind())),
            }
        }
        if let Some(error) = &report.ended {
            let kind = error.kind();
            let unsent =
                hosts.map(|host| host.failed("not reached, for the report ended before".into(), kind));
            report.failed.extend(unsent);
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
            "{}: reported {} guests",
            host.id,
            host.hypervisor.guests.len() - plan.omitted.len()
        );
        report.failed.extend(plan.incomplete(host));
        Ok(())
    }

    fn notify(&self, systemid: &Secret, plan: &Plan<'_>) -> Result<(), Error> {
        let params = [Value::text(systemid.expose()), plan.events.clone()];
        self.call(&self.http, NOTIFY, &params).map(drop)
    }

    /// Registers a hypervisor, which makes one more profile each time, and keeps its systemid before anything else.
    fn register(&mut self, host: &Host<'_>) -> Result<Secret, Error> {
        let channel = self.channel()?;
        let Account { username, password } = &self.account;
        let params = [
            Value::Text(profile_name(host.kind, host.id).into()),
            Value::text(OS),
            Value::text(RELEASE),
            Value::text(ARCH),
            Value::text(username.as_str()),
            Value::text(password.expose()),
            Value::members([]),
        ];
        let answer = match self.call(&self.http, REGISTER, &params) {
            Err(Error::Refused { fault, .. }) if fault.code == NO_BASE_CHANNEL => {
                let map = channel.refused_map;
                return Err(self.blocked_by(Error::NoBaseChannel { map }));
            }
            answered => answered?,
        };
        let missing = || Error::Unexpected {
            call: REGISTER.name,
            missing: "systemid",
        };
        let systemid = answer
            .member("system_id")
            .and_then(Value::as_text)
            .ok_or_else(missing)?;
        let systemid = Secret::from(systemid.to_owned());
        // What can't be kept would be registered once more with each report.
        if let Err(error) = self.registrations.keep(host.id, &answer) {
            return Err(self.blocked_by(error.into()));
        }
        let hardware = [Value::text(systemid.expose()), Value::Array(Vec::new())];
        match self.call(&self.http, HARDWARE, &hardware) {
            // A new profile has no hardware anyway.
            Err(error @ Error::Refused { .. }) => log::warn!("{}: {}", host.id, error.line()),
            answered => drop(answered?),
        }
        Ok(systemid)
    }

    /// The number of the user's organisation, known once something had to be registered.
    pub fn organisation(&self) -> Option<i64> {
        match &self.readiness {
            Readiness::Ready(channel) => Some(channel.org),
            _ => None,
        }
    }

    /// The channel for hypervisors, which is looked up and made once for all.
    fn channel(&mut self) -> Result<Channel, Error> {
        match &self.readiness {
            Readiness::Ready(channel) => return Ok(channel.clone()),
            Readiness::Blocked { kind, reason } => {
                return Err(Error::Blocked {
                    kind: *kind,
                    reason: reason.clone(),
                });
            }
            Readiness::Unknown => {}
        }
        match self.prepare() {
            Ok(channel) => {
                self.readiness = Readiness::Ready(channel.clone());
                Ok(channel)
            }
            Err(error) => Err(self.blocked_by(error)),
        }
    }

    fn blocked_by(&mut self, error: Error) -> Error {
        self.readiness = Readiness::Blocked {
            kind: error.kind(),
            reason: error.line(),
        };
        error
    }

    fn prepare(&self) -> Result<Channel, Error> {
        // Before anything is registered: a systemid that can't be kept is lost, its profile stays.
        self.registrations.prepare()?;
        let Account { username, password } = &self.account;
        let credentials = [Value::text(username.as_str()), Value::text(password.expose())];
        let answer = self.call(&self.http, LOGIN, &credentials)?;
        let session = answer.as_text().ok_or(Error::Unexpected {
            call: LOGIN.name,
            missing: "session key",
        })?;
        let prepared = self.prepare_channel(session);
        self.log_out(session);
        prepared
    }

    fn prepare_channel(&self, session: &str) -> Result<Channel, Error> {
        let user = self.call(
            &self.http,
            USER,
            &[Value::text(session), Value::text(self.account.username.as_str())],
        )?;
        let Some(&Value::Int(org)) = user.member("org_id") else {
            return Err(Error::Unexpected {
                call: USER.name,
                missing: "org_id",
            });
        };
        let label = format!("hypervisor-base-{org}");
        match self.call(
            &self.http,
            CHANNEL,
            &[Value::text(session), Value::text(label.as_str())],
        ) {
            Err(Error::Refused { fault, .. }) if fault.code == NO_CHANNEL => {
                let name = format!("Hypervisor Base - {org}");
                let channel = [
                    Value::text(session),
                    Value::text(label.as_str()),
                    Value::Text(name.into()),
                    Value::text("Base channel of the hypervisors that vw and virt-who register"),
                    Value::text("channel-x86_64"),
                    Value::text(""),
                ];
                self.call(&self.http, CREATE_CHANNEL, &channel)?;
                log::info!("created the channel {label}");
            }
            answered => drop(answered?),
        }
        // Not only for a new channel: whoever created it may not have been allowed to map it. Setting the map needs
        // org_admin, registering does not. So a refusal counts only once a registration finds no map.
        let map = [
            Value::text(session),
            Value::text(OS),
            Value::text(RELEASE),
            Value::text(ARCH),
            Value::text(label.as_str()),
        ];
        let refused_map = match self.call(&self.http, SET_MAP, &map) {
            Err(Error::Refused { fault, .. }) => {
                log::debug!(
                    "{}: {fault}; this matters only if the map is missing",
                    SET_MAP.name
                );
                Some(fault)
            }
            answered => answered.map(|_| None)?,
        };
        Ok(Channel { org, refused_map })
    }

    /// Ends a session, by a connection of its own: after a signal the other one is closed.
    fn log_out(&self, session: &str) {
        let http = self.http.anew(&Cancel::default(), Some(Instant::now() + LOG_OUT));
        let ended = self.call(&http, LOGOUT, &[Value::text(session)]);
        if let Err(error) = ended {
            log::warn!(
                "the session stays open on the server until it expires: {}",
                error.line()
            );
        }
    }

    fn call(&self, http: &Http, method: Method, params: &[Value<'_>]) -> Result<Value<'static>, Error> {
        let call = method.name;
        log::debug!("calling {call}");
        let body = xmlrpc::call(call, params).map_err(|source| Error::Unsendable { call, source })?;
        let mut request =
            Request::post(method.side.path(), "text/xml", body.as_bytes()).limit(LARGEST_ANSWER);
        request = request.label(call).secret(self.account.password.expose());
        if method.gives_key() {
            request = request.secret_answer();
        } else if let Some(key) = params.first().and_then(Value::as_text) {
            request = request.secret(key);
        }
        if method.repeatable {
            request = request.repeatable();
        }
        let answer = http
            .send(&request)
            .and_then(http::Response::success)
            .and_then(|response| response.read(LARGEST_ANSWER))
            .map_err(|source| Error::Exchange { call, source })?;
        match xmlrpc::answer(&answer).map_err(|source| Error::Answer { call, source })? {
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
