//! `--check`: whether hypervisors can be registered with this account, without changing anything.

use std::time::Instant;

use super::{Destination, Satellite5Reporter, advice};
use crate::cancel::Cancel;
use crate::cli::{self, Exit, Failure};
use crate::commands::report::{documents::Reporter as _, limit};
use crate::error::Kind;
use crate::systems::satellite5::Standing;
use crate::text;

impl Satellite5Reporter {
    /// Asks the server, and prints what it has.
    pub(super) fn check(&self, cancel: &Cancel) -> cli::Result<Exit> {
        let destination = self.destination.as_ref();
        let destination = destination.ok_or_else(|| Failure::new(Kind::Software, "no server to check"))?;
        destination.password.ask(cancel)?;
        let time = self.settings.connection.time().unwrap_or(limit::LONGEST);
        let standing = self
            .connect(
                destination,
                self.registrations.clone(),
                Instant::now().checked_add(time),
                cancel,
            )
            .and_then(|satellite| satellite.check().map_err(advice::advised));
        match standing.and_then(|standing| verdict(&standing, destination)) {
            Ok(line) => {
                cli::print(&format!("{}\n", text::line(&line)))?;
                Ok(Exit::Ok)
            }
            Err(error) => {
                let error = limit::advise_if_late(self.explain(error, destination));
                self.log_error(&error);
                Ok(Exit::Failed(error.kind()))
            }
        }
    }
}

/// The line for a user who can register hypervisors, otherwise the error.
fn verdict(standing: &Standing, destination: &Destination) -> cli::Result<String> {
    let found = found(standing);
    let user = &destination.username;
    let refuse = |problem| Err(Failure::new(Kind::NoPerm, problem).into());
    if standing.read_only {
        return refuse(format!(
            "{user:?} has only read access and can't register hypervisors ({found})"
        ));
    }
    let missing = standing.missing_roles();
    if missing.is_empty() {
        let base = &destination.endpoint.base;
        return Ok(format!("{base}: {found}; {user:?} can register hypervisors"));
    }
    let missing: Vec<String> = missing
        .iter()
        .map(|(role, why)| format!("the role {role} {why}"))
        .collect();
    refuse(format!(
        "{user:?} needs {} ({found}); or let an administrator of the organisation send the first report",
        missing.join(" and ")
    ))
}

/// What the server has.
fn found(standing: &Standing) -> String {
    let Standing { org, channel, .. } = standing;
    let exists = match standing.has_channel {
        true => "exists",
        false => "does not exist yet",
    };
    let mapped = match &standing.mapped {
        None => "no map for hypervisors exists yet".to_owned(),
        Some(own) if own == channel => "its map exists".to_owned(),
        Some(other) => format!("hypervisors are mapped to the channel {other}"),
    };
    format!("organisation {org}, the channel {channel} {exists}, {mapped}")
}
