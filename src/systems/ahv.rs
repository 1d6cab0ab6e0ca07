//! Nutanix AHV, through the REST API of Prism: v2.0 of Prism Element, which sees one cluster, or v3 of Prism Central, which sees all
//! registered clusters.
//!
//! `list` reads a list page by page, `record` knows how each API spells what is in it (`lenient` lets odd parts count as missing), and
//! `inventory` joins the lists. Each request carries the credentials, so there is no session.
//!
//! The facts are from Nutanix's API reference and from public reports, not from a server of ours.

mod error;
mod inventory;
mod lenient;
mod list;
mod record;

use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::error::Error;
use self::inventory::Lists;
pub use self::list::{Flaw, List};
use self::list::{Joined, Page, Range};
use self::record::{Central, Cluster, Element, Identified, Machine};
use crate::cancel::Cancel;
use crate::http::{self, Endpoint, Http, Request, Response};
use crate::mapping::{HypervisorId, Inventory};
use crate::secret::Secret;

/// virt-who's type of this source.
pub const TYPE: &str = "ahv";

/// The largest page, in bytes. Usually a host or virtual machine has a few thousand.
const LARGEST_PAGE: u64 = 16 << 20;

/// Which API is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// v2.0 of Prism Element.
    Element,
    /// v3 of Prism Central.
    Central,
}

impl Api {
    /// The path of the API on its server.
    pub fn path(self) -> &'static str {
        match self {
            Api::Element => "/api/nutanix/v2.0",
            Api::Central => "/api/nutanix/v3",
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Api::Element => "Prism Element's API v2.0",
            Api::Central => "Prism Central's API v3",
        })
    }
}

/// A Prism, and who reads it.
#[derive(Debug)]
pub struct Prism<'a> {
    /// The server. Its path is that of the API.
    pub endpoint: &'a Endpoint,
    /// Which API it has.
    pub api: Api,
    /// The user name.
    pub username: &'a str,
    /// The password.
    pub password: &'a Secret,
    /// The User-Agent of all requests.
    pub agent: &'static str,
}

/// What a Prism says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The version of its software.
    pub version: Option<String>,
    /// The names of its clusters, without Prism Central itself.
    pub clusters: Vec<String>,
    /// The number of hosts.
    pub hosts: usize,
    /// The number of virtual machines.
    pub machines: usize,
}

/// Reads all clusters, hosts and virtual machines that the account may see, and calls `seen` for each of them.
pub fn scan(
    prism: &Prism<'_>,
    id: HypervisorId,
    cancel: &Cancel,
    seen: impl FnMut(),
) -> Result<Inventory, Error> {
    let mut reader = Reader::new(prism, cancel, seen)?;
    let lists = Lists {
        clusters: reader.records(List::Clusters)?,
        hosts: reader.records(List::Hosts)?,
        machines: reader.records(List::Machines)?,
    };
    log::debug!(
        "entries read: {} clusters, {} hosts, {} virtual machines",
        lists.clusters.len(),
        lists.hosts.len(),
        lists.machines.len()
    );
    Ok(lists.inventory(id))
}

/// Asks what the server is, and proves that the account may read all that a scan reads.
pub fn check(prism: &Prism<'_>, cancel: &Cancel) -> Result<About, Error> {
    let mut reader = Reader::new(prism, cancel, || {})?;
    let clusters: Vec<Cluster> = reader.records(List::Clusters)?;
    let own = |cluster: &&Cluster| prism.api == Api::Element || cluster.is_central;
    let version = clusters
        .iter()
        .filter(own)
        .find_map(|cluster| cluster.version.clone());
    let others = clusters.into_iter().filter(|cluster| !cluster.is_central);
    Ok(About {
        version,
        clusters: others
            .filter_map(|cluster| cluster.name.or(cluster.uuid))
            .collect(),
        hosts: reader.total(List::Hosts)?,
        machines: reader.total(List::Machines)?,
    })
}

/// Reads lists over one connection.
struct Reader<'p, S> {
    prism: &'p Prism<'p>,
    http: Http,
    seen: S,
}

impl<'p, S: FnMut()> Reader<'p, S> {
    fn new(prism: &'p Prism<'p>, cancel: &Cancel, seen: S) -> Result<Self, Error> {
        let http = Http::new(prism.endpoint, cancel);
        Ok(Reader {
            prism,
            http: http.map_err(|error| Error::Connection(error.into()))?,
            seen,
        })
    }

