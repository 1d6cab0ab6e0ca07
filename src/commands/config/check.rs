//! What is wrong with a configuration, and what would go wrong when it is used: `vw-config check`.

mod connection;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::cli::advice;
use crate::cli::args::{self, Hosts};
use crate::commands::filtering::Filtering;
use crate::commands::{report, rhsm, way};
use crate::config::keys::Origin;
use crate::config::{Config, Error, Note, Rhsm, Section, did_you_mean, keys, password};
use crate::secret::redact;
use crate::systems::satellite5;
use crate::systems::vsphere::{Address, HypervisorId};

/// Something to be told about the configuration.
#[derive(Debug)]
pub(super) struct Finding {
    /// Does it keep its section from being used?
    pub is_error: bool,
    /// What it is.
    pub note: Note,
}

/// What became of a section.
#[derive(Debug)]
pub(super) struct Checked {
    /// Its name; none for the section that the environment is.
    pub name: Option<String>,
    /// Can it be used?
    pub usable: bool,
    /// The type of its source.
    pub kind: Option<String>,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// The findings, in the order of the files and their lines.
    pub findings: Vec<Finding>,
    /// The sections, in the order of the files.
    pub sections: Vec<Checked>,
    /// How many configuration files exist and could not be read.
    pub unreadable: usize,
    /// The findings as text: what is wrong with [defaults] or rhsm.conf is wrong with each section, and told once.
    told: HashSet<String>,
    /// How many errors were found, whether or not they had been told before.
    errors: usize,
    /// Certificates of registered machines that are missing, and the sections that need them.
    unregistered: BTreeMap<PathBuf, Vec<String>>,
}

/// Where the check looks beside the configuration.
pub(super) struct Surroundings<'a> {
    /// The key of encrypted passwords.
    pub key_file: PathBuf,
    /// `--rhsm-conf`.
    pub rhsm_conf: Option<&'a Path>,
    /// Is there a command of this name, beside ours or in PATH?
    pub has_command: &'a dyn Fn(&str) -> bool,
}

/// Sections of one type that scan the same server for the same destination.
type Servers = HashMap<[String; 4], Vec<String>>;

/// Types of sources that virt-who knows, or knew.
const TYPES: [&str; 9] = [
    "esx", "fake", "libvirt", "hyperv", "kubevirt", "ahv", "xen", "rhevm", "vdsm",
];

/// Keys that mean something when they are empty, and what.
const EMPTY_PROXY: [(&str, &str); 2] = [
    (
        "rhsm_proxy_hostname",
        "is empty, so Candlepin is reached without a proxy; remove the line to use that of rhsm.conf or the environment",
    ),
    (
        "rhsm_proxy_user",
        "is empty, so the proxy gets no user name and password; remove the line to use those of rhsm.conf",
    ),
];

/// The passwords of a section: the key, and what it is for.
const PASSWORDS: [&str; 4] = ["password", "rhsm_password", "rhsm_proxy_password", "sat_password"];

impl Check {
    /// Looks at all there is, or at one section and what counts for it.
    pub(super) fn new(config: &Config, only: Option<&Section>, surroundings: &Surroundings<'_>) -> Self {
        let mut check = Check::default();
        let concerns = |note: &Note| {
            let general = ["global", "system_environment"];
            let is_general = |section: &String| general.contains(&section.as_str());
            only.is_none_or(|only| only.is_subject_of(note) || note.section.as_ref().is_some_and(is_general))
        };
        let broken: Vec<&Note> = config.broken().collect();
        for note in config.notes() {
            let is_unreadable = config.unreadable().contains(note);
            check.unreadable += usize::from(is_unreadable);
            if is_unreadable || concerns(note) {
                check.tell(is_unreadable || broken.contains(&note), note.clone());
            }
        }
        for note in config.unknown().into_iter().filter(concerns) {
            check.tell(false, note);
        }
        check.global(&config.global().clone());
        let all: Vec<&Section> = config.sections().chain(config.environment()).collect();
        let servers = servers(&all);
        for section in all {
            if only.is_some_and(|only| only.name() != section.name()) {
                continue;
            }
            let section = section.clone().with_key_file(Some(surroundings.key_file.clone()));
            let before = check.errors;
            if section.broken().is_none() {
                check.section(&section, surroundings);
                check.same_server(&section, &servers, only.is_some());
            }
            check.sections.push(Checked {
                name: section.name().map(str::to_owned),
                usable: section.broken().is_none() && check.errors == before,
                kind: section.source_type().ok().map(|kind| redact::value(&kind)),
            });
        }
        for (file, sections) in std::mem::take(&mut check.unregistered) {
            let message = format!(
                "this machine is not registered, for there is no {}; register it, or give an account by rhsm_username and \
                 rhsm_password: {}",
                file.display(),
                sections.join(", ")
            );
            check.tell(false, elsewhere(&message));
        }
        check.sort(config);
        check
    }

