//! A session with a server: login, the server's description of itself, and logout on every path.

use std::fmt;
use std::time::{Duration, Instant};

use super::property::{self, PropertySpec};
use super::soap::{Answer, Client, LOGIN};
use super::{Error, ManagedObject, NOT_AUTHENTICATED};
use crate::cancel::{Cancel, HookGuard};
use crate::error::{Classify, Kind};
use crate::http::Endpoint;
use crate::secret::Secret;
use crate::text;
use crate::xml;

/// How long a logout over a new connection may take, after a signal or an error.
const LOGOUT_LIMIT: Duration = Duration::from_secs(5);

/// The least time that a login has, after a signal or shortly before the deadline.
const LOGIN_LIMIT: Duration = Duration::from_secs(5);

/// Who logs in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user name, such as `virtwho@vsphere.local`.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// What the server says about itself (`AboutInfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Name, version and build, as in `VMware vCenter Server 8.0.2 build-22617221`.
    pub full_name: String,
    /// `VirtualCenter` or `HostAgent`.
    pub api_type: String,
    /// The version of the API, such as `8.0.2.0`.
    pub api_version: String,
    /// The unique id of a vCenter; ESX hosts have none.
    pub instance_uuid: Option<String>,
}

/// The answer to `RetrieveServiceContent`: the server and its singletons.
#[derive(Debug)]
pub(super) struct ServiceContent {
    pub(super) about: About,
    pub(super) root_folder: ManagedObject,
    pub(super) property_collector: ManagedObject,
    pub(super) view_manager: ManagedObject,
    pub(super) session_manager: ManagedObject,
}

/// A session that is logged in.
///
/// [`Session::close`] logs out. A session that is dropped because of an error logs out too, over a new connection and within five
/// seconds. A logout that fails causes a warning.
pub struct Session {
    pub(super) client: Client,
    pub(super) content: ServiceContent,
    /// Objects that the server keeps for the session, each with the method that destroys it.
    kept: Vec<(&'static str, ManagedObject)>,
    open: bool,
    /// Set by a signal, after the login.
    connection: Cancel,
    _interrupts: HookGuard,
}

impl Session {
    /// Connects and logs in.
    ///
    /// A signal interrupts everything at once except the login itself, which it and the endpoint's deadline give five seconds.
    /// Without the answer to the login nobody could close the session.
    pub fn open(endpoint: &Endpoint, credentials: &Credentials, cancel: &Cancel) -> Result<Self, Error> {
        let begun = Instant::now();
        let connection = Cancel::default();
        let before = connection.follow(cancel);
        let mut client = Client::connect(endpoint, &connection)?;
        let content = retrieve_service_content(&mut client)?;
        log::debug!(
            "connected to {} ({}) in {} s",
            content.about.full_name,
            content.about.api_type,
            text::seconds(begun.elapsed())
        );
        drop(before);
        let begun = Instant::now();
        let soon = begun + LOGIN_LIMIT;
        let mut unhurried = match endpoint.deadline {
            Some(deadline) if deadline < soon => client.reconnected(&connection, Some(soon)),
            _ => client.clone(),
        };
        let late = connection.follow_late(cancel, LOGIN_LIMIT);
        let logged_in = login(&mut unhurried, &content.session_manager, credentials);
        drop(late);
        client.continue_session(unhurried);
        if let Err(error) = logged_in {
            let refused = matches!(error, Error::Login { .. } | Error::Fault { .. });
            if !refused && client.has_cookie() {
                // The answer was cut, but the server may have opened the session.
                let _ = logout_over_new_connection(&client, &content.session_manager, &[]);
            }
            return Err(error);
        }
        log::debug!(
            "logged in as {:?} in {} s",
            credentials.username,
            text::seconds(begun.elapsed())
        );
        let session = Session {
            client,
            content,
            kept: Vec::new(),
            open: true,
            _interrupts: connection.follow(cancel),
            connection,
        };
        Ok(session)
    }

    /// Continues with another deadline than that of the login, or without one, over a new connection.
    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.client = self.client.reconnected(&self.connection, deadline);
    }

    /// Creates a view of all objects of the specs' types, which lives until the session ends.
    pub(super) fn create_view(&mut self, specs: &[PropertySpec]) -> Result<ManagedObject, Error> {
        let ServiceContent {
            view_manager,
            root_folder,
            ..
        } = &self.content;
        let view = property::create_view(&mut self.client, view_manager, root_folder, specs)?;
        self.kept.push(("DestroyView", view.clone()));
        Ok(view)
    }

    /// Creates a filter that reports the changes of the selected objects, until it is destroyed or the session ends.
    ///
    /// `spec` is the content of a `PropertyFilterSpec`.
    pub(super) fn create_filter(&mut self, spec: &str) -> Result<ManagedObject, Error> {
        let parameters = format!("<spec>{spec}</spec><partialUpdates>false</partialUpdates>");
        let collector = &self.content.property_collector;
        let filter = property::create(&mut self.client, "CreateFilter", collector, &parameters)?;
        self.kept.push(("DestroyPropertyFilter", filter.clone()));
        // A signal ends the client's wait, but the server would continue to wait.
        self.kept.push(("CancelWaitForUpdates", collector.clone()));
        Ok(filter)
    }

