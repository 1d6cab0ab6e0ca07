//! Candlepin, the subscription service: checks hypervisors and their guests in, and reads back what the server holds.
//!
//! A [`CheckIn`] is the part of a mapping that is sent, in [`Batch`]es. [`Candlepin::check_in`] sends a batch, waits for the job
//! that the server makes of it, compares the job's result with what was sent, and adds it to a [`Tally`]. [`Accepted`] is what is
//! stored of an accepted report, so that an unchanged mapping is not sent again. [`ReadBack`] reads what the server holds.
//!
//! The facts about real servers are from exchanges recorded with Candlepin 4.7.5 and 2.4.16.

mod accepted;
mod body;
mod checkin;
mod consumer;
mod deletion;
mod delivery;
mod error;
mod fit;
mod job;
mod jobs;
mod missing;
mod read_back;
mod tally;

use std::fmt;
use std::time::Instant;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use self::accepted::{Accepted, Series};
pub use self::body::Batch;
pub use self::checkin::CheckIn;
pub use self::consumer::consumer;
pub use self::deletion::{Deletion, TooMany, Vanished};
pub use self::delivery::{Delivered, Delivery, Done, Memory, News, Uncleared};
pub use self::error::{Correlation, Error, LogIds};
use self::job::shortened;
pub use self::jobs::{Manner, Outcome};
pub use self::read_back::{LAST_CHECKIN, List, Listed, REPORTER, ReadBack};
pub use self::tally::Tally;
use crate::cancel::Cancel;
use crate::http::{self, Endpoint, Http, Request, Response};
use crate::secret::Secret;

/// What the first request does, for messages.
const STATUS: &str = "asking for the status";
/// The limit for the answer about the server's status, in bytes.
const LARGEST_STATUS: u64 = 1 << 20;

/// The characters that need no encoding in a path or query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Who reports, and for which owner.
#[derive(Debug, Clone)]
pub struct Client {
    /// The User-Agent of all requests.
    pub agent: &'static str,
    /// The owner's key (in Satellite 6 the organisation's label). Upper and lower case differ. It is empty if only this
    /// machine's own guests are reported, whose owner the server knows.
    pub owner: String,
    /// The reporter id, which the server stores with each hypervisor.
    pub id: String,
    /// The owner's environment. Only the synchronous check-in of old servers uses it.
    pub environment: Option<String>,
    /// Who logs in.
    pub login: Login,
}

/// Who logs in.
#[derive(Debug, Clone)]
pub enum Login {
    /// A user, by name and password.
    User {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A registered system, by the certificate of the [`Endpoint`].
    Consumer {
        /// The uuid that the server gave the system.
        uuid: String,
    },
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Login::User { username, .. } => write!(f, "user {username:?}"),
            Login::Consumer { uuid } => write!(f, "this system, consumer {uuid},"),
        }
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Candlepin {
    http: Http,
    client: Client,
    cancel: Cancel,
    correlation: Correlation,
    deadline: Option<Instant>,
}

/// What the server says about itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// Its capabilities, such as `hypervisors_async`; `None` on very old servers.
    #[serde(default)]
    pub manager_capabilities: Option<Vec<String>>,
}

impl Status {
    /// Whether the server makes jobs of check-ins. Old servers have only the synchronous check-in.
    pub fn is_asynchronous(&self) -> bool {
        self.can("hypervisors_async")
    }

    /// Whether the server accepts heartbeats: a reporter is alive and has nothing new to report.
    pub fn has_heartbeat(&self) -> bool {
        self.can("hypervisors_heartbeat")
    }

    fn can(&self, capability: &str) -> bool {
        let capabilities = self.manager_capabilities.iter().flatten();
        capabilities.into_iter().any(|own| own == capability)
    }
}

impl Candlepin {
    /// Prepares a connection; nothing is sent yet.
    pub fn new(
        endpoint: &Endpoint,
        client: Client,
        correlation: Correlation,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        Ok(Candlepin {
            http: Http::new(endpoint, cancel).map_err(|error| Error::Connection(error.into()))?,
            client,
            cancel: cancel.clone(),
            correlation,
            deadline: endpoint.deadline,
        })
    }

    /// Asks for the server's version and capabilities. This proves neither the credentials nor that check-ins work.
    pub fn status(&mut self) -> Result<Status, Error> {
        let asked = self.exchange(STATUS, Request::get("/status"));
        let (response, log_ids) = asked.map_err(|error| match error {
            // Every Candlepin has a status, so the path must be wrong.
            Error::NotFound {
                doing,
                log_ids,
                source,
            } => Error::NoCandlepin {
                doing,
                log_ids,
                source,
            },
            error => error,
        })?;
        let (status, log_ids): (Status, LogIds) = json(response, LARGEST_STATUS, STATUS, log_ids)?;
        if status.version.is_empty() && status.manager_capabilities.is_none() {
            return Err(Error::Answer {
                doing: STATUS.to_owned(),
                reason: "it has neither version nor managerCapabilities".to_owned(),
                log_ids,
            });
        }
        log::debug!(
            "Candlepin {}: {}",
            shortened(&status.version),
            match (status.is_asynchronous(), status.has_heartbeat()) {
                (false, _) => "checks in without jobs",
                (true, false) => "makes jobs of check-ins, has no heartbeat",
                (true, true) => "makes jobs of check-ins, has a heartbeat",
            }
        );
        Ok(status)
    }

