//! A simulated Nutanix Prism: Prism Element with API v2.0, or Prism Central with API v3.
//!
//! It follows Nutanix's API reference and what users have published; no real server was recorded. A comment marks each guess.

mod answer;
mod inventory;
mod page;
mod record;
mod refused;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http::{Request, Response, Service};
pub use inventory::{Cluster, Host, Inventory, Machine};
use page::Wanted;
use refused::Refused;

/// Which product it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// Prism Element, API v2.0: one cluster.
    Element,
    /// Prism Central, API v3: all clusters.
    Central,
}

/// How Prism Element pages its virtual machines. Sources disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// By `offset` and `length`, as Nutanix's reference says.
    Offsets,
    /// By `count` and `page`, as hosts and clusters.
    Pages,
    /// Not at all: all of them are in one answer.
    Never,
}

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which product it is.
    pub edition: Edition,
    /// User name.
    pub username: String,
    /// Password in clear.
    pub password: String,
    /// Whether the user has a role. Without one all requests get 403.
    pub has_role: bool,
    /// How Prism Element pages its virtual machines.
    pub machines: Paging,
    /// The longest page; a longer one is cut to it without a word.
    pub longest: usize,
}

impl Settings {
    /// The user `sim` with the password `sim-secret`, and pages of at most 500.
    pub fn new(edition: Edition) -> Self {
        Settings {
            edition,
            username: "sim".into(),
            password: "sim-secret".into(),
            has_role: true,
            machines: Paging::Offsets,
            longest: 500,
        }
    }
}

/// One of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// `clusters`.
    Clusters,
    /// `hosts`.
    Hosts,
    /// `vms`.
    Machines,
}

impl List {
    fn of_path(name: &str) -> Option<Self> {
        Some(match name {
            "clusters" => List::Clusters,
            "hosts" => List::Hosts,
            "vms" => List::Machines,
            _ => return None,
        })
    }

    /// The `kind` in v3.
    fn kind(self) -> &'static str {
        match self {
            List::Clusters => "cluster",
            List::Hosts => "host",
            List::Machines => "vm",
        }
    }
}

/// The server.
pub struct Prism {
    settings: Settings,
    inventory: Mutex<Inventory>,
    has_expired: AtomicBool,
}

impl Prism {
    /// A server with this inventory.
    pub fn new(settings: Settings, inventory: Inventory) -> Self {
        Prism {
            settings,
            inventory: Mutex::new(inventory),
            has_expired: AtomicBool::new(false),
        }
    }

    /// The inventory, to read or change it.
    pub fn inventory(&self) -> MutexGuard<'_, Inventory> {
        self.inventory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The password expires: from now on each request is refused.
    pub fn expire(&self) {
        self.has_expired.store(true, Ordering::SeqCst);
    }

    fn page(&self, request: &Request) -> Result<Response, Refused> {
        let Settings { edition, .. } = self.settings;
        self.admit(request)?;
        let (list, wanted) = match edition {
            Edition::Element => {
                let path = request.path.strip_prefix("/api/nutanix/v2.0/");
                // The path of the reference.
                let path = path.or_else(|| request.path.strip_prefix("/PrismGateway/services/rest/v2.0/"));
                let name = path.map(|path| path.trim_end_matches('/'));
                let list = name.and_then(List::of_path).ok_or(Refused::NotFound)?;
                // Creating a machine is a POST, which no scan may do.
                if request.method != "GET" {
                    return Err(Refused::Method);
                }
                (
                    list,
                    Wanted::of_query(&request.query, list, self.settings.machines)?,
                )
            }
            Edition::Central => {
                let path = request.path.strip_prefix("/api/nutanix/v3/");
                let name = path.and_then(|path| path.strip_suffix("/list"));
                let list = name.and_then(List::of_path).ok_or(Refused::NotFound)?;
                if request.method != "POST" {
                    return Err(Refused::Method);
                }
                (list, Wanted::of_body(request, list)?)
            }
        };
        let wanted = wanted.cut(self.settings.longest);
        Ok(answer::page(edition, list, &self.inventory(), wanted))
    }

    /// Checks the credentials, which come with each request.
    fn admit(&self, request: &Request) -> Result<(), Refused> {
        let Settings {
            username,
            password,
            has_role,
            ..
        } = &self.settings;
        let expected = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
        if request.header("Authorization") != Some(&expected) || self.has_expired.load(Ordering::SeqCst) {
            return Err(Refused::Login);
        }
        match has_role {
            true => Ok(()),
            false => Err(Refused::Role),
        }
    }
}

impl Service for Prism {
    fn answer(&self, request: &Request) -> Response {
        match self.page(request) {
            Ok(page) => page,
            Err(refused) => refused.response(self.settings.edition, &request.path),
        }
    }
}
