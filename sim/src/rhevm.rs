//! A simulated oVirt engine: the lists of version 4 of its REST API, in JSON.
//!
//! It is as strict as the REST API Guide: each request needs the account by Basic authentication, the searches are parsed, and pages
//! are as long as `max` says. A comment marks what is a guess because only a real engine could show it.

mod search;

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use self::search::Search;
use crate::http::{Request, Response, Service};

/// Where the API is.
const BASE: &str = "/ovirt-engine/api";

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It sees everything.
    Reader,
    /// It sees only what is its own, which is nothing.
    User,
    /// Its password has expired, so that it can't log in.
    Expired,
}

/// Who may log in.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user with its profile, such as `admin@internal`.
    pub user: String,
    /// The password in clear.
    pub password: String,
    /// What it may do.
    pub role: Role,
}

/// What an engine manages, each object as the API shows it.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The clusters.
    pub clusters: Vec<Value>,
    /// The hosts.
    pub hosts: Vec<Value>,
    /// The virtual machines.
    pub vms: Vec<Value>,
}

impl Inventory {
    /// A cluster of hosts with virtual machines, most of them up, and a cluster of storage with one host.
    pub fn new(hosts: usize, vms: usize) -> Self {
        let cluster = |id: &str, name: &str, virt_service: bool| {
            json!({"id": id, "name": name, "href": format!("{BASE}/clusters/{id}"),
                   "virt_service": virt_service.to_string(), "gluster_service": (!virt_service).to_string()})
        };
        let mut inventory = Inventory {
            clusters: vec![
                cluster(&id(1, 1), "Default", true),
                cluster(&id(1, 2), "Bricks", false),
            ],
            ..Inventory::default()
        };
        for number in 1..=hosts {
            inventory.hosts.push(host(number, &id(1, 1)));
        }
        inventory.hosts.push(host(hosts + 1, &id(1, 2)));
        for number in 1..=vms {
            let place = (hosts > 0 && number % 5 != 0).then(|| id(2, number % hosts + 1));
            let mut vm = json!({"id": id(3, number), "name": format!("vm{number}"), "memory": "1073741824",
                "href": format!("{BASE}/vms/{}", id(3, number)), "cluster": {"id": id(1, 1)},
                "status": if place.is_some() { "up" } else { "down" }});
            if let Some(place) = place {
                vm["host"] = json!({"id": place, "href": format!("{BASE}/hosts/{place}")});
            }
            inventory.vms.push(vm);
        }
        inventory
    }
}

/// The uuid of the object with this number: 1 a cluster, 2 a host, 3 a virtual machine, 4 a board.
fn id(kind: u32, number: usize) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

fn host(number: usize, cluster: &str) -> Value {
    json!({
        "id": id(2, number), "name": format!("kvm{number}"), "address": format!("kvm{number}.example.com"),
        "href": format!("{BASE}/hosts/{}", id(2, number)), "status": "up", "type": "rhel",
        "cluster": {"id": cluster, "href": format!("{BASE}/clusters/{cluster}")},
        "cpu": {"name": "Intel", "topology": {"cores": "8", "sockets": "2", "threads": "2"}},
        "hardware_information": {"manufacturer": "Dell Inc.", "uuid": id(4, number)},
        "version": {"full_version": "vdsm-4.50.3.4-1.el8", "major": "4", "minor": "50"},
    })
}

/// An engine.
pub struct Rhevm {
    accounts: Vec<Account>,
    inventory: Mutex<Inventory>,
}

impl Rhevm {
    /// An engine with these objects. The users are `sim@internal`, `user@internal` and `expired@internal`, each with the password
    /// `sim-secret`.
    pub fn new(inventory: Inventory) -> Self {
        let account = |user: &str, role| Account {
            user: user.to_owned(),
            password: "sim-secret".to_owned(),
            role,
        };
        Rhevm {
            accounts: vec![
                account("sim@internal", Role::Reader),
                account("user@internal", Role::User),
                account("expired@internal", Role::Expired),
            ],
            inventory: Mutex::new(inventory),
        }
    }

