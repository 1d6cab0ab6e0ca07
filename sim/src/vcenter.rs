//! A simulated vCenter or ESX host that speaks vim25 SOAP under `/sdk`.
//!
//! It is strict where real servers are: nothing works without a session, or with an unknown object, property or version of the
//! API. Tasks take time, and ask questions if a script says so. What only a real server can do gets NotSupported. Its answers look like recorded ones, and are written while they are
//! sent.

mod about;
mod generate;
mod inventory;
mod object;
mod power;
mod property;
mod script;
mod select;
mod service;
mod session;
mod soap;
mod task;

use std::io;
use std::sync::Arc;

use crate::http::{Logged, Server, Tls};
use about::About;
pub use inventory::{Inventory, Kind};
pub use object::{Compute, ComputeKey, FolderKey, Host, HostKey, TaskKey, Vm, VmKey};
pub use script::{Asked, Choice, OnCancel, Question, Script};
use service::Vim;
pub use task::{Task, TaskState};

/// Who may log in.
#[derive(Debug, Clone)]
pub struct Account {
    /// User name.
    pub user: String,
    /// Password in clear.
    pub password: String,
    /// Whether the right password is refused, with the same fault as a wrong one.
    pub locked: bool,
}

/// What a server is from its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may log in.
    pub accounts: Vec<Account>,
    /// The newest version of the API, as real servers name it: 8.0.3.0, 7.0, 6.5, 5.5, …
    pub api_version: String,
}

impl Default for Settings {
    /// 8.0.2.0; the user `sim` with the password `sim-secret`, and `locked` with the same one.
    fn default() -> Self {
        let account = |user: &str, locked| Account {
            user: user.to_owned(),
            password: "sim-secret".to_owned(),
            locked,
        };
        Settings {
            accounts: vec![account("sim", false), account("locked", true)],
            api_version: "8.0.2.0".to_owned(),
        }
    }
}

/// What clients have not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Open {
    /// Sessions without a log-out.
    pub sessions: usize,
    /// Views of these sessions.
    pub views: usize,
    /// Property filters of these sessions.
    pub filters: usize,
    /// Retrievals that were neither read to the end nor cancelled.
    pub retrievals: usize,
    /// Views and filters that were still open at their session's log-out.
    pub abandoned: usize,
}

/// A running server. Dropping it ends it.
pub struct VCenter {
    vim: Arc<Vim>,
    server: Server,
    settings: Settings,
}

impl VCenter {
    /// Starts a server with the default settings.
    pub fn start(inventory: Inventory, tls: Option<Tls>) -> io::Result<VCenter> {
        VCenter::start_with(inventory, tls, Settings::default())
    }

    /// Starts a server. An unknown version of the API is an error.
    pub fn start_with(inventory: Inventory, tls: Option<Tls>, settings: Settings) -> io::Result<VCenter> {
        let unknown = || io::Error::other(format!("API version {:?} is not known", settings.api_version));
        let about = About::new(inventory.kind(), &settings.api_version).ok_or_else(unknown)?;
        let vim = Arc::new(Vim::new(
            inventory,
            about,
            settings.accounts.clone(),
            tls.is_some(),
        ));
        let service: Arc<dyn crate::http::Service> = Arc::clone(&vim) as _;
        let server = Server::start(service, tls)?;
        Ok(VCenter {
            vim,
            server,
            settings,
        })
    }

    /// `https://127.0.0.1:PORT`, without the path.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The first account's name and password.
    pub fn account(&self) -> (&str, &str) {
        let first = self.settings.accounts.first();
        first.map_or(("", ""), |account| (&account.user, &account.password))
    }

    /// The HTTP server, to make it misbehave or to see raw requests.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Every HTTP request so far.
    pub fn requests(&self) -> Vec<Logged> {
        self.server.requests()
    }

    /// The names of the calls so far, such as `Login`, including refused ones.
    pub fn calls(&self) -> Vec<String> {
        self.vim.calls()
    }

    /// What clients have not closed.
    pub fn open(&self) -> Open {
        self.vim.open()
    }

    /// The users of the open sessions.
    pub fn users(&self) -> Vec<String> {
        self.vim.users()
    }

    /// The inventory as it is now.
    pub fn inventory(&self) -> Arc<Inventory> {
        self.vim.inventory()
    }

    /// Changes the inventory and wakes the clients that wait for updates. Existing objects must stay in it: delete
    /// them by [`Inventory::remove_vm`], and never replace the whole inventory.
    pub fn change<R>(&self, edit: impl FnOnce(&mut Inventory) -> R) -> R {
        self.vim.change(edit)
    }

    /// Answers RetrievePropertiesEx with at most this number of objects, even if the client allows more, as real servers may.
    pub fn limit_pages(&self, objects: Option<usize>) {
        self.vim.limit_pages(objects);
    }

    /// Answers the next `calls` calls of this name with ManagedObjectNotFound, as if an object vanished meanwhile.
    pub fn vanish_during(&self, method: &str, calls: usize) {
        self.vim.vanish_during(method, calls);
    }

    /// Sends waiting clients an update of an object without any changed property.
    pub fn touch(&self, kind: &str, id: &str) {
        self.vim.touch(kind, id);
    }

    /// Destroys the views of all sessions, on which their filters depend.
    pub fn lose_views(&self) {
        self.vim.lose_views();
    }

    /// Ends all sessions, as servers do after half an hour without a call.
    pub fn expire_sessions(&self) {
        self.vim.expire_sessions();
    }
}

impl Drop for VCenter {
    fn drop(&mut self) {
        self.vim.stop();
    }
}
