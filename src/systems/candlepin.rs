//! Candlepin, the subscription service: hypervisors and their guests are checked in with it.
//!
//! A [`CheckIn`] is what of a mapping is sent, in [`Batch`]es. [`Candlepin::check_in`] sends one, waits for the job that the server
//! makes of it, compares what the job says with what was sent, and adds that to a [`Tally`]. [`Accepted`] is what is kept of it, so
//! that what did not change need not be sent again.
//!
//! Facts about real servers, current and old, are from exchanges recorded with Candlepin 4.7.5 and 2.4.16.

mod accepted;
mod body;
mod checkin;
mod consumer;
mod delivery;
mod error;
mod fit;
mod job;
mod jobs;
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
pub use self::delivery::{Delivered, Delivery, Done, Memory, News, Uncleared};
pub use self::error::{Correlation, Error, LogIds};
use self::job::shortened;
pub use self::jobs::{Manner, Outcome};
pub use self::tally::Tally;
use crate::cancel::Cancel;
use crate::http::{self, Endpoint, Http, Request, Response};
use crate::secret::Secret;

/// What each request says of us.
const AGENT: &str = concat!("vw-report-candlepin/", env!("CARGO_PKG_VERSION"));

/// What the first request does.
const STATUS: &str = "asking for the status";
/// The largest answer about the server's state, in bytes.
const LARGEST_STATUS: u64 = 1 << 20;

/// What may stand in a path or query as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Who reports, and for whom.
#[derive(Debug, Clone)]
pub struct Client {
    /// The owner's key, or organisation's label; case counts.
    pub owner: String,
    /// What the server keeps with each hypervisor as the one who reported it.
    pub id: String,
    /// The owner's environment, which only the synchronous check-in of old servers takes.
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
        /// The uuid that the server gave it.
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

/// What the server says of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What it can do, such as `hypervisors_async`; a server of before there were such lists has none.
    #[serde(default)]
    pub manager_capabilities: Option<Vec<String>>,
}

impl Status {
    /// Whether the server makes jobs of check-ins; one that does not is old, and has the synchronous check-in only.
    pub fn is_asynchronous(&self) -> bool {
        self.can("hypervisors_async")
    }

    /// Whether the server can be told that a reporter is alive though it has nothing new to report.
    pub fn has_heartbeat(&self) -> bool {
        self.can("hypervisors_heartbeat")
    }

    fn can(&self, capability: &str) -> bool {
        let capabilities = self.manager_capabilities.iter().flatten();
        capabilities.into_iter().any(|own| own == capability)
    }
}

impl Candlepin {
    /// Makes ready to talk to a server; nothing is sent yet.
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

    /// Asks the server what it is and can do. This proves neither the credentials nor that it works.
    pub fn status(&mut self) -> Result<Status, Error> {
        let asked = self.exchange(STATUS, Request::get("/status"));
        let (response, log_ids) = asked.map_err(|error| match error {
            // Every Candlepin has a status: one that finds none was asked at a wrong path.
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
                (true, false) => "makes jobs of check-ins, knows no heartbeat",
                (true, true) => "makes jobs of check-ins, knows heartbeats",
            }
        );
        Ok(status)
    }

    /// Sends a request, and makes an error of every answer but a good one.
    fn exchange(&mut self, doing: &str, request: Request<'_>) -> Result<(Response, LogIds), Error> {
        let mut log_ids = LogIds {
            correlation: self.correlation.clone(),
            request: None,
        };
        let request = request
            .header("User-Agent", AGENT)
            .header("Accept", "application/json")
            .header("X-Correlation-ID", &self.correlation.0);
        let request = match &self.client.login {
            // Everyone may ask for the status, and wrong credentials do not change the answer.
            Login::User { username, password } if doing != STATUS => request.basic(username, password),
            _ => request,
        };
        let mut candlepins_own = false;
        let begun = Instant::now();
        let source = match self.http.send(&request) {
            Ok(response) => {
                log_ids.request = response.header("x-candlepin-request-uuid").map(shortened);
                let (status, seconds) = (response.status(), begun.elapsed().as_secs_f32());
                log::debug!("{doing}: {status} after {seconds:.3} s, {log_ids}");
                // 200 from current servers, 202 from old ones for a check-in, 204 where there is nothing to tell.
                if matches!(status, 200 | 202 | 204) {
                    return Ok((response, log_ids));
                }
                response.into_error(|body| {
                    let message = displayed(body);
                    candlepins_own = message.is_some();
                    message
                })
            }
            Err(error) => error,
        };
        let source = Box::new(source);
        Err(match *source {
            http::Error::Status {
                status: 401 | 403, ..
            } => Error::Refused {
                who: self.client.login.to_string(),
                log_ids,
                source,
            },
            http::Error::Status { status: 410, .. } => Error::Gone {
                who: self.client.login.to_string(),
                log_ids,
                source,
            },
            http::Error::Status { status: 404, .. } => {
                let doing = doing.to_owned();
                match candlepins_own {
                    true => Error::NotFound {
                        doing,
                        log_ids,
                        source,
                    },
                    false => Error::NoCandlepin {
                        doing,
                        log_ids,
                        source,
                    },
                }
            }
            _ => Error::Exchange {
                doing: doing.to_owned(),
                log_ids,
                source,
            },
        })
    }
}

/// Whether an owner or a job can be named in a path: empty, `.` and `..` make another path of it, encoded or not.
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

/// The message in the body of a Candlepin's refusal.
fn displayed(body: &[u8]) -> Option<String> {
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
    fn the_status_of_both_generations_tells_what_they_can() {
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
        assert_eq!(displayed(body).as_deref(), Some("Invalid Credentials"));
        assert_eq!(displayed(b"<html>"), None);
    }

    #[test]
    fn an_owner_is_encoded_as_the_server_reads_it() {
        let encoded = utf8_percent_encode("A b/ü+", PLAIN).to_string();
        assert_eq!(encoded, "A%20b%2F%C3%BC%2B");
        assert!(can_be_named("...") && can_be_named("a/..") && !can_be_named(".") && !can_be_named(".."));
    }
}
