//! What is wrong with a configuration, and what would go wrong when it is used: `vw-config check`.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::args::Hosts;
use super::filtering::Filtering;
use crate::config::{Config, Error, Note, Rhsm, Section, keys, password};
use crate::satellite5;
use crate::vsphere::{Address, HypervisorId};

/// Something to be told about the configuration.
#[derive(Debug)]
pub struct Finding {
    /// Does it keep its section from being used?
    pub is_error: bool,
    /// What it is.
    pub note: Note,
}

/// What became of a section.
#[derive(Debug)]
pub struct Checked {
    /// Its name; none for the section that the environment is.
    pub name: Option<String>,
    /// Can it be used?
    pub usable: bool,
    /// The type of its source.
    pub kind: Option<String>,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Check {
    /// The findings, in the order of the files, then of the sections.
    pub findings: Vec<Finding>,
    /// The sections, in the order of the files.
    pub sections: Vec<Checked>,
    /// Certificates of registered machines that are missing, and the sections that need them.
    unregistered: BTreeMap<PathBuf, Vec<String>>,
}

/// Where the check looks beside the configuration.
pub struct Surroundings<'a> {
    /// The key of encrypted passwords.
    pub key_file: PathBuf,
    /// Is there a command of this name in PATH?
    pub has_command: &'a dyn Fn(&str) -> bool,
}

/// Types of sources that virt-who knows, or knew.
const TYPES: [&str; 9] = [
    "esx", "fake", "libvirt", "hyperv", "kubevirt", "ahv", "xen", "rhevm", "vdsm",
];

/// The passwords of a section: the key, and what it is for.
const PASSWORDS: [&str; 4] = ["password", "rhsm_password", "rhsm_proxy_password", "sat_password"];

impl Check {
    /// Looks at all there is.
    pub fn new(config: &Config, surroundings: &Surroundings<'_>) -> Self {
        let mut check = Check::default();
        let broken: Vec<&Note> = config.broken().collect();
        for note in config.notes() {
            check.tell(broken.contains(&note), note.clone());
        }
        for note in config.unknown_keys() {
            check.tell(false, note);
        }
        check.global(&config.global().clone());
        let mut servers = HashMap::new();
        for section in config.sections().chain(config.environment()) {
            let section = section.clone().with_key_file(Some(surroundings.key_file.clone()));
            let before = check.errors();
            if section.broken().is_none() {
                check.section(&section, surroundings);
                check.same_server(&section, &mut servers);
            }
            check.sections.push(Checked {
                name: section.name().map(str::to_owned),
                usable: section.broken().is_none() && check.errors() == before,
                kind: section.source_type().ok(),
            });
        }
        for (file, sections) in std::mem::take(&mut check.unregistered) {
            let message = format!(
                "this machine is not registered, for there is no {}; register it, or give an account by rhsm_username and \
                 rhsm_password: {}",
                file.display(),
                sections.join(", ")
            );
            check.tell(false, elsewhere(&anyhow::Error::msg(message)));
        }
        check
    }

    fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.is_error).count()
    }

    fn tell(&mut self, is_error: bool, note: Note) {
        self.findings.push(Finding { is_error, note });
    }

    /// Takes a value, or tells why there is none.
    fn take<T>(&mut self, value: Result<T, Error>) -> Option<T> {
        value
            .map_err(|error| match error {
                Error::Wrong(note) => self.tell(true, note),
                error => self.tell(true, elsewhere(&anyhow::Error::from(error))),
            })
            .ok()
    }

    fn warn(&mut self, section: &Section, key: &str, reason: &str) {
        if let Error::Wrong(note) = section.wrong(key, reason) {
            self.tell(false, note);
        }
    }

    fn fail(&mut self, section: &Section, key: &str, reason: &str) {
        let _: Option<()> = self.take(Err(section.wrong(key, reason)));
    }

    /// `[global]`, of which nothing keeps a section from being used.
    fn global(&mut self, global: &Section) {
        let mut said = Vec::new();
        let interval = global.number::<u64>("interval");
        if matches!(interval, Ok(Some(..60)) | Err(_)) && global.has("interval") {
            said.push(global.wrong_value("interval", "is less than 60 or no number, so it is 3600 seconds"));
        }
        for key in ["debug", "oneshot", "print_", "status", "json", "log_per_config"] {
            said.extend(global.flag(key).err());
        }
        for key in ["reporter_id", "log_dir", "log_file"] {
            said.extend(global.text(key).err());
        }
        said.extend(global.list("configs").err());
        for error in said {
            if let Error::Wrong(note) = error {
                self.tell(false, note);
            }
        }
    }

    fn section(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        let before = self.errors();
        for shown in section.shown() {
            if let Some(Err(reason)) = shown.value {
                match keys::SECTION.contains(&shown.key.as_str()) {
                    true => self.fail(section, &shown.key, &reason),
                    false => self.warn(section, &shown.key, &reason),
                }
            }
        }
        if self.errors() > before {
            return;
        }
        self.key_file(section, surroundings);
        self.source(section, surroundings);
        if let Err(error) = Filtering::new(&Hosts::default(), Some(section)) {
            match error.downcast::<Error>() {
                Ok(error) => drop(self.take::<()>(Err(error))),
                Err(error) => self.tell(true, elsewhere(&error)),
            }
        }
        self.patterns(section);
        self.destination(section);
    }

    fn key_file(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        let mut encrypted = false;
        for key in PASSWORDS {
            self.take(section.secret(key));
            encrypted |= section.is_encrypted(key);
        }
        if encrypted && let Ok(true) = password::try_key(&surroundings.key_file) {
            let file = surroundings.key_file.display();
            let reason = format!("the key file {file} may be read by everyone; chmod 600 it");
            self.warn(section, "encrypted_password", &reason);
        }
    }

    fn source(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        let Some(kind) = self.take(section.source_type()) else {
            return;
        };
        let scan = format!("vw-scan-{kind}");
        match kind.as_str() {
            "esx" => self.esx(section),
            "fake" => {
                if let Some(file) = self.take(section.need("file", "a file of virt-who's -p"))
                    && let Err(error) = std::fs::File::open(&file)
                {
                    self.fail(section, "file", &format!("{file} can't be read: {error}"));
                }
            }
            _ if (surroundings.has_command)(&scan) => {}
            _ if !section.has("type") => {
                let reason = "is missing, which means libvirt, and no command reads that; set it to esx";
                self.fail(section, "type", reason);
            }
            kind => {
                let reason = match TYPES.contains(&kind) {
                    true => format!("{kind} is not supported: there is no command {scan} in PATH"),
                    false => {
                        format!("'{kind}' is no type that is known, and there is no command {scan} in PATH")
                    }
                };
                self.fail(section, "type", &reason);
            }
        }
    }

    fn esx(&mut self, section: &Section) {
        let mut username = None;
        if let Some(server) = self.take(section.need("server", "--server")) {
            match Address::parse(&server) {
                Ok(address) => username = address.username,
                Err(error) => self.fail(section, "server", &error.to_string()),
            }
        }
        if username.is_none() {
            self.take(section.need("username", "--username"));
        }
        if matches!(section.secret("password"), Ok(None)) {
            let reason = "is missing; unless --password-file gives it, the scan asks for it on a terminal";
            self.warn(section, "password", reason);
        }
        if let Some(Some(id)) = self.take(section.text("hypervisor_id"))
            && id.parse::<HypervisorId>().is_err()
        {
            self.take::<()>(Err(
                section.wrong_value("hypervisor_id", "is not uuid, hostname or hwuuid")
            ));
        }
    }

    /// A pattern that has the form of another kind of id matches nothing.
    fn patterns(&mut self, section: &Section) {
        let ids = section.text("hypervisor_id").ok().flatten();
        let ids = ids.unwrap_or_else(|| "uuid".to_owned());
        for key in ["filter_hosts", "exclude_hosts"] {
            for pattern in section.list(key).ok().flatten().unwrap_or_default() {
                let is_uuid = uuid::Uuid::parse_str(&pattern).is_ok();
                let is_plain = pattern
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
                let reason = match ids.as_str() {
                    "hostname" | "hwuuid" if is_uuid => {
                        format!("'{pattern}' is a uuid, but the ids are by {ids}")
                    }
                    "uuid" if is_plain && !is_uuid => {
                        format!(
                            "'{pattern}' is no uuid, but the ids are uuids; set hypervisor_id, or use --match-names"
                        )
                    }
                    _ => continue,
                };
                self.warn(section, key, &format!("{reason}: it matches nothing"));
            }
        }
    }

    fn destination(&mut self, section: &Section) {
        if section.has("sat_server") {
            if let Some(server) = self.take(section.need("sat_server", "--server"))
                && let Err(error) = satellite5::base(&server)
            {
                self.fail(section, "sat_server", &error.to_string());
            }
            self.take(section.need("sat_username", "--username"));
            if matches!(section.secret("sat_password"), Ok(None)) {
                let reason =
                    "is missing; unless --password-file gives it, the report asks for it on a terminal";
                self.warn(section, "sat_password", reason);
            }
            return;
        }
        if section.source_type().is_ok_and(|kind| kind == "fake") && !section.has("owner") {
            return self.warn(
                section,
                "owner",
                "is missing, so it can't be reported to Candlepin",
            );
        }
        self.take(section.need("owner", "--owner"));
        let Some(rhsm) = self.take(Rhsm::load(None, section)) else {
            return;
        };
        if let Err(error) = super::rhsm::endpoint(&rhsm, section, None) {
            self.fail(section, "rhsm_hostname", &error.to_string());
        }
        match (&rhsm.username, &rhsm.password) {
            (Some(_), None) => {
                let reason =
                    "is missing; unless --password-file gives it, the report asks for it on a terminal";
                self.warn(section, "rhsm_password", reason);
            }
            (None, _) if !rhsm.consumer_cert_dir.join("cert.pem").exists() => {
                let file = rhsm.consumer_cert_dir.join("cert.pem");
                let name = section.name().unwrap_or("the environment").to_owned();
                self.unregistered.entry(file).or_default().push(name);
            }
            _ => {}
        }
    }

    /// Tells of sections that report the same server to the same place, where each takes the other's hosts for its own.
    fn same_server(&mut self, section: &Section, servers: &mut HashMap<[String; 4], String>) {
        let text = |key| section.text(key).ok().flatten().unwrap_or_default();
        let server = match Address::parse(&text("server")) {
            Ok(Address { base, .. }) => format!("{}:{}", base.host.to_lowercase(), base.port),
            Err(_) => return,
        };
        let name = section.name().unwrap_or("the environment").to_owned();
        let same = [
            section.source_type().unwrap_or_default(),
            server,
            text("owner"),
            text("sat_server"),
        ];
        if let Some(other) = servers.get(&same) {
            let reason = format!(
                "is that of [{other}], too, with the same destination: hosts are reported twice unless filters keep them \
                 apart"
            );
            self.warn(section, "server", &reason);
        } else {
            servers.insert(same, name);
        }
    }
}

/// An error that is about another file.
fn elsewhere(error: &anyhow::Error) -> Note {
    Note {
        place: None,
        section: None,
        key: None,
        message: format!("{error:#}"),
    }
}
