//! How the servers of a section are reached, as the commands do it and `vw-config show` tells it.

use crate::cli;
use crate::cli::args::{Connection, Keys, Said};
use crate::commands::advice::advised;
use crate::commands::rhsm;
use crate::config::{Rhsm, Section};
use crate::error::Kind;
use crate::http::{Base, Endpoint, Trust};
use crate::secret::redact;
use crate::systems::satellite5;
use crate::systems::vsphere::Address;

/// The source at `address`, which `--server` gave, or else the section's key `server`.
///
/// A libvirt URI may say something of trust and proxy itself. One of the option beats the section's keys; one of the key may not
/// contradict them.
pub(super) fn source(
    connection: &Connection,
    section: &Section,
    address: &Address,
    from_option: bool,
) -> cli::Result<Endpoint> {
    let keys = Keys::SOURCE.trust;
    let proxy = Keys::SOURCE.proxy.into_iter().collect::<Vec<_>>();
    let counts = |said: &str, against: &[&str]| -> cli::Result<bool> {
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
pub(super) fn satellite5(connection: &Connection, section: &Section, base: Base) -> cli::Result<Endpoint> {
    connection.endpoint(base, section, &Keys::SATELLITE5, Said::default())
}

/// A failure with the section that it concerns, and with the server if it is about that and its text does not say so. `base` is
/// none for a failure that is about this machine.
pub(super) fn placed(error: cli::Error, section: Option<&str>, base: Option<&Base>) -> cli::Error {
    let error = advised(error);
    let about_server = match error.kind() {
        Kind::Signal(_) | Kind::ReaderGone => return error,
        Kind::Unavailable | Kind::TempFail | Kind::Protocol | Kind::NoPerm => true,
        _ => false,
    };
    let base = base.filter(|base| about_server && !format!("{error:#}").contains(&base.host));
    let server = base.map(Base::to_string);
    let place: Vec<String> = section.map(str::to_owned).into_iter().chain(server).collect();
    match place.is_empty() {
        true => error,
        false => error.context(place.join(": ")),
    }
}

/// How one of the section's servers is reached, for people.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Leg {
    /// `source` or `destination`.
    pub end: &'static str,
    /// The server's host and port, unless there is an error.
    pub server: Option<String>,
    /// The proxy's URL, without credentials; none if there is none.
    pub proxy: Option<String>,
    /// The option, key or variable that names the proxy, or why there is none.
    pub why: Option<String>,
    /// Why nobody can tell.
    pub error: Option<String>,
}

/// How the servers of the section are reached without any options; not that of a source of another type than esx.
pub(super) fn of_section(section: &Section, rhsm_conf: Option<&std::path::Path>) -> Vec<Leg> {
    let none = Connection::default();
    let from = || -> cli::Result<Endpoint> {
        let address = Address::parse(&section.need("server", "--server")?)?;
        source(&none, section, &address, false)
    };
    let to = || -> cli::Result<Endpoint> {
        match section.text("sat_server")? {
            Some(server) => satellite5(&none, section, satellite5::base(&server)?),
            None => rhsm::endpoint(&Rhsm::load(rhsm_conf, section)?, section, None, &none),
        }
    };
    let is_esx = section.source_type().is_ok_and(|kind| kind == "esx");
    let source = is_esx.then(from).map(|endpoint| ("source", endpoint));
    let told = |(end, endpoint): (_, cli::Result<Endpoint>)| {
        let way = endpoint.and_then(|endpoint| Ok((endpoint.way()?, endpoint)));
        match way {
            Ok((way, endpoint)) => Leg {
                end,
                server: Some(endpoint.base.authority()),
                proxy: way.proxy.map(|proxy| proxy.to_string()),
                why: Some(way.why),
                error: None,
            },
            Err(error) => Leg {
                end,
                server: None,
                proxy: None,
                why: None,
                error: Some(redact::urls(&format!("{error:#}"))),
            },
        }
    };
    source
        .into_iter()
        .chain([("destination", to())])
        .map(told)
        .collect()
}
