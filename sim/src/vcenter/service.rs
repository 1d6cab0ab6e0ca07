//! The calls of vim25 that the server answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::about::About;
use super::inventory::{Inventory, ROOT};
use super::property::is_type;
use super::select::Spec;
use super::session::{PAGE, Retrieval, Session, View};
use super::soap::{self, Element, Fault, escape};
use super::{Account, Open};
use crate::http::{Request, Response, Service};
use crate::{clock, fresh};

const COOKIE: &str = "vmware_soap_session";

/// The server's side of all connections.
pub(super) struct Vim {
    about: About,
    accounts: Vec<Account>,
    secure: bool,
    state: Mutex<State>,
    /// Notified whenever a waiting call may have something to send.
    changed: Condvar,
}

struct State {
    inventory: Arc<Inventory>,
    sessions: BTreeMap<String, Session>,
    calls: Vec<String>,
    abandoned: usize,
    page_limit: Option<usize>,
    /// By the name of a call: how many more of them fail because an object vanished.
    vanishing: BTreeMap<String, usize>,
    stopped: bool,
}

impl State {
    /// Goes on with the tasks whose next step is due.
    fn advance(&mut self) {
        let now = Instant::now();
        while self.inventory.next_step().is_some_and(|due| due <= now) {
            Arc::make_mut(&mut self.inventory).step(now);
        }
    }
}

/// A call with the session that its cookie names.
struct Call<'a> {
    arguments: &'a Element,
    session: Option<String>,
}

type Answer = Result<Response, Fault>;