    /// Puts the findings in the order of files and lines; what is in none of them comes last. That a key is empty is said once,
    /// by the error if there is one.
    fn sort(&mut self, config: &Config) {
        let of_empty = |finding: &Finding| finding.note.message.starts_with("is empty");
        let failed: Vec<Note> = self
            .findings
            .iter()
            .filter(|finding| finding.is_error && of_empty(finding))
            .map(|finding| finding.note.clone())
            .collect();
        self.findings.retain(|finding| {
            let same = |error: &Note| error.place == finding.note.place && error.key == finding.note.key;
            finding.is_error || !of_empty(finding) || !failed.iter().any(same)
        });
        let files: HashMap<&Path, usize> = config.files().iter().map(PathBuf::as_path).zip(0..).collect();
        self.findings.sort_by_key(|finding| match &finding.note.place {
            Some(place) => (
                files.get(&*place.file).copied().unwrap_or(usize::MAX - 1),
                place.line,
            ),
            None => (usize::MAX, 0),
        });
    }

    fn tell(&mut self, is_error: bool, note: Note) {
        self.errors += usize::from(is_error);
        if self.told.insert(format!("{is_error} {note}")) {
            self.findings.push(Finding { is_error, note });
        }
    }

    /// Takes a value, or tells why there is none.
    fn take<T>(&mut self, value: Result<T, Error>) -> Option<T> {
        value
            .map_err(|error| match advice::note(&error) {
                Some(note) => self.tell(true, note),
                None => self.tell(true, elsewhere(&advice::with_advice(&error.into()))),
            })
            .ok()
    }

    fn warn(&mut self, section: &Section, key: &str, reason: &str) {
        self.tell(false, section.note(key, reason));
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
        for key in ["reporter_id", "log_file"] {
            said.extend(global.text(key).err());
        }
        match global.text("log_dir") {
            Ok(folder) => self.log_dir(global, folder.as_deref()),
            Err(error) => said.push(error),
        }
        said.extend(global.list("configs").err());
        for error in said {
            if let Error::Wrong(note) = error {
                self.tell(false, note);
            }
        }
    }

    fn log_dir(&mut self, global: &Section, folder: Option<&str>) {
        let folder = Path::new(folder.unwrap_or_default());
        match folder.metadata() {
            _ if folder == Path::new("") => {}
            Ok(about) if about.is_dir() => {}
            Ok(_) => {
                let reason = format!(
                    "{} is no folder, so messages go to stderr alone",
                    folder.display()
                );
                self.warn(global, "log_dir", &reason);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let reason = format!(
                    "{} does not exist; the first command that writes a log makes it",
                    folder.display()
                );
                self.warn(global, "log_dir", &reason);
            }
            Err(error) => self.warn(global, "log_dir", &format!("{}: {error}", folder.display())),
        }
    }

    fn section(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        let before = self.errors;
        for shown in section.effective_keys() {
            if let Some(Err(reason)) = shown.value {
                match keys::SECTION.contains(&shown.key.as_str()) {
                    true => self.fail(section, &shown.key, &reason),
                    false => self.warn(section, &shown.key, &reason),
                }
            }
        }
        if self.errors > before {
            return;
        }
        self.key_file(section, surroundings);
        self.source(section, surroundings);
        if let Err(error) = Filtering::new(&Hosts::default(), Some(section)) {
            match error.downcast::<Error>() {
                Ok(error) => drop(self.take::<()>(Err(error))),
                Err(error) => self.tell(true, elsewhere(&format!("{error:#}"))),
            }
        }
        self.patterns(section);
        self.destination(section, surroundings);
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
        let before = self.errors;
        if kind != "fake" {
            self.connection(section, &args::Keys::SOURCE);
            if section.has("is_hypervisor") {
                self.warn(
                    section,
                    "is_hypervisor",
                    "counts only with type=fake, so it is ignored",
                );
            }
        }
        match kind.as_str() {
            "esx" => {
                self.esx(section);
                if self.errors == before
                    && let Some(Some(server)) = self.take(section.text("server"))
                    && let Ok(address) = Address::parse(&server)
                {
                    let endpoint = way::source(&args::Connection::default(), section, &address, false);
                    self.way(section, "server", endpoint);
                }
            }
            "fake" => {
                if let Some(file) = self.take(section.need("file"))
                    && let Err(error) = std::fs::File::open(&file)
                {
                    self.fail(section, "file", &format!("{file} can't be read: {error}"));
                }
                self.take(section.is_local());
            }
            _ if (surroundings.has_command)(&scan) => {}
            _ if !section.has("type") => {
                let reason = "is missing, which means libvirt, and no command reads that; set it to esx";
                self.fail(section, "type", reason);
            }
            kind => {
                let reason = match TYPES.contains(&kind) {
                    true => format!("{kind} is not supported: there is no command {scan} in PATH"),
                    false => format!(
                        "'{kind}' is no type that is known{}, and there is no command {scan} in PATH",
                        did_you_mean(kind, TYPES)
                    ),
                };
                self.fail(section, "type", &reason);
            }
        }
    }

