//! The vCenter or ESX host that a command uses: what the options, the section and the server's URI mean together.

mod advice;

pub(super) use self::advice::{address_problem, advice, explain};
use super::server::{Login, ServerOptions};
use super::{section, way};
use crate::cancel::Cancel;
use crate::cli::{self, Failure, args};
use crate::config::Section;
use crate::error::Kind;
use crate::http::Endpoint;
use crate::systems::vsphere::{self, Address, Credentials};

/// A vCenter or ESX host, and who logs in.
#[derive(Debug)]
pub(super) struct Server {
    /// The server. Its time limit, if there is one, begins now.
    pub endpoint: Endpoint,
    /// The account.
    pub credentials: Credentials,
    /// The section in use; it may be nameless.
    pub section: Section,
    /// `auto_answer=` of the server's URI.
    pub auto_answer: Option<bool>,
}

impl Server {
    /// The server that the options and the section name. It may ask for the password.
    pub(super) fn find(
        options: &ServerOptions,
        section: &args::Section,
        cancel: &Cancel,
    ) -> cli::Result<Self> {
        let given = options.server.as_deref().map(Address::parse).transpose();
        let given = given.map_err(|error| {
            let problem = format!("--server: {}", address_problem(&error));
            Failure::new(Kind::Usage, problem)
        })?;
        if given.as_ref().is_some_and(|address| address.password.is_some()) {
            log::warn!("all users can read the password in --server; use --password-file");
        }
        let named = section.name.is_some();
        let section = find_section(options, section, given.as_ref())?;
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
        let connection = &options.connection;
        let mut endpoint = way::source(connection, &section, &address, from_option)?;
        connection.proxy_password(&mut endpoint, &section, &args::Keys::SOURCE, cancel)?;
        let login = Login::find(
            &options.account,
            (address.username, address.password),
            &section,
            named,
            (&endpoint.base, "VIRTWHO_ESX_PASSWORD"),
            cancel,
        )?;
        connection.apply(&mut endpoint);
        if let Some(trace) = &endpoint.trace {
            trace.hide(&login.password);
        }
        Ok(Server {
            endpoint,
            credentials: Credentials {
                username: login.username,
                password: login.password,
            },
            section,
            auto_answer: address.auto_answer,
        })
    }
}

/// The section to use. If options give a server and a user, none is needed.
fn find_section(
    options: &ServerOptions,
    section: &args::Section,
    given: Option<&Address>,
) -> cli::Result<Section> {
    let user = given.and_then(|given| given.username.as_ref());
    let complete = given.is_some() && options.account.username.as_ref().or(user).is_some();
    let key_file = options.account.key_file.as_deref();
    let key = ("server", given.is_some());
    let section = section::find(section, key_file, vsphere::TYPE, key, complete);
    section.map_err(|error| match given {
        Some(_) => args::beside_server(error, &["--username"]),
        None => error.into(),
    })
}
