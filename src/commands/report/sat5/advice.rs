//! What the user can do about an error of a Satellite 5.

use crate::cli;
use crate::commands::advice::advised as advised_of_exchange;
use crate::systems::satellite5::Error;

/// The error with advice after it, if there is any.
pub(super) fn advised(error: Error) -> cli::Error {
    let advice = advice(&error);
    let error = cli::Error::from(error);
    match advice {
        Some(advice) => error.advise(advice),
        None => advised_of_exchange(error),
    }
}

fn advice(error: &Error) -> Option<&'static str> {
    Some(match error.root() {
        error if error.is_about_another_server() => {
            "no Satellite 5 or Spacewalk answers there; check the server's address"
        }
        Error::Login { .. } => "check user name and password (repeated failures may lock the account)",
        Error::Refused { call, fault } => return of_fault(call, fault.code),
        Error::NoBaseChannel { map: Some(_) } => {
            "the user needs the role org_admin once, or an administrator must set the map"
        }
        Error::NoBaseChannel { map: None } => "check the organisation's distribution channel maps",
        Error::SeveralProfiles { .. } => "delete those that are not, in the server's web interface",
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