    fn esx(&mut self, section: &Section) {
        let mut username = None;
        if let Some(server) = self.take(section.need("server")) {
            match Address::parse(&server) {
                Ok(address) => username = address.username,
                Err(error) => self.fail(section, "server", &error.to_string()),
            }
        }
        if username.is_none() {
            self.take(section.need("username"));
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

    fn destination(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        if section.has("sat_server") {
            if let Some(server) = self.take(section.need("sat_server")) {
                let before = self.errors;
                self.connection(section, &args::Keys::SATELLITE5);
                match satellite5::base(&server) {
                    Err(error) => self.fail(section, "sat_server", &error.to_string()),
                    Ok(base) if self.errors == before => {
                        let endpoint = way::satellite5(&args::Connection::default(), section, base);
                        self.way(section, "sat_server", endpoint);
                    }
                    Ok(_) => {}
                }
            }
            self.take(section.need("sat_username"));
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
        self.take(report::candlepin::owner(section));
        let before = self.errors;
        for (key, reason) in EMPTY_PROXY {
            if section.has(key) && !section.is_set(key) {
                self.warn(section, key, reason);
            }
        }
        self.connection(section, &args::Keys::CANDLEPIN);
        let Some(rhsm) = self.take(Rhsm::load(surroundings.rhsm_conf, section)) else {
            return;
        };
        if rhsm.insecure {
            self.insecure_rhsm(section, surroundings);
        }
        if self.errors > before {
            return;
        }
        let endpoint = rhsm::endpoint(&rhsm, section, None, &args::Connection::default());
        self.way(section, "rhsm_hostname", endpoint);
        match (&rhsm.username, section.secret("rhsm_password")) {
            (Some(_), Ok(None)) => {
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

    /// Tells where rhsm.conf says that the server's certificate is not verified.
    fn insecure_rhsm(&mut self, section: &Section, surroundings: &Surroundings<'_>) {
        let shown = Rhsm::effective_keys(surroundings.rhsm_conf, section).unwrap_or_default();
        let insecure =
            |shown: &&keys::EffectiveKey| shown.key == "rhsm_insecure" && shown.origin == Origin::Rhsm;
        if let Some(shown) = shown.iter().find(insecure) {
            self.tell(
                false,
                Note {
                    place: shown.place.clone(),
                    section: Some("server".to_owned()),
                    key: Some("insecure".to_owned()),
                    message: "Candlepin's certificate is not verified; rhsm_cacert or rhsm_thumbprint would make it safe"
                        .to_owned(),
                },
            );
        }
    }

    /// Tells of sections that report the same server to the same place, where each takes the other's hosts for its own:
    /// the later ones, or the only one that is looked at.
    fn same_server(&mut self, section: &Section, servers: &Servers, is_only: bool) {
        let name = name_of(section);
        let same = server_of(section).and_then(|server| servers.get(&server));
        let mut others = same.into_iter().flatten();
        let other = match is_only {
            true => others.find(|other| **other != name),
            false => others.next().filter(|other| **other != name),
        };
        if let Some(other) = other {
            let reason = format!(
                "is that of [{other}], too, with the same destination: hosts are reported twice unless filters keep them \
                 apart"
            );
            self.warn(section, "server", &reason);
        }
    }
}

fn name_of(section: &Section) -> String {
    section.name().unwrap_or("the environment").to_owned()
}

fn servers(sections: &[&Section]) -> Servers {
    let mut servers = Servers::new();
    for section in sections.iter().filter(|section| section.broken().is_none()) {
        if let Some(server) = server_of(section) {
            servers.entry(server).or_default().push(name_of(section));
        }
    }
    servers
}

/// What is scanned, and where it is reported.
fn server_of(section: &Section) -> Option<[String; 4]> {
    let text = |key| section.text(key).ok().flatten().unwrap_or_default();
    let Address { base, .. } = Address::parse(&text("server")).ok()?;
    Some([
        section.source_type().unwrap_or_default(),
        format!("{}:{}", base.host.to_lowercase(), base.port),
        text("owner"),
        text("sat_server"),
    ])
}

/// An error that is about another file.
fn elsewhere(message: &str) -> Note {
    Note {
        place: None,
        section: None,
        key: None,
        message: message.to_owned(),
    }
}
