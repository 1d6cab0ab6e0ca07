//! How the servers of a section are reached, as the commands do it and `vw-config show` tells it.

use super::args::{self, Connection, Keys, Said};
use super::rhsm;
use crate::config::{Rhsm, Section};
use crate::http::{Base, Endpoint, Trust};
use crate::satellite5;
use crate::vsphere::Address;

/// The source at `address`, which `--server` gave, or else the section's key `server`.
///
/// A libvirt URI may say something of trust and proxy itself. One of the option beats the section's keys; one of the key may not
/// contradict them.
pub fn source(
    connection: &Connection,
    section: &Section,
    address: &Address,
    from_option: bool,
) -> anyhow::Result<Endpoint> {
    let keys = Keys::SOURCE.trust;
    let proxy = Keys::SOURCE.proxy.into_iter().collect::<Vec<_>>();
    let counts = |said: &str, against: &[&str]| -> anyhow::Result<bool> {
        // What [defaults] says gives way to what the section does.
        let rivals = against.iter().filter(|key| section.is_set(key) && !from_option);
        for key in rivals {
            match (section.is_of_defaults("server"), section.is_of_defaults(key)) {
                (true, false) => return Ok(false),
                (false, true) => {}
                _ => {
                    let reason = format!(
                        "contradicts {said} in {}; remove one of them",
                        section.origin("server")
                    );
                    return Err(section.wrong(key, &reason).into());
                }
            }
        }
        Ok(true)
    };
    let said = Said {
        trust: match address.insecure && counts("no_verify=1", &[keys.cacert, keys.thumbprint])? {
            true => Some((Trust::Insecure, "no_verify=1 of the server's URI".to_owned())),
            false => None,
        },
        proxy: match &address.proxy {
            Some(own) if counts("proxy=", &proxy)? => Some(own.clone()),
            _ => None,
        },
        ..Said::default()
    };
    connection.endpoint(address.base.clone(), section, &Keys::SOURCE, said)
}

/// The Satellite 5 at `base`.
pub fn satellite5(connection: &Connection, section: &Section, base: Base) -> anyhow::Result<Endpoint> {
    connection.endpoint(base, section, &Keys::SATELLITE5, Said::default())
}

/// How one of the section's servers is reached, for people.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Leg {
    /// `source` or `destination`.
    pub end: &'static str,
    /// The server's host and port.
    pub server: String,
    /// The proxy's URL, without credentials; none if there is none.
    pub proxy: Option<String>,
    /// The option, key or variable that names the proxy, or why there is none.
    pub why: String,
}

/// How the servers of the section are reached without any options. What can't be told, because the section is wrong or
/// has a source of another kind, is left out: `vw-config check` is about that.
pub fn of_section(section: &Section, rhsm_conf: Option<&std::path::Path>) -> Vec<Leg> {
    let none = Connection::default();
    let from = || -> anyhow::Result<Endpoint> {
        let address = Address::parse(&section.need("server", "--server")?)?;
        source(&none, section, &address, false)
    };
    let to = || -> anyhow::Result<Endpoint> {
        match section.text("sat_server")? {
            Some(server) => satellite5(&none, section, satellite5::base(&server)?),
            None => rhsm::endpoint(&Rhsm::load(rhsm_conf, section)?, section, None, &none),
        }
    };
    let is_esx = section.source_type().is_ok_and(|kind| kind == "esx");
    let source = is_esx.then(from).map(|endpoint| ("source", endpoint));
    let mut legs = Vec::new();
    for (end, endpoint) in source.into_iter().chain([("destination", to())]) {
        match endpoint.and_then(|endpoint| Ok((args::way(&endpoint)?, endpoint))) {
            Ok((way, endpoint)) => legs.push(Leg {
                end,
                server: endpoint.base.authority(),
                proxy: way.proxy.map(|proxy| proxy.to_string()),
                why: way.why,
            }),
            Err(error) => log::warn!("the way to the {end}: {error:#}"),
        }
    }
    legs
}