    /// Sends a request; returns an error for every status that is not a success.
    fn exchange(&mut self, doing: &str, request: Request<'_>) -> Result<(Response, LogIds), Error> {
        let mut log_ids = LogIds {
            correlation: self.correlation.clone(),
            request: None,
        };
        let request = request
            .header("User-Agent", self.client.agent)
            .header("Accept", "application/json")
            .header("X-Correlation-ID", &self.correlation.0);
        let request = match &self.client.login {
            // The status needs no credentials, and wrong ones do not change the answer.
            Login::User { username, password } if doing != STATUS => request.basic(username, password),
            _ => request,
        };
        let begun = Instant::now();
        let response = match self.http.send(&request) {
            Ok(response) => response,
            Err(source) => return Err(self.failed(doing, log_ids, source, false)),
        };
        log_ids.request = response.header("x-candlepin-request-uuid").map(shortened);
        let (status, seconds) = (response.status(), begun.elapsed().as_secs_f32());
        log::debug!("{doing}: {status} after {seconds:.3} s, {log_ids}");
        // 202 comes from old servers for a check-in, 204 if the answer has no body.
        if matches!(status, 200 | 202 | 204) {
            return Ok((response, log_ids));
        }
        let mut is_from_candlepin = false;
        let source = response.into_error(|body| {
            let message = display_message(body);
            is_from_candlepin = message.is_some();
            message
        });
        Err(self.failed(doing, log_ids, source, is_from_candlepin))
    }

    /// The error of a failed exchange. `is_from_candlepin` says whether Candlepin itself wrote the answer.
    fn failed(&self, doing: &str, log_ids: LogIds, source: http::Error, is_from_candlepin: bool) -> Error {
        let status = match source {
            http::Error::Status { status, .. } => Some(status),
            _ => None,
        };
        let source = Box::new(source);
        let doing = doing.to_owned();
        let who = || self.client.login.to_string();
        match status {
            Some(401 | 403) => Error::Refused {
                who: who(),
                log_ids,
                source,
            },
            Some(410) => Error::Gone {
                who: who(),
                log_ids,
                source,
            },
            Some(404) if is_from_candlepin => Error::NotFound {
                doing,
                log_ids,
                source,
            },
            Some(404) => Error::NoCandlepin {
                doing,
                log_ids,
                source,
            },
            _ => Error::Exchange {
                doing,
                log_ids,
                source,
            },
        }
    }
}

/// Whether an owner or a job can be part of a path. An empty name, `.` and `..` change the path, even if they are encoded.
pub fn can_be_named(key: &str) -> bool {
    !matches!(key, "" | "." | "..")
}

/// Reads the body of an answer as JSON.
fn json<T: DeserializeOwned>(
    response: Response,
    limit: u64,
    doing: &str,
    log_ids: LogIds,
) -> Result<(T, LogIds), Error> {
    let html = response.is_html();
    let body = match response.read(limit) {
        Ok(body) => body,
        Err(source) => {
            return Err(Error::Exchange {
                doing: doing.to_owned(),
                log_ids,
                source: source.into(),
            });
        }
    };
    match serde_json::from_slice(&body) {
        Ok(value) => Ok((value, log_ids)),
        Err(error) => Err(Error::Answer {
            doing: doing.to_owned(),
            reason: match html {
                true => "a web page came instead".to_owned(),
                false => shortened(&error.to_string()),
            },
            log_ids,
        }),
    }
}

/// The message in the body of Candlepin's error answers.
fn display_message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Refusal {
        display_message: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    Some(refusal.display_message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::utf8_percent_encode;

    #[test]
    fn the_status_of_both_generations_lists_capabilities() {
        for body in [
            &include_bytes!("../../tests/data/candlepin/4.7.5-status.json")[..],
            include_bytes!("../../tests/data/candlepin/2.4.16-status.json"),
        ] {
            let status: Status = serde_json::from_slice(body).unwrap();
            assert!(
                status.is_asynchronous() && !status.can("hypervisors"),
                "{status:?}"
            );
        }
    }

    #[test]
    fn the_message_of_a_refusal() {
        let body = br#"{"displayMessage":"Invalid Credentials","requestUuid":"x"}"#;
        assert_eq!(display_message(body).as_deref(), Some("Invalid Credentials"));
        assert_eq!(display_message(b"<html>"), None);
    }

    #[test]
    fn an_owner_is_encoded_as_the_server_reads_it() {
        let encoded = utf8_percent_encode("A b/ü+", PLAIN).to_string();
        assert_eq!(encoded, "A%20b%2F%C3%BC%2B");
        assert!(can_be_named("...") && can_be_named("a/..") && !can_be_named(".") && !can_be_named(".."));
    }
}
