//! One scan: the host and its domains become an inventory.

use super::TYPE;
use super::domains::{Domain, Domains, state_commands, states};
use super::error::Error;
use super::host::{Host, sockets_of_nodeinfo};
use super::virsh::{Connection, Limits};
use crate::mapping::{Guest, GuestState, Hypervisor, HypervisorId, Inventory, LeftOut};

/// The commands about the host.
const HOST: &str = "capabilities; version; hostname";
/// The commands about the domains.
const DOMAINS: &str = "list --all --uuid --name; domstats --state";

/// How often the domains are read if some appear between the two commands.
const ROUNDS: usize = 3;

/// How many domains are asked for their states in one argument, which may have 128 KiB.
const AT_ONCE: usize = 1000;

/// What libvirt says about itself, in one line.
pub fn check(connection: &Connection, limits: Limits<'_>) -> Result<String, Error> {
    let answer = connection.ask("version; hostname", |_| false, limits)?;
    let mut host = Host::default();
    host.read_version_and_name(&answer.stdout);
    let kind = host.kind.as_deref().unwrap_or("an unknown hypervisor");
    let version = host
        .version
        .map(|version| format!(" {version}"))
        .unwrap_or_default();
    let hostname = host.hostname.ok_or(Error::NoHostname)?;
    Ok(format!("libvirt on {hostname}, {kind}{version}"))
}

/// Reads the hypervisor with its guests. Without a URI these are the guests of this machine itself, without a hypervisor.
pub fn scan(connection: &Connection, id: HypervisorId, limits: Limits<'_>) -> Result<Inventory, Error> {
    let reading = Reading { connection, limits };
    if connection.uri().is_none() {
        let domains = reading.domains(&reading.ask(DOMAINS)?)?;
        return Ok(inventory(domains, Hypervisor::local));
    }
    let printed = reading.ask(&format!("{HOST}; {DOMAINS}"))?;
    let (mut host, rest) = Host::read(&printed)?;
    let domains = reading.domains(rest)?;
    if host.sockets.is_none() {
        host.sockets = reading.sockets();
    }
    let host = hypervisor(host, id)?;
    Ok(inventory(domains, |guests| Hypervisor { guests, ..host }))
}

/// The inventory in what a scan's first call prints, as far as that has it. A scan may make more calls.
pub fn read(printed: &[u8], id: HypervisorId) -> Result<Inventory, Error> {
    let (host, rest) = Host::read(printed)?;
    let (host, domains) = (hypervisor(host, id)?, Domains::read(rest)?);
    Ok(inventory(domains, |guests| Hypervisor { guests, ..host }))
}

/// The hypervisor without its guests.
fn hypervisor(host: Host, id: HypervisorId) -> Result<Hypervisor, Error> {
    let id = match id {
        HypervisorId::Hostname => host.hostname.clone().ok_or(Error::NoHostname)?,
        HypervisorId::Uuid | HypervisorId::Hwuuid => host.uuid.clone().ok_or(Error::NoUuid)?,
    };
    let mut hypervisor = Hypervisor::new(id);
    hypervisor.name = host.hostname;
    let facts = [
        ("cpu.cpu_socket(s)", host.sockets.map(|count| count.to_string())),
        ("hypervisor.type", host.kind),
        ("hypervisor.version", host.version),
        ("dmi.system.uuid", host.uuid),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            hypervisor.facts.set(name, value);
        }
    }
    Ok(hypervisor)
}

/// The calls of one scan.
#[derive(Clone, Copy)]
struct Reading<'a> {
    connection: &'a Connection,
    limits: Limits<'a>,
}

