//! What goes wrong with a call, and at which call it does.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::{State, systemid};
use crate::hostile;
use crate::http::Fault;
use crate::xmlrpc::{Call, Value};

/// The methods that reporters call.
const METHODS: [&str; 13] = [
    "auth.login",
    "auth.logout",
    "user.getDetails",
    "user.listRoles",
    "distchannel.listMapsForOrg",
    "channel.software.getDetails",
    "channel.software.create",
    "distchannel.setMapForOrg",
    "system.getId",
    "system.downloadSystemId",
    "registration.new_system_user_pass",
    "registration.refresh_hw_profile",
    "registration.virt_notify",
];

/// What goes wrong with a call.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// A fault, and nothing is done.
    Fault(i64, String),
    /// An HTTP status with HTML, and nothing is done.
    Status(u16),
    /// It is done, but the answer is this HTTP status, so the result is lost.
    Lost(u16),
    /// It is done, but the answer waits until [`Release`] lets it go.
    Held(Arc<Gate>),
    /// An administrator deletes the system that the call is about just before it.
    Deleted,
    /// All sessions expire just before the call.
    Expired,
    /// The connection or the answer fails; see [`Trouble::http`].
    Http(Cause),
}

/// The names of troubles, besides an HTTP status and `fault` with a code.
const NAMES: [&str; 10] = [
    "delete", "expire", "lose", "close", "cut", "delay", "html", "xml", "empty", "endless",
];

/// Makes a fault of HTTP each time that it is met.
#[derive(Clone)]
pub struct Cause(Arc<dyn Fn() -> Fault + Send + Sync>);

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cause")
    }
}

/// Holds an answer back until it is opened.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(super) fn wait(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(open, |open| !*open));
    }
}

/// Releases the answer that [`Trouble::Held`] holds back when it is dropped.
#[derive(Debug)]
pub struct Release(Arc<Gate>);

impl Drop for Release {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.opened.notify_all();
    }
}

impl Trouble {
    /// A held answer, and what releases it.
    pub fn held() -> (Trouble, Release) {
        let gate = Arc::<Gate>::default();
        (Trouble::Held(gate.clone()), Release(gate))
    }

    /// A fault of HTTP, such as [`Fault::Lose`] (it is done, and no answer comes) or one of [`hostile`].
    pub fn http(fault: impl Fn() -> Fault + Send + Sync + 'static) -> Self {
        Trouble::Http(Cause(Arc::new(fault)))
    }
}

impl FromStr for Trouble {
    type Err = String;

    /// Reads a name such as `lose`, a status such as `503`, or a fault such as `fault-9`.
    fn from_str(text: &str) -> Result<Self, String> {
        const XML: &str = "text/xml";
        let beginning = "<?xml version='1.0'?>\n<methodResponse><params><param><value>";
        Ok(match text {
            "delete" => Trouble::Deleted,
            "expire" => Trouble::Expired,
            "lose" => Trouble::http(|| Fault::Lose),
            "close" => Trouble::http(|| Fault::Close),
            "cut" => Trouble::http(|| Fault::Cut(20)),
            "delay" => Trouble::http(|| Fault::Delay(Duration::from_secs(5))),
            "html" => Trouble::http(|| hostile::page(200)),
            "xml" => Trouble::http(move || hostile::answer(XML, format!("{beginning}<int>0</value>"))),
            "empty" => Trouble::http(|| hostile::answer(XML, "")),
            "endless" => Trouble::http(move || hostile::endless(XML, beginning, "and so on ")),
            "429" => Trouble::http(|| hostile::retry_after(429, "1")),
            other => {
                let fault = other.strip_prefix("fault").and_then(|code| code.parse().ok());
                match (fault, other.parse()) {
                    (Some(code), _) => Trouble::Fault(code, "planned".into()),
                    (_, Ok(status @ 400..600)) => Trouble::Status(status),
                    _ => {
                        let names = NAMES.join(", ");
                        return Err(format!("unknown trouble {other}; known: {names}, 503, fault-9"));
                    }
                }
            }
        })
    }
}

/// A trouble and when it happens, as `METHOD:N=TROUBLE`; with `N-` it also happens at each later call.
///
/// ```
/// let planned: vw_sim::satellite5::Planned = "registration.virt_notify:2=lose".parse()?;
/// assert_eq!((planned.nth, planned.lasts), (2, false));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone)]
pub struct Planned {
    /// The method's name.
    pub method: String,
    /// Which of its calls, counted from 1.
    pub nth: usize,
    /// Whether it also happens at each later call.
    pub lasts: bool,
    /// What happens.
    pub trouble: Trouble,
}

impl FromStr for Planned {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once('=')
            .and_then(|(call, trouble)| Some((call.rsplit_once(':')?, trouble)));
        let Some(((method, number), trouble)) = parts else {
            return Err("it must be METHOD:N=TROUBLE".into());
        };
        if !METHODS.contains(&method) {
            return Err(format!("unknown method {method}; known: {}", METHODS.join(", ")));
        }
        let digits = number.strip_suffix('-').unwrap_or(number);
        match digits.parse() {
            Ok(nth @ 1..) => Ok(Planned {
                method: method.to_owned(),
                nth,
                lasts: digits != number,
                trouble: trouble.parse()?,
            }),
            _ => Err(format!("{number:?} is not the number of a call")),
        }
    }
}

/// The troubles that are planned: the method, which of its calls, counted from 1, and what happens.
#[derive(Clone, Default)]
pub(super) struct Troubles(Vec<(String, RangeInclusive<usize>, Trouble)>);

impl Troubles {
    pub(super) fn plan(&mut self, method: &str, calls: RangeInclusive<usize>, trouble: Trouble) {
        self.0.push((method.to_owned(), calls, trouble));
    }

    /// What the service itself does wrong at a method's call with this number.
    pub(super) fn of(&self, method: &str, number: usize) -> Option<Trouble> {
        let mut planned = self.0.iter();
        let met = planned.find(|(name, calls, trouble)| {
            name == method && calls.contains(&number) && !matches!(trouble, Trouble::Http(_))
        });
        met.map(|(.., trouble)| trouble.clone())
    }

    /// The fault of HTTP at a method's call with this number. One for a single call is met only once, even if two such calls
    /// arrive at the same time.
    pub(super) fn of_http(&mut self, method: &str, number: usize) -> Option<Fault> {
        let (place, make) = self.0.iter().enumerate().find_map(|(place, planned)| {
            let (name, calls, Trouble::Http(Cause(make))) = planned else {
                return None;
            };
            (name == method && calls.contains(&number)).then(|| (place, Arc::clone(make)))
        })?;
        if self.0[place].1.end() == &number {
            self.0.remove(place);
        }
        Some(make())
    }

    pub(super) fn have_none_of_http(&self) -> bool {
        !self
            .0
            .iter()
            .any(|(_, _, trouble)| matches!(trouble, Trouble::Http(_)))
    }
}

impl State {
    /// Deletes the system that a call is about: that of its systemid, or of the number that it asks for.
    pub(super) fn delete_subject(&mut self, call: &Call) {
        let id = match (call.method.as_str(), &call.parameters[..]) {
            ("system.downloadSystemId", [_, Value::Int(number)]) => Some(format!("ID-{number:09}")),
            (_, [systemid, ..]) => systemid::claimed(systemid),
            _ => None,
        };
        if let Some(id) = id {
            self.delete_system(&id);
        }
    }
}