    /// Destroys the filter that was created last. If that fails, it stays until the session ends.
    pub(super) fn destroy_filter(&mut self, filter: &ManagedObject) {
        if let Some(at) = self.kept.iter().position(|(_, kept)| kept == filter) {
            let kept = self.kept.split_off(at);
            destroy(&mut self.client, kept.get(..1).unwrap_or_default());
        }
    }

    /// What the server says about itself.
    pub fn about(&self) -> &About {
        &self.content.about
    }

    /// Destroys what the server keeps for the session, and logs out. If that fails, it logs a warning.
    pub fn close(mut self) {
        self.open = false;
        destroy(&mut self.client, &self.kept);
        if logout(&mut self.client, &self.content.session_manager).is_err() {
            self.close_over_new_connection(&[]);
        }
    }

    /// Logs out over a new connection.
    fn close_over_new_connection(&self, kept: &[(&'static str, ManagedObject)]) {
        if let Err(error) = logout_over_new_connection(&self.client, &self.content.session_manager, kept) {
            let error = error.at(self.client.server()).with_causes();
            log::warn!("{error}; the logout failed, so the session stays open until it expires");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.open {
            // The connection may be broken, or contain half an answer.
            self.close_over_new_connection(&self.kept);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("content", &self.content)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

fn retrieve_service_content(client: &mut Client) -> Result<ServiceContent, Error> {
    let method = "RetrieveServiceContent";
    let instance = ManagedObject {
        kind: "ServiceInstance".into(),
        id: "ServiceInstance".into(),
    };
    let mut about = About::default();
    let mut singletons = Vec::new();
    client.call(method, &instance, "", |xml| {
        while xml.child()?.is_some() {
            while let Some(name) = xml.child()? {
                match name {
                    "about" => about = read_about(xml)?,
                    "rootFolder" | "propertyCollector" | "viewManager" | "sessionManager" => {
                        let name = name.to_owned();
                        singletons.push((name, ManagedObject::read(xml)?));
                    }
                    _ => xml.skip()?,
                }
            }
        }
        Ok(())
    })?;
    let mut singleton = |name: &'static str| {
        let at = singletons.iter().position(|(found, _)| found == name);
        at.map(|at| singletons.swap_remove(at).1)
            .ok_or(Error::Incomplete { method, what: name })
    };
    Ok(ServiceContent {
        root_folder: singleton("rootFolder")?,
        property_collector: singleton("propertyCollector")?,
        view_manager: singleton("viewManager")?,
        session_manager: singleton("sessionManager")?,
        about,
    })
}

fn read_about(xml: &mut Answer) -> Result<About, xml::Error> {
    let mut about = About::default();
    while let Some(name) = xml.child()? {
        match name {
            "fullName" => about.full_name = xml.text()?.to_owned(),
            "apiType" => about.api_type = xml.text()?.to_owned(),
            "apiVersion" => about.api_version = xml.text()?.to_owned(),
            "instanceUuid" => about.instance_uuid = Some(xml.text()?.to_owned()),
            _ => xml.skip()?,
        }
    }
    Ok(about)
}

fn login(client: &mut Client, manager: &ManagedObject, credentials: &Credentials) -> Result<(), Error> {
    let parameters = Secret::from(format!(
        "<userName>{}</userName><password>{}</password>",
        xml::escape(&credentials.username),
        xml::escape(credentials.password.expose()),
    ));
    match client.call(LOGIN, manager, parameters.expose(), |xml| xml.skip()) {
        Err(Error::Fault { fault, .. }) if fault.error_kind() == Kind::NoPerm => Err(Error::Login {
            server: client.server(),
            user: credentials.username.clone(),
            fault,
        }),
        done => done,
    }
}

fn logout(client: &mut Client, manager: &ManagedObject) -> Result<(), Error> {
    let begun = Instant::now();
    match client.call("Logout", manager, "", |xml| xml.skip()) {
        Err(error) if error.is_fault(NOT_AUTHENTICATED) => {}
        done => done?,
    }
    log::debug!("logged out in {} s", text::seconds(begun.elapsed()));
    Ok(())
}

/// Destroys what the server keeps for the session. Failures don't matter, because the rest ends with the session.
fn destroy(client: &mut Client, kept: &[(&'static str, ManagedObject)]) {
    for (method, object) in kept.iter().rev() {
        match client.call(method, object, "", |xml| xml.skip()) {
            Ok(()) => {}
            Err(error @ Error::Fault { .. }) => log::debug!("{error}"),
            Err(error) => return log::debug!("{method}: {error}"),
        }
    }
}

/// Logs out over a new connection, which no signal interrupts.
fn logout_over_new_connection(
    client: &Client,
    manager: &ManagedObject,
    kept: &[(&'static str, ManagedObject)],
) -> Result<(), Error> {
    let mut client = client.reconnected(&Cancel::default(), Some(Instant::now() + LOGOUT_LIMIT));
    destroy(&mut client, kept);
    logout(&mut client, manager)
}
