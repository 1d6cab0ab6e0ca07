//! A simulated vCenter or ESX host that speaks vim25 SOAP under `/sdk`.
//!
//! It is strict where real servers are: nothing without a session, no unknown object, property or version of the API. Where it
//! knows less than a real server it says NotSupported. Its answers are shaped like recorded ones; an answer of any size is
//! written while it is sent.

mod about;
mod generate;
mod inventory;
mod object;
mod property;
mod select;
mod service;
mod session;
mod soap;

use std::io;
use std::sync::Arc;

use crate::http::{Logged, Server, Tls};
use about::About;
pub use inventory::{Inventory, Kind};
pub use object::{Compute, ComputeKey, FolderKey, Host, HostKey, Vm, VmKey};
use service::Vim;

/// Who may log in.
#[derive(Debug, Clone)]
pub struct Account {
    /// Name for the log-in.
    pub user: String,
    /// Password in clear.
    pub password: String,
    /// Refused in spite of the right password, with the same fault as a wrong one.
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
    /// Sessions that nobody has logged out of.
    pub sessions: usize,
    /// Views of these sessions.
    pub views: usize,
    /// Property filters of these sessions.
    pub filters: usize,
    /// Retrievals neither read to their end nor cancelled.
    pub retrievals: usize,
    /// Views and filters that were still there when their session was logged out.
    pub abandoned: usize,
}

/// A running server; it ends when it is dropped.
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

    /// Starts a server. A version of the API that no real server has is an error.
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

    /// The HTTP server, to make it misbehave or to look at raw requests.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Every HTTP request so far.
    pub fn requests(&self) -> Vec<Logged> {
        self.server.requests()
    }

    /// The names of the calls so far, such as `Login`, refused ones included.
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

    /// Changes the inventory; clients that wait for updates are told. Objects that were there must stay in it: delete
    /// by [`Inventory::remove_vm`], never by putting another inventory in place.
    pub fn change<R>(&self, edit: impl FnOnce(&mut Inventory) -> R) -> R {
        self.vim.change(edit)
    }

    /// Answers RetrievePropertiesEx with at most so many objects, even if the client allows more, as real servers may.
    pub fn limit_pages(&self, objects: Option<usize>) {
        self.vim.limit_pages(objects);
    }

    /// Has an object vanish while the server works on each of the next so many calls of this name: ManagedObjectNotFound.
    pub fn vanish_during(&self, method: &str, calls: usize) {
        self.vim.vanish_during(method, calls);
    }

    /// Tells those who wait for updates that an object has changed, without any property that did.
    pub fn touch(&self, kind: &str, id: &str) {
        self.vim.touch(kind, id);
    }

    /// Takes away the views under the filters of all sessions.
    pub fn lose_views(&self) {
        self.vim.lose_views();
    }

    /// Ends all sessions, as half an hour without a call does.
    pub fn expire_sessions(&self) {
        self.vim.expire_sessions();
    }
}

impl Drop for VCenter {
    fn drop(&mut self) {
        self.vim.stop();
    }
}
