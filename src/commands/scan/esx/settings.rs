//! Which vCenter or ESX host is scanned, by whom and how: what options, section and the server's URI say together, or what the
//! folder of a trace does.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::cli::Context as _;
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::cli::{self, Failure, args, password, stamp};
use crate::commands::advice::advised;
use crate::commands::scan::section;
use crate::commands::way;
use crate::error::Kind;
use crate::http::{Base, Endpoint, Replay};
use crate::mapping::Source;
use crate::secret::Secret;
use crate::systems::vsphere::{Address, Credentials, HypervisorId, Patience, UnknownHypervisorId};

/// How long a scan may take without `--timeout`.
const USUAL_LIMIT: Duration = Duration::from_secs(3600);

/// virt-who's type of this source.
const TYPE: &str = "esx";

/// What a trace's folder tells of the scan as a whole.
const RECORD: &str = "scan.json";

/// Which vCenter or ESX host is scanned, by whom and how.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Options {
    /// Scan SERVER: a host name, an address, a URL or a libvirt URI (esx://, vpx://)
    #[arg(long, value_name = "SERVER")]
    server: Option<String>,
    #[command(flatten)]
    account: args::Account,
    /// Make uuid, hostname or hwuuid the hypervisors' id [default: uuid]
    #[arg(long, value_name = "ID")]
    hypervisor_id: Option<HypervisorId>,
    /// Write each guest's name, managed object id and uuid as vSphere shows it, too
    #[arg(long)]
    guest_names: bool,
    /// Write the moment of the scan, too
    #[arg(long)]
    stamp: bool,
    /// Scan what --trace saved in DIR, without a server
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "server", "username", "password_file", "key_file", "config", "name",
        "cacert", "thumbprint", "insecure", "proxy", "proxy_password_file", "timeout", "trace",
    ])]
    replay: Option<PathBuf>,
    #[command(flatten)]
    section: args::Section,
    #[command(flatten)]
    connection: args::Connection,
}

/// A scan that is about to be made.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where.
    pub endpoint: Endpoint,
    /// By whom.
    pub credentials: Credentials,
    /// How long failures that may pass are tried again.
    pub patience: Patience,
    /// What becomes the hypervisors' id.
    pub hypervisor_id: HypervisorId,
    /// Whether guests get their names.
    pub guest_names: bool,
    /// What the mapping says about where it comes from, but for what only the server knows.
    pub source: Source,
}

/// A [`Scan`] beside its trace: with it a replay prints the same.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record {
    version: String,
    server: String,
    username: String,
    section: Option<String>,
    hypervisor_id: String,
    guest_names: bool,
    stamp: bool,
    time: String,
}

impl Scan {
    /// Names the section in an error of the scan, since the server's name does not tell which password is wrong.
    pub(super) fn of_section(&self, error: impl Into<cli::Error>) -> cli::Error {
        let error = advised(error.into());
        let told = matches!(error.kind(), Kind::Signal(_) | Kind::ReaderGone);
        match &self.source.section {
            Some(section) if !told => error.context(format!("section [{section}]")),
            _ => error,
        }
    }

