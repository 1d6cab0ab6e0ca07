//! Which vCenter or ESX host is scanned, and how: what the options, the section and the server's URI mean together, or what the
//! folder of a trace says.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::cli::{self, Failure, args};
use crate::commands::scan::options::ScanOptions;
use crate::commands::scan::record::{self, Record, Replayed};
use crate::commands::scan::server::{self, Login, ServerOptions};
use crate::commands::scan::{address_problem, section, settings};
use crate::commands::way;
use crate::config::Section;
use crate::error::Kind;
use crate::http::Endpoint;
use crate::mapping::{HypervisorId, Source};
use crate::retry::Patience;
use crate::secret::Secret;
use crate::systems::vsphere::{self, Address, Credentials};

/// A scan of one vCenter or ESX host.
#[derive(Debug)]
pub(super) struct Settings {
    /// The server.
    pub endpoint: Endpoint,
    /// The account.
    pub credentials: Credentials,
    /// How long temporary failures are retried.
    pub patience: Patience,
    /// What becomes the hypervisors' id.
    pub hypervisor_id: HypervisorId,
    /// Whether guests get their names.
    pub guest_names: bool,
    /// What the mapping says about its source, except for what only the server knows.
    pub source: Source,
}

impl Settings {
    /// The scan that the options ask for. If it is traced, its record is saved beside the trace.
    ///
    /// A signal ends the process at once.
    pub(super) fn new(server: &ServerOptions, scan: &ScanOptions, cancel: &Cancel) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        match &server.replay {
            Some(folder) => Settings::replayed(folder, scan),
            None => Settings::configured(server, scan, cancel),
        }
    }

    fn configured(server: &ServerOptions, scan: &ScanOptions, cancel: &Cancel) -> cli::Result<Self> {
        let given = server.server.as_deref().map(Address::parse).transpose();
        let given = given.map_err(|error| {
            let problem = format!("--server: {}", address_problem(&error));
            Failure::new(Kind::Usage, problem)
        })?;
        let section = find_section(server, scan, given.as_ref())?;
        let from_option = given.is_some();
        let address = match given {
            Some(address) => address,
            None => Address::parse(&section.need("server")?)
                .map_err(|error| section.wrong("server", &address_problem(&error)))?,
        };
        if !address.unknown.is_empty() {
            let names = address.unknown.join(", ");
            log::warn!("ignored unknown parameters in the server's URI: {names}");
        }
        let connection = &server.connection;
        let mut endpoint = way::source(connection, &section, &address, from_option)?;
        connection.proxy_password(&mut endpoint, &section, &args::Keys::SOURCE, cancel)?;
        connection.apply(&mut endpoint);
        let login = Login::find(
            &server.account,
            address.username,
            &section,
            scan.section.name.is_some(),
            (&endpoint.base, "VIRTWHO_ESX_PASSWORD"),
            cancel,
        )?;
        let hypervisor_id = settings::hypervisor_id(scan.hypervisor_id, &section)?;
        let (deadline, patience) = settings::limits(connection.time(), Instant::now());
        endpoint.deadline = deadline;
        let base = &endpoint.base;
        let record = Record::new(base, &login.username, section.name(), hypervisor_id, scan);
        if let Some(trace) = &endpoint.trace {
            trace.hide(&login.password);
            record.save(trace)?;
        }
        let settings = Settings {
            patience,
            ..Settings::of(&record, hypervisor_id, endpoint, login.password)
        };
        settings.log(connection.time());
        Ok(settings)
    }

    fn replayed(folder: &Path, scan: &ScanOptions) -> cli::Result<Self> {
        let Replayed {
            record,
            hypervisor_id,
            replay,
        } = Replayed::open(folder, scan)?;
        let address = Address::parse(&record.server);
        let address = address.map_err(|error| record::unusable(folder, error))?;
        let mut endpoint = Endpoint::new(address.base);
        endpoint.replay = Some(replay);
        let no_password = Secret::from(String::new());
        Ok(Settings::of(&record, hypervisor_id, endpoint, no_password))
    }

    fn of(record: &Record, hypervisor_id: HypervisorId, endpoint: Endpoint, password: Secret) -> Self {
        Settings {
            credentials: Credentials {
                username: record.username.clone(),
                password,
            },
            patience: Patience::USUAL,
            hypervisor_id,
            guest_names: record.guest_names,
            source: Source {
                section: record.section.clone(),
                kind: Some(vsphere::TYPE.into()),
                server: Some(server::name_of(&endpoint.base)),
                time: record.stamp(),
                ..Source::default()
            },
            endpoint,
        }
    }

    /// Logs what is in force.
    fn log(&self, timeout: Option<Duration>) {
        log::debug!(
            "server {}, user {:?}, hypervisor id {}, time limit {} s",
            self.endpoint.base,
            self.credentials.username,
            self.hypervisor_id,
            timeout.unwrap_or(settings::USUAL_LIMIT).as_secs()
        );
    }
}

/// The section of the scan. If options give a server and a user, none is needed.
fn find_section(server: &ServerOptions, scan: &ScanOptions, given: Option<&Address>) -> cli::Result<Section> {
    let user = given.and_then(|given| given.username.as_ref());
    let complete = given.is_some() && server.account.username.as_ref().or(user).is_some();
    let key_file = server.account.key_file.as_deref();
    let key = ("server", given.is_some());
    let section = section::find(&scan.section, key_file, vsphere::TYPE, key, complete);
    section.map_err(|error| match given {
        Some(_) => args::beside_server(error, &["--username"]),
        None => error.into(),
    })
}
