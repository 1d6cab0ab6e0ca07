//! A simulated Satellite 5 (or Spacewalk): the two XML-RPC programs that a reporter of hypervisors talks to.
//!
//! `/rpc/api` is the Java program with its sessions, channels and maps; `/XMLRPC` is the Python program with its
//! registrations. Types, roles and faults are those of the real programs, and so are the reasons for which a plan is undone.

mod api;
mod guests;
mod registration;
mod systemid;
mod trouble;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::http::{Fault as HttpFault, Request, Response, Service};
use crate::xmlrpc::{self, Dialect, Fault, Value};
use guests::Instances;
pub use guests::{GuestState, Instance};
use trouble::Troubles;
pub use trouble::{Planned, Release, Trouble};

/// A user.
#[derive(Debug, Clone)]
pub struct Account {
    /// User name, whose case is ignored.
    pub login: String,
    /// Password in clear.
    pub password: String,
    /// The organisation's number.
    pub org: i32,
    /// May create channels.
    pub channel_admin: bool,
    /// May do everything in the organisation, such as create channels and set maps.
    pub org_admin: bool,
    /// May only read, and register nothing.
    pub read_only: bool,
    /// Is not deactivated.
    pub enabled: bool,
    /// May subscribe systems to the organisation's channels.
    pub may_subscribe: bool,
}

impl Account {
    /// An administrator of organisation 1.
    pub fn admin(login: &str, password: &str) -> Self {
        Account {
            login: login.into(),
            password: password.into(),
            org: 1,
            channel_admin: false,
            org_admin: true,
            read_only: false,
            enabled: true,
            may_subscribe: true,
        }
    }
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may log in.
    pub accounts: Vec<Account>,
}

impl Default for Settings {
    /// One administrator `sim`, password `sim-secret`.
    fn default() -> Self {
        Settings {
            accounts: vec![Account::admin("sim", "sim-secret")],
        }
    }
}

/// A registered system, for tests.
#[derive(Debug, Clone)]
pub struct System {
    /// `ID-` and a number.
    pub id: String,
    /// Its profile name, cut at 128 characters.
    pub profile: String,
    /// The label of its base channel.
    pub channel: String,
    /// The text by which it proves who it is.
    pub systemid: String,
    /// The rows of its virtual instances, including its own.
    pub instances: Vec<Instance>,
    /// How many plans were applied.
    pub plans: usize,
    /// How often its hardware was refreshed.
    pub refreshed: usize,
}

impl System {
    /// The guests, by their uuids of 32 digits.
    pub fn guests(&self) -> BTreeMap<&str, &Instance> {
        let rows = self.instances.iter().filter(|row| !row.orphan);
        rows.filter_map(|row| Some((row.uuid.as_deref()?, row))).collect()
    }
}

/// A software channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Its number.
    pub id: i64,
    /// Its label.
    pub label: String,
    /// Its name.
    pub name: String,
    /// Its summary.
    pub summary: String,
    /// The label of its architecture, such as `channel-x86_64`.
    pub arch: String,
    /// The label of its parent, empty for a base channel.
    pub parent: String,
    /// The organisation that owns it.
    pub org: i32,
}

/// An entry of the map from release and architecture to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// The organisation that it is for.
    pub org: i32,
    /// The operating system, which does not matter for the choice.
    pub os: String,
    /// The release.
    pub release: String,
    /// The name of the architecture, such as `x86_64`.
    pub arch: String,
    /// The label of the channel.
    pub channel: String,
}

/// The server.
pub struct Satellite5 {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    /// The places of the accounts, by session key.
    sessions: BTreeMap<String, usize>,
    last_session: u64,
    channels: Vec<Channel>,
    maps: Vec<Map>,
    systems: Vec<Registered>,
    /// Numbers are not used again after a deletion.
    registrations: usize,
    instances: Instances,
    calls: BTreeMap<String, usize>,
    troubles: Troubles,
    announcement: Option<String>,
    slots: Option<usize>,
    http: VecDeque<u16>,
}

#[derive(Clone)]
struct Registered {
    number: i64,
    seen: System,
    secret: String,
    org: i32,
    registered: SystemTime,
}

impl Default for Satellite5 {
    fn default() -> Self {
        Satellite5::new(Settings::default())
    }
}