    /// What the options ask for; where there is a trace, that is saved in it.
    ///
    /// A signal ends the process at once.
    pub(super) fn new(options: &Options, cancel: &Cancel) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        match &options.replay {
            Some(folder) => Scan::recorded(folder, options),
            None => Scan::configured(options, cancel),
        }
    }

    fn configured(options: &Options, cancel: &Cancel) -> cli::Result<Self> {
        let wrong = |error| Failure::new(Kind::Usage, format!("--server: {error}"));
        let given = options.server.as_deref().map(Address::parse);
        let given = given.transpose().map_err(wrong)?;
        let user = given.as_ref().and_then(|given| given.username.as_ref());
        let complete = given.is_some() && options.account.username.as_ref().or(user).is_some();
        let key_file = options.account.key_file.as_deref();
        let from_option = given.is_some();
        let server = ("server", from_option);
        let section = section::find(&options.section, key_file, TYPE, server, complete);
        let section = section.map_err(|error| match given {
            Some(_) => args::beside_server(error, &["--username"]),
            None => error,
        })?;
        let address = match given {
            Some(address) => address,
            None => Address::parse(&section.need("server", "--server")?)
                .map_err(|error| section.wrong("server", &error.to_string()))?,
        };
        if !address.unknown.is_empty() {
            let names = address.unknown.join(", ");
            log::warn!("the server's URI has parameters that mean nothing here: {names}");
        }
        let connection = &options.connection;
        let mut endpoint = way::source(connection, &section, &address, from_option)?;
        connection.proxy_password(&mut endpoint, &section, &args::Keys::SOURCE, cancel)?;
        connection.apply(&mut endpoint);
        let username = match options.account.username.clone().or(address.username) {
            Some(username) => username,
            None => section.need("username", "--username")?,
        };
        let sources = password::Sources {
            file: options.account.password_file.as_deref(),
            section: &section,
            key: "password",
            variable: "VIRTWHO_ESX_PASSWORD",
            named: options.section.name.is_some(),
            whose: &format!("{username} at {}", endpoint.base.authority()),
        };
        let password = password::find(&sources, cancel)?;
        let hypervisor_id = match (options.hypervisor_id, section.text("hypervisor_id")?) {
            (Some(id), _) => id,
            (None, Some(text)) => text
                .parse()
                .map_err(|_| section.wrong_value("hypervisor_id", "is not uuid, hostname or hwuuid"))?,
            (None, None) => HypervisorId::default(),
        };
        let (deadline, patience) = limits(options.connection.time(), Instant::now());
        endpoint.deadline = deadline;
        let record = Record {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            server: endpoint.base.to_string(),
            username,
            section: section.name().map(str::to_owned),
            hypervisor_id: hypervisor_id.to_string(),
            guest_names: options.guest_names,
            stamp: options.stamp,
            time: stamp::utc(SystemTime::now()),
        };
        if let Some(trace) = &endpoint.trace {
            trace.hide(&password);
            let record = serde_json::to_vec_pretty(&record).map_err(Failure::defect)?;
            trace.save(RECORD, &record)?;
        }
        tell(&record, options.connection.time());
        Ok(Scan {
            patience,
            ..Scan::of(record, hypervisor_id, endpoint, password)
        })
    }

    fn recorded(folder: &Path, options: &Options) -> cli::Result<Self> {
        let replay = Replay::open(folder).context("--replay")?;
        let unusable = |reason: &dyn fmt::Display| {
            let path = folder.join(RECORD);
            Failure::new(Kind::Data, format!("--replay {}: {reason}", path.display()))
        };
        let record = replay.load(RECORD)?;
        let record = serde_json::from_slice::<Record>(&record);
        let mut record = record.map_err(|error| unusable(&error))?;
        if options.guest_names && !record.guest_names {
            let problem = "it was made without --guest-names, so the names are not in it";
            return Err(unusable(&problem).into());
        }
        record.stamp |= options.stamp;
        let hypervisor_id = match options.hypervisor_id {
            Some(id) => id,
            None => record
                .hypervisor_id
                .parse()
                .map_err(|error: UnknownHypervisorId| unusable(&error))?,
        };
        let base = Address::parse(&record.server)
            .map_err(|error| unusable(&error))?
            .base;
        let mut endpoint = Endpoint::new(base);
        endpoint.replay = Some(replay);
        Ok(Scan::of(
            record,
            hypervisor_id,
            endpoint,
            Secret::from(String::new()),
        ))
    }

    fn of(record: Record, hypervisor_id: HypervisorId, endpoint: Endpoint, password: Secret) -> Self {
        Scan {
            credentials: Credentials {
                username: record.username,
                password,
            },
            patience: Patience::USUAL,
            hypervisor_id,
            guest_names: record.guest_names,
            source: Source {
                section: record.section,
                kind: Some(TYPE.into()),
                server: Some(place(&endpoint.base)),
                time: record.stamp.then_some(record.time),
                ..Source::default()
            },
            endpoint,
        }
    }
}

/// When the scan must have ended, and how long failures that may pass are tried again until then.
fn limits(timeout: Option<Duration>, now: Instant) -> (Option<Instant>, Patience) {
    match timeout {
        // More than the clock can tell is no limit.
        Some(time) => (now.checked_add(time), Patience::UntilDeadline),
        None => (Some(now + USUAL_LIMIT), Patience::USUAL),
    }
}

/// The server as a mapping names it: its host, with a port that is not the scheme's.
fn place(base: &Base) -> String {
    let usual = if base.https { 443 } else { 80 };
    match base.port == usual {
        true => base.host.clone(),
        false => base.authority(),
    }
}

/// Says what is in force.
fn tell(record: &Record, timeout: Option<Duration>) {
    log::debug!(
        "server {}, user {:?}, hypervisor id {}, time limit {} s",
        record.server,
        record.username,
        record.hypervisor_id,
        timeout.unwrap_or(USUAL_LIMIT).as_secs()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_ends_after_an_hour_unless_told_otherwise() {
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        assert_eq!(limits(None, now), (Some(now + hour), Patience::USUAL));
        let day = 24 * hour;
        assert_eq!(limits(Some(day), now), (Some(now + day), Patience::UntilDeadline));
        assert_eq!(limits(Some(Duration::MAX), now), (None, Patience::UntilDeadline));
    }

    #[test]
    fn a_port_that_is_not_the_schemes_belongs_to_the_server() {
        for (text, expected) in [
            ("vc.example.com", "vc.example.com"),
            ("vc.example.com:443", "vc.example.com"),
            ("vc.example.com:8443", "vc.example.com:8443"),
            ("http://vc", "vc"),
            ("http://vc:443", "vc:443"),
            ("fe80::1", "fe80::1"),
            ("[fe80::1]:8443", "[fe80::1]:8443"),
        ] {
            assert_eq!(place(&Address::parse(text).unwrap().base), expected, "{text}");
        }
    }
}
