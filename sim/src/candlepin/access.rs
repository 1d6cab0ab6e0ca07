//! Who a request comes from, what that account may do, and what a request must look like.

use std::sync::MutexGuard;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Access, Account, Candlepin, Generation, State};
use crate::http::Request;

/// A refusal: its HTTP status and displayMessage.
pub(super) struct Refused(pub(super) u16, pub(super) String);

pub(super) type Answer = Result<(u16, Value), Refused>;

/// Who a request comes from.
pub(super) struct Who {
    /// A user's name, or a consumer's uuid.
    pub(super) name: String,
    pub(super) access: Access,
    /// Whether it is a consumer, which may see only itself and its owner's check-in.
    pub(super) is_consumer: bool,
}

impl Candlepin {
    /// Checks that the account of a request may act for this owner; returns it with the settled state.
    pub(super) fn admit(
        &self,
        owner: &str,
        request: &Request,
    ) -> Result<(Who, MutexGuard<'_, State>), Refused> {
        accepts(request)?;
        if self.lock().database_down {
            let message =
                "Runtime Error org.hibernate.exception.JDBCConnectionException: could not extract ResultSet";
            return Err(Refused(500, message.into()));
        }
        let who = self.who(request)?;
        if who.access == Access::Nothing {
            return Err(forbidden());
        }
        // An owner of somebody else looks like one that does not exist.
        if !self.settings.owners.iter().any(|key| key == owner) || !who.access.reaches(owner) {
            return Err(Refused(
                404,
                match self.settings.generation {
                    Generation::Current => format!("Owner with ID(s) {owner} could not be found."),
                    Generation::Old => format!("Organization with id {owner} could not be found."),
                },
            ));
        }
        Ok((who, self.settled()))
    }

    /// Who a request comes from: the user that it names, otherwise the consumer of its certificate.
    pub(super) fn who(&self, request: &Request) -> Result<Who, Refused> {
        if let (Some(uuid), None) = (&request.peer, request.header("Authorization")) {
            return self.consumer(uuid);
        }
        let account = self.account(request)?;
        Ok(Who {
            name: account.username.clone(),
            access: account.access.clone(),
            is_consumer: false,
        })
    }

    fn account(&self, request: &Request) -> Result<&Account, Refused> {
        let Some(header) = request.header("Authorization") else {
            let old = self.settings.generation == Generation::Old;
            return Err(Refused(
                401,
                if old {
                    "Invalid credentials."
                } else {
                    "Invalid Credentials"
                }
                .into(),
            ));
        };
        let given = credentials(header);
        let found = given.and_then(|(username, password)| {
            let mut accounts = self.settings.accounts.iter();
            accounts.find(|account| account.username == username && account.password == password)
        });
        found.ok_or_else(|| Refused(401, "Invalid Credentials".into()))
    }

    /// The consumer whose certificate came with a request.
    fn consumer(&self, uuid: &str) -> Result<Who, Refused> {
        let state = self.lock();
        check_deleted(&state, uuid)?;
        let owner = state.stores.iter().find(|(_, store)| store.held(uuid).is_some());
        let Some((owner, _)) = owner else {
            return Err(Refused(401, "Invalid Credentials".into()));
        };
        Ok(Who {
            name: uuid.to_owned(),
            access: Access::Owners(vec![owner.clone()]),
            is_consumer: true,
        })
    }
}

impl Access {
    pub(super) fn reaches(&self, owner: &str) -> bool {
        match self {
            Access::All => true,
            Access::Owners(owners) | Access::ReadOnly(owners) => owners.iter().any(|key| key == owner),
            Access::Nothing => false,
        }
    }
}

pub(super) fn forbidden() -> Refused {
    Refused(403, "Insufficient permissions".into())
}

pub(super) fn check_deleted(state: &State, uuid: &str) -> Result<(), Refused> {
    match state.deleted.contains(uuid) {
        true => Err(Refused(410, format!("Unit {uuid} has been deleted"))),
        false => Ok(()),
    }
}

/// Refuses any other media type; its parameters do not count.
pub(super) fn consumes(request: &Request, wanted: &str, generation: Generation) -> Result<(), Refused> {
    let given = request
        .header("Content-Type")
        .and_then(|given| given.split(';').next())
        .unwrap_or("");
    if given.trim().eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let number = if generation == Generation::Current {
        "RESTEASY003065: "
    } else {
        ""
    };
    Err(Refused(
        415,
        format!("Runtime Error {number}Cannot consume content type"),
    ))
}

/// Refuses clients that do not accept JSON.
pub(super) fn accepts(request: &Request) -> Result<(), Refused> {
    let Some(accept) = request.header("Accept") else {
        return Ok(());
    };
    let mut kinds = accept.split(',').filter_map(|kind| kind.split(';').next());
    if kinds.any(|kind| matches!(kind.trim(), "*/*" | "application/*" | "application/json")) {
        return Ok(());
    }
    Err(Refused(
        406,
        "Runtime Error RESTEASY003635: No match for accept header".into(),
    ))
}

/// User and password of basic authentication, in UTF-8.
fn credentials(header: &str) -> Option<(String, String)> {
    let (scheme, coded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(coded.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    Some((username.into(), password.into()))
}

/// A decoded parameter of the query, in which `+` is a space.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    parameters(query, name).into_iter().next()
}

/// All decoded values of a parameter of the query.
pub(super) fn parameters(query: &str, name: &str) -> Vec<String> {
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let found = pairs.filter(|(key, _)| decoded(key) == name);
    found
        .map(|(_, value)| decoded(&value.replace('+', " ")))
        .collect()
}

/// Decodes percent escapes; an invalid one is kept as it is.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