impl Satellite5 {
    /// A server that holds nothing yet.
    pub fn new(settings: Settings) -> Self {
        Satellite5 {
            settings,
            state: Mutex::default(),
        }
    }

    /// Another server that holds the same. The two know nothing of each other from now on.
    pub fn copy(&self) -> Self {
        Satellite5 {
            settings: self.settings.clone(),
            state: Mutex::new(self.lock().clone()),
        }
    }

    /// The settings that it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The systems, in the order of their registration.
    pub fn systems(&self) -> Vec<System> {
        let state = self.lock();
        let systems = state.systems.iter().map(|system| {
            let mut seen = system.seen.clone();
            seen.instances = state.instances.of(&seen.id).to_vec();
            seen
        });
        systems.collect()
    }

    /// How many registrations there were, including those of deleted systems.
    pub fn registrations(&self) -> usize {
        self.lock().registrations
    }

    /// All channels.
    pub fn channels(&self) -> Vec<Channel> {
        self.lock().channels.clone()
    }

    /// The whole map.
    pub fn maps(&self) -> Vec<Map> {
        self.lock().maps.clone()
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.lock().sessions.len()
    }

    /// How often each method was called.
    pub fn calls(&self) -> BTreeMap<String, usize> {
        self.lock().calls.clone()
    }

    /// How often this method was called.
    pub fn count(&self, method: &str) -> usize {
        self.lock().count(method)
    }

    /// Deletes a system, as an administrator does in the web interface; returns whether it was there.
    pub fn delete_system(&self, id: &str) -> bool {
        self.lock().delete_system(id)
    }

    /// Plans trouble for the `nth` call of this method from now on; 1 is the next.
    pub fn trouble(&self, method: &str, nth: usize, trouble: Trouble) {
        let mut state = self.lock();
        let nth = state.count(method) + nth;
        state.troubles.plan(method, nth..=nth, trouble);
    }

    /// Plans trouble for the `nth` call of this method from now on, and for each later one.
    pub fn lasting_trouble(&self, method: &str, nth: usize, trouble: Trouble) {
        let mut state = self.lock();
        let nth = state.count(method) + nth;
        state.troubles.plan(method, nth..=usize::MAX, trouble);
    }

    /// Plans trouble as [`Planned`] says.
    pub fn plan(&self, planned: Planned) {
        let Planned {
            method,
            nth,
            lasts,
            trouble,
        } = planned;
        match lasts {
            true => self.lasting_trouble(&method, nth, trouble),
            false => self.trouble(&method, nth, trouble),
        }
    }

    /// Forgets all troubles that are planned.
    pub fn calm(&self) {
        self.lock().troubles = Troubles::default();
    }

    /// Answers the next requests with these HTTP statuses, without reading them.
    pub fn refuse_next(&self, statuses: impl IntoIterator<Item = u16>) {
        self.lock().http.extend(statuses);
    }

    /// All sessions have expired.
    pub fn expire_sessions(&self) {
        self.lock().sessions.clear();
    }

    /// Answers every call of `/XMLRPC` with this message, as in an outage window.
    pub fn announce(&self, message: Option<&str>) {
        self.lock().announcement = message.map(str::to_owned);
    }