    /// A whole list.
    fn records<T>(&mut self, list: List) -> Result<Vec<T>, Error>
    where
        T: Identified + From<Element> + From<Central>,
    {
        match self.prism.api {
            Api::Element => self.pages::<Element, T>(list),
            Api::Central => self.pages::<Central, T>(list),
        }
    }

    fn pages<R, T>(&mut self, list: List) -> Result<Vec<T>, Error>
    where
        R: DeserializeOwned + Default,
        T: Identified + From<R>,
    {
        let mut joined = Joined::new();
        while let Some(range) = joined.next() {
            let page = self.page::<R, T>(list, range)?;
            let before = joined.len();
            joined.add(page).map_err(|flaw| self.flawed(list, flaw))?;
            (before..joined.len()).for_each(|_| (self.seen)());
        }
        Ok(joined.into_records())
    }

    /// How many entries a list has.
    fn total(&self, list: List) -> Result<usize, Error> {
        let first = Range { offset: 0, length: 1 };
        let page = self.page::<Element, Machine>(list, first)?;
        page.total().map_err(|flaw| self.flawed(list, flaw))
    }

    /// Reads a page.
    fn page<R, T>(&self, list: List, range: Range) -> Result<Page<R, T>, Error>
    where
        R: DeserializeOwned + Default,
        T: From<R>,
    {
        let response = self.ask(list, range)?;
        if response.is_html() {
            return Err(self.flawed(list, Flaw::Page));
        }
        // As a whole, because a cut answer and an invalid one are different errors.
        let json = response.read(LARGEST_PAGE).map_err(|error| failed(list, error))?;
        Page::read(&json).map_err(|flaw| self.flawed(list, flaw))
    }

    /// Asks for a page, and reads the answer's header.
    fn ask(&self, list: List, range: Range) -> Result<Response, Error> {
        let (path, body) = range.request(self.prism.api, list);
        let request = match &body {
            None => Request::get(path),
            Some(body) => Request::post(path, "application/json", body.as_bytes()).repeatable(),
        };
        let request = request
            .header("User-Agent", self.prism.agent)
            .header("Accept", "application/json")
            .basic(self.prism.username, self.prism.password)
            .gzip()
            .label(list.path());
        let response = self.http.send(&request).map_err(|error| failed(list, error))?;
        match response.status() {
            200 => Ok(response),
            status => Err(self.refused(status, list, response.into_error(message))),
        }
    }

    /// The error of an answer with another status than 200.
    fn refused(&self, status: u16, list: List, error: http::Error) -> Error {
        let user = self.prism.username.to_owned();
        let source = Box::new(error);
        match status {
            401 => Error::Login {
                server: self.http.base().authority(),
                user,
                source,
            },
            403 => Error::Forbidden { user, list, source },
            404 | 405 => Error::NotFound {
                list,
                api: self.prism.api,
                source,
            },
            _ => failed(list, *source),
        }
    }

    fn flawed(&self, list: List, flaw: Flaw) -> Error {
        Error::List {
            server: self.http.base().authority(),
            list,
            flaw,
        }
    }
}

/// The error of a failed exchange.
fn failed(list: List, error: http::Error) -> Error {
    match error {
        http::Error::Cancelled(cancelled) => cancelled.into(),
        error => Error::Exchange {
            list,
            source: error.into(),
        },
    }
}

/// The message in an error answer: v3 has a list of messages, v2.0 one.
fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        message: Option<String>,
        #[serde(default)]
        message_list: Vec<Message>,
    }
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    let first = refusal.message_list.into_iter().next();
    first.map(|first| first.message).or(refusal.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_each_api() {
        let v3 = br#"{"state": "ERROR", "code": 401, "message_list": [{"reason": "AUTHENTICATION_REQUIRED",
            "message": "Authentication required.", "details": "Basic realm=\"x\""}], "api_version": "3.1"}"#;
        assert_eq!(message(v3).as_deref(), Some("Authentication required."));
        assert_eq!(
            message(br#"{"message":"Server is busy"}"#).as_deref(),
            Some("Server is busy")
        );
        assert_eq!(message(b"<html>"), None);
        assert_eq!(message(b"{}"), None);
    }
}
