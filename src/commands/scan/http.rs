//! A scan of one server over HTTP: what the options, the section and the defaults mean together.

use std::time::{Duration, Instant};

use super::options::ScanOptions;
use super::settings::ScanSettings;
use crate::cancel::Cancel;
use crate::cli::{self, Failure};
use crate::commands::kind::Kind;
use crate::commands::server::{self, Login, Server, ServerOptions};
use crate::http::Endpoint;
use crate::retry::{Retryable, retry};

/// A scan of one server over HTTP.
pub(super) struct HttpScan {
    /// What is in force in any scan.
    pub settings: ScanSettings,
    /// The server, without a deadline.
    pub endpoint: Endpoint,
    /// The account.
    pub login: Login,
    /// `--timeout`.
    time: Option<Duration>,
}

impl HttpScan {
    /// The scan that the options and the section ask for. It may ask for the password. A signal ends the process at once.
    pub(super) fn new(
        kind: &Kind,
        options: &ServerOptions,
        scan: &ScanOptions,
        cancel: &Cancel,
    ) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        let no_service = || Failure::defect(format!("no service for {}", kind.name));
        let service = kind.service.as_ref().ok_or_else(no_service)?;
        let Server {
            mut endpoint,
            login,
            section,
        } = Server::find(kind.name, service, options, &scan.section, cancel)?;
        endpoint.deadline = None;
        let settings = ScanSettings::new(kind, scan, section, Some(server::name_of(&endpoint.base)))?;
        let time = options.connection.time();
        log::debug!(
            "server {}, user {:?}, hypervisor id {}, time limit {} s",
            endpoint.base,
            login.username,
            settings.hypervisor_id,
            time.unwrap_or(server::USUAL_LIMIT).as_secs()
        );
        Ok(HttpScan {
            settings,
            endpoint,
            login,
            time,
        })
    }

    /// Does the work, and repeats it after temporary failures, within the time limit, which begins now. Each attempt logs in for
    /// itself.
    pub(super) fn attempt<T, E: Retryable>(
        &self,
        cancel: &Cancel,
        mut work: impl FnMut(&Endpoint) -> Result<T, E>,
    ) -> Result<T, E> {
        let (deadline, patience) = server::limits(self.time, Instant::now());
        let endpoint = Endpoint {
            deadline,
            ..self.endpoint.clone()
        };
        retry(deadline, patience, cancel, || work(&endpoint))
    }
}