    /// Limits how many more systems can be entitled; `None` removes the limit.
    pub fn limit_slots(&self, slots: Option<usize>) {
        self.lock().slots = slots;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An account by its name, whose case is ignored.
    fn account(&self, login: &str) -> Option<(usize, &Account)> {
        let mut accounts = self.settings.accounts.iter().enumerate();
        accounts.find(|(_, account)| account.login.to_uppercase() == login.to_uppercase())
    }

    fn call(&self, request: &Request, dialect: Dialect) -> Response {
        if dialect == Dialect::Python && request.body.is_empty() {
            return page(400, "Bad Request");
        }
        // The Java program ignores the encoding. The Python program could inflate the body, but this simulator cannot.
        if request
            .header("Content-Encoding")
            .is_some_and(|coding| coding != "identity")
        {
            return page(500, "Internal Server Error");
        }
        let Ok(call) = xmlrpc::read_call(&request.body, dialect) else {
            return page(500, "Internal Server Error");
        };
        let trouble = self.note(&call.method);
        let outcome = match &trouble {
            Some(Trouble::Status(status)) => return page(*status, "planned by the test"),
            Some(Trouble::Fault(code, text)) => Outcome::Fault(Fault {
                code: *code,
                text: text.clone(),
            }),
            _ => {
                match &trouble {
                    Some(Trouble::Expired) => self.expire_sessions(),
                    Some(Trouble::Deleted) => self.lock().delete_subject(&call),
                    _ => {}
                }
                match dialect == Dialect::Redstone {
                    true => self.api(&call.method, &call.parameters),
                    false => self.registration(&call.method, &call.parameters),
                }
            }
        };
        match trouble {
            Some(Trouble::Lost(status)) => return page(status, "planned by the test"),
            Some(Trouble::Held(gate)) => gate.wait(),
            _ => {}
        }
        let result = match outcome {
            Outcome::Value(value) => Ok(value),
            Outcome::Fault(fault) => Err(fault),
            Outcome::Broken => return page(500, "Internal Server Error"),
        };
        Response::new(200, "text/xml", xmlrpc::write_response(&result, dialect))
    }

    /// Counts a call, and returns the trouble that is planned for it.
    fn note(&self, method: &str) -> Option<Trouble> {
        let mut state = self.lock();
        let count = state.calls.entry(method.into()).or_default();
        *count += 1;
        let count = *count;
        state.troubles.of(method, count)
    }
}

impl State {
    fn count(&self, method: &str) -> usize {
        self.calls.get(method).copied().unwrap_or(0)
    }

    fn delete_system(&mut self, id: &str) -> bool {
        let before = self.systems.len();
        self.systems.retain(|system| system.seen.id != id);
        self.instances.remove(id);
        self.systems.len() < before
    }
}

/// What becomes of a call.
enum Outcome {
    Value(Value),
    Fault(Fault),
    /// An error that the program does not turn into a fault; the answer is HTTP 500 and HTML.
    Broken,
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Self {
        Outcome::Fault(fault)
    }
}

/// A page of HTML, as the web server makes it.
fn page(status: u16, title: &str) -> Response {
    let html = format!(
        "<!DOCTYPE HTML><html><head><title>{status} {title}</title></head><body><h1>{title}</h1></body></html>"
    );
    Response::new(status, "text/html; charset=iso-8859-1", html)
}

impl Service for Satellite5 {
    fn fault(&self, request: &Request) -> Option<HttpFault> {
        let mut state = self.lock();
        if state.troubles.have_none_of_http() {
            return None;
        }
        // Whatever cannot be read gets the server's own answer.
        let call = xmlrpc::read_call(&request.body, Dialect::Python).ok()?;
        let next = state.count(&call.method) + 1;
        let fault = state.troubles.of_http(&call.method, next)?;
        if !fault.is_answered() {
            *state.calls.entry(call.method).or_default() += 1;
        }
        Some(fault)
    }

    fn answer(&self, request: &Request) -> Response {
        let status = self.lock().http.pop_front();
        if let Some(status) = status {
            return page(status, "planned by the test");
        }
        let post = request.method == "POST";
        match request.path.as_str() {
            "/rpc/api" | "/rhn/rpc/api" if post && request.header("SOAPAction").is_none() => {
                self.call(request, Dialect::Redstone)
            }
            "/rpc/api" | "/rhn/rpc/api" => {
                let mut response = page(302, "Found");
                response
                    .headers
                    .push(("Location".into(), "/rhn/apidoc/index.jsp".into()));
                response
            }
            "/XMLRPC" if !post => page(405, "Method Not Allowed"),
            "/XMLRPC" => {
                let header = |name| request.header(name);
                let version = header("X-RHN-Client-Version").or(header("X-Client-Version"));
                let binary =
                    header("Content-Type").is_some_and(|kind| kind.starts_with("application/octet-stream"));
                if binary || version.is_some_and(|version| version.trim().parse::<i64>().is_err()) {
                    return page(500, "Internal Server Error");
                }
                if header("X-RHN-Proxy-Version").is_some() {
                    let fault = registration::fault(1003, "Your proxy could not be authenticated");
                    let answer = xmlrpc::write_response(&Err(fault), Dialect::Python);
                    return Response::new(200, "text/xml", answer);
                }
                self.call(request, Dialect::Python)
            }
            _ => page(404, "Not Found"),
        }
    }
}