    /// What it manages, to be changed.
    pub fn inventory(&self) -> MutexGuard<'_, Inventory> {
        self.inventory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account of a request.
    fn account(&self, request: &Request) -> Option<&Account> {
        let encoded = request.header("Authorization")?.strip_prefix("Basic ")?;
        let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        // The name has no colon (RFC 7617), and the password may have some.
        let (user, password) = pair.split_once(':')?;
        let mut accounts = self.accounts.iter();
        accounts.find(|account| account.user == user && account.password == password)
    }

    fn api(&self, request: &Request, path: &str) -> Response {
        let account = match self.account(request) {
            Some(account) if account.role != Role::Expired => account,
            _ => return unauthorized(),
        };
        if request.method != "GET" {
            return fault(405, "Method Not Allowed", "only GET is simulated");
        }
        if !matches!(request.header("Version"), None | Some("4")) {
            return fault(400, "Invalid version", "only version 4 is simulated");
        }
        // A real engine answers XML then.
        if request.header("Accept") != Some("application/json") {
            return fault(406, "Not Acceptable", "only JSON is simulated");
        }
        let filter = request.header("Filter").unwrap_or("false");
        let inventory = self.inventory();
        let (member, objects) = match path {
            "" | "/" => return json_answer(200, &about(&inventory, account.role)),
            "/clusters" => ("cluster", &inventory.clusters),
            "/hosts" => ("host", &inventory.hosts),
            "/vms" => ("vm", &inventory.vms),
            _ => return fault(404, "Not Found", "no such collection"),
        };
        match (account.role, filter) {
            (Role::Reader, "false") => {}
            (_, "true") => return json_answer(200, &json!({})),
            // The words are the engine's; the status is a guess.
            _ => {
                return fault(
                    400,
                    "Operation Failed",
                    "query execution failed due to insufficient permissions.",
                );
            }
        }
        match Search::parse(&request.query) {
            Ok(search) => json_answer(200, &list(member, search.of(objects))),
            Err(reason) => fault(400, "Operation Failed", &reason),
        }
    }
}

impl Service for Rhevm {
    fn answer(&self, request: &Request) -> Response {
        match request.path.strip_prefix(BASE) {
            Some(path) if path.is_empty() || path.starts_with('/') => self.api(request, path),
            _ => Response::new(
                404,
                "text/html",
                "<html><head><title>404 Not Found</title></head></html>",
            ),
        }
    }
}

/// The root of the API. What an account without a role sees of the summary is a guess.
fn about(inventory: &Inventory, role: Role) -> Value {
    let mut about = json!({
        "product_info": {"name": "oVirt Engine", "vendor": "ovirt.org",
            "version": {"full_version": "4.5.4-1.el8", "major": "4", "minor": "5", "build": "4", "revision": "0"}},
        "link": [{"href": format!("{BASE}/clusters"), "rel": "clusters"}],
    });
    if role == Role::Reader {
        let count = |objects: &[Value]| json!({"active": objects.len().to_string(), "total": objects.len().to_string()});
        about["summary"] = json!({"hosts": count(&inventory.hosts), "vms": count(&inventory.vms)});
    }
    about
}

/// A list, which is an object without members if it is empty.
fn list(member: &str, objects: Vec<&Value>) -> Value {
    match objects.is_empty() {
        true => json!({}),
        false => json!({ member: objects }),
    }
}

/// The page is a guess: the guide documents only the status.
fn unauthorized() -> Response {
    let page = "<html><head><title>Error</title></head><body>Unauthorized</body></html>";
    let mut response = Response::new(401, "text/html;charset=UTF-8", page);
    let realm = ("WWW-Authenticate".to_owned(), "Basic realm=\"ENGINE\"".to_owned());
    response.headers.push(realm);
    response
}

fn fault(status: u16, reason: &str, detail: &str) -> Response {
    json_answer(status, &json!({"reason": reason, "detail": detail}))
}

fn json_answer(status: u16, value: &Value) -> Response {
    Response::new(status, "application/json", value.to_string())
}
