//! What an administrator can do about an error of a Satellite 5.

use crate::cli;
use crate::error::Classify as _;
use crate::mapping::LeftOut;
use crate::systems::satellite5::{Error, Shortfall, systemid};

/// Before an error of a server that is no Satellite 5.
const ANOTHER_SERVER: &str = "no Satellite 5 or Spacewalk answers there; check the server's address";

/// The entry of a hypervisor in the result line: the error with its causes, and what to do.
pub(super) fn left_out(shortfall: &Shortfall<'_>) -> LeftOut {
    shortfall.registrant.left_out(reason(&shortfall.error))
}

fn reason(error: &Error) -> String {
    let mut text = error.with_causes();
    if error.is_about_another_server() {
        text = format!("{ANOTHER_SERVER}: {text}");
    }
    if let Some(advice) = advice(error) {
        text = format!("{text}; {advice}");
    }
    text
}

/// The error that ended a report.
pub(super) fn ended(error: Error) -> cli::Error {
    match error.is_about_another_server() {
        true => cli::Error::from(error).context(ANOTHER_SERVER),
        false => error.into(),
    }
}

fn advice(error: &Error) -> Option<&'static str> {
    Some(match error.root() {
        Error::Login { .. } => "check user name and password (repeated failures may lock the account)",
        Error::Refused { call, fault } => return of_fault(call, fault.code),
        Error::NoBaseChannel { map: Some(_) } => {
            "the user needs the role org_admin once, or an administrator must set the map"
        }
        Error::NoBaseChannel { map: None } => "check the organisation's distribution channel maps",
        Error::SeveralProfiles { .. } => "delete those that are not, in the server's web interface",
        Error::Registration(systemid::Error::Damaged { .. }) => {
            "restore the file, or remove it to register the hypervisor again (its old profile stays on the server)"
        }
        _ => return None,
    })
}

fn of_fault(call: &str, code: i64) -> Option<&'static str> {
    Some(match (call, code) {
        ("user.getDetails", -23) => {
            "write the user name exactly as the server does, upper and lower case included"
        }
        ("channel.software.create", -23) => {
            "the user needs the role channel_admin to create the channel for hypervisors"
        }
        ("channel.software.create", 1200 | 1201) => {
            "the channel for hypervisors may exist already, but the user is not allowed to see it"
        }
        (_, -71) => "the user is not allowed to subscribe systems to the channel for hypervisors",
        (_, -702) => "the user has only read access",
        _ => return None,
    })
}