impl Reading<'_> {
    /// Asks, also a driver that has no `domstats`: lxc and xen.
    fn ask(&self, commands: &str) -> Result<Vec<u8>, Error> {
        let no_stats = |error: &str| error.contains("virConnectGetAllDomainStats");
        Ok(self.connection.ask(commands, no_stats, self.limits)?.stdout)
    }

    /// The domains with their states; `printed` is what the first call printed about them.
    ///
    /// A domain that appears while they are read makes another round. One that vanishes is dropped.
    fn domains(&self, printed: &[u8]) -> Result<Domains, Error> {
        let mut domains = Domains::read(printed)?;
        for _ in 1..ROUNDS {
            if domains.unlisted.is_empty() {
                break;
            }
            domains = Domains::read(&self.ask(DOMAINS)?)?;
        }
        let (known, unknown): (Vec<Domain>, Vec<Domain>) =
            domains.listed.into_iter().partition(|one| one.state.is_some());
        domains.listed = known;
        for some in unknown.chunks(AT_ONCE) {
            domains.listed.extend(self.with_states(some)?);
        }
        Ok(domains)
    }

    /// These domains with the states that libvirt has for each. Those that have vanished are missing.
    fn with_states(&self, domains: &[Domain]) -> Result<Vec<Domain>, Error> {
        let uuids: Vec<&str> = domains.iter().map(|one| one.uuid.as_str()).collect();
        let has_vanished = |error: &str| {
            error.starts_with("failed to get domain '") || error.starts_with("Domain not found")
        };
        let commands = state_commands(uuids.iter().copied());
        let answer = self.connection.ask(&commands, has_vanished, self.limits)?;
        let states = states(&answer.stdout, &uuids);
        let vanished = states.iter().filter(|state| state.is_none()).count();
        if vanished > answer.errors.len() {
            return Err(Error::Unexpected("no state for a domain"));
        }
        let domains = domains.iter().cloned().zip(states);
        let with_state =
            |(domain, state): (Domain, Option<u8>)| state.is_some().then_some(Domain { state, ..domain });
        Ok(domains.filter_map(with_state).collect())
    }

    /// The sockets that `nodeinfo` counts, or none: without that fact the host can still be reported.
    fn sockets(&self) -> Option<usize> {
        let answer = self.connection.ask("nodeinfo", |_| false, self.limits);
        match answer {
            Ok(answer) => sockets_of_nodeinfo(&answer.stdout),
            Err(error) => {
                log::debug!("the number of sockets is unknown: {error}");
                None
            }
        }
    }
}

/// The inventory of one host.
fn inventory(domains: Domains, host: impl FnOnce(Vec<Guest>) -> Hypervisor) -> Inventory {
    let mut left_out: Vec<LeftOut> = domains.unlisted.into_iter().map(restless).collect();
    let mut guests = Vec::with_capacity(domains.listed.len());
    for domain in domains.listed {
        match is_zero(&domain.uuid) {
            true => left_out.push(without_uuid(domain)),
            false => guests.push(guest(domain)),
        }
    }
    let mut inventory = Inventory {
        hypervisors: vec![host(guests)],
        left_out,
        notes: Vec::new(),
    };
    inventory.sort();
    inventory
}

fn guest(domain: Domain) -> Guest {
    let state = domain.state.and_then(GuestState::from_number);
    Guest {
        name: Some(domain.name),
        ..Guest::new(domain.uuid, state.unwrap_or_default(), TYPE)
    }
}

fn is_zero(uuid: &str) -> bool {
    uuid.bytes().all(|byte| matches!(byte, b'0' | b'-'))
}

fn without_uuid(domain: Domain) -> LeftOut {
    LeftOut {
        kind: LeftOut::GUEST.into(),
        id: Some(domain.uuid),
        name: Some(domain.name),
        reason: "its uuid is all zeros, as that of Xen's Domain-0".to_owned(),
    }
}

fn restless(name: String) -> LeftOut {
    LeftOut {
        kind: LeftOut::GUEST.into(),
        name: Some(name),
        reason: format!("it has a state but no uuid, also after {ROUNDS} tries"),
        ..LeftOut::default()
    }
}
