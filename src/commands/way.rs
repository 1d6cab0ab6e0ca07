//! How the commands reach the servers of a section, and how `vw-config show` describes it.

use crate::cli::args::{Connection, Keys, Overrides};
use crate::cli::{self, advice};
use crate::commands::advice::advised;
use crate::commands::kind::{Kind, Service};
use crate::commands::rhsm;
use crate::config::{Rhsm, Section, TrustKeys};
use crate::error;
use crate::http::{Base, Endpoint, Trust};
use crate::secret::redact;
use crate::systems::satellite5;
use crate::systems::vsphere::Address;

impl Keys {
    /// For the source.
    pub(super) const SOURCE: Keys = Keys {
        trust: TrustKeys {
            cacert: "cacert",
            thumbprint: "thumbprint",
            insecure: "insecure",
        },
        proxy: Some("proxy"),
        proxy_password_file: Some("proxy_password_file"),
    };
    /// For Candlepin, whose proxy is configured by `rhsm_proxy_hostname` and similar keys.
    pub(super) const CANDLEPIN: Keys = Keys {
        trust: TrustKeys {
            cacert: "rhsm_cacert",
            thumbprint: "rhsm_thumbprint",
            insecure: "rhsm_insecure",
        },
        proxy: None,
        proxy_password_file: None,
    };
    /// For Satellite 5.
    pub(super) const SATELLITE5: Keys = Keys {
        trust: TrustKeys {
            cacert: "sat_cacert",
            thumbprint: "sat_thumbprint",
            insecure: "sat_insecure",
        },
        proxy: Some("sat_proxy"),
        proxy_password_file: None,
    };
}

/// The source at `address`, which comes from `--server` or from the section's key `server`.
///
/// A libvirt URI may configure verification and proxy itself. In the option it overrides the section's keys; in the key it must not
/// contradict them.
pub(super) fn source(
    connection: &Connection,
    section: &Section,
    address: &Address,
    from_option: bool,
) -> cli::Result<Endpoint> {
    let keys = Keys::SOURCE.trust;
    let proxy = Keys::SOURCE.proxy.into_iter().collect::<Vec<_>>();
    let is_in_force = |parameter: &str, against: &[&str]| -> cli::Result<bool> {
        // The section overrides [defaults].
        let rivals = against.iter().filter(|key| section.is_set(key) && !from_option);
        for key in rivals {
            match (section.is_from_defaults("server"), section.is_from_defaults(key)) {
                (true, false) => return Ok(false),
                (false, true) => {}
                _ => {
                    let reason = format!(
                        "contradicts {parameter} in {}; remove one of them",
                        section.origin("server")
                    );
                    return Err(section.wrong(key, &reason).into());
                }
            }
        }
        Ok(true)
    };
    let said = Overrides {
        trust: match address.insecure && is_in_force("no_verify=1", &[keys.cacert, keys.thumbprint])? {
            true => Some((Trust::Insecure, "no_verify=1 of the server's URI".to_owned())),
            false => None,
        },
        proxy: match &address.proxy {
            Some(own) if is_in_force("proxy=", &proxy)? => Some(own.clone()),
            _ => None,
        },
        ..Overrides::default()
    };
    connection.endpoint(address.base.clone(), section, &Keys::SOURCE, said)
}

/// The source at `base`, for a type whose servers have no URIs of libvirt.
pub(super) fn https_source(connection: &Connection, section: &Section, base: Base) -> cli::Result<Endpoint> {
    connection.endpoint(base, section, &Keys::SOURCE, Overrides::default())
}

/// The Satellite 5 at `base`.
pub(super) fn satellite5(connection: &Connection, section: &Section, base: Base) -> cli::Result<Endpoint> {
    connection.endpoint(base, section, &Keys::SATELLITE5, Overrides::default())
}

/// Adds the section to an error, and the server if the error is about it and does not name it. `base` is none if the error is about
/// this machine.
pub(super) fn placed(error: cli::Error, section: Option<&str>, base: Option<&Base>) -> cli::Error {
    let error = advised(error);
    let about_server = match error.kind() {
        error::Kind::Signal(_) | error::Kind::ReaderGone => return error,
        error::Kind::Unavailable | error::Kind::TempFail | error::Kind::Protocol | error::Kind::NoPerm => {
            true
        }
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

/// How one of the section's servers is reached, for a message.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Route {
    /// `source` or `destination`.
    pub end: &'static str,
    /// The server's host and port, unless there is an error.
    pub server: Option<String>,
    /// The proxy's URL, without credentials, if there is a proxy.
    pub proxy: Option<String>,
    /// The option, key or variable that names the proxy, or why no proxy is used.
    pub why: Option<String>,
    /// Why the server can't be reached like this.
    pub error: Option<String>,
}

/// How the section's servers are reached without options. A source is included only if its scan speaks HTTP.
pub(super) fn routes(section: &Section, rhsm_conf: Option<&std::path::Path>) -> Vec<Route> {
    let none = Connection::default();
    let kind = section.source_type().unwrap_or_default();
    let from = || -> Option<cli::Result<Endpoint>> {
        let esx = || {
            let address = Address::parse(&section.need("server")?)?;
            source(&none, section, &address, false)
        };
        let other = |service: Service| https_source(&none, section, service.base(section)?);
        match kind.as_str() {
            "esx" => Some(esx()),
            kind => Some(other(Kind::of(kind)?.service?)),
        }
    };
    let to = || -> cli::Result<Endpoint> {
        match section.text("sat_server")? {
            Some(server) => satellite5(&none, section, satellite5::base(&server)?),
            None => rhsm::endpoint(&Rhsm::load(rhsm_conf, section)?, section, None, &none),
        }
    };
    let source = from().map(|endpoint| ("source", endpoint));
    let describe = |(end, endpoint): (_, cli::Result<Endpoint>)| {
        let way = endpoint.and_then(|endpoint| Ok((endpoint.way()?, endpoint)));
        match way {
            Ok((way, endpoint)) => Route {
                end,
                server: Some(endpoint.base.authority()),
                proxy: way.proxy.map(|proxy| proxy.to_string()),
                why: Some(way.why),
                error: None,
            },
            Err(error) => Route {
                end,
                server: None,
                proxy: None,
                why: None,
                error: Some(redact::urls(&format!("{:#}", advice::advised(error)))),
            },
        }
    };
    source
        .into_iter()
        .chain([("destination", to())])
        .map(describe)
        .collect()
}
