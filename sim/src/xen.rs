//! A simulated pool of XenServer or XCP-ng hosts, which speaks XenAPI by XML-RPC.
//!
//! Methods, types and failures are those of xapi's documentation. What no document tells is marked as a guess.

mod api;
mod pool;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::http::{Request, Response, Server, Service, Tls};
use crate::xmlrpc::{self, Dialect, Value};
use api::Failure;
pub use pool::Pool;

/// The running pool. Dropping it ends it.
pub struct Xen {
    api: Arc<Api>,
    server: Server,
}

struct Api {
    /// The user's name and password.
    account: (String, String),
    state: Mutex<State>,
    /// Notified of changes, and when a client begins to wait for events.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pool: Pool,
    /// From the oldest to the newest.
    sessions: Vec<Session>,
    /// The number of the last event.
    generation: u64,
    /// Tokens from before this event are lost.
    lost: u64,
    /// How many clients wait for events.
    waiting: usize,
    calls: BTreeMap<String, usize>,
    /// The next failures of each method.
    failures: BTreeMap<String, VecDeque<Failure>>,
    /// The host name of a member, and the address of the coordinator to which it refers clients.
    member: Option<(String, String)>,
    stopped: bool,
}

struct Session {
    reference: String,
    originator: String,
}

impl Xen {
    /// Starts a pool whose account is `sim` with the password `sim-secret`.
    pub fn start(pool: Pool, tls: Option<Tls>) -> io::Result<Xen> {
        let api = Arc::new(Api {
            account: ("sim".to_owned(), "sim-secret".to_owned()),
            state: Mutex::new(State {
                pool,
                generation: 1,
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let server = Server::start(Arc::clone(&api) as Arc<dyn Service>, tls)?;
        Ok(Xen { api, server })
    }

    /// The server, for its requests and its faults.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// `https://127.0.0.1:PORT`, or with http.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        self.api.lock().sessions.len()
    }

    /// The originators of the open sessions.
    pub fn originators(&self) -> Vec<String> {
        let state = self.api.lock();
        state
            .sessions
            .iter()
            .map(|session| session.originator.clone())
            .collect()
    }

    /// How often a method was called.
    pub fn count(&self, method: &str) -> usize {
        self.api.lock().calls.get(method).copied().unwrap_or(0)
    }

    /// Fails the next calls of a method with this code, this many times.
    pub fn fail<const N: usize>(&self, method: &str, times: usize, code: &str, parameters: [&str; N]) {
        let failure = api::failure(code, parameters);
        let mut state = self.api.lock();
        let failures = state.failures.entry(method.to_owned()).or_default();
        failures.extend(std::iter::repeat_n(failure, times));
    }

    /// Makes the server a mere member for whoever calls it by the name `host`: it refers the client to the coordinator.
    pub fn refer(&self, host: &str, coordinator: &str) {
        self.api.lock().member = Some((host.to_owned(), coordinator.to_owned()));
    }

    /// Ends all sessions, as after 24 hours or a restart.
    pub fn expire_sessions(&self) {
        self.api.lock().sessions.clear();
        self.api.changed.notify_all();
    }

    /// Forgets the events so far, so that nobody can continue from a token.
    pub fn lose_events(&self) {
        let mut state = self.api.lock();
        state.generation += 1;
        state.lost = state.generation;
        drop(state);
        self.api.changed.notify_all();
    }

    /// Replaces a member of an object's record by a text, or removes it, and tells it by an event.
    pub fn set(&self, reference: &str, member: &str, text: Option<&str>) {
        let mut state = self.api.lock();
        state.pool.set(reference, member, text);
        state.generation += 1;
        let generation = state.generation;
        if let Some(object) = state.pool.0.get_mut(reference) {
            object.changed = generation;
        }
        drop(state);
        self.api.changed.notify_all();
    }

    /// Waits until a client waits for events; returns whether one did within this time.
    pub fn wait_for_listener(&self, longest: Duration) -> bool {
        let state = self.api.lock();
        let waited = self
            .api
            .changed
            .wait_timeout_while(state, longest, |state| state.waiting == 0);
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }
}

impl Drop for Xen {
    fn drop(&mut self) {
        self.api.lock().stopped = true;
        self.api.changed.notify_all();
    }
}

impl Api {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>, longest: Duration) -> MutexGuard<'s, State> {
        let waited = self.changed.wait_timeout(state, longest);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The failure that is planned for a call.
    fn planned(&self, method: &str, host: &str) -> Option<Failure> {
        let mut state = self.lock();
        *state.calls.entry(method.to_owned()).or_default() += 1;
        match &state.member {
            Some((member, coordinator)) if member == host => {
                Some(api::failure("HOST_IS_SLAVE", [coordinator]))
            }
            _ => state.failures.get_mut(method)?.pop_front(),
        }
    }
}

impl Service for Api {
    fn answer(&self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/" | "/RPC2") => {}
            ("GET", "/") => return page(200, "Welcome to XCP-ng"),
            _ => return page(404, "Not Found"),
        }
        // A guess: nobody documents what happens to a body that is not XML-RPC.
        let Ok(call) = xmlrpc::read_call(&request.body, Dialect::Xen) else {
            return page(500, "Internal Server Error");
        };
        let authority = request.header("Host").unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let result = match self.planned(&call.method, host) {
            Some(failure) => Err(failure),
            None => self.dispatch(&call.method, &call.parameters),
        };
        Response::new(200, "text/xml", written(result))
    }
}

/// The answer: a struct whose first member is the status.
fn written(result: Result<Value, Failure>) -> String {
    let (status, name, value) = match result {
        Ok(value) => ("Success", "Value", value),
        Err(failure) => {
            let words = failure.into_iter().map(Value::Text).collect();
            ("Failure", "ErrorDescription", Value::Array(words))
        }
    };
    let mut xml = format!(
        "<?xml version=\"1.0\"?><methodResponse><params><param><value><struct>\
         <member><name>Status</name><value>{status}</value></member><member><name>{name}</name><value>"
    );
    xmlrpc::write_value(&mut xml, &value, Dialect::Xen);
    xml.push_str("</value></member></struct></value></param></params></methodResponse>");
    xml
}

fn page(status: u16, title: &str) -> Response {
    let html = format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>");
    Response::new(status, "text/html", html)
}
