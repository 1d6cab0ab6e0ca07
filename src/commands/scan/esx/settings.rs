//! Which vCenter or ESX host is scanned, and how: what the options, the section and the server's URI mean together, or what the
//! folder of a trace says.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::cancel::Cancel;
use crate::cli;
use crate::commands::scan::options::{ALL_IDS, ScanOptions};
use crate::commands::scan::record::{self, Record, Replayed};
use crate::commands::scan::settings::{self, ScanSettings};
use crate::commands::server::{self, ServerOptions};
use crate::commands::vsphere::Server;
use crate::config::Section;
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
    /// What is in force in any scan.
    pub scan: ScanSettings,
}

impl Settings {
    /// The scan that the options ask for. If it is traced, its record is saved beside the trace.
    ///
    /// A signal ends the process at once.
    pub(super) fn new(
        options: &ServerOptions,
        replay: Option<&Path>,
        scan: &ScanOptions,
        cancel: &Cancel,
    ) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        match replay {
            Some(folder) => Settings::replayed(folder, scan),
            None => Settings::configured(options, scan, cancel),
        }
    }

    fn configured(options: &ServerOptions, scan: &ScanOptions, cancel: &Cancel) -> cli::Result<Self> {
        let found = Server::find(options, &scan.section, cancel)?;
        let Server {
            mut endpoint,
            credentials,
            section,
            ..
        } = found;
        let hypervisor_id = settings::hypervisor_id(scan.hypervisor_id, &section, ALL_IDS)?;
        let (deadline, patience) = server::limits(options.connection.time(), Instant::now());
        endpoint.deadline = deadline;
        let (base, username) = (&endpoint.base, &credentials.username);
        let record = Record::new(base, username, section.name(), hypervisor_id, scan);
        if let Some(trace) = &endpoint.trace {
            record.save(trace)?;
        }
        let settings = Settings {
            patience,
            ..Settings::of(&record, section, hypervisor_id, endpoint, credentials.password)
        };
        settings.log(options.connection.time());
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
        let section = Section::default();
        Ok(Settings::of(
            &record,
            section,
            hypervisor_id,
            endpoint,
            no_password,
        ))
    }

    fn of(
        record: &Record,
        section: Section,
        hypervisor_id: HypervisorId,
        endpoint: Endpoint,
        password: Secret,
    ) -> Self {
        Settings {
            credentials: Credentials {
                username: record.username.clone(),
                password,
            },
            patience: Patience::USUAL,
            scan: ScanSettings {
                section,
                hypervisor_id,
                guest_names: record.guest_names,
                source: Source {
                    section: record.section.clone(),
                    kind: Some(vsphere::TYPE.into()),
                    server: Some(server::name_of(&endpoint.base)),
                    time: record.stamp(),
                    ..Source::default()
                },
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
            self.scan.hypervisor_id,
            timeout.unwrap_or(server::USUAL_LIMIT).as_secs()
        );
    }
}