impl Vim {
    pub(super) fn new(inventory: Inventory, about: About, accounts: Vec<Account>, secure: bool) -> Self {
        Vim {
            about,
            accounts,
            secure,
            state: Mutex::new(State {
                inventory: Arc::new(inventory),
                sessions: BTreeMap::new(),
                calls: Vec::new(),
                abandoned: 0,
                page_limit: None,
                vanishing: BTreeMap::new(),
                stopped: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// The state, in which everything has happened that is due.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.advance();
        state
    }

    pub(super) fn inventory(&self) -> Arc<Inventory> {
        Arc::clone(&self.state().inventory)
    }

    pub(super) fn change<R>(&self, edit: impl FnOnce(&mut Inventory) -> R) -> R {
        let result = edit(Arc::make_mut(&mut self.state().inventory));
        self.changed.notify_all();
        result
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    pub(super) fn open(&self) -> Open {
        let state = self.state();
        let sum = |count: fn(&Session) -> usize| state.sessions.values().map(count).sum();
        Open {
            sessions: state.sessions.len(),
            views: sum(|session| session.views.len()),
            filters: sum(|session| session.filters.len()),
            retrievals: sum(|session| session.retrievals.len()),
            abandoned: state.abandoned,
        }
    }

    pub(super) fn limit_pages(&self, objects: Option<usize>) {
        self.state().page_limit = objects;
    }

    pub(super) fn expire_sessions(&self) {
        self.state().sessions.clear();
        self.changed.notify_all();
    }

    pub(super) fn vanish_during(&self, method: &str, calls: usize) {
        self.state().vanishing.insert(method.to_owned(), calls);
    }

    pub(super) fn touch(&self, kind: &str, id: &str) {
        let mut state = self.state();
        if let Some(node) = state.inventory.find(kind, id) {
            state
                .sessions
                .values_mut()
                .for_each(|session| session.touch(node));
        }
        self.changed.notify_all();
    }

    pub(super) fn lose_views(&self) {
        self.state().sessions.values_mut().for_each(Session::lose_views);
        self.changed.notify_all();
    }

    /// Ends calls that wait for updates.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    fn post(&self, request: &Request) -> Answer {
        let version = request.header("SOAPAction").unwrap_or("").trim_matches('"');
        if !self.about.speaks(version) {
            return Err(Fault::invalid_request(&format!(
                "Unsupported version URI \"{version}\""
            )));
        }
        let call = soap::parse_call(&request.body)?;
        self.state().calls.push(call.name.clone());
        let (kind, id) = call.need("_this")?.reference()?;
        let session = session_key(request).filter(|key| self.state().sessions.contains_key(key));
        let anonymous = matches!(call.name.as_str(), "RetrieveServiceContent" | "Login");
        if session.is_none() && !anonymous {
            return Err(Fault::not_authenticated(kind, id));
        }
        if let Some(left @ 1..) = self.state().vanishing.get_mut(&call.name) {
            *left -= 1;
            return Err(Fault::not_found("VirtualMachine", "vm-4711"));
        }
        let call = Call {
            arguments: &call,
            session,
        };
        self.dispatch(&call, kind, id)
    }

    fn dispatch(&self, call: &Call, kind: &str, id: &str) -> Answer {
        let names = &self.about.names;
        let on = |wanted: &str, expected: &str| match kind == wanted && id == expected {
            true => Ok(()),
            false => Err(Fault::not_found(kind, id)),
        };
        let collector = || on("PropertyCollector", names.property_collector);
        match call.arguments.name.as_str() {
            "RetrieveServiceContent" => {
                on("ServiceInstance", "ServiceInstance")?;
                let state = self.state();
                let root = &state.inventory.folders[ROOT.0 as usize].id;
                Ok(soap::answer(
                    "RetrieveServiceContent",
                    &self.about.service_content(root),
                ))
            }
            "Login" => on("SessionManager", names.session_manager).and_then(|()| self.login(call)),
            "Logout" => on("SessionManager", names.session_manager).and_then(|()| self.logout(call)),
            "CreateContainerView" => {
                on("ViewManager", names.view_manager).and_then(|()| self.create_view(call))
            }
            "DestroyView" => self.destroy(call, kind, id, |session| session.views.remove(id).is_some()),
            "DestroyPropertyFilter" => {
                self.destroy(call, kind, id, |session| session.filters.remove(id).is_some())
            }
            "RetrievePropertiesEx" => collector().and_then(|()| self.retrieve(call)),
            "ContinueRetrievePropertiesEx" => collector().and_then(|()| self.continue_retrieval(call)),
            "CancelRetrievePropertiesEx" => collector().and_then(|()| self.cancel_retrieval(call)),
            "CreateFilter" => collector().and_then(|()| self.create_filter(call)),
            "WaitForUpdatesEx" => collector().and_then(|()| self.wait_for_updates(call)),
            "CancelWaitForUpdates" => collector().and_then(|()| self.cancel_wait(call)),
            "PowerOnVM_Task" | "PowerOffVM_Task" | "SuspendVM_Task" | "ResetVM_Task" => {
                self.power(call, kind, id)
            }
            "ShutdownGuest" | "RebootGuest" => self.ask_guest(call, kind, id),
            "AnswerVM" => self.answer_question(call, kind, id),
            "CancelTask" => self.cancel_task(call, kind, id),
            unknown => Err(Fault::invalid_request(&format!(
                "Unable to resolve WSDL method name {unknown}"
            ))),
        }
    }

    fn login(&self, call: &Call) -> Answer {
        let user = call.arguments.need("userName")?.exact();
        let password = call.arguments.need("password")?.exact();
        let known = |account: &&Account| account.user == user && account.password == password;
        match self.accounts.iter().find(known) {
            Some(account) if !account.locked => {}
            _ => return Err(Fault::invalid_login()),
        }
        let key = fresh::uuid();
        self.state().sessions.insert(key.clone(), Session::new(user));
        let (now, user) = (clock::with_z(SystemTime::now()), escape(user));
        let mut answer = soap::answer(
            "Login",
            &format!(
                "<returnval><key>{key}</key><userName>{user}</userName><fullName>{user}</fullName><loginTime>{now}</loginTime>\
                 <lastActiveTime>{now}</lastActiveTime><locale>en</locale><messageLocale>en</messageLocale></returnval>"
            ),
        );
        let secure = if self.secure { " Secure;" } else { "" };
        let cookie = format!("{COOKIE}=\"{key}\"; Path=/; HttpOnly;{secure}");
        answer.headers.push(("Set-Cookie".into(), cookie));
        Ok(answer)
    }

    fn logout(&self, call: &Call) -> Answer {
        let mut state = self.state();
        let gone = call.session.as_ref().and_then(|key| state.sessions.remove(key));
        if let Some(session) = gone {
            state.abandoned += session.views.len() + session.filters.len();
        }
        self.changed.notify_all();
        Ok(soap::answer("Logout", ""))
    }

    /// Works on the session of a call, which may have ended since the call came in.
    fn with_session<R>(
        &self,
        call: &Call,
        work: impl FnOnce(&mut Session, &Arc<Inventory>) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut state = self.state();
        let State {
            sessions, inventory, ..
        } = &mut *state;
        let session = call.session.as_ref().and_then(|key| sessions.get_mut(key));
        work(session.ok_or_else(|| ended(call))?, inventory)
    }

    fn destroy(
        &self,
        call: &Call,
        kind: &str,
        id: &str,
        remove: impl FnOnce(&mut Session) -> bool,
    ) -> Answer {
        let method = &call.arguments.name;
        let wanted = match method.as_str() {
            "DestroyView" => "ContainerView",
            _ => "PropertyFilter",
        };
        self.with_session(call, |session, _| match kind == wanted && remove(session) {
            true => Ok(soap::answer(method, "")),
            false => Err(Fault::not_found(kind, id)),
        })
    }

    fn create_view(&self, call: &Call) -> Answer {
        let (kind, id) = call.arguments.need("container")?.reference()?;
        let recursive = call.arguments.flag("recursive")?;
        let types: Vec<String> = call
            .arguments
            .children("type")
            .map(|t| t.text().to_owned())
            .collect();
        if !types.iter().all(|kind| is_type(kind)) {
            return Err(Fault::invalid_argument("type"));
        }
        let key = call.session.clone().unwrap_or_default();
        let view_id = format!("session[{key}]{}", fresh::uuid());
        self.with_session(call, |session, inventory| {
            let container = inventory
                .find(kind, id)
                .ok_or_else(|| Fault::not_found(kind, id))?;
            let view = View {
                container,
                types,
                recursive,
            };
            session.views.insert(view_id.clone(), view);
            let inner = format!("<returnval type=\"ContainerView\">{view_id}</returnval>");
            Ok(soap::answer("CreateContainerView", &inner))
        })
    }

    fn retrieve(&self, call: &Call) -> Answer {
        let options = call.arguments.need("options")?;
        let asked = options.number("maxObjects")?;
        if asked == Some(0) {
            return Err(Fault::invalid_argument("options.maxObjects"));
        }
        let limit = self.state().page_limit;
        let page = asked.unwrap_or(usize::MAX).min(limit.unwrap_or(usize::MAX));
        let specs = call.arguments.children("specSet").map(Spec::parse);
        let specs: Vec<Spec> = specs.collect::<Result<_, _>>()?;
        let retrieval = self.with_session(call, |session, inventory| {
            let mut found = Vec::with_capacity(specs.len());
            for spec in specs {
                let nodes = session.select(inventory, &spec)?;
                found.push((spec, nodes));
            }
            Ok(Retrieval {
                inventory: Arc::clone(inventory),
                specs: Arc::new(found),
                next: (0, 0),
                page,
            })
        })?;
        self.send_page(call, retrieval)
    }

    /// Answers with a retrieval's next page, and keeps the rest under a new token.
    fn send_page(&self, call: &Call, retrieval: Retrieval) -> Answer {
        let method = call.arguments.name.clone();
        let (page, rest) = retrieval.take_page();
        if page.is_empty() {
            return Ok(soap::answer(&method, ""));
        }
        let token = match rest {
            None => None,
            Some(rest) => {
                let token = fresh::uuid();
                self.with_session(call, |session, _| {
                    session.retrievals.insert(token.clone(), rest);
                    Ok(())
                })?;
                Some(token)
            }
        };
        Ok(soap::stream(method, move |out| {
            out.write_all(b"<returnval>")?;
            if let Some(token) = token {
                write!(out, "<token>{token}</token>")?;
            }
            page.write(out)?;
            out.write_all(b"</returnval>")
        }))
    }

    fn take_retrieval(&self, call: &Call) -> Result<Retrieval, Fault> {
        let token = call.arguments.need("token")?.text();
        self.with_session(call, |session, _| {
            let found = session.retrievals.remove(token);
            found.ok_or_else(|| Fault::invalid_property("token"))
        })
    }

    fn continue_retrieval(&self, call: &Call) -> Answer {
        let retrieval = self.take_retrieval(call)?;
        self.send_page(call, retrieval)
    }

    fn cancel_retrieval(&self, call: &Call) -> Answer {
        self.take_retrieval(call)?;
        Ok(soap::answer("CancelRetrievePropertiesEx", ""))
    }

    fn create_filter(&self, call: &Call) -> Answer {
        let spec = Spec::parse(call.arguments.need("spec")?)?;
        call.arguments.need("partialUpdates")?;
        let key = call.session.clone().unwrap_or_default();
        let id = format!("session[{key}]{}", fresh::uuid());
        self.with_session(call, |session, inventory| {
            session.add_filter(id.clone(), spec, inventory)
        })?;
        self.changed.notify_all();
        let inner = format!("<returnval type=\"PropertyFilter\">{id}</returnval>");
        Ok(soap::answer("CreateFilter", &inner))
    }

    fn wait_for_updates(&self, call: &Call) -> Answer {
        let version = call.arguments.child("version").map_or("", Element::text);
        let (mut wait, mut most) = (None, PAGE);
        if let Some(options) = call.arguments.child("options") {
            wait = options.number("maxWaitSeconds")?;
            most = options.number("maxObjectUpdates")?.unwrap_or(PAGE);
        }
        let end = wait.map(|seconds| Instant::now() + Duration::from_secs(seconds as u64));
        let mut state = self.state();
        let mut cancels = None;
        loop {
            state.advance();
            let State {
                sessions,
                inventory,
                stopped,
                ..
            } = &mut *state;
            let session = call.session.as_ref().and_then(|key| sessions.get_mut(key));
            let session = session.ok_or_else(|| ended(call))?;
            let before = match cancels {
                Some(before) => before,
                None => {
                    session.acknowledge(version, inventory)?;
                    *cancels.insert(session.cancels)
                }
            };
            if session.cancels > before {
                let message = "The request was canceled.";
                return Err(Fault::new("RequestCanceled", message, String::new()));
            }
            session.look(inventory);
            if let Some(page) = session.next_page(most) {
                return Ok(soap::stream("WaitForUpdatesEx".into(), move |out| {
                    page.write(out)
                }));
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if *stopped || left.is_some_and(|left| left.is_zero()) {
                return Ok(soap::answer("WaitForUpdatesEx", ""));
            }
            let left = left.unwrap_or(Duration::from_secs(60));
            let due = inventory.next_step();
            let due = due.map(|due| due.saturating_duration_since(Instant::now()));
            let left = due.map_or(left, |due| due.min(left));
            let woken = self.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn cancel_wait(&self, call: &Call) -> Answer {
        self.with_session(call, |session, _| {
            session.cancels += 1;
            Ok(())
        })?;
        self.changed.notify_all();
        Ok(soap::answer("CancelWaitForUpdates", ""))
    }

    /// Works on the inventory for a call whose session still exists, and wakes those who wait for updates.
    fn edit<R>(
        &self,
        call: &Call,
        work: impl FnOnce(&mut Inventory) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut state = self.state();
        let State {
            sessions, inventory, ..
        } = &mut *state;
        let is_there = call
            .session
            .as_ref()
            .is_some_and(|key| sessions.contains_key(key));
        if !is_there {
            return Err(ended(call));
        }
        let worked = work(Arc::make_mut(inventory));
        state.advance();
        drop(state);
        self.changed.notify_all();
        worked
    }

    fn power(&self, call: &Call, kind: &str, id: &str) -> Answer {
        let method = &call.arguments.name;
        let task = self.edit(call, |inventory| {
            inventory.start_task(method, inventory.machine(kind, id)?)
        })?;
        let inner = format!("<returnval type=\"Task\">{task}</returnval>");
        Ok(soap::answer(method, &inner))
    }

    fn ask_guest(&self, call: &Call, kind: &str, id: &str) -> Answer {
        let method = &call.arguments.name;
        self.edit(call, |inventory| {
            inventory.ask_guest(method, inventory.machine(kind, id)?)
        })?;
        Ok(soap::answer(method, ""))
    }

    fn answer_question(&self, call: &Call, kind: &str, id: &str) -> Answer {
        let question = call.arguments.need("questionId")?.text();
        let choice = call.arguments.need("answerChoice")?.text();
        self.edit(call, |inventory| {
            inventory.answer_question(inventory.machine(kind, id)?, question, choice)
        })?;
        Ok(soap::answer("AnswerVM", ""))
    }

    fn cancel_task(&self, call: &Call, kind: &str, id: &str) -> Answer {
        self.edit(call, |inventory| inventory.cancel_task(kind, id))?;
        Ok(soap::answer("CancelTask", ""))
    }

    /// The users of the open sessions.
    pub(super) fn users(&self) -> Vec<String> {
        self.state().sessions.values().map(|s| s.user.clone()).collect()
    }
}

/// The fault for a session that has ended.
fn ended(call: &Call) -> Fault {
    let this = call.arguments.child("_this").map(Element::reference);
    let (kind, id) = this.and_then(Result::ok).unwrap_or_default();
    Fault::not_authenticated(kind, id)
}

/// The key in the session's cookie, with or without the quotes that it was set with.
fn session_key(request: &Request) -> Option<String> {
    let cookies = request.header("Cookie")?.split(';');
    let named = cookies.filter_map(|cookie| cookie.trim().split_once('='));
    let mut ours = named.filter(|(name, _)| *name == COOKIE);
    ours.next().map(|(_, value)| value.trim_matches('"').to_owned())
}

impl Service for Vim {
    fn answer(&self, request: &Request) -> Response {
        let page = |status, text: &str| {
            let html =
                format!("<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>\n");
            Response::new(status, "text/html", html)
        };
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/sdk") => self.post(request).unwrap_or_else(|fault| fault.response()),
            ("GET" | "HEAD", "/sdk/vimServiceVersions.xml") => {
                Response::new(200, "text/xml", self.about.service_versions())
            }
            ("GET" | "HEAD", "/") => page(200, self.about.welcome()),
            (_, "/" | "/sdk" | "/sdk/vimServiceVersions.xml") => page(405, "Method Not Allowed"),
            _ => page(404, "Not Found"),
        }
    }
}
