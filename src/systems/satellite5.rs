//! Satellite 5 and Spacewalk: registers hypervisors and reports their guests, by XML-RPC.
//!
//! A [`Roster`] is the part of a mapping that can be reported. [`Satellite5::report`] registers the hypervisors that have no
//! systemid yet, stores their systemids, and sends the [`plan::Plan`] of each that the server does not have already.
//!
//! The server has two endpoints, which are two different programs. `/rpc/api` (Java) takes a session key and prepares the
//! channel that a registration needs. `/XMLRPC` (Python) takes a systemid, registers hypervisors and accepts plans. A session
//! is opened only if a hypervisor must be registered, shared by all threads, and closed when the report is done.

mod accepted;
mod adopt;
mod call;
mod channel;
mod check;
mod error;
mod method;
pub mod pickle;
pub mod plan;
mod register;
mod registrant;
mod report;
mod roster;
mod session;
mod summary;
pub mod systemid;

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use self::channel::Readiness;
pub use self::check::Standing;
pub use self::error::Error;
use self::method::Side;
pub use self::registrant::Registrant;
pub use self::report::Manner;
pub use self::roster::Roster;
use self::session::Session;
pub use self::summary::{Delivered, Shortfall, Summary};
use self::systemid::Registrations;
use crate::cancel::{Cancel, LateGuard};
use crate::http::{self, Base, Endpoint, Http};
use crate::secret::Secret;

/// How long an answer that must not be lost is awaited after a signal or after the deadline.
const PATIENCE: Duration = Duration::from_secs(5);

/// The operating system, release and architecture with which hypervisors are registered, as in virt-who. The server finds the
/// base channel by release and architecture.
const OS: &str = "Hypervisor OS";
/// See [`OS`].
const RELEASE: &str = "unknown";
/// See [`OS`].
const ARCH: &str = "x86_64";

/// The server's base URL, from a name, an address or a URL, with or without an endpoint's path: virt-who's `sat_server` may end
/// with `/XMLRPC`.
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
pub struct Credentials {
    /// The user's name. Its case matters unless the user is an administrator (`user.getDetails`).
    pub username: String,
    /// The user's password.
    pub password: Secret,
}

/// A connection to a server.
#[derive(Debug)]
pub struct Satellite5 {
    http: Http,
    /// For calls whose answers must not be lost: it outlives signal and deadline by [`PATIENCE`].
    patient: Http,
    _patience: LateGuard,
    cancel: Cancel,
    deadline: Option<Instant>,
    credentials: Credentials,
    registrations: Registrations,
    readiness: Mutex<Readiness>,
    session: Mutex<Session>,
    /// Held while a hypervisor is registered whose profile's name the server cuts.
    cut_names: Mutex<()>,
    /// How many registrations in a row failed because the server is away.
    lost_registrations: AtomicUsize,
}

impl Satellite5 {
    /// Prepares a connection to a server, whose endpoint has a base from [`base`]. Nothing is sent yet.
    pub fn new(
        endpoint: &Endpoint,
        credentials: Credentials,
        registrations: Registrations,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let http = Http::new(endpoint, cancel).map_err(Error::Connection)?;
        let late = Cancel::default();
        let patience = late.follow_late(cancel, PATIENCE);
        let deadline = endpoint.deadline;
        let late_deadline = deadline.and_then(|deadline| deadline.checked_add(PATIENCE));
        Ok(Satellite5 {
            patient: http.reconnect(&late, late_deadline),
            _patience: patience,
            http,
            cancel: cancel.clone(),
            deadline,
            credentials,
            registrations,
            readiness: Mutex::default(),
            session: Mutex::default(),
            cut_names: Mutex::default(),
            lost_registrations: AtomicUsize::default(),
        })
    }

    /// The server's base URL.
    fn server(&self) -> String {
        self.http.base().to_string()
    }
}
